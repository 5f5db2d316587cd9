package verenc

import (
	"bytes"
	"testing"
)

// Fuzzed bytes are tried as they are, and laid over a good proof (or stored form), cut or
// lengthened, so that what lies behind the cheap refusals is reached too. Most of it is done at toy
// size, which is fast; the code is the same.

func FuzzVerify(f *testing.F) {
	key, st, _, proof := honest(f, toy, "both")
	_, fullSt, _, fullProof := honest(f, suite1, "both")
	for _, at := range []uint16{0, 1, 33, 65, 69, 300, 0xffff} {
		f.Add([]byte{0xff}, at, int16(0), false)
		f.Add([]byte{}, at, int16(at%3)-1, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, longer int16, full bool) {
		p, st, good := toy, st, proof
		if full {
			p, st, good = suite1, fullSt, fullProof
		}
		for _, b := range [][]byte{b, overlay(good, b, at, longer)} {
			stored, err := verifyBoth(t, p, st, b)
			if err != nil {
				continue
			}
			if !bytes.Equal(b, good) {
				t.Fatal("accepted a proof that nobody made")
			}
			if _, err := stored.Open(key, st.Shares); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	key, st, _, proof := honest(f, suite1, "both")
	good, err := Verify(st, proof)
	if err != nil {
		f.Fatal(err)
	}
	form := good.Bytes()
	for _, at := range []uint16{0, 1, 33, 65, 69, 101, 0xffff} {
		f.Add([]byte{0xff}, at, int16(0))
		f.Add([]byte{}, at, int16(StoredSize(1)-StoredSize(2)))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, longer int16) {
		for _, b := range [][]byte{b, overlay(form, b, at, longer)} {
			stored, err := ParseStored(b)
			if err != nil {
				continue
			}
			if !bytes.Equal(stored.Bytes(), b) {
				t.Fatal("a form that does not come back as it was")
			}
			shares := st.Shares[:stored.Shares()]
			opened, err := stored.Open(key, shares)
			if err != nil {
				continue
			}
			for j := range opened {
				if !bytes.Equal(opened[j].Public().Point, shares[j].Point) {
					t.Fatal("opened to another share")
				}
			}
		}
	})
}

func FuzzList(f *testing.F) {
	v := madeUpVault(f, Ed25519, 4, Degree(4), "fuzz")
	f.Add(byte(2), v.list.Vault, []byte{0})
	f.Add(byte(1), bytes.Repeat([]byte{2}, 33), bytes.Repeat([]byte{7}, 3*65))
	f.Fuzz(func(t *testing.T, group byte, vault, entries []byte) {
		l := List{Group: Group(group), Vault: vault}
		size := 32 + l.Group.PointSize()
		for ; len(entries) >= size && len(l.Entries) < 8; entries = entries[size:] {
			l.Entries = append(l.Entries, Entry{ID: entries[:32], Point: entries[32:size]})
		}
		_ = l.Check()
		_ = CheckRecipient(vault)
		_ = VerifyPossession(vault, string(entries), entries, entries)
	})
}

// overlay lays b over a copy of good, that is cut or lengthened first.
func overlay(good, b []byte, at uint16, longer int16) []byte {
	changed := append(bytes.Clone(good), make([]byte, max(longer, 0))...)
	changed = changed[:max(0, min(len(changed), len(good)+int(longer)))]
	if len(changed) > 0 {
		copy(changed[int(at)%len(changed):], b)
	}
	return changed
}
