package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

// KeygenRequest asks for a new vault.
type KeygenRequest struct {
	// ID names the ceremony, the same for all members, "keygen-7".
	ID string
	// Members are the compressed public keys of all members' signers, this node's among them, in any order.
	Members [][]byte
	// Threshold is how many of them shall be able to sign, ⌈2n/3⌉ by design: at least 2.
	Threshold int
	// PreParams are this member's pre-parameters, never used before.
	PreParams *eckeygen.LocalPreParams
	// Bech32Prefix is the prefix of account addresses ("cosmos"), for the names of the keys in the files.
	Bech32Prefix string
}

// KeygenResult is a new vault and this member's share of it.
type KeygenResult struct {
	// ECDSAKey and EdDSAKey are the vault's public keys, 33 and 32 bytes.
	ECDSAKey, EdDSAKey []byte
	// Files are the two keyshare files, sorted by name.
	Files []File
}

// File is a keyshare file.
type File struct {
	Name string
	Data []byte
}

// Keygen makes a new vault together with the other members: a secp256k1 and an ed25519 key, with one ceremony. It returns when this
// member has its keyshares, checked. When the ceremony fails through other members the error is a [*BlameError].
//
// The caller makes the files durable before it tells anybody of the vault.
func (n *Node) Keygen(ctx context.Context, r KeygenRequest) (*KeygenResult, error) {
	if r.PreParams == nil || !r.PreParams.ValidateWithProof() {
		return nil, errors.New("keygen without pre-parameters")
	}
	if r.Bech32Prefix == "" || strings.ToLower(r.Bech32Prefix) != r.Bech32Prefix {
		return nil, fmt.Errorf("bech32 prefix %q", r.Bech32Prefix)
	}
	d, err := r.description()
	if err != nil {
		return nil, err
	}
	d.build = func(ids tsslib.SortedPartyIDs, self *tsslib.PartyID) ([]*instance, error) {
		return []*instance{newECDSAKeygen(ids, self, r.Threshold, *r.PreParams), newEdDSAKeygen(ids, self, r.Threshold)}, nil
	}
	results, err := n.run(ctx, d)
	if err != nil {
		return nil, err
	}
	ec, err := keyshare.NewSecp256k1(r.Bech32Prefix, results[0].(*eckeygen.LocalPartySaveData), n.pub, d.members)
	if err != nil {
		return nil, fmt.Errorf("the keygen's secp256k1 keyshare: %w", err)
	}
	ed, err := keyshare.NewEd25519(r.Bech32Prefix, results[1].(*edkeygen.LocalPartySaveData), n.pub, d.members)
	if err != nil {
		return nil, fmt.Errorf("the keygen's ed25519 keyshare: %w", err)
	}
	out := &KeygenResult{ECDSAKey: ec.VaultKey(), EdDSAKey: ed.VaultKey()}
	for _, k := range []*keyshare.Keyshare{ec, ed} {
		if err := k.Verify(); err != nil {
			return nil, fmt.Errorf("the keygen's %s keyshare: %w", k.Curve(), err)
		}
		data, err := k.Encode()
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, File{Name: k.FileName(), Data: data})
	}
	slices.SortFunc(out.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (r *KeygenRequest) description() (description, error) {
	d := description{name: r.ID}
	var err error
	if d.members, d.parties, err = checkMembers(r.ID, r.Members); err != nil {
		return d, err
	}
	if r.Threshold < 2 || r.Threshold > len(r.Members) {
		return d, fmt.Errorf("a threshold of %d with %d members", r.Threshold, len(r.Members))
	}
	d.digest = digest("keygen", r.ID, append([][]byte{binary.BigEndian.AppendUint64(nil, uint64(r.Threshold))}, d.members...)...)
	return d, nil
}

// checkMembers returns the members in the order of parties, and the parties' keys: the integers that the public keys spell.
func checkMembers(id string, members [][]byte) (sorted [][]byte, parties []*big.Int, err error) {
	if id == "" || len(id) > maxID {
		return nil, nil, fmt.Errorf("ceremony id of %d characters", len(id))
	}
	if len(members) < 2 || len(members) > maxMembers {
		return nil, nil, fmt.Errorf("a ceremony of %d members", len(members))
	}
	for _, m := range members {
		if _, err := secp256k1.ParsePubKey(m); err != nil || len(m) != secp256k1.PubKeyBytesLenCompressed {
			return nil, nil, fmt.Errorf("member %x is not a compressed secp256k1 public key", m)
		}
		sorted = append(sorted, bytes.Clone(m))
	}
	slices.SortFunc(sorted, bytes.Compare)
	for i, m := range sorted {
		if i > 0 && bytes.Equal(sorted[i-1], m) {
			return nil, nil, fmt.Errorf("member %x is named twice", m)
		}
		parties = append(parties, new(big.Int).SetBytes(m))
	}
	return sorted, parties, nil
}

// digest hashes what members must agree on, each part behind its length.
func digest(kind, id string, parts ...[]byte) (out hash) {
	h := sha256.New()
	for _, p := range append([][]byte{[]byte("tssbackup/tss/ceremony/v1"), []byte(kind), []byte(id)}, parts...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

func newECDSAKeygen(ids tsslib.SortedPartyIDs, self *tsslib.PartyID, threshold int, pre eckeygen.LocalPreParams) *instance {
	params := tsslib.NewParameters(tsslib.S256(), tsslib.NewPeerContext(ids), self, len(ids), threshold-1)
	out, end := newOut(len(ids)), make(chan *eckeygen.LocalPartySaveData, 1)
	return &instance{
		protocol: ecdsaKeygen, known: &known{threshold: threshold - 1},
		party: eckeygen.NewLocalParty(params, out, end, pre), out: out, end: endOf(end),
	}
}

func newEdDSAKeygen(ids tsslib.SortedPartyIDs, self *tsslib.PartyID, threshold int) *instance {
	params := tsslib.NewParameters(tsslib.Edwards(), tsslib.NewPeerContext(ids), self, len(ids), threshold-1)
	out, end := newOut(len(ids)), make(chan *edkeygen.LocalPartySaveData, 1)
	return &instance{
		protocol: eddsaKeygen, known: &known{threshold: threshold - 1},
		party: edkeygen.NewLocalParty(params, out, end), out: out, end: endOf(end),
	}
}
