package keyshare

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/sanity"
)

var (
	// ErrNotSplit means that two keyshare files are not what a secrets file and a group part give:
	// of other widths, in another layout, without the primes that older keygens did not keep. They
	// are as good as others, and are backed up whole.
	ErrNotSplit = errors.New("the keyshares cannot be split")
	// ErrNotJoined means that a group part is not the one that the secrets belong to, or that one
	// of the two is damaged.
	ErrNotJoined = errors.New("the group part does not fit the secrets")
)

// Split divides a member's two keyshare files of an epoch, that of the secp256k1 key first, into
// what is the member's own and the group part, which is the same from the files of all members. It
// does so only when [Join] gives both files back, byte for byte; every other error wraps
// [ErrNotSplit]. The caller has checked the keyshares ([Keyshare.Check]), and wipes the secrets.
func Split(files [2][]byte, epoch uint64) (*sanity.Secrets, []byte, error) {
	secrets, group, err := split(files, epoch)
	if err != nil {
		if secrets != nil {
			secrets.Secret.Wipe()
		}
		return nil, nil, fmt.Errorf("%w: %w", ErrNotSplit, err)
	}
	return secrets, group, nil
}

func split(files [2][]byte, epoch uint64) (*sanity.Secrets, []byte, error) {
	var shares [2]*Keyshare
	for i, curve := range []Curve{Secp256k1, Ed25519} {
		k, err := Parse(files[i])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", curve, err)
		}
		defer k.Wipe()
		if k.curve != curve {
			return nil, nil, fmt.Errorf("%s: it is of the %s key", curve, k.curve)
		}
		shares[i] = k
	}
	ec, ed := shares[0], shares[1]
	if len(ec.participants) != len(ed.participants) {
		return nil, nil, errors.New("they are of two vaults: their members differ")
	}
	prefix, ok := prefixOf(ec.PubKey)
	if !ok {
		return nil, nil, errors.New("its keys are not in bech32")
	}
	secret, err := secretOf(ec.ecdsa, ed.xi)
	if err != nil {
		return nil, nil, err
	}
	secrets := &sanity.Secrets{
		Prefix: prefix, PubKey: ec.VaultKey(), PubKeyEd25519: ed.VaultKey(),
		Epoch: epoch, Member: ec.LocalParty(), Secret: secret,
		Files: hashOf(files),
	}
	encoded, err := secrets.Encode()
	if err != nil {
		return secrets, nil, err
	}
	sanity.Wipe(encoded)
	group, err := GroupPart(ec, ed)
	if err != nil {
		return secrets, nil, err
	}
	joined, err := Join(secrets, ec.participants, group)
	if err != nil {
		return secrets, nil, errors.New("they are not written as go-tss writes them")
	}
	defer sanity.Wipe(joined[0])
	defer sanity.Wipe(joined[1])
	if !bytes.Equal(joined[0], files[0]) || !bytes.Equal(joined[1], files[1]) {
		return secrets, nil, errors.New("they are not written as go-tss writes them")
	}
	return secrets, group, nil
}

// prefixOf is the prefix of account addresses in the bech32 form of a key.
func prefixOf(key string) (string, bool) {
	return strings.CutSuffix(key[:max(0, strings.LastIndexByte(key, '1'))], pubInfix)
}

// secretOf takes the secret part from an ECDSA keyshare and the share of the ed25519 key.
func secretOf(d *ECDSAData, xiEd25519 *big.Int) (sanity.Secret, error) {
	b := make([]byte, 0, sanity.SecretBytes)
	defer sanity.Wipe(b[:cap(b)])
	for _, c := range []struct {
		name  string
		value *big.Int
		size  int
	}{
		{"Xi", d.Xi, 32},
		{"Xi", xiEd25519, 32},
		{"PaillierSK.P", d.PaillierSK.P, 128},
		{"P", d.P, 128},
		{"Alpha", d.Alpha, 256},
	} {
		if c.value == nil {
			return sanity.Secret{}, fmt.Errorf("they lack %s, as older ones do", c.name)
		}
		if c.value.Sign() <= 0 || c.value.BitLen() > 8*c.size {
			return sanity.Secret{}, fmt.Errorf("%s has no place in %d bytes", c.name, c.size)
		}
		b = b[:len(b)+c.size]
		c.value.FillBytes(b[len(b)-c.size:])
	}
	return sanity.NewSecret(b)
}

// GroupPart is what a member's two keyshares of an epoch have in common with those of all other
// members, the same bytes from each of them. The caller has checked the keyshares. It errs when a
// number has no place in it: of other widths there is none.
func GroupPart(ec, ed *Keyshare) ([]byte, error) {
	entries := make([]sanity.GroupMember, len(ec.participants))
	for i := range entries {
		parameters, err := sanity.Parameters{
			N:      ec.ecdsa.PaillierPKs[i].N,
			NTilde: ec.ecdsa.NTildej[i],
			H1:     ec.ecdsa.H1j[i],
			H2:     ec.ecdsa.H2j[i],
		}.Bytes()
		if err != nil {
			return nil, fmt.Errorf("participant %d: %w", i, err)
		}
		entries[i] = sanity.GroupMember{
			Secp256k1:  compress(ec.bigXj[i]),
			Ed25519:    compress(ed.bigXj[i]),
			Parameters: parameters,
		}
	}
	return sanity.MakeGroup(entries)
}

// Join gives a member's two keyshare files, that of the secp256k1 key first, from its secrets and
// the group part of all members, whose compressed public keys are given in ascending order. They
// are the bytes that were split, which the hash in the secrets tells; all errors wrap
// [ErrNotJoined]. No input makes it panic. The caller wipes the files, which [FileName] names.
func Join(secrets *sanity.Secrets, members [][]byte, group []byte) (files [2][]byte, err error) {
	j, err := newJoint(secrets, members, group)
	defer j.wipe()
	if err == nil {
		files, err = j.files(secrets)
	}
	if err != nil {
		return [2][]byte{}, fmt.Errorf("%w: %w", ErrNotJoined, err)
	}
	if hashOf(files) != secrets.Files {
		sanity.Wipe(files[0])
		sanity.Wipe(files[1])
		return [2][]byte{}, fmt.Errorf("%w: what they give is not what was split", ErrNotJoined)
	}
	return files, nil
}

// hashOf is the SHA-256 of the files, one after the other.
func hashOf(files [2][]byte) (sum [sha256.Size]byte) {
	hash := sha256.New()
	hash.Write(files[0])
	hash.Write(files[1])
	hash.Sum(sum[:0])
	return sum
}

// joint is what a member's keyshares are made of.
type joint struct {
	secretNumbers
	members [][]byte
	entries []sanity.GroupMember
	// own is the place of the member among all.
	own int
	// parameters are those of the entries.
	parameters []sanity.Parameters
	// bigXj and pubs are the points of both curves.
	bigXj [2][]*Point
	pubs  [2]*Point
}

// secretNumbers are the numbers in a keyshare that the secret part holds, and those that follow.
type secretNumbers struct {
	xi [2]*big.Int
	// p and q are the factors of the Paillier modulus.
	p, q, phi, lambda *big.Int
	// halfP and halfQ are tss-lib's P and Q, with NTilde = (2P+1)·(2Q+1).
	halfP, halfQ, alpha, beta *big.Int
}

func newJoint(s *sanity.Secrets, members [][]byte, group []byte) (*joint, error) {
	j := &joint{members: members, own: -1}
	if len(members) < 2 || len(members) > maxParticipants {
		return j, fmt.Errorf("%d members, not between 2 and %d", len(members), maxParticipants)
	}
	if len(s.Secret.Bytes()) != sanity.SecretBytes {
		return j, errors.New("there is no secret part")
	}
	var err error
	if j.entries, err = sanity.ParseGroup(group, len(members)); err != nil {
		return j, err
	}
	for i, m := range members {
		if i > 0 && bytes.Compare(members[i-1], m) >= 0 {
			return j, errors.New("the members' keys are not in ascending order")
		}
		if bytes.Equal(m, s.Member) {
			j.own = i
		}
	}
	if j.own < 0 {
		return j, fmt.Errorf("member %x is not among those of the group part", s.Member)
	}
	if err := j.readPoints(s); err != nil {
		return j, err
	}
	for _, e := range j.entries {
		j.parameters = append(j.parameters, e.ReadParameters())
	}
	return j, j.derive(s.Secret)
}

// readPoints gives the points their coordinates.
func (j *joint) readPoints(s *sanity.Secrets) (err error) {
	for c, key := range [][]byte{s.PubKey, s.PubKeyEd25519} {
		read := readSecp256k1
		if c == 1 {
			read = readEd25519
		}
		if j.pubs[c], err = read(key); err != nil {
			return fmt.Errorf("the vault's %s key: %w", Curve(c+1), err)
		}
		for i, e := range j.entries {
			point, err := read([2][]byte{e.Secp256k1, e.Ed25519}[c])
			if err != nil {
				return fmt.Errorf("the %s point of member %d: %w", Curve(c+1), i+1, err)
			}
			j.bigXj[c] = append(j.bigXj[c], point)
		}
	}
	return nil
}

func readSecp256k1(raw []byte) (*Point, error) {
	if len(raw) != secp256k1.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("it has %d bytes", len(raw))
	}
	key, err := secp256k1.ParsePubKey(raw)
	if err != nil {
		return nil, err
	}
	return &Point{Curve: Secp256k1, X: key.X(), Y: key.Y()}, nil
}

func readEd25519(raw []byte) (*Point, error) {
	p, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil {
		return nil, err
	}
	x, y, z, _ := p.ExtendedCoordinates()
	z.Invert(z)
	number := func(b []byte) *big.Int {
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	return &Point{
		Curve: Ed25519, X: number(x.Multiply(x, z).Bytes()), Y: number(y.Multiply(y, z).Bytes()),
	}, nil
}

// derive reads the secret part, and computes what follows from it and the member's parameters.
func (j *joint) derive(s sanity.Secret) error {
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	n, own := &j.secretNumbers, j.parameters[j.own]
	n.xi = [2]*big.Int{number(s.XiSecp256k1()), number(s.XiEd25519())}
	n.p, n.halfP, n.alpha = number(s.PaillierP()), number(s.RingP()), number(s.Alpha())

	safe := new(big.Int).Lsh(n.halfP, 1)
	safe.Add(safe, one)
	defer wipeNumbers(safe)
	var ok bool
	if n.q, ok = cofactor(own.N, n.p); !ok {
		return errors.New("the Paillier prime is no factor of the member's N")
	}
	if n.halfQ, ok = cofactor(own.NTilde, safe); !ok {
		return errors.New("the ring's prime is no factor of the member's NTilde")
	}
	n.halfQ.Rsh(n.halfQ, 1)

	p1, q1 := new(big.Int).Sub(n.p, one), new(big.Int).Sub(n.q, one)
	common := new(big.Int).GCD(nil, nil, p1, q1)
	order := new(big.Int).Mul(n.halfP, n.halfQ)
	defer wipeNumbers(p1, q1, common, order)
	n.phi = new(big.Int).Mul(p1, q1)
	n.lambda = new(big.Int).Div(n.phi, common)
	n.beta = new(big.Int)
	if n.beta.ModInverse(n.alpha, order) == nil {
		return errors.New("the exponent Alpha has no inverse")
	}
	return nil
}

// cofactor is n / p, when both are factors of n that are greater than 1.
func cofactor(n, p *big.Int) (*big.Int, bool) {
	if p.Cmp(one) <= 0 {
		return nil, false
	}
	q, rest := new(big.Int).QuoRem(n, p, new(big.Int))
	return q, rest.Sign() == 0 && q.Cmp(one) > 0
}

func (n *secretNumbers) wipe() {
	wipeNumbers(
		n.xi[0], n.xi[1], n.p, n.q, n.phi, n.lambda, n.halfP, n.halfQ, n.alpha, n.beta,
	)
}

// wipeNumbers overwrites the numbers that are there.
func wipeNumbers(all ...*big.Int) {
	for _, n := range all {
		if n != nil {
			clear(n.Bits())
		}
	}
}

// files writes both files.
func (j *joint) files(s *sanity.Secrets) (files [2][]byte, err error) {
	keys := make([]string, len(j.members))
	for i, m := range j.members {
		if keys[i], err = EncodeSecp256k1(s.Prefix, m); err != nil {
			return files, fmt.Errorf("the key of member %d: %w", i+1, err)
		}
	}
	for c, key := range [][]byte{s.PubKey, s.PubKeyEd25519} {
		pubKey, err := encode(s.Prefix, Curve(c+1), key)
		if err != nil {
			return files, fmt.Errorf("the vault's %s key: %w", Curve(c+1), err)
		}
		data := j.localData(Curve(c + 1))
		files[c] = fileOf(pubKey, data, keys, keys[j.own])
		sanity.Wipe(data)
	}
	return files, nil
}

// fileOf writes what [Keyshare.Encode] does, and leaves no copy of the local data behind.
func fileOf(pubKey string, data []byte, participants []string, local string) []byte {
	head := `{"pub_key":"` + pubKey + `","local_data":"`
	tail := `","participant_keys":["` + strings.Join(participants, `","`) +
		`"],"local_party_key":"` + local + `"}`
	text := base64.StdEncoding
	file := make([]byte, 0, len(head)+text.EncodedLen(len(data))+len(tail))
	file = append(file, head...)
	file = text.AppendEncode(file, data)
	return append(file, tail...)
}

// writer writes the JSON of tss-lib, which is made of objects, lists and numbers. Its buffer never
// grows, so that no copy of a secret stays behind.
type writer struct{ b []byte }

func (w *writer) text(s string) { w.b = append(w.b, s...) }

// field writes a number under a name, and what stands before the name.
func (w *writer) field(before, name string, value *big.Int) {
	w.text(before + `"` + name + `":`)
	w.number(value)
}

// number writes a number in decimal. The text that Go makes of it before is wiped.
func (w *writer) number(value *big.Int) {
	digits := value.Append(make([]byte, 0, maxDigits), 10)
	defer sanity.Wipe(digits)
	w.b = append(w.b, digits...)
}

// list writes a list of so many values under a name.
func (w *writer) list(name string, n int, each func(i int)) {
	w.text(`,"` + name + `":[`)
	for i := range n {
		if i > 0 {
			w.text(",")
		}
		each(i)
	}
	w.text("]")
}

func (w *writer) point(p *Point) {
	w.text(`{"Curve":"` + p.Curve.String() + `","Coords":[`)
	w.number(p.X)
	w.text(",")
	w.number(p.Y)
	w.text("]}")
}

// What a keyshare's local data have for the member and for each participant, in bytes, at most.
const (
	maxOwnData     = 8 << 10
	maxPartnerData = 4 << 10
)

// localData writes tss-lib's LocalPartySaveData, its fields in tss-lib's order.
func (j *joint) localData(curve Curve) []byte {
	w := &writer{make([]byte, 0, maxOwnData+len(j.members)*maxPartnerData)}
	w.text("{")
	if curve == Secp256k1 {
		own := j.parameters[j.own]
		w.text(`"PaillierSK":{`)
		w.field("", "N", own.N)
		w.field(",", "LambdaN", j.lambda)
		w.field(",", "PhiN", j.phi)
		w.field(",", "P", j.p)
		w.field(",", "Q", j.q)
		w.text("},")
		w.field("", "NTildei", own.NTilde)
		w.field(",", "H1i", own.H1)
		w.field(",", "H2i", own.H2)
		w.field(",", "Alpha", j.alpha)
		w.field(",", "Beta", j.beta)
		w.field(",", "P", j.halfP)
		w.field(",", "Q", j.halfQ)
		w.text(",")
	}
	party := func(i int) *big.Int { return new(big.Int).SetBytes(j.members[i]) }
	n := len(j.members)
	w.field("", "Xi", j.xi[curve-1])
	w.field(",", "ShareID", party(j.own))
	w.list("Ks", n, func(i int) { w.number(party(i)) })
	if curve == Secp256k1 {
		w.list("NTildej", n, func(i int) { w.number(j.parameters[i].NTilde) })
		w.list("H1j", n, func(i int) { w.number(j.parameters[i].H1) })
		w.list("H2j", n, func(i int) { w.number(j.parameters[i].H2) })
	}
	w.list("BigXj", n, func(i int) { w.point(j.bigXj[curve-1][i]) })
	pub := "EDDSAPub"
	if curve == Secp256k1 {
		w.list("PaillierPKs", n, func(i int) {
			w.field("{", "N", j.parameters[i].N)
			w.text("}")
		})
		pub = "ECDSAPub"
	}
	w.text(`,"` + pub + `":`)
	w.point(j.pubs[curve-1])
	w.text("}")
	return w.b
}
