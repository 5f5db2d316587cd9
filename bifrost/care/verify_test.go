package care

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

// header is one that the own node shows.
func (w *world) header(t *testing.T) (height int64, hash string) {
	status, err := client(t, w.OwnURL).Status(t.Context())
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
			func(w *world) []string { return []string{w.OtherURL} }, nil, "its witnesses agree on this header",
		},
		{
			"one of two witnesses is there and agrees", func(*testing.T, *world) {},
			func(w *world) []string { return []string{nobody, w.OtherURL} }, nil, "its witnesses agree on this header",
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
			"the own node is not there", func(_ *testing.T, w *world) { w.OwnURL = nobody },
			func(w *world) []string {
				return []string{w.OtherURL, strings.Replace(w.OtherURL, "127.0.0.1", "localhost", 1)}
			},
			chain.ErrNoTrust, "the own node, " + nobody + ", does not show",
		},
		{
			"the witness shows another one", func(_ *testing.T, w *world) { w.Other.Vaults[0].Threshold = 1 },
			func(w *world) []string { return []string{w.OtherURL} }, chain.ErrNoTrust, "do not agree on header",
		},
		{
			"it is configured", func(t *testing.T, w *world) { w.cfg.Trust.Height, w.cfg.Trust.Hash = w.header(t) },
			func(*world) []string { return nil }, nil, "verified by this header",
		},
		{
			"it is configured, and on no node's chain", func(t *testing.T, w *world) {
				w.cfg.Trust.Height, _ = w.header(t)
				w.cfg.Trust.Hash = strings.Repeat("01", 32)
			},
			func(w *world) []string { return []string{w.OtherURL} }, chain.ErrConflict, "under [trust] in config.toml",
		},
		{
			"it is configured, and too old", func(t *testing.T, w *world) {
				w.cfg.Trust.Height, w.cfg.Trust.Hash = w.header(t)
				w.cfg.Trust.Period = home.Duration(time.Second)
			},
			func(w *world) []string { return []string{w.OtherURL} }, chain.ErrExpired, "or remove them",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.Publish(t)
			row.change(t, w)
			r := w.repairer(t)
			v := w.verifier(t, row.witnesses(w)...)
			r.look = v.Look
			r.Once(t.Context())
			header, problems := v.Status()
			if row.err != nil {
				_, err := v.Look(t.Context())
				require.ErrorIs(t, err, row.err)
				require.Contains(t, strings.Join(problems, ""), row.says)
				require.Nil(t, header)
				require.Equal(t, 2, w.untrusted)
				require.Equal(t, 1, strings.Count(w.log.String(), "ARE NOT VERIFIED"))
				require.NoDirExists(t, home.KeysharesDir(w.Home))
				require.NoDirExists(t, home.TrustDir(w.Home))
				return
			}
			require.Empty(t, problems)
			require.Contains(t, w.log.String(), row.says)
			require.Contains(t, w.log.String(), header.Hash)
			require.Equal(t, row.says == "THE OWN NODE ALONE DECIDES", strings.Contains(w.log.String(), "THE OWN NODE ALONE DECIDES"))
			require.Zero(t, w.untrusted)
			w.Holds(t, w.Vaults...)
			for path, mode := range map[string]os.FileMode{home.TrustDir(w.Home): 0o700, w.TrustDir().Path(w.cfg.ChainID): 0o600} {
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
	w.Publish(t)
	r := w.repairer(t)
	v := w.verifier(t)
	r.look = v.Look
	r.Once(t.Context())
	w.Holds(t, w.Vaults...)
	require.NoError(t, os.RemoveAll(home.KeysharesDir(w.Home)))
	kept := w.Kept(t)

	honest := w.OwnURL
	forged := newWorld(t)
	forged.Own.Validators = fakenode.NewValidators("forgers", 4)
	forged.Publish(t)
	forged.Own.Advance(50)
	w.OwnURL = forged.OwnURL
	v = w.verifier(t)
	r.look = v.Look
	require.Equal(t, lookRetry, r.Once(t.Context()))
	_, problems := v.Status()
	require.Contains(t, strings.Join(problems, ""), "nothing is restored")
	require.Contains(t, strings.Join(problems, ""), "what is kept in "+home.TrustDir(w.Home))
	require.Positive(t, w.untrusted)
	require.NoDirExists(t, home.KeysharesDir(w.Home))
	require.Equal(t, kept, w.Kept(t))
	result := w.drill(t).Once(t.Context())
	require.Contains(t, result.Error, "which backups there are is not verified")

	w.OwnURL = honest
	r.look = w.verifier(t).Look
	require.Equal(t, repairInterval, r.Once(t.Context()))
	w.Holds(t, w.Vaults...)
}

func TestVaultThatTheOwnNodeHidesIsRestoredAllTheSame(t *testing.T) {
	for _, row := range []struct {
		name string
		hide func(t *testing.T, w *world)
		says string
	}{
		{"it leaves it out of its list", func(_ *testing.T, w *world) {
			w.Own.Answers["/tssbackup.v1.Query/Vaults"] = func([]byte) abci.ResponseQuery { return abci.ResponseQuery{} }
		}, ""},
		{"it changes the item that is verified", func(t *testing.T, w *world) {
			liar := hostile.New(t, w.OwnURL)
			liar.Tell(hostile.Lie{Answer: hostile.ChangeQuery("/store/tssbackup/key", func(c hostile.Call, res *abci.ResponseQuery) {
				if strings.EqualFold(string(c.Params["data"]), `"`+hex.EncodeToString(types.LiveVaultsKey())+`"`) {
					res.Value, _ = proto.Marshal(&types.LiveVaults{ChurnId: 1})
				}
			})})
			w.OwnURL = liar.URL
		}, "answer is not verified"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.Publish(t)
			row.hide(t, w)
			r := w.repairer(t)
			r.Once(t.Context())
			r.Once(t.Context())
			w.Holds(t, w.Vaults...)
			if row.says != "" {
				require.Contains(t, w.log.String(), row.says)
				require.Equal(t, 1, strings.Count(w.log.String(), row.says), "once, and not at every look")
				require.Contains(t, w.log.String(), w.OwnURL)
			}
		})
	}
}

// Bifrost that was away for longer than a header may be built upon has its keyshares back all the
// same.
func TestKeptHeaderThatIsTooOldIsSaidAndReplacedAsTheFirstTime(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	w.cfg.Trust.Period = home.Duration(2 * time.Minute)
	v := w.verifier(t, w.OtherURL)
	_, err := v.Look(t.Context())
	require.NoError(t, err)
	kept := w.Kept(t)

	w.now = w.now.Add(10 * time.Minute)
	w.Both(func(n *fakenode.Node) { n.Start = n.Start.Add(10 * time.Minute) })
	w.Own.Advance(20)
	w.Other.Advance(20)
	_, err = w.verifier(t, nobody).Look(t.Context())
	require.ErrorIs(t, err, chain.ErrNoTrust)
	require.Equal(t, kept, w.Kept(t))

	w.log.Reset()
	r := w.repairer(t)
	r.Once(t.Context())
	w.Holds(t, w.Vaults...)
	require.Contains(t, w.log.String(), "the trusting period is over for header 100")
	require.Contains(t, w.log.String(), "trusted from now on")
	require.NotEqual(t, kept, w.Kept(t))
}

// A file that is damaged is no reason to begin anew, which an attacker would like.
func TestKeptHeaderThatCannotBeReadIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	damaged := bytes.Repeat([]byte("x"), 10)
	require.NoError(t, w.TrustDir().Save(w.cfg.ChainID, damaged))
	v := w.verifier(t, w.OtherURL)
	_, err := v.Look(t.Context())
	require.ErrorIs(t, err, chain.ErrNoTrust)
	require.ErrorContains(t, err, filepath.Join(w.Home, "trust"))
	require.Equal(t, damaged, w.Kept(t))
}

func TestNodesThatDoNotAnswerAreNoMatterOfTrust(t *testing.T) {
	w := newWorld(t)
	w.OwnURL = nobody
	v := w.verifier(t)
	_, err := v.Look(t.Context())
	require.ErrorIs(t, err, chain.ErrUnreachable)
	_, problems := v.Status()
	require.Contains(t, strings.Join(problems, ""), "node unreachable")
	require.Zero(t, w.untrusted)
}

func TestNodeThatHangsHoldsALookUpForALimitedTime(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	silent := hostile.New(t, w.OwnURL)
	silent.Tell(hostile.Lie{Serve: func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"status"`)) {
			return false
		}
		<-r.Context().Done()
		return true
	}})
	w.OwnURL = silent.URL
	v := w.verifier(t)
	v.timeout = 100 * time.Millisecond
	_, err := v.Look(t.Context())
	require.ErrorIs(t, err, chain.ErrUnreachable)
	require.ErrorContains(t, err, "within 100ms")
	require.Zero(t, w.untrusted, "who does not answer has not lied")
	require.Nil(t, w.Kept(t))
}
