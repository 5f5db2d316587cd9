package keyfiles_test

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Whoever writes, seals or reads a member's files of a vault asks whether they are that.
func Example() {
	var members [][]byte
	for i := range byte(3) {
		key := secp256k1.PrivKeyFromBytes([]byte{i + 1})
		members = append(members, key.PubKey().SerializeCompressed())
	}
	dealt := dealer.NewVault("example", "thor", members)
	v := vault.Vault{PubKey: dealt.PubKey(), Vault: types.Vault{PubKeyEd25519: dealt.PubKeyEd25519()}}
	for _, m := range members {
		v.Members = append(v.Members, types.Member{PubKey: m})
	}
	var files []envelope.File
	for _, f := range dealt.Files[0] {
		files = append(files, envelope.File{Name: f.Name, Data: f.Data})
	}

	kept, err := keyfiles.Check(v, files, members[0])
	fmt.Println(kept != nil, err)
	_, err = keyfiles.Check(v, files, members[1])
	fmt.Println("of another member:", errors.Is(err, keyfiles.ErrKeyshares))
	names, err := keyfiles.Names(v, "thor")
	fmt.Println(names[0] == files[0].Name, names[1] == files[1].Name, err)
	// Output:
	// true <nil>
	// of another member: true
	// true true <nil>
}
