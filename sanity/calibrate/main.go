// Command calibrate measures the Shannon entropy of random 24-word mnemonics: its minimum is what
// the entropy check of package sanity must not exceed. It draws 10⁸ of them by default, in about
// half a minute on two cores, and prints the minimum, mean and maximum in bits per byte.
package main

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tyler-smith/go-bip39/wordlists"

	"github.com/tssbackup/tssbackup/sanity"
)

const words = 24

func main() {
	n := flag.Int("n", 100_000_000, "number of mnemonics to draw")
	flag.Parse()
	if *n < 1 {
		fmt.Fprintln(os.Stderr, "calibrate: -n must be at least 1")
		os.Exit(2)
	}
	start := time.Now()
	r, err := run(*n, runtime.GOMAXPROCS(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
	fmt.Printf(
		"%d random mnemonics of %d words in %.0f s\n",
		r.n,
		words,
		time.Since(start).Seconds(),
	)
	fmt.Printf(
		"bits of entropy per byte: minimum %.4f  mean %.4f  maximum %.4f\n",
		r.min,
		r.sum/float64(r.n),
		r.max,
	)
}

// result is what one worker saw, or all together.
type result struct {
	n             int
	min, max, sum float64
	lowest        [words]uint16 // the words of the minimum
}

func (r *result) add(o result) {
	if o.min < r.min {
		r.min, r.lowest = o.min, o.lowest
	}
	r.max = max(r.max, o.max)
	r.sum += o.sum
	r.n += o.n
}

// run draws n mnemonics with so many workers, and has package sanity confirm the entropy of the
// lowest.
func run(n, workers int) (result, error) {
	t := newTables()
	parts := make([]result, workers)
	var wg sync.WaitGroup
	for i := range parts {
		share := n / workers
		if i < n%workers {
			share++
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			var seed [32]byte
			_, _ = crand.Read(seed[:]) // never fails
			parts[i] = t.draw(share, rand.NewChaCha8(seed))
		}()
	}
	wg.Wait()
	all := result{min: math.Inf(1)}
	for _, part := range parts {
		all.add(part)
	}

	var text []string
	for _, w := range all.lowest {
		text = append(text, wordlists.English[w])
	}
	m, err := sanity.ParseMnemonic([]byte(strings.Join(text, " ")))
	if err != nil {
		return all, err
	}
	if got := m.Entropy(); math.Abs(got-all.min) > 1e-9 {
		return all, fmt.Errorf(
			"entropy of the lowest is %.6f, package sanity says %.6f",
			all.min,
			got,
		)
	}
	return all, nil
}

// histogram counts the letters of a word or of several: letter i in byte i%8 of element i/8. No
// letter comes up 256 times in 24 words of at most 8 letters, so the bytes add up without a carry.
type histogram [4]uint64

type tables struct {
	letters [2048]histogram
	length  [2048]int
	nlogn   [256]float64 // n·log2(n)
}

func newTables() *tables {
	t := new(tables)
	for i, word := range wordlists.English {
		for _, c := range []byte(word) {
			c -= 'a'
			t.letters[i][c/8] += 1 << (c % 8 * 8)
		}
		t.length[i] = len(word)
	}
	for n := 2; n < len(t.nlogn); n++ {
		t.nlogn[n] = float64(n) * math.Log2(float64(n))
	}
	return t
}

// draw looks at n mnemonics, each made of 256 random bits and their checksum.
func (t *tables) draw(n int, src *rand.ChaCha8) result {
	r := result{n: n, min: math.Inf(1)}
	var bits [33]byte
	for range n {
		for i := 0; i < 32; i += 8 {
			binary.LittleEndian.PutUint64(bits[i:], src.Uint64())
		}
		sum := sha256.Sum256(bits[:32])
		bits[32] = sum[0]
		indices := split(&bits)
		entropy := t.entropy(&indices)
		r.sum += entropy
		r.max = max(r.max, entropy)
		if entropy < r.min {
			r.min, r.lowest = entropy, indices
		}
	}
	return r
}

// split cuts 264 bits into 24 words of 11 bits: 8 of them in every 11 bytes.
func split(bits *[33]byte) (indices [words]uint16) {
	for g := range 3 {
		b := bits[11*g : 11*g+11]
		high := binary.BigEndian.Uint64(b)
		low := binary.BigEndian.Uint64(b[3:])
		for i := range 4 {
			indices[8*g+i] = uint16(high >> (53 - 11*i) & 2047)
			indices[8*g+4+i] = uint16(low >> (33 - 11*i) & 2047)
		}
	}
	return indices
}

// entropy returns the Shannon entropy, in bits per byte, of the words joined by single spaces.
func (t *tables) entropy(indices *[words]uint16) float64 {
	var h histogram
	length := words - 1
	for _, w := range indices {
		l := &t.letters[w]
		h[0] += l[0]
		h[1] += l[1]
		h[2] += l[2]
		h[3] += l[3]
		length += t.length[w]
	}
	sum := t.nlogn[words-1] // the spaces
	for _, v := range h {
		for ; v != 0; v >>= 8 {
			sum += t.nlogn[v&255]
		}
	}
	n := float64(length)
	return (t.nlogn[length] - sum) / n
}
