package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrRecipient is what [Config.Prove] returns when this machine's mnemonic does
	// not derive the recipient key that the chain holds: it could not open the proof.
	ErrRecipient = errors.New("the chain's recipient key of this member is not this mnemonic's")
	// errOtherShares says that a vault was made of other public shares than those
	// that this member has.
	errOtherShares = errors.New("the members agreed on other public shares of this vault than those in the keyshares here")
)

// claim is what a member's proof says of a vault, with the secrets that it takes.
type claim struct {
	statement verenc.Statement
	// context is the hash of the statement, by which a stored proof is known.
	context [32]byte
	// index is that of the recipient key.
	index uint32
	// shares are the caller's, to be wiped.
	shares *vaultShares
}

// sharesOf reads the shares of an epoch of a vault from the keyshares on the disk, after
// checking that they are this vault's and this member's. The caller wipes them.
func (p *Publisher) sharesOf(epoch uint64, vault, vaultEd25519 string, members []types.MemberInfo) (*vaultShares, error) {
	files, err := p.vaultFiles(vault, vaultEd25519, members)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range files {
			sanity.Wipe(f.Data)
		}
	}()
	return p.readShares(epoch, files)
}

// claim says what this member proves of a vault: that its shares are encrypted to the
// recipient key that was frozen when the keygen opened.
func (p *Publisher) claim(shares *vaultShares, keygenID uint64, vault, vaultEd25519 string, members []types.MemberInfo) (*claim, error) {
	me, ok := memberOf(members, p.cfg.Address)
	if !ok || me.RecipientKey == "" {
		return nil, fmt.Errorf("the chain holds no recipient key of this member for keygen %d", keygenID)
	}
	st, ok := shares.public.Statement(p.cfg.ChainID, keygenID, unhex(vault), unhex(vaultEd25519), types.SignerAddress(p.cfg.PubKey), unhex(me.RecipientKey))
	if !ok {
		return nil, errors.New("the keyshares hold no public shares of this member")
	}
	c := &claim{statement: st, index: me.RecipientIndex, shares: shares}
	var err error
	c.context, err = st.Context()
	return c, err
}

// proves tells whether the record holds the proof of this very claim. Only then is
// it sent; otherwise it says something of another vault, or another chain.
func (r *record) proves(c *claim) bool {
	return len(r.Proof) > 0 && bytes.Equal(r.ProofContext, c.context[:])
}

// prove makes the proof of a claim and puts it into the record, to be saved before
// anything else is done with it. It is called only when no record holds that proof:
// the one that is stored is sent for ever.
func (p *Publisher) prove(c *claim, next *record) error {
	begin := time.Now()
	proof, err := p.cfg.Prove(c.statement, c.index, c.shares.own)
	if err != nil {
		return err
	}
	p.cfg.Metrics.proveSeconds.Observe(time.Since(begin).Seconds())
	p.cfg.Metrics.proofs.Inc()
	next.Step = StepProven
	next.Proof, next.ProofContext = proof, c.context[:]
	return nil
}

// cannotProve makes an error of a proof loud, because without the proof there is no
// vote, and shows it in the status until a proof works.
func (p *Publisher) cannotProve(vault string, err error) error {
	p.cfg.Metrics.proveErrors.Inc()
	p.log.Error().Err(err).Str("vault", vault).Msg("PROVING FAILED: nobody can verify that the backup of this vault opens")
	err = fmt.Errorf("proving: %w", err)
	p.setProofError(err.Error())
	return err
}

func (p *Publisher) setProofError(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.ProofError = text
}

// vote makes the vote for a result: with the public shares of all members, and, when
// the member is asked for its envelope, with that and the proof. The proof is a step
// of its own, so that it is on the disk before the vote is made.
func (p *Publisher) vote(ctx context.Context, k types.KeygenInfo, next *record) (*record, error) {
	shares, err := p.sharesOf(next.KeygenID, next.Vault, next.PubKeyEd25519, k.Members)
	if err != nil {
		return nil, p.cannotProve(next.Vault, err)
	}
	defer shares.wipe()
	msg := &types.MsgTssPool{
		Signer:           p.cfg.Address,
		KeygenId:         next.KeygenID,
		PubKey:           next.Vault,
		PubKeyEd25519:    next.PubKeyEd25519,
		Signature:        next.Signature,
		SignatureEd25519: next.SignatureEd25519,
		PublicShares:     &shares.public,
	}
	if asked(k.Members, p.cfg.Address) {
		c, err := p.claim(shares, next.KeygenID, next.Vault, next.PubKeyEd25519, k.Members)
		if err != nil {
			return nil, p.cannotProve(next.Vault, err)
		}
		if !next.proves(c) {
			if err := p.prove(c, next); err != nil {
				return nil, p.cannotProve(next.Vault, err)
			}
			return next, nil
		}
		p.setProofError("")
		if msg.KeysharesBackup, err = p.sealVault(ctx, next.Vault, next.PubKeyEd25519, k.Members); err != nil {
			return nil, err
		}
		msg.Proof = next.Proof
		next.EnvelopeSHA256 = commitmentOf(msg.KeysharesBackup)
	} else {
		p.setProofError("")
	}
	next.Step = StepMessage
	next.SharesHash = sharesHash(shares.public, next.Vault, next.PubKeyEd25519)
	return next, setMessage(next, msg)
}

// laterProof puts the proof into the record of a later publication, unless the chain
// wants none: the one that was made for the vote, or the one that the record holds.
// Otherwise it makes one, which is a step of its own, and tells so.
func (p *Publisher) laterProof(ctx context.Context, v types.VaultInfo, next *record) (made bool, err error) {
	wanted, err := p.wantsProof(ctx, v)
	if err != nil {
		return false, err
	}
	if !wanted {
		next.Proof, next.ProofContext = nil, nil
		return false, nil
	}
	made, err = p.findProof(v, next)
	if err != nil {
		next.Proof, next.ProofContext = nil, nil
		return false, p.cannotProve(v.Vault, err)
	}
	p.setProofError("")
	return made, nil
}

func (p *Publisher) findProof(v types.VaultInfo, next *record) (made bool, err error) {
	shares, err := p.sharesOf(v.Epoch, v.Vault, v.PubKeyEd25519, v.Members)
	if err != nil {
		return false, err
	}
	defer shares.wipe()
	if sharesHash(shares.public, v.Vault, v.PubKeyEd25519) != v.SharesHash {
		return false, errOtherShares
	}
	c, err := p.claim(shares, v.Epoch, v.Vault, v.PubKeyEd25519, v.Members)
	if err != nil {
		return false, err
	}
	vote, err := p.outbox.closed(voteName(v.Epoch))
	if err != nil {
		return false, err
	}
	switch {
	case vote != nil && vote.proves(c):
		next.Proof, next.ProofContext = vote.Proof, vote.ProofContext
		return false, nil
	case next.proves(c):
		return false, nil
	}
	return true, p.prove(c, next)
}

// wantsProof tells whether the chain takes this member's proof with a publication:
// the vault has public shares to prove by, and none was accepted yet.
func (p *Publisher) wantsProof(ctx context.Context, v types.VaultInfo) (bool, error) {
	if me, ok := memberOf(v.Members, p.cfg.Address); !ok || v.SharesHash == "" || me.RecipientKey == "" {
		return false, nil
	}
	info, err := p.chain.Proof(ctx, v.Vault, p.cfg.Address)
	return len(info.Stored) == 0, err
}

// isProven tells whether state holds this member's proof. Once it does, it does as
// long as the vault lives.
func (p *Publisher) isProven(ctx context.Context, v types.VaultInfo) (bool, error) {
	p.mu.Lock()
	known := p.proven[v.Vault]
	p.mu.Unlock()
	if known || v.SharesHash == "" {
		return known, nil
	}
	info, err := p.chain.Proof(ctx, v.Vault, p.cfg.Address)
	if err != nil || len(info.Stored) == 0 {
		return false, err
	}
	p.mu.Lock()
	p.proven[v.Vault] = true
	p.mu.Unlock()
	return true, nil
}

// compareShares looks whether another member voted for the same vault's keys with
// other public shares. Such votes do not count together: one of the two members was
// shown another polynomial, or lies.
func (p *Publisher) compareShares(e *entry, k types.KeygenInfo) {
	if e.rec.SharesHash == "" {
		return
	}
	for _, v := range k.Votes {
		if v.Vault != e.rec.Vault || v.PubKeyEd25519 != e.rec.PubKeyEd25519 || v.SharesHash == e.rec.SharesHash || e.differs[v.Member] {
			continue
		}
		if e.differs == nil {
			e.differs = map[string]bool{}
		}
		e.differs[v.Member] = true
		p.log.Error().Uint64("keygen", k.Id).Str("vault", v.Vault).Str("member", v.Member).
			Str("shares_hash", v.SharesHash).Str("own_shares_hash", e.rec.SharesHash).
			Msg("ANOTHER MEMBER HAS OTHER PUBLIC SHARES OF THE SAME VAULT: the two votes are for different results")
	}
}

func sharesHash(s types.PublicShares, vault, vaultEd25519 string) string {
	return hex.EncodeToString(s.Hash(unhex(vault), unhex(vaultEd25519)))
}

func memberOf(members []types.MemberInfo, address string) (types.MemberInfo, bool) {
	for _, m := range members {
		if m.Address == address {
			return m, true
		}
	}
	return types.MemberInfo{}, false
}
