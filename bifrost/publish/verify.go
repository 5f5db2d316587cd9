package publish

import (
	"bytes"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// signatures are a vault's two signatures over the check message.
type signatures struct{ secp256k1, ed25519 []byte }

// verify reports whether both signatures over the digest are the vault's.
func (s signatures) verify(v vault.Vault, digest []byte) bool {
	return types.VerifySecp256k1(v.PubKey, digest, s.secp256k1) &&
		types.VerifyEd25519(v.PubKeyEd25519, digest, s.ed25519)
}

func contains(list [][]byte, key []byte) bool {
	for _, k := range list {
		if len(key) > 0 && bytes.Equal(k, key) {
			return true
		}
	}
	return false
}
