package main

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

//go:embed web
var web embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"ago": ago, "stamp": stamp, "machine": machine, "number": number[int64],
	"size": size, "short": short, "count": number[int],
}).ParseFS(web, "web/page.html"))

// page is what the template shows.
type page struct {
	*report
	Now     time.Time
	Content uint64
	Version string
	// Tone is good, warn, bad or idle.
	Tone, Title, Sub string
	Notice           string
	Shown            []shownVault
	Rounds           []shownChurn
	Plot             *plot
}

// shownVault is a vault with what a person sees of it.
type shownVault struct {
	*vault
	Tone string
	Open bool
	// Cells are its members, those that are proven first, and Marker is where what it needs ends.
	Cells  []cell
	Marker int
	Width  int
	Rows   []shownMember
}

type cell struct {
	X    int
	Kind string
}

// shownMember is a member with the words about it.
type shownMember struct {
	*member
	Kind, Word string
	// Beat says when its last heartbeat was, empty where none is due.
	Beat string
}

// shownChurn is a churn with its keygens.
type shownChurn struct {
	*churn
	Tone    string
	Open    bool
	Keygens []shownKeygen
}

type shownKeygen struct {
	*keygen
	Tone                         string
	Joined, Results, Blames, All int
	// Present tells that it gave a vault that is shown its present members.
	Present bool
	names   map[string]string
}

// Name is what a member is called, by its address.
func (k shownKeygen) Name(address string) string { return called(k.names[address], address) }

// The kinds of members, as the page colours them.
const (
	kindProven    = "proven"
	kindPublished = "published"
	kindMissing   = "missing"
	kindUnasked   = "unasked"
)

var kinds = []string{kindProven, kindPublished, kindMissing, kindUnasked}

func tone(level string) string {
	switch level {
	case levelRecoverable:
		return "good"
	case levelDoubtful:
		return "warn"
	case levelLost:
		return "bad"
	}
	return "idle"
}

// newPage makes a page of a view.
func newPage(v *view, span, version string, now time.Time) *page {
	p := &page{
		report: v.report, Now: now, Content: v.content, Version: version,
		Tone: tone(v.Verdict.Level), Title: v.Verdict.Title,
		Plot: newPlot(v.segments, span, now),
	}
	d := v.Verdict
	if d.Vaults > 0 {
		p.Sub = fmt.Sprintf("%d of %s recoverable, %d of %s proven", d.Recoverable,
			plural(d.Vaults, "vault", "vaults"), d.Proven, plural(d.Keyshares, "keyshare", "keyshares"))
	}
	switch v.State {
	case stateStill:
		p.Notice = "The chain stands still: its latest block is old, or the nodes that are asked " +
			"hide what is newer."
	case stateStale:
		p.Notice = "Nothing newer could be verified: " + v.Failure + "."
		if v.Verified != nil {
			p.Title += ", when it was last verified"
		}
	case stateStarting:
		if v.Failure != "" {
			p.Notice = "Nothing could be verified yet: " + v.Failure + "."
		}
	}
	for i := range v.Vaults {
		p.Shown = append(p.Shown, showVault(&v.Vaults[i], v.Verified.Height, len(v.Vaults) == 1))
	}
	for i := range v.Churns {
		p.Rounds = append(p.Rounds, showChurn(&v.Churns[i], v.Vaults, i == 0))
	}
	return p
}

const cellWidth = 18

func showVault(v *vault, height int64, alone bool) shownVault {
	s := shownVault{
		vault: v, Tone: tone(v.Level), Marker: v.Threshold*cellWidth - 2,
		Width: len(v.Members) * cellWidth,
	}
	s.Open = alone || v.Level != levelRecoverable || v.missing()+v.failed()+v.overdue() > 0
	for i := range v.Members {
		m := &v.Members[i]
		row := shownMember{member: m, Beat: beat(m.Heartbeat, height)}
		switch {
		case m.Proven:
			row.Kind, row.Word = kindProven, "proven"
		case len(m.Backups) > 0:
			row.Kind, row.Word = kindPublished, "published, not proven"
		case m.Asked:
			row.Kind, row.Word = kindMissing, "missing"
		default:
			row.Kind, row.Word = kindUnasked, "not asked"
		}
		if m.Proof.Result == "failed" {
			row.Kind, row.Word = kindMissing, "proof fails"
		}
		s.Rows = append(s.Rows, row)
	}
	order := slices.Clone(s.Rows)
	slices.SortStableFunc(order, func(a, b shownMember) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	for i, row := range order {
		s.Cells = append(s.Cells, cell{i * cellWidth, row.Kind})
	}
	return s
}

func showChurn(c *churn, vaults []vault, latest bool) shownChurn {
	s := shownChurn{churn: c, Tone: outcome(c.Status), Open: latest && c.Status != "complete"}
	for i := range c.Keygens {
		k := &c.Keygens[i]
		of := shownKeygen{keygen: k, Tone: outcome(k.Status), All: len(k.Members)}
		of.Present = slices.ContainsFunc(vaults, func(v vault) bool { return v.Epoch == k.ID })
		of.names = map[string]string{}
		for _, m := range k.Members {
			of.names[m.Address] = called(m.Moniker, m.Operator, m.Address)
		}
		for _, m := range k.Members {
			if m.Joined {
				of.Joined++
			}
			switch m.Vote {
			case "result":
				of.Results++
			case "blame":
				of.Blames++
			}
		}
		s.Keygens = append(s.Keygens, of)
	}
	return s
}

// outcome is the tone of a churn's or a keygen's status.
func outcome(status string) string {
	switch status {
	case "complete", "ready":
		return "good"
	case "failed":
		return "bad"
	}
	return "idle"
}

func (p *page) write(w io.Writer) error { return pageTemplate.Execute(w, p) }
