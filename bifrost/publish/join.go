package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/cosmos/gogoproto/proto"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// An attempt at a keygen begins when every member has joined it on chain. The secret of a join is
// in this process alone: after a restart the member joins again, and an attempt that began with
// the join before is lost.

// join takes this member to an attempt that has begun. It waits for the others until the
// ceremonies end.
func (p *Publisher) join(
	ctx, ceremonies context.Context, e *entry, k vault.Keygen,
) (ceremony.Session, error) {
	secret, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return ceremony.Session{}, err
	}
	defer secret.Zero()
	if k.Session != nil { // begun before this join
		e.attempt = k.Session.Attempt
	}
	nonce, err := p.sendJoin(k, secret)
	if err != nil {
		return ceremony.Session{}, err
	}
	defer p.forgetJoin(k.Id)
	for {
		if k, err = p.ask(ctx, k.Id); err != nil {
			return ceremony.Session{}, err
		}
		if k.Certificate != nil {
			return ceremony.Session{}, errCertified
		}
		if s := k.Session; s != nil && s.Attempt > e.attempt {
			e.attempt = s.Attempt
			if own, ok := s.Of(p.address); !ok || !bytes.Equal(own.Nonce, nonce) {
				return ceremony.Session{}, fmt.Errorf(
					"attempt %d began with a join that this process did not make", s.Attempt)
			}
			session := ceremony.Session{ID: s.ID, Secret: secret.Serialize()}
			for _, m := range s.Members {
				session.Keys = append(session.Keys, m.Key)
			}
			p.setErr(e, nil, nil) // nobody is waited for any more
			return session, nil
		}
		p.setErr(e, p.waiting(k), nil)
		select {
		case <-ceremonies.Done():
			return ceremony.Session{}, fmt.Errorf(
				"waiting for all members to join: %w", context.Cause(ceremonies))
		case <-time.After(p.cfg.Poll):
		}
	}
}

// watchJoins gives the members that join the attempt after this one, until the context ends.
func (p *Publisher) watchJoins(ctx context.Context, k vault.Keygen, attempt uint64) <-chan []byte {
	left := make(chan []byte, len(k.Members))
	go func() {
		told := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.cfg.Poll):
			}
			// The loop of this process says so when the chain cannot be asked.
			now, err := p.chain.Keygen(ctx, k.Id)
			if err != nil || now.Session == nil || now.Session.Attempt != attempt {
				continue
			}
			for _, m := range k.Members {
				if _, ok := now.Waits(m.Address()); ok && !told[string(m.PubKey)] {
					told[string(m.PubKey)] = true
					left <- m.PubKey
				}
			}
		}
	}()
	return left
}

// waiting says what a member that has no attempt yet waits for.
func (p *Publisher) waiting(k vault.Keygen) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[outbox.JoinName(k.Id)]; e != nil && e.err != nil {
		return fmt.Errorf("joining the keygen: %w", e.err)
	}
	return fmt.Errorf(
		"waiting for all members to join: %d of %d have", len(k.Joins), len(k.Members))
}

// sendJoin makes a join and leaves it for the loop to deliver.
func (p *Publisher) sendJoin(k vault.Keygen, secret *secp256k1.PrivateKey) ([]byte, error) {
	nonce := make([]byte, types.NonceSize)
	_, _ = rand.Read(nonce) // never fails
	digest := types.JoinMessage(p.cfg.ChainID, k.Id, p.cfg.PubKey, nonce)
	signature := ecdsa.SignCompact(secret, digest, true)
	message, err := proto.Marshal(&types.MsgTssJoin{
		Signer:     p.cfg.Address,
		KeygenId:   k.Id,
		Nonce:      nonce,
		SessionKey: secret.PubKey().SerializeCompressed(),
		Possession: signature[1:],
	})
	if err != nil {
		return nil, err
	}
	r := &outbox.Record{
		ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: outbox.Join, Epoch: k.Id,
		OpenedHeight: k.OpenedHeight, Deadline: k.JoinDeadline, Members: len(k.Members),
		Step: outbox.StepMessage, Message: message,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries[r.Name()] = &entry{rec: r, nonce: nonce}
	return nonce, nil
}

func (p *Publisher) forgetJoin(keygenID uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, outbox.JoinName(keygenID))
}

// settleJoin looks whether a join has found its block.
func (p *Publisher) settleJoin(e *entry, k vault.Keygen) bool {
	for _, find := range []func([]byte) (vault.Join, bool){k.Waits, k.Session.Of} {
		if j, ok := find(p.address); ok && bytes.Equal(j.Nonce, e.nonce) {
			p.forgetJoin(e.rec.Epoch)
			return true
		}
	}
	return false
}

// absent names who did not join in time, unlike this member: for the first attempt, or for another
// one after one that failed long enough before the end of joining for all honest members to come
// again. Of those who did, at least one is honest when they are more than may be malicious. After
// many attempts nobody is named so: a member that also restarted may have no free join left.
func (p *Publisher) absent(k vault.Keygen) *blame {
	own, ok := k.Waits(p.address)
	if !ok {
		return nil
	}
	if k.Session != nil {
		if k.Session.Attempt >= types.MaxExemptJoins/2 {
			return nil
		}
		malicious := len(k.Members) - int(k.Threshold)
		late := k.JoinDeadline - (k.JoinDeadline-k.OpenedHeight)/4
		early := 0
		for _, j := range k.Joins {
			if j.Height <= late {
				early++
			}
		}
		if early <= malicious || own.Height > late {
			return nil
		}
	}
	b := &blame{reason: "did not join"}
	for _, m := range k.Members {
		if _, ok := k.Waits(m.Address()); !ok && !bytes.Equal(m.Address(), p.address) {
			b.members = append(b.members, m.Address())
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b
}
