// Command keyshares writes the keyshare files of one member of a vault into a folder.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/testutil/dealer"
)

func main() {
	n := flag.Int("members", 4, "how many the vault has")
	flag.Parse()
	members := make([][]byte, *n)
	for i := range members {
		secret := sha256.Sum256(fmt.Append(nil, "member ", i))
		members[i] = secp256k1.PrivKeyFromBytes(secret[:]).PubKey().SerializeCompressed()
	}
	for _, f := range dealer.NewVault("vault", "cosmos", members).Files[0] {
		if err := os.WriteFile(filepath.Join(flag.Arg(0), f.Name), f.Data, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
