package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/testutil/schema"
	"github.com/tssbackup/tssbackup/testutil/secrets"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// patience is for what waits for keygens of several processes on a few cores.
const patience = 7 * time.Minute

// signerProcess is a bifrost of one validator, as a process of its own.
type signerProcess struct {
	t       *testing.T
	home    string
	words   string
	metrics string
	// backups is the folder of its backups; the one that is killed first has one. A bucket, for
	// which it has a key in a file, keeps copies of it, and of the envelopes.
	backups, bucket, key string

	mu  sync.Mutex
	log bytes.Buffer
	cmd *exec.Cmd
}

func (s *signerProcess) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *signerProcess) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *signerProcess) start() {
	s.cmd = exec.Command("bifrost", "start", "--home", s.home)
	s.cmd.Stdout, s.cmd.Stderr = s, s
	require.NoError(s.t, s.cmd.Start())
}

// kill ends the process as a power cut does.
func (s *signerProcess) kill() {
	require.NoError(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *signerProcess) terminate() {
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.cmd.Wait())
	s.cmd = nil
}

// promote has a bifrost act that says it is fenced, which works once.
func (s *signerProcess) promote() {
	var fenced service.Status
	require.Eventually(s.t, func() bool {
		out, err := s.command("status", "--output", "json")
		return err != nil && json.Unmarshal(out, &fenced) == nil && fenced.Term.State == term.Fenced
	}, patience, 50*time.Millisecond, "another instance has acted")
	require.Nil(s.t, fenced.Publish)
	require.Contains(s.t, strings.Join(fenced.Problems, "\n"), fmt.Sprint("promote --expect ", fenced.Term.Term))
	args := []string{"promote", "--output", "json", "--expect"}
	_, err := s.command(append(args, fmt.Sprint(fenced.Term.Term-1))...)
	require.Error(s.t, err, "another term is the latest")
	out, err := s.command(append(args, fmt.Sprint(fenced.Term.Term))...)
	require.NoError(s.t, err, string(out))
	_, err = s.command(append(args, fmt.Sprint(fenced.Term.Term))...)
	require.Error(s.t, err, "it works once")
}

// command runs a command against the home.
func (s *signerProcess) command(args ...string) ([]byte, error) {
	cmd := exec.Command("bifrost", append(args, "--home", s.home)...)
	cmd.Stderr = io.Discard
	out, err := cmd.Output()
	if schema.Asked(args) {
		require.NoError(s.t, schema.Check(out, cmd.ProcessState.ExitCode()))
	}
	return out, err
}

func (s *signerProcess) status() (service.Status, error) {
	var st service.Status
	out, err := s.command("status", "--output", "json")
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(out, &st)
}

// step is how far the outbox says that the keygen is.
func (s *signerProcess) step(keygen uint64) string {
	data, err := os.ReadFile(filepath.Join(s.home, "outbox", fmt.Sprintf("keygen-%d.json", keygen)))
	if err != nil {
		return ""
	}
	var r struct {
		Step string `json:"step"`
	}
	require.NoError(s.t, json.Unmarshal(data, &r))
	return r.Step
}

func freePort(t *testing.T) string {
	addrs, err := freeport.Addrs(1)
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(addrs[0])
	require.NoError(t, err)
	return port
}

// newSigners makes the homes of a bifrost for every validator.
func newSigners(t *testing.T, n *network.Network) []*signerProcess {
	var listen, addrs []string
	for _, v := range n.Validators {
		id, err := tss.PeerID(v.Signer.Key.PubKey().Bytes())
		require.NoError(t, err)
		at := "/ip4/127.0.0.1/tcp/" + freePort(t)
		listen = append(listen, at)
		addrs = append(addrs, at+"/p2p/"+id)
	}
	var signers []*signerProcess
	for i, v := range n.Validators {
		s := &signerProcess{t: t, home: filepath.Join(t.TempDir(), "home"), words: v.Signer.Mnemonic, metrics: "127.0.0.1:" + freePort(t)}
		params := filepath.Join(t.TempDir(), "preparams.json")
		require.NoError(t, os.WriteFile(params, fixture.PreParams()[i].Data, 0o600))
		words := filepath.Join(t.TempDir(), "words")
		require.NoError(t, os.WriteFile(words, []byte(s.words), 0o600))
		args := []string{
			"init", "--chain-id", n.ChainID, "--operator", v.OperatorAddress(), "--node", v.RPC(), "--output", "json",
			"--mnemonic-file", words, "--preparams", params, "--p2p-listen", listen[i], "--metrics-listen", s.metrics,
		}
		for j, addr := range addrs {
			if j != i {
				args = append(args, "--peer", addr)
			}
		}
		out, err := s.command(args...)
		require.NoError(t, err)
		var r registration.Request
		require.NoError(t, json.Unmarshal(out, &r))
		require.Equal(t, v.Signer.Bech32(), r.Address)

		// Making more of them would take the cores from the keygen.
		path := home.ConfigPath(s.home)
		cfg, err := os.ReadFile(path)
		require.NoError(t, err)
		cfg = bytes.Replace(cfg, []byte("preparams = 2"), []byte("preparams = 0"), 1)
		// Fire drills recover from another validator's node.
		other := n.Validators[(i+1)%len(n.Validators)].RPC()
		cfg = bytes.Replace(cfg, []byte("witnesses = []"), fmt.Appendf(nil, "witnesses = [%q]", other), 1)
		if i == 1 {
			s.backups = filepath.Join(t.TempDir(), "backups")
			cfg = bytes.Replace(cfg, []byte(`dir = ""`), fmt.Appendf(nil, "dir = %q", s.backups), 1)
			_, s.bucket = fakes3.New(t)
			s.key = filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(s.key, []byte(fakes3.AccessKey+"\n"+fakes3.SecretKey+"\n"), 0o600))
			for _, more := range []string{`what = "home"` + "\nrequired = true", `what = "envelopes"`} {
				cfg = fmt.Appendf(cfg, "\n[[sink]]\nname = %q\nurl = %q\ncredentials_file = %q\n%s\n",
					strings.Split(more, `"`)[1], s.bucket, s.key, more)
			}
		}
		require.NoError(t, os.WriteFile(path, cfg, 0o600))
		signers = append(signers, s)
	}
	t.Cleanup(func() {
		for i, s := range signers {
			if s.cmd != nil {
				s.kill()
			}
			if t.Failed() {
				t.Logf("log of signer %d:\n%s", i, s.logged())
			}
		}
	})
	return signers
}

// TestFourSigners is the way of the data with nothing in it replaced, from the keygen to the keys
// that are rebuilt when all signers and nodes are gone: four bifrost processes, tss-lib's keygen
// and signings, and a chain of four validators. One process is killed once its keyshares are saved,
// while the others wait for it to sign, and another when its vote is on its way.
func TestFourSigners(t *testing.T) {
	n := network.New(t, network.Config{
		Validators: 4,
		Tssbackup: func(g *types.GenesisState) {
			g.Params.KeygenDeadline, g.Params.SplitBackups = 5000, true
			g.Params.HeartbeatInterval = 1000
		},
	})
	signers := newSigners(t, n)
	for _, s := range signers {
		s.start()
	}
	eventually := func(what string, cond func() bool) {
		t.Helper()
		require.Eventually(t, cond, patience, 50*time.Millisecond, what)
	}
	eventually("the signers wait to be registered", func() bool {
		for _, s := range signers {
			if !strings.Contains(s.logged(), "NOT REGISTERED") {
				return false
			}
		}
		return true
	})
	n.RegisterSigners()
	for _, s := range signers {
		eventually("ready", func() bool {
			st, err := s.status()
			return err == nil && st.State == registration.Ready && len(st.Problems) == 0
		})
	}
	begin := time.Now()
	churn := n.StartChurn()
	require.Len(t, churn.KeygenIds, 1)
	keygen := churn.KeygenIds[0]

	victim := signers[1]
	eventually("keyshares are saved", func() bool {
		step := victim.step(keygen)
		return step == "saved" || step == "proven" || step == "message"
	})
	t.Logf("keygen after %s", time.Since(begin).Round(time.Second))
	victim.kill()
	victim.start()
	eventually("a vote is signed", func() bool {
		step := signers[2].step(keygen)
		return step == "tx" || step == "done"
	})
	signers[2].kill()
	signers[2].start()

	var vault types.VaultCoverage
	eventually("the vault is active with every backup", func() bool {
		res, err := n.Query().Coverage(context.Background(), &types.QueryCoverageRequest{})
		require.NoError(t, err)
		if len(res.Vaults) != 1 {
			return false
		}
		vault = res.Vaults[0]
		return vault.Status == types.VaultStatus_VAULT_STATUS_ACTIVE
	})
	t.Logf("active after %s", time.Since(begin).Round(time.Second))
	require.EqualValues(t, 4, vault.Published)
	require.True(t, vault.Recoverable)
	require.EqualValues(t, 4, vault.Proven)
	require.True(t, vault.ProvenRecoverable)

	info, err := n.Query().Vault(context.Background(), &types.QueryVaultRequest{Vault: vault.Vault})
	require.NoError(t, err)
	for _, s := range signers {
		eventually("the outbox is empty, and nothing is wrong", func() bool {
			st, err := s.status()
			return err == nil && len(st.Publish.Outbox) == 0 && len(st.Publish.Vaults) == 1 &&
				st.Publish.Vaults[0].Keyshares && st.Publish.Vaults[0].Published && st.Publish.Vaults[0].Proven && len(st.Problems) == 0
		})
	}

	// All sign a text, and both signatures are the vault's.
	results := signTogether(t, signers, vault.Vault)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	for _, r := range results {
		digest := service.MessageDigest("hello")
		require.Equal(t, hex.EncodeToString(digest), r.Digest)
		require.True(t, types.VerifySecp256k1(unhex(vault.Vault), digest, unhex(r.Secp256k1.Signature)))
		require.True(t, types.VerifyEd25519(unhex(info.Vault.PubKeyEd25519), digest, unhex(r.Ed25519.Signature)))
	}
	t.Logf("signed after %s", time.Since(begin).Round(time.Second))

	for _, path := range []string{"/livez", "/readyz", "/health", "/metrics"} {
		res, err := http.Get("http://" + victim.metrics + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, string(body))
		if path == "/metrics" {
			require.Contains(t, string(body), `bifrost_vaults{state="published"} 1`)
			require.Contains(t, string(body), `bifrost_delivered_total{kind="result"} 1`)
			require.Contains(t, string(body), "bifrost_trust_failures_total 0")
			require.NotContains(t, string(body), "bifrost_trusted_header_timestamp_seconds 0\n")
			require.Contains(t, string(body), "bifrost_proofs_total 1")
			require.Contains(t, string(body), "bifrost_prove_errors_total 0")
			require.Contains(t, string(body), "bifrost_problems 0")
		}
	}

	// A signer that lost its keyshares has them back before it takes part in anything.
	keyshares := func() map[string]string {
		words, err := os.ReadFile(home.MnemonicPath(victim.home))
		require.NoError(t, err)
		mnemonic, err := sanity.ParseMnemonic(words)
		require.NoError(t, err)
		store, err := keystore.Open(home.KeysharesDir(victim.home), homekeys.Of(t, mnemonic))
		require.NoError(t, err)
		entries, err := store.Entries()
		require.NoError(t, err)
		files := map[string]string{}
		for _, e := range entries {
			data, err := store.Read(e)
			require.NoError(t, err)
			files[e.Name] = string(data)
		}
		return files
	}
	before := keyshares()
	require.Len(t, before, 2)
	victim.kill()
	// Nothing of a keyshare lies in its home but sealed, in whatever encoding.
	known := map[string][]byte{}
	for name, data := range before {
		k, err := keyshare.Parse([]byte(data))
		require.NoError(t, err)
		if d := k.ECDSA(); d != nil {
			known["Xi of "+name], known["a factor"] = []byte(d.Xi.String()), []byte(d.PaillierSK.PhiN.String())
			known["P of the pre-parameters"] = []byte(d.P.String())
		} else {
			known["Xi of "+name] = []byte(k.EdDSA().Xi.String())
		}
	}
	leaked, err := secrets.In(victim.home, known)
	require.NoError(t, err)
	require.Empty(t, leaked)
	require.NoError(t, os.RemoveAll(home.KeysharesDir(victim.home)))
	victim.start()
	eventually("keyshares are restored", func() bool {
		st, err := victim.status()
		return err == nil && st.State == registration.Ready && st.Publish != nil && len(st.Publish.Vaults) == 1 && len(st.Problems) == 0
	})
	require.Equal(t, before, keyshares())
	log := victim.logged()
	require.Less(t, strings.LastIndex(log, "keyshares are restored"), strings.LastIndex(log, "other signers reach this one at"))
	require.Positive(t, strings.LastIndex(log, "keyshares are restored"))
	eventually("the fire drill works with another node", func() bool {
		st, err := victim.status()
		return err == nil && st.Drill != nil && st.Drill.Error == "" && !st.Drill.OwnNodeOnly
	})
	eventually("a heartbeat stands, which followed a drill", func() bool {
		res, err := n.Query().Coverage(context.Background(), &types.QueryCoverageRequest{})
		require.NoError(t, err)
		return slices.ContainsFunc(res.Vaults[0].List, func(m types.MemberCoverage) bool {
			return m.Address == n.Validators[1].Signer.Bech32() && m.Heartbeat != nil && m.Heartbeat.MachineHeight > 0
		})
	})
	st, err := victim.status()
	require.NoError(t, err)
	require.Greater(t, st.Trust.Height, churn.OpenedHeight)
	require.Equal(t, 1, strings.Count(log, "trusted from now on"), "a first header was trusted once, and kept over both kills")
	report, err := victim.command("doctor")
	require.NoError(t, err, string(report))
	require.Contains(t, string(report), "is verified from the trusted one, with witnesses")
	require.Contains(t, string(report), "is what is on the disk")
	require.Contains(t, string(report), "is to a recipient key of the mnemonic")

	// The chain takes what bifrost register prints, and the running signer goes on with its next
	// recipient key; the proof stays one to the key before.
	out, err := victim.command("register", "--recipient-index", "1", "--output", "json")
	require.NoError(t, err)
	var r registration.Request
	require.NoError(t, json.Unmarshal(out, &r))
	require.EqualValues(t, 1, r.RecipientIndex)
	n.Send(n.Validators[1].Operator, &types.MsgRegisterSigner{
		Operator: r.Operator, PubKey: unhex(r.PubKey), Signature: unhex(r.Signature),
		RecipientKey: unhex(r.RecipientKey), RecipientIndex: r.RecipientIndex, Possession: unhex(r.Possession),
	})
	report, err = victim.command("doctor")
	require.NoError(t, err, string(report))
	require.Contains(t, string(report), "derives the recipient key that the chain holds for new keygens")
	require.Contains(t, string(report), "is to a recipient key of the mnemonic")

	exportGroup(t, victim, info.Vault)
	hostLost(t, n, signers, victim, vault.Vault, keygen)
	leaked, err = secrets.In(victim.backups, known)
	require.NoError(t, err)
	require.Empty(t, leaked)

	proofs, err := n.Query().Proofs(context.Background(), &types.QueryProofsRequest{Vault: vault.Vault})
	require.NoError(t, err)
	state, err := n.FirstRunning().ClientContext().Codec.MarshalJSON(proofs)
	require.NoError(t, err)
	for _, s := range signers {
		s.terminate()
		words := strings.Fields(s.words)
		for i := range len(words) - 2 {
			require.NotContains(t, s.logged(), strings.Join(words[i:i+3], " "))
		}
		require.NoError(t, os.RemoveAll(s.home))
	}
	n.StopAll()
	rebuildAndSign(t, state, signers)
}

// signTogether has all signers sign a text.
func signTogether(t *testing.T, signers []*signerProcess, vault string) []service.SignResult {
	results := make([]service.SignResult, len(signers))
	errs := make([]error, len(signers))
	var wg sync.WaitGroup
	for i, s := range signers {
		wg.Go(func() {
			out, err := s.command("sign", "--vault", vault[:8], "--message", "hello", "--output", "json")
			if err == nil {
				err = json.Unmarshal(out, &results[i])
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return results
}

// requireBackedUpBeforeVote looks into the folder for when the first backup with the keyshares was
// made. The log may lack it, as the signer was killed about then.
func requireBackedUpBeforeVote(t *testing.T, s *signerProcess) {
	t.Helper()
	_, vote, ok := strings.Cut(s.logged(), `"step":"message"`)
	require.True(t, ok)
	voted, err := time.Parse(time.RFC3339, regexp.MustCompile(`"time":"([^"]*)"`).FindStringSubmatch(vote)[1])
	require.NoError(t, err)
	out, err := s.command("backup", "list", "--output", "json")
	require.NoError(t, err)
	var list struct {
		Stores []struct {
			Manifests []struct {
				Time      time.Time
				Keyshares int
			}
		}
	}
	require.NoError(t, json.Unmarshal(out, &list))
	require.Len(t, list.Stores, 1)
	first := time.Time{}
	for _, m := range list.Stores[0].Manifests {
		if m.Keyshares == 2 && (first.IsZero() || m.Time.Before(first)) {
			first = m.Time
		}
	}
	require.False(t, first.IsZero(), "no backup has the keyshares")
	require.False(t, first.After(voted), "the backup is there before the vote")
}

// exportGroup has the group part of a vault verified and written to a file, while a bifrost runs.
func exportGroup(t *testing.T, s *signerProcess, info types.VaultInfo) {
	t.Helper()
	require.True(t, info.Split)
	file := filepath.Join(t.TempDir(), "group")
	for range 2 { // the second time it is there already
		out, err := s.command("group", "export", info.Vault[:8], "--out", file, "--output", "json")
		require.NoError(t, err, string(out))
		var said exportedGroup
		require.NoError(t, json.Unmarshal(out, &said))
		require.Equal(t, info.Vault, said.Vault)
		require.Equal(t, info.SharesHash, said.GroupHash)
		require.Equal(t, 4, said.Members)
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	v, group, err := vault.ParseGroup(data)
	require.NoError(t, err)
	require.Equal(t, info.SharesHash, hex.EncodeToString(v.SharesHash))
	require.Len(t, group, 4*sanity.GroupMemberBytes)

	_, err = s.command("group", "export", info.Vault[:8], "--output", "json")
	require.Error(t, err, "--out is missing")
	_, err = s.command("group", "export", "00000000", "--out", file, "--output", "json")
	require.Error(t, err, "no such vault")
}

// hostLost takes the home from a signer, and gives it another one from the bucket with copies of
// its backups, in which it signs again. It does the same where the newest backups are lost too.
func hostLost(
	t *testing.T, n *network.Network, signers []*signerProcess, s *signerProcess, vault string,
	keygen uint64,
) {
	requireBackedUpBeforeVote(t, s)
	st, err := s.status()
	require.NoError(t, err)
	require.Equal(t, 2, st.Backup.Keyshares)
	require.NotZero(t, st.Backup.LastSuccess)
	report, err := s.command("doctor")
	require.NoError(t, err, string(report))
	require.Contains(t, string(report), "has all 2 keyshares of the home")
	require.Contains(t, string(report), "home answers, and lacks nothing of the backups")
	require.Eventually(t, func() bool {
		st, err := s.status()
		return err == nil && len(st.Sinks) == 2 && st.Sinks[1].Files == 2
	}, patience, 50*time.Millisecond, "the envelope is in the bucket, too, and the group part")
	require.NotZero(t, st.Sinks[0].LastSuccess)
	report, err = s.command("sink", "check")
	require.NoError(t, err, string(report))

	s.terminate()
	require.NoError(t, os.RemoveAll(s.home))
	words := filepath.Join(t.TempDir(), "words")
	require.NoError(t, os.WriteFile(words, []byte(s.words), 0o600))
	restore := func(from string, args ...string) (restored restoredBackup) {
		s.home = filepath.Join(t.TempDir(), "home")
		out, err := s.command(append([]string{
			"backup", "restore", "--from", from, "--mnemonic-file", words, "--output", "json",
			"--node", n.Validators[0].RPC(), "--node", n.Validators[1].RPC(),
		}, args...)...)
		require.NoError(t, err, string(out))
		require.NoError(t, json.Unmarshal(out, &restored))
		require.True(t, restored.Complete)
		require.True(t, restored.Chain.Complete)
		require.Len(t, restored.Chain.Vaults, 1)
		require.Equal(t, keygen, restored.Chain.Vaults[0].Epoch)
		return restored
	}
	// The bucket is enough.
	require.NoError(t, os.Rename(s.backups, s.backups+".away"))
	restored := restore(s.bucket, "--credentials-file", s.key)
	require.NoError(t, os.Rename(s.backups+".away", s.backups))
	require.Equal(t, "backup", restored.Chain.Vaults[0].Keyshares)
	_, err = s.command("init", "--mnemonic-file", words)
	require.NoError(t, err)
	s.start()
	s.promote()
	require.Eventually(t, func() bool {
		st, err := s.status()
		return err == nil && st.State == registration.Ready && st.Publish != nil &&
			len(st.Publish.Vaults) == 1 && len(st.Problems) == 0
	}, patience, 50*time.Millisecond, "it is there again")
	require.Contains(t, s.logged(), "part in no keygen that opened up to this block")
	signTogether(t, signers, vault)
	s.terminate()

	// Of the first home's backups one is left that knows of no keyshares.
	manifests, err := filepath.Glob(filepath.Join(s.backups, restored.Store, "manifests", "*.age"))
	require.NoError(t, err)
	require.Greater(t, len(manifests), 1)
	for _, path := range manifests {
		if !strings.HasPrefix(filepath.Base(path), "1-") {
			require.NoError(t, os.Remove(path))
		}
	}
	restored = restore(s.backups, "--store", restored.Store)
	require.Zero(t, restored.Manifest.Keyshares)
	require.Equal(t, "chain", restored.Chain.Vaults[0].Keyshares)
	_, err = s.command("init", "--mnemonic-file", words)
	require.NoError(t, err)
	s.start()
	s.promote()
	require.Eventually(t, func() bool {
		st, err := s.status()
		return err == nil && st.State == registration.Ready
	}, patience, 50*time.Millisecond, "it is there once more")
}

// rebuildAndSign has nothing left but mnemonics and the saved state of the vault that the signers
// made together: so many of them as can sign give its keys, and one fewer gives nothing.
func rebuildAndSign(t *testing.T, state []byte, signers []*signerProcess) {
	record, err := rebuild.Parse(state)
	require.NoError(t, err)
	checked, err := rebuild.New(record)
	require.NoError(t, err)
	opening := checked.Open()
	defer opening.Wipe()
	for i := range checked.Need() {
		_, err := opening.Combine()
		require.ErrorIs(t, err, rebuild.ErrTooFew)
		mnemonic, err := sanity.ParseMnemonic([]byte(signers[i].words))
		require.NoError(t, err)
		members, err := opening.Add(mnemonic)
		require.NoError(t, err)
		require.Len(t, members, 1)
	}
	keys, err := opening.Combine()
	require.NoError(t, err)
	defer keys.Wipe()

	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	digest := service.MessageDigest("the money moves")
	signature := ecdsa.SignCompact(secp256k1.PrivKeyFromBytes(keys.Secp256k1()), digest, true)[1:]
	require.True(t, types.VerifySecp256k1(unhex(checked.Vault()), digest, signature))
	require.True(t, types.VerifyEd25519(unhex(checked.Ed25519()), digest, dealer.SignEd25519(keys.Ed25519(), digest)))
}
