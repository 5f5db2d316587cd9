package saved

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isText reports whether bytes are text, but for a few: in what is encrypted more than half are of
// a kind that text has not.
func isText(b []byte) bool {
	odd, most := 0, len(b)/50
	for i := 0; i < len(b); {
		c := rune(b[i])
		size := 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(b[i:])
		}
		switch {
		case c == 0:
			return false
		case c == utf8.RuneError && size == 1, unicode.IsControl(c) && !unicode.IsSpace(c):
			if odd++; odd > most {
				return false
			}
		}
		i += size
	}
	return true
}

// text looks at what a text holds.
func (s *search) text(b []byte, depth int, whole bool) {
	b = bytes.TrimSpace(b)
	if s.json(b, depth, whole) {
		return
	}
	if file, armored := unarmor(b); armored {
		if file == nil {
			s.note(kind{
				rank: rankBroken, what: "age armor that is cut off or damaged",
				todo: "copy it once more, from its BEGIN to its END line",
			})
			return
		}
		s.look(file, depth-1, whole)
		return
	}
	if whole {
		s.weak = s.weak || s.kind.weak
		if len(b) > 0 && b[0] == '{' {
			s.objects = append(s.objects, b)
		}
	}
	if s.encoded(b, depth, whole) {
		return
	}
	// JSON that was cut off, YAML, or lines of a log, perhaps with JSON in a string of JSON.
	for range 4 {
		s.runs(b, depth)
		s.numbers(b, depth)
		next := unescape(b)
		if len(next) == len(b) {
			return
		}
		b = next
		if s.left -= len(b); s.left < 0 {
			s.tooMuch = true
			return
		}
	}
}

// encoded looks at what the whole of a text stands for in base64 or hex. It returns false when
// parts of it may also stand for something by themselves.
func (s *search) encoded(b []byte, depth int, whole bool) bool {
	compact := string(bytes.Join(bytes.Fields(b), nil))
	if compact == "" || s.weak {
		return false
	}
	if strings.IndexFunc(compact, func(r rune) bool { return !isEncoded(r) }) >= 0 {
		inner := decodeList(compact)
		if inner != nil {
			s.look(inner, depth-1, whole)
		}
		return inner != nil
	}
	inner := decode(compact)
	if inner == nil {
		return false
	}
	before := len(s.found)
	// A few letters always stand for something.
	means := len(inner) >= minBytes || isTransaction(inner) || inner[0] == '{' && isText(inner)
	s.look(inner, depth-1, whole && means)
	opens := func(c Candidate) bool { return c.Form == Envelope }
	return len(compact) == len(b) || slices.ContainsFunc(s.found[before:], opens)
}

// json looks at the strings and the arrays of bytes in one or several JSON values. It returns false
// for anything else, and then has done nothing.
func (s *search) json(b []byte, depth int, whole bool) bool {
	if len(b) == 0 || !bytes.ContainsRune([]byte(`{["`), rune(b[0])) {
		return false
	}
	values, err := jsonValues(b)
	if err != nil {
		return false
	}
	if whole && b[0] == '{' {
		s.objects = append(s.objects, b)
	}
	if whole {
		s.answer(b)
	}
	for _, v := range values {
		// What is all there is, or an answer that somebody put into JSON of its own.
		inner := b[0] == '"' || b[0] == '[' && !v.text || v.text && !s.kind.none && holdsObject(v.data)
		s.look(v.data, depth-1, whole && inner)
	}
	return true
}

func holdsObject(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }

// value is a string of JSON, or an array of bytes.
type value struct {
	data []byte
	text bool
}

// jsonValues returns the strings of JSON values that are long enough or hold an object, and their
// arrays of numbers that are bytes, also when they are objects with a field for each.
func jsonValues(b []byte) ([]value, error) {
	var (
		values []value
		open   []*byteArray
	)
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(open) > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		var in *byteArray
		if len(open) > 0 {
			in = open[len(open)-1]
		}
		if in != nil && in.object && !in.atValue {
			if key, ok := token.(string); ok { // not the end of it
				in.atValue = true
				in.bad = in.bad || key != strconv.Itoa(len(in.bytes))
				continue
			}
		}
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if in != nil {
					in.atValue, in.bad = false, true
				}
				open = append(open, &byteArray{object: t == '{'})
				continue
			}
			if len(in.bytes) >= minBytes && !in.bad {
				values = append(values, value{data: in.bytes})
			}
			open = open[:len(open)-1]
			continue
		case string:
			if len(t) >= minBytes || holdsObject([]byte(t[:min(len(t), 64)])) || in == nil {
				values = append(values, value{data: []byte(t), text: true})
			}
			if in != nil {
				in.bad = true
			}
		case float64:
			if in != nil {
				in.add(t)
			}
		default:
			if in != nil {
				in.bad = true
			}
		}
		if in != nil {
			in.atValue = false
		}
	}
}

// byteArray is an array or an object that is open, as long as it may be one of bytes.
type byteArray struct {
	bytes           []byte
	object, atValue bool
	bad             bool
}

func (a *byteArray) add(v float64) {
	if a.bad {
		return
	}
	if v != float64(int(v)) || v < -128 || v > 255 {
		a.bad, a.bytes = true, nil
		return
	}
	a.bytes = append(a.bytes, byte(int(v)))
}

// unescape undoes the escapes of JSON, but for \x: that is how others write hex. It undoes those of
// URLs, too.
func unescape(b []byte) []byte {
	if !bytes.ContainsAny(b, `\%`) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if c, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'n', 'r':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case '/', '"', '\\', '\'':
			out = append(out, c)
		case '\r', '\n': // YAML's way to go on in the next line
			out = append(out, c)
		case 'u':
			r, err := strconv.ParseUint(string(b[i+1:min(i+5, len(b))]), 16, 32)
			if err != nil || i+5 > len(b) {
				out = append(out, '\\', c)
				continue
			}
			out = utf8.AppendRune(out, rune(r))
			i += 4
		default:
			out = append(out, '\\', c)
		}
	}
	return out
}

// minStart is the length of the shortest end of a line that goes on in the next one: what stands
// before a block of YAML is shorter.
const minStart = 16

// runs looks at all long runs of base64 or hex in a text. One that fills its line to the end goes
// on in the next line, as in YAML's block and folded scalars, and each line is looked at alone,
// too.
func (s *search) runs(b []byte, depth int) {
	var chain [][]byte
	size := 0
	flush := func() {
		if size >= minBytes {
			s.run(bytes.Join(chain, nil), depth)
			for _, part := range chain {
				if len(chain) > 1 && len(part) >= minBytes {
					s.run(part, depth)
				}
			}
		}
		chain, size = nil, 0
	}
	for line := range bytes.Lines(b) {
		line = bytes.TrimRight(bytes.TrimSpace(line), `\`)
		line = bytes.TrimLeft(line, `\`)
		all := bytes.FieldsFunc(line, func(r rune) bool { return !isEncoded(r) })
		if len(all) == 0 {
			flush()
			continue
		}
		if !continues(line, all[0]) || len(chain) > 0 && bytes.HasSuffix(chain[len(chain)-1], []byte("=")) {
			flush()
		}
		for i, run := range all {
			if i > 0 {
				flush()
			}
			last := i == len(all)-1 && bytes.HasSuffix(line, run)
			if len(chain) == 0 && last && len(run) < minStart && len(run) < len(line) {
				continue
			}
			chain, size = append(chain, run), size+len(run)
			if !last {
				flush()
			}
		}
	}
	flush()
}

// continues reports whether a line begins with the run and holds nothing else, or the end of the
// string that the run is in.
func continues(line, run []byte) bool {
	rest, ok := bytes.CutPrefix(line, run)
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(`"'`), rest[0]) >= 0)
}

func (s *search) run(run []byte, depth int) {
	if inner := decode(string(run)); inner != nil {
		s.look(inner, depth-1, false)
	}
}

// numbers looks at long runs of numbers that are bytes, one after the other with nothing but
// separators between them: lists of YAML, and arrays of JSON that was cut off.
func (s *search) numbers(b []byte, depth int) {
	var run []byte
	flush := func() {
		if len(run) >= minBytes {
			s.look(run, depth-1, false)
		}
		run = nil
	}
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			end := i
			for end < len(b) && b[end] >= '0' && b[end] <= '9' {
				end++
			}
			v, err := strconv.Atoi(string(b[i:min(end, i+4)]))
			if i > 0 && b[i-1] == '-' {
				v = -v
			}
			if err != nil || v < -128 || v > 255 {
				flush()
			} else {
				run = append(run, byte(v))
			}
			i = end
			continue
		case c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '-':
		default:
			flush()
		}
		i++
	}
	flush()
}
