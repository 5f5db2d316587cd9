// Panels draws what a Prometheus has seen of one process, by the expressions of a dashboard, as a
// picture (SVG, without script) for documents:
//
//	panels -prometheus URL -instance ADDRESS -from UNIX DASHBOARD TITLE… <STEPS >PICTURE
//
// Each title is that of a panel; its unit, expressions and legends are the dashboard's. Standard
// input has what the demo told, each line after the time (Unix, in seconds) at which it came; a
// step of the demo is marked in every panel by its number.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	prometheus := flag.String("prometheus", "", "URL of the Prometheus")
	instance := flag.String("instance", "", "which of its targets is shown")
	from := flag.Float64("from", 0, "when the picture begins")
	flag.Parse()
	err := func() error {
		if flag.NArg() < 2 {
			return fmt.Errorf("name a dashboard, and titles of its panels")
		}
		raw, err := os.ReadFile(flag.Arg(0))
		if err != nil {
			return err
		}
		told, err := readSteps(os.Stdin)
		if err != nil {
			return err
		}
		until := float64(time.Now().Unix())
		p := picture{from: *from, until: until, steps: told}
		asks := source{*prometheus, *instance, *from, until}
		for _, title := range flag.Args()[1:] {
			panel, err := asks.panel(context.Background(), raw, title)
			if err != nil {
				return err
			}
			p.panels = append(p.panels, panel)
		}
		_, err = os.Stdout.WriteString(p.draw())
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "panels:", err)
		os.Exit(1)
	}
}

// step is a step of the demo, and when it began.
type step struct {
	at    float64
	title string
}

var stepLine = regexp.MustCompile(`^([0-9.]+) \[[0-9]+/[0-9]+\] (.*) …$`)

func readSteps(r io.Reader) (steps []step, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if m := stepLine.FindStringSubmatch(lines.Text()); m != nil {
			at, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step{at, m[2]})
		}
	}
	return steps, lines.Err()
}

// panel is a panel of a dashboard with what is drawn in it.
type panel struct {
	title, unit string
	lines       []line
}

// line is a series, at equal distances in time; what is missing is left out.
type line struct {
	name   string
	points []point
}

type point struct{ at, value float64 }

// source is a Prometheus, and what of it is shown.
type source struct {
	url, instance string
	from, until   float64
}

// samples is how many of them a line has at most.
const samples = 400

func (s source) interval() float64 { return math.Max(1, math.Ceil((s.until-s.from)/samples)) }

// panel asks for the lines of a dashboard's panel.
func (s source) panel(ctx context.Context, dashboard []byte, title string) (panel, error) {
	var board struct {
		Panels []struct {
			Title       string
			FieldConfig struct{ Defaults struct{ Unit string } }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(dashboard, &board); err != nil {
		return panel{}, err
	}
	for _, p := range board.Panels {
		if p.Title != title || len(p.Targets) == 0 {
			continue
		}
		shown := panel{title: title, unit: p.FieldConfig.Defaults.Unit}
		for _, target := range p.Targets {
			// As Grafana does at a scrape each second.
			expr := strings.NewReplacer(
				"$__rate_interval", "15s", "$job", ".*",
				"$instance", strings.ReplaceAll(regexp.QuoteMeta(s.instance), `\`, `\\`),
			).Replace(target.Expr)
			lines, err := s.ask(ctx, expr, target.LegendFormat)
			if err != nil {
				return panel{}, fmt.Errorf("%s: %w", title, err)
			}
			shown.lines = append(shown.lines, lines...)
		}
		if len(shown.lines) == 0 {
			return panel{}, fmt.Errorf("%s: there is nothing to draw", title)
		}
		return shown, nil
	}
	return panel{}, fmt.Errorf("the dashboard has no panel %q", title)
}

var label = regexp.MustCompile(`\{\{(\w+)\}\}`)

// ask asks for an expression over the whole time. A legend names the labels of the series, of which
// the instance is the same for all.
func (s source) ask(ctx context.Context, expr, legend string) ([]line, error) {
	query := url.Values{
		"query": {expr}, "step": {fmt.Sprint(s.interval())},
		"start": {fmt.Sprint(int64(s.from))}, "end": {fmt.Sprint(int64(s.until))},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		s.url+"/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var lines []line
	for _, r := range answer.Data.Result {
		name := label.ReplaceAllStringFunc(legend, func(of string) string {
			if of == "{{instance}}" {
				return ""
			}
			return r.Metric[strings.Trim(of, "{}")]
		})
		l := line{name: strings.TrimSpace(name)}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
				l.points = append(l.points, point{at, value})
			}
		}
		if len(l.points) > 0 {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// picture is panels of the same time, two in a row.
type picture struct {
	from, until float64
	panels      []panel
	steps       []step
}

// In pixels: a panel, and the plot in it from its left upper corner.
const (
	panelWide, panelHigh = 480, 190
	plotX, plotY         = 68, 52
	plotWide, plotHigh   = 396, 108
	rowHigh              = 20
)

func (p picture) draw() string {
	var b strings.Builder
	rows := (len(p.panels) + 1) / 2
	stepsY := rows*panelHigh + 8
	high := stepsY + (len(p.steps)+1)/2*rowHigh + 8
	fmt.Fprintf(&b, head, 2*panelWide, high, 2*panelWide, high, 2*panelWide, high)
	for i, shown := range p.panels {
		fmt.Fprintf(&b, "<g transform=\"translate(%d %d)\">\n", i%2*panelWide, i/2*panelHigh)
		p.drawPanel(&b, shown)
		b.WriteString("</g>\n")
	}
	for i, s := range p.steps {
		half := (len(p.steps) + 1) / 2
		fmt.Fprintf(&b, "<text class=\"soft\" x=\"%d\" y=\"%d\">%d: %s</text>\n",
			16+i/half*panelWide, stepsY+i%half*rowHigh+14, i+1, html.EscapeString(s.title))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p picture) drawPanel(b *strings.Builder, shown panel) {
	most := 0.0
	for _, l := range shown.lines {
		for _, at := range l.points {
			most = math.Max(most, at.value)
		}
	}
	factor, unit := unitOf(shown.unit, most)
	top := round(most * factor)
	x := func(at float64) float64 { return plotX + plotWide*(at-p.from)/(p.until-p.from) }
	y := func(value float64) float64 { return plotY + plotHigh*(1-value*factor/top) }
	fmt.Fprintf(b, "<text class=\"title\" x=\"16\" y=\"22\">%s</text>\n", html.EscapeString(shown.title))
	for i := range 3 {
		value := top * float64(i) / 2
		at := y(value / factor)
		fmt.Fprintf(b, "<path class=\"grid\" d=\"M%d %.1fh%d\"/>", plotX, at, plotWide)
		fmt.Fprintf(b, "<text class=\"soft end\" x=\"%d\" y=\"%.1f\">%s%s</text>\n",
			plotX-6, at+4, strconv.FormatFloat(value, 'g', 4, 64), unit)
	}
	minutes := 1
	for _, minutes = range []int{1, 2, 5, 10, 30, 60} {
		if (p.until-p.from)/60 <= float64(6*minutes) {
			break
		}
	}
	for m := 0; p.from+float64(60*m) <= p.until; m += minutes {
		fmt.Fprintf(b, "<text class=\"soft middle\" x=\"%.1f\" y=\"%d\">%d min</text>\n",
			x(p.from+float64(60*m)), plotY+plotHigh+18, m)
	}
	last := 0.0
	for i, s := range p.steps {
		at := x(s.at)
		if at < plotX || at > plotX+plotWide {
			continue
		}
		fmt.Fprintf(b, "<path class=\"step\" d=\"M%.1f %dv%d\"/>", at, plotY, plotHigh)
		// Numbers of steps that follow each other at once would lie over each other.
		if at-last >= 14 || i == 0 {
			fmt.Fprintf(b, "<text class=\"soft middle\" x=\"%.1f\" y=\"%d\">%d</text>",
				at, plotY-4, i+1)
			last = at
		}
		b.WriteString("\n")
	}
	legend := float64(plotX + plotWide)
	for i := len(shown.lines) - 1; i >= 0; i-- {
		l := shown.lines[i]
		if l.name != "" {
			fmt.Fprintf(b, "<text class=\"end c%d\" x=\"%.1f\" y=\"22\">%s</text>\n",
				i%colours, legend, html.EscapeString(l.name))
			legend -= 7.5*float64(len(l.name)) + 14
		}
		fmt.Fprintf(b, "<path class=\"line c%d\" d=\"%s\"/>\n", i%colours, p.path(l, x, y))
	}
}

// path goes through the points of a line, and leaves a gap where some are missing.
func (p picture) path(l line, x, y func(float64) float64) string {
	interval := math.Max(1, math.Ceil((p.until-p.from)/samples))
	var b strings.Builder
	for i, at := range l.points {
		command := "L"
		if i == 0 || at.at-l.points[i-1].at > 1.5*interval {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, x(at.at), y(at.value))
	}
	return b.String()
}

// unitOf is by what values of a unit of Grafana's are multiplied to be shown, and what follows
// them.
func unitOf(unit string, most float64) (factor float64, name string) {
	switch {
	case unit == "bytes":
		return 1e-6, " MB"
	case unit == "percentunit":
		return 100, " %"
	case unit == "s" && most >= 180:
		return 1. / 60, " min"
	case unit == "s":
		return 1, " s"
	}
	return 1, ""
}

// round is the next number of a scale that is not less.
func round(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, digit := range []float64{1, 2, 4, 5, 8, 10} {
		if digit*power >= most {
			return digit * power
		}
	}
	return most
}

// colours is how many there are for lines.
const colours = 3

// head begins the picture; it is light or dark as whoever looks at it has it.
const head = `<svg xmlns="http://www.w3.org/2000/svg" role="img"
viewBox="0 0 %d %d" width="%d" height="%d">
<style>
:root{--paper:#fff;--ink:#14181f;--soft:#4d5768;--grid:#e6eaef}
:root{--c0:#0b5cad;--c1:#a85f00;--c2:#0a7a4c}
@media (prefers-color-scheme:dark){
:root{--paper:#171b21;--ink:#e9edf2;--soft:#b0bac8;--grid:#2b323c}
:root{--c0:#7ab8ff;--c1:#f0b454;--c2:#5fd6a0}
}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.title{font-size:14px;font-weight:600}
.soft{fill:var(--soft)}
.end{text-anchor:end}
.middle{text-anchor:middle}
path{fill:none}
.grid{stroke:var(--grid)}
.step{stroke:var(--soft);stroke-dasharray:2 3;opacity:.6}
.line{stroke-width:2;stroke-linejoin:round}
.line.c0{stroke:var(--c0)}
.line.c1{stroke:var(--c1)}
.line.c2{stroke:var(--c2)}
text.c0{fill:var(--c0)}
text.c1{fill:var(--c1)}
text.c2{fill:var(--c2)}
</style>
<rect width="%d" height="%d" rx="8" fill="var(--paper)"/>
`
