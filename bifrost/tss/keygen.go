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

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
)

// Keygen makes a new vault together with the other members: a secp256k1 and an ed25519 key, with
// one ceremony. It has this member's result kept, and returns when all members have signed that
// they kept theirs. When the ceremony fails through other members the error is a
// [*ceremony.BlameError].
//
// It takes a set of pre-parameters from the node's store, and waits for one while there is none.
// Attempts of the same name share theirs, because at most one of them makes a vault.
func (n *Node) Keygen(
	ctx context.Context, r ceremony.KeygenRequest,
) (*ceremony.KeygenResult, error) {
	d, err := describe(r)
	if err != nil {
		return nil, err
	}
	if d, err = d.in(r.ID, r.Session, r.Members); err != nil {
		return nil, err
	}
	preParams, err := n.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	d.build = func(at seat) ([]*instance, error) {
		ec, err := newECDSAKeygen(at, r.Threshold, *preParams)
		if err != nil {
			return nil, err
		}
		return []*instance{
			ec,
			newEdDSAKeygen(at, r.Threshold, preParams.PaillierSK.PhiN.Bytes()),
		}, nil
	}
	return n.makeKeyshares(ctx, d, r)
}

// prepare checks that this node can make keyshares, and holds its pre-parameters for them.
func (n *Node) prepare(
	ctx context.Context, r ceremony.KeygenRequest,
) (*eckeygen.LocalPreParams, error) {
	prefix := n.cfg.Bech32Prefix
	if n.cfg.PreParams == nil || prefix == "" || strings.ToLower(prefix) != prefix {
		return nil, fmt.Errorf(
			"making keyshares needs pre-parameters and a bech32 prefix in lower case, not %q",
			prefix,
		)
	}
	if r.Keep == nil {
		return nil, errors.New("making keyshares needs a Keep, which makes them durable")
	}
	return n.cfg.PreParams.hold(ctx, r.ID)
}

// makeKeyshares takes part in a ceremony that makes keyshares, has this member's kept, and returns
// when all members have signed that they kept theirs.
func (n *Node) makeKeyshares(
	ctx context.Context, d description, r ceremony.KeygenRequest,
) (*ceremony.KeygenResult, error) {
	members := d.receivers()
	var out *ceremony.KeygenResult
	made := func(results []any) (err error) {
		if out == nil {
			out, err = n.keygenResult(members, results)
		}
		return err
	}
	d.keep = func(ctx context.Context, results []any) ([]byte, error) {
		if err := made(results); err != nil {
			return nil, err
		}
		if r.Envelopes != nil {
			given := results[len(results)-1].([][]byte)
			for _, m := range r.Envelopes.Asked {
				out.Envelopes = append(out.Envelopes, given[indexOf(d.givers(), m)])
			}
		}
		digest, err := r.Keep(ctx, *out)
		if err != nil {
			return nil, fmt.Errorf("keeping the result of the %s: %w", d.kind, err)
		}
		return digest, nil
	}
	if r.Envelopes != nil {
		d.checkEnvelope = r.Envelopes.Check
		d.seal = func(ctx context.Context, results []any) ([]byte, error) {
			if err := made(results); err != nil {
				return nil, err
			}
			envelope, err := r.Envelopes.Seal(ctx, *out)
			if err != nil {
				return nil, fmt.Errorf("sealing the result of the %s: %w", d.kind, err)
			}
			return envelope, nil
		}
	}
	results, err := n.run(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := n.cfg.PreParams.drop(r.ID); err != nil {
		// The next keygen does it. What this one made must not be lost for it.
		n.cfg.Log.Error().Err(err).Msg("removing used pre-parameters")
	}
	signatures := results[len(results)-1].([][]byte)
	for _, m := range r.Members {
		out.Certificate = append(out.Certificate, signatures[indexOf(members, m)])
	}
	return out, nil
}

// keygenResult makes the result of what tss-lib gave for both keys, and checks it.
func (n *Node) keygenResult(members [][]byte, results []any) (*ceremony.KeygenResult, error) {
	prefix := n.cfg.Bech32Prefix
	ec, err := newKeyshare(
		prefix,
		keyshare.Secp256k1,
		results[0].(*eckeygen.LocalPartySaveData),
		n.pub,
		members,
	)
	if err != nil {
		return nil, fmt.Errorf("the new secp256k1 keyshare: %w", err)
	}
	ed, err := newKeyshare(
		prefix,
		keyshare.Ed25519,
		results[1].(*edkeygen.LocalPartySaveData),
		n.pub,
		members,
	)
	if err != nil {
		return nil, fmt.Errorf("the new ed25519 keyshare: %w", err)
	}
	vault := keyshare.VaultKeys{Secp256k1: ec.VaultKey(), Ed25519: ed.VaultKey()}
	out := &ceremony.KeygenResult{Secp256k1: vault.Secp256k1, Ed25519: vault.Ed25519}
	for _, k := range []*keyshare.Keyshare{ec, ed} {
		if err := k.Check(vault, n.pub, members); err != nil {
			return nil, fmt.Errorf("the new %s keyshare: %w", k.Curve(), err)
		}
		data, err := k.Encode()
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, envelope.File{Name: k.FileName(), Data: data})
	}
	slices.SortFunc(
		out.Files,
		func(a, b envelope.File) int { return strings.Compare(a.Name, b.Name) },
	)
	return out, nil
}

func describe(r ceremony.KeygenRequest) (description, error) {
	d := description{
		name: r.ID, kind: "keygen", public: true, left: r.Left, malicious: tolerated(len(r.Members)),
	}
	var err error
	if d.members, d.parties, err = checkMembers(r.ID, r.Members); err != nil {
		return d, err
	}
	if r.Threshold < 2 || r.Threshold > len(r.Members) {
		return d, fmt.Errorf("a threshold of %d with %d members", r.Threshold, len(r.Members))
	}
	d.digest = digest(
		d.kind,
		r.ID,
		append([][]byte{binary.BigEndian.AppendUint64(nil, uint64(r.Threshold))}, d.members...)...)
	return d, d.give(r.Envelopes)
}

// in makes a description one of an attempt, whose session has these members' keys.
func (d description) in(
	id string, session ceremony.Session, members [][]byte,
) (description, error) {
	if len(session.ID) != hashSize || len(session.Keys) != len(members) ||
		len(session.Secret) != secp256k1.PrivKeyBytesLen {
		return d, fmt.Errorf("a %s needs a session with a key of each member", d.kind)
	}
	d.session = &ceremony.Session{ID: session.ID, Secret: session.Secret}
	for _, m := range d.members {
		d.session.Keys = append(d.session.Keys, session.Keys[indexOf(members, m)])
	}
	if d.name = fmt.Sprintf("%s/%x", id, session.ID[:8]); len(d.name) > maxID {
		return d, fmt.Errorf("ceremony id of %d characters", len(d.name))
	}
	return d, nil
}

// checkMembers returns the members in the order of parties, and the parties' keys: the integers
// that the public keys spell.
func checkMembers(id string, members [][]byte) (sorted [][]byte, parties []*big.Int, err error) {
	if id == "" || len(id) > maxID {
		return nil, nil, fmt.Errorf("ceremony id of %d characters", len(id))
	}
	if len(members) < 2 || len(members) > maxMembers {
		return nil, nil, fmt.Errorf("a ceremony of %d members", len(members))
	}
	for _, m := range members {
		if _, err := secp256k1.ParsePubKey(
			m,
		); err != nil ||
			len(m) != secp256k1.PubKeyBytesLenCompressed {
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

// receivers are the members that get shares.
func (d *description) receivers() (members [][]byte) {
	for i, m := range d.members {
		if d.gets(i) {
			members = append(members, m)
		}
	}
	return members
}

// givers are the members that give an envelope.
func (d *description) givers() (members [][]byte) {
	for i, m := range d.members {
		if d.giving != nil && d.giving[i] {
			members = append(members, m)
		}
	}
	return members
}

// give has those who are asked for it give envelopes, which all agree on.
func (d *description) give(e *ceremony.Envelopes) error {
	if e == nil {
		return nil
	}
	if len(e.Asked) == 0 || e.Seal == nil || e.Check == nil {
		return fmt.Errorf("a %s whose envelopes the members hold asks nobody for one", d.kind)
	}
	d.giving = make([]bool, len(d.members))
	agreed := [][]byte{d.digest[:]}
	for _, m := range e.Asked {
		i := indexOf(d.members, m)
		if i < 0 || !d.gets(i) || d.giving[i] {
			return fmt.Errorf("member %x is asked for an envelope and gets no share, or twice", m)
		}
		d.giving[i] = true
	}
	d.digest = digest("envelopes", d.name, append(agreed, d.givers()...)...)
	return nil
}

func indexOf(members [][]byte, member []byte) int {
	return slices.IndexFunc(members, func(m []byte) bool { return bytes.Equal(m, member) })
}

// digest hashes what members must agree on, each part behind its length.
func digest(kind, id string, parts ...[]byte) (out hash) {
	h := sha256.New()
	for _, p := range append([][]byte{[]byte("tssbackup/tss/ceremony/v3"), []byte(kind), []byte(id)}, parts...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

func newECDSAKeygen(at seat, threshold int, pre eckeygen.LocalPreParams) (*instance, error) {
	params, random := at.params(
		ecdsaKeygen,
		tsslib.S256(),
		threshold-1,
		pre.PaillierSK.PhiN.Bytes(),
	)
	params.SetNoProofMod() // ours is proven before, and bound to more
	pre = freshBases(random, pre)
	out, end := newOut(len(at.ids)), make(chan *eckeygen.LocalPartySaveData, 1)
	k := newKnown(ecdsaKeygen, at, threshold-1)
	k.parameters = make([]sanity.Parameters, len(at.ids))
	proof, err := proveParameters(random, k, pre)
	if err != nil {
		return nil, err
	}
	return &instance{
		protocol: ecdsaKeygen, known: k, admission: &admission{proof: proof}, random: random,
		party: eckeygen.NewLocalParty(params, out, end, pre), out: out, end: endOf(end),
	}, nil
}

// newEdDSAKeygen takes a secret of this member's beside its random numbers, for want of a share.
func newEdDSAKeygen(at seat, threshold int, secret []byte) *instance {
	params, random := at.params(eddsaKeygen, tsslib.Edwards(), threshold-1, secret)
	out, end := newOut(len(at.ids)), make(chan *edkeygen.LocalPartySaveData, 1)
	return &instance{
		protocol: eddsaKeygen, known: newKnown(eddsaKeygen, at, threshold-1), random: random,
		party: edkeygen.NewLocalParty(params, out, end), out: out, end: endOf(end),
	}
}
