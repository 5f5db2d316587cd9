// Package vault is what bifrost knows of a vault: its keys, its epoch and its members. All of it is
// raw bytes, decoded once, in package chain, whether a light client verified it or a node merely
// said so. It becomes text where people read it. It knows nothing secret: package keyfiles knows
// which files are a member's keyshares of a vault.
package vault

import "github.com/tssbackup/tssbackup/x/tssbackup/types"

// Vault is a vault in its present epoch: the chain's record of it and its name. Of a vault that a
// keygen has just made, the record has its keys, its epoch and its members.
type Vault struct {
	// PubKey is the compressed secp256k1 key, 33 bytes. It names the vault.
	PubKey []byte
	// Vault is the record. Its members are in ascending order of their keys.
	types.Vault
}

// Name is the vault's name as people read it: its secp256k1 key in lower-case hex.
func (v Vault) Name() string { return types.VaultName(v.PubKey) }

// MemberKeys are the members' compressed public keys.
func (v Vault) MemberKeys() [][]byte { return MemberKeys(v.Members) }

// Member finds the member with this raw account address.
func (v Vault) Member(address []byte) (types.Member, bool) {
	return types.FindMember(v.Members, address)
}

// MemberKeys are the compressed public keys of members.
func MemberKeys(members []types.Member) [][]byte {
	keys := make([][]byte, len(members))
	for i, m := range members {
		keys[i] = m.PubKey
	}
	return keys
}
