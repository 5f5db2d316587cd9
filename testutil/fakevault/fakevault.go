// Package fakevault deals out the keyshares of a vault whose keys somebody knows,
// in the files that a keygen would leave: for tests that need keyshares of given
// members without the minutes of a ceremony. The members' Paillier keys are the
// public fixtures.
package fakevault

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
)

// Vault is a vault and all of its members' keyshares.
type Vault struct {
	Keys keyshare.VaultKeys
	// Secp256k1 and Ed25519 are the vault's private keys, which no real vault has
	// anywhere. They sign what the members would sign together.
	Secp256k1 *secp256k1.PrivateKey
	Ed25519   ed25519.PrivateKey
	// Files are each member's two files, the secp256k1 one first, in the order in
	// which the members were given.
	Files [][]fixture.File
}

// Name is the vault's name: its secp256k1 key in lower-case hex.
func (v *Vault) Name() string { return hex.EncodeToString(v.Keys.Secp256k1) }

// New makes a vault of these members, given by their compressed public keys; at
// most eight, of whom two thirds sign. The prefix is that of account addresses.
func New(t testing.TB, prefix string, members [][]byte) *Vault {
	t.Helper()
	require.LessOrEqual(t, len(members), len(fixture.PreParams()))
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)

	v := &Vault{Files: make([][]fixture.File, len(members))}
	var err error
	v.Secp256k1, err = secp256k1.GeneratePrivateKey()
	require.NoError(t, err)
	_, v.Ed25519, err = ed25519.GenerateKey(nil)
	require.NoError(t, err)
	shares := dealer.Deal(v.Secp256k1, v.Ed25519, sorted)
	ec := newDealt(verenc.Secp256k1, tss.S256(), new(big.Int).SetBytes(v.Secp256k1.Serialize()), shares, sorted)
	ed := newDealt(verenc.Ed25519, tss.Edwards(), dealer.Scalar(v.Ed25519), shares, sorted)
	ecData, edData := ec.ecdsa(t), ed.eddsa()
	for i, m := range members {
		at := slices.IndexFunc(sorted, func(s []byte) bool { return bytes.Equal(s, m) })
		a, err := keyshare.NewSecp256k1(prefix, ecData[at], m, members)
		require.NoError(t, err)
		b, err := keyshare.NewEd25519(prefix, edData[at], m, members)
		require.NoError(t, err)
		v.Keys = keyshare.VaultKeys{Secp256k1: a.VaultKey(), Ed25519: b.VaultKey()}
		for _, share := range []*keyshare.Keyshare{a, b} {
			data, err := share.Encode()
			require.NoError(t, err)
			v.Files[i] = append(v.Files[i], fixture.File{Name: share.FileName(), Data: data})
		}
	}
	return v
}

// dealt is a secret shared among parties, whose order is that of their keys.
type dealt struct {
	shares []*big.Int
	ks     []*big.Int
	bigXj  []*crypto.ECPoint
	pub    *crypto.ECPoint
}

func newDealt(group verenc.Group, curve elliptic.Curve, secret *big.Int, shares *dealer.Dealt, sorted [][]byte) *dealt {
	d := &dealt{pub: crypto.ScalarBaseMult(curve, secret)}
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

func (d *dealt) ecdsa(t testing.TB) []*eckeygen.LocalPartySaveData {
	all := make([]*eckeygen.LocalPartySaveData, len(d.ks))
	for i := range all {
		data := eckeygen.NewLocalPartySaveData(len(d.ks))
		require.NoError(t, json.Unmarshal(fixture.PreParams()[i].Data, &data.LocalPreParams))
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

func (d *dealt) eddsa() []*edkeygen.LocalPartySaveData {
	all := make([]*edkeygen.LocalPartySaveData, len(d.ks))
	for i := range all {
		data := edkeygen.NewLocalPartySaveData(len(d.ks))
		data.Xi, data.ShareID = d.shares[i], d.ks[i]
		data.Ks, data.BigXj, data.EDDSAPub = d.ks, d.bigXj, d.pub
		all[i] = &data
	}
	return all
}
