package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// fakeChain holds what the chain would: vaults, commitments and the bytes behind them. Tests change
// it.
type fakeChain struct {
	vaults      []vault.Vault
	commitments map[string][]types.Commitment // by vault, of member 0
	envelopes   map[string][]byte             // by hash
	failing     map[string]error              // of Envelope by hash
	err         error                         // of everything else
	height      int64
}

func (c *fakeChain) Vaults(_ context.Context, member []byte) ([]vault.Vault, error) {
	var found []vault.Vault
	for _, v := range c.vaults {
		if _, ok := v.Member(member); ok && v.IsLive() {
			found = append(found, v)
		}
	}
	return found, c.err
}

func (c *fakeChain) Vault(_ context.Context, pubKey []byte) (vault.Vault, error) {
	for _, v := range c.vaults {
		if bytes.Equal(v.PubKey, pubKey) {
			return v, c.err
		}
	}
	return vault.Vault{}, chain.ErrNotFound
}

func (c *fakeChain) Backup(_ context.Context, v vault.Vault, _ []byte) ([]types.Commitment, error) {
	return c.commitments[v.Name()], c.err
}

func (c *fakeChain) Envelope(_ context.Context, _ vault.Vault, _ []byte, commitment types.Commitment) ([]byte, error) {
	if err := c.failing[string(commitment.Sha256)]; err != nil {
		return nil, err
	}
	return c.envelopes[string(commitment.Sha256)], nil
}

// publish makes an envelope the latest backup of a vault, and returns its hash.
func (c *fakeChain) publish(vault string, sealed []byte) string {
	c.height++
	sum := sha256.Sum256(sealed)
	hash := string(sum[:])
	latest := types.Commitment{Sha256: sum[:], Size_: uint64(len(sealed)), Height: c.height}
	before := c.commitments[vault]
	c.commitments[vault] = append([]types.Commitment{latest}, before[max(0, len(before)-1):]...)
	c.envelopes[hash] = sealed
	return hash
}

// world is four members, two vaults of theirs, one active and one retiring, and a chain on which
// member 0 has published neither yet.
type world struct {
	mnemonics []*sanity.Mnemonic
	addresses []string
	active    *dealer.Vault
	retiring  *dealer.Vault
	chain     *fakeChain
	dir       string
}

// dealt are the two vaults, which all worlds share and none changes.
var dealt []*dealer.Vault

func newWorld(t *testing.T) *world {
	w := &world{dir: filepath.Join(t.TempDir(), "keyshares"), chain: &fakeChain{
		commitments: map[string][]types.Commitment{},
		envelopes:   map[string][]byte{},
		failing:     map[string]error{},
	}}
	var pubKeys [][]byte
	var members []types.Member
	for i := range 4 {
		m := testMnemonic(t, byte(i))
		key, err := signer.Derive(m, signer.DefaultHDPath)
		require.NoError(t, err)
		w.mnemonics = append(w.mnemonics, m)
		w.addresses = append(w.addresses, key.Bech32("cosmos"))
		pubKeys = append(pubKeys, key.PubKey())
		members = append(members, types.Member{PubKey: key.PubKey(), Asked: true})
	}
	if len(dealt) == 0 {
		dealt = []*dealer.Vault{dealer.NewVault("active", "cosmos", pubKeys), dealer.NewVault("retiring", "cosmos", pubKeys)}
	}
	w.active, w.retiring = dealt[0], dealt[1]
	w.chain.vaults = []vault.Vault{
		recordOf(w.active, types.VaultStatus_VAULT_STATUS_ACTIVE, members),
		recordOf(w.retiring, types.VaultStatus_VAULT_STATUS_RETIRING, members),
	}
	return w
}

func testMnemonic(t *testing.T, i byte) *sanity.Mnemonic {
	entropy := sha256.Sum256([]byte{'r', 'e', 's', 't', 'o', 'r', 'e', i})
	words, err := bip39.NewMnemonic(entropy[:])
	require.NoError(t, err)
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	return m
}

func recordOf(v *dealer.Vault, status types.VaultStatus, members []types.Member) vault.Vault {
	return vault.Vault{PubKey: v.Keys.Secp256k1, Vault: types.Vault{
		PubKeyEd25519: v.Keys.Ed25519, Status: status, Threshold: 3, Members: slices.Clone(members),
	}}
}

// seal seals files with the mnemonic of a member.
func (w *world) seal(t *testing.T, member int, files ...fixture.File) []byte {
	var in []envelope.File
	for _, f := range files {
		in = append(in, envelope.File{Name: f.Name, Data: f.Data})
	}
	sealed, err := envelope.Seal(in, w.mnemonics[member], envelope.WithWorkFactor(10))
	require.NoError(t, err)
	return sealed
}

func (w *world) config(t *testing.T) Config {
	store, err := keystore.OpenFolder(w.dir)
	require.NoError(t, err)
	return Config{Records: w.chain, Source: w.chain.Envelope, Store: keystore.Flat{Folder: store}, Mnemonic: w.mnemonics[0], Member: w.addresses[0]}
}

// holds requires that exactly the files of these vaults, as member 0 has them, are in the folder.
func (w *world) holds(t *testing.T, vaults ...*dealer.Vault) {
	t.Helper()
	want := map[string]string{}
	for _, v := range vaults {
		for _, f := range v.Files[0] {
			want[f.Name] = string(f.Data)
		}
	}
	got := map[string]string{}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
			got[d.Name()] = string(data)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestRunRestoresEveryLiveVault(t *testing.T) {
	w := newWorld(t)
	w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
	w.chain.publish(w.retiring.Name(), w.seal(t, 0, w.retiring.Files[0]...))
	cfg := w.config(t)
	var steps []Step
	cfg.Progress = func(e Event) { steps = append(steps, e.Step) }

	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, results, 2)
	for i, v := range []*dealer.Vault{w.active, w.retiring} {
		require.NoError(t, results[i].Err)
		require.Equal(t, v.Name(), results[i].Vault.Name())
		require.Equal(t, []string{v.Files[0][0].Name, v.Files[0][1].Name}, results[i].Files)
		require.False(t, results[i].Present)
		require.EqualValues(t, i+1, results[i].Commitment.Height)
	}
	one := []Step{StepRecord, StepFetch, StepOpen, StepCheck, StepWrite}
	require.Equal(t, append(one, one...), steps)
	w.holds(t, w.active, w.retiring)

	results, err = Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, results[0].Present)
	require.True(t, results[1].Present)
	w.holds(t, w.active, w.retiring)
}

func TestRunOfOneVault(t *testing.T) {
	w := newWorld(t)
	w.chain.vaults[1].Status = types.VaultStatus_VAULT_STATUS_RETIRED
	w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
	w.chain.publish(w.retiring.Name(), w.seal(t, 0, w.retiring.Files[0]...))
	cfg := w.config(t)

	cfg.Vault = w.retiring.Keys.Secp256k1
	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, results, 1)
	require.NoError(t, results[0].Err)
	w.holds(t, w.retiring)

	cfg.Vault = w.retiring.Keys.Ed25519
	_, err = Run(t.Context(), cfg)
	require.ErrorIs(t, err, chain.ErrNotFound)
}

// What may be wrong with the backups of one vault. The other vault is restored all the same; of
// this one nothing is written.
func TestFaultsOfOneVault(t *testing.T) {
	for name, tc := range map[string]struct {
		corrupt func(t *testing.T, w *world)
		err     error
		says    string
	}{
		"no backup is published": {
			func(*testing.T, *world) {}, ErrNoBackup, "",
		},
		"sealed under another mnemonic": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 1, w.active.Files[0]...))
		}, envelope.ErrWrongMnemonic, ""},
		"another member's envelope under my commitment": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 1, w.active.Files[1]...))
		}, envelope.ErrWrongMnemonic, ""},
		"another member's keyshares under my mnemonic": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[1]...))
		}, ErrKeyshares, "another member"},
		"the keyshares of another vault": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.retiring.Files[0]...))
		}, ErrKeyshares, "another vault"},
		"one keyshare of another vault": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][0], w.retiring.Files[0][1]))
		}, ErrKeyshares, "another vault"},
		"the secp256k1 keyshare is missing": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][1]))
		}, ErrKeyshares, "secp256k1 keyshare is missing"},
		"the ed25519 keyshare is missing": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][0]))
		}, ErrKeyshares, "ed25519 keyshare is missing"},
		"a third file, from another vault": {func(t *testing.T, w *world) {
			files := append(w.active.Files[0][:2:2], w.retiring.Files[0][0])
			w.chain.publish(w.active.Name(), w.seal(t, 0, files...))
		}, ErrKeyshares, "another vault"},
		"a keyshare under the other one's name": {func(t *testing.T, w *world) {
			files := w.active.Files[0]
			w.chain.publish(w.active.Name(), w.seal(t, 0,
				fixture.File{Name: files[0].Name, Data: files[1].Data}, fixture.File{Name: files[1].Name, Data: files[0].Data}))
		}, ErrKeyshares, "holds the keyshare of"},
		"a file that is no keyshare": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][0], fixture.File{Name: w.active.Files[0][1].Name, Data: []byte(strings.Repeat("no keyshare ", 50))}))
		}, ErrKeyshares, ""},
		"bytes that are no envelope": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), []byte("nothing of the kind"))
		}, envelope.ErrNotEnvelope, ""},
		"a damaged envelope that was published as it is": {func(t *testing.T, w *world) {
			sealed := w.seal(t, 0, w.active.Files[0]...)
			sealed[len(sealed)-1] ^= 1
			w.chain.publish(w.active.Name(), sealed)
		}, envelope.ErrDamaged, ""},
		"other bytes than those committed to": {func(t *testing.T, w *world) {
			hash := w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			w.chain.envelopes[hash] = w.seal(t, 0, w.active.Files[0]...)
		}, ErrCommitment, ""},
		"no bytes at all": {func(t *testing.T, w *world) {
			hash := w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			w.chain.envelopes[hash] = nil
		}, ErrCommitment, ""},
		"a block that the node pruned": {func(t *testing.T, w *world) {
			w.chain.failing[w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))] = chain.ErrNoBlock
		}, chain.ErrNoBlock, ""},
		"a node that went away": {func(t *testing.T, w *world) {
			w.chain.failing[w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))] = chain.ErrUnreachable
		}, chain.ErrUnreachable, ""},
		"both backups are bad, each in its own way": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 1, w.active.Files[0]...))
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][0]))
		}, envelope.ErrWrongMnemonic, "ed25519 keyshare is missing"},
		"a vault with other members than the keyshare's": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			w.chain.vaults[0].Members = w.chain.vaults[0].Members[:3]
		}, ErrKeyshares, "members"},
		"a different file is there": {func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			require.NoError(t, durable.Write(filepath.Join(w.dir, w.active.Files[0][1].Name), []byte("mine")))
		}, durable.ErrDifferent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.corrupt(t, w)
			w.chain.publish(w.retiring.Name(), w.seal(t, 0, w.retiring.Files[0]...))

			results, err := Run(t.Context(), w.config(t))
			require.NoError(t, err)
			require.Len(t, results, 2)
			require.ErrorIs(t, results[0].Err, tc.err)
			require.ErrorContains(t, results[0].Err, tc.says)
			require.Empty(t, results[0].Files)
			require.NoError(t, results[1].Err)
			if tc.err == durable.ErrDifferent {
				path := filepath.Join(w.dir, w.active.Files[0][1].Name)
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, "mine", string(data))
				require.NoError(t, os.Remove(path))
			}
			w.holds(t, w.retiring)
		})
	}
}

// A bad second publication must not bury a good first one.
func TestTheFirstBackup(t *testing.T) {
	for name, latest := range map[string]func(t *testing.T, w *world){
		"the latest is sealed under another mnemonic": func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 1, w.active.Files[0]...))
		},
		"the latest holds one keyshare of two": func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0][0]))
		},
		"the latest is no envelope": func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), []byte("nothing of the kind"))
		},
		"two later ones are no envelopes": func(t *testing.T, w *world) {
			w.chain.publish(w.active.Name(), []byte("nothing of the kind"))
			w.chain.publish(w.active.Name(), []byte("nor this"))
		},
		"the latest cannot be fetched": func(t *testing.T, w *world) {
			w.chain.failing[w.chain.publish(w.active.Name(), []byte("pruned"))] = chain.ErrNoBlock
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.chain.vaults = w.chain.vaults[:1]
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			latest(t, w)
			results, err := Run(t.Context(), w.config(t))
			require.NoError(t, err)
			require.Len(t, results, 1)
			require.NoError(t, results[0].Err)
			require.EqualValues(t, 1, results[0].Commitment.Height)
			require.Len(t, results[0].Rejected, 1)
			require.ErrorContains(t, results[0].Rejected[0], fmt.Sprintf("backup of block %d", w.chain.height))
			w.holds(t, w.active)
		})
	}
}

func TestOneFileIsThereAlready(t *testing.T) {
	w := newWorld(t)
	w.chain.vaults = w.chain.vaults[:1]
	w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
	file := w.active.Files[0][0]
	require.NoError(t, durable.Write(filepath.Join(w.dir, file.Name), file.Data))
	results, err := Run(t.Context(), w.config(t))
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.False(t, results[0].Present)
	w.holds(t, w.active)
}

func TestNothingToRestore(t *testing.T) {
	w := newWorld(t)
	cfg := w.config(t)
	stranger, err := signer.Derive(testMnemonic(t, 9), signer.DefaultHDPath)
	require.NoError(t, err)

	cfg.Member = stranger.Bech32("cosmos")
	_, err = Run(t.Context(), cfg)
	require.ErrorIs(t, err, ErrNoVault)

	cfg.Vault = w.active.Keys.Secp256k1
	results, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, ErrNoVault)

	w.chain.err = chain.ErrUnreachable
	_, err = Run(t.Context(), w.config(t))
	require.ErrorIs(t, err, chain.ErrUnreachable)
	w.holds(t)
}

func TestInterruptedWritesNothingMore(t *testing.T) {
	for _, step := range []Step{StepRecord, StepFetch, StepOpen, StepCheck} {
		t.Run("while "+string(step), func(t *testing.T) {
			w := newWorld(t)
			w.chain.publish(w.active.Name(), w.seal(t, 0, w.active.Files[0]...))
			w.chain.publish(w.retiring.Name(), w.seal(t, 0, w.retiring.Files[0]...))
			ctx, cancel := context.WithCancel(t.Context())
			cfg := w.config(t)
			cfg.Progress = func(e Event) {
				if e.Step == step && e.Vault == w.retiring.Name() {
					cancel()
				}
			}
			results, err := Run(ctx, cfg)
			require.ErrorIs(t, err, context.Canceled)
			require.Len(t, results, 1)
			require.NoError(t, results[0].Err)
			w.holds(t, w.active)
		})
	}
}
