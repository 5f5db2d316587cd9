package care

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestLostKeysharesComeBack(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world)
	}{
		{"of all live vaults", func(*testing.T, *world) {}},
		{"of the one that is not here", func(t *testing.T, w *world) { w.Save(t, w.Vaults[1]) }},
		{"when one of a vault's two files is not here", func(t *testing.T, w *world) {
			w.Save(t, w.Vaults...)
			require.NoError(t, os.Remove(w.File(w.Vaults[0], 0)))
		}},
		{
			"from another node when the own one has not kept the envelope",
			func(_ *testing.T, w *world) { clear(w.Own.Blocks) },
		},
		{"from the publication before when the last one is bad", func(t *testing.T, w *world) {
			w.PublishOne(7, w.Vaults[0], fakemember.Seal(t, 1, w.Vaults[0].Files[1]))
		}},
		{"whatever a process left that died while it wrote", func(t *testing.T, w *world) {
			require.NoError(t, os.MkdirAll(filepath.Join(home.KeysharesDir(w.Home), "1", ".stage-1"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(home.KeysharesDir(w.Home), "1", ".stage-1", w.Vaults[0].Files[0][0].Name), []byte("{"), 0o600))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.Publish(t)
			row.change(t, w)
			r := w.repairer(t)
			r.Once(t.Context())
			require.Empty(t, r.Problems())
			w.Holds(t, w.Vaults...)
			require.Positive(t, w.restored)
			require.Zero(t, w.failed)
			require.Contains(t, w.log.String(), "keyshares are restored")

			// What is here is left alone; what is lost later comes back too.
			w.restored = 0
			r.Once(t.Context())
			require.Zero(t, w.restored)
			require.NoError(t, os.RemoveAll(home.KeysharesDir(w.Home)))
			r.Once(t.Context())
			w.Holds(t, w.Vaults...)
			require.Equal(t, 2, w.restored)
		})
	}
}

func TestKeysharesThatCannotComeBackAreSaid(t *testing.T) {
	for _, row := range []struct {
		name    string
		spoil   func(t *testing.T, w *world)
		mend    func(t *testing.T, w *world)
		problem string
	}{
		{
			"nothing is published", func(_ *testing.T, w *world) { w.Unpublish() },
			func(t *testing.T, w *world) { w.Publish(t) }, "no backup is published",
		},
		{
			"no node holds the envelope", func(_ *testing.T, w *world) { clear(w.Own.Blocks); clear(w.Other.Blocks) },
			func(t *testing.T, w *world) { w.Publish(t) }, "block",
		},
		{
			"the backup holds another member's keyshares",
			func(t *testing.T, w *world) {
				w.Unpublish()
				w.PublishOne(5, w.Vaults[0], fakemember.Seal(t, 0, w.Vaults[0].Files[1]))
			},
			func(t *testing.T, w *world) { w.Publish(t) }, "keyshares do not fit",
		},
		{
			"the backup holds one of two keyshares",
			func(t *testing.T, w *world) {
				w.Unpublish()
				w.PublishOne(5, w.Vaults[0], fakemember.Seal(t, 0, w.Vaults[0].Files[0][:1]))
			},
			func(t *testing.T, w *world) { w.Publish(t) }, "ed25519 keyshare is missing",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.Publish(t)
			w.OneVault()
			row.spoil(t, w)
			r := w.repairer(t)
			r.Once(t.Context())
			w.Holds(t)
			require.Len(t, r.Problems(), 1)
			require.Contains(t, r.Problems()[0], row.problem)
			require.Equal(t, 1, w.failed)
			require.Equal(t, 1, strings.Count(w.log.String(), "KEYSHARES ARE MISSING"))

			// Not at once again, but after a while, and nothing is in the way then.
			row.mend(t, w)
			r.Once(t.Context())
			require.Len(t, r.Problems(), 1)
			w.now = w.now.Add(repairRetry)
			r.Once(t.Context())
			require.Empty(t, r.Problems())
			w.Holds(t, w.Vaults[0])
		})
	}
}

func TestDamagedKeyshareIsSetAsideAndRestored(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(t *testing.T, sealed, plain []byte) []byte
	}{
		{"cut short", func(_ *testing.T, sealed, _ []byte) []byte { return sealed[:len(sealed)/2] }},
		{"empty", func(*testing.T, []byte, []byte) []byte { return nil }},
		{"with zeros in it", func(_ *testing.T, sealed, _ []byte) []byte {
			spoilt := bytes.Clone(sealed)
			clear(spoilt[1000:1100])
			return spoilt
		}},
		{"in plaintext", func(_ *testing.T, _, plain []byte) []byte { return plain }},
		{"with one bit of the share turned before it was sealed", func(t *testing.T, _, plain []byte) []byte {
			spoilt := bytes.Clone(plain)
			at := bytes.Index(spoilt, []byte(`"local_data":"`)) + 400
			spoilt[at] ^= 1
			sealed, err := homekeys.Of(t, fakemember.Mnemonic(t, 0)).Seal(spoilt)
			require.NoError(t, err)
			return sealed
		}},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %t", row.name, running), func(t *testing.T) {
				w := newWorld(t)
				w.Publish(t)
				w.OneVault()
				w.Save(t, w.Vaults[0])
				r := w.repairer(t)
				if running {
					r.Once(t.Context())
					require.Zero(t, w.damaged)
				}
				file := w.Vaults[0].Files[0][1]
				path := w.File(w.Vaults[0], 1)
				sealed, err := os.ReadFile(path)
				require.NoError(t, err)
				spoilt := row.spoil(t, sealed, file.Data)
				require.NoError(t, os.WriteFile(path, spoilt, 0o600))
				r.Once(t.Context())

				require.Empty(t, r.Problems())
				require.Empty(t, r.Damaged())
				w.Holds(t, w.Vaults[0])
				require.Equal(t, 1, w.damaged)
				require.Equal(t, 1, w.restored)
				require.Contains(t, w.log.String(), "A KEYSHARE IS DAMAGED")
				aside, err := w.Store(t).Aside()
				require.NoError(t, err)
				require.Len(t, aside, 1)
				kept, err := os.ReadFile(aside[0])
				require.NoError(t, err)
				require.Equal(t, string(spoilt), string(kept))
			})
		}
	}
}

func TestDamagedKeyshareStaysUntilThereIsABetterOne(t *testing.T) {
	w := newWorld(t)
	w.OneVault()
	w.Save(t, w.Vaults[0])
	file := w.Vaults[0].Files[0][1]
	path := w.File(w.Vaults[0], 1)
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	r := w.repairer(t)
	for range 3 {
		r.Once(t.Context())
		require.Equal(t, []string{w.Vaults[0].Name()}, r.Damaged())
		require.Len(t, r.Problems(), 1)
		require.Contains(t, r.Problems()[0], "are DAMAGED ("+file.Name+") and not restored")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "{}", string(data))
		w.now = w.now.Add(repairRetry)
	}
	require.Equal(t, 1, w.damaged, "it is counted once")
	require.Equal(t, 1, strings.Count(w.log.String(), "A KEYSHARE IS DAMAGED"))

	w.Publish(t)
	r.Once(t.Context())
	require.Empty(t, r.Problems())
	require.Empty(t, r.Damaged())
	w.Holds(t, w.Vaults[0])
}

func TestKeyshareThatCannotBeReadNowIsLeftWhereItIs(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	w.OneVault()
	w.Save(t, w.Vaults[0])
	r := w.repairer(t)
	r.examine = func(v vault.Vault) ([]string, error) {
		return r.cfg.Member.examine(unreadable{r.cfg.Store}, v)
	}
	r.Once(t.Context())
	require.Len(t, r.Problems(), 1)
	require.Contains(t, r.Problems()[0], "too many open files")
	require.Empty(t, r.Damaged())
	w.Holds(t, w.Vaults[0])
}

// unreadable has no file handles left.
type unreadable struct{ Store }

func (unreadable) Load(_ uint64, name string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
}

func TestKeysharesAreExaminedAtTheStartAndHourly(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	w.OneVault()
	w.Save(t, w.Vaults[0])
	r := w.repairer(t)
	examined, examine := 0, r.examine
	r.examine = func(v vault.Vault) ([]string, error) {
		examined++
		return examine(v)
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {repairInterval, 1}, {examineInterval, 2}, {repairInterval, 2}} {
		w.now = w.now.Add(step.after)
		r.Once(t.Context())
		require.Equal(t, step.want, examined)
	}
}

// lister are records that name vaults which do not live.
type lister struct {
	Records
	vaults []vault.Vault
}

func (l lister) Vaults(context.Context, []byte) ([]vault.Vault, error) { return l.vaults, nil }

func TestKeysharesOfVaultsThatDoNotLiveStayAway(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	r := w.repairer(t)
	verified, err := w.repairer(t).look(t.Context())
	require.NoError(t, err)
	stale, err := verified.Vaults(t.Context(), types.SignerAddress(w.PubKey))
	require.NoError(t, err)
	for i, status := range []types.VaultStatus{types.VaultStatus_VAULT_STATUS_RETIRED, types.VaultStatus_VAULT_STATUS_UNSPECIFIED} {
		w.Both(func(n *fakenode.Node) { n.Vaults[i].Status = status })
		stale[i].Status = status
	}
	look := r.look
	r.look = func(ctx context.Context) (Records, error) {
		verified, err := look(ctx)
		return lister{verified, stale}, err
	}
	r.Once(t.Context())
	w.Holds(t)
	require.Empty(t, r.Problems())

	// One is retired between the list and the restore.
	stale[0].Status = types.VaultStatus_VAULT_STATUS_RETIRING
	r.Once(t.Context())
	w.Holds(t)
	require.Contains(t, strings.Join(r.Problems(), ""), "does not live any more")
	stale[0].Status = types.VaultStatus_VAULT_STATUS_RETIRED
	r.Once(t.Context())
	require.Empty(t, r.Problems())
}
