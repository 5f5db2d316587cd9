package rebuild_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/sanity"
)

// The vault's keys, from what the chain's state holds of it and the mnemonics of a threshold of its
// members. Whoever does this holds the vault's money alone.
func Example() {
	keys := func(state []byte, mnemonics []*sanity.Mnemonic) (*rebuild.Keys, error) {
		record, err := rebuild.Parse(state)
		if err != nil {
			return nil, err
		}
		vault, err := rebuild.New(record)
		if err != nil {
			return nil, err
		}
		opening := vault.Open()
		defer opening.Wipe()
		for _, m := range mnemonics {
			members, err := opening.Add(m)
			if err != nil {
				return nil, err
			}
			fmt.Println("opened the shares of", members, "and", opening.Missing(), "are missing")
		}
		return opening.Combine()
	}
	_ = keys
}
