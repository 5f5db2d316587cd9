package care

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
)

func TestDrill(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world)
		err    string
	}{
		{"the backups come back and are what is on the disk", func(*testing.T, *world) {}, ""},
		{
			"the own node has not kept the envelopes",
			func(_ *testing.T, w *world) { clear(w.Own.Blocks) },
			"",
		},
		{
			"the other node has not kept the envelopes",
			func(_ *testing.T, w *world) { clear(w.Other.Blocks) },
			"block",
		},
		{"the other node is behind, and nobody else verifies the latest backup", func(t *testing.T, w *world) {
			require.Empty(t, w.drill(t, w.OtherURL).Once(t.Context()).Error)
			w.Own.Advance(5)
			w.Own.Publish(w.Vaults[0].Name(), w.Address, 104, fakemember.Seal(t, 0, w.Vaults[0].Files[0]))
		}, "what is verified is of block 99 and has yet to reach block 104"},
		{"the own node shows a backup that the chain does not have", func(_ *testing.T, w *world) {
			record := w.Own.Backups[w.Vaults[0].Name()][w.Address]
			w.Unpublish()
			w.Own.Answers["/tssbackup.v1.Query/Backup"] = func([]byte) abci.ResponseQuery {
				value, _ := proto.Marshal(&record)
				return abci.ResponseQuery{Value: value}
			}
		}, "shows a backup of block 1, and the verified records have none"},
		{"the latest backup is another member's", func(t *testing.T, w *world) {
			w.PublishOne(7, w.Vaults[0], fakemember.Seal(t, 1, w.Vaults[0].Files[1]))
		}, envelope.ErrWrongMnemonic.Error()},
		{"the latest backup is of other keyshares", func(t *testing.T, w *world) {
			w.PublishOne(7, w.Vaults[0], fakemember.Seal(t, 0, w.Vaults[1].Files[0]))
		}, "keyshares do not fit"},
		{"a file is not on the disk", func(t *testing.T, w *world) {
			require.NoError(t, os.Remove(w.File(w.Vaults[1], 0)))
		}, "is not on the disk"},
		{"a file on the disk differs", func(t *testing.T, w *world) {
			path := w.File(w.Vaults[1], 0)
			require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
		}, "is not what the backup holds"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.Publish(t)
			w.Save(t, w.Vaults...)
			row.change(t, w)
			result := w.drill(t, w.OtherURL).Once(t.Context())
			require.False(t, result.OwnNodeOnly)
			if row.err != "" {
				require.Contains(t, result.Error, row.err)
				require.Empty(t, result.Node)
				return
			}
			require.Empty(t, result.Error)
			require.Equal(t, w.OtherURL, result.Node)
			require.ElementsMatch(t, []DrillVault{
				{Vault: w.Vaults[0].Name(), Height: 1}, {Vault: w.Vaults[1].Name(), Height: 2},
			}, result.Vaults)
		})
	}
}

func TestDrillWithTheOwnNodeAloneSaysSo(t *testing.T) {
	w := newWorld(t)
	w.Publish(t)
	w.Save(t, w.Vaults...)
	result := w.drill(t, w.OwnURL).Once(t.Context())
	require.Empty(t, result.Error)
	require.True(t, result.OwnNodeOnly)

	// A witness that is the own node under another address is none.
	w.Own.ID = "0123456789abcdef0123456789abcdef01234567"
	again := strings.Replace(w.OwnURL, "127.0.0.1", "localhost", 1)
	require.NotEqual(t, w.OwnURL, again)
	require.NoError(t, os.RemoveAll(home.TrustDir(w.Home)))
	result = w.drill(t, again).Once(t.Context())
	require.True(t, result.OwnNodeOnly)
	require.Contains(t, result.Error, "all witnesses that answer are "+w.OwnURL+", under other addresses")
	result = w.drill(t, again, w.OtherURL).Once(t.Context())
	require.Empty(t, result.Error)
	require.False(t, result.OwnNodeOnly)
	require.Equal(t, w.OtherURL, result.Node)
}

func TestDrillIsDue(t *testing.T) {
	now := time.Now()
	a, none := []string{"a"}, map[string]bool{}
	for _, row := range []struct {
		name      string
		published []string
		drilled   map[string]bool
		last      *DrillResult
		due       bool
	}{
		{"nothing is published", nil, none, nil, false},
		{"a backup is new", a, map[string]bool{}, &DrillResult{Time: now}, true},
		{"it was drilled just now", a, map[string]bool{"a": true}, &DrillResult{Time: now}, false},
		{
			"a day has passed", a,
			map[string]bool{"a": true},
			&DrillResult{Time: now.Add(-drillInterval)}, true,
		},
		{
			"the last one failed a while ago", a,
			map[string]bool{"a": true},
			&DrillResult{Time: now.Add(-drillRetry), Error: "x"}, true,
		},
		{
			"the last one failed just now", a,
			map[string]bool{"a": true},
			&DrillResult{Time: now, Error: "x"}, false,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.due, drillDue(row.published, row.drilled, row.last, now))
		})
	}
}

func TestDrillIsSaidAndCounted(t *testing.T) {
	for _, row := range []struct {
		name     string
		result   DrillResult
		says     string
		problems []string
	}{
		{"with the own node alone", DrillResult{Node: "own", OwnNodeOnly: true}, "set witnesses", nil},
		{"with another node", DrillResult{Node: "other"}, "the fire drill worked", nil},
		{
			"without success",
			DrillResult{Error: "x"},
			"THE FIRE DRILL FAILED",
			[]string{"the fire drill of 0001-01-01T00:00:00Z failed: x"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log bytes.Buffer
			var counts counted
			d := &Drill{cfg: Config{Log: zerolog.New(&log), Metrics: &counts}}
			d.note(row.result)
			require.Equal(t, []DrillResult{row.result}, counts.drills)
			require.Contains(t, log.String(), row.says)
			last, problems := d.Status()
			require.Equal(t, row.result, *last)
			require.Equal(t, row.problems, problems)
		})
	}
}

// beats notes the vaults for which heartbeats were asked for.
type beats struct {
	sent []string
	err  error
}

func (b *beats) HeartbeatsWanted() []string { return nil }

func (b *beats) Heartbeat(_ context.Context, vault string) error {
	b.sent = append(b.sent, vault)
	return b.err
}

func TestAHeartbeatFollowsADrillThatAnotherNodeServed(t *testing.T) {
	back := []DrillVault{{Vault: "a", Height: 1}, {Vault: "b", Height: 2}, {Vault: "c", Error: "x"}}
	refused := errors.New("refused")
	for _, row := range []struct {
		name   string
		result DrillResult
		wanted []string
		send   error
		sent   []string
		err    string
	}{
		{"for each vault that one is wanted of", DrillResult{Node: "other", Vaults: back}, []string{"b"}, nil, []string{"b"}, ""},
		{"for none that did not come back", DrillResult{Node: "other", Vaults: back}, []string{"c", "d"}, nil, nil, ""},
		{"after one that failed", DrillResult{Vaults: back, Error: "x"}, []string{"a"}, nil, nil, ""},
		{
			"after one with the own node alone",
			DrillResult{Node: "own", OwnNodeOnly: true, Vaults: back},
			[]string{"a"},
			nil, nil, "set witnesses",
		},
		{"when none is wanted", DrillResult{Node: "own", OwnNodeOnly: true, Vaults: back}, nil, nil, nil, ""},
		{"and cannot be sent", DrillResult{Node: "other", Vaults: back}, []string{"a"}, refused, []string{"a"}, "refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log bytes.Buffer
			d := &Drill{cfg: Config{Log: zerolog.New(&log)}}
			b := &beats{err: row.send}
			d.noteBeat(d.beat(t.Context(), row.result, row.wanted, b))
			require.Equal(t, row.sent, b.sent)
			_, problems := d.Status()
			if row.err == "" {
				require.Empty(t, problems)
				require.Empty(t, log.String())
				return
			}
			require.Len(t, problems, 1)
			require.Contains(t, problems[0], row.err)
			require.Contains(t, log.String(), "A HEARTBEAT THAT IS DUE CANNOT BE SENT")
		})
	}
}

func TestADrillForAHeartbeatIsNotTriedAgainAtOnce(t *testing.T) {
	now, a := time.Now(), []string{"a"}
	for _, row := range []struct {
		name   string
		wanted []string
		last   *DrillResult
		err    error
		due    bool
	}{
		{"none is wanted", nil, &DrillResult{Time: now.Add(-time.Hour)}, nil, false},
		{"before the first drill", a, nil, nil, true},
		{"after a drill that worked", a, &DrillResult{Time: now, Node: "other"}, nil, true},
		{"just after one that failed", a, &DrillResult{Time: now, Error: "x"}, nil, false},
		{"a while after one that failed", a, &DrillResult{Time: now.Add(-drillRetry), Error: "x"}, nil, true},
		{"just after one with the own node alone", a, &DrillResult{Time: now, OwnNodeOnly: true}, nil, false},
		{"just after it could not be sent", a, &DrillResult{Time: now}, errors.New("x"), false},
		{"a while after it could not be sent", a, &DrillResult{Time: now.Add(-drillRetry)}, errors.New("x"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &Drill{beatErr: row.err}
			require.Equal(t, row.due, d.beatDue(row.wanted, row.last, now))
		})
	}
}
