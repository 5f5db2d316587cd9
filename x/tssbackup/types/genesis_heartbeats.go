package types

import (
	"bytes"
	"errors"
	"fmt"
)

// checkHeartbeats checks what is known of heartbeats: of each member of a vault that is not retired
// when they are on, and of nobody when they are off.
func (g genesisIndex) checkHeartbeats(gs GenesisState) error {
	on := gs.Params.HeartbeatInterval != 0
	// The most that can have been paused: a pause that goes on takes no longer than it may.
	paused := gs.Pause.Total + uint64(gs.Pause.Until-gs.Pause.Since)
	var last GenesisHeartbeat
	for i, h := range gs.Heartbeats {
		if err := g.checkLives(h.Epoch, h.Member, on); err != nil {
			return fmt.Errorf("heartbeat %d: %w", i, err)
		}
		if h.Epoch < last.Epoch ||
			h.Epoch == last.Epoch && bytes.Compare(last.Member, h.Member) >= 0 {
			return fmt.Errorf("heartbeat %d is not in ascending order", i)
		}
		last = h
		b := h.Heartbeat
		height, _ := b.Latest()
		if b.Due <= 0 || b.MachineHeight < 0 || b.PaperHeight < 0 ||
			(height != 0) != (b.BeaconHeight != 0) ||
			b.BeaconHeight < 0 || b.BeaconHeight > height {
			return fmt.Errorf("heartbeat %d: heights do not fit", i)
		}
		if b.Overdue && b.Missed == 0 {
			return fmt.Errorf("heartbeat %d is overdue, and none was missed", i)
		}
		if b.Paused > paused {
			return fmt.Errorf("heartbeat %d was put back by more than all pauses", i)
		}
	}
	members := 0
	for _, v := range gs.Vaults {
		if on && v.Vault.IsLive() {
			members += len(v.Vault.Members)
		}
		if v.Vault.RetiringPaused > paused {
			return errors.New("a vault began to retire after more than all pauses")
		}
	}
	if len(gs.Heartbeats) != members {
		return fmt.Errorf("%d heartbeats of %d members", len(gs.Heartbeats), members)
	}
	var before GenesisHeartbeatAttempts
	for i, a := range gs.HeartbeatAttempts {
		if err := g.checkLives(a.Epoch, a.Member, on); err != nil {
			return fmt.Errorf("heartbeat attempt %d: %w", i, err)
		}
		if a.Epoch < before.Epoch ||
			a.Epoch == before.Epoch && bytes.Compare(before.Member, a.Member) >= 0 {
			return fmt.Errorf("heartbeat attempt %d is not in ascending order", i)
		}
		before = a
		if a.Window.Start < 0 || a.Window.Count < 1 || a.Window.Count > MaxExemptHeartbeats {
			return fmt.Errorf("heartbeat attempt %d is not in 1 to %d", i, MaxExemptHeartbeats)
		}
	}
	return nil
}

// checkLives checks whether a member is due to send heartbeats in an epoch.
func (g genesisIndex) checkLives(epoch uint64, member []byte, on bool) error {
	v, ok := g.vaults[string(g.made[epoch])]
	if !ok || !v.IsLive() || v.Epoch != epoch || !on {
		return errors.New("it is of no vault that heartbeats are due of")
	}
	if _, ok := FindMember(v.Members, member); !ok {
		return errors.New("it is not a member's")
	}
	return nil
}

// checkBeacons checks the latest beacon and the one before.
func checkBeacons(gs GenesisState) error {
	if len(gs.Beacons) > 2 || len(gs.Beacons) != 0 && gs.Params.HeartbeatInterval == 0 {
		return errors.New("there are more than two beacons, or some though no heartbeat is due")
	}
	for i, b := range gs.Beacons {
		if b.Height <= 0 || b.Height%BeaconInterval != 0 || len(b.AppHash) == 0 ||
			len(b.AppHash) > HashSize {
			return fmt.Errorf("beacon %d is malformed", i)
		}
		if i > 0 && b.Height >= gs.Beacons[i-1].Height {
			return fmt.Errorf("beacon %d is not before the one above it", i)
		}
	}
	return nil
}

func checkPause(gs GenesisState) error {
	p := gs.Pause
	if p.Since < 0 || p.Since == 0 && p.Until != 0 || p.Since != 0 && p.Until <= p.Since ||
		p.Until-p.Since > maxBlocks || p.Total > 1<<62 {
		return errors.New("pause: heights are out of order, or it is longer than any may be")
	}
	return nil
}
