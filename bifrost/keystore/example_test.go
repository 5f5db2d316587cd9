package keystore_test

import (
	"fmt"
	"os"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// Keyshares lie sealed on the disk for whoever has the mnemonic.
func Example() {
	m, err := sanity.ParseMnemonic([]byte("rookie utility later divert jealous wire response lens " +
		"horse lottery switch decline bullet chest bicycle marine " +
		"hour outdoor seek magnet plastic virus repeat alter"))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	identity, err := signer.HomeIdentity(m)
	if err != nil {
		panic(err)
	}
	defer sanity.Wipe(identity)
	keys, err := keystore.NewKeys(identity, nil)
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "keyshares")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	store, err := keystore.Open(dir, keys)
	if err != nil {
		panic(err)
	}
	const epoch = 7
	file := envelope.File{Name: "localstate-cosmospub1example.json", Data: []byte("{}")}
	if err := store.Save(epoch, []envelope.File{file}); err != nil {
		panic(err)
	}
	data, err := store.Load(epoch, file.Name)
	fmt.Println(string(data), err)
	// Output: {} <nil>
}
