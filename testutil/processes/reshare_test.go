//go:build processes

package processes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAVaultOutlivesItsMembers takes a vault of four signers through a chain of reshares: to five,
// to four of these, to all seven there are. In each of them a signer is killed as by a power cut
// and started again: one that is new, one that leaves, one whose new keyshares are just there.
// The vault keeps its keys, signs by its last members, and no more by who has left. What the last
// ones have comes back from their words alone, and so do the vault's keys; proofs of two epochs
// together give nothing. Keyshares of a former epoch in the place of the present ones are found out
// and replaced.
func TestAVaultOutlivesItsMembers(t *testing.T) {
	n := newNetwork(t, processes.Config{
		Size: 7, PreParams: 4,
		Params: map[string]any{"keygen_deadline": "480", "retry_interval": "0", "epoch_grace": "2"},
	})
	all := n.Members
	begin := time.Now()
	first := n.closed(n.churn(all[:4]...).Id)
	n.requireVault(first)
	t.Logf("a vault of four after %s", time.Since(begin).Round(time.Second))
	v := &chain{network: n, vault: first.Vault}

	v.reshare(all[:5], all[4], n.inSession)
	v.reshare(all[1:5], all[0], n.inSession)
	_, err := processes.Command(n.ctx, n.Path("bifrost"), "sign", "--home", all[0].SignerHome,
		"--vault", v.vault, "--message", "hello")
	require.ErrorContains(t, err, "not among the signers")
	former, formerProofs := v.epoch, v.proofs()
	v.reshare(all, all[2], n.hasResult(all[2]))
	n.signBy(v.vault, all)

	for _, m := range []*processes.Member{all[0], all[6]} {
		require.Equal(t, v.keyshares(m), v.recovered(m))
	}
	proofs := v.proofs()
	v.requireKeys(v.rebuild(proofs))
	*proofOf(proofs, all[1]) = *proofOf(formerProofs, all[1])
	_, err = v.rebuild(proofs)
	require.ErrorContains(t, err, "what it keeps of 1 members' proofs is damaged")
	require.ErrorContains(t, err, all[1].Address+": no mnemonic helps")

	fresh := all[5]
	n.Stop(fresh.SignerName())
	require.NoError(t, os.RemoveAll(epochDir(fresh, v.epoch)))
	require.NoError(t, n.StartSigner(fresh)) // which brings them back by itself
	n.await("its keyshares", func(context.Context) (bool, error) {
		files, err := filepath.Glob(filepath.Join(epochDir(fresh, v.epoch), "localstate-*"))
		return len(files) == 2, err
	})

	stale := all[1]
	n.Stop(stale.SignerName())
	require.NoError(t, os.RemoveAll(epochDir(stale, v.epoch)))
	require.NoError(t, os.CopyFS(epochDir(stale, v.epoch), os.DirFS(epochDir(stale, former))))
	out, err := processes.Command(n.ctx, n.Path("bifrost"), "doctor", "--home", stale.SignerHome)
	require.ErrorContains(t, fmt.Errorf("%w: %s", err, out), fmt.Sprintf("is in epoch %d", v.epoch))
	require.NoError(t, n.StartSigner(stale))
	for _, m := range all {
		n.await("it to act", func(ctx context.Context) (bool, error) {
			st, err := n.Status(ctx, m.SignerHome)
			return st.Term.State == term.Acting, err
		})
	}
	n.await("the stale keyshares to be set aside", func(context.Context) (bool, error) {
		aside, err := filepath.Glob(filepath.Join(home.KeysharesDir(stale.SignerHome), "damaged", "*"))
		return len(aside) == 2, err
	})
	n.requireVault(n.closed(v.epoch))
	n.signBy(v.vault, all)
}

// chain is a vault and its present epoch.
type chain struct {
	*network
	vault string
	epoch uint64
}

// reshare hands the vault on, and kills a signer and starts it again when it is time.
func (v *chain) reshare(
	next []*processes.Member, killed *processes.Member, when func(id uint64) bool,
) {
	v.t.Helper()
	begin := time.Now()
	k := v.opened(func() error { return v.StartReshare(v.ctx, v.vault, next...) })
	require.Equal(v.t, v.vault, k.Reshare.Vault)
	v.await("the moment to kill "+killed.SignerName(), func(context.Context) (bool, error) {
		return when(k.Id), nil
	})
	v.Kill(killed.SignerName())
	require.NoError(v.t, v.StartSigner(killed))
	k = v.closed(k.Id)
	v.t.Logf("reshare to %d: %s, blamed %v, silent %v, after %s", len(next), k.Status, k.Blamed,
		k.Silent, time.Since(begin).Round(time.Second))
	require.Equal(v.t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
	require.Equal(v.t, v.vault, k.Vault)
	require.Len(v.t, k.Members, len(next))
	require.Empty(v.t, k.Blamed)
	require.Empty(v.t, k.Silent)
	v.requireVault(k)
	require.Equal(v.t, k.Id, v.info().Epoch)
	v.epoch = k.Id
}

// info is what the chain says of the vault.
func (v *chain) info() types.VaultInfo {
	v.t.Helper()
	var res types.QueryVaultResponse
	require.NoError(v.t, v.Ask(v.ctx, "vaults/"+v.vault, &res))
	return res.Vault
}

// inSession reports whether an attempt runs at what is open.
func (n *network) inSession(uint64) bool { return n.latest().Session != nil }

// hasResult reports whether a member's record of a keygen or a reshare has its keyshares, which may
// not be all members' result yet.
func (n *network) hasResult(m *processes.Member) func(id uint64) bool {
	return func(id uint64) bool {
		data, err := os.ReadFile(filepath.Join(home.OutboxDir(m.SignerHome), fmt.Sprintf("keygen-%d.json", id)))
		var r struct{ Step outbox.Step }
		return err == nil && json.Unmarshal(data, &r) == nil && r.Step != outbox.StepNone
	}
}

// keyshares are the keyshare files of the present epoch in a member's home, by name.
func (v *chain) keyshares(m *processes.Member) map[string]string {
	v.t.Helper()
	keys, err := homekeys.Read(m.MnemonicFile)
	require.NoError(v.t, err)
	store, err := keystore.Open(home.KeysharesDir(m.SignerHome), keys)
	require.NoError(v.t, err)
	entries, err := store.Entries()
	require.NoError(v.t, err)
	files := map[string]string{}
	for _, e := range entries {
		if e.Epoch == v.epoch {
			data, err := store.Read(e)
			require.NoError(v.t, err)
			files[e.Name] = string(data)
		}
	}
	require.Len(v.t, files, 2)
	return files
}

// recovered are those that a member's words alone bring back.
func (v *chain) recovered(m *processes.Member) map[string]string {
	v.t.Helper()
	dir := filepath.Join(v.t.TempDir(), "keyshares")
	args := []string{"--trust-first", "--mnemonic-file", m.MnemonicFile, "--out", dir}
	for _, node := range v.OthersOf(m) {
		args = append(args, "--node", node)
	}
	_, err := processes.Command(v.ctx, v.Path("recover-keyshares"), args...)
	require.NoError(v.t, err)
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(v.t, err)
	files := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(v.t, err)
		files[filepath.Base(path)] = string(data)
	}
	return files
}

// proofs are what the state keeps of the vault's proofs.
func (v *chain) proofs() (state rebuild.Record) {
	v.t.Helper()
	require.NoError(v.t, v.Query(v.ctx, &state, "tssbackup", "proofs", v.vault))
	require.EqualValues(v.t, v.epoch, state.KeygenID)
	return state
}

// proofOf is a member's in a state.
func proofOf(state rebuild.Record, m *processes.Member) *rebuild.Proof {
	i := slices.IndexFunc(state.Proofs, func(p rebuild.Proof) bool { return p.Member == m.Address })
	return &state.Proofs[i]
}

// rebuild gives the vault's keys by a state and the words of the first five members, as a file
// holds them.
func (v *chain) rebuild(proofs rebuild.Record) (keys []byte, err error) {
	v.t.Helper()
	data, err := json.Marshal(proofs)
	require.NoError(v.t, err)
	dir := v.t.TempDir()
	state, out := filepath.Join(dir, "state.json"), filepath.Join(dir, "keys", "vault.json")
	require.NoError(v.t, os.WriteFile(state, data, 0o600))
	args := []string{"rebuild", "--vault", v.vault, "--state", state, "--out", out, "--i-understand"}
	for _, m := range v.Members[:5] {
		args = append(args, "--mnemonic-file", m.MnemonicFile)
	}
	said, err := processes.Command(v.ctx, v.Path("recover-keyshares"), args...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	return os.ReadFile(out)
}

// requireKeys checks that a file holds the private keys of the vault.
func (v *chain) requireKeys(file []byte, err error) {
	v.t.Helper()
	require.NoError(v.t, err)
	var keys map[string]string
	require.NoError(v.t, json.Unmarshal(file, &keys))
	key := secp256k1.PrivKeyFromBytes(v.unhex(keys["secp256k1"]))
	require.Equal(v.t, v.unhex(v.vault), key.PubKey().SerializeCompressed())
	scalar, err := edwards25519.NewScalar().SetCanonicalBytes(v.unhex(keys["ed25519_scalar"]))
	require.NoError(v.t, err)
	point := new(edwards25519.Point).ScalarBaseMult(scalar).Bytes()
	require.Equal(v.t, v.unhex(keys["pub_key_ed25519"]), point)
	require.Equal(v.t, v.info().PubKeyEd25519, keys["pub_key_ed25519"])
}

func epochDir(m *processes.Member, epoch uint64) string {
	return filepath.Join(home.KeysharesDir(m.SignerHome), fmt.Sprint(epoch))
}
