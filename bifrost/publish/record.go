package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A Step is how far a record is. The package comment lists them.
type Step string

// The steps, in their order.
const (
	StepNone    Step = ""
	StepResult  Step = "result"
	StepSaved   Step = "saved"
	StepSigned  Step = "signed"
	StepProven  Step = "proven"
	StepMessage Step = "message"
	StepTx      Step = "tx"
	StepDone    Step = "done"
)

const recordVersion = 1

// record is what the outbox keeps of a vote or of a later publication. It is
// written whole at every step.
type record struct {
	Version int    `json:"version"`
	ChainID string `json:"chain_id"`
	Signer  string `json:"signer"`
	Step    Step   `json:"step"`

	// Of a vote.
	KeygenID     uint64 `json:"keygen_id,omitempty"`
	OpenedHeight int64  `json:"opened_height,omitempty"`
	Deadline     int64  `json:"deadline,omitempty"`

	// The result. Vault is set in a later publication too.
	Vault         string `json:"vault,omitempty"`
	PubKeyEd25519 string `json:"pub_key_ed25519,omitempty"`
	// Keyshares hold the files from the keygen until they are in their store.
	Keyshares        []envelope.File `json:"keyshares,omitempty"`
	Signature        []byte          `json:"signature,omitempty"`
	SignatureEd25519 []byte          `json:"signature_ed25519,omitempty"`

	// Proof is the proof of the member's shares, and ProofContext the hash of what it
	// says. It is kept after the record is closed: the same bytes are sent for ever.
	Proof        []byte `json:"proof,omitempty"`
	ProofContext []byte `json:"proof_context,omitempty"`
	// SharesHash names the public shares of the result in hex.
	SharesHash string `json:"shares_hash,omitempty"`

	// Message is the encoded MsgTssPool or MsgPublishBackup; it never changes.
	Message []byte `json:"message,omitempty"`
	Blame   bool   `json:"blame,omitempty"`
	// EnvelopeSHA256 is the commitment in hex, empty without an envelope.
	EnvelopeSHA256 string `json:"envelope_sha256,omitempty"`

	// Tx is the message signed for Sequence.
	Tx            []byte `json:"tx,omitempty"`
	Sequence      uint64 `json:"sequence,omitempty"`
	TimeoutHeight uint64 `json:"timeout_height,omitempty"`

	// Members is how many members the vault of a later publication has.
	Members int `json:"members,omitempty"`

	// Outcome tells how a closed record ended.
	Outcome string `json:"outcome,omitempty"`
}

// isVote tells a vote from a later publication.
func (r *record) isVote() bool { return r.KeygenID != 0 }

func (r *record) name() string {
	if r.isVote() {
		return voteName(r.KeygenID)
	}
	return backupName(r.Vault)
}

// sameKeygen errs when the record is of another keygen with the same number: of a
// chain that was started again under its old name.
func (r *record) sameKeygen(k types.KeygenInfo) error {
	if r.OpenedHeight == k.OpenedHeight && r.Deadline == k.Deadline {
		return nil
	}
	return fmt.Errorf("the outbox holds keygen %d as opened in block %d, the chain in block %d: it is another chain of the same name", k.Id, r.OpenedHeight, k.OpenedHeight)
}

func voteName(keygenID uint64) string { return fmt.Sprintf("keygen-%d.json", keygenID) }
func backupName(vault string) string  { return "vault-" + vault + ".json" }

// final tells whether the message is fixed.
func (r *record) final() bool {
	switch r.Step {
	case StepMessage, StepTx, StepDone:
		return true
	}
	return false
}

// outbox is the folder of records.
type outbox struct{ dir string }

func (o outbox) path(name string) string       { return filepath.Join(o.dir, name) }
func (o outbox) closedPath(name string) string { return filepath.Join(o.dir, "closed", name) }

func (o outbox) save(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.Replace(o.path(r.name()), data)
}

// close moves a record among the closed ones. A crash in between leaves both,
// and the next close finishes it.
func (o outbox) close(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := durable.Replace(o.closedPath(r.name()), data); err != nil {
		return err
	}
	return durable.Remove(o.path(r.name()))
}

// load returns all records that are not closed.
func (o outbox) load() ([]*record, error) {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []*record
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		r, err := readRecord(o.path(e.Name()))
		if err != nil {
			return nil, err
		}
		if r.name() != e.Name() {
			return nil, fmt.Errorf("%s holds the record %s", o.path(e.Name()), r.name())
		}
		records = append(records, r)
	}
	return records, nil
}

// closed returns a closed record, nil when there is none.
func (o outbox) closed(name string) (*record, error) {
	r, err := readRecord(o.closedPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

func readRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		// The JSON error may quote the contents.
		return nil, fmt.Errorf("%s is not a record of the outbox", path)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%s has version %d, this bifrost knows %d", path, r.Version, recordVersion)
	}
	return &r, nil
}
