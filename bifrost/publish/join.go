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

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// An attempt at a keygen begins when every member has joined it on chain. The secret of a join is
// in this process alone: after a restart the member joins again, and an attempt that began with
// the join before is lost.

// join takes this member to an attempt that has begun, and returns the secret of its join. It waits
// for the others until the ceremonies end. Who deals only waits for one that it is chosen for.
func (p *Publisher) join(
	ctx, ceremonies context.Context, e *entry, k vault.Keygen, failedBy []string,
) (*vault.Session, []byte, error) {
	secret, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, nil, err
	}
	defer secret.Zero()
	if k.Session != nil { // begun before this join
		e.attempt = k.Session.Attempt
	}
	nonce, err := p.sendJoin(k, secret, failedBy)
	if err != nil {
		return nil, nil, err
	}
	defer p.forgetJoin(k.Id)
	for {
		if k, err = p.ask(ctx, k.Id); err != nil {
			return nil, nil, err
		}
		if k.Certificate != nil {
			return nil, nil, errCertified
		}
		if s := k.Session; s != nil && s.Attempt > e.attempt {
			e.attempt = s.Attempt
			own, ok := s.Of(p.address)
			switch {
			case !ok && p.dealsOnly(k):
				return p.join(ctx, ceremonies, e, k, failedBy)
			case !ok || !bytes.Equal(own.Nonce, nonce):
				return nil, nil, fmt.Errorf(
					"attempt %d began with a join that this process did not make", s.Attempt)
			}
			p.setErr(e, nil, nil) // nobody is waited for any more
			return s, secret.Serialize(), nil
		}
		p.setErr(e, p.waiting(k), nil)
		select {
		case <-ceremonies.Done():
			return nil, nil, fmt.Errorf(
				"waiting for all members to join: %w", context.Cause(ceremonies))
		case <-time.After(p.cfg.Poll):
		}
	}
}

// watchJoins gives those who take part in the attempt and join the one after it, until the context
// ends.
func (p *Publisher) watchJoins(
	ctx context.Context, id uint64, members []types.Member, attempt *vault.Session,
) <-chan []byte {
	left := make(chan []byte, len(members))
	go func() {
		told := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.cfg.Poll):
			}
			// The loop of this process says so when the chain cannot be asked.
			now, err := p.chain.Keygen(ctx, id)
			if err != nil || now.Session == nil || now.Session.Attempt != attempt.Attempt {
				continue
			}
			for _, m := range members {
				_, in := attempt.Of(m.Address())
				if _, ok := now.Waits(m.Address()); in && ok && !told[string(m.PubKey)] {
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
	err := fmt.Errorf(
		"waiting for all members to join: %d of %d have", membersWaiting(k), len(k.Members))
	if k.Reshare != nil {
		err = fmt.Errorf("%w, and %d who may deal, of whom %d must", err, dealersWaiting(k), k.Deal)
	}
	return err
}

// sendJoin makes a join and leaves it for the loop to deliver.
func (p *Publisher) sendJoin(
	k vault.Keygen, secret *secp256k1.PrivateKey, failedBy []string,
) ([]byte, error) {
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
		FailedBy:   failedBy,
	})
	if err != nil {
		return nil, err
	}
	r := &outbox.Record{
		ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: outbox.Join, Epoch: k.Id,
		OpenedHeight: k.OpenedHeight, Deadline: k.JoinDeadline,
		Members: len(k.Members),
		Step:    outbox.StepMessage, Message: message,
	}
	if k.Reshare != nil { // those of the epoch that deals cost as much
		r.Members += len(k.Able) + len(k.Reshare.Excluded)
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
//
// An attempt at a reshare waits for as many of those who may deal as must. Of these nobody is named
// while so many have come: it did not wait for the others. When fewer have, whoever has not is.
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
		for _, m := range k.Members {
			if j, ok := k.Waits(m.Address()); ok && j.Height <= late {
				early++
			}
		}
		if early <= malicious || own.Height > late {
			return nil
		}
	}
	b := &blame{reason: "did not join"}
	for _, m := range k.Members {
		if _, ok := k.Waits(m.Address()); !ok {
			b.members = append(b.members, m.Address())
		}
	}
	if dealersWaiting(k) < k.Deal {
		for _, address := range k.Able {
			if _, ok := k.Waits(address); !ok && !contains(b.members, address) {
				b.members = append(b.members, address)
			}
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b
}
