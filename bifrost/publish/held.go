package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Where members hold each other's envelopes, an envelope is sealed within the ceremony. What the
// members sign for the result names the envelopes of all, and so does each vote, which carries
// none.

// envelopes are what a ceremony is asked for where members hold each other's, nil elsewhere.
func (p *Publisher) envelopes(k vault.Keygen) *ceremony.Envelopes {
	if !k.IsHeld() {
		return nil
	}
	e := &ceremony.Envelopes{
		Seal: func(ctx context.Context, res ceremony.KeygenResult) ([]byte, error) {
			return p.sealResult(ctx, k, res)
		},
		Check: func(envelope []byte) error {
			return sanity.CheckEnvelopeForm(envelope, types.HeldRules())
		},
	}
	for _, m := range k.Members {
		if m.Asked {
			e.Asked = append(e.Asked, m.PubKey)
		}
	}
	return e
}

// sealResult makes the envelope of what a ceremony made, whose files it leaves as they are.
func (p *Publisher) sealResult(
	ctx context.Context, k vault.Keygen, res ceremony.KeygenResult,
) ([]byte, error) {
	v := k.Makes(res.Secp256k1, res.Ed25519)
	files := slices.Clone(res.Files)
	for i, f := range files {
		files[i].Data = bytes.Clone(f.Data)
	}
	s, err := p.takeKeyshares(v, files)
	if err != nil {
		return nil, p.cannotSeal(v.Name(), err)
	}
	defer s.wipe()
	return p.seal(ctx, v, s)
}

// hold keeps the envelopes of all with a result, and puts them into the record and what is signed.
func (p *Publisher) hold(
	k vault.Keygen, envelopes [][]byte, next *outbox.Record, result *types.Result,
) error {
	if err := p.cfg.Hold(k.Id, envelopes); err != nil {
		return fmt.Errorf("keeping the members' envelopes: %w", err)
	}
	list := make([]types.Commitment, len(envelopes))
	for i, e := range envelopes {
		list[i] = types.Held(e)
	}
	p.noteEnvelopes(next, k, list)
	result.EnvelopesHash = types.EnvelopesHash(next.Envelopes)
	return nil
}

// noteEnvelopes puts what the members hold into the record of a vote: the list, and this member's.
func (p *Publisher) noteEnvelopes(
	next *outbox.Record, k vault.Keygen, envelopes []types.Commitment,
) {
	next.Envelopes, next.EnvelopeSHA256 = types.EncodeEnvelopes(envelopes), ""
	own, ok := types.Certificate{Envelopes: envelopes}.Envelope(k.Members, p.address)
	if ok {
		next.EnvelopeSHA256 = hex.EncodeToString(own.Sha256)
	}
}

// deposited is what came of giving the other members an envelope.
type deposited struct {
	receipts []types.Receipt
	err      error
}

// errDepositing says that the other members are being asked, which one of them can draw out.
var errDepositing = errors.New("the other members are asked to hold the envelope")

// deposit gives the other members of a vault the entry's envelope to hold, beside everything else,
// and puts the receipts into its publication once they are here. Until then it is errDepositing.
func (p *Publisher) deposit(
	ctx context.Context, e *entry, v vault.Vault, msg *types.MsgPublishBackup,
) error {
	sealed := e.envelope
	if e.deposited == nil {
		if p.cfg.Deposit == nil {
			return fmt.Errorf("the members of vault %s hold each other's envelopes, and this signer "+
				"reaches none of them", v.Name())
		}
		if err := p.cfg.Hold(v.Epoch, [][]byte{sealed}); err != nil {
			return fmt.Errorf("keeping the envelope: %w", err)
		}
		came := make(chan deposited, 1)
		e.deposited = came
		p.workers.Go(func() {
			receipts, err := p.cfg.Deposit(ctx, v, sealed)
			came <- deposited{receipts, err}
		})
		return errDepositing
	}
	d := <-e.deposited
	e.deposited = nil
	if d.err != nil {
		return d.err
	}
	held := types.Held(sealed)
	msg.Sha256, msg.Size_, msg.Receipts = held.Sha256, held.Size_, d.receipts
	return nil
}
