package rotation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// most is the number of members up to which the tests try all.
const most = 40

func thresholdOf(n int) int { return (2*n + 2) / 3 }

// without says in which windows of a turn, which begins at one, a member does not sign. It fails
// when a set is none.
func without(t *testing.T, n, threshold int, keygen, begin uint64) [][]bool {
	t.Helper()
	out := make([][]bool, n)
	for i := range out {
		out[i] = make([]bool, Windows(n, threshold))
	}
	for w := range out[0] {
		signers := Signers(n, threshold, keygen, begin+uint64(w))
		if len(signers) != threshold {
			t.Fatalf("%d signers of a threshold of %d", len(signers), threshold)
		}
		for i, m := range signers {
			if m < 0 || m >= n || i > 0 && m <= signers[i-1] {
				t.Fatalf("the signers %v of %d members", signers, n)
			}
		}
		for m := range n {
			out[m][w] = !slices.Contains(signers, m)
		}
	}
	return out
}

func TestATurnIsWithoutAnyTwoMembersFromWhereverItBegins(t *testing.T) {
	for n := 3; n <= most; n++ {
		threshold := thresholdOf(n)
		turn := uint64(Windows(n, threshold))
		// A turn that begins elsewhere has the same sets: they come again in the same order.
		for begin := range turn {
			for _, keygen := range []uint64{0, 7} {
				first := Signers(n, threshold, keygen, begin)
				for _, later := range []uint64{turn, 5 * turn} {
					if !slices.Equal(first, Signers(n, threshold, keygen, begin+later)) {
						t.Fatalf("%d members: window %d is not that of a turn before", n, begin+later)
					}
				}
			}
		}
		for _, keygen := range []uint64{0, 1, 1 << 40} {
			out := without(t, n, threshold, keygen, 3)
			for a := range n {
				for b := range a + 1 {
					if a != b && n-threshold < 2 {
						continue
					}
					both := false
					for w := range out[a] {
						both = both || out[a][w] && out[b][w]
					}
					if !both {
						t.Errorf("%d members: no window of a turn is without %d and %d", n, a, b)
					}
				}
			}
		}
	}
}

func TestATurnIsShort(t *testing.T) {
	for n, want := range map[int]int{
		3: 3, 4: 4, 5: 5, 6: 15, 7: 21, 8: 28, 9: 12, 10: 19, 11: 20,
	} {
		if got := Windows(n, thresholdOf(n)); got > want {
			t.Errorf("%d members: a turn of %d windows, more than %d", n, got, want)
		}
	}
	for n := 12; n <= 100; n++ {
		if got := Windows(n, thresholdOf(n)); got > 20 {
			t.Errorf("%d members: a turn of %d windows", n, got)
		}
	}
}

func TestATurnBeginsWithSetsThatLeaveOutEachMember(t *testing.T) {
	for n := 3; n <= most; n++ {
		threshold := thresholdOf(n)
		first := (n + n - threshold - 1) / (n - threshold)
		for m, out := range without(t, n, threshold, 11, 0) {
			if !slices.Contains(out[:first], true) {
				t.Errorf("%d members: %d is in each of the first %d sets", n, m, first)
			}
		}
	}
}

func TestOneMemberIsLeftOutWithinTheWindowsForOne(t *testing.T) {
	for n := 3; n <= most; n++ {
		threshold := thresholdOf(n)
		longest := 0
		for _, out := range without(t, n, threshold, 5, 0) {
			wait := 0
			for _, is := range append(slices.Clone(out), out...) {
				if wait++; is {
					longest, wait = max(longest, wait), 0
				}
			}
		}
		if got := WindowsForOne(n, threshold); got != longest {
			t.Errorf("%d members: %d windows for one, want %d", n, got, longest)
		}
	}
}

func TestAnotherKeygenBeginsWithOtherMembers(t *testing.T) {
	for n := 4; n <= most; n++ {
		first, others := Signers(n, thresholdOf(n), 0, 0), 0
		for keygen := range uint64(20) {
			if !slices.Equal(first, Signers(n, thresholdOf(n), keygen, 0)) {
				others++
			}
		}
		if others < 10 {
			t.Errorf("%d members: %d of 20 keygens begin with another set", n, others)
		}
	}
}

func TestSizesThatNoKeygenHasGetNoSigners(t *testing.T) {
	for _, of := range [][2]int{{0, 0}, {3, 0}, {3, 4}, {-1, 1}, {3, -1}} {
		n, threshold := of[0], of[1]
		if s := Signers(n, threshold, 1, 1); s != nil || Windows(n, threshold) != 0 ||
			WindowsForOne(n, threshold) != 0 {
			t.Errorf("%d of %d members: %v", threshold, n, s)
		}
	}
	for n := 1; n <= 12; n++ {
		for threshold := 1; threshold <= n; threshold++ {
			without(t, n, threshold, 2, 2)
		}
		if Windows(n, n) != 1 || len(Signers(n, n, 3, 9)) != n {
			t.Errorf("of %d members all sign, always", n)
		}
	}
}

func TestMembersOfTwoVersionsChooseTheSameSigners(t *testing.T) {
	h := sha256.New()
	for n := 3; n <= most; n++ {
		for w := range Windows(n, thresholdOf(n)) {
			fmt.Fprintln(h, n, w, Signers(n, thresholdOf(n), uint64(n), uint64(w)))
		}
	}
	const want = "ba1572fd1969a70a27888527d969223074817591882cf6cc96e5ce98f890045f"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the sets are other ones than before: %s", got)
	}
}

func TestThePackageCommentHasTheNumbers(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int][]int{}
	for line := range strings.Lines(file.Doc.Text()) {
		row := make([]int, 7)
		if n, _ := fmt.Sscan(line, &row[0], &row[1], &row[2], &row[3], &row[4], &row[5], &row[6]); n == 7 {
			got[row[0]] = row[1:]
		}
	}
	if len(got) != most-2 {
		t.Fatalf("%d rows", len(got))
	}
	for n := 3; n <= most; n++ {
		threshold := thresholdOf(n)
		out := n - threshold
		bound := n
		if out > 1 {
			bound = atLeast(n, out)
		}
		want := []int{
			threshold, out, Windows(n, threshold), bound,
			(n + out - 1) / out, WindowsForOne(n, threshold),
		}
		if !slices.Equal(got[n], want) {
			t.Errorf("%d members: the comment says %v, computed is %v", n, got[n], want)
		}
	}
}
