//go:build processes

package processes_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// patience is for what waits for keygens of eight processes on a few cores.
const patience = 10 * time.Minute

// bin is the folder of the binaries: those of a release, and the adversary's.
var bin string

// networks is how many there were so far.
var networks int

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "processes"); err == nil {
			defer os.RemoveAll(bin)
			err = build()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build() error {
	const module = "github.com/tssbackup/tssbackup/"
	for _, args := range [][]string{
		{"build", "-o", bin, module + "cmd/tssbackupd", module + "cmd/bifrost", module + "cmd/recover-keyshares"},
		{"test", "-c", "-tags", "adversary", "-o", filepath.Join(bin, "adversary"), module + "bifrost/tss"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as in a release
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// network is one of processes, whose errors fail the test.
type network struct {
	*processes.Network
	t   *testing.T
	ctx context.Context
}

func newNetwork(t *testing.T, cfg processes.Config) *network {
	// Not the test's own folder: the path of bifrost's socket may have a hundred bytes or so.
	dir, err := os.MkdirTemp("", "network")
	require.NoError(t, err)
	cfg.Bin, cfg.Dir = bin, dir
	// Each chain has an id of its own: the tools keep the header that they trust by it.
	networks++
	cfg.ChainID = fmt.Sprintf("processes-%d-%d", os.Getpid(), networks)
	net, err := processes.New(cfg)
	require.NoError(t, err)
	n := &network{Network: net, t: t, ctx: t.Context()}
	t.Cleanup(func() {
		n.StopAll()
		if !t.Failed() {
			_ = os.RemoveAll(dir)
			return
		}
		// Few lines of each, so that what failed is not far above the end of what is printed.
		for _, m := range n.Members {
			log, err := os.ReadFile(n.Log(m.SignerName()))
			lines := bytes.SplitAfter(log, []byte("\n"))
			t.Logf("the end of the log of %s (%v):\n%s", m.SignerName(), err,
				bytes.Join(lines[max(0, len(lines)-4):], nil))
		}
		t.Logf("the whole network is kept in %s", dir)
	})
	require.NoError(t, n.StartValidators(n.ctx))
	require.NoError(t, n.StartSigners(n.ctx))
	return n
}

func (n *network) await(what string, ask func(ctx context.Context) (bool, error)) {
	n.t.Helper()
	require.NoError(n.t, processes.Await(n.ctx, patience, what, ask))
}

// churn opens one and returns its keygen.
func (n *network) churn(of ...*processes.Member) types.KeygenInfo {
	n.t.Helper()
	return n.opened(func() error { return n.StartChurn(n.ctx, of...) })
}

// opened is the keygen or the reshare that something opens.
func (n *network) opened(by func() error) types.KeygenInfo {
	n.t.Helper()
	before := n.latest()
	require.NoError(n.t, by())
	n.await("it to open", func(context.Context) (bool, error) {
		return n.latest().Id > before.Id, nil
	})
	return n.latest()
}

// latest is the keygen that was opened last, the zero value when none was.
func (n *network) latest() types.KeygenInfo {
	n.t.Helper()
	var res types.QueryKeygensResponse
	n.await("an answer about keygens", func(ctx context.Context) (bool, error) {
		err := n.Ask(ctx, "keygens?pagination.reverse=true&pagination.limit=1", &res)
		return err == nil, err
	})
	if len(res.Keygens) == 0 {
		return types.KeygenInfo{}
	}
	return res.Keygens[0]
}

// closed waits until a keygen is decided.
func (n *network) closed(id uint64) types.KeygenInfo {
	n.t.Helper()
	var res types.QueryKeygenResponse
	n.await(fmt.Sprintf("keygen %d to be decided", id), func(ctx context.Context) (bool, error) {
		err := n.Ask(ctx, fmt.Sprintf("keygens/%d", id), &res)
		return err == nil && res.Keygen.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN, err
	})
	return res.Keygen
}

// signers are all, as the chain knows them.
func (n *network) signers() []types.SignerInfo {
	n.t.Helper()
	var res types.QuerySignersResponse
	n.await("an answer about signers", func(ctx context.Context) (bool, error) {
		err := n.Ask(ctx, "signers", &res)
		return err == nil, err
	})
	require.Len(n.t, res.Signers, len(n.Members))
	return res.Signers
}

// sitsOut reports whether a member's operator does now.
func (n *network) sitsOut(m *processes.Member) bool {
	n.t.Helper()
	for _, s := range n.signers() {
		if s.Operator == m.Operator {
			return s.SitsOutUntil != 0
		}
	}
	require.Fail(n.t, "an operator without a signer", m.Operator)
	return false
}

// requireVault checks that a keygen's vault is active and that every member holds its keyshares of
// it.
func (n *network) requireVault(k types.KeygenInfo) {
	n.t.Helper()
	require.Equal(n.t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
	var res types.QueryVaultResponse
	n.await("the vault to be active", func(ctx context.Context) (bool, error) {
		err := n.Ask(ctx, "vaults/"+k.Vault, &res)
		return err == nil && res.Vault.Status == types.VaultStatus_VAULT_STATUS_ACTIVE, err
	})
	n.requireKeyshares(res.Vault)
}

// requireKeyshares checks the files of all of a vault's members as a restore does.
func (n *network) requireKeyshares(v types.VaultInfo) {
	n.t.Helper()
	keys := keyshare.VaultKeys{Secp256k1: n.unhex(v.Vault), Ed25519: n.unhex(v.PubKeyEd25519)}
	var members [][]byte
	for _, m := range v.Members {
		members = append(members, n.unhex(m.PubKey))
	}
	for i, m := range v.Members {
		curves := map[keyshare.Curve]bool{}
		for _, own := range n.Members {
			if own.Address != m.Address {
				continue
			}
			sealed, err := homekeys.Read(home.MnemonicPath(own.SignerHome))
			require.NoError(n.t, err)
			store, err := keystore.Open(home.KeysharesDir(own.SignerHome), sealed)
			require.NoError(n.t, err)
			entries, err := store.Entries()
			require.NoError(n.t, err)
			for _, e := range entries {
				data, err := store.Read(e)
				require.NoError(n.t, err)
				k, err := keyshare.Parse(data)
				require.NoError(n.t, err, "%s of %s", e.Name, own.SignerName())
				if k.Check(keys, members[i], members) == nil {
					curves[k.Curve()] = true
				}
			}
		}
		require.Len(n.t, curves, 2, "%s lost keyshares of vault %s", m.Address, v.Vault)
	}
}

func (n *network) unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(n.t, err)
	return b
}
