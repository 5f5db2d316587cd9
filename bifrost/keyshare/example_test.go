package keyshare_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// A signer looks at the files that its keygen left before it relies on them.
func Example() {
	for _, file := range fixture.Keyshares(new(testing.B), 4, 0) { // as read from the signer's folder
		share, err := keyshare.Parse(file.Data)
		if err != nil {
			panic(err)
		}
		fmt.Println(share.Curve(), "of", len(share.Participants()), "members:", share.IsNamed(file.Name), share.Verify())
		share.Wipe()
	}
	// Output:
	// secp256k1 of 4 members: true <nil>
	// ed25519 of 4 members: true <nil>
}

// CheckLocalData is for the shares of systems that have no such file.
func ExampleCheckLocalData() {
	share, err := keyshare.Parse(fixture.Keyshares(new(testing.B), 4, 0)[1].Data)
	if err != nil {
		panic(err)
	}
	raw := localDataOf(new(testing.B), fixture.Keyshares(new(testing.B), 4, 0)[1].Data)
	data, err := keyshare.CheckLocalData(keyshare.Ed25519, raw)
	if err != nil {
		panic(err)
	}
	fmt.Println(data.Threshold, "of", data.Members, string(data.PubKey) == string(share.VaultKey()))
	// Output: 3 of 4 true
}

// Of a vault's keyshares one part is the same for all members and may be published; what is left for
// a member to keep has the same size for every number of members.
func ExampleSplit() {
	t := new(testing.B)
	files := fixture.Keyshares(t, 20, 0)
	secrets, group, err := keyshare.Split([2][]byte{files[0].Data, files[1].Data}, 7)
	if err != nil {
		panic(err)
	}
	defer secrets.Secret.Wipe()
	share, err := keyshare.Parse(files[0].Data)
	if err != nil {
		panic(err)
	}
	joined, err := keyshare.Join(secrets, share.Participants(), group)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(secrets.Secret.Bytes()), len(group)/20, bytes.Equal(joined[0], files[0].Data), bytes.Equal(joined[1], files[1].Data))
	// Output: 576 1089 true true
}
