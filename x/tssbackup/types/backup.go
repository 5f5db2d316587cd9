package types

// Commitments are those to a member's envelopes, in the order in which a restore tries them: the
// latest, then the first. There is one when the member has published once.
func (b Backup) Commitments() []Commitment {
	if b.Latest == nil {
		return []Commitment{b.First}
	}
	return []Commitment{*b.Latest, b.First}
}

// With is the backup after another publication.
func (b Backup) With(c Commitment) Backup {
	return Backup{First: b.First, Latest: &c}
}
