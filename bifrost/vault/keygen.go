package vault

import (
	"bytes"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Keygen is a keygen with its votes.
type Keygen struct {
	// Keygen is the record. Its members are in ascending order of their keys; of a keygen whose
	// vault is active they are the vault's.
	types.Keygen
	// OpenedHeight is the block that opened it, and Deadline the last one in which a vote counts.
	OpenedHeight, Deadline int64
	// Recipients are the keys to which the members prove, in their order.
	Recipients []types.Recipient
	// Votes are gone once the keygen's vault is active.
	Votes []Vote
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
		Threshold: k.Threshold, Needed: k.Needed, Members: k.Members,
	}}
}
