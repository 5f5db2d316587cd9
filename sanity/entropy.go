package sanity

import "math"

// minEntropy is the least Shannon entropy, in bits per byte of the normal form, of a mnemonic that
// is sealed with.
//
// THORChain's ADR 004 (Keyshare Backups) has such a check, and its constant was the minimum over
// 10⁸ random mnemonics. A run of `make calibrate` over 10⁸ random mnemonics of 24 words gave a
// minimum of 3.6331, a mean of 4.1120 and a maximum of 4.4233; three more runs had minima of
// 3.6378, 3.6572 and 3.6673. So of 10⁸ mnemonics drawn at random about one is refused, and another
// can be drawn. What the check is for, words repeated by a human or a broken generator, falls far
// below.
const minEntropy = 3.67

// Entropy returns the Shannon entropy of the normal form in bits per byte.
func (m *Mnemonic) Entropy() float64 {
	text := m.Bytes()
	if len(text) == 0 {
		return 0
	}
	var counts [256]int
	for _, b := range text {
		counts[b]++
	}
	// -Σ c/n·log2(c/n) is log2(n) - Σ c·log2(c) / n.
	var sum float64
	for _, c := range counts {
		if c > 1 {
			sum += float64(c) * math.Log2(float64(c))
		}
	}
	n := float64(len(text))
	return math.Log2(n) - sum/n
}
