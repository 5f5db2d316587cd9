package main

import (
	"fmt"
	"strings"
	"time"
)

// The plot's size, in its own units, and where its axes are.
const (
	plotWidth  = 960
	plotHeight = 230
	plotLeft   = 48
	plotTop    = 12
	plotBottom = 200
)

// span is a stretch of time that the plot can show.
type span struct {
	Name, Label string
	length      time.Duration
	Current     bool
}

var spans = []span{
	{"hour", "hour", time.Hour, false},
	{"day", "day", 24 * time.Hour, false},
	{"week", "week", 7 * 24 * time.Hour, false},
	{"month", "30 days", 30 * 24 * time.Hour, false},
	{"year", "year", 365 * 24 * time.Hour, false},
}

// plot is coverage over time as a picture: of the weakest vault at each time, which share of its
// keyshares is published and proven, and which it needs.
type plot struct {
	Spans []span
	// Published and Proven are areas, Needed is a line, Unseen and Lost are stretches: paths.
	Published, Proven, Needed, Unseen, Lost string
	Ticks                                   []tick
	Levels                                  []tick
	Summary                                 string
	Empty                                   bool
}

// tick is a place on an axis with a text.
type tick struct {
	At, Text int
	Label    string
	Anchor   string
}

// column is what is shown at one place of the time's axis.
type column struct {
	seen, lost                bool
	published, proven, needed float64
}

// worse reports whether one column is to be shown rather than the other.
func (c column) worse(than column) bool {
	return !than.seen || c.proven-c.needed < than.proven-than.needed
}

// weakest is the coverage of the vault that has the least beyond what it needs.
func (s *segment) weakest() (worst column) {
	for _, p := range s.Vaults {
		if p.Members == 0 {
			continue
		}
		n := float64(p.Members)
		c := column{
			seen: true, lost: p.Published < p.Threshold,
			published: float64(p.Published) / n, proven: float64(p.Proven) / n,
			needed: float64(p.Threshold) / n,
		}
		if c.lost != worst.lost && worst.seen {
			if c.lost {
				worst = c
			}
			continue
		}
		if c.worse(worst) {
			worst = c
		}
	}
	return worst
}

// newPlot shows a span of time that ends now; without its name, the shortest that holds all.
func newPlot(segments []segment, name string, now time.Time) *plot {
	p := &plot{}
	length := time.Duration(0)
	for _, s := range spans {
		all := len(segments) == 0 || now.Sub(segments[0].From) <= s.length
		if length == 0 && (s.Name == name || name == "" && (all || s.Name == "year")) {
			length, s.Current = s.length, true
		}
		p.Spans = append(p.Spans, s)
	}
	const columns = plotWidth - plotLeft
	begin := now.Add(-length)
	at := func(t time.Time) int {
		return int(float64(t.Sub(begin)) / float64(length) * columns)
	}
	shown := make([]column, columns)
	var lost, seen time.Duration
	for i := range segments {
		s, end := &segments[i], segments[i].Until
		if i == len(segments)-1 && now.Sub(end) < stillAfter {
			end = now // what is newer is about to be verified
		}
		if end.Before(begin) {
			continue
		}
		worst := s.weakest()
		from, until := max(at(s.From), 0), min(at(end), columns-1)
		for x := from; x <= until; x++ {
			if worst.seen && worst.worse(shown[x]) {
				shown[x] = worst
			}
		}
		took := end.Sub(later(s.From, begin))
		if seen += took; worst.lost {
			lost += took
		}
	}
	p.draw(shown)
	p.axes(begin, length)
	p.sum(shown, length, seen, lost)
	return p
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// draw makes the paths.
func (p *plot) draw(shown []column) {
	var published, proven, needed, unseen, lost strings.Builder
	for x := 0; x < len(shown); {
		end := x + 1
		for end < len(shown) && shown[end] == shown[x] {
			end++
		}
		c, left, width := shown[x], plotLeft+x, end-x
		area := func(b *strings.Builder, share float64) {
			fmt.Fprintf(b, "M%d %dh%dV%dh-%dz", left, level(share), width, plotBottom, width)
		}
		switch {
		case !c.seen:
			area(&unseen, 1)
		default:
			area(&published, c.published)
			area(&proven, c.proven)
			fmt.Fprintf(&needed, "M%d %dh%d", left, level(c.needed), width)
			if c.lost {
				area(&lost, 1)
			}
		}
		x = end
	}
	p.Published, p.Proven, p.Needed = published.String(), proven.String(), needed.String()
	p.Unseen, p.Lost = unseen.String(), lost.String()
}

// level is the height of a share.
func level(share float64) int {
	return plotBottom - int(share*(plotBottom-plotTop)+0.5)
}

func (p *plot) axes(begin time.Time, length time.Duration) {
	form := "2 Jan"
	switch {
	case length <= 24*time.Hour:
		form = "15:04"
	case length <= 7*24*time.Hour:
		form = "Mon 2 Jan"
	}
	const parts = 4
	for i := range parts + 1 {
		t := tick{
			At:     plotLeft + (plotWidth-plotLeft)*i/parts,
			Label:  begin.Add(length * time.Duration(i) / parts).UTC().Format(form),
			Anchor: "middle",
		}
		switch i {
		case 0:
			t.Anchor = "start"
		case parts:
			t.Anchor, t.Label = "end", "now"
		}
		t.Text = t.At
		p.Ticks = append(p.Ticks, t)
	}
	for _, percent := range []int{0, 50, 100} {
		at := level(float64(percent) / 100)
		p.Levels = append(p.Levels, tick{At: at, Text: at + 4, Label: fmt.Sprintf("%d %%", percent)})
	}
}

// sum says in words what the plot shows.
func (p *plot) sum(shown []column, length, seen, lost time.Duration) {
	first, last := -1, column{}
	unseen := 0
	for x, c := range shown {
		if c.seen {
			if first < 0 {
				first = x
			}
			last = c
		} else if first >= 0 {
			unseen++
		}
	}
	if first < 0 {
		p.Empty, p.Summary = true, "Nothing was seen in this time."
		return
	}
	p.Summary = fmt.Sprintf("At the end, the weakest vault has %.0f %% of its keyshares published, "+
		"%.0f %% proven, and needs %.0f %%.", 100*last.published, 100*last.proven, 100*last.needed)
	if lost > 0 {
		p.Summary += fmt.Sprintf(" For %s a vault was not recoverable.", duration(lost))
	} else {
		p.Summary += " Whenever it was seen, every vault was recoverable or not yet proven to be."
	}
	if gap := length * time.Duration(unseen) / time.Duration(len(shown)); unseen > 1 {
		p.Summary += fmt.Sprintf(" For some %s nothing was verified.", duration(gap))
	}
	_ = seen
}
