// Package types holds what the tssbackup module and its clients share: the generated messages, the
// layout of the store, errors, and the checks that need no state.
//
// A client that verifies Merkle proofs builds the raw store keys with the *Key functions and
// decodes the values as the protobuf messages named there. No value in the store is ever empty, so
// every record, and every record's absence, can be verified.
package types

import (
	"bytes"
	"encoding/binary"
	"slices"

	"cosmossdk.io/collections"
)

const (
	// ModuleName is the module's name.
	ModuleName = "tssbackup"
	// StoreKey is the name of the module's store.
	StoreKey = ModuleName
)

// Prefixes of the module's store. They never change their meaning.
var (
	ParamsPrefix          = collections.NewPrefix(0)
	SignersPrefix         = collections.NewPrefix(1)
	SignerOwnersPrefix    = collections.NewPrefix(2)
	SitOutsPrefix         = collections.NewPrefix(3)
	ChurnsPrefix          = collections.NewPrefix(4)
	KeygensPrefix         = collections.NewPrefix(5)
	VotesPrefix           = collections.NewPrefix(6)
	AttemptsPrefix        = collections.NewPrefix(7)
	VaultsPrefix          = collections.NewPrefix(8)
	BackupsPrefix         = collections.NewPrefix(9)
	LiveVaultsPrefix      = collections.NewPrefix(10)
	OpenChurnPrefix       = collections.NewPrefix(11)
	NextChurnHeightPrefix = collections.NewPrefix(12)
	ChurnSequencePrefix   = collections.NewPrefix(13)
	KeygenSequencePrefix  = collections.NewPrefix(14)
	RecipientOwnersPrefix = collections.NewPrefix(15)
	PublicSharesPrefix    = collections.NewPrefix(16)
	ProofsPrefix          = collections.NewPrefix(17)
	ProofExpiriesPrefix   = collections.NewPrefix(18)
	KeygensOfPrefix       = collections.NewPrefix(19)
	MembershipsPrefix     = collections.NewPrefix(20)
	RetirementsPrefix     = collections.NewPrefix(21)
	ChurnExpiriesPrefix   = collections.NewPrefix(22)
	JoinsPrefix           = collections.NewPrefix(23)
	SessionsPrefix        = collections.NewPrefix(24)
	JoinAttemptsPrefix    = collections.NewPrefix(25)
	CertificatesPrefix    = collections.NewPrefix(26)
	StagedPrefix          = collections.NewPrefix(27)
	GroupsPrefix          = collections.NewPrefix(28)
	GroupParametersPrefix = collections.NewPrefix(29)
	SignerTermsPrefix     = collections.NewPrefix(30)
	ClaimsPrefix          = collections.NewPrefix(31)

	HeartbeatsPrefix        = collections.NewPrefix(32)
	HeartbeatsDuePrefix     = collections.NewPrefix(33)
	HeartbeatAttemptsPrefix = collections.NewPrefix(34)
	BeaconsPrefix           = collections.NewPrefix(35)
	PausePrefix             = collections.NewPrefix(36)
)

// EpochMemberKeyCodec encodes the (epoch, member) of a vote, an attempt, a backup or a proof: the
// epoch in 8 bytes, big-endian, then the member's address. The (epoch, hash) of public shares and
// of a group part is encoded in the same way. An epoch is the number of the keygen that gave the
// members their keyshares.
var EpochMemberKeyCodec = collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)

// StatusKeyCodec encodes the (status, number) of a keygen: in 4 and in 8 bytes, big-endian.
var StatusKeyCodec = collections.PairKeyCodec(collections.Uint32Key, collections.Uint64Key)

// MemberEpochKeyCodec encodes the (member, epoch) of a membership: the length of the member's
// address in one byte, the address, and the epoch in 8 bytes, big-endian.
var MemberEpochKeyCodec = collections.PairKeyCodec(collections.BytesKey, collections.Uint64Key)

// HeightKeyCodec encodes the (height, number) of what happens at a height to an epoch or a churn:
// both in 8 bytes, big-endian.
var HeightKeyCodec = collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)

// DueKeyCodec encodes the (height, epoch, member) of a heartbeat that is due: height and epoch in 8
// bytes each, big-endian, then the member's address.
var DueKeyCodec = collections.TripleKeyCodec(
	collections.Uint64Key, collections.Uint64Key, collections.BytesKey)

// LiveVaultsKey is the raw store key of the LiveVaults item, which names every vault that is not
// retired. It is absent until the first vault is active.
func LiveVaultsKey() []byte {
	return bytes.Clone(LiveVaultsPrefix.Bytes())
}

// ParamsKey is the raw store key of the Params item.
func ParamsKey() []byte {
	return bytes.Clone(ParamsPrefix.Bytes())
}

// VaultKey is the raw store key of the Vault record with this compressed secp256k1 key.
func VaultKey(vault []byte) []byte {
	return slices.Concat(VaultsPrefix.Bytes(), vault)
}

// BackupKey is the raw store key of the Backup record of a member, by its raw account address, in
// an epoch of a vault.
func BackupKey(epoch uint64, member []byte) []byte {
	return epochKey(BackupsPrefix, epoch, member)
}

// ChurnSequenceKey is the raw store key of the next churn's number, in 8 bytes, big-endian. It is
// absent until the first churn.
func ChurnSequenceKey() []byte {
	return bytes.Clone(ChurnSequencePrefix.Bytes())
}

// ChurnKey is the raw store key of the Churn record with this number.
func ChurnKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(ChurnsPrefix.Bytes()), id)
}

// SessionKey is the raw store key of the Session record of a keygen.
func SessionKey(keygen uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(SessionsPrefix.Bytes()), keygen)
}

// CertificateKey is the raw store key of the Certificate record of a keygen.
func CertificateKey(keygen uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(CertificatesPrefix.Bytes()), keygen)
}

// JoinKey is the raw store key of the Join record of a member, by its raw account address, to a
// keygen.
func JoinKey(keygen uint64, member []byte) []byte {
	return epochKey(JoinsPrefix, keygen, member)
}

// VoteKey is the raw store key of the Vote record of a member, by its raw account address, on a
// keygen.
func VoteKey(keygen uint64, member []byte) []byte {
	return epochKey(VotesPrefix, keygen, member)
}

// SitOutKey is the raw store key of the SitOut record of an operator, by its raw operator address.
func SitOutKey(operator []byte) []byte {
	return slices.Concat(SitOutsPrefix.Bytes(), operator)
}

// KeygenKey is the raw store key of the Keygen record with this number.
func KeygenKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(KeygensPrefix.Bytes()), id)
}

// SignerKey is the raw store key of the Signer record of an operator, by its raw operator address.
func SignerKey(operator []byte) []byte {
	return slices.Concat(SignersPrefix.Bytes(), operator)
}

// SignerOwnerKey is the raw store key of the SignerOwner record of a signer, by its raw account
// address.
func SignerOwnerKey(address []byte) []byte {
	return slices.Concat(SignerOwnersPrefix.Bytes(), address)
}

// SignerTermKey is the raw store key of the SignerTerm record of a signer, by its raw account
// address. It is absent before the signer's first claim.
func SignerTermKey(address []byte) []byte {
	return slices.Concat(SignerTermsPrefix.Bytes(), address)
}

// PublicSharesKey is the raw store key of the PublicShares record of an epoch with this hash, which
// the vault's record names.
func PublicSharesKey(epoch uint64, hash []byte) []byte {
	return epochKey(PublicSharesPrefix, epoch, hash)
}

// GroupKey is the raw store key of the Group record of an epoch with this hash, which the record of
// a split vault names.
func GroupKey(epoch uint64, hash []byte) []byte {
	return epochKey(GroupsPrefix, epoch, hash)
}

// GroupParametersKey is the raw store key of the parameters in the group part of an epoch with this
// hash. The value is those of all members, one after the other, as sanity.AssembleGroup takes them.
func GroupParametersKey(epoch uint64, hash []byte) []byte {
	return epochKey(GroupParametersPrefix, epoch, hash)
}

// ProofKey is the raw store key of the Proof record of a member, by its raw account address, in an
// epoch of a vault.
func ProofKey(epoch uint64, member []byte) []byte {
	return epochKey(ProofsPrefix, epoch, member)
}

// HeartbeatKey is the raw store key of the Heartbeat record of a member, by its raw account
// address, in an epoch of a vault.
func HeartbeatKey(epoch uint64, member []byte) []byte {
	return epochKey(HeartbeatsPrefix, epoch, member)
}

// BeaconsKey is the raw store key of the Beacons item. It is absent until there is one.
func BeaconsKey() []byte {
	return bytes.Clone(BeaconsPrefix.Bytes())
}

func epochKey(prefix collections.Prefix, epoch uint64, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint64(bytes.Clone(prefix.Bytes()), epoch), rest...)
}
