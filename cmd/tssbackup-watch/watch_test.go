package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	chainvault "github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/hostile"
	"github.com/tssbackup/tssbackup/testutil/pages"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	active   = types.VaultStatus_VAULT_STATUS_ACTIVE
	retiring = types.VaultStatus_VAULT_STATUS_RETIRING
)

func TestThatPagesTellOfEveryCommand(t *testing.T) { pages.Check(t, program) }

// TestItHoldsNothingThatKnowsASecret looks at everything that is in the binary.
func TestItHoldsNothingThatKnowsASecret(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	module := "github.com/tssbackup/tssbackup/"
	require.Contains(t, string(out), module+"bifrost/chain\n")
	for _, secret := range []string{
		"bifrost/signer", "bifrost/envelope", "bifrost/keyshare", "bifrost/keyfiles", "bifrost/keystore", "bifrost/tss", "app",
	} {
		require.NotContains(t, string(out), module+secret+"\n")
	}
}

func TestWhatTheVerdictIs(t *testing.T) {
	for name, tc := range map[string]struct {
		make         func(s *scene)
		level, title string
		reasons      []string
	}{
		"no vault": {func(*scene) {}, levelNone, "There is no vault yet", nil},
		"one vault": {func(s *scene) {
			s.vault(1, active, s.members, 6, 6)
		}, levelRecoverable, "The vault is recoverable", nil},
		"two vaults": {func(s *scene) {
			s.vault(1, active, s.members, 6, 6)
			s.vault(2, retiring, s.members[:4], 4, 3)
		}, levelRecoverable, "Every vault is recoverable", nil},
		"a backup is missing": {func(s *scene) {
			s.vault(1, active, s.members, 5, 5)
		}, levelRecoverable, "The vault is recoverable", []string{"1 backup is missing, of a-very-long"}},
		"too few have proven": {func(s *scene) {
			s.vault(1, active, s.members, 6, 3)
		}, levelDoubtful, "1 vault is not proven to be recoverable", []string{"recoverable if the envelopes hold what the members say"}},
		"one of two is lost": {func(s *scene) {
			s.vault(1, active, s.members, 6, 6)
			s.vault(2, retiring, s.members[:4], 2, 2)
		}, levelLost, "1 vault is not recoverable", []string{"not recoverable: published 2 of 4, proven 2, need 3", "2 backups are missing, of Sakura"}},
		"none is active": {func(s *scene) {
			s.vault(2, retiring, s.members[:4], 4, 4)
		}, levelRecoverable, "The vault is recoverable", []string{"No vault is active"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 6)
			tc.make(s)
			f := s.follower()
			require.NoError(t, f.once(t.Context()), s.log)
			d := f.latest().Verdict
			require.Equal(t, tc.level, d.Level)
			require.Equal(t, tc.title, d.Title)
			reasons := strings.Join(d.Reasons, "\n")
			for _, reason := range tc.reasons {
				require.Contains(t, reasons, reason)
			}
			if tc.reasons == nil {
				require.Empty(t, reasons)
			}
		})
	}
}

// TestADayOfANetwork follows a backup that is missing, and comes.
func TestADayOfANetwork(t *testing.T) {
	s, f := harbor(t)
	r := f.latest().report
	require.Equal(t, "harbor-1", r.ChainID)
	require.Equal(t, stateVerified, r.State)
	require.Len(t, r.Vaults, 2)
	// The chain lists vaults by their names.
	v := &r.Vaults[0]
	require.EqualValues(t, 3, v.Epoch)
	require.Equal(t, 9, v.Proven)
	late := v.Members[9]
	require.NotNil(t, late.Missing)
	require.EqualValues(t, 4_700_003, late.Missing.Height)
	first := late.Missing.Seen
	require.Len(t, r.Churns, 4)
	require.Equal(t, "open", r.Churns[0].Status)
	k := r.Churns[0].Keygens[0]
	require.EqualValues(t, 1, k.Attempt)
	require.True(t, k.Members[0].Joined && k.Members[0].Proven)
	require.Equal(t, "result", k.Members[0].Vote)
	require.Empty(t, r.Churns[2].Keygens[0].Members, "its vault has them")
	require.Equal(t, "blamed", r.Churns[1].Keygens[0].Members[8].Fault)
	require.Equal(t, "Karoo Nodes", r.Churns[1].Keygens[0].Members[8].Moniker)
	require.Len(t, r.SitOut, 1)
	require.Equal(t, "Karoo Nodes", r.SitOut[0].Moniker)

	s.later(time.Hour)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, first, f.latest().Vaults[0].Members[9].Missing.Seen, "it is missing since then")
	content := f.latest().content
	s.later(time.Minute)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, content, f.latest().content, "nothing is new but the block")

	s.publish(3, s.members[9])
	s.prove(3, s.members[9])
	s.later(time.Minute)
	require.NoError(t, f.once(t.Context()))
	require.Nil(t, f.latest().Vaults[0].Members[9].Missing)
	require.Equal(t, 10, f.latest().Vaults[0].Proven)
	require.Greater(t, f.latest().content, content)
	require.Len(t, f.latest().segments, 3, "an hour is not seen, and the coverage has changed once")
}

// hide has a node leave the first vault out of the chain's list.
func hide(proxy *hostile.Proxy) {
	proxy.Tell(hostile.Lie{Answer: hostile.ChangeQuery("/store/tssbackup/key",
		func(c hostile.Call, res *abci.ResponseQuery) {
			var key string
			_ = json.Unmarshal(c.Params["data"], &key)
			if !strings.EqualFold(key, hex.EncodeToString(types.LiveVaultsKey())) {
				return
			}
			var live types.LiveVaults
			_ = proto.Unmarshal(res.Value, &live)
			live.Vaults = live.Vaults[1:]
			res.Value, _ = proto.Marshal(&live)
		})})
}

func TestANodeThatHidesAVaultIsNotBelieved(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 2, 2)
	s.vault(2, active, s.members, 4, 4)
	proxy := hostile.New(t, s.url)
	f := s.follower(proxy.URL, s.url)
	hide(proxy)
	require.NoError(t, f.once(t.Context()), "the other node is asked")
	require.Equal(t, levelLost, f.latest().Verdict.Level)
	require.Len(t, f.latest().Vaults, 2)

	f.nodes = f.nodes[:1]
	s.later(time.Second)
	require.ErrorIs(t, f.once(t.Context()), chain.ErrUnverified)
	r := f.latest()
	require.Equal(t, stateStale, r.State)
	require.Equal(t, "what the nodes show is not what the validators have signed", r.Failure)
	require.Len(t, r.Vaults, 2, "what was verified before stays")
	body, _ := get(t, s.server(f))
	require.Contains(t, body, "1 vault is not recoverable, when it was last verified")
}

func TestAChainThatStandsStill(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	s.clock = s.clock.Add(4 * time.Minute)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, stateStill, f.latest().State)
	require.Len(t, f.latest().segments, 1)
	body, _ := get(t, s.server(f))
	require.Contains(t, body, "The chain stands still")
	require.Contains(t, body, "4 min ago")
	s.later(time.Second)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, stateVerified, f.latest().State)
}

func TestNodesThatDoNotAnswer(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	proxy := hostile.New(t, s.url)
	f := s.follower(proxy.URL)
	require.NoError(t, f.once(t.Context()))
	proxy.Tell(hostile.Lie{Serve: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}})
	require.Error(t, f.once(t.Context()))
	require.Equal(t, stateVerified, f.latest().State, "that may be for a moment")
	s.clock = s.clock.Add(2 * time.Minute)
	require.Error(t, f.once(t.Context()))
	require.Equal(t, stateStale, f.latest().State)
	url := s.server(f)
	for _, path := range []string{"/", "/coverage.json", "/metrics", "/history.json"} {
		body, _ := get(t, url+path)
		require.NotContains(t, body, strings.TrimPrefix(proxy.URL, "http://"), "nobody learns where the nodes are")
	}
	proxy.Tell(hostile.Lie{})
	s.later(time.Second)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, stateVerified, f.latest().State)
}

func TestARestartKeepsWhatWasSeen(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 3, 3)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	since := f.latest().Vaults[0].Members[3].Missing.Seen
	s.later(10 * time.Minute)
	s.publish(1, s.members[3])
	require.NoError(t, f.once(t.Context()))
	s.later(10 * time.Second)
	require.NoError(t, f.once(t.Context()))
	before := f.latest().segments
	require.Len(t, before, 2)
	f.close()
	_, err := openStore(s.dir)
	require.ErrorContains(t, err, "another tssbackup-watch runs on it")
	require.NoError(t, f.db.Close())

	s.later(time.Minute)
	again := s.follower()
	require.NoError(t, again.start("harbor-1"))
	require.Equal(t, stateStale, again.latest().State)
	require.Equal(t, 4, again.latest().Vaults[0].Published, "what was verified last is shown at once")
	require.Equal(t, before, again.latest().segments)
	require.NoError(t, again.once(t.Context()))
	require.Len(t, again.latest().segments, 2)
	require.True(t, since.Before(again.latest().segments[1].From))
}

// The unit names no chain: what was seen is found all the same, and is not taken for what a page
// from before the restart shows.
func TestARestartThatNamesNoChain(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 3, 3)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	since, content := f.latest().Vaults[0].Members[3].Missing.Seen, f.latest().content
	f.close()
	require.NoError(t, f.db.Close())

	s.later(time.Minute)
	again := s.follower()
	require.Equal(t, stateStale, again.latest().State)
	require.Len(t, again.latest().Vaults, 1, "what was verified last is shown at once")
	repeated := false
	again.looker.repeat = func(
		ctx context.Context, id string, state *chain.State, v chainvault.Vault,
	) (*audited, error) {
		repeated = true
		return believe(ctx, id, state, v)
	}
	require.NoError(t, again.once(t.Context()))
	require.False(t, repeated, "the proofs were checked before")
	require.Equal(t, since, again.latest().Vaults[0].Members[3].Missing.Seen)
	require.Greater(t, again.latest().content, content+1)
}

// A keygen that has failed is read once, and who was in it may have another name later. What was
// shown before stays what it was: it may be on its way to somebody.
func TestAReportDoesNotChange(t *testing.T) {
	s, f := harbor(t)
	before, content := f.latest().report, f.latest().content
	s.Lock()
	s.Monikers[string(s.members[8].raw)] = "Karoo Nodes, under new management"
	s.Unlock()
	s.later(time.Second)
	require.NoError(t, f.once(t.Context()))
	name := func(r *report) string { return r.Churns[1].Keygens[0].Members[8].Moniker }
	require.Equal(t, "Karoo Nodes", name(before))
	require.Equal(t, "Karoo Nodes, under new management", name(f.latest().report))
	require.Greater(t, f.latest().content, content)
}

// TestALookThatTakesLong has the nodes take their time, during which the chain goes on.
func TestALookThatTakesLong(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	f := s.follower()
	f.looker.repeat = func(
		ctx context.Context, id string, state *chain.State, v chainvault.Vault,
	) (*audited, error) {
		s.clock = s.clock.Add(2 * stillAfter)
		return believe(ctx, id, state, v)
	}
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, stateVerified, f.latest().State, "the block was new when it was asked for")
}

// TestNodesThatTakeTheirTime has what was verified before a look grow old while that goes on.
func TestNodesThatTakeTheirTime(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 3)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	f.patience = time.Millisecond
	var meanwhile *view
	f.looker.repeat = func(
		ctx context.Context, id string, state *chain.State, v chainvault.Vault,
	) (*audited, error) {
		for meanwhile = f.latest(); meanwhile.State != stateStale; meanwhile = f.latest() {
			<-meanwhile.next
		}
		return believe(ctx, id, state, v)
	}
	s.prove(1, s.members[3])
	s.later(time.Second)
	require.NoError(t, f.once(t.Context()))
	require.Equal(t, stateStale, meanwhile.State)
	require.Equal(t, "the nodes take too long to answer", meanwhile.Failure)
	require.Len(t, meanwhile.segments, 1)
	require.Equal(t, stateVerified, f.latest().State)
	require.Empty(t, f.latest().Failure)
}

// Between two looks nothing is missing on the plot, and when nothing newer comes there is.
func TestTheEndOfThePlot(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for since, says := range map[time.Duration]string{
		20 * time.Second: "", 630 * time.Second: "For some 10 min nothing was verified.",
	} {
		seen := []segment{{
			From: now.Add(-30 * time.Minute), Until: now.Add(-since), Vaults: []point{{"02", 1, 4, 4, 4, 3}},
		}}
		summary := newPlot(seen, "hour", now).Summary
		require.Contains(t, summary, says)
		require.Equal(t, says != "", strings.Contains(summary, "nothing was verified"), summary)
	}
}

// TestTheHistoryPrunesItself goes through years.
func TestTheHistoryPrunesItself(t *testing.T) {
	db, err := openStore(t.TempDir())
	require.NoError(t, err)
	defer db.Close()
	h, _, _, err := openHistory(db, "c")
	require.NoError(t, err)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &report{ChainID: "c", Verified: &verified{}}
	for day := range 900 {
		now = now.Add(24 * time.Hour)
		r.Verified.BlockTime = now
		r.Vaults = []vault{{Vault: "02", Proven: day}}
		require.NoError(t, h.add(r, nil, now, true))
	}
	require.Less(t, len(h.segments), 402)
	h, latest, _, err := openHistory(db, "c")
	require.NoError(t, err)
	require.Less(t, len(h.segments), 402)
	require.Equal(t, 899, latest.Vaults[0].Proven)
}

// TestNoTextOfTheChainIsMoreThanText has validators whose names are scripts, and a page that runs
// none but its own.
func TestNoTextOfTheChainIsMoreThanText(t *testing.T) {
	s, f := harbor(t)
	url := s.server(f)
	body, res := get(t, url)
	require.Equal(t, policy, res.Header.Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.NotContains(t, body, `<script>alert`)
	require.Contains(t, body, `&lt;script&gt;alert(&#34;moniker&#34;)&lt;/script&gt;`)
	require.NotContains(t, body, "\u202e", "nor does one turn the page around")
	require.Contains(t, body, "esrever ni")
	require.Equal(t, 1, strings.Count(body, "<script"), "the page's own, from a file")
	for _, inline := range []string{`<style`, `\sstyle=`, `\son[a-z]+=`, `javascript:`, `(?:src|href)="(?:https?:)?//`} {
		require.NotRegexp(t, regexp.MustCompile(inline), body)
	}
	body, _ = get(t, url+`/?span="><script>alert(1)</script>`)
	require.NotContains(t, body, "alert(1)")
	body, _ = get(t, url+"/coverage.json")
	require.NotContains(t, body, "<script>")
	for _, path := range []string{"/nowhere", "/web/page.html", "/../go.mod"} {
		_, res := get(t, url+path)
		require.Equal(t, http.StatusNotFound, res.StatusCode, path)
	}
	res, err := http.Post(url, "text/plain", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestTheJSONIsAsTheSchemaSays(t *testing.T) {
	s, f := harbor(t)
	checkSchema(t, s.server(f))
	s.pretend(f)
	checkSchema(t, s.server(f))
	empty := newScene(t, 1)
	checkSchema(t, empty.server(empty.follower()))
}

// checkSchema holds what a page has for programs against its schema.
func checkSchema(t *testing.T, url string) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../docs/watch.schema.json")
	require.NoError(t, err)
	for _, path := range []string{"/coverage.json", "/history.json"} {
		body, res := get(t, url+path)
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(value), path)
	}
}

// Everybody sees which instance of a signer acts, and since when.
func TestWhoActsForASigner(t *testing.T) {
	s, f := harbor(t)
	for i, m := range f.latest().Vaults[0].Members {
		want := claimed{}
		if i < 6 {
			want = claimed{
				uint64(i + 1), 4_790_000 + int64(i), fmt.Sprintf("/dns4/signer%d.example.org/tcp/5040 <b>", i),
			}
		}
		require.Equal(t, want, m.Term, m.Address)
	}
	body, _ := get(t, s.server(f)+"/")
	require.Contains(t, body, "acts in term 6 since block 4\u202f790\u202f005")
	require.NotContains(t, body, "acts in term 0")
}

// Everybody sees which former members could still sign, and how many are missing for that.
func TestEpochsAndTheirMargins(t *testing.T) {
	s := newScene(t, 8)
	s.vault(1, active, s.members[:6], 5, 5)
	s.vault(2, active, s.members[:6], 6, 6)
	s.done(1)
	s.reshared(1, 4, 1, 3, 0)
	leaver := s.members[0]
	s.open(5, types.ChurnStatus_CHURN_STATUS_FAILED, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_FAILED, OpenedHeight: 4_809_100, Deadline: 4_810_900,
		ClosedHeight: 4_810_900, Blamed: [][]byte{leaver.raw},
		Reshare: &types.Reshare{Vault: unhex(vaultName(2)), Epoch: 2},
	}, s.members[1:7])
	f := s.follower()
	require.NoError(t, f.once(t.Context()), s.log)
	r := f.latest().report
	vaults := map[string]*vault{}
	for i := range r.Vaults {
		vaults[r.Vaults[i].Vault] = &r.Vaults[i]
	}
	v := vaults[vaultName(1)]
	require.EqualValues(t, []any{uint64(4), int64(4_805_000), 1}, []any{v.Epoch, v.EpochHeight, v.Margin})
	require.Equal(t, []formerEpoch{{1, 4, 1, 3}, {2, 4, 3, 1}, {3, 4, 0, 4}}, v.Former)
	require.EqualValues(t, 4_805_000, v.Members[5].Missing.Height, "it is a backup of this epoch that is missing")
	never := vaults[vaultName(2)]
	require.Equal(t, []any{0, []formerEpoch{}}, []any{never.Margin, never.Former})
	require.Contains(t, strings.Join(r.Verdict.Reasons, "\n"), "Vault "+short(vaultName(1))+
		": with one more member of an earlier epoch that leaves, or whose keyshares leak, those outside could sign")
	require.Equal(t, levelRecoverable, r.Verdict.Level, "that is something else")

	require.Equal(t, &reshare{vaultName(2), 2}, r.Churns[0].Keygens[0].Reshare)
	failed := r.Churns[0].Keygens[0].Members
	require.Len(t, failed, 7, "who deals only may be at fault too")
	require.Equal(t, []string{leaver.Address, "blamed", monikers[0]}, []string{failed[6].Address, failed[6].Fault, failed[6].Moniker})

	url := s.server(f)
	body, _ := get(t, url+"/")
	for _, text := range []string{
		"<dt>Epoch</dt><dd>4, since block 4\u202f805\u202f000</dd>",
		"<dt>Margin</dt><dd>1</dd>",
		"A reshare revokes nothing: members of earlier epochs sign as before",
		"Of epoch 1 1 are outside now, and 4 sign. Of epoch 2 3 are outside now, and 4 sign. Of epoch 3 0 are outside",
		"<dt>Epoch</dt><dd>2</dd>",
		"<h3>Reshare 4 ",
		`handed on, from epoch 3, vault <span class="hex">` + vaultName(1) + `</span>, which has its members now.`,
		`Vault <span class="hex">` + vaultName(2) + `</span> is to be handed on, from epoch 2.`,
		`made vault <span class="hex">` + vaultName(1) + `</span>.</p>`,
	} {
		require.Contains(t, body, text)
	}
	require.Equal(t, 1, strings.Count(body, "<dt>Margin</dt>"))
	body, _ = get(t, url+"/metrics")
	for _, line := range []string{
		`tssbackup_watch_vault_epochs{status="active",vault="` + vaultName(1) + `"} 4`,
		`tssbackup_watch_vault_epochs{status="active",vault="` + vaultName(2) + `"} 1`,
		`tssbackup_watch_vault_margin{status="active",vault="` + vaultName(1) + `"} 1`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.NotContains(t, body, `tssbackup_watch_vault_margin{status="active",vault="`+vaultName(2))
	checkSchema(t, url)
}

// Everybody sees who shows that its backup can be opened, and who has not for too long.
func TestHeartbeatsOnThePage(t *testing.T) {
	s, f := harbor(t)
	members := f.latest().Vaults[0].Members
	require.Equal(t, &heartbeat{MachineHeight: 4_811_000, PaperHeight: 4_709_000, Due: 4_826_000}, members[0].Heartbeat)
	require.Equal(t, &heartbeat{MachineHeight: 4_810_200, Due: 4_826_000, Missed: 2, Overdue: true}, members[8].Heartbeat)
	require.Nil(t, members[9].Heartbeat)
	body, _ := get(t, s.server(f)+"/")
	require.Contains(t, body, "heartbeat 1\u202f000 blocks ago, from paper 103\u202f000 blocks ago</small>")
	require.Contains(t, body, "heartbeat 1\u202f800 blocks ago, 2 missed: overdue</small>")
	require.Contains(t, body, "1 heartbeat is overdue, of ")
	require.Equal(t, 9, strings.Count(body, "<small>heartbeat "))
}

func TestTheMetrics(t *testing.T) {
	s, f := harbor(t)
	body, _ := get(t, s.server(f)+"/metrics")
	for _, line := range []string{
		"tssbackup_watch_recoverable 1",
		"tssbackup_watch_sit_out 1",
		"tssbackup_watch_churn_open 1",
		`tssbackup_watch_state{state="verified"} 1`,
		`tssbackup_watch_vault_missing{status="active",vault="` + vaultName(3) + `"} 1`,
		`tssbackup_watch_vault_proven{status="active",vault="` + vaultName(3) + `"} 9`,
		`tssbackup_watch_vault_overdue{status="active",vault="` + vaultName(3) + `"} 1`,
		`tssbackup_watch_signer_term{signer="` + s.members[5].Address + `"} 6`,
		`tssbackup_watch_signer_term{signer="` + s.members[6].Address + `"} 0`,
		"tssbackup_watch_looks_total 1",
	} {
		require.Contains(t, body, line+"\n")
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestAThousandClientsListen has each of them hear of the next view.
func TestAThousandClientsListen(t *testing.T) {
	const clients = 1000
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	url := s.server(f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: clients}}
	var listening, heard sync.WaitGroup
	listening.Add(clients)
	next := fmt.Sprintf(`"content":%d,`, f.latest().content+1)
	errs := make(chan error, clients)
	for range clients {
		heard.Go(func() {
			errs <- func() error {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
				if err != nil {
					return err
				}
				res, err := client.Do(req)
				if err != nil {
					listening.Done()
					return err
				}
				defer res.Body.Close()
				lines := bufio.NewScanner(res.Body)
				for said := 0; lines.Scan(); {
					if !strings.HasPrefix(lines.Text(), "data: ") {
						continue
					}
					if said++; said == 1 {
						listening.Done()
					} else if strings.Contains(lines.Text(), next) {
						return nil
					}
				}
				return io.ErrUnexpectedEOF
			}()
		})
	}
	listening.Wait()
	s.publish(1, s.members[0])
	begin := time.Now()
	require.NoError(t, f.once(t.Context()))
	heard.Wait()
	t.Logf("%d clients heard of it within %s", clients, time.Since(begin).Round(time.Millisecond))
	for range clients {
		require.NoError(t, <-errs)
	}
}

// large is a report of as many vaults of as many members.
func large(vaults, members int) *view {
	r := &report{ChainID: "large-1", State: stateVerified, Verified: &verified{Height: 1, At: time.Now(), BlockTime: time.Now()}}
	for i := range vaults {
		v := vault{Vault: vaultName(i), PubKeyEd25519: vaultName(i)[2:], Status: "active", Threshold: 27, Asked: members, Needed: 34, Published: members, Proven: members - 1}
		for j := range members {
			m := member{
				Address: "cosmos1" + vaultName(j)[:38], Operator: "cosmosvaloper1" + vaultName(j)[:38], Moniker: "validator <b>&",
				Asked: true, Proven: j > 0, Proof: proof{"repeated", 5, "checked here, in block 5"},
				Backups: []backup{{SHA256: vaultName(i)[2:], CID: "bafkrei" + vaultName(i)[:52], Size: 40_000, Height: 5}},
			}
			v.Members = append(v.Members, m)
		}
		v.judge()
		r.Vaults = append(r.Vaults, v)
	}
	r.judge()
	return &view{report: r, next: make(chan struct{})}
}

// BenchmarkPage makes the page of 100 vaults of 40 members, which may take 200 ms.
func BenchmarkPage(b *testing.B) {
	const budget = 200 * time.Millisecond
	v := large(100, 40)
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		require.NoError(b, newPage(v, "", "", time.Now()).write(&out))
	}
	b.ReportMetric(float64(out.Len()), "bytes")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(budget), "of-budget")
}

// TestTheProgram runs it as a user does, until it is told to stop.
func TestTheProgram(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 0)
	run := func(ctx context.Context, ready func(string), args ...string) (string, error) {
		var stderr bytes.Buffer
		null, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer null.Close()
		a := newApp(&command.Invocation{Stdin: null, Stdout: io.Discard, Stderr: &stderr})
		a.ready = ready
		cmd := a.command()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{"--node", s.url, "--state", filepath.Join(s.dir, "w"), "--listen", "127.0.0.1:0"}, args...))
		err = cmd.ExecuteContext(ctx)
		return stderr.String(), err
	}
	_, err := run(t.Context(), nil)
	require.Error(t, err, "one node alone decides nothing")
	require.Equal(t, codeTrust, codeOf(err))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	page := make(chan string, 1)
	log, err := run(ctx, func(address string) {
		go func() {
			defer stop()
			body, _ := get(t, "http://"+address)
			page <- body
		}()
	}, "--trust-first")
	require.NoError(t, err, log)
	require.Contains(t, <-page, "1 vault is not proven to be recoverable")
	require.Contains(t, log, "the page is at http://127.0.0.1:")

	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	log, err = run(ctx, func(string) { stop() })
	require.NoError(t, err, "the header that was kept is trusted now: %s", log)
}
