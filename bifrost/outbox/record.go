package outbox

import (
	"encoding/hex"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
)

// A Step is how far a record is.
type Step string

// The steps of a vote, in their order. A later publication has those from StepProven on.
const (
	// StepNone is that of a record without a result: it was never saved, or says whom an attempt
	// failed by.
	StepNone Step = ""
	// StepResult: the vault's keys and the keyshares are in the record. Another attempt at the
	// keygen may replace them.
	StepResult Step = "result"
	// StepCertified: all members have this result.
	StepCertified Step = "certified"
	// StepSaved: the keyshares are in their store.
	StepSaved Step = "saved"
	// StepProven: so is the proof of the keyshares.
	StepProven Step = "proven"
	// StepMessage: the message is final.
	StepMessage Step = "message"
	// StepTx: it is signed for a sequence of the account.
	StepTx Step = "tx"
	// StepDone: it stands in state.
	StepDone Step = "done"
)

// A Kind is what a record is of.
type Kind string

// The kinds.
const (
	// Vote is a member's vote on a keygen, a result or a blame.
	Vote Kind = "vote"
	// Backup is a later publication, of an epoch that lives.
	Backup Kind = "backup"
	// Join is a join to an attempt at a keygen. It is good for the process alone that holds its
	// secret, so that no outbox keeps it.
	Join Kind = "join"
	// Check is the signatures of a new vault. No outbox keeps them either: they can be made again.
	Check Kind = "check"
	// Deal is the part of who deals in a reshare and is no member of the next epoch: it votes on
	// nothing and gets nothing that is to be kept.
	Deal Kind = "deal"
	// Heartbeat is a heartbeat, after a drill. None is kept: another drill makes another one.
	Heartbeat Kind = "heartbeat"
)

// IsKept reports whether an outbox keeps what is of the kind.
func (k Kind) IsKept() bool { return k == Vote || k == Backup }

const (
	version = 2
	// plainVersion is that of records whose keyshares are in plaintext.
	plainVersion = 1
)

// A Record is what the outbox keeps of a vote or of a later publication. It is written whole at
// every step.
type Record struct {
	Version int    `json:"version"`
	ChainID string `json:"chain_id"`
	Signer  string `json:"signer"`
	Kind    Kind   `json:"kind"`
	// Epoch is the id of the keygen, by which the epoch is named that it makes.
	Epoch uint64 `json:"epoch"`
	Step  Step   `json:"step"`

	// OpenedHeight and Deadline tell the keygen of a vote from one with the same id, on a chain
	// that was started again under its old name.
	OpenedHeight int64 `json:"opened_height,omitempty"`
	Deadline     int64 `json:"deadline,omitempty"`
	// Reshare says that the keygen is a reshare: its files have the same names in every attempt.
	Reshare bool `json:"reshare,omitempty"`

	// Vault and PubKeyEd25519 are the vault's two keys in hex: of a vote, its result.
	Vault         string `json:"vault,omitempty"`
	PubKeyEd25519 string `json:"pub_key_ed25519,omitempty"`
	// Keyshares hold the files from the keygen until they are in their store. On the disk they are
	// in Sealed, which is empty otherwise.
	Keyshares []envelope.File `json:"keyshares,omitempty"`
	Sealed    []byte          `json:"sealed_keyshares,omitempty"`
	// FailedBy are the addresses of those whom the last attempt failed by, and FailedReason says
	// why. There are none when that is not known, and none once a later attempt made a result.
	FailedBy     []string `json:"failed_by,omitempty"`
	FailedReason string   `json:"failed_reason,omitempty"`
	// Certificate shows that all members have the result, as a vote carries it. It is empty when
	// the chain had it first.
	Certificate []byte `json:"certificate,omitempty"`

	// Proof is the proof of the member's shares, and ProofContext the hash of what it says. It is
	// kept after the record is closed: the same bytes are sent for ever.
	Proof        []byte `json:"proof,omitempty"`
	ProofContext []byte `json:"proof_context,omitempty"`
	// SharesHash names the public shares of the result in hex.
	SharesHash string `json:"shares_hash,omitempty"`

	// Envelopes are those that the members hold for each other with the result, as a vote lists
	// them; there are none where the vote carries an envelope.
	Envelopes []byte `json:"envelopes,omitempty"`
	// Message is the encoded MsgTssPool or MsgPublishBackup, without a term; it never changes.
	Message []byte `json:"message,omitempty"`
	Blame   bool   `json:"blame,omitempty"`
	// EnvelopeSHA256 is the commitment in hex, empty without an envelope.
	EnvelopeSHA256 string `json:"envelope_sha256,omitempty"`

	// Tx is the message signed for Sequence, in Term.
	Tx            []byte `json:"tx,omitempty"`
	Sequence      uint64 `json:"sequence,omitempty"`
	Term          uint64 `json:"term,omitempty"`
	TimeoutHeight uint64 `json:"timeout_height,omitempty"`

	// Members is how many members the vault of a later publication or of a heartbeat has, or the
	// keygen of a join or of a check.
	Members int `json:"members,omitempty"`

	// Outcome tells how a closed record ended.
	Outcome string `json:"outcome,omitempty"`
}

// Keys are the vault's two keys, raw. It errs when they are not in hex.
func (r *Record) Keys() (pubKey, pubKeyEd25519 []byte, err error) {
	if pubKey, err = hex.DecodeString(r.Vault); err == nil {
		pubKeyEd25519, err = hex.DecodeString(r.PubKeyEd25519)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the vault's keys: %w", r.Name(), err)
	}
	return pubKey, pubKeyEd25519, nil
}

// Name is the name of the record's file.
func (r *Record) Name() string {
	switch r.Kind {
	case Vote:
		return VoteName(r.Epoch)
	case Join:
		return JoinName(r.Epoch)
	case Check:
		return CheckName(r.Epoch)
	case Deal:
		return DealName(r.Epoch)
	case Heartbeat:
		return HeartbeatName(r.Epoch)
	default:
		return BackupName(r.Epoch)
	}
}

// VoteName is the name of the record of the vote on a keygen.
func VoteName(keygenID uint64) string { return fmt.Sprintf("keygen-%d.json", keygenID) }

// JoinName is the name of the record of a join to an attempt at a keygen.
func JoinName(keygenID uint64) string { return fmt.Sprintf("join-%d.json", keygenID) }

// CheckName is the name of the record of the signatures of a keygen's vault.
func CheckName(keygenID uint64) string { return fmt.Sprintf("check-%d.json", keygenID) }

// DealName is the name of the record of who deals in a reshare and gets nothing.
func DealName(keygenID uint64) string { return fmt.Sprintf("deal-%d.json", keygenID) }

// HeartbeatName is the name of the record of a heartbeat in an epoch.
func HeartbeatName(epoch uint64) string { return fmt.Sprintf("heartbeat-%d.json", epoch) }

// BackupName is the name of the record of an epoch's later publication.
func BackupName(epoch uint64) string { return fmt.Sprintf("backup-%d.json", epoch) }

// Final reports whether the message is fixed.
func (r *Record) Final() bool {
	switch r.Step {
	case StepMessage, StepTx, StepDone:
		return true
	}
	return false
}
