package vault

import (
	"bytes"
	"slices"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Keygen is a keygen with its votes.
type Keygen struct {
	// Keygen is the record. Its members are in ascending order of their keys; of a keygen whose
	// vault is active they are the vault's.
	types.Keygen
	// OpenedHeight is the block that opened it, and Deadline the last one in which a vote counts.
	OpenedHeight, Deadline int64
	// JoinDeadline is the last block in which an attempt at it can begin, AttemptDeadline the last
	// one in which a member sends a certificate that it has just obtained, and CertificateDeadline
	// the last one in which the first can come to stand.
	JoinDeadline, AttemptDeadline, CertificateDeadline int64
	// Certificate shows which result its members have, nil while none stands, and once the keygen's
	// vault is active.
	Certificate *Certificate
	// Session is the latest attempt at it, nil while none has begun. Its members are in the
	// keygen's order.
	Session *Session
	// Joins are those of members that wait for the next attempt, and in a reshare of others who may
	// deal.
	Joins []Join
	// Able are, in a reshare, the raw account addresses of those who may deal, and Deal is how many
	// of them do in an attempt.
	Able [][]byte
	Deal int
	// Recipients are the keys to which the members prove, in their order.
	Recipients []types.Recipient
	// Votes are gone once the keygen's vault is active.
	Votes []Vote
	// AsOf is the block after which it was so, 0 where it is one of a list. It may be behind the
	// chain's height, which another node may have told.
	AsOf int64
}

// Certificate shows that all members of a keygen have its result.
type Certificate struct {
	types.Result
	// Envelopes are those that the members hold, of the asked ones in the order of the keygen's
	// members; none where the envelopes are in the votes.
	Envelopes []types.Commitment
	// Attempt is the number of the session that ended with it.
	Attempt uint64
	// Height is the block in which it came to stand.
	Height int64
	// Checked means that the vault has shown that it can sign.
	Checked bool
}

// Session is an attempt at a keygen.
type Session struct {
	// ID is 32 bytes.
	ID      []byte
	Attempt uint64
	// Height is the block in which it began.
	Height  int64
	Members []Join
	// Dealers are the joins of those who deal in a reshare, in ascending order of their keys. One
	// that is a member too has the same join among the members'.
	Dealers []Join
}

// Join is a member's join to an attempt at a keygen.
type Join struct {
	// Member is the member's raw account address.
	Member []byte
	// Nonce and Key are of the member's choice, 16 and 33 bytes.
	Nonce, Key []byte
	// Height is the block of the join.
	Height int64
}

// Of finds the join of who takes part with this raw account address, as a member or a dealer. No
// session has any.
func (s *Session) Of(address []byte) (Join, bool) {
	if s == nil {
		return Join{}, false
	}
	if j, ok := joinOf(s.Members, address); ok {
		return j, true
	}
	return joinOf(s.Dealers, address)
}

// MayDeal reports whether who has this raw account address may deal in a reshare.
func (k Keygen) MayDeal(address []byte) bool {
	return slices.ContainsFunc(k.Able, func(a []byte) bool { return bytes.Equal(a, address) })
}

// Waits finds the join of the member, or of who may deal, with this raw account address, when it
// waits for the next attempt.
func (k Keygen) Waits(address []byte) (Join, bool) { return joinOf(k.Joins, address) }

// Keys are the session keys of all who take part: the members', and those of the dealers that are
// none.
func (s *Session) Keys() (keys [][]byte) {
	for _, j := range s.Members {
		keys = append(keys, j.Key)
	}
	for _, d := range s.Dealers {
		if _, isMember := joinOf(s.Members, d.Member); !isMember {
			keys = append(keys, d.Key)
		}
	}
	return keys
}

func joinOf(joins []Join, address []byte) (Join, bool) {
	for _, j := range joins {
		if bytes.Equal(j.Member, address) {
			return j, true
		}
	}
	return Join{}, false
}

// Vote is a member's vote on a keygen.
type Vote struct {
	// Member is the member's raw account address.
	Member []byte
	types.Vote
	// Proven means that the vote carried a proof, which holds.
	Proven bool
}

// Member finds the member with this raw account address, and the key to which it proves.
func (k Keygen) Member(address []byte) (m types.Member, recipient types.Recipient, ok bool) {
	for i, m := range k.Members {
		if bytes.Equal(m.Address(), address) {
			return m, k.Recipients[i], true
		}
	}
	return types.Member{}, types.Recipient{}, false
}

// VoteOf is the vote of the member with this raw account address, nil while it has cast none.
func (k Keygen) VoteOf(address []byte) *Vote {
	for i := range k.Votes {
		if bytes.Equal(k.Votes[i].Member, address) {
			return &k.Votes[i]
		}
	}
	return nil
}

// Makes is the vault that the keygen makes when it ends with these keys, and the epoch with it.
func (k Keygen) Makes(pubKey, pubKeyEd25519 []byte) Vault {
	return Vault{PubKey: pubKey, Vault: types.Vault{
		PubKeyEd25519: pubKeyEd25519, Epoch: k.Id, ChurnId: k.ChurnId,
		Threshold: k.Threshold, Needed: k.Needed, Members: k.Members, Split: k.Split,
		Placement: k.Placement,
	}}
}
