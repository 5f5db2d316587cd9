package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ask returns the keygen as it is now, or errOver when it wants nothing more of this member.
func (p *Publisher) ask(ctx context.Context, id uint64) (vault.Keygen, error) {
	k, err := p.chain.Keygen(ctx, id)
	if err != nil {
		return k, err
	}
	if k.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || k.VoteOf(p.address) != nil {
		return k, errOver
	}
	return k, nil
}

// keygen runs the keygen.
func (p *Publisher) keygen(
	ctx, ceremonies context.Context,
	e *entry,
	next *outbox.Record,
) (*outbox.Record, error) {
	k, err := p.ask(ctx, next.Epoch)
	if err != nil {
		return nil, err
	}
	if finished(k) >= int(k.Threshold) {
		return nil, errLost
	}
	if ceremonies.Err() != nil {
		if b := p.absent(k); b != nil {
			e.lastBlame = b
		}
		return p.giveUp(e, next)
	}
	p.log.Info().
		Uint64("keygen", k.Id).
		Int("members", len(k.Members)).
		Int64("deadline", k.Deadline).
		Msg("joining a keygen")
	session, err := p.join(ctx, ceremonies, e, k)
	defer clear(session.Secret)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	res, err := p.cfg.Tss.Keygen(ceremonies, ceremony.KeygenRequest{
		ID:        fmt.Sprintf("%s/keygen/%d", p.cfg.ChainID, k.Id),
		Session:   session,
		Members:   vault.MemberKeys(k.Members),
		Threshold: int(k.Threshold),
		Keep: func(r ceremony.KeygenResult) ([]byte, error) {
			digest := sha256.Sum256(slices.Concat(session.ID, r.Secp256k1, r.Ed25519))
			return digest[:], nil
		},
	})
	p.cfg.Metrics.Ceremony("keygen", time.Since(begin), err)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		e.blame(blameOf(err, p.address, k.Members), ceremonies.Err() != nil)
		return nil, err
	}
	v := k.Makes(res.Secp256k1, res.Ed25519)
	names, err := v.FileNames(p.cfg.Prefix)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(
		res.Files,
		names[:],
		func(f envelope.File, name string) bool { return f.Name == name },
	) {
		return nil, fmt.Errorf(
			"the keygen did not make the two keyshare files %s and %s",
			names[0],
			names[1],
		)
	}
	next.Step = outbox.StepResult
	next.Vault = v.Name()
	next.PubKeyEd25519 = hex.EncodeToString(v.PubKeyEd25519)
	next.Keyshares = res.Files
	return next, nil
}

// finished is the largest number of members that voted the same result.
func finished(k vault.Keygen) int {
	most, count := 0, map[string]int{}
	for _, v := range k.Votes {
		if v.Result == nil {
			continue
		}
		count[v.Result.Key()]++
		most = max(most, count[v.Result.Key()])
	}
	return most
}

// made is the vault that the keygen made, as the record has it.
func made(r *outbox.Record, k vault.Keygen) (vault.Vault, error) {
	pubKey, pubKeyEd25519, err := r.Keys()
	return k.Makes(pubKey, pubKeyEd25519), err
}

// keepResult stores what the keygen made, as read from the record, when it is this member's
// keyshares of the vault: what is stored has passed the checks that a restore makes.
func (p *Publisher) keepResult(k vault.Keygen, next *outbox.Record) (*outbox.Record, error) {
	v, err := made(next, k)
	if err != nil {
		return nil, err
	}
	checked, err := p.check(v, next.Keyshares)
	if err != nil {
		return nil, fmt.Errorf("the keyshares in the outbox: %w", err)
	}
	checked.Wipe()
	return p.saveKeyshares(next)
}

// saveKeyshares moves the keyshares from the record to their store.
func (p *Publisher) saveKeyshares(next *outbox.Record) (*outbox.Record, error) {
	if err := p.store.Save(next.Epoch, next.Keyshares); err != nil {
		return nil, fmt.Errorf("keyshares: %w", err)
	}
	next.Step = outbox.StepSaved
	next.Keyshares = nil
	return next, nil
}

// sign obtains the vault's signatures over the check message.
func (p *Publisher) sign(
	ctx, ceremonies context.Context,
	e *entry,
	next *outbox.Record,
) (*outbox.Record, error) {
	k, err := p.ask(ctx, next.Epoch)
	if err != nil {
		return nil, err
	}
	v, err := made(next, k)
	if err != nil {
		return nil, err
	}
	digest := types.CheckMessage(p.cfg.ChainID, k.Id, v.PubKey, v.PubKeyEd25519)
	s, ok := p.onChain(ctx, k, v, digest)
	if !ok {
		if ceremonies.Err() != nil {
			return p.giveUp(e, next)
		}
		if s, err = p.signTogether(ceremonies, e, k, v, digest); err != nil {
			if ctx.Err() == nil {
				e.blame(blameOf(err, p.address, k.Members), ceremonies.Err() != nil)
			}
			return nil, err
		}
		if !s.verify(v, digest) {
			return nil, errors.New("the signatures over the check message do not verify")
		}
	}
	next.Step = outbox.StepSigned
	next.Signature, next.SignatureEd25519 = s.secp256k1, s.ed25519
	return next, nil
}

// signTogether makes both signatures with the other members.
func (p *Publisher) signTogether(
	ctx context.Context,
	e *entry,
	k vault.Keygen,
	v vault.Vault,
	digest []byte,
) (signatures, error) {
	names, err := v.FileNames(p.cfg.Prefix)
	if err != nil {
		return signatures{}, err
	}
	signers := nextSigners(e, k)
	set := sha256.New()
	for _, s := range signers {
		set.Write(s)
	}
	id := fmt.Sprintf("%s/check/%d/%x", p.cfg.ChainID, k.Id, set.Sum(nil)[:8])
	e.signings++
	var sigs [2][]byte
	for i, curve := range []string{"secp256k1", "ed25519"} {
		file, err := p.store.Load(v.Epoch, names[i])
		if err != nil {
			return signatures{}, err
		}
		begin := time.Now()
		sigs[i], err = p.cfg.Tss.Keysign(
			ctx,
			ceremony.KeysignRequest{
				ID:       id + "/" + curve,
				Keyshare: file,
				Signers:  signers,
				Message:  digest,
				// All members proved theirs in the keygen that made the keyshares.
				TrustParameters: true,
			},
		)
		p.cfg.Metrics.Ceremony("keysign", time.Since(begin), err)
		if err != nil {
			return signatures{}, fmt.Errorf(
				"signing the check message with the vault's %s key: %w",
				curve,
				err,
			)
		}
	}
	return signatures{secp256k1: sigs[0], ed25519: sigs[1]}, nil
}

// nextSigners are all members, and every other time those that did not fail the last signing, when
// they are enough.
func nextSigners(e *entry, k vault.Keygen) [][]byte {
	if e.signings%2 == 1 && e.lastBlame != nil {
		var rest []types.Member
		for _, m := range k.Members {
			if !contains(e.lastBlame.members, m.Address()) {
				rest = append(rest, m)
			}
		}
		if len(rest) >= int(k.Threshold) {
			return vault.MemberKeys(rest)
		}
	}
	return vault.MemberKeys(k.Members)
}

// blame keeps whom a ceremony failed by. One that was cut short blames members who may have been
// between two attempts, so an earlier failure says more.
func (e *entry) blame(b *blame, cutShort bool) {
	if b != nil && (e.lastBlame == nil || !cutShort) {
		e.lastBlame = b
	}
}
