//go:build page

package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/browser"
	"github.com/tssbackup/tssbackup/testutil/hostile"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	axe      = flag.String("axe", "", "file of axe-core")
	pictures = flag.Bool("write-pictures", false, "write the pictures of docs")
)

// The sizes at which pages are looked at.
var (
	wide   = browser.As{Width: 1280, Height: 1000}
	tablet = browser.As{Width: 820, Height: 1000, Dark: true}
	phone  = browser.As{Width: 390, Height: 844}
	sizes  = map[string]browser.As{"wide": wide, "tablet": tablet, "phone": phone}
)

// picture keeps what a page looks like, if that was asked for.
func picture(t *testing.T, p *browser.Page, name string) {
	if *pictures && name != "" {
		require.NoError(t, os.WriteFile(filepath.Join("..", "..", "docs", name+".png"), p.Picture(), 0o600))
	}
}

// wellMade looks at a page as somebody would who cannot see it, has no mouse, or a small screen: axe-core
// finds nothing serious, nothing is wider than the page, and the page has asked nobody else for
// anything.
func wellMade(t *testing.T, p *browser.Page, url string) {
	library, err := os.ReadFile(*axe)
	require.NoError(t, err, "make test-page gives -axe")
	p.Eval(string(library)+"; true", nil)
	var violations []struct {
		ID, Impact string
		At         []string
	}
	p.Eval(`axe.run(document).then(found => found.violations.map(v =>
		({id: v.id, impact: v.impact, at: v.nodes.map(n => n.html).slice(0, 3)})))`, &violations)
	for _, v := range violations {
		require.NotContains(t, []string{"serious", "critical"}, v.Impact, "%s: %s", v.ID, v.At)
	}
	var width, room int
	p.Eval("document.documentElement.scrollWidth", &width)
	p.Eval("document.documentElement.clientWidth", &room)
	require.LessOrEqual(t, width, room, "nobody scrolls to the side")
	require.NotEmpty(t, p.Requests())
	for _, address := range p.Requests() {
		require.True(t, strings.HasPrefix(address, url+"/"), address)
	}
}

// TestThePageInABrowser looks at the page of a network in its daily life, of one of which a vault is
// lost and a node hides it, and of a chain that stands still.
func TestThePageInABrowser(t *testing.T) {
	day, f := harbor(t)
	day.pretend(f)
	lost := newScene(t, 6)
	lost.vault(1, active, lost.members, 2, 1)
	lost.vault(2, active, lost.members, 6, 6)
	proxy := hostile.New(t, lost.url)
	g := lost.follower(proxy.URL)
	require.NoError(t, g.once(t.Context()))
	hide(proxy)
	lost.later(time.Second)
	require.Error(t, g.once(t.Context()))
	still := newScene(t, 4)
	still.vault(1, active, still.members, 4, 4)
	h := still.follower()
	require.NoError(t, h.once(t.Context()))
	still.clock = still.clock.Add(20 * time.Minute)
	require.NoError(t, h.once(t.Context()))

	chromium := browser.New(t)
	for name, tc := range map[string]struct {
		s    *scene
		f    *follower
		says string
	}{
		"a day":           {day, f, "Every vault is recoverable"},
		"a vault is lost": {lost, g, "1 vault is not recoverable, when it was last verified"},
		"it stands still": {still, h, "The chain stands still"},
	} {
		url := tc.s.server(tc.f)
		for size, as := range sizes {
			t.Run(name+", "+size, func(t *testing.T) {
				p := chromium.Open(url+"/", as)
				require.Contains(t, p.HTML(), tc.says)
				require.NotContains(t, p.HTML(), `<script>alert`)
				wellMade(t, p, url)
				if tc.f == f {
					picture(t, chromium.Open(url+"/", as), "watch-"+size)
				}
			})
		}
	}
	t.Run("without script", func(t *testing.T) {
		as := phone
		as.NoScript = true
		html := chromium.Open(day.server(f)+"/", as).HTML()
		require.Contains(t, html, "Every vault is recoverable")
		require.Contains(t, html, "1 backup is missing, of validator-10")
	})
}

// TestThePageListensAgain has the stream refused at first, as a web server before the page does while
// the page is started anew.
func TestThePageListensAgain(t *testing.T) {
	s := newScene(t, 4)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	var refused atomic.Int64
	handler := newServer(f, "").Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" && refused.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p := browser.New(t).Open(server.URL+"/", phone)
	s.vault(1, active, s.members, 4, 4)
	s.later(time.Second)
	require.NoError(t, f.once(t.Context()))
	p.Await(`document.body.innerText.includes("The vault is recoverable")`)
	require.EqualValues(t, 2, refused.Load())
}

// TestThePageWithoutAMouse goes through the page by the keyboard: what has the focus is to be seen, in
// the order of the page, and opens and shuts.
func TestThePageWithoutAMouse(t *testing.T) {
	s, f := harbor(t)
	p := browser.New(t).Open(s.server(f)+"/", phone)
	var focused []string
	for {
		p.Press("Tab")
		var at struct {
			Text, Outline string
			Left, Bottom  float64
			End           bool
		}
		p.Eval(`(() => {
			const at = document.activeElement, box = at.getBoundingClientRect();
			return {text: at.getAttribute("aria-label") || at.innerText.split("\n")[0], left: box.left, bottom: box.bottom,
				outline: getComputedStyle(at).outlineStyle, end: at === document.body};
		})()`, &at)
		if at.End || len(focused) > 0 && at.Text == focused[0] {
			break
		}
		require.Equal(t, "solid", at.Outline, at.Text)
		require.GreaterOrEqual(t, at.Left, 0.0, at.Text)
		require.Positive(t, at.Bottom, at.Text)
		focused = append(focused, at.Text)
		require.Less(t, len(focused), 50, "%s", focused)
		if strings.HasPrefix(at.Text, "Churn 3") {
			p.Press("Enter")
			p.Await(`document.getElementById("churn-3").open`)
			p.Press("Enter")
			p.Await(`!document.getElementById("churn-3").open`)
		}
	}
	var heads []string
	p.Eval(`[...document.querySelectorAll("summary")].map(s => s.innerText.split("\n")[0])`, &heads)
	require.Len(t, heads, 6)
	require.Subset(t, focused, heads)
	require.Equal(t, []string{"Skip to the vaults", "Vaults", "Over time", "Churns", "About", heads[0]}, focused[:6])
}

// TestThePageOfALiveNetwork has the browser show real validators at every size at once, through a
// churn, a member that is lost, nodes that hide a vault, and the end of all blocks. Nobody loads a page
// again: each renews itself.
func TestThePageOfALiveNetwork(t *testing.T) {
	n := network.New(t, network.Config{ChainID: "harbor-1", Tssbackup: func(gs *types.GenesisState) {
		gs.Params.KeygenDeadline, gs.Params.RetryInterval, gs.Params.PenaltyBlocks = 40, 500, 10_000
	}})
	n.RegisterSigners()
	one, other := hostile.New(t, n.Validators[0].RPC()), hostile.New(t, n.Validators[1].RPC())
	s := newScene(t, 0)
	f := s.follower(one.URL, other.URL)
	var ahead atomic.Int64
	f.looker.repeat = f.looker.auditOf
	f.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	url := s.server(f)
	chromium := browser.New(t)
	open := map[string]*browser.Page{}
	for size, as := range sizes {
		open[size] = chromium.Open(url+"/", as)
	}
	// shows has every page say something, and keeps the picture of the phone if it has a name.
	shows := func(name string, says ...string) {
		t.Helper()
		for size, p := range open {
			for _, text := range says {
				p.Await(fmt.Sprintf("document.body.innerText.includes(%q)", text))
			}
			if size == "phone" {
				picture(t, p, name)
			}
		}
	}
	look := func() {
		t.Helper()
		n.WaitBlocks(2)
		require.NoError(t, f.once(t.Context()), s.log)
	}

	shows("", "Nothing is verified yet")
	churn := n.StartChurn()
	look()
	shows("watch-live-churn", "There is no vault yet", n.ChainID, "keygen 1 open", n.Validators[3].Moniker)
	n.Publish(churn)
	look()
	shows("", "The vault is recoverable", "4 of 4", "keygen 1 ready")

	// A signer is lost after it has joined the next keygen.
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	gone := n.Validators[3]
	for i, v := range n.Validators[:3] {
		vote := ballot.Vote(network.NewVault("the next"), v.Signer, network.Seal(t, v.Signer, 2000))
		if ballot.Split && i > 0 {
			vote = ballot.Named(vote)
		}
		n.SendVote(v.Signer, vote)
	}
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_FAILED)
	look()
	shows("watch-live-lost-member", "The vault is recoverable", "sits out: "+gone.Moniker, "keygen 2 failed")

	hide(one)
	look()
	require.Len(t, f.latest().Vaults, 1, "the other node is asked")
	require.Contains(t, s.log.String(), strings.TrimPrefix(one.URL, "http://"), "who lies is named")
	hide(other)
	n.WaitBlocks(2)
	require.Error(t, f.once(t.Context()), "nobody is left to be believed")
	shows("watch-live-hidden", "The vault is recoverable, when it was last verified", "not what the validators have signed")
	one.Tell(hostile.Lie{})
	other.Tell(hostile.Lie{})
	look()
	shows("", "The vault is recoverable", "keygen 2 failed")

	n.Stop(2)
	n.Stop(3)
	ahead.Store(int64(5 * time.Minute))
	require.NoError(t, f.once(t.Context()), s.log)
	for _, p := range open {
		p.Eval("{ const now = Date.now; Date.now = () => now() + 300_000 }", nil)
	}
	shows("watch-live-still", "The chain stands still", "5 min ago")
	for _, p := range open {
		wellMade(t, p, url)
		asked := slices.DeleteFunc(p.Requests(), func(address string) bool { return address != url+"/" })
		require.Greater(t, len(asked), 1, "it has fetched itself, and was not loaded again")
	}
}
