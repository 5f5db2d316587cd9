package types

// Blocks is for how many blocks the module was paused before this height.
func (p Pause) Blocks(height int64) uint64 {
	if p.Since == 0 {
		return p.Total
	}
	return p.Total + uint64(height-p.Since)
}

// Latest is the block of the latest heartbeat and its kind, 0 and unspecified when there was none.
func (h Heartbeat) Latest() (height int64, kind HeartbeatKind) {
	switch {
	case h.PaperHeight > h.MachineHeight:
		return h.PaperHeight, HeartbeatKind_HEARTBEAT_KIND_PAPER
	case h.MachineHeight > 0:
		return h.MachineHeight, HeartbeatKind_HEARTBEAT_KIND_MACHINE
	}
	return 0, HeartbeatKind_HEARTBEAT_KIND_UNSPECIFIED
}
