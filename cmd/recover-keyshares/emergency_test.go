package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func containsFold(text, key string) bool { return strings.Contains(strings.ToLower(text), key) }

// scalarOf is the scalar of an ed25519 key, modulo the order, little-endian.
func scalarOf(key ed25519.PrivateKey) []byte {
	b := shamir.Scalar(key).FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// TestEmergency takes a vault whose members have proven through the loss of everything but the
// state and mnemonics: on the chain, off it, and after the chain was exported and began again under
// another name.
func TestEmergency(t *testing.T) {
	daemon := filepath.Join(t.TempDir(), "tssbackupd")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", daemon, "github.com/tssbackup/tssbackup/cmd/tssbackupd")
	build.Stderr = t.Output()
	require.NoError(t, build.Run())
	t.Setenv("XDG_STATE_HOME", filepath.Join(t.TempDir(), "state"))

	n := network.New(t, network.Config{})
	n.RegisterSigners()
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	vault := network.NewVault("emergency")
	for _, v := range n.Validators {
		n.SendVote(v.Signer, ballot.Vote(vault, v.Signer, network.Seal(t, v.Signer, 10<<10)))
	}
	n.SendVote(ballot.Members[0], ballot.Check(vault, ballot.Members[0]))
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	n.WaitBlocks(2)

	e := &emergency{vault: vault, dir: t.TempDir()}
	for _, v := range n.Validators {
		e.addMnemonic(t, v)
	}
	e.verifies(t, n, "repeated")
	state := e.save(t, daemon, n)
	n.StopAll()
	e.rebuilds(t, "--state", state)
	e.rebuilds(t, "--state", state)

	again := n.Restart("tssbackup-again")
	again.WaitBlocks(3)
	e.verifies(t, again, "imported")
	e.verifies(t, again, "imported", "--former-chain-id", n.ChainID)
	cmd := e.command(t, append([]string{"coverage", "--verify", "--trust-first", "--former-chain-id", "another"}, nodesOf(again)...)...)
	_, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, codeCheck, cmd.ProcessState.ExitCode())
	e.rebuilds(t, append(nodesOf(again), "--trust-first")...)
	state = e.save(t, daemon, again)
	again.StopAll()
	e.rebuilds(t, "--state", state)
}

// emergency is what is left: mnemonics in files.
type emergency struct {
	vault network.Vault
	dir   string
	words []string
	texts []string
	left  int // the member that is left out next
}

func (e *emergency) addMnemonic(t *testing.T, v *network.Validator) {
	path := filepath.Join(e.dir, v.Moniker)
	require.NoError(t, os.WriteFile(path, []byte(v.Signer.Mnemonic+"\n"), 0o600))
	e.words, e.texts = append(e.words, path), append(e.texts, v.Signer.Mnemonic)
}

func (e *emergency) command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.Command("recover-keyshares", args...)
	cmd.Stderr = t.Output()
	return cmd
}

func nodesOf(n *network.Network) []string {
	return []string{"--node", n.Validators[0].RPC(), "--node", n.Validators[1].RPC()}
}

// verifies has coverage repeat every check, with this result for all members.
func (e *emergency) verifies(t *testing.T, n *network.Network, result string, args ...string) {
	args = slices.Concat([]string{"coverage", "--verify", "--trust-first", "--output", "json"}, nodesOf(n), args)
	stdout, err := e.command(t, args...).Output()
	require.NoError(t, err, string(stdout))
	var v verdict
	require.NoError(t, json.Unmarshal(stdout, &v))
	require.True(t, v.Covered)
	require.True(t, v.ProofsChecked)
	require.Len(t, v.Vaults, 1)
	require.Equal(t, "recoverable: proven 4/4, need 3", v.Vaults[0].Verdict)
	require.Len(t, v.Vaults[0].Members, 4)
	for _, m := range v.Vaults[0].Members {
		require.True(t, m.Proven)
		require.Equal(t, result, m.Proof.Result, m.Proof.Text)
		require.Positive(t, m.Proof.Height)
	}
}

// save writes the state to a file as an operator does.
func (e *emergency) save(t *testing.T, daemon string, n *network.Network) string {
	cmd := exec.Command(daemon, "query", "tssbackup", "proofs", e.vault.Name(), "--output", "json",
		"--node", n.Validators[0].RPC(), "--home", t.TempDir())
	cmd.Stderr = t.Output()
	data, err := cmd.Output()
	require.NoError(t, err)
	path := filepath.Join(e.dir, n.ChainID+".json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// rebuilds takes the keys from all members but one, and nothing from any fewer. Each time it leaves
// out another.
func (e *emergency) rebuilds(t *testing.T, from ...string) {
	out := filepath.Join(t.TempDir(), "keys", "vault.json")
	args := append([]string{"rebuild", "--vault", e.vault.Name(), "--out", out, "--i-understand"}, from...)
	var given []string
	for i, path := range e.words {
		if i != e.left {
			given = append(given, "--mnemonic-file", path)
		}
	}
	e.left++
	cmd := e.command(t, append(slices.Clone(args), given[:4]...)...)
	stdout, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, codeTooFew, cmd.ProcessState.ExitCode())
	require.Contains(t, string(stdout), "1 more members are needed")
	require.NoDirExists(t, filepath.Dir(out))

	stdout, err = e.command(t, append(slices.Clone(args), given...)...).Output()
	require.NoError(t, err)
	e.signs(t, out)
	for _, secret := range append(slices.Clone(e.texts), hex.EncodeToString(e.vault.Secp256k1.Serialize()), hex.EncodeToString(scalarOf(e.vault.Ed25519))) {
		require.NotContains(t, string(stdout), secret)
	}
}

// signs reads the keys from the file, and signs for the vault with both.
func (e *emergency) signs(t *testing.T, path string) {
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var file map[string]string
	require.NoError(t, json.Unmarshal(data, &file))
	raw := func(name string) []byte {
		b, err := hex.DecodeString(file[name])
		require.NoError(t, err)
		return b
	}
	require.Equal(t, e.vault.Secp256k1.Serialize(), raw("secp256k1"))
	require.Equal(t, scalarOf(e.vault.Ed25519), raw("ed25519_scalar"))

	digest := sha256.Sum256([]byte("the money moves"))
	pub, err := secp256k1.ParsePubKey(raw("vault"))
	require.NoError(t, err)
	require.True(t, ecdsa.Sign(secp256k1.PrivKeyFromBytes(raw("secp256k1")), digest[:]).Verify(digest[:], pub))

	require.True(t, ed25519.Verify(raw("pub_key_ed25519"), digest[:], dealer.SignEd25519(raw("ed25519_scalar"), digest[:])))
}
