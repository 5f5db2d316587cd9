package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// split makes the active vault a split one, of which member 0 has published its secrets, and
// returns the group part.
func (w *world) split(t *testing.T) []byte {
	v := &w.chain.vaults[0]
	v.Split, v.Epoch = true, 7
	slices.SortFunc(v.Members, func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) })
	var files []envelope.File
	for _, f := range w.active.Files[0] {
		files = append(files, envelope.File(f))
	}
	address, err := vaultMember(w, *v)
	require.NoError(t, err)
	keys, err := keyfiles.Check(*v, files, address)
	require.NoError(t, err)
	defer keys.Wipe()
	group, err := keys.GroupPart()
	require.NoError(t, err)
	v.SharesHash, err = v.GroupHash(group)
	require.NoError(t, err)
	sum := sha256.Sum256(group)
	v.Group = &types.GroupName{Hash: v.SharesHash, Sha256: sum[:], Height: 5}
	secrets, err := keyfiles.SecretsFile(*v, files, group)
	require.NoError(t, err)
	w.chain.publish(w.active.Name(), w.seal(t, 0, fixture.File(secrets)))
	return group
}

// vaultMember is the key of member 0.
func vaultMember(w *world, v vault.Vault) ([]byte, error) {
	for _, m := range v.Members {
		if address(m) == w.addresses[0] {
			return m.PubKey, nil
		}
	}
	return nil, errors.New("no such member")
}

func have(group []byte, err error) GroupSource {
	return func(context.Context, vault.Vault) ([]byte, error) { return bytes.Clone(group), err }
}

func TestASplitVaultIsRestoredWithItsGroupPart(t *testing.T) {
	gone := errors.New("gone")
	altered := func(group []byte) []byte { g := bytes.Clone(group); g[40]++; return g }
	for _, row := range []struct {
		name  string
		group func(group []byte) GroupSource
		// deleted says that state keeps the group part no more.
		deleted bool
		err     error
	}{
		{"as the state has it", func(g []byte) GroupSource { return have(g, nil) }, false, nil},
		{"from the second of two", func(g []byte) GroupSource {
			return EitherGroup(have(nil, gone), nil, have(g, nil))
		}, false, nil},
		{"from the second, when the first serves another", func(g []byte) GroupSource {
			return EitherGroup(have(altered(g), nil), have(g, nil))
		}, false, nil},
		{"when state keeps none any more", func(g []byte) GroupSource { return have(g, nil) }, true, nil},
		{"another one", func(g []byte) GroupSource { return have(altered(g), nil) }, false, ErrGroup},
		{"another one, when state keeps none any more", func(g []byte) GroupSource { return have(altered(g), nil) }, true, ErrGroup},
		{"a part of it", func(g []byte) GroupSource { return have(g[1:], nil) }, false, vault.ErrGroup},
		{"nobody has it", func([]byte) GroupSource { return EitherGroup(have(nil, gone), have(nil, gone)) }, false, gone},
		{"nobody is asked", func([]byte) GroupSource { return nil }, false, ErrGroup},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			group := w.split(t)
			if row.deleted {
				w.chain.vaults[0].SharesHash = nil
			}
			cfg := w.config(t)
			cfg.Vault, cfg.Group = w.active.Keys.Secp256k1, row.group(group)
			var steps []Step
			cfg.Progress = func(e Event) { steps = append(steps, e.Step) }
			results, err := Run(t.Context(), cfg)
			require.NoError(t, err)
			if row.err != nil {
				require.ErrorIs(t, results[0].Err, row.err)
				w.holds(t)
				return
			}
			require.NoError(t, results[0].Err)
			require.Equal(t, []Step{StepRecord, StepFetch, StepOpen, StepGroup, StepCheck, StepWrite}, steps)
			w.holds(t, w.active)
		})
	}
}

// What an operator needs whose group part is lost is named: no more than the hash says which it is.
func TestTheErrorNamesTheGroupPartThatIsMissing(t *testing.T) {
	w := newWorld(t)
	w.split(t)
	cfg := w.config(t)
	cfg.Vault, cfg.Group = w.active.Keys.Secp256k1, have(nil, errors.New("gone"))
	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, results[0].Err, "the envelope is in order")
	require.ErrorContains(t, results[0].Err, "with the group hash "+hexOf(w.chain.vaults[0].SharesHash))
}

// The unsplit vault beside it is restored as ever, and so is a member of a split vault whose
// envelope holds its keyshares whole.
func TestWholeKeysharesNeedNoGroupPart(t *testing.T) {
	w := newWorld(t)
	w.split(t)
	w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
	w.chain.publish(w.retiring.Name(), w.seal(t, 0, w.retiring.Files[0]...))
	cfg := w.config(t)
	cfg.Group = func(context.Context, vault.Vault) ([]byte, error) { panic("it is not asked") }
	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
	}
	w.holds(t, w.active, w.retiring)
}

// A latest backup whose secrets cannot be joined is passed over for the one before.
func TestTheBackupBeforeIsTriedWhenTheGroupPartIsMissing(t *testing.T) {
	w := newWorld(t)
	w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
	w.split(t)
	cfg := w.config(t)
	cfg.Vault, cfg.Group = w.active.Keys.Secp256k1, have(nil, errors.New("gone"))
	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.Len(t, results[0].Rejected, 1)
	w.holds(t, w.active)
}

func TestGroupPartsAreKeptAsFiles(t *testing.T) {
	w := newWorld(t)
	group := w.split(t)
	v := w.chain.vaults[0]
	data, err := v.EncodeGroup(group)
	require.NoError(t, err)
	source := GroupFiles(func(_ context.Context, name string) ([]byte, error) {
		require.Equal(t, "envelopes/"+hexOf(v.Group.Hash)+".group", name)
		return data, nil
	})
	got, err := source(t.Context(), v)
	require.NoError(t, err)
	require.Equal(t, group, got)
	v.SharesHash = nil
	got, err = source(t.Context(), v)
	require.NoError(t, err, "the record names it for ever")
	require.Equal(t, group, got)
	v.Group = nil
	_, err = source(t.Context(), v)
	require.ErrorIs(t, err, ErrGroup)
}

// Where files are named by their SHA-256 alone, a group part is its bytes.
func TestGroupPartsByTheirSHA256(t *testing.T) {
	w := newWorld(t)
	group := w.split(t)
	v := w.chain.vaults[0]
	v.SharesHash = nil
	source := GroupsBySum(func(_ context.Context, name string) ([]byte, error) {
		sum := sha256.Sum256(group)
		require.Equal(t, "envelopes/"+hexOf(sum[:])+".age", name)
		return group, nil
	})
	got, err := source(t.Context(), v)
	require.NoError(t, err)
	require.Equal(t, group, got)
	v.Group = nil
	_, err = source(t.Context(), v)
	require.ErrorIs(t, err, ErrGroup)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func address(m types.Member) string {
	text, err := bech32.ConvertAndEncode("cosmos", m.Address())
	if err != nil {
		panic(err)
	}
	return text
}
