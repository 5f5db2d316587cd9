package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/hostile"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestOthersAreToldOfProblems has problems come and go, before a receiver that fails at first.
func TestOthersAreToldOfProblems(t *testing.T) {
	secret := []byte("a secret of at least 24 bytes")
	notes := make(chan note, 100)
	var failures atomic.Int64
	failures.Store(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if r.Header.Get("webhook-signature") != sign(secret, r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var n note
		if json.Unmarshal(body, &n) == nil && n.ID == r.Header.Get("webhook-id") {
			notes <- n
		}
	}))
	defer server.Close()
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	f := s.follower()
	var err error
	f.notifier, err = newNotifier(f.db, []string{server.URL + "/hook/hunter2"}, secret, f.log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.notifier.run(ctx, f.notifier.targets[0])
	}()
	defer func() { cancel(); <-done }()
	kinds := func(problems []problem) (all []string) {
		for _, p := range problems {
			all = append(all, p.Kind)
		}
		return all
	}
	require.NoError(t, f.once(ctx))
	require.Empty(t, notes, "all is well")

	s.vault(2, active, s.members, 2, 2)
	s.Put(types.SitOutKey(s.members[0].raw), &types.SitOut{Until: 5_000_000, Count: 1})
	s.open(3, types.ChurnStatus_CHURN_STATUS_FAILED, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_FAILED, OpenedHeight: 4_800_000, Deadline: 4_801_800, ClosedHeight: 4_801_800,
	}, s.members)
	s.later(time.Second)
	require.NoError(t, f.once(ctx))
	n := <-notes
	require.ElementsMatch(t, []string{problemMissing, problemMissing, problemSitsOut, problemBelow, problemKeygen}, kinds(n.Raised))
	require.Empty(t, n.Resolved)
	require.Contains(t, n.Text, "harbor-1: ")
	require.Contains(t, n.Text, `the backup of ‹script›alert("moniker")‹/script› is missing`)
	require.NotContains(t, s.log.String(), "hunter2")

	s.later(time.Second)
	require.NoError(t, f.once(ctx))
	s.publish(2, s.members[2])
	s.later(time.Second)
	require.NoError(t, f.once(ctx))
	n = <-notes
	require.Empty(t, n.Raised, "it is told once")
	require.ElementsMatch(t, []string{problemMissing, problemBelow}, kinds(n.Resolved))

	s.clock = s.clock.Add(10 * time.Minute)
	require.NoError(t, f.once(ctx))
	n = <-notes
	require.Equal(t, []string{problemStill}, kinds(n.Raised))

	// After a restart nothing is told again.
	require.Eventually(t, func() bool {
		key, _ := f.notifier.oldest(f.notifier.targets[0])
		return key == nil
	}, time.Minute, time.Millisecond)
	again, err := newNotifier(f.db, []string{server.URL + "/hook/hunter2"}, secret, f.log)
	require.NoError(t, err)
	require.NoError(t, again.look(f.latest().report, s.now()))
	key, _ := again.oldest(again.targets[0])
	require.Nil(t, key)
}

// TestNobodyIsToldOfARestart stops it for longer than a chain may stand still, and has the nodes be
// away for a moment then, and for good.
func TestNobodyIsToldOfARestart(t *testing.T) {
	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	proxy := hostile.New(t, s.url)
	f := s.follower(proxy.URL)
	require.NoError(t, f.once(t.Context()))
	f.close()
	require.NoError(t, f.db.Close())

	s.later(time.Hour)
	again := s.follower(proxy.URL)
	var err error
	again.notifier, err = newNotifier(
		again.db, []string{"https://example.org"}, make([]byte, minSecret), again.log)
	require.NoError(t, err)
	told := func() (n note) {
		if _, body := again.notifier.oldest(again.notifier.targets[0]); body != nil {
			require.NoError(t, json.Unmarshal(body, &n))
		}
		return n
	}
	require.NoError(t, again.start(""))
	require.Empty(t, told())
	proxy.Tell(hostile.Lie{Serve: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}})
	require.Error(t, again.once(t.Context()))
	require.Empty(t, told())
	s.clock = s.clock.Add(2 * staleAfter)
	require.Error(t, again.once(t.Context()))
	require.Equal(t, "harbor-1: Nothing newer could be verified: no node answers", told().Text)
}

func TestNoNameIsMoreThanTextInAChat(t *testing.T) {
	for name, want := range map[string]string{
		"Karoo_Nodes *1*":               "Karoo_Nodes *1*",
		"<!channel>":                    "‹!channel›",
		"<https://evil.example|status>": "‹https: //evil.example|status›",
		"[status](https://evil)":        "(status)(https: //evil)",
		"@everyone":                     "(at)everyone",
	} {
		require.Equal(t, want, inChat(name))
	}
}

func TestTheSecretAndTheURLs(t *testing.T) {
	db, err := openStore(t.TempDir())
	require.NoError(t, err)
	defer db.Close()
	long := "0123456789abcdef0123456789abcdef"
	for name, tc := range map[string]struct{ url, secret, says string }{
		"both":               {"https://example.org/hook", long, ""},
		"a secret in base64": {"https://example.org/hook", "whsec_" + long, ""},
		"a short secret":     {"https://example.org/hook", "short", "must have 24"},
		"no base64":          {"https://example.org/hook", "whsec_!", "is not base64"},
		"no URL":             {"example.org", long, "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newNotifier(db, []string{tc.url}, []byte(tc.secret), nil)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.says)
		})
	}
}
