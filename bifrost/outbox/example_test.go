package outbox_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
)

// The files of an outbox, for whoever looks into the folder.
func Example() {
	fmt.Println(outbox.VoteName(7), outbox.CheckName(7), outbox.BackupName(7))
	fmt.Println(outbox.Vote.IsKept(), outbox.Join.IsKept())
	// Output:
	// keygen-7.json check-7.json backup-7.json
	// true false
}
