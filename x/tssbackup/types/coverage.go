package types

// MemberRecords are what state holds about a member of a vault, and the names under which queries
// show it.
type MemberRecords struct {
	Member Member
	// Backup is nil when the member has published none.
	Backup *Backup
	// Proof is empty when state keeps nothing of one.
	Proof Proof
	// Heartbeat is nil when state knows of none that was due or came.
	Heartbeat *Heartbeat

	Address, Operator string
}

// Coverage counts who of a vault has published, and who has proven beside, against what the vault
// needs. members are in the order of the vault's record; pubKey is its compressed secp256k1 key. It
// is the one place that counts: for the chain's queries, and for whoever reads verified records.
func Coverage(pubKey []byte, vault Vault, members []MemberRecords) VaultCoverage {
	c := VaultCoverage{
		Vault:     VaultName(pubKey),
		Status:    vault.Status,
		Members:   uint32(len(members)),
		Threshold: vault.Threshold,
		Needed:    vault.Needed,
		Epoch:     vault.Epoch,
		Epochs:    uint32(len(vault.Former)) + 1,
		Margin:    vault.Margin(),
		Former:    vault.Former,
		Placement: vault.Placement,
	}
	for _, m := range members {
		member := m.Coverage()
		if member.Asked {
			c.Asked++
		}
		switch {
		case len(member.Commitments) > 0:
			c.Published++
		case member.Asked:
			c.Missing = append(c.Missing, member.Address)
		}
		if member.Proven {
			c.Proven++
		}
		c.List = append(c.List, member)
	}
	c.Recoverable = Suffices(c.Published, c.Threshold)
	c.ProvenRecoverable = Suffices(c.Proven, c.Threshold)
	return c
}

// Coverage is what the member has published, and whether it has proven beside. A proof without an
// envelope shows that the vault's keys could be rebuilt; a member is proven when its keyshares come
// back too.
func (m MemberRecords) Coverage() MemberCoverage {
	c := MemberCoverage{
		Address: m.Address, Operator: m.Operator, Asked: m.Member.Asked, Heartbeat: m.Heartbeat,
	}
	if m.Backup == nil {
		return c
	}
	for _, commitment := range m.Backup.Commitments() {
		c.Commitments = append(c.Commitments, commitment.Info())
	}
	c.Proven = m.Proof.IsProven()
	return c
}

// Suffices reports whether so many members reach a vault's threshold. None reach one of 0, which
// only a record in another form names.
func Suffices(members, threshold uint32) bool {
	return threshold > 0 && members >= threshold
}
