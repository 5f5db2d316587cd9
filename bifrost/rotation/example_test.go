package rotation_test

import (
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/rotation"
)

// Members of a keygen agree on who signs in which window, because they compute the same.
func Example() {
	const members, threshold, keygen = 4, 3, 7
	fmt.Println(rotation.Windows(members, threshold), "sets;",
		len(rotation.Signers(members, threshold, keygen, 0)), "members sign first")
	// Output: 4 sets; 3 members sign first
}
