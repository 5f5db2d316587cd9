package keyshare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
)

// MaxFileSize bounds what Parse looks at. The file of a vault of a hundred members has less than
// half a megabyte.
const MaxFileSize = 2 << 20

// A Keyshare is one member's secret result of a keygen, for one of the vault's two keys. It prints
// as the public key alone.
type Keyshare struct {
	// PubKey is the vault's key on this curve, bech32 or hex.
	PubKey string
	// ParticipantKeys are the public keys of the vault's members, as PubKey, in the order of the
	// file.
	ParticipantKeys []string
	// LocalPartyKey is that of the member whose share this is.
	LocalPartyKey string

	curve        Curve
	vault        []byte
	participants [][]byte
	local        []byte

	ecdsa *ECDSAData
	eddsa *EdDSAData

	ks    []*big.Int
	bigXj []*Point
	xi    *big.Int
	pub   *Point
	raw   []byte
}

// file is the form on disk, with the fields in go-tss's order.
type file struct {
	PubKey          string    `json:"pub_key"`
	LocalData       localData `json:"local_data"`
	ParticipantKeys []string  `json:"participant_keys"`
	LocalPartyKey   string    `json:"local_party_key"`
}

// localData is written as base64 and read as that, as the object itself, or as its text.
type localData []byte

func (d *localData) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		*d = bytes.Clone(raw)
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && len(text) > 0 && text[0] == '{' {
		*d = []byte(text)
		return nil
	}
	return json.Unmarshal(raw, (*[]byte)(d))
}

func (d localData) MarshalJSON() ([]byte, error) {
	return json.Marshal([]byte(d))
}

// Parse reads a keyshare file and checks that it is complete and speaks of one vault and one member
// throughout. That the numbers in it fit together is what [Keyshare.Verify] checks, which takes
// longer. No input makes it panic. Its errors never show what is in local_data.
func Parse(data []byte) (*Keyshare, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("a keyshare file of %d bytes", len(data))
	}
	if len(bytes.Trim(data, "\x00")) == 0 {
		return nil, fmt.Errorf("not a keyshare file: %d bytes, all of them zero", len(data))
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a keyshare file: %w", hideValue(err))
	}
	if f.PubKey == "" {
		return nil, errors.New("not a keyshare file: it has no pub_key")
	}
	k := &Keyshare{
		PubKey:          f.PubKey,
		ParticipantKeys: f.ParticipantKeys,
		LocalPartyKey:   f.LocalPartyKey,
		raw:             f.LocalData,
	}
	if err := k.decodeKeys(); err != nil {
		return nil, err
	}
	if err := k.decodeLocalData(); err != nil {
		return nil, err
	}
	return k, nil
}

// New makes the keyshare of a fresh keygen. The prefix is that of account addresses, localData the
// JSON of tss-lib's LocalPartySaveData, which the keyshare takes as its own; member and members are
// compressed public keys.
func New(
	prefix string,
	curve Curve,
	localData []byte,
	member []byte,
	members [][]byte,
) (*Keyshare, error) {
	k := &Keyshare{curve: curve, raw: localData}
	if err := k.readLocalData(); err != nil {
		return nil, err
	}
	if k.pub == nil || k.pub.Curve != curve {
		return nil, fmt.Errorf("the keygen has no result: local_data has no key of %s", curve)
	}
	var err error
	if k.PubKey, err = encode(prefix, curve, compress(k.pub)); err != nil {
		return nil, err
	}
	if k.LocalPartyKey, err = EncodeSecp256k1(prefix, member); err != nil {
		return nil, err
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)
	for _, m := range sorted {
		key, err := EncodeSecp256k1(prefix, m)
		if err != nil {
			return nil, err
		}
		k.ParticipantKeys = append(k.ParticipantKeys, key)
	}
	if err := k.decodeKeys(); err != nil {
		return nil, err
	}
	if err := k.checkForm(); err != nil {
		return nil, fmt.Errorf("local_data: %w", err)
	}
	return k, nil
}

// Encode returns the bytes of the file, as go-tss writes them.
func (k *Keyshare) Encode() ([]byte, error) {
	return json.Marshal(file{k.PubKey, k.raw, k.ParticipantKeys, k.LocalPartyKey})
}

// FileName is the name under which the file is kept.
func (k *Keyshare) FileName() string { return FileName(k.PubKey) }

// IsNamed reports whether a file's name is that of a keyshare of this key, in whatever form the
// name has it.
func (k *Keyshare) IsNamed(name string) bool {
	key, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return false
	}
	key, ok = strings.CutSuffix(key, nameSuffix)
	curve, raw, err := DecodePubKey(key)
	return ok && err == nil && curve == k.curve && bytes.Equal(raw, k.vault)
}

// Curve tells which of the vault's keys this is a share of.
func (k *Keyshare) Curve() Curve { return k.curve }

// VaultKey is the vault's public key on that curve: 33 bytes for secp256k1, 32 for ed25519.
func (k *Keyshare) VaultKey() []byte { return bytes.Clone(k.vault) }

// Participants are the compressed public keys of the vault's members, ascending.
func (k *Keyshare) Participants() [][]byte {
	out := make([][]byte, len(k.participants))
	for i, p := range k.participants {
		out[i] = bytes.Clone(p)
	}
	return out
}

// LocalParty is the compressed public key of the member whose share this is.
func (k *Keyshare) LocalParty() []byte { return bytes.Clone(k.local) }

// ECDSA is the data of a secp256k1 keyshare, nil for the other curve. The caller must not change
// it.
func (k *Keyshare) ECDSA() *ECDSAData { return k.ecdsa }

// EdDSA is the data of an ed25519 keyshare, nil for the other curve. The caller must not change it.
func (k *Keyshare) EdDSA() *EdDSAData { return k.eddsa }

// Wipe overwrites what is secret in the keyshare: the share, the Paillier and ring-Pedersen
// secrets, and the bytes that they were read from. Nothing may use it afterwards. The caller's
// bytes of the file, and copies that Go made while it read them, stay.
func (k *Keyshare) Wipe() {
	wipeNumbers(k.xi)
	if k.ecdsa != nil {
		wipeNumbers(k.ecdsa.Alpha, k.ecdsa.Beta, k.ecdsa.P, k.ecdsa.Q)
		if sk := k.ecdsa.PaillierSK; sk != nil {
			wipeNumbers(sk.LambdaN, sk.PhiN, sk.P, sk.Q)
		}
	}
	clear(k.raw)
}

// String names the key and nothing that is secret.
func (k *Keyshare) String() string { return "keyshare of " + k.PubKey }

// Format prints what String returns, for every verb.
func (k *Keyshare) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalJSON gives what String returns; [Keyshare.Encode] gives the file.
func (k *Keyshare) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

func (k *Keyshare) decodeKeys() (err error) {
	if k.curve, k.vault, err = DecodePubKey(k.PubKey); err != nil {
		return fmt.Errorf("pub_key: %w", err)
	}
	curve, local, err := DecodePubKey(k.LocalPartyKey)
	if err == nil && curve != Secp256k1 {
		err = errors.New("not a secp256k1 public key")
	}
	if err != nil {
		return fmt.Errorf("local_party_key: %w", err)
	}
	k.local = local
	for i, key := range k.ParticipantKeys {
		curve, raw, err := DecodePubKey(key)
		if err == nil && curve != Secp256k1 {
			err = errors.New("not a secp256k1 public key")
		}
		if err != nil {
			return fmt.Errorf("participant_keys[%d]: %w", i, err)
		}
		k.participants = append(k.participants, raw)
	}
	slices.SortFunc(k.participants, bytes.Compare)
	for i := 1; i < len(k.participants); i++ {
		if bytes.Equal(k.participants[i-1], k.participants[i]) {
			return errors.New("participant_keys: the same key twice")
		}
	}
	if !containsKey(k.participants, k.local) {
		return errors.New("local_party_key is not among the participant_keys")
	}
	return nil
}

func (k *Keyshare) decodeLocalData() error {
	if err := k.readLocalData(); err != nil {
		return err
	}
	if err := k.checkForm(); err != nil {
		return fmt.Errorf("local_data: %w", err)
	}
	return nil
}

// readLocalData reads tss-lib's data in any layout.
func (k *Keyshare) readLocalData() error {
	err := k.unmarshal(k.raw)
	if err != nil {
		if usual := relayout(k.raw, k.curve); usual != nil {
			err = k.unmarshal(usual)
			defer clear(usual)
		}
	}
	if err != nil {
		if bad := badPoint(k.raw); bad != "" {
			return fmt.Errorf("local_data: %s is not a point of its curve", bad)
		}
		return fmt.Errorf("local_data: %w", hideValue(err))
	}
	return nil
}

// unmarshal reads tss-lib's data in the layout of tss-lib v2.
func (k *Keyshare) unmarshal(raw []byte) (err error) {
	k.ecdsa, k.eddsa = nil, nil
	if k.curve == Secp256k1 {
		k.ecdsa = new(ECDSAData)
		err = json.Unmarshal(raw, k.ecdsa)
		k.ks, k.bigXj, k.xi, k.pub = k.ecdsa.Ks, k.ecdsa.BigXj, k.ecdsa.Xi, k.ecdsa.ECDSAPub
	} else {
		k.eddsa = new(EdDSAData)
		err = json.Unmarshal(raw, k.eddsa)
		k.ks, k.bigXj, k.xi, k.pub = k.eddsa.Ks, k.eddsa.BigXj, k.eddsa.Xi, k.eddsa.EDDSAPub
	}
	return err
}

// badPoint names the first point that is none, which the error of the JSON decoder does not.
func badPoint(localData []byte) string {
	var points struct {
		BigXj              []json.RawMessage
		ECDSAPub, EDDSAPub json.RawMessage
	}
	if json.Unmarshal(localData, &points) != nil {
		return ""
	}
	bad := func(raw json.RawMessage) bool {
		return len(raw) > 0 && json.Unmarshal(raw, new(Point)) != nil
	}
	if i := slices.IndexFunc(points.BigXj, bad); i >= 0 {
		return fmt.Sprintf("BigXj[%d]", i)
	}
	switch {
	case bad(points.ECDSAPub):
		return "ECDSAPub"
	case bad(points.EDDSAPub):
		return "EDDSAPub"
	}
	return ""
}

// hideValue keeps the position in a JSON error and drops the text, which may be part of a secret.
func hideValue(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("malformed JSON at byte %d", syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("unexpected type of field %s", kind.Field)
	}
	return errors.New("malformed JSON")
}

func containsKey(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

// compress returns the usual bytes of a point: 33 for secp256k1, 32 for ed25519.
func compress(p *Point) []byte {
	if p.Curve == Secp256k1 {
		out := make([]byte, 33)
		out[0] = 2 + byte(p.Y.Bit(0))
		p.X.FillBytes(out[1:])
		return out
	}
	out := p.Y.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	out[31] |= byte(p.X.Bit(0)) << 7
	return out
}
