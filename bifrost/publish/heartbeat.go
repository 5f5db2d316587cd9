package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A heartbeat says that a backup has just been brought back from elsewhere. So this loop tells when
// one is wanted, whoever drills asks for it afterwards, and the loop delivers it.

// beatsAge is after how many blocks the chain is asked again about heartbeats of which none is on
// its way.
const beatsAge = 10

// beats are what was seen of this member's heartbeats in an epoch.
type beats struct {
	status *HeartbeatStatus // nil where none is due
	seen   int64            // the height of the look
}

// heartbeatOf looks whether a heartbeat is wanted: the first one at once, each other when half of
// the time since the one before is over.
func (p *Publisher) heartbeatOf(ctx context.Context, v vault.Vault) (*HeartbeatStatus, error) {
	if p.cfg.SignBeat == nil {
		return nil, nil
	}
	p.mu.Lock()
	height, known := p.status.Height, p.beats[v.Epoch]
	p.mu.Unlock()
	if known != nil && height < known.seen+beatsAge {
		return known.status, nil
	}
	beat, err := p.chain.Heartbeat(ctx, v.Name(), p.cfg.Address)
	if err != nil {
		return nil, err
	}
	var status *HeartbeatStatus
	if beat != nil && beat.Due != 0 {
		latest, _ := beat.Latest()
		status = &HeartbeatStatus{Height: latest, Due: beat.Due, Missed: beat.Missed}
		if half := latest + (beat.Due-latest)/2; latest == 0 || height >= half {
			beacons, err := p.chain.Beacons(ctx)
			if err != nil {
				return nil, err
			}
			status.Wanted = len(beacons) > 0 && beacons[0].Height > beat.BeaconHeight
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beats[v.Epoch] = &beats{status: status, seen: height}
	return status, nil
}

// HeartbeatsWanted are the names of the vaults for which a heartbeat is to be sent, and none is on
// its way. Whoever has drilled their backups sends them with Heartbeat.
func (p *Publisher) HeartbeatsWanted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, v := range p.status.Vaults {
		_, onItsWay := p.entries[outbox.HeartbeatName(v.KeygenID)]
		if v.Heartbeat != nil && v.Heartbeat.Wanted && !onItsWay {
			names = append(names, v.Vault)
		}
	}
	return names
}

// Heartbeat signs a heartbeat for a vault and leaves it for the loop to deliver. The caller has
// just brought the vault's backup back from elsewhere.
func (p *Publisher) Heartbeat(ctx context.Context, name string) error {
	v, err := p.chain.Vault(ctx, name)
	if err != nil {
		return err
	}
	beacons, err := p.chain.Beacons(ctx)
	if err != nil {
		return err
	}
	if len(beacons) == 0 {
		return errors.New("the chain has no beacon to sign yet")
	}
	slot, err := p.chain.Proof(ctx, name, p.cfg.Address)
	if err != nil {
		return err
	}
	b := verenc.Beat{
		ChainID: p.cfg.ChainID, Epoch: v.Epoch, Member: p.address,
		Height: beacons[0].Height, AppHash: beacons[0].AppHash,
		Kind: uint32(types.HeartbeatKind_HEARTBEAT_KIND_MACHINE),
	}
	signature, err := p.cfg.SignBeat(b, slot.Recipient)
	if err != nil {
		return fmt.Errorf("signing a heartbeat for vault %s: %w", name, err)
	}
	message, err := proto.Marshal(&types.MsgHeartbeat{
		Signer:       p.cfg.Address,
		Epoch:        v.Epoch,
		BeaconHeight: b.Height,
		Kind:         types.HeartbeatKind_HEARTBEAT_KIND_MACHINE,
		Signature:    signature,
	})
	if err != nil {
		return err
	}
	r := &outbox.Record{
		ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: outbox.Heartbeat, Epoch: v.Epoch,
		Vault: name, Members: len(v.Members), Deadline: b.Height + 2*types.BeaconInterval,
		Step: outbox.StepMessage, Message: message,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.entries[r.Name()]; !ok {
		p.entries[r.Name()] = &entry{rec: r, beacon: b.Height}
	}
	return nil
}

// settleHeartbeat looks whether a heartbeat has found its block. One that did not while its beacon
// was good is given up: the next drill makes another.
func (p *Publisher) settleHeartbeat(ctx context.Context, e *entry, height int64) (bool, error) {
	beat, err := p.chain.Heartbeat(ctx, e.rec.Vault, p.cfg.Address)
	if err != nil {
		return false, err
	}
	switch {
	case beat != nil && beat.BeaconHeight >= e.beacon:
		p.cfg.Metrics.Delivered(kindOf(e.rec))
		p.log.Info().Str("vault", e.rec.Vault).Int64("due", beat.Due).Msg("the heartbeat stands in state")
	case beat == nil || height >= e.rec.Deadline:
		p.log.Warn().Str("vault", e.rec.Vault).Msg("a heartbeat did not reach the chain in time")
	default:
		return false, nil
	}
	p.forget(e)
	p.mu.Lock()
	delete(p.beats, e.rec.Epoch)
	p.mu.Unlock()
	return true, nil
}
