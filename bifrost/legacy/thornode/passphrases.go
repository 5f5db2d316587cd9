package thornode

import (
	"bytes"
	"iter"
	"slices"

	"github.com/tssbackup/tssbackup/sanity"
)

// Those networks took the mnemonic from the environment of the process, where it had come from a
// file or a secret of Kubernetes, and used it as it was. Their checks split it at single spaces and
// looked each word up without the white space around it, or looked at the words alone. So line
// ends, tabs and empty lines at its beginning and at its end passed, and are part of the
// passphrase; and so did words of a wrong checksum.
var (
	leads = []string{"", "\n", "\r\n", "\n\n", "\r\n\r\n", "\r", "\t", "\t\t", " "}
	// endings are all of up to three line feeds, carriage returns and tabs, and a few more.
	endings = append(
		upTo(3, "\n", "\r", "\t"),
		"\r\n\r\n", "\r\n\r\n\r\n", "\n\n\n\n", "\t\r\n", "\t\n\n", "\v", "\f", "\x85",
		" ", " \n", " \r\n", "  ", "\n ",
	)
)

// upTo are all sequences of at most so many of the parts, the shortest first.
func upTo(most int, parts ...string) []string {
	all := []string{""}
	for from := 0; most > 0; most-- {
		end := len(all)
		for _, head := range all[from:end] {
			for _, part := range parts {
				all = append(all, head+part)
			}
		}
		from = end
	}
	return all
}

// passphrases are what the mnemonic may have been when it was used, the likely ones first: the
// normal form, the bytes as they were given, and both with each lead and ending that passed. Each
// is wiped when the next one is asked for.
func passphrases(p *sanity.Phrase) iter.Seq[[]byte] {
	const white = " \t\r\n\v\f"
	cores := [][]byte{p.Normal()}
	// With other spaces between the words, or in capital letters.
	if core := bytes.Trim(p.Given(), white); !bytes.Equal(core, p.Normal()) {
		cores = append(cores, core)
	}
	return func(yield func([]byte) bool) {
		try := func(parts ...[]byte) bool {
			passphrase := slices.Concat(parts...)
			defer sanity.Wipe(passphrase)
			return yield(passphrase)
		}
		for _, likely := range [][]byte{p.Normal(), p.Given()} {
			if !try(likely) {
				return
			}
		}
		given := p.Given()
		for _, ends := range [][2]string{{"\n", "\r\n"}, {"\r\n", "\n"}, {"\n", " "}} {
			other := bytes.ReplaceAll(given, []byte(ends[0]), []byte(ends[1]))
			ok := try(other)
			sanity.Wipe(other)
			if !ok {
				return
			}
		}
		for _, core := range cores {
			for _, lead := range leads {
				for _, ending := range endings {
					if !try([]byte(lead), core, []byte(ending)) {
						return
					}
				}
			}
		}
	}
}
