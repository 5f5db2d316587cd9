package envelope_test

import (
	"bytes"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
)

// A signer seals the keyshares of a vault for its own mnemonic, publishes the bytes, and opens them
// again when it has nothing left but the words.
func Example() {
	m, err := sanity.ParseMnemonic([]byte("rookie utility later divert jealous wire response lens " +
		"horse lottery switch decline bullet chest bicycle marine " +
		"hour outdoor seek magnet plastic virus repeat alter"))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	keyshare := envelope.File{
		Name: "localstate-cosmospub1example.json",
		Data: []byte(`{"pub_key":"cosmospub1example","local_data":"c2VjcmV0"}`),
	}

	// Without the option it takes a second and 256 MiB, as it should outside of examples.
	sealed, err := envelope.Seal([]envelope.File{keyshare}, m, envelope.WithWorkFactor(4))
	if err != nil {
		panic(err)
	}
	files, err := envelope.Open(sealed, m)
	if err != nil {
		panic(err)
	}
	fmt.Println(files[0].Name, bytes.Equal(files[0].Data, keyshare.Data))
	// Output: localstate-cosmospub1example.json true
}
