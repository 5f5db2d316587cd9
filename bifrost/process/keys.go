package process

// What is left of a key that edits, in the text of [keys].
const (
	keyEnd       = 0x04 // Ctrl-D
	keyBackspace = 0x08
	keyLineEnd   = '\n'
	keyWord      = 0x17 // Ctrl-W
	keyLine      = 0x15 // Ctrl-U
	keyDelete    = 0x7f
)

// keys makes text of what a terminal sends: line ends, whether they come as CR, LF or both, are one
// LF each; the sequences of cursor keys go, and those that a terminal puts around what is pasted.
// What comes in pieces is understood as if it came at once.
type keys struct {
	state keyState
	// number is the parameter of the sequence that is being read, bounded.
	number []byte
	// afterCR says that a LF would belong to the line end that was there.
	afterCR bool
	// pasting says that the end of what is pasted is still to come.
	pasting bool
}

type keyState int

const (
	plain    keyState = iota
	escaped           // after ESC
	sequence          // after ESC [
	single            // after ESC O
)

// decode appends the text that bytes of the terminal stand for to out.
func (k *keys) decode(out, in []byte) []byte {
	for _, b := range in {
		out = k.one(out, b)
	}
	return out
}

func (k *keys) one(out []byte, b byte) []byte {
	switch k.state {
	case escaped:
		k.state = plain
		switch b {
		case '[':
			k.state, k.number = sequence, k.number[:0]
			return out
		case 'O':
			k.state = single
			return out
		}
	case sequence:
		switch {
		case b >= 0x20 && b < 0x40:
			if len(k.number) < 8 {
				k.number = append(k.number, b)
			}
			return out
		case b >= 0x40 && b < keyDelete:
			k.state = plain
			if b == '~' {
				switch string(k.number) {
				case "200":
					k.pasting = true
				case "201":
					k.pasting = false
				}
			}
			return out
		}
		k.state = plain
	case single:
		k.state = plain
		return out
	}
	afterCR := k.afterCR
	k.afterCR = b == '\r'
	switch {
	case b == 0x1b:
		k.state = escaped
	case b == '\r', b == '\n' && !afterCR:
		return append(out, keyLineEnd)
	case b == '\t' || b >= ' ' && b != keyDelete:
		return append(out, b)
	case !k.pasting && editing(b):
		return append(out, b)
	}
	return out
}

// editing reports whether a key changes what was typed, or ends it.
func editing(b byte) bool {
	switch b {
	case keyEnd, keyBackspace, keyWord, keyLine, keyDelete:
		return true
	}
	return false
}

// edit applies a key to the text before it.
func edit(text []byte, b byte) []byte {
	end := len(text)
	switch b {
	case keyBackspace, keyDelete:
		for end > 0 && text[end-1]&0xc0 == 0x80 { // the rest of a character
			end--
		}
		if end > 0 && text[end-1] != keyLineEnd {
			end--
		}
	case keyWord:
		for end > 0 && text[end-1] == ' ' {
			end--
		}
		for end > 0 && text[end-1] != ' ' && text[end-1] != keyLineEnd {
			end--
		}
	case keyLine:
		for end > 0 && text[end-1] != keyLineEnd {
			end--
		}
	default:
		return append(text, b)
	}
	clear(text[end:])
	return text[:end]
}
