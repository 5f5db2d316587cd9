package keyshare

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"filippo.io/edwards25519"
	"github.com/cosmos/btcutil/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// A Curve is one of the two that a vault has a key on.
type Curve int

// The curves, in the order in which a vault's keys are named.
const (
	Secp256k1 Curve = iota + 1
	Ed25519
)

func (c Curve) String() string {
	switch c {
	case Secp256k1:
		return "secp256k1"
	case Ed25519:
		return "ed25519"
	}
	return "unknown curve"
}

// What amino put before the bytes of a public key: four bytes that name the type, and the length.
var (
	aminoSecp256k1 = []byte{0xeb, 0x5a, 0xe9, 0x87, secp256k1.PubKeyBytesLenCompressed}
	aminoEd25519   = []byte{0x16, 0x24, 0xde, 0x64, ed25519.PublicKeySize}
)

// pubInfix follows the prefix of account addresses in the prefix of public keys.
const pubInfix = "pub"

// maxKeyLength bounds the bech32 form of a key that is read. It is the SDK's bound.
const maxKeyLength = 1023

const (
	namePrefix = "localstate-"
	nameSuffix = ".json"
)

// FileName is the name of the file that holds the keyshare of this public key, in bech32 or hex.
func FileName(key string) string {
	return namePrefix + strings.TrimPrefix(strings.ToLower(key), "0x") + nameSuffix
}

// EncodeSecp256k1 returns the bech32 form of a compressed secp256k1 public key, for the prefix of
// account addresses ("cosmos").
func EncodeSecp256k1(prefix string, raw33 []byte) (string, error) {
	return encode(prefix, Secp256k1, raw33)
}

// EncodeEd25519 returns the bech32 form of an ed25519 public key, for the prefix of account
// addresses ("cosmos").
func EncodeEd25519(prefix string, raw32 []byte) (string, error) {
	return encode(prefix, Ed25519, raw32)
}

func encode(prefix string, curve Curve, raw []byte) (string, error) {
	if err := checkPoint(curve, raw); err != nil {
		return "", err
	}
	amino := aminoSecp256k1
	if curve == Ed25519 {
		amino = aminoEd25519
	}
	return bech32.EncodeFromBase256(prefix+pubInfix, append(bytes.Clone(amino), raw...))
}

// DecodePubKey is the reverse of EncodeSecp256k1 and EncodeEd25519, for any prefix. It reads hex,
// as other networks write it, too: 33 bytes are a secp256k1 key, 32 an ed25519 key. The key is a
// point of its curve.
func DecodePubKey(key string) (Curve, []byte, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(key, "0x"), "0X")
	if raw, err := hex.DecodeString(digits); err == nil {
		switch len(raw) {
		case secp256k1.PubKeyBytesLenCompressed:
			return Secp256k1, raw, checkPoint(Secp256k1, raw)
		case ed25519.PublicKeySize:
			return Ed25519, raw, checkPoint(Ed25519, raw)
		}
	}
	hrp, words, err := bech32.Decode(key, maxKeyLength)
	if err != nil {
		return 0, nil, fmt.Errorf("decoding bech32: %w", err)
	}
	data, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil {
		return 0, nil, fmt.Errorf("decoding bech32: %w", err)
	}
	if !strings.HasSuffix(hrp, pubInfix) {
		return 0, nil, fmt.Errorf("prefix %q is not that of a public key", hrp)
	}
	var curve Curve
	var raw []byte
	switch {
	case bytes.HasPrefix(data, aminoSecp256k1):
		curve, raw = Secp256k1, data[len(aminoSecp256k1):]
	case bytes.HasPrefix(data, aminoEd25519):
		curve, raw = Ed25519, data[len(aminoEd25519):]
	default:
		return 0, nil, errors.New("neither a secp256k1 nor an ed25519 public key")
	}
	if err := checkPoint(curve, raw); err != nil {
		return 0, nil, err
	}
	return curve, raw, nil
}

func checkPoint(curve Curve, raw []byte) error {
	switch curve {
	case Secp256k1:
		if len(raw) != secp256k1.PubKeyBytesLenCompressed {
			return fmt.Errorf(
				"a compressed secp256k1 public key has %d bytes, not %d",
				secp256k1.PubKeyBytesLenCompressed,
				len(raw),
			)
		}
		_, err := secp256k1.ParsePubKey(raw)
		return err
	default:
		if len(raw) != ed25519.PublicKeySize {
			return fmt.Errorf(
				"an ed25519 public key has %d bytes, not %d",
				ed25519.PublicKeySize,
				len(raw),
			)
		}
		_, err := new(edwards25519.Point).SetBytes(raw)
		return err
	}
}
