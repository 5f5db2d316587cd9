package tss

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

// newKeyshare makes the keyshare of what tss-lib gave in the end of a keygen. Its local_data holds
// the bytes that tss-lib writes.
func newKeyshare(
	prefix string, curve keyshare.Curve, result any, member []byte, members [][]byte,
) (*keyshare.Keyshare, error) {
	data, err := json.Marshal(result)
	if err != nil {
		// The error may hold what could not be encoded.
		return nil, errors.New("tss-lib cannot encode the keyshare: it lacks a part")
	}
	return keyshare.New(prefix, curve, data, member, members)
}

// ecdsaData gives a secp256k1 keyshare to tss-lib. The numbers are the keyshare's own.
func ecdsaData(share *keyshare.Keyshare) (*eckeygen.LocalPartySaveData, error) {
	d := share.ECDSA()
	bigXj, err := toPoints(d.BigXj)
	if err != nil {
		return nil, err
	}
	pub, err := toPoint(d.ECDSAPub)
	if err != nil {
		return nil, err
	}
	out := &eckeygen.LocalPartySaveData{
		LocalPreParams: eckeygen.LocalPreParams{
			PaillierSK: paillierKey(d.PaillierSK),
			NTildei:    d.NTildei, H1i: d.H1i, H2i: d.H2i,
			Alpha: d.Alpha, Beta: d.Beta, P: d.P, Q: d.Q,
		},
		LocalSecrets: eckeygen.LocalSecrets{Xi: d.Xi, ShareID: d.ShareID},
		Ks:           d.Ks,
		NTildej:      d.NTildej, H1j: d.H1j, H2j: d.H2j,
		BigXj:    bigXj,
		ECDSAPub: pub,
	}
	for _, pk := range d.PaillierPKs {
		out.PaillierPKs = append(out.PaillierPKs, &paillier.PublicKey{N: pk.N})
	}
	return out, nil
}

// eddsaData gives an ed25519 keyshare to tss-lib. The numbers are the keyshare's own.
func eddsaData(share *keyshare.Keyshare) (*edkeygen.LocalPartySaveData, error) {
	d := share.EdDSA()
	bigXj, err := toPoints(d.BigXj)
	if err != nil {
		return nil, err
	}
	pub, err := toPoint(d.EDDSAPub)
	if err != nil {
		return nil, err
	}
	return &edkeygen.LocalPartySaveData{
		LocalSecrets: edkeygen.LocalSecrets{Xi: d.Xi, ShareID: d.ShareID},
		Ks:           d.Ks, BigXj: bigXj, EDDSAPub: pub,
	}, nil
}

func paillierKey(k *keyshare.PaillierKey) *paillier.PrivateKey {
	return &paillier.PrivateKey{
		PublicKey: paillier.PublicKey{N: k.N}, LambdaN: k.LambdaN, PhiN: k.PhiN, P: k.P, Q: k.Q,
	}
}

func toPoints(all []*keyshare.Point) (out []*crypto.ECPoint, err error) {
	out = make([]*crypto.ECPoint, len(all))
	for i, p := range all {
		if out[i], err = toPoint(p); err != nil {
			return nil, fmt.Errorf("BigXj[%d]: %w", i, err)
		}
	}
	return out, nil
}

func toPoint(p *keyshare.Point) (*crypto.ECPoint, error) {
	curve := tsslib.S256()
	if p.Curve == keyshare.Ed25519 {
		curve = tsslib.Edwards()
	}
	return crypto.NewECPoint(curve, p.X, p.Y)
}
