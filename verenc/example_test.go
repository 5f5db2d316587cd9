package verenc_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/tssbackup/tssbackup/verenc"
)

// A member proves that its share is encrypted to its recipient key, everyone verifies it, and the
// member opens what was kept of the proof with the key alone.
func Example() {
	// The member: the seed is the BIP39 seed of its mnemonic, 64 bytes.
	key, err := verenc.NewRecipientKey(bytes.Repeat([]byte{7}, 64), 0)
	if err != nil {
		panic(err)
	}
	x := sha256.Sum256([]byte("the member's share"))
	share, err := verenc.NewShare(verenc.Secp256k1, x[:])
	if err != nil {
		panic(err)
	}
	st := verenc.Statement{
		Label:     []byte("vault 1, member 1"),
		Recipient: key.Public(),
		Shares:    []verenc.PublicShare{share.Public()},
	}
	// Store the proof before it is sent, and send the same bytes again.
	proof, err := verenc.Prove(key, st, []verenc.Share{share})
	if err != nil {
		panic(err)
	}

	// Everyone: what has to be kept for ever is the stored form.
	stored, err := verenc.Verify(st, proof)
	if err != nil {
		panic(err)
	}
	kept := stored.Bytes()

	// The member, years later.
	again, err := verenc.ParseStored(kept)
	if err != nil {
		panic(err)
	}
	opened, err := again.Open(key, st.Shares)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(kept), "bytes kept;", "opened:", bytes.Equal(opened[0].Bytes(), x[:]))
	// Output: 1989 bytes kept; opened: true
}
