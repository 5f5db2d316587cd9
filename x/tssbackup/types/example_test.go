package types_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Whoever verifies a vault's signatures over the check message, or makes them, needs the digest
// that they are of.
func ExampleCheckMessage() {
	pubKey, pubKeyEd25519 := make([]byte, 33), make([]byte, 32) // as the vault's record has them
	digest := types.CheckMessage("chain-1", 7, pubKey, pubKeyEd25519)
	fmt.Println(len(digest), "bytes for vault", types.VaultName(pubKey)[:8]+"…")
	// Output: 32 bytes for vault 00000000…
}
