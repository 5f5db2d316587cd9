package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// republish looks for live vaults whose backup is missing although it was asked for and the
// keyshares are here, and makes its publication: when the vault became active without this member's
// vote, for example.
func (p *Publisher) republish(ctx context.Context) error {
	vaults, err := p.chain.Vaults(ctx, p.cfg.Address)
	if err != nil {
		return err
	}
	list := make([]VaultStatus, 0, len(vaults))
	for _, v := range vaults {
		me, _ := v.Member(p.address)
		s := VaultStatus{
			Vault:    v.Name(),
			Status:   vaultStatus(v.Status),
			KeygenID: v.Epoch,
			Asked:    me.Asked,
		}
		loadErr := p.vaultFilesPresent(v)
		s.Keyshares = loadErr == nil
		if s.Published, err = p.isPublished(ctx, v.Epoch, v.Name()); err != nil {
			return err
		}
		if s.Published {
			if s.Proven, err = p.isProven(ctx, v); err != nil {
				return err
			}
		}
		if s.Published && s.Keyshares {
			if s.Heartbeat, err = p.heartbeatOf(ctx, v); err != nil {
				return err
			}
		}
		switch {
		case !s.Keyshares:
			s.Error = loadErr.Error()
		case s.Asked && !s.Published:
			if err := p.publishMissing(ctx, v); err != nil {
				s.Error = err.Error()
			}
		}
		list = append(list, s)
	}
	p.mu.Lock()
	p.status.Vaults = list
	p.mu.Unlock()
	return nil
}

// vaultFilesPresent looks for the files alone: checking a keyshare takes longer than a poll may.
func (p *Publisher) vaultFilesPresent(v vault.Vault) error {
	names, err := p.store.List(v.Epoch)
	if err != nil {
		return err
	}
	want, err := keyfiles.Names(v, p.cfg.Prefix)
	if err != nil {
		return err
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%w: no %s", errNoKeyshares, name)
		}
	}
	return nil
}

// isPublished reports whether state holds any commitment of this member's. Once it does, it always
// will.
func (p *Publisher) isPublished(ctx context.Context, epoch uint64, name string) (bool, error) {
	p.mu.Lock()
	known := p.published[epoch]
	p.mu.Unlock()
	if known {
		return true, nil
	}
	commitments, err := p.chain.Backup(ctx, name, p.cfg.Address)
	if err != nil || len(commitments) == 0 {
		return false, err
	}
	p.mu.Lock()
	p.published[epoch] = true
	p.mu.Unlock()
	return true, nil
}

// publishMissing puts a publication into the outbox, from where it is delivered.
func (p *Publisher) publishMissing(ctx context.Context, v vault.Vault) error {
	name := outbox.BackupName(v.Epoch)
	p.mu.Lock()
	_, vote := p.entries[outbox.VoteName(v.Epoch)]
	e := p.entries[name]
	if e == nil {
		e = &entry{rec: &outbox.Record{
			ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: outbox.Backup, Epoch: v.Epoch,
			Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519),
		}}
		if !vote {
			p.entries[name] = e
		}
	}
	p.mu.Unlock()
	if vote || e.rec.Final() {
		return e.err // it is on its way
	}
	asks := e.deposited != nil && len(e.deposited) == 0
	if asks || time.Now().Before(e.retryAt) {
		return e.err
	}
	defer e.forgetKeyshares()
	for !e.rec.Final() {
		next, err := p.backup(ctx, e, v)
		if err == nil {
			err = p.save(e, next)
		}
		if errors.Is(err, errDepositing) {
			return e.err
		}
		if err != nil {
			p.setErr(e, err, nil)
			e.retryAt = time.Now().Add(maxBackoff * p.cfg.Poll)
			return err
		}
	}
	p.log.Warn().
		Str("vault", v.Name()).
		Bool("proof", len(e.rec.Proof) > 0).
		Msg("the backup of a live vault is missing; publishing it")
	return nil
}

// backup takes a later publication to its message, or first to the step in which its proof is on
// the disk. What can never be proven does not hold the envelope back: the vault lives, and an
// envelope alone is better than none.
func (p *Publisher) backup(ctx context.Context, e *entry, v vault.Vault) (*outbox.Record, error) {
	next := *e.rec
	made, err := p.laterProof(ctx, e, v, &next)
	if made {
		return &next, nil
	}
	if err != nil && !errors.Is(err, ErrRecipient) && !errors.Is(err, errOtherShares) {
		return nil, err
	}
	sealed, err := p.unsent(ctx, v)
	if err != nil {
		return nil, err
	}
	if sealed == nil {
		sealed = e.envelope
	}
	if sealed == nil {
		s, err := p.keysharesOf(e, v)
		if err != nil {
			return nil, p.cannotSeal(v.Name(), err)
		}
		if sealed, err = p.seal(ctx, v, s); err != nil {
			return nil, err
		}
	}
	msg := &types.MsgPublishBackup{
		Signer: p.cfg.Address, Vault: v.Name(), Epoch: v.Epoch, Proof: next.Proof,
	}
	if v.IsHeld() {
		e.envelope = sealed // should too few hold it now
		if err := p.deposit(ctx, e, v, msg); err != nil {
			return nil, err
		}
	} else {
		msg.KeysharesBackup = sealed
	}
	next.Step = outbox.StepMessage
	next.EnvelopeSHA256 = commitmentOf(sealed)
	next.Members = len(v.Members)
	return &next, setMessage(&next, msg)
}

// unsent returns the envelope of the vote that did not reach its block, when the chain still takes
// it: others may have seen it, and one vault has one envelope. One that was made for another group
// part than the vault has would be of no use.
func (p *Publisher) unsent(ctx context.Context, v vault.Vault) ([]byte, error) {
	r, err := p.outbox.Closed(outbox.VoteName(v.Epoch))
	if err != nil || r == nil || r.Vault != v.Name() || r.EnvelopeSHA256 == "" ||
		len(r.Message) == 0 || v.IsHeld() ||
		v.Split && r.SharesHash != hex.EncodeToString(v.SharesHash) {
		return nil, err
	}
	var msg types.MsgTssPool
	if err := proto.Unmarshal(r.Message, &msg); err != nil {
		return nil, fmt.Errorf("the outbox holds a malformed message: %w", err)
	}
	params, err := p.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.checkForm(msg.KeysharesBackup, params); err != nil {
		p.log.Warn().
			Err(err).
			Str("vault", v.Name()).
			Msg("the chain does not take the vote's envelope any more; sealing another")
		return nil, nil
	}
	return msg.KeysharesBackup, nil
}

// settleBackup looks whether a later publication stands in state, or its vault was retired or has
// another epoch, for which the chain takes none any more.
func (p *Publisher) settleBackup(ctx context.Context, e *entry) (bool, error) {
	next := *e.rec
	v, err := p.chain.Vault(ctx, next.Vault)
	if err != nil {
		return false, err
	}
	published := false
	if v.Epoch == next.Epoch {
		if published, err = p.isPublished(ctx, next.Epoch, next.Vault); err != nil {
			return false, err
		}
	}
	if !published {
		switch {
		case v.Epoch > next.Epoch:
			next.Outcome = "reshared"
		case v.Status == types.VaultStatus_VAULT_STATUS_RETIRED:
			next.Outcome = "retired"
		default:
			return false, nil
		}
		p.log.Warn().
			Str("vault", next.Vault).
			Str("outcome", next.Outcome).
			Msg("the vault moved on before its backup was published")
		return true, p.close(e, &next)
	}
	next.Step = outbox.StepDone
	next.Message, next.Tx = nil, nil
	next.Outcome = "published"
	p.cfg.Metrics.Delivered(kindOf(&next))
	p.log.Info().Str("vault", next.Vault).Msg("the backup stands in state")
	return true, p.close(e, &next)
}
