package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrRecipient is what [Config.Prove] returns when this machine's mnemonic does not derive the
	// recipient key that the chain holds: it could not open the proof.
	ErrRecipient = errors.New("the chain's recipient key of this member is not this mnemonic's")
	// errOtherShares says that a vault was made of other public shares than those that this member
	// has.
	errOtherShares = errors.New(
		"the members agreed on other public shares of this vault than those in the keyshares here",
	)
)

// claim is what a member's proof says of a vault, with the secrets that it takes.
type claim struct {
	statement verenc.Statement
	// context is the hash of the statement, by which a stored proof is known.
	context [32]byte
	// index is that of the recipient key.
	index uint32
	// shares are the secret shares, which others wipe.
	shares []verenc.Share
}

// claim says what this member proves of a vault: that its shares are encrypted to the recipient key
// that was frozen when the keygen opened.
func (p *Publisher) claim(s *keyshares, v vault.Vault, recipient types.Recipient) (*claim, error) {
	if len(recipient.Key) == 0 {
		return nil, fmt.Errorf(
			"the chain holds no recipient key of this member for keygen %d",
			v.Epoch,
		)
	}
	st, ok := s.public.Statement(
		p.cfg.ChainID,
		v.Epoch,
		v.PubKey,
		v.PubKeyEd25519,
		p.address,
		recipient.Key,
	)
	if !ok {
		return nil, errors.New("the keyshares hold no public shares of this member")
	}
	c := &claim{statement: st, index: recipient.Index, shares: s.own}
	var err error
	c.context, err = st.Context()
	return c, err
}

// proves reports whether the record holds the proof of this very claim. Only then is it sent;
// otherwise it says something of another vault, or another chain.
func proves(r *outbox.Record, c *claim) bool {
	return len(r.Proof) > 0 && bytes.Equal(r.ProofContext, c.context[:])
}

// prove makes the proof of a claim and puts it into the record, to be saved before anything else is
// done with it. It is called only when no record holds that proof: the one that is stored is sent
// for ever.
func (p *Publisher) prove(c *claim, next *outbox.Record) error {
	begin := time.Now()
	proof, err := p.cfg.Prove(c.statement, c.index, c.shares)
	if err != nil {
		return err
	}
	p.cfg.Metrics.Proved(time.Since(begin))
	next.Step = outbox.StepProven
	next.Proof, next.ProofContext = proof, c.context[:]
	return nil
}

// cannotProve makes an error of a proof loud, because without the proof there is no vote, and shows
// it in the status until a proof works.
func (p *Publisher) cannotProve(vault string, err error) error {
	p.cfg.Metrics.ProveFailed()
	p.log.Error().
		Err(err).
		Str("vault", vault).
		Msg("PROVING FAILED: nobody can verify that the backup of this vault opens")
	err = fmt.Errorf("proving: %w", err)
	p.setProofError(err.Error())
	return err
}

func (p *Publisher) setProofError(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.ProofError = text
}

// complete takes a signed result to its message. When the member is asked for its envelope, the
// proof is a step of its own before, so that it is on the disk before the vote is made.
func (p *Publisher) complete(
	ctx context.Context,
	e *entry,
	k vault.Keygen,
	next *outbox.Record,
) (*outbox.Record, error) {
	v, err := made(next, k)
	if err != nil {
		return nil, err
	}
	s, err := p.keysharesOf(e, v)
	if err != nil {
		return nil, p.cannotProve(next.Vault, err)
	}
	me, recipient, _ := k.Member(p.address)
	if me.Asked {
		c, err := p.claim(s, v, recipient)
		if err != nil {
			return nil, p.cannotProve(next.Vault, err)
		}
		if !proves(next, c) {
			if err := p.prove(c, next); err != nil {
				return nil, p.cannotProve(next.Vault, err)
			}
			return next, nil
		}
	}
	p.setProofError("")
	return p.result(ctx, s, v, me.Asked, next)
}

// laterProof puts the proof into the record of a later publication, unless the chain wants none:
// the one that was made for the vote, or the one that the record holds. Otherwise it makes one,
// which is a step of its own, and reports that.
func (p *Publisher) laterProof(
	ctx context.Context,
	e *entry,
	v vault.Vault,
	next *outbox.Record,
) (made bool, err error) {
	recipient, wanted, err := p.wantsProof(ctx, v)
	if err != nil {
		return false, err
	}
	if !wanted {
		next.Proof, next.ProofContext = nil, nil
		return false, nil
	}
	made, err = p.findProof(e, v, recipient, next)
	if err != nil {
		next.Proof, next.ProofContext = nil, nil
		return false, p.cannotProve(v.Name(), err)
	}
	p.setProofError("")
	return made, nil
}

func (p *Publisher) findProof(
	e *entry, v vault.Vault, recipient types.Recipient, next *outbox.Record,
) (made bool, err error) {
	s, err := p.keysharesOf(e, v)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(s.hash, v.SharesHash) {
		return false, errOtherShares
	}
	c, err := p.claim(s, v, recipient)
	if err != nil {
		return false, err
	}
	vote, err := p.outbox.Closed(outbox.VoteName(v.Epoch))
	if err != nil {
		return false, err
	}
	switch {
	case vote != nil && proves(vote, c):
		next.Proof, next.ProofContext = vote.Proof, vote.ProofContext
		return false, nil
	case proves(next, c):
		return false, nil
	}
	return true, p.prove(c, next)
}

// wantsProof reports whether the chain takes this member's proof with a publication, and to which
// key: the vault has public shares to prove by, and none was accepted yet.
func (p *Publisher) wantsProof(ctx context.Context, v vault.Vault) (types.Recipient, bool, error) {
	if len(v.SharesHash) == 0 {
		return types.Recipient{}, false, nil
	}
	proof, err := p.chain.Proof(ctx, v.Name(), p.cfg.Address)
	return proof.Recipient, len(proof.Recipient.Key) > 0 && !proof.IsProven(), err
}

// isProven reports whether state holds this member's proof. Once it does, it does as long as the
// vault lives.
func (p *Publisher) isProven(ctx context.Context, v vault.Vault) (bool, error) {
	p.mu.Lock()
	known := p.proven[v.Epoch]
	p.mu.Unlock()
	if known || len(v.SharesHash) == 0 {
		return known, nil
	}
	proof, err := p.chain.Proof(ctx, v.Name(), p.cfg.Address)
	if err != nil || !proof.IsProven() {
		return false, err
	}
	p.mu.Lock()
	p.proven[v.Epoch] = true
	p.mu.Unlock()
	return true, nil
}
