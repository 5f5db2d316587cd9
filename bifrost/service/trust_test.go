package service

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/hostile"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const nobody = "http://127.0.0.1:1"

// kept is the header that is in the home, nil when there is none.
func (w *world) kept(t *testing.T) []byte {
	data, err := chain.TrustDir(home.TrustDir(w.home)).Load(w.cfg.ChainID)
	require.NoError(t, err)
	return data
}

// header is one that the own node shows.
func (w *world) header(t *testing.T) (height int64, hash string) {
	status, err := client(t, w.ownURL).Status(t.Context())
	require.NoError(t, err)
	return status.Height, hex.EncodeToString(status.Hash)
}

func TestFirstHeaderOfAProcessThatNobodyAttends(t *testing.T) {
	for _, row := range []struct {
		name      string
		change    func(t *testing.T, w *world)
		witnesses func(w *world) []string
		err       error
		// says is in the error, or in the log when there is none.
		says string
	}{
		{
			"the own node and its witness agree on it", func(*testing.T, *world) {},
			func(w *world) []string { return []string{w.otherURL} }, nil, "its witnesses agree on this header",
		},
		{
			"one of two witnesses is there and agrees", func(*testing.T, *world) {},
			func(w *world) []string { return []string{nobody, w.otherURL} }, nil, "its witnesses agree on this header",
		},
		{
			"the own node alone decides on it, loudly", func(*testing.T, *world) {},
			func(*world) []string { return nil }, nil, "THE OWN NODE ALONE DECIDES",
		},
		{
			"no witness is there", func(*testing.T, *world) {},
			func(*world) []string { return []string{nobody} }, chain.ErrNoTrust, "no witness answers",
		},
		{
			"the own node is not there", func(_ *testing.T, w *world) { w.ownURL = nobody },
			func(w *world) []string {
				return []string{w.otherURL, strings.Replace(w.otherURL, "127.0.0.1", "localhost", 1)}
			},
			chain.ErrNoTrust, "the own node, " + nobody + ", does not show",
		},
		{
			"the witness shows another one", func(_ *testing.T, w *world) { w.other.Vaults[0].Threshold = 1 },
			func(w *world) []string { return []string{w.otherURL} }, chain.ErrNoTrust, "do not agree on header",
		},
		{
			"it is configured", func(t *testing.T, w *world) { w.cfg.Trust.Height, w.cfg.Trust.Hash = w.header(t) },
			func(*world) []string { return nil }, nil, "proven by this header",
		},
		{
			"it is configured, and on no node's chain", func(t *testing.T, w *world) {
				w.cfg.Trust.Height, _ = w.header(t)
				w.cfg.Trust.Hash = strings.Repeat("01", 32)
			},
			func(w *world) []string { return []string{w.otherURL} }, chain.ErrConflict, "under [trust] in config.toml",
		},
		{
			"it is configured, and too old", func(t *testing.T, w *world) {
				w.cfg.Trust.Height, w.cfg.Trust.Hash = w.header(t)
				w.cfg.Trust.Period = home.Duration(time.Second)
			},
			func(w *world) []string { return []string{w.otherURL} }, chain.ErrExpired, "or remove them",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			row.change(t, w)
			r := w.repairer(t)
			p := w.prover(t, row.witnesses(w)...)
			r.look = p.look
			r.run(t.Context())
			header, problem := p.status()
			if row.err != nil {
				_, err := p.look(t.Context())
				require.ErrorIs(t, err, row.err)
				require.Contains(t, problem, row.says)
				require.Nil(t, header)
				require.Equal(t, 2, w.untrusted)
				require.Equal(t, 1, strings.Count(w.log.String(), "ARE NOT PROVEN"))
				require.NoDirExists(t, home.KeysharesDir(w.home))
				require.NoDirExists(t, home.TrustDir(w.home))
				return
			}
			require.Empty(t, problem)
			require.Contains(t, w.log.String(), row.says)
			require.Contains(t, w.log.String(), header.Hash)
			require.Equal(t, row.says == "THE OWN NODE ALONE DECIDES", strings.Contains(w.log.String(), "THE OWN NODE ALONE DECIDES"))
			require.Zero(t, w.untrusted)
			w.holds(t, w.vaults...)
			for path, mode := range map[string]os.FileMode{home.TrustDir(w.home): 0o700, chain.TrustDir(home.TrustDir(w.home)).Path(w.cfg.ChainID): 0o600} {
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.Equal(t, mode, info.Mode().Perm())
			}
		})
	}
}

// What was verified is held against the own node too, also when it is all there is.
func TestOwnNodeThatGoesOnWithAnotherChainRestoresNothing(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	r := w.repairer(t)
	p := w.prover(t)
	r.look = p.look
	r.run(t.Context())
	w.holds(t, w.vaults...)
	require.NoError(t, os.RemoveAll(home.KeysharesDir(w.home)))
	kept := w.kept(t)

	honest := w.ownURL
	forged := newWorld(t)
	forged.own.Validators = fakenode.NewValidators("forgers", 4)
	forged.publish(t)
	forged.own.Advance(50)
	w.ownURL = forged.ownURL
	p = w.prover(t)
	r.look = p.look
	require.Equal(t, lookRetry, r.run(t.Context()))
	_, problem := p.status()
	require.Contains(t, problem, "nothing is restored")
	require.Contains(t, problem, "what is kept in "+home.TrustDir(w.home))
	require.Positive(t, w.untrusted)
	require.NoDirExists(t, home.KeysharesDir(w.home))
	require.Equal(t, kept, w.kept(t))
	result := w.drill(t).run(t.Context())
	require.Contains(t, result.Error, "which backups there are is not proven")

	w.ownURL = honest
	r.look = w.prover(t).look
	require.Equal(t, repairInterval, r.run(t.Context()))
	w.holds(t, w.vaults...)
}

func TestVaultThatTheOwnNodeHidesIsRestoredAllTheSame(t *testing.T) {
	for _, row := range []struct {
		name string
		hide func(t *testing.T, w *world)
		says string
	}{
		{"it leaves it out of its list", func(_ *testing.T, w *world) {
			w.own.Answers["/tssbackup.v1.Query/Vaults"] = func([]byte) abci.ResponseQuery { return abci.ResponseQuery{} }
		}, ""},
		{"it changes the item that is proven", func(t *testing.T, w *world) {
			liar := hostile.New(t, w.ownURL)
			liar.Tell(hostile.Lie{Answer: hostile.ChangeQuery("/store/tssbackup/key", func(c hostile.Call, res *abci.ResponseQuery) {
				if strings.EqualFold(string(c.Params["data"]), `"`+hex.EncodeToString(types.LiveVaultsKey())+`"`) {
					res.Value, _ = proto.Marshal(&types.LiveVaults{ChurnId: 1})
				}
			})})
			w.ownURL = liar.URL
		}, "answer is not verified"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			row.hide(t, w)
			r := w.repairer(t)
			r.run(t.Context())
			r.run(t.Context())
			w.holds(t, w.vaults...)
			if row.says != "" {
				require.Contains(t, w.log.String(), row.says)
				require.Equal(t, 1, strings.Count(w.log.String(), row.says), "once, and not at every look")
				require.Contains(t, w.log.String(), w.ownURL)
			}
		})
	}
}

// Bifrost that was away for longer than a header may be built upon has its
// keyshares back all the same.
func TestKeptHeaderThatIsTooOldIsSaidAndReplacedAsTheFirstTime(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	w.cfg.Trust.Period = home.Duration(2 * time.Minute)
	p := w.prover(t, w.otherURL)
	_, err := p.look(t.Context())
	require.NoError(t, err)
	kept := w.kept(t)

	w.now = w.now.Add(10 * time.Minute)
	w.both(func(n *fakenode.Node) { n.Start = n.Start.Add(10 * time.Minute) })
	w.own.Advance(20)
	w.other.Advance(20)
	_, err = w.prover(t, nobody).look(t.Context())
	require.ErrorIs(t, err, chain.ErrNoTrust)
	require.Equal(t, kept, w.kept(t))

	w.log.Reset()
	r := w.repairer(t)
	r.run(t.Context())
	w.holds(t, w.vaults...)
	require.Contains(t, w.log.String(), "the trusting period is over for header 100")
	require.Contains(t, w.log.String(), "trusted from now on")
	require.NotEqual(t, kept, w.kept(t))
}

// A file that is damaged is no reason to begin anew, which an attacker would like.
func TestKeptHeaderThatCannotBeReadIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	damaged := bytes.Repeat([]byte("x"), 10)
	require.NoError(t, chain.TrustDir(home.TrustDir(w.home)).Save(w.cfg.ChainID, damaged))
	p := w.prover(t, w.otherURL)
	_, err := p.look(t.Context())
	require.ErrorIs(t, err, chain.ErrNoTrust)
	require.ErrorContains(t, err, filepath.Join(w.home, "trust"))
	require.Equal(t, damaged, w.kept(t))
}

func TestNodesThatDoNotAnswerAreNoMatterOfTrust(t *testing.T) {
	w := newWorld(t)
	w.ownURL = nobody
	p := w.prover(t)
	_, err := p.look(t.Context())
	require.ErrorIs(t, err, chain.ErrUnreachable)
	_, problem := p.status()
	require.Contains(t, problem, "node unreachable")
	require.Zero(t, w.untrusted)
}

func TestNodeThatHangsHoldsALookUpForALimitedTime(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	silent := hostile.New(t, w.ownURL)
	silent.Tell(hostile.Lie{Serve: func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"status"`)) {
			return false
		}
		<-r.Context().Done()
		return true
	}})
	w.ownURL = silent.URL
	p := w.prover(t)
	p.timeout = 100 * time.Millisecond
	_, err := p.look(t.Context())
	require.ErrorIs(t, err, chain.ErrUnreachable)
	require.ErrorContains(t, err, "within 100ms")
	require.Zero(t, w.untrusted, "who does not answer has not lied")
	require.Nil(t, w.kept(t))
}
