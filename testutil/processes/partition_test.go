//go:build processes

package processes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestTwoHostsThatLive has both hosts of a signer live through what keeps them from knowing of each
// other. In the middle of a keygen the node of the first one is cut off, with everything on its host
// alive: it acts in its term for whoever it reaches, the second is promoted, and what the first had
// sent to its node comes to the others when that is mended. In the middle of the next keygen the
// chain halts: the first is promoted, is killed with its claim in the mempool beside what the second
// sends, and is started again before the chain goes on. Both keygens end with the vaults of all
// four, each member has voted once, no term has had two instances, and nobody is at fault.
func TestTwoHostsThatLive(t *testing.T) {
	sinks := t.TempDir()
	sinkOf := func(m *processes.Member) string { return fmt.Sprintf("file://%s/%d", sinks, m.Index) }
	for i := range 4 {
		require.NoError(t, os.Mkdir(filepath.Join(sinks, fmt.Sprint(i)), 0o700))
	}
	n := newNetwork(t, processes.Config{
		PreParams: 3, Claims: true, Relayed: 1,
		Params: map[string]any{"keygen_deadline": "480", "retry_interval": "0"},
		Tables: func(m *processes.Member) string {
			return fmt.Sprintf("\n[[sink]]\nname = \"other\"\nurl = %q\nrequired = true\n", sinkOf(m))
		},
	})
	m := n.Members[1]
	first := *m
	second, err := n.SecondHost(n.ctx, m)
	require.NoError(t, err)
	require.NoError(t, n.GivePreParams(second, 2))
	require.NoError(t, n.StartStandby(second, sinkOf(m)))
	require.NoError(t, n.WaitStandby(n.ctx, second))
	of := func(host *processes.Member) service.Status {
		st, err := n.Status(n.ctx, host.SignerHome)
		require.NoError(t, err)
		return st
	}
	// await returns the term in which a host is so, which is this one or a later one.
	await := func(host *processes.Member, state term.State, number uint64) (in uint64) {
		t.Helper()
		n.await(fmt.Sprintf("%s to be %s in term %d", host.SignerName(), state, number),
			func(ctx context.Context) (bool, error) {
				st, err := n.Status(ctx, host.SignerHome)
				in = st.Term.Term
				return st.Term.State == state && in >= number, err
			})
		return in
	}
	begun := func() types.KeygenInfo {
		t.Helper()
		k := n.churn()
		n.await("an attempt at the keygen", func(context.Context) (bool, error) {
			k = n.latest()
			return k.Session != nil, nil
		})
		return k
	}
	one := of(&first).Term.Term

	k := begun()
	n.Part()
	n.await("the node to have no peers", func(ctx context.Context) (bool, error) {
		peers, err := n.Peers(ctx, &first)
		return err == nil && len(peers) == 0, fmt.Errorf("it has %v: %w", peers, err)
	})
	require.NoError(t, n.PromoteSigner(n.ctx, second))
	require.Equal(t, one+1, await(second, term.Acting, one+1))
	st := of(&first).Term
	require.Equal(t, term.Acting, st.State, "it cannot know")
	require.Equal(t, one, st.Term)
	m.SignerHome = second.SignerHome
	n.requireOneVoteEach(n.closed(k.Id))
	require.Equal(t, term.Acting, of(&first).Term.State)
	n.Mend()
	require.Equal(t, one+1, await(&first, term.Fenced, one+1))

	// The first one stands by from now on, for the way back.
	n.Kill(first.SignerName())
	require.NoError(t, n.StartStandby(&first, sinkOf(m)))
	require.NoError(t, n.WaitStandby(n.ctx, &first))
	_, err = processes.Command(n.ctx, n.Path("bifrost"), "promote", "--home", first.SignerHome,
		"--expect", fmt.Sprint(one))
	require.Error(t, err, "a promotion that comes late")

	k = begun()
	stopped := n.Members[2:] // neither host's
	for _, other := range stopped {
		require.NoError(t, n.Signal(other.ValidatorName(), syscall.SIGSTOP))
	}
	promoted := make(chan error, 1)
	go func() { promoted <- n.PromoteSigner(n.ctx, &first) }()
	n.await("a claim to wait for a block", func(context.Context) (bool, error) {
		return strings.HasPrefix(of(&first).Term.Reason, "claiming term "), nil
	})
	n.Kill(first.SignerName())
	require.Error(t, <-promoted, "it was killed before it knew")
	require.Equal(t, one+1, of(second).Term.Term)
	require.NoError(t, n.StartStandby(&first, sinkOf(m)))
	for _, other := range stopped {
		require.NoError(t, n.Signal(other.ValidatorName(), syscall.SIGCONT))
	}
	// The claim finds its block or not; the instance that was started after it has one of its own.
	now := await(&first, term.Acting, one+2)
	require.Equal(t, now, await(second, term.Fenced, now))
	m.SignerHome = first.SignerHome
	k = n.closed(k.Id)
	n.requireOneVoteEach(k)
	n.sign(k.Vault)
	require.False(t, slices.ContainsFunc(n.Members, n.sitsOut))
	for _, host := range []*processes.Member{&first, second} {
		log, err := os.ReadFile(n.Log(host.SignerName()))
		require.NoError(t, err)
		require.NotContains(t, string(log), "ANOTHER PROCESS VOTES")
	}
}

// requireOneVoteEach checks that a keygen has made its vault with all members, of whom each has
// voted once and nobody is at fault.
func (n *network) requireOneVoteEach(k types.KeygenInfo) {
	n.t.Helper()
	require.Equal(n.t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
	require.Len(n.t, k.Members, len(n.Members))
	require.Empty(n.t, k.Blamed)
	require.Empty(n.t, k.Silent)
	n.requireVault(k)
	votes := map[string]int{}
	for height := k.OpenedHeight; height <= k.ClosedHeight; height++ {
		for _, e := range n.events(height) {
			if e["type"] == "tssbackup.v1.EventTssPool" && e["keygen_id"] == strconv.FormatUint(k.Id, 10) {
				votes[e["member"]]++
			}
		}
	}
	for _, member := range k.Members {
		require.Equal(n.t, 1, votes[member.Address], "votes of %s", member.Address)
	}
}

// events are those of the transactions of a block, with their attributes by name.
func (n *network) events(height int64) (all []map[string]string) {
	n.t.Helper()
	res, err := http.Get(fmt.Sprintf("%s/block_results?height=%d", n.Members[0].RPC, height))
	require.NoError(n.t, err)
	defer res.Body.Close()
	var block struct {
		Result struct {
			TxsResults []struct {
				Events []struct {
					Type       string
					Attributes []struct{ Key, Value string }
				}
			} `json:"txs_results"`
		}
	}
	require.NoError(n.t, json.NewDecoder(res.Body).Decode(&block))
	for _, tx := range block.Result.TxsResults {
		for _, e := range tx.Events {
			one := map[string]string{"type": e.Type}
			for _, a := range e.Attributes {
				one[a.Key] = strings.Trim(a.Value, `"`)
			}
			all = append(all, one)
		}
	}
	return all
}
