package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/flaky"
	"github.com/tssbackup/tssbackup/testutil/hostile"
)

// A witness that drops out between two questions is one that is down, and nothing else.
func TestAWitnessThatDropsOut(t *testing.T) {
	p := newScene(t, 3)
	for _, fault := range flaky.Faults {
		if strings.HasPrefix(fault.Name, "silence") || fault.Name == "a redirect that keeps the question" ||
			fault.Name == "a batch that is refused" || fault.Name == "a node that is a block behind" {
			continue // which is waited for in earnest, or is no reason to do without the node
		}
		t.Run(fault.Name, func(t *testing.T) {
			for _, from := range []int{1, 2} { // the status, the header
				witness := flaky.New(t, p.url)
				witness.Fail(fault, from, flaky.Always)
				p.store, p.reports, p.witnesses = memTrust{}, nil, nil
				s, err := p.head(t, p.trust(), p.url, witness.URL)
				require.NoError(t, err, "from request %d on", from)
				require.Contains(t, p.witnesses, p.url)
				require.Contains(t, strings.Join(p.reports, "\n"), witness.URL)
				vaults, err := s.Vaults(t.Context(), raw(t, p.member))
				require.NoError(t, err)
				require.Len(t, vaults, 2)

				// Nobody is left: that is no matter of trust.
				only := flaky.New(t, p.url)
				only.Fail(fault, from, flaky.Always)
				p.store = memTrust{}
				s, err = p.head(t, p.trust(), only.URL)
				if err == nil {
					_, err = s.Vaults(t.Context(), raw(t, p.member))
				}
				require.Error(t, err)
				require.True(t, isAbsent(err), "%v", err)
				require.False(t, IsUntrusted(err), "%v", err)
			}
		})
	}
}

// Behind one name are several nodes, and some have yet to get the latest block.
func TestNodesThatDifferByABlock(t *testing.T) {
	p := newScene(t, 3)
	behind := named(t, "a node that is a block behind")
	t.Run("once", func(t *testing.T) {
		for k := 1; k < 9; k++ {
			for _, order := range []string{"only", "first", "second"} {
				lagging := flaky.New(t, p.url)
				lagging.Fail(behind, k, 1)
				urls := map[string][]string{
					"only": {lagging.URL}, "first": {lagging.URL, p.url}, "second": {p.url, lagging.URL},
				}[order]
				p.store, p.reports = memTrust{}, nil
				s, err := p.head(t, p.trust(), urls...)
				require.NoError(t, err, "%s, request %d", order, k)
				require.Empty(t, p.reports)
				_, err = s.Vaults(t.Context(), raw(t, p.member))
				require.NoError(t, err, "%s, request %d", order, k)
			}
		}
	})
	t.Run("a chain that stands still, and a node that never gets its last block", func(t *testing.T) {
		// The status is of another node than those that answer.
		lagging := hostile.New(t, p.url)
		p.Advance(1)
		top := p.Height
		lagging.Tell(hostile.Lie{Answer: hostile.Change("status", func(_ hostile.Call, res *ctypes.ResultStatus) {
			res.SyncInfo.LatestBlockHeight = top + 1
		})})
		p.store, p.reports = memTrust{}, nil
		s, err := p.head(t, p.trust(), lagging.URL)
		require.NoError(t, err)
		height, _, _ := s.Header()
		require.Equal(t, top, height)
	})
	t.Run("a height that is far away is not waited for", func(t *testing.T) {
		var w waits
		c, err := New(p.url, 0)
		require.NoError(t, err)
		_, err = w.of(c).BlockTxs(t.Context(), 10_000)
		require.ErrorIs(t, err, ErrNoBlock)
		require.Empty(t, w)
		for range 2 {
			_, err = c.BlockTxs(t.Context(), p.Height+1)
			require.ErrorIs(t, err, ErrNoBlock)
			require.Len(t, w, maxBehindWaits, "and one that is not there in time is not waited for again")
		}
	})
}

// A node that refuses batches is asked each question by itself, and is not tried with one again.
func TestANodeWithoutBatches(t *testing.T) {
	for name, serve := range map[string]func(http.ResponseWriter, int){
		"answers with an error": func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":-1,"error":{"code":-32600,"message":"no batches"}}`))
		},
		"answers with a status alone": func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		},
		"answers the first question alone": func(w http.ResponseWriter, _ int) {
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{"response":{}}}`))
		},
		"answers each with an error": func(w http.ResponseWriter, n int) {
			_, _ = w.Write([]byte("[" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}},`, n-1) +
				`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}]`))
		},
		"answers with nothing": func(w http.ResponseWriter, _ int) { _, _ = w.Write([]byte("[]")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newScene(t, 20)
			batches := 0
			node := hostile.New(t, p.url)
			node.Tell(hostile.Lie{Serve: func(w http.ResponseWriter, r *http.Request) bool {
				body, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				var questions []json.RawMessage
				if err != nil || json.Unmarshal(body, &questions) != nil {
					return false
				}
				batches++
				serve(w, len(questions))
				return true
			}})
			s, err := p.head(t, p.trust(), node.URL)
			require.NoError(t, err)
			covered, err := s.Coverage(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, covered, 2)
			require.Equal(t, 1, batches)
			require.Empty(t, p.reports)
		})
	}
}

// JSON-RPC lets a server answer a batch in any order, for which CometBFT's client has no eye.
func TestABatchThatIsAnsweredInAnotherOrder(t *testing.T) {
	p := newScene(t, 20)
	batches := 0
	node := hostile.New(t, p.url)
	node.Tell(hostile.Lie{Serve: func(w http.ResponseWriter, r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var questions []json.RawMessage
		if json.Unmarshal(body, &questions) != nil {
			return false
		}
		batches++
		var answers []json.RawMessage
		for _, q := range slices.Backward(questions) {
			res, err := http.Post(p.url, "application/json", bytes.NewReader(q))
			require.NoError(t, err)
			answer, err := io.ReadAll(res.Body)
			require.NoError(t, errors.Join(err, res.Body.Close()))
			answers = append(answers, answer)
		}
		require.NoError(t, json.NewEncoder(w).Encode(answers))
		return true
	}})
	trust := p.trust()
	first, err := p.head(t, trust, p.url)
	require.NoError(t, err)
	p.Advance(5)
	trust.Height, trust.Hash, _ = first.Header()
	trust.Store = nil
	s, err := p.head(t, trust, node.URL)
	require.NoError(t, err)
	covered, err := s.Coverage(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, covered, 2)
	require.Equal(t, 1, batches)
	require.Empty(t, p.reports)
}

// A node that has two addresses is one node.
func TestTwoAddressesOfOneNode(t *testing.T) {
	p := newScene(t, 3)
	p.ID = "d6e2b10e6ff1f4cd7e5bd8ab9d0a3d4ee0b9f3ab"
	other := strings.Replace(p.url, "127.0.0.1", "localhost", 1)
	_, err := p.head(t, p.trust(), p.url, other)
	require.NoError(t, err)
	require.Equal(t, []string{p.url}, p.witnesses)
	require.Len(t, p.reports, 1)
	require.Contains(t, p.reports[0], other+": it is the same node as "+p.url+", by its id d6e2b1")

	// The id is what a node says: one that takes another's hides nothing.
	fork := newScene(t, 3)
	fork.Start, fork.ID = p.Start, p.ID
	fork.Vaults[0].Threshold = 1
	p.store = memTrust{}
	_, err = p.head(t, p.trust(), fork.url, p.url)
	require.ErrorIs(t, err, ErrNoTrust)
	require.ErrorContains(t, err, "do not agree")
}

func TestAChainThatStandsStill(t *testing.T) {
	for name, tc := range map[string]struct {
		age    time.Duration
		change func(p, other *scene)
		halted bool
		period time.Duration
	}{
		"for longer than the trusting period": {
			age: 30 * 24 * time.Hour, halted: true, period: 31 * 24 * time.Hour,
		},
		"and one node lacks the last block": {
			age: 30 * 24 * time.Hour, halted: true, period: 31 * 24 * time.Hour,
			change: func(p, _ *scene) { p.Advance(1) },
		},
		"while a node is catching up": {
			age: 30 * 24 * time.Hour, change: func(_, other *scene) { other.CatchingUp = true },
		},
		"for some nodes alone": {
			age: 30 * 24 * time.Hour, change: func(p, _ *scene) { p.Advance(50) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, other := newScene(t, 3), newScene(t, 3)
			p.Start = time.Now().Add(-tc.age).Truncate(time.Second).UTC()
			other.Start = p.Start
			if tc.change != nil {
				tc.change(p, other)
			}
			_, err := p.head(t, p.trust(), p.url, other.url)
			require.ErrorIs(t, err, ErrExpired)
			var halted *HaltedError
			if !tc.halted {
				require.NotErrorAs(t, err, &halted)
				return
			}
			require.ErrorAs(t, err, &halted)
			require.Equal(t, p.Height, halted.Height)
			require.InDelta(t, tc.period, halted.Period, float64(time.Hour+time.Minute))

			// The block that it names does not help by itself, and does with the period.
			given := p.trust()
			given.Height, given.Hash = halted.Height, halted.Hash
			_, err = p.head(t, given, p.url, other.url)
			require.ErrorAs(t, err, &halted)
			given.Period = halted.Period
			s, err := p.head(t, given, p.url, other.url)
			require.NoError(t, err)
			_, err = s.Vaults(t.Context(), raw(t, p.member))
			require.NoError(t, err)

			// What was kept is too old another time, and its age is what counts.
			_, err = p.head(t, p.trust(), p.url)
			require.ErrorAs(t, err, &halted)
		})
	}
	t.Run("for less, which is said", func(t *testing.T) {
		node, url := fakenode.New(t)
		node.Start = time.Now().Add(-5 * 24 * time.Hour)
		p := &scene{Node: node, url: url, store: memTrust{}}
		_, err := p.head(t, p.trust(), url)
		require.NoError(t, err)
		require.Contains(t, strings.Join(p.reports, "\n"), "the chain stands still")
	})
}

// A node that says that it is far behind does not get rid of one that has pruned what it names.
func TestALowHeightIsNoWayToBeAlone(t *testing.T) {
	p, fork := newScene(t, 3), newScene(t, 3)
	fork.Start = p.Start
	p.Advance(50)
	p.Lock()
	p.Earliest = p.Height
	p.Unlock()
	fork.Vaults[0].Threshold = 1
	_, err := p.head(t, p.trust(), p.url, fork.url)
	require.ErrorIs(t, err, ErrNoTrust)
	require.Empty(t, p.store)
}

// A gateway may serve some methods and not others.
func TestANodeThatDoesNotShowBlocks(t *testing.T) {
	p := newScene(t, 3)
	node := hostile.New(t, p.url)
	node.Tell(hostile.Lie{Ask: func(c *hostile.Call) {
		if c.Method == "block" {
			c.Params["height"] = json.RawMessage(`{}`)
		}
	}})
	c := clients(t, node.URL)[0]
	_, err := c.BlockTxs(t.Context(), 5)
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "it shows no block")
}
