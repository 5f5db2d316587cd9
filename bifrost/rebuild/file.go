package rebuild

import (
	"encoding/hex"

	"github.com/tssbackup/tssbackup/sanity"
)

// Encode gives the keys in the form in which they are written to a file, JSON on lines of its own:
//
//	{
//	  "vault": the vault's secp256k1 public key, compressed, in hex
//	  "secp256k1": its private key, 32 bytes big-endian, in hex
//	  "pub_key_ed25519": the vault's ed25519 public key in hex
//	  "ed25519_scalar": the scalar of [Keys.Ed25519], 32 bytes little-endian, in hex
//	}
//
// The caller wipes it. It is built by hand, so that no copy of a key stays behind in an encoder.
func (k *Keys) Encode() []byte {
	ec, ed := k.Secp256k1(), k.Ed25519()
	defer sanity.Wipe(ec)
	defer sanity.Wipe(ed)
	b := make([]byte, 0, 512)
	b = append(b, "{\n  \"vault\": \""...)
	b = append(b, k.vault...)
	b = append(b, "\",\n  \"secp256k1\": \""...)
	b = hex.AppendEncode(b, ec)
	b = append(b, "\",\n  \"pub_key_ed25519\": \""...)
	b = append(b, k.ed25519...)
	b = append(b, "\",\n  \"ed25519_scalar\": \""...)
	b = hex.AppendEncode(b, ed)
	return append(b, "\"\n}\n"...)
}
