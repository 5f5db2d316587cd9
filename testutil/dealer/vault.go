package dealer

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"slices"
	"sync"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
)

// Vault is a vault and all of its members' keyshares.
type Vault struct {
	PrivateKeys
	Keys keyshare.VaultKeys
	// Files are each member's two files, the secp256k1 one first, in the order in which the members
	// were given.
	Files [][]fixture.File
}

// NewVault makes the vault that follows from a name and these members, given by their compressed
// public keys, with the files that a keygen would leave: for tests that need keyshares without the
// minutes of a ceremony. At most 128 members, of whom two thirds sign; their Paillier keys are the
// public fixtures. The prefix is that of account addresses.
func NewVault(name, prefix string, members [][]byte) *Vault {
	v, files := newVault(name, prefix, members)
	for i := range members {
		v.Files = append(v.Files, files(i))
	}
	return v
}

// newVault is NewVault without the files: it gives those of the member at a place.
func newVault(
	name, prefix string, members [][]byte,
) (v *Vault, files func(member int) []fixture.File) {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)

	v = &Vault{PrivateKeys: NewPrivateKeys(name)}
	v.Keys = keyshare.VaultKeys{Secp256k1: v.PubKey(), Ed25519: v.PubKeyEd25519()}
	shares := v.Deal(sorted)
	ec := newParties(
		verenc.Secp256k1,
		tss.S256(),
		new(big.Int).SetBytes(v.Secp256k1.Serialize()),
		shares,
		sorted,
	)
	ed := newParties(verenc.Ed25519, tss.Edwards(), shamir.Scalar(v.Ed25519), shares, sorted)
	ecData, edData := ec.ecdsa(), ed.eddsa()
	return v, func(member int) (files []fixture.File) {
		m := members[member]
		at := slices.IndexFunc(sorted, func(s []byte) bool { return bytes.Equal(s, m) })
		a := must(keyshare.New(
			prefix, keyshare.Secp256k1, must(json.Marshal(ecData[at])), m, members,
		))
		b := must(keyshare.New(
			prefix, keyshare.Ed25519, must(json.Marshal(edData[at])), m, members,
		))
		for _, share := range []*keyshare.Keyshare{a, b} {
			files = append(files, fixture.File{Name: share.FileName(), Data: must(share.Encode())})
		}
		return files
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// parties share a secret as tss-lib keeps it, in the order of their keys.
type parties struct {
	shares []*big.Int
	ks     []*big.Int
	bigXj  []*crypto.ECPoint
	pub    *crypto.ECPoint
}

func newParties(
	group verenc.Group,
	curve elliptic.Curve,
	secret *big.Int,
	shares *Dealt,
	sorted [][]byte,
) *parties {
	d := &parties{pub: crypto.ScalarBaseMult(curve, secret)}
	point := func(share verenc.Share) *crypto.ECPoint {
		if group == verenc.Ed25519 {
			return edPoint(share.Public().Point) // tss-lib's curve takes 10 ms for each
		}
		return crypto.ScalarBaseMult(curve, d.shares[len(d.shares)-1])
	}
	for _, m := range sorted {
		share := shares.Shares(m)[0]
		x := share.Bytes()
		if group == verenc.Ed25519 {
			share = shares.Shares(m)[1]
			x = share.Bytes()
			slices.Reverse(x)
		}
		d.ks = append(d.ks, new(big.Int).SetBytes(m))
		d.shares = append(d.shares, new(big.Int).SetBytes(x))
		d.bigXj = append(d.bigXj, point(share))
	}
	return d
}

// edPoint is the point of ed25519 with these bytes.
func edPoint(raw []byte) *crypto.ECPoint {
	x, y, z, _ := must(new(edwards25519.Point).SetBytes(raw)).ExtendedCoordinates()
	z.Invert(z)
	number := func(v *field.Element) *big.Int {
		b := v.Multiply(v, z).Bytes()
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	return must(crypto.NewECPoint(tss.Edwards(), number(x), number(y)))
}

// few and many are the pre-parameters of so many members. It takes seconds to make many, and time
// to read them, so both happens once.
var (
	few  = sync.OnceValue(func() []eckeygen.LocalPreParams { return read(fixture.PreParams()) })
	many = sync.OnceValue(func() []eckeygen.LocalPreParams {
		return read(fixture.MorePreParams(128))
	})
)

func read(files []fixture.File) []eckeygen.LocalPreParams {
	all := make([]eckeygen.LocalPreParams, len(files))
	for i, file := range files {
		if err := json.Unmarshal(file.Data, &all[i]); err != nil {
			panic(err)
		}
	}
	return all
}

// preParamsFor are those of so many members, or of more.
func preParamsFor(members int) []eckeygen.LocalPreParams {
	if all := few(); members <= len(all) {
		return all
	}
	return many()
}

func (d *parties) ecdsa() []*eckeygen.LocalPartySaveData {
	all := make([]*eckeygen.LocalPartySaveData, len(d.ks))
	preParams := preParamsFor(len(all))
	for i := range all {
		data := eckeygen.NewLocalPartySaveData(len(d.ks))
		data.LocalPreParams = preParams[i]
		all[i] = &data
	}
	for i, data := range all {
		data.Xi, data.ShareID = d.shares[i], d.ks[i]
		data.Ks, data.BigXj, data.ECDSAPub = d.ks, d.bigXj, d.pub
		for j, other := range all {
			data.NTildej[j], data.H1j[j], data.H2j[j] = other.NTildei, other.H1i, other.H2i
			data.PaillierPKs[j] = &other.PaillierSK.PublicKey
		}
	}
	return all
}

func (d *parties) eddsa() []*edkeygen.LocalPartySaveData {
	all := make([]*edkeygen.LocalPartySaveData, len(d.ks))
	for i := range all {
		data := edkeygen.NewLocalPartySaveData(len(d.ks))
		data.Xi, data.ShareID = d.shares[i], d.ks[i]
		data.Ks, data.BigXj, data.EDDSAPub = d.ks, d.bigXj, d.pub
		all[i] = &data
	}
	return all
}
