package ceremony_test

import (
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

// A ceremony that failed by somebody says by whom.
func ExampleBlameError() {
	err := fmt.Errorf("keygen 7: %w", &ceremony.BlameError{
		Members: [][]byte{{0x02, 0xab}}, Reason: "did not send its shares",
	})
	var blame *ceremony.BlameError
	if errors.As(err, &blame) {
		fmt.Println(len(blame.Members), "to blame:", blame.Reason)
	}
	fmt.Println(err)
	// Output:
	// 1 to blame: did not send its shares
	// keygen 7: did not send its shares (to blame: 02ab)
}
