package sanity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	scalarBytes = 32
	primeBytes  = numberBytes / 2

	// SecretBytes is the length of a member's secret part.
	SecretBytes = 2*scalarBytes + 2*primeBytes + numberBytes

	// maxPrefix bounds the prefix of account addresses, in bytes.
	maxPrefix = 32
	// maxSecrets is the length of the longest secrets file.
	maxSecrets = 1200
)

// Secret is what a member's two keyshares hold that no other member's do, 576 bytes: the rest
// follows from it and from the group part. All five numbers are big-endian. Like a [Mnemonic] it
// shows itself as a constant; the zero Secret holds nothing. Wipe it.
type Secret struct {
	redaction
	reveal func() []byte // a function for the reason that Mnemonic has one
}

// NewSecret takes a copy of so many bytes, which the caller wipes. What they are it does not look
// at: it takes the group part to tell whether they are right.
func NewSecret(b []byte) (Secret, error) {
	if len(b) != SecretBytes {
		return Secret{}, fmt.Errorf("a secret part has %d bytes, not %d", SecretBytes, len(b))
	}
	held := bytes.Clone(b)
	return Secret{reveal: func() []byte { return held }}, nil
}

// Bytes are all of it. They are the Secret's own, as are those of its parts.
func (s Secret) Bytes() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// part returns the bytes from one place up to another.
func (s Secret) part(from, to int) []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()[from:to:to]
}

// XiSecp256k1 is the share of the vault's secp256k1 key, 32 bytes.
func (s Secret) XiSecp256k1() []byte { return s.part(0, scalarBytes) }

// XiEd25519 is the share of the vault's ed25519 key, 32 bytes.
func (s Secret) XiEd25519() []byte { return s.part(scalarBytes, 2*scalarBytes) }

// PaillierP is the factor of the Paillier modulus N that tss-lib calls P, 128 bytes.
func (s Secret) PaillierP() []byte { return s.part(2*scalarBytes, 2*scalarBytes+primeBytes) }

// RingP is the P of NTilde = (2P+1)·(2Q+1), 128 bytes.
func (s Secret) RingP() []byte {
	return s.part(2*scalarBytes+primeBytes, 2*scalarBytes+2*primeBytes)
}

// Alpha is that of H2 = H1^Alpha, 256 bytes.
func (s Secret) Alpha() []byte { return s.part(2*scalarBytes+2*primeBytes, SecretBytes) }

// Wipe overwrites the bytes, in all copies of the Secret.
func (s Secret) Wipe() { Wipe(s.Bytes()) }

// Secrets are a member's secret part, whose it is, and what comes out of it: what a secrets file
// holds.
type Secrets struct {
	// Prefix is that of the chain's account addresses ("cosmos").
	Prefix string
	// PubKey and PubKeyEd25519 are the vault's keys, 33 and 32 bytes.
	PubKey, PubKeyEd25519 []byte
	// Epoch is the number of the keygen that the keyshares are of.
	Epoch uint64
	// Member is the member's compressed public key, 33 bytes.
	Member []byte
	// Secret is what is secret of all this.
	Secret Secret
	// Files is the SHA-256 of both keyshare files, one after the other, that of the secp256k1 key
	// first.
	Files [sha256.Size]byte
}

// What stands between the values in a secrets file, in order.
var secretsFields = [...]struct{ name, before string }{
	{"prefix", `{"version":1,"prefix":"`},
	{"vault", `","vault":"`},
	{"vault_ed25519", `","vault_ed25519":"`},
	{"epoch", `","epoch":`},
	{"member", `,"member":"`},
	{"secret", `","secret":"`},
	{"sha256", `","sha256":"`},
	{"", "\"}\n"},
}

// Encode gives the secrets file, a line of JSON:
//
//	{
//	  "version": 1
//	  "prefix": the prefix of account addresses
//	  "vault", "vault_ed25519": the vault's public keys in hex, the first one compressed
//	  "epoch": the number of the keygen that the keyshares are of
//	  "member": the member's compressed public key in hex
//	  "secret": the secret part in base64
//	  "sha256": that of both keyshare files, one after the other, in hex
//	}
//
// The caller wipes it. It errs when a value has no place in it.
func (s *Secrets) Encode() ([]byte, error) {
	b := make([]byte, 0, maxSecrets)
	for i, field := range secretsFields {
		b = append(b, field.before...)
		switch i {
		case 0:
			b = append(b, s.Prefix...)
		case 1:
			b = hex.AppendEncode(b, s.PubKey)
		case 2:
			b = hex.AppendEncode(b, s.PubKeyEd25519)
		case 3:
			b = strconv.AppendUint(b, s.Epoch, 10)
		case 4:
			b = hex.AppendEncode(b, s.Member)
		case 5:
			b = base64.StdEncoding.AppendEncode(b, s.Secret.Bytes())
		case 6:
			b = hex.AppendEncode(b, s.Files[:])
		}
	}
	// What it does not read it does not write.
	read, err := ParseSecrets(b)
	if err != nil {
		Wipe(b)
		return nil, err
	}
	read.Secret.Wipe()
	return b, nil
}

// ParseSecrets reads a secrets file as [Secrets.Encode] writes it, and no other writing of the same
// JSON. No input makes it panic, and its errors show nothing of what it holds. It does not keep
// data, which the caller wipes.
func ParseSecrets(data []byte) (*Secrets, error) {
	s, err := parseSecrets(data)
	if err != nil {
		s.Secret.Wipe()
		return nil, fmt.Errorf("secrets file: %w", err)
	}
	return s, nil
}

func parseSecrets(data []byte) (*Secrets, error) {
	s := new(Secrets)
	if len(data) > maxSecrets {
		return s, fmt.Errorf("more than %d bytes", maxSecrets)
	}
	version := []byte(`{"version":`)
	if bytes.HasPrefix(data, version) && !bytes.HasPrefix(data, append(version, "1,"...)) {
		return s, errors.New("of another version than 1")
	}
	var values [len(secretsFields) - 1][]byte
	rest, ok := data, false
	for i, field := range secretsFields {
		if rest, ok = bytes.CutPrefix(rest, []byte(field.before)); !ok {
			return s, fmt.Errorf("not as it is written, from byte %d on", len(data)-len(rest)+1)
		}
		if i == len(values) {
			break
		}
		end := bytes.IndexAny(rest, `",`)
		if end < 0 {
			return s, fmt.Errorf("it ends in the field %s", field.name)
		}
		values[i], rest = rest[:end], rest[end:]
	}
	if len(rest) > 0 {
		return s, fmt.Errorf("%d bytes follow its end", len(rest))
	}
	for i, value := range values {
		if err := s.read(i, value); err != nil {
			return s, fmt.Errorf("%s: %w", secretsFields[i].name, err)
		}
	}
	return s, nil
}

// read takes the value of a field.
func (s *Secrets) read(field int, value []byte) (err error) {
	switch field {
	case 0:
		s.Prefix, err = string(value), checkPrefix(string(value))
	case 1:
		s.PubKey, err = unhex(value, pointSecp256k1)
	case 2:
		s.PubKeyEd25519, err = unhex(value, pointEd25519)
	case 3:
		s.Epoch, err = readEpoch(string(value))
	case 4:
		s.Member, err = unhex(value, pointSecp256k1)
	case 5:
		s.Secret, err = readSecret(value)
	case 6:
		var sum []byte
		sum, err = unhex(value, sha256.Size)
		copy(s.Files[:], sum)
	}
	return err
}

func checkPrefix(prefix string) error {
	if prefix == "" || len(prefix) > maxPrefix ||
		strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return fmt.Errorf("not 1 to %d lower-case letters and digits", maxPrefix)
	}
	return nil
}

func readEpoch(digits string) (uint64, error) {
	epoch, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || epoch == 0 || strconv.FormatUint(epoch, 10) != digits {
		return 0, errors.New("not the number of a keygen")
	}
	return epoch, nil
}

func readSecret(text []byte) (Secret, error) {
	raw := make([]byte, SecretBytes)
	defer Wipe(raw)
	// The length first: nothing is decoded beyond the place for it.
	if len(text) != base64.StdEncoding.EncodedLen(SecretBytes) ||
		bytes.ContainsAny(text, "\r\n") {
		return Secret{}, fmt.Errorf("not the base64 of %d bytes", SecretBytes)
	}
	if n, err := base64.StdEncoding.Decode(raw, text); err != nil || n != SecretBytes {
		return Secret{}, fmt.Errorf("not the base64 of %d bytes", SecretBytes)
	}
	return NewSecret(raw)
}

// unhex reads lower-case hex of so many bytes.
func unhex(text []byte, size int) ([]byte, error) {
	raw := make([]byte, size)
	if len(text) != hex.EncodedLen(size) || bytes.ContainsAny(text, "ABCDEF") {
		return nil, fmt.Errorf("not the hex of %d bytes", size)
	}
	if _, err := hex.Decode(raw, text); err != nil {
		return nil, fmt.Errorf("not the hex of %d bytes", size)
	}
	return raw, nil
}

// The name of a secrets file is these around the vault's name, its secp256k1 key in hex.
const (
	secretsPrefix = "secrets-"
	secretsSuffix = ".json"
)

// FileName is the name of the secrets file: "secrets-", the vault's name, which is its secp256k1
// key in lower-case hex, and ".json".
func (s *Secrets) FileName() string {
	return secretsPrefix + hex.EncodeToString(s.PubKey) + secretsSuffix
}
