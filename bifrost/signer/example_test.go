package signer_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// All keys of a signer follow from its mnemonic.
func Example() {
	m, err := sanity.ParseMnemonic([]byte("rookie utility later divert jealous wire response lens " +
		"horse lottery switch decline bullet chest bicycle marine " +
		"hour outdoor seek magnet plastic virus repeat alter"))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	key, err := signer.Derive(m, signer.DefaultHDPath)
	if err != nil {
		panic(err)
	}
	defer key.Wipe()
	recipient, err := signer.DeriveRecipient(m, 0)
	if err != nil {
		panic(err)
	}
	defer recipient.Wipe()
	signature, err := key.Sign([]byte("message"))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(key.Bech32("thor")), len(recipient.Public()), signer.Verify(key.PubKey(), []byte("message"), signature))
	// Output: 43 32 true
}
