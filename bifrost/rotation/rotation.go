package rotation

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
)

// Signers returns who signs in a window: the indices of exactly threshold of the keygen's n
// members, ascending. Window 0 begins a turn, so who counts windows from where the signing begins
// has the sets first that leave out each member once. n and threshold are a keygen's, 1 ≤ threshold
// ≤ n; for any others it returns nil.
func Signers(n, threshold int, keygen, window uint64) []int {
	t := turnOf(n, threshold)
	if t == nil {
		return nil
	}
	members := seats(n, keygen)
	signs := make([]bool, n)
	for i := range signs {
		signs[i] = true
	}
	for _, at := range t[window%uint64(len(t))] {
		signs[members[at]] = false
	}
	signers := make([]int, 0, threshold)
	for i, does := range signs {
		if does {
			signers = append(signers, i)
		}
	}
	return signers
}

// Windows returns how many windows a turn has. From whichever one begins, within that many any two
// members are left out together once, or any one where no more than one is left out. It is 0 where
// Signers returns nil.
func Windows(n, threshold int) int { return len(turnOf(n, threshold)) }

// WindowsForOne returns within how many windows, from whichever one begins, each member is left out
// once. From the beginning of a turn it is ⌈n / (n − threshold)⌉. Where nobody can be left out, and
// where Signers returns nil, it is 0.
func WindowsForOne(n, threshold int) int {
	t, most := turnOf(n, threshold), 0
	for member := range n {
		var out []int
		for w, set := range t {
			if slices.Contains(set, member) {
				out = append(out, w)
			}
		}
		for i, w := range out {
			next := out[(i+1)%len(out)]
			if next <= w {
				next += len(t)
			}
			most = max(most, next-w)
		}
	}
	return most
}

// seats says which member stands where in the turn of a keygen: it orders the members by a hash of
// the keygen's id and theirs, so that they are not the same ones in the first set of each keygen.
func seats(n int, keygen uint64) []int {
	keys, members := make([][32]byte, n), make([]int, n)
	for i := range n {
		b := binary.BigEndian.AppendUint64([]byte("tssbackup/rotation/v1"), keygen)
		keys[i], members[i] = sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(i))), i
	}
	slices.SortFunc(members, func(i, j int) int { return bytes.Compare(keys[i][:], keys[j][:]) })
	return members
}

// A turn is the sets of those who are left out, each once, in the order of the windows.
type turn [][]int

type size struct{ n, threshold int }

var turns = struct {
	sync.Mutex
	of map[size]turn
}{of: map[size]turn{}}

// turnOf returns the turn of a size, which is the same always and everywhere, or nil.
func turnOf(n, threshold int) turn {
	if threshold < 1 || threshold > n {
		return nil
	}
	turns.Lock()
	defer turns.Unlock()
	t, ok := turns.of[size{n, threshold}]
	if !ok {
		t = newTurn(n, n-threshold)
		turns.of[size{n, threshold}] = t
	}
	return t
}

func newTurn(n, out int) turn {
	if out == 0 {
		return turn{nil}
	}
	first := partition(n, out)
	if out == 1 {
		return first
	}
	return order(n, cover(n, out, first), len(first))
}

// partition leaves out each member once. The last set is filled from the beginning.
func partition(n, out int) (sets turn) {
	for begin := 0; begin < n; begin += out {
		set := make([]int, out)
		for i := range set {
			set[i] = (begin + i) % n
		}
		sets = append(sets, set)
	}
	return sets
}

// order keeps the first sets and puts the others so that those come next who have signed the
// longest.
func order(n int, sets turn, first int) turn {
	t, rest := slices.Clone(sets[:first]), slices.Clone(sets[first:])
	last := make([]int, n)
	for w, set := range t {
		for _, m := range set {
			last[m] = w
		}
	}
	for w := first; len(rest) > 0; w++ {
		best, most := 0, -1
		for i, set := range rest {
			sum := 0
			for _, m := range set {
				sum += (w - last[m]) * (w - last[m])
			}
			if sum > most {
				best, most = i, sum
			}
		}
		for _, m := range rest[best] {
			last[m] = w
		}
		t, rest = append(t, rest[best]), slices.Delete(rest, best, best+1)
	}
	return t
}
