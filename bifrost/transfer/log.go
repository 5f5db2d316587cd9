package transfer

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// An Act is what a home does for an export.
type Act string

// The acts.
const (
	ActApprove Act = "approve"
	ActExport  Act = "export"
	ActImport  Act = "import"
)

// An Entry is one line of the audit log of a home. It has nothing secret.
type Entry struct {
	// Time is that of the home's clock, Height that of the records by which it was decided.
	Time   time.Time `json:"time"`
	Act    Act       `json:"act"`
	Height int64     `json:"height"`
	Subject
	// Expiry is the last block in which the approvals count, and Approvers are whose they are.
	Expiry    int64    `json:"expiry"`
	Approvers []string `json:"approvers"`
	// SHA256, in hex, is that of the file that was made or opened.
	SHA256 string `json:"sha256,omitempty"`
	// Refused says why it was not done.
	Refused string `json:"refused,omitempty"`
}

// Log appends the entry to an audit log and flushes it. It is called before the act: an act without
// a line there is none, and a line may be of one that the disk then failed.
func (e Entry) Log(path string) error {
	line, err := json.Marshal(e)
	if err == nil {
		err = durable.Append(path, append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("the log of exports: %w", err)
	}
	return nil
}
