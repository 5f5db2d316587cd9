package dealer

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

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
// minutes of a ceremony. At most eight members, of whom two thirds sign; their Paillier keys are
// the public fixtures. The prefix is that of account addresses.
func NewVault(name, prefix string, members [][]byte) *Vault {
	if n := len(fixture.PreParams()); len(members) > n {
		panic(fmt.Sprintf("there are pre-parameters for %d members", n))
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)

	v := &Vault{PrivateKeys: NewPrivateKeys(name), Files: make([][]fixture.File, len(members))}
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
	for i, m := range members {
		at := slices.IndexFunc(sorted, func(s []byte) bool { return bytes.Equal(s, m) })
		a := must(keyshare.New(
			prefix, keyshare.Secp256k1, must(json.Marshal(ecData[at])), m, members,
		))
		b := must(keyshare.New(
			prefix, keyshare.Ed25519, must(json.Marshal(edData[at])), m, members,
		))
		v.Keys = keyshare.VaultKeys{Secp256k1: a.VaultKey(), Ed25519: b.VaultKey()}
		for _, share := range []*keyshare.Keyshare{a, b} {
			v.Files[i] = append(
				v.Files[i],
				fixture.File{Name: share.FileName(), Data: must(share.Encode())},
			)
		}
	}
	return v
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
	for _, m := range sorted {
		of := shares.Shares(m)
		x := of[0].Bytes()
		if group == verenc.Ed25519 {
			x = of[1].Bytes()
			slices.Reverse(x)
		}
		d.ks = append(d.ks, new(big.Int).SetBytes(m))
		d.shares = append(d.shares, new(big.Int).SetBytes(x))
		d.bigXj = append(d.bigXj, crypto.ScalarBaseMult(curve, d.shares[len(d.shares)-1]))
	}
	return d
}

func (d *parties) ecdsa() []*eckeygen.LocalPartySaveData {
	all := make([]*eckeygen.LocalPartySaveData, len(d.ks))
	for i := range all {
		data := eckeygen.NewLocalPartySaveData(len(d.ks))
		if err := json.Unmarshal(fixture.PreParams()[i].Data, &data.LocalPreParams); err != nil {
			panic(err)
		}
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
