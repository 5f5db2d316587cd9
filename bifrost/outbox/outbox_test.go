package outbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func vote(epoch uint64, step outbox.Step) *outbox.Record {
	return &outbox.Record{
		ChainID: "test-1", Signer: "cosmos1signer", Kind: outbox.Vote, Epoch: epoch, Step: step,
		OpenedHeight: 3, Deadline: 9, Vault: "02aa", PubKeyEd25519: "bb",
		Keyshares: []envelope.File{{Name: "localstate-a.json", Data: []byte("secret")}},
	}
}

// steps are the steps of the open records, by their names.
func steps(t *testing.T, o *outbox.Outbox) map[string]outbox.Step {
	t.Helper()
	records, err := o.Load()
	require.NoError(t, err)
	got := map[string]outbox.Step{}
	for _, r := range records {
		got[r.Name()] = r.Step
	}
	return got
}

func TestRecordsComeBackAsTheyWereSaved(t *testing.T) {
	o := outbox.NewOutbox(filepath.Join(t.TempDir(), "outbox"), homekeys.New(t))
	require.Empty(t, steps(t, o), "there is no folder yet")
	saved := vote(7, outbox.StepResult)
	require.NoError(t, o.Save(saved))
	records, err := o.Load()
	require.NoError(t, err)
	require.Len(t, records, 1)
	records[0].Version = 0
	require.Equal(t, saved, records[0])
}

func TestRecordsAreNamedByTheirEpoch(t *testing.T) {
	dir := t.TempDir()
	o := outbox.NewOutbox(dir, homekeys.New(t))
	later := vote(7, outbox.StepMessage)
	later.Kind = outbox.Backup
	require.NoError(t, o.Save(vote(7, outbox.StepDone)))
	require.NoError(t, o.Save(later))
	require.NoError(t, o.Save(vote(8, outbox.StepSaved)), "of the same vault")
	require.Equal(t, map[string]outbox.Step{
		"keygen-7.json": outbox.StepDone, "backup-7.json": outbox.StepMessage, "keygen-8.json": outbox.StepSaved,
	}, steps(t, o))

	require.NoError(t, os.Rename(filepath.Join(dir, "keygen-8.json"), filepath.Join(dir, "keygen-9.json")))
	_, err := o.Load()
	require.ErrorContains(t, err, "holds the record keygen-8.json")
}

func TestClosedRecordsStay(t *testing.T) {
	o := outbox.NewOutbox(t.TempDir(), homekeys.New(t))
	none, err := o.Closed(outbox.VoteName(7))
	require.NoError(t, err)
	require.Nil(t, none)
	r := vote(7, outbox.StepDone)
	require.NoError(t, o.Save(r))
	r.Outcome = "ready"
	require.NoError(t, o.Close(r))
	require.Empty(t, steps(t, o))
	closed, err := o.Closed(outbox.VoteName(7))
	require.NoError(t, err)
	require.Equal(t, "ready", closed.Outcome)
	require.NoError(t, o.Close(r), "again is fine")
}

func TestWhatIsNoRecordIsRefusedWithoutShowingIt(t *testing.T) {
	for name, row := range map[string]struct{ data, says string }{
		"no JSON":                 {`{"keyshares": secret}`, "is not a record of the outbox"},
		"a type that is another":  {`{"version": 1, "epoch": "secret"}`, "is not a record of the outbox"},
		"of another version":      {`{"version": 9}`, "has version 9"},
		"of no version":           {`{}`, "has version 0"},
		"under the name of other": {`{"version": 1, "kind": "vote", "epoch": 3}`, "holds the record keygen-3.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "keygen-7.json"), []byte(row.data), 0o600))
			_, err := outbox.NewOutbox(dir, homekeys.New(t)).Load()
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

// changes counts the changes to the disk that an action makes after a record was saved.
func changes(t *testing.T, act func(o *outbox.Outbox) error) int {
	dir := t.TempDir()
	o := outbox.NewOutbox(dir, homekeys.New(t))
	require.NoError(t, o.Save(vote(7, outbox.StepTx)))
	steps := disk.Count(t, dir)
	defer steps.Mend()
	require.NoError(t, act(o))
	return steps.Steps()
}

func TestKilledAtAnyChangeARecordHasTheOldStepOrTheNewOne(t *testing.T) {
	save := func(o *outbox.Outbox) error { return o.Save(vote(7, outbox.StepDone)) }
	for n := 1; n <= changes(t, save); n++ {
		dir := t.TempDir()
		o := outbox.NewOutbox(dir, homekeys.New(t))
		require.NoError(t, o.Save(vote(7, outbox.StepTx)))
		faults := disk.DieAt(t, dir, n)
		require.Error(t, save(o), "change %d", n)
		faults.Mend()
		require.Contains(t, []outbox.Step{outbox.StepTx, outbox.StepDone}, steps(t, o)["keygen-7.json"])
		require.NoError(t, save(o))
		require.Equal(t, map[string]outbox.Step{"keygen-7.json": outbox.StepDone}, steps(t, o))
	}
}

func TestKilledAtAnyChangeARecordIsOpenOrClosed(t *testing.T) {
	shut := func(o *outbox.Outbox) error { return o.Close(vote(7, outbox.StepDone)) }
	for n := 1; n <= changes(t, shut); n++ {
		dir := t.TempDir()
		o := outbox.NewOutbox(dir, homekeys.New(t))
		require.NoError(t, o.Save(vote(7, outbox.StepTx)))
		faults := disk.DieAt(t, dir, n)
		require.Error(t, shut(o), "change %d", n)
		faults.Mend()
		closed, err := o.Closed(outbox.VoteName(7))
		require.NoError(t, err)
		require.True(t, closed != nil || steps(t, o)["keygen-7.json"] == outbox.StepTx, "it is never gone")
		require.NoError(t, shut(o))
		require.Empty(t, steps(t, o))
	}
}

func TestKeysharesAreSealedInARecord(t *testing.T) {
	dir := t.TempDir()
	o := outbox.NewOutbox(dir, homekeys.New(t))
	require.NoError(t, o.Save(vote(7, outbox.StepResult)))
	data, err := os.ReadFile(filepath.Join(dir, "keygen-7.json"))
	require.NoError(t, err)
	for _, plain := range []string{"secret", "c2VjcmV0", "localstate"} {
		require.NotContains(t, string(data), plain)
	}
	other, err := sanity.ParseMnemonic([]byte("abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"))
	require.NoError(t, err)
	_, err = outbox.NewOutbox(dir, homekeys.Of(t, other)).Load()
	require.ErrorIs(t, err, keystore.ErrSealed)
	require.ErrorContains(t, err, "keygen-7.json")
}

func TestRecordsOfTheFirstVersionAreReadAndSealed(t *testing.T) {
	dir := t.TempDir()
	o := outbox.NewOutbox(dir, homekeys.New(t))
	require.NoError(t, o.SealPlain("cosmos1signer"), "there is nothing yet")
	r := vote(7, outbox.StepResult)
	r.Version = 1
	data, err := json.Marshal(r)
	require.NoError(t, err)
	for _, path := range []string{"keygen-7.json", "closed/keygen-7.json"} {
		require.NoError(t, durable.Write(filepath.Join(dir, path), data))
	}
	records, err := o.Load()
	require.NoError(t, err)
	require.Equal(t, r.Keyshares, records[0].Keyshares)

	require.ErrorContains(t, o.SealPlain("cosmos1other"), "is of the signer cosmos1signer")
	require.NoError(t, o.SealPlain("cosmos1signer"))
	for path, data := range disk.Tree(t, dir) {
		require.NotContains(t, data, "c2VjcmV0", path)
	}
	records, err = o.Load()
	require.NoError(t, err)
	require.Equal(t, r.Keyshares, records[0].Keyshares)
	closed, err := o.Closed("keygen-7.json")
	require.NoError(t, err)
	require.Equal(t, r.Keyshares, closed.Keyshares)
}
