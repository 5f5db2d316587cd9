package service

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func TestProblemsOfThePublisher(t *testing.T) {
	now := time.Now()
	good := publish.Status{
		LastPoll: now,
		Outbox:   []publish.RecordStatus{{KeygenID: 3}},
		Vaults:   []publish.VaultStatus{{Vault: "02aa", Keyshares: true, Published: true, Asked: true}},
	}
	for _, row := range []struct {
		name     string
		change   func(p *publish.Status)
		problems []string
	}{
		{"nothing is wrong", func(*publish.Status) {}, nil},
		{"the chain was never seen", func(p *publish.Status) {
			p.LastPoll, p.Error = time.Time{}, "x"
		}, []string{"no look at the chain has worked yet: x"}},
		{"the chain is away", func(p *publish.Status) {
			p.LastPoll, p.Error = now.Add(-2*time.Minute), "x"
		}, []string{"the last look at the chain that worked was 2m0s ago: x"}},
		{
			"it cannot seal", func(p *publish.Status) { p.SealError = "x" },
			[]string{"no backup can be sealed: x"},
		},
		{
			"it cannot prove", func(p *publish.Status) { p.ProofError = "x" },
			[]string{"no backup can be proven: x"},
		},
		{"a vote and a backup are stuck", func(p *publish.Status) {
			p.Outbox = []publish.RecordStatus{{Vault: "02aa", Error: "x"}, {KeygenID: 3, Error: "y"}}
		}, []string{"backup of vault 02aa: x", "keygen 3: y"}},
		{"keyshares are lost", func(p *publish.Status) {
			p.Vaults = []publish.VaultStatus{{Vault: "02aa", Asked: true}}
		}, []string{"vault 02aa: its keyshares are not here; recover them"}},
		{"a backup is not published", func(p *publish.Status) {
			p.Vaults = []publish.VaultStatus{{Vault: "02aa", Keyshares: true, Asked: true}}
		}, []string{"vault 02aa: its backup is not published"}},
		{"it was not asked for one", func(p *publish.Status) {
			p.Vaults = []publish.VaultStatus{{Vault: "02aa", Keyshares: true}}
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := good
			row.change(&p)
			require.Equal(t, row.problems, publishProblems(p, now))
		})
	}
}

func TestOnlyVaultsWithBackupAndKeysharesAreDrilled(t *testing.T) {
	require.Equal(t, []string{"c"}, published(publish.Status{Vaults: []publish.VaultStatus{
		{Vault: "a", Keyshares: true},
		{Vault: "b", Published: true},
		{Vault: "c", Keyshares: true, Published: true},
	}}))
}

func TestOnlyADrillWithAnotherNodeCounts(t *testing.T) {
	params := tss.NewPreParams(t.TempDir(), homekeys.New(t), zerolog.Nop())
	m := newMetrics(params, registration.NewWatch(fakemember.Config(), nil, false, nil, nil, zerolog.Nop()))
	value := func(name string) float64 {
		families, err := m.registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		t.Fatalf("there is no %s", name)
		return 0
	}
	const success, failures = "bifrost_drill_last_success_timestamp_seconds", "bifrost_drill_failures_total"
	m.Drilled(care.DrillResult{Node: "own", OwnNodeOnly: true})
	require.Zero(t, value(success))
	m.Drilled(care.DrillResult{Error: "x"})
	require.Zero(t, value(success))
	require.EqualValues(t, 1, value(failures))
	m.Drilled(care.DrillResult{Node: "other"})
	require.InDelta(t, float64(time.Now().Unix()), value(success), 5)
	require.EqualValues(t, 1, value(failures))
}

func TestPublisherIsCounted(t *testing.T) {
	params := tss.NewPreParams(t.TempDir(), homekeys.New(t), zerolog.Nop())
	watch := registration.NewWatch(fakemember.Config(), nil, false, nil, nil, zerolog.Nop())
	m := newMetrics(params, watch)
	m.Polled(publish.Status{Height: 6}, errors.New("away"))
	m.Polled(publish.Status{
		Height: 7, Outbox: make([]publish.RecordStatus, 2),
		Vaults: []publish.VaultStatus{
			{Keyshares: true, Published: true, Asked: true},
			{Keyshares: true},
			{Keyshares: true, Asked: true},
			{Published: true},
		},
	}, nil)
	m.Ceremony("keygen", time.Second, fmt.Errorf("x: %w", &ceremony.BlameError{}))
	m.Ceremony("keygen", time.Second, errors.New("x"))
	m.Ceremony("keysign", time.Second, nil)
	m.Sent("accepted")
	m.Delivered("result")
	m.Missed()
	got := map[string]float64{}
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"bifrost_chain_height":                  7,
		"bifrost_poll_errors_total":             1,
		"bifrost_outbox_records":                2,
		"bifrost_ceremonies_total keygen blame": 1,
		"bifrost_ceremonies_total keygen error": 1,
		"bifrost_ceremonies_total keysign done": 1,
		"bifrost_broadcasts_total accepted":     1,
		"bifrost_delivered_total result":        1,
		"bifrost_missed_keygens_total":          1,
		"bifrost_vaults published":              2,
		"bifrost_vaults unpublished":            1,
		"bifrost_vaults no_keyshares":           1,
	} {
		require.Contains(t, got, name)
		require.Equal(t, want, got[name], name)
	}
}
