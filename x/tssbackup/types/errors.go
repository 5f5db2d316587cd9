package types

import (
	"cosmossdk.io/errors"
)

// The module's errors. The codes are part of the interface: they never change, and a code that is
// given up is not used again.
var (
	ErrInvalidParams    = errors.Register(ModuleName, 2, "invalid parameters")
	ErrInvalidGenesis   = errors.Register(ModuleName, 3, "invalid genesis state")
	ErrInvalidSigner    = errors.Register(ModuleName, 4, "invalid signer")
	ErrSignerTaken      = errors.Register(ModuleName, 5, "signer belongs to another validator")
	ErrSignerPresent    = errors.Register(ModuleName, 6, "signer is registered already")
	ErrInvalidOperator  = errors.Register(ModuleName, 7, "operator is not a validator")
	ErrKeygenNotFound   = errors.Register(ModuleName, 8, "keygen not found")
	ErrKeygenClosed     = errors.Register(ModuleName, 9, "keygen is closed")
	ErrNotMember        = errors.Register(ModuleName, 10, "not a member")
	ErrAlreadyVoted     = errors.Register(ModuleName, 11, "member has voted already")
	ErrInvalidResult    = errors.Register(ModuleName, 12, "invalid keygen result")
	ErrVaultExists      = errors.Register(ModuleName, 13, "vault exists already")
	ErrEnvelopeForm     = errors.Register(ModuleName, 14, "invalid envelope")
	ErrNotAsked         = errors.Register(ModuleName, 15, "member is not asked to publish")
	ErrEnvelopeMissing  = errors.Register(ModuleName, 16, "envelope is missing")
	ErrInvalidSignature = errors.Register(ModuleName, 17, "invalid signature")
	ErrInvalidBlame     = errors.Register(ModuleName, 18, "invalid blame")
	ErrInvalidVault     = errors.Register(ModuleName, 19, "invalid vault name")
	ErrVaultNotFound    = errors.Register(ModuleName, 20, "vault not found")
	ErrVaultNotLive     = errors.Register(ModuleName, 21, "vault is retired")
	ErrVaultNotRetiring = errors.Register(ModuleName, 22, "vault is not retiring")
	ErrBackupPresent    = errors.Register(ModuleName, 23, "backup is there already")
	ErrTooManyAttempts  = errors.Register(ModuleName, 24, "too many exempt attempts")
	ErrChurnOpen        = errors.Register(ModuleName, 25, "a churn is open")
	ErrInvalidAuthority = errors.Register(ModuleName, 26, "not the authority")
	ErrNotArchived      = errors.Register(ModuleName, 27, "envelope is not in this node's archive")
	ErrArchiveDamaged   = errors.Register(
		ModuleName,
		28,
		"envelope in this node's archive is damaged",
	)
	ErrInvalidRecipient = errors.Register(ModuleName, 29, "invalid recipient key")
	ErrRecipientTaken   = errors.Register(ModuleName, 30, "recipient key belongs to another signer")
	ErrInvalidShares    = errors.Register(ModuleName, 31, "invalid public shares")
	ErrProofMissing     = errors.Register(ModuleName, 32, "proof is missing")
	ErrInvalidProof     = errors.Register(ModuleName, 33, "invalid proof")
	ErrProofPresent     = errors.Register(ModuleName, 34, "proof is there already")
	ErrInvalidJoin      = errors.Register(ModuleName, 35, "invalid join")
	ErrJoinClosed       = errors.Register(ModuleName, 36, "too late to join")

	ErrInvalidCertificate = errors.Register(ModuleName, 37, "invalid certificate")
	ErrNoCertificate      = errors.Register(ModuleName, 38, "keygen has no certificate")
	ErrCertified          = errors.Register(ModuleName, 39, "keygen has a certificate")
	ErrBlameEarly         = errors.Register(ModuleName, 40, "too early to vote for a failure")
	ErrCheckPresent       = errors.Register(ModuleName, 41, "vault has signed already")
	ErrSitsOut            = errors.Register(ModuleName, 42, "validator sits out")
	ErrTooFewMembers      = errors.Register(ModuleName, 43, "too few members")
	ErrInvalidGroup       = errors.Register(ModuleName, 44, "invalid group part")
	ErrGroupUnknown       = errors.Register(ModuleName, 45, "group part is not in state")
	ErrOtherTerm          = errors.Register(ModuleName, 46, "another term of the signer holds")
	ErrInvalidClaim       = errors.Register(ModuleName, 47, "invalid claim")
	ErrInvalidHeartbeat   = errors.Register(ModuleName, 48, "invalid heartbeat")
	ErrPaused             = errors.Register(ModuleName, 49, "module is paused")
	ErrNotPaused          = errors.Register(ModuleName, 50, "module is not paused")
	ErrCannotReshare      = errors.Register(ModuleName, 51, "vault cannot be reshared")
	ErrResharing          = errors.Register(ModuleName, 52, "vault is being reshared")
	ErrOtherEpoch         = errors.Register(ModuleName, 53, "vault is in another epoch")

	ErrInvalidEnvelopes = errors.Register(ModuleName, 54, "invalid list of envelopes")
	ErrEnvelopesUnknown = errors.Register(ModuleName, 55, "list of envelopes is not in state")
	ErrHeldByMembers    = errors.Register(ModuleName, 56, "members hold the envelope")
	ErrInvalidReceipts  = errors.Register(ModuleName, 57, "invalid receipts")
)
