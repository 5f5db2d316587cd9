package sanity

import "github.com/tyler-smith/go-bip39/wordlists"

const (
	minWordLen = 3
	maxWordLen = 8
)

// wordIndex gives each word of the English BIP39 list its number. It is built from the list itself
// and not asked of the bip39 package, whose list any code in the same binary can replace: consensus
// depends on it.
var wordIndex = func() map[string]uint16 {
	index := make(map[string]uint16, len(wordlists.English))
	for i, word := range wordlists.English {
		index[word] = uint16(i)
	}
	return index
}()
