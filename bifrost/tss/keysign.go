package tss

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/common"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
)

// Keysign signs together with other members and returns the signature, 64 bytes, verified under the
// vault's key. For secp256k1 it is R and S, S the lower of the two possible; for ed25519 that of
// RFC 8032. When the ceremony fails through other members the error is a [*ceremony.BlameError].
// The keyshare file is parsed and checked first, the form of all members' parameters with it.
func (n *Node) Keysign(ctx context.Context, r ceremony.KeysignRequest) ([]byte, error) {
	share, err := keyshare.Parse(r.Keyshare)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(share.LocalParty(), n.pub) {
		return nil, fmt.Errorf("the keyshare is of member %x, not of this node", share.LocalParty())
	}
	members, parties, err := checkMembers(r.ID, r.Signers)
	if err != nil {
		return nil, err
	}
	if err := share.CheckSigners(members); err != nil {
		return nil, err
	}
	return n.keysign(ctx, r.ID, share, members, parties, r.Message, r.TrustParameters)
}

// keysign takes the parties apart from the members, who have the same order.
func (n *Node) keysign(
	ctx context.Context,
	id string,
	share *keyshare.Keyshare,
	members [][]byte,
	parties []*big.Int,
	message []byte,
	trust bool,
) ([]byte, error) {
	err := share.Verify()
	if err != nil {
		return nil, err
	}
	d := description{
		name: id, kind: "keysign",
		members: members, parties: parties, malicious: tolerated(len(members)),
	}
	var own *proofs
	var build func(seat) *instance
	switch share.Curve() {
	case keyshare.Secp256k1:
		if !trust {
			if own, err = newProofs(share); err != nil {
				return nil, err
			}
		}
		data, err := ecdsaData(share)
		if err != nil {
			return nil, err
		}
		build = ecdsaSigner(data, message, own)
		if len(message) != sha256.Size {
			return nil, fmt.Errorf("a digest of %d bytes", len(message))
		}
		if number(message).Cmp(tsslib.S256().Params().N) >= 0 {
			return nil, errors.New("the digest is not below the curve's order")
		}
	default:
		if len(message) == 0 {
			return nil, errors.New("an empty message")
		}
		data, err := eddsaData(share)
		if err != nil {
			return nil, err
		}
		build = eddsaSigner(data, message)
	}
	agreed := [][]byte{share.VaultKey(), message, appendBool(nil, own != nil)}
	d.digest = digest(d.kind, id, append(agreed, members...)...)
	d.build = func(at seat) ([]*instance, error) { return []*instance{build(at)}, nil }
	results, err := n.run(ctx, d)
	if err != nil {
		return nil, err
	}
	signature := results[0].(*common.SignatureData).Signature
	if !verifies(share, message, signature) {
		return nil, errors.New("the signature does not verify under the vault's key")
	}
	return signature, nil
}

func verifies(share *keyshare.Keyshare, message, signature []byte) bool {
	if len(signature) != sigSize {
		return false
	}
	if share.Curve() == keyshare.Ed25519 {
		return ed25519.Verify(share.VaultKey(), message, signature)
	}
	pub, err := secp256k1.ParsePubKey(share.VaultKey())
	return err == nil && verify(pub, message, signature)
}

// ecdsaSigner signs behind proofs of all signers' parameters, or without when its own are nil.
func ecdsaSigner(
	data *eckeygen.LocalPartySaveData, message []byte, own *proofs,
) func(seat) *instance {
	schedule := ecdsaKeysign
	if own != nil {
		schedule = ecdsaProvenKeysign
	}
	return func(at seat) *instance {
		params, random := at.params(schedule, tsslib.S256(), len(at.ids)-1, data.Xi.Bytes())
		k := newKnown(schedule, at, len(at.ids)-1)
		subset := eckeygen.BuildLocalSaveDataSubset(*data, at.ids)
		for i := range at.ids {
			k.parameters = append(k.parameters, sanity.Parameters{
				N:      subset.PaillierPKs[i].N,
				NTilde: subset.NTildej[i],
				H1:     subset.H1j[i],
				H2:     subset.H2j[i],
			})
		}
		out, end := newOut(len(at.ids)), make(chan *common.SignatureData, 1)
		return &instance{
			protocol: schedule,
			known:    k,
			proofs:   own,
			random:   random,
			party: ecsigning.NewLocalParty(
				number(message),
				params,
				*data,
				out,
				end,
				len(message),
			),
			out: out,
			end: endOf(end),
		}
	}
}

// eddsaSigner passes the length along with the message, which is a number to tss-lib: leading zero
// bytes count.
func eddsaSigner(data *edkeygen.LocalPartySaveData, message []byte) func(seat) *instance {
	return func(at seat) *instance {
		params, _ := at.params(eddsaKeysign, tsslib.Edwards(), len(at.ids)-1, data.Xi.Bytes())
		k := newKnown(eddsaKeysign, at, len(at.ids)-1)
		k.partial = newPartial(data, at.ids, message)
		out, end := newOut(len(at.ids)), make(chan *common.SignatureData, 1)
		return &instance{
			protocol: eddsaKeysign,
			known:    k,
			party: edsigning.NewLocalParty(
				number(message),
				params,
				*data,
				out,
				end,
				len(message),
			),
			out: out,
			end: endOf(end),
		}
	}
}
