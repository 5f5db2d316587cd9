package sanity

import (
	"bytes"

	"github.com/tyler-smith/go-bip39/wordlists"
)

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

// LooksSecret reports whether a line that was to be an answer may be a mnemonic, or a piece of one:
// it has several words, or one of the BIP39 list.
func LooksSecret(line []byte) bool {
	words := bytes.Fields(line)
	if len(words) > 1 {
		return true
	}
	for _, word := range words {
		lower := bytes.ToLower(word)
		defer Wipe(lower)
		if _, ok := wordIndex[string(lower)]; ok {
			return true
		}
	}
	return false
}
