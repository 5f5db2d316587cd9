package term

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	signer = "cosmos1signer"
	poll   = time.Millisecond
)

// fakeChain takes claims as consensus does. Blocks come when the test says so, or with each look.
type fakeChain struct {
	mu       sync.Mutex
	height   int64
	term     types.QuerySignerTermResponse
	sequence uint64
	pool     []fakeTx
	halted   bool  // no blocks come
	down     error // of all that is asked
	lose     int   // so many transactions are lost
	refuse   error // of each transaction
	free     uint32
	// claims are the nonces of all terms that began.
	claims []string
}

type fakeTx struct {
	msg *types.MsgClaimSigner
	p   chain.TxParams
}

func newChain() *fakeChain { return &fakeChain{height: 1, free: 3} }

func (c *fakeChain) SignerTerm(context.Context, string) (types.QuerySignerTermResponse, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.halted {
		c.block()
	}
	res := c.term
	res.FreeClaims, res.FreeClaimsHeight = c.free, c.height+10
	return res, c.height, c.down
}

// block executes what waits.
func (c *fakeChain) block() {
	c.height++
	pool := c.pool
	c.pool = nil
	for _, tx := range pool {
		if tx.p.Sequence != c.sequence || uint64(c.height) > tx.p.TimeoutHeight ||
			tx.msg.ExpectedTerm != c.term.Term || c.term.Height == c.height {
			continue
		}
		c.sequence++
		c.term = types.QuerySignerTermResponse{
			Term: c.term.Term + 1, Nonce: fmt.Sprintf("%x", tx.msg.Nonce), Height: c.height,
		}
		c.claims = append(c.claims, c.term.Nonce)
	}
}

func (c *fakeChain) Account(context.Context, string) (uint64, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 7, c.sequence, c.down
}

func (c *fakeChain) Broadcast(_ context.Context, bz []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return c.refuse
	}
	var msg types.MsgClaimSigner
	var p chain.TxParams
	if _, err := fmt.Sscanf(string(bz[:40]), "%20d%20d", &p.Sequence, &p.TimeoutHeight); err != nil {
		return err
	}
	if err := proto.Unmarshal(bz[40:], &msg); err != nil {
		return err
	}
	if p.Sequence != c.sequence {
		return sdkerrors.ErrWrongSequence
	}
	if c.lose > 0 {
		c.lose--
		return nil
	}
	c.pool = append(c.pool, fakeTx{&msg, p})
	return nil
}

func sign(msg proto.Message, p chain.TxParams) ([]byte, error) {
	bz, err := proto.Marshal(msg)
	return append(fmt.Appendf(nil, "%20d%20d", p.Sequence, p.TimeoutHeight), bz...), err
}

// verified is the record of the chain as it is.
func (c *fakeChain) verified(context.Context) (types.SignerTerm, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nonce, err := claim{Nonce: c.term.Nonce}.bytes()
	return types.SignerTerm{Term: c.term.Term, Nonce: nonce, Height: c.term.Height}, err
}

// another instance claims.
func (c *fakeChain) another() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height++
	c.term = types.QuerySignerTermResponse{
		Term: c.term.Term + 1, Nonce: fmt.Sprintf("%x", bytes.Repeat([]byte{byte(c.height)}, 32)), Height: c.height,
	}
}

func newHome(t testing.TB) string {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return filepath.Join(dir, "term.json")
}

// start is a process with a home.
func (c *fakeChain) start(t testing.TB, path string) *Holder { return c.open(t, path, false) }

// startStandby is one that is to stand by.
func (c *fakeChain) startStandby(t testing.TB, path string) *Holder { return c.open(t, path, true) }

func (c *fakeChain) open(t testing.TB, path string, standby bool) *Holder {
	h, err := Open(Config{
		ChainID: "chain-1", Address: signer, Path: path, Chain: c, Sign: sign,
		Verified: c.verified, Standby: standby, Log: zerolog.Nop(), Poll: poll,
	})
	require.NoError(t, err)
	return h
}

// acts has a process acquire a term.
func acts(t testing.TB, h *Holder) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	number, err := h.Acquire(ctx)
	require.NoError(t, err)
	require.Equal(t, Acting, h.Status().State)
	require.Empty(t, h.Status().Problems())
	return number
}

// waits has a process try until it is in a state for the reason, and end.
func waits(t testing.TB, h *Holder, state State, reason string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := h.Acquire(ctx)
		done <- err
	}()
	require.Eventually(t, func() bool {
		st := h.Status()
		return st.State == state && len(st.Problems()) == 1 && bytes.Contains([]byte(st.Reason), []byte(reason))
	}, 20*time.Second, poll, reason)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func clone(t testing.TB, path string) string {
	to := newHome(t)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
	return to
}

func TestEachStartTakesATerm(t *testing.T) {
	c, path := newChain(), newHome(t)
	for want := uint64(1); want <= 3; want++ {
		require.Equal(t, want, acts(t, c.start(t, path)))
	}
}

func TestAClonedHomeStartedTwice(t *testing.T) {
	c, path := newChain(), newHome(t)
	first := c.start(t, path)
	require.EqualValues(t, 1, acts(t, first))
	other := clone(t, path)
	second := c.start(t, other)
	require.EqualValues(t, 2, acts(t, second), "made since the last start, it wins once")
	require.ErrorIs(t, first.Watch(t.Context()), ErrFenced)
	require.Equal(t, Fenced, first.Status().State)
	waits(t, first, Fenced, "bifrost promote --expect 2")
	waits(t, c.start(t, path), Fenced, "term 2, claimed in block")
	require.EqualValues(t, 3, acts(t, c.start(t, other)), "the other one goes on as it likes")
}

func TestAHomeThatNeverClaimedWaitsWhereAnotherHas(t *testing.T) {
	c := newChain()
	c.another()
	waits(t, c.start(t, newHome(t)), Fenced, "bifrost promote --expect 1")
}

func TestAPromotionWorksOnce(t *testing.T) {
	c, path := newChain(), newHome(t)
	c.another()
	h := c.start(t, path)
	require.ErrorIs(t, h.Promote(t.Context(), 1), ErrNotPromoted, "it does not know yet")
	acquired := make(chan uint64, 1)
	go func() {
		number, _ := h.Acquire(t.Context())
		acquired <- number
	}()
	require.Eventually(t, func() bool { return h.Status().State == Fenced }, 20*time.Second, poll)
	for _, other := range []uint64{0, 2} {
		require.ErrorIs(t, h.Promote(t.Context(), other), ErrNotPromoted)
	}
	require.NoError(t, h.Promote(t.Context(), 1))
	require.EqualValues(t, 2, <-acquired)
	require.True(t, h.Promoted())
	require.ErrorIs(t, h.Promote(t.Context(), 1), ErrNotPromoted)
	require.ErrorIs(t, h.Promote(t.Context(), 2), ErrNotPromoted, "it acts already")
	h = c.start(t, path)
	require.EqualValues(t, 3, acts(t, h), "it is as good as another home from then on")
	require.False(t, h.Promoted())
}

// idle has a process stand by, or be fenced, and acquire a term when it is promoted.
func idle(t testing.TB, h *Holder, state State) (acquired chan uint64) {
	acquired = make(chan uint64, 1)
	go func() {
		number, _ := h.Acquire(t.Context())
		acquired <- number
	}()
	require.Eventually(t, func() bool { return h.Status().State == state }, 20*time.Second, poll)
	return acquired
}

func TestAnInstanceStandsBy(t *testing.T) {
	c, path, other := newChain(), newHome(t), newHome(t)
	h := c.startStandby(t, path)
	acquired := idle(t, h, Standby)
	require.Empty(t, h.Status().Problems(), "that is what it is for")
	require.Contains(t, h.Status().Reason, "nobody has claimed")

	require.EqualValues(t, 1, acts(t, c.start(t, other)))
	require.Eventually(t, func() bool { return h.Status().Term == 1 }, 20*time.Second, poll)
	require.Contains(t, h.Status().Reason, "bifrost promote --expect 1")
	require.ErrorIs(t, h.Promote(t.Context(), 0), ErrNotPromoted)
	require.NoError(t, h.Promote(t.Context(), 1))
	require.EqualValues(t, 2, <-acquired)
	require.True(t, h.Promoted())

	h = c.startStandby(t, path)
	require.EqualValues(t, 3, acts(t, h), "its home has the term, so it goes on after a restart")
	require.False(t, h.Promoted())
	c.another()
	require.ErrorIs(t, h.Watch(t.Context()), ErrFenced)
	waits(t, h, Fenced, "fenced")
	require.Len(t, h.Status().Problems(), 1, "it acted, and somebody should know")
	idle(t, c.startStandby(t, path), Standby)
}

func TestAnInstanceThatStandsByIsTheFirst(t *testing.T) {
	c := newChain()
	h := c.startStandby(t, newHome(t))
	acquired := idle(t, h, Standby)
	c.lose = 30 // its first claim runs out
	require.NoError(t, h.Promote(t.Context(), 0))
	require.EqualValues(t, 1, <-acquired)
}

func TestAPromotionThatLosesTheRaceIsTold(t *testing.T) {
	c := newChain()
	c.another()
	h := c.start(t, newHome(t))
	go func() { _, _ = h.Acquire(t.Context()) }()
	require.Eventually(t, func() bool { return h.Status().State == Fenced }, 20*time.Second, poll)
	c.mu.Lock()
	c.lose = 1 << 20
	c.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- h.Promote(t.Context(), 1) }()
	require.Eventually(t, func() bool { return h.Status().State == Waiting }, 20*time.Second, poll)
	c.another()
	require.ErrorIs(t, <-done, ErrNotPromoted)
	require.Eventually(t, func() bool { return h.Status().State == Fenced }, 20*time.Second, poll)
}

func TestClaimsThatDoNotArrive(t *testing.T) {
	for name, prepare := range map[string]func(c *fakeChain){
		"lost, and handed over again":  func(c *fakeChain) { c.lose = 2 },
		"lost until it is over":        func(c *fakeChain) { c.lose = 5 },
		"after a sequence that is old": func(c *fakeChain) { c.sequence = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain()
			prepare(c)
			require.EqualValues(t, 1, acts(t, c.start(t, newHome(t))))
		})
	}
	c, path := newChain(), newHome(t)
	c.refuse = errors.New("no thanks")
	waits(t, c.start(t, path), Waiting, "no thanks")
	c.refuse, c.free = nil, 0
	c.height += timeout
	waits(t, c.start(t, path), Waiting, "the next claim is free in block")
	c.free, c.down = 1, errors.New("away")
	waits(t, c.start(t, path), Waiting, "away")
	c.down = nil
	require.EqualValues(t, 1, acts(t, c.start(t, path)))
	c.term = types.QuerySignerTermResponse{}
	waits(t, c.start(t, path), Waiting, "lags behind")
}

// While the chain halts nobody acts, and a claim from before finds its block afterwards.
func TestTheChainHalts(t *testing.T) {
	c, path := newChain(), newHome(t)
	c.halted = true
	waits(t, c.start(t, path), Waiting, "claiming term 1, until block")
	require.Len(t, c.pool, 1)
	h := c.start(t, path)
	waits(t, h, Waiting, "from before it started")
	require.Len(t, c.pool, 1, "it sends no other")
	c.halted = false
	require.EqualValues(t, 2, acts(t, c.start(t, path)), "the claim of the process before is this home's")
	require.Len(t, c.claims, 2)
}

// What the node says alone fences nobody that acts.
func TestOnlyAVerifiedTermFences(t *testing.T) {
	c := newChain()
	h := c.start(t, newHome(t))
	acts(t, h)
	lie := c.verified
	var asked int
	h.cfg.Verified = func(ctx context.Context) (types.SignerTerm, error) {
		switch asked++; asked {
		case 1:
			return types.SignerTerm{}, errors.New("nothing is verified")
		case 2:
			own, _ := h.file.bytes()
			return types.SignerTerm{Term: h.file.Term, Nonce: own}, nil
		}
		return lie(ctx)
	}
	c.another()
	require.ErrorIs(t, h.Watch(t.Context()), ErrFenced)
	require.Equal(t, 3, asked)
}

func TestTheFileOfAHome(t *testing.T) {
	path := newHome(t)
	nonce := bytes.Repeat([]byte{1}, types.ClaimNonceSize)
	for _, f := range []file{
		{claim: newClaim(3, nonce)},
		{claim: newClaim(3, nonce), Pending: &pending{claim: newClaim(4, nonce), Timeout: 77}},
		{Pending: &pending{claim: newClaim(1, nonce), Timeout: 7}},
	} {
		require.NoError(t, f.save(path, "chain-1", signer))
		got, err := load(path, "chain-1", signer)
		require.NoError(t, err)
		require.Equal(t, f, got)
	}
	_, err := load(path, "chain-2", signer)
	require.ErrorContains(t, err, "used for something else")
	_, err = load(path, "chain-1", "another")
	require.ErrorContains(t, err, "used for something else")
	for _, text := range []string{
		"", "{", `{"version":2}`, `{"version":1,"term":1,"nonce":""}`, `{"version":1,"term":1,"nonce":"zz"}`,
		`{"version":1,"pending":{"term":1,"nonce":"00"}}`,
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := load(path, "chain-1", signer)
		require.ErrorContains(t, err, "is damaged", text)
	}
}

// TestNeverTwoInATerm has homes be copied, started, killed and promoted in any order: each term has
// one process that ever acted in it.
func TestNeverTwoInATerm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newChain()
		homes := []string{newHome(t)}
		holders := map[uint64]int{} // processes that acted in a term
		processes := 0
		steps := map[string]func(*rapid.T){
			"copy": func(rt *rapid.T) {
				from := rapid.SampledFrom(homes).Draw(rt, "home")
				if _, err := os.Stat(from); err == nil { // it has claimed
					homes = append(homes, clone(t, from))
				}
			},
			"new home": func(*rapid.T) { homes = append(homes, newHome(t)) },
			"start": func(rt *rapid.T) {
				c.halted = rapid.IntRange(0, 3).Draw(rt, "halts") == 0
				c.lose = rapid.IntRange(0, 2).Draw(rt, "lost")
				n := rapid.IntRange(1, 3).Draw(rt, "at once")
				looks := rapid.IntRange(1, 4).Draw(rt, "looks")
				var wg sync.WaitGroup
				var mu sync.Mutex
				// One process at a time has a home.
				for _, path := range rapid.Permutation(homes).Draw(rt, "homes")[:min(n, len(homes))] {
					processes++
					id := processes
					h := c.start(t, path)
					promote := rapid.Bool().Draw(rt, "promote")
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(looks)*3*poll)
					wg.Go(func() {
						defer cancel()
						if promote {
							wg.Go(func() {
								tick := time.NewTicker(poll)
								defer tick.Stop()
								for {
									select {
									case <-ctx.Done():
										return
									case <-tick.C:
										_ = h.Promote(ctx, h.Status().Term)
									}
								}
							})
						}
						number, err := h.Acquire(ctx)
						if err != nil {
							return
						}
						mu.Lock()
						defer mu.Unlock()
						if before, ok := holders[number]; ok {
							panic(fmt.Sprintf("processes %d and %d acted in term %d", before, id, number))
						}
						holders[number] = id
					})
				}
				wg.Wait()
			},
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			name := rapid.SampledFrom([]string{"copy", "new home", "start", "start", "start"}).Draw(rt, "step")
			steps[name](rt)
		}
	})
}
