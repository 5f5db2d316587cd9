package archive_test

import (
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A node keeps envelopes beside its state, and gives back what a commitment in state is of.
func Example() {
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a, err := archive.Open(dir)
	if err != nil {
		panic(err)
	}
	envelope := []byte("an envelope")
	if err := a.Put(envelope); err != nil {
		panic(err)
	}
	sum := sha256.Sum256(envelope)
	got, err := a.Envelope(types.Commitment{Sha256: sum[:], Size_: uint64(len(envelope))})
	fmt.Println(string(got), err)
	// Output: an envelope <nil>
}
