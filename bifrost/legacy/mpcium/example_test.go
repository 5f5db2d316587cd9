package mpcium

import (
	"fmt"
	"os"
	"time"
)

// A node's folder of backups gives the state of its store, or says what is missing.
func Example() {
	raw, err := os.ReadFile("testdata/small/good/key.txt")
	if err != nil {
		panic(err)
	}
	key, err := NewKey(raw)
	if err != nil {
		panic(err)
	}
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	backup, err := Read(os.DirFS("testdata/small/good/backups"), key, "node0", now)
	if err != nil {
		panic(err)
	}
	defer backup.Wipe()
	fmt.Println(backup.Node, "at version", backup.Version, backup.Confirmed, len(backup.Missing))
	// Output: node0 at version 13 true 0
}
