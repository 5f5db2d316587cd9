package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/cosmos/cosmos-sdk/client"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	restartedChain = "tssbackup-restarted"
	// failPoints is how often a validator alone comes to a point where FAIL_TEST_INDEX can end it,
	// in one block: at its two votes, five times around its commit, four times in the execution,
	// and once between the archive and the application's commit.
	failPoints = 12
)

// daemon is a tssbackupd process with its home. It is a validator that is enough for the chain to
// go on alone.
type daemon struct {
	t      *testing.T
	home   string
	client *rpchttp.HTTP
	ctx    client.Context

	cmd    *exec.Cmd
	ended  chan error
	output *bytes.Buffer
}

// run runs a command of the daemon to its end.
func (d *daemon) run(args ...string) (string, error) {
	cmd := exec.Command("tssbackupd", append(args, "--home", d.home)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *daemon) mustRun(args ...string) string {
	d.t.Helper()
	out, err := d.run(args...)
	require.NoError(d.t, err, out)
	return out
}

// start starts the node and waits until its RPC server answers. It ends at its n-th fail point from
// then on, or at none for -1.
func (d *daemon) start(failPoint int) {
	d.t.Helper()
	d.cmd = exec.Command("tssbackupd", "start", "--home", d.home, "--log_level", "error", "--log_no_color")
	d.cmd.Env = append(os.Environ(), "FAIL_TEST_INDEX="+strconv.Itoa(failPoint))
	d.output, d.ended = &bytes.Buffer{}, make(chan error, 1)
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	require.NoError(d.t, d.cmd.Start())
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(d.cmd, d.ended)
	require.Eventually(d.t, func() bool {
		_, err := d.client.Status(context.Background())
		return err == nil
	}, network.Timeout, 10*time.Millisecond, "RPC server")
}

// stop stops the node as an operator does.
func (d *daemon) stop() {
	d.t.Helper()
	require.NoError(d.t, d.cmd.Process.Signal(syscall.SIGINT))
	d.wait()
}

// wait waits for the node's end.
func (d *daemon) wait() {
	d.t.Helper()
	select {
	case <-d.ended:
		d.cmd = nil
	case <-time.After(network.Timeout):
		require.FailNow(d.t, "the node does not end")
	}
}

// height is that of the application's last commit.
func (d *daemon) height() int64 {
	d.t.Helper()
	info, err := d.client.ABCIInfo(context.Background())
	require.NoError(d.t, err)
	return info.Response.LastBlockHeight
}

// nextBlock waits until the node has committed a block and returns its height.
func (d *daemon) nextBlock() int64 {
	d.t.Helper()
	before := d.height()
	height := before
	require.Eventually(d.t, func() bool {
		height = d.height()
		return height > before
	}, network.Timeout, 10*time.Millisecond, "a block")
	return height
}

// publication signs the publication of a new envelope.
func (d *daemon) publication(member network.Account, vault network.Vault) (tx, sealed []byte) {
	d.t.Helper()
	account, err := authtypes.NewQueryClient(d.ctx).AccountInfo(context.Background(), &authtypes.QueryAccountInfoRequest{Address: member.Bech32()})
	require.NoError(d.t, err)
	sealed = network.Seal(d.t, member, 10<<10)
	signed := network.SignTx(d.t, d.ctx.TxConfig, restartedChain,
		[]network.Signer{{Account: member, Number: account.Info.AccountNumber, Sequence: account.Info.Sequence}},
		network.TxOptions{Gas: 2_000_000, Fee: sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 2_000))},
		&types.MsgPublishBackup{Signer: member.Bech32(), Vault: vault.Name(), KeysharesBackup: sealed})
	tx, err = d.ctx.TxConfig.TxEncoder()(signed)
	require.NoError(d.t, err)
	return tx, sealed
}

// confirm sends the publication, again if the node's end lost it, and waits until the state has it.
// It returns the height of its block. (A node that ends between a block's commit and its events
// never indexes its transactions.)
func (d *daemon) confirm(member network.Account, vault network.Vault, tx, sealed []byte) int64 {
	d.t.Helper()
	var height int64
	require.Eventually(d.t, func() bool {
		res, err := types.NewQueryClient(d.ctx).Backup(context.Background(), &types.QueryBackupRequest{
			Vault: vault.Name(), Member: member.Bech32(),
		})
		if err == nil && res.Latest.Sha256 == hash(sealed) {
			height = res.Latest.Height
			return true
		}
		_, _ = d.client.BroadcastTxSync(context.Background(), tx) // an error says that the node has it
		return false
	}, network.Timeout, 100*time.Millisecond, "publication in a block")
	return height
}

func hash(sealed []byte) string {
	sum := sha256.Sum256(sealed)
	return hex.EncodeToString(sum[:])
}

// serves has the node return this envelope as the member's latest.
func (d *daemon) serves(member network.Account, vault network.Vault, sealed []byte) {
	d.t.Helper()
	served, err := d.envelope(member, vault, sealed)
	require.NoError(d.t, err)
	require.True(d.t, bytes.Equal(sealed, served))
}

// envelope asks the node's archive for this envelope.
func (d *daemon) envelope(member network.Account, vault network.Vault, sealed []byte) ([]byte, error) {
	res, err := types.NewQueryClient(d.ctx).Envelope(context.Background(), &types.QueryEnvelopeRequest{
		Vault: vault.Name(), Member: member.Bech32(), Sha256: hash(sealed),
	})
	if err != nil {
		return nil, err
	}
	return res.Envelope, nil
}

// newDaemon takes a network through a churn, and has one validator, which has nearly all of the
// power, go on from the exported state with a new chain id and an archive that is still empty. The
// network is stopped.
func newDaemon(t *testing.T) (*daemon, *network.Network, network.Vault) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	v := n.Validators[0]
	n.Send(v.Operator, &stakingtypes.MsgDelegate{
		DelegatorAddress: v.Operator.Bech32(),
		ValidatorAddress: v.OperatorAddress(),
		Amount:           sdk.NewInt64Coin(network.Denom, 500_000_000_000),
	})
	n.Send(v.Operator, banktypes.NewMsgSend(v.Operator.Address(), v.Signer.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000_000))))
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	vault := network.NewVault("restarted")
	for _, member := range n.Validators {
		n.SendVote(member.Signer, ballot.Vote(vault, member.Signer, network.Seal(t, member.Signer, 10<<10)))
	}
	n.SendVote(v.Signer, ballot.Check(vault, v.Signer))
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	ctx := v.ClientContext()
	n.StopAll()
	doc := n.ExportGenesis(restartedChain)

	d := &daemon{t: t, home: filepath.Join(t.TempDir(), "home")}
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
		if t.Failed() && d.output != nil {
			t.Logf("the node's output:\n%s", d.output)
		}
	})
	addrs, err := freeport.Addrs(2)
	require.NoError(t, err)
	d.client, err = rpchttp.New("http://"+addrs[0], "/websocket")
	require.NoError(t, err)
	d.ctx = ctx.WithClient(d.client).WithChainID(restartedChain)

	d.mustRun("init", "one", "--chain-id", restartedChain)
	d.mustRun("config", "set", "config",
		"rpc.laddr", "tcp://"+addrs[0], "p2p.laddr", "tcp://"+addrs[1], "rpc.pprof_laddr", "",
		"consensus.timeout_commit", "1s", "consensus.timeout_propose", "500ms")
	d.mustRun("config", "set", "app", "grpc.enable", "false")
	require.NoError(t, doc.SaveAs(filepath.Join(d.home, "config", "genesis.json")))
	key := filepath.Join("config", "priv_validator_key.json")
	content, err := os.ReadFile(filepath.Join(v.Home, key))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(d.home, key), content, 0o600))
	return d, n, vault
}

// TestArchiveSurvivesEveryKill imports the archive of the old chain, ends the node at every point
// around the commit of a block with an envelope, and then lets the commands look after what is
// there.
func TestArchiveSurvivesEveryKill(t *testing.T) {
	d, n, vault := newDaemon(t)
	old := n.Validators[0]
	member := old.Signer

	// The archive of the old chain, as archive export writes it.
	a := n.LastState(0)
	kept, err := a.ArchiveNode().Kept()
	require.NoError(t, err)
	exported := filepath.Join(t.TempDir(), "envelopes.tar")
	file, err := os.Create(exported)
	require.NoError(t, err)
	store, err := a.ArchiveNode().Archive()
	require.NoError(t, err)
	_, err = store.Export(file, kept)
	require.NoError(t, err)
	require.NoError(t, errors.Join(file.Close(), a.Close()))
	require.Contains(t, d.mustRun("archive", "import", exported), "4 envelopes imported")

	d.start(-1)
	d.nextBlock()
	var last []byte
	for point := range failPoints {
		// The block with the envelope is to be the second one after the start, because a node that
		// was just started rejects transactions until it has committed a block. On a busy machine
		// it may come too late: then it is tried again.
		hit := false
		for try := 0; try < 3 && !hit; try++ {
			tx, sealed := d.publication(member, vault)
			d.nextBlock() // a node that stops now is not in the middle of a block
			d.stop()
			d.start(failPoints + point)
			before := d.nextBlock()
			_, err := d.client.BroadcastTxSync(context.Background(), tx)
			require.NoError(t, err)
			d.wait()
			require.Contains(t, d.output.String(), fmt.Sprintf("*** fail-test %d ***", failPoints+point))

			d.start(-1)
			t.Logf("ended at fail point %d of %d", point, failPoints)
			hit = d.confirm(member, vault, tx, sealed) == before+1
			d.serves(member, vault, sealed)
			last = sealed
		}
		require.True(t, hit, "fail point %d of the block with the envelope", point)
	}
	d.stop()
	require.Contains(t, d.mustRun("archive", "verify"), "this node can serve every live backup")

	// What is damaged is found, and repaired at the start when the node has its block.
	dir := tssbackup.ArchiveDir(d.home)
	require.NoError(t, os.Truncate(filepath.Join(dir, hash(last)), 7))
	out, err := d.run("archive", "verify")
	require.Error(t, err)
	require.Contains(t, out, hash(last))
	d.start(-1)
	require.Eventually(t, func() bool {
		_, err := d.envelope(member, vault, last)
		return err == nil
	}, network.Timeout, 10*time.Millisecond, "repair from the node's own blocks")
	d.serves(member, vault, last)
	d.nextBlock() // a node that stops now is not in the middle of a block
	d.stop()
	require.Contains(t, d.mustRun("archive", "verify"), "this node can serve every live backup")

	// What it has no block of comes from another node: here one of the old chain, whose commitments
	// are the same.
	var lost string
	for _, e := range kept {
		if !bytes.Equal(e.Member, member.Address()) {
			lost = hex.EncodeToString(e.Commitment.Sha256)
		}
	}
	require.NoError(t, os.Truncate(filepath.Join(dir, lost), 7))
	out, err = d.run("archive", "verify")
	require.Error(t, err)
	require.Contains(t, out, "this node cannot serve 1 live backups")
	require.Contains(t, out, lost)
	again := filepath.Join(t.TempDir(), "again.tar")
	_, err = d.run("archive", "export", again)
	require.Error(t, err)
	require.NoFileExists(t, again)

	for i := range n.Validators {
		n.Start(i)
	}
	require.Contains(t, d.mustRun("archive", "repair", "--node", old.RPC()), "this node can serve every live backup")
	require.Contains(t, d.mustRun("archive", "verify"), "this node can serve every live backup")

	require.Contains(t, d.mustRun("archive", "export", again), "5 envelopes written", "one member has published again")
	other := &daemon{t: t, home: filepath.Join(t.TempDir(), "other")}
	other.mustRun("init", "other")
	require.Contains(t, other.mustRun("archive", "import", again), "5 envelopes imported")
}
