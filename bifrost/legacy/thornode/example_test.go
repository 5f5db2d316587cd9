package thornode_test

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
)

// The backup of a vote, as the field keyshares_backup of the message holds it, opens with the
// mnemonic of the member that cast it.
func Example() {
	var published []struct {
		Mnemonic string
		Envelope []byte
	}
	data, err := os.ReadFile("testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(data, &published)
	}
	if err != nil {
		panic(err)
	}
	m, err := sanity.ParsePhrase([]byte(published[1].Mnemonic))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	files, err := thornode.Open(published[1].Envelope, m)
	if err != nil {
		panic(err)
	}
	fmt.Println(files[0].Name)
	// Output: localstate-cosmospub1zcjduepqn6v75t74z62junlhzyns20cdmgcdsjzlqyq0p5aax0kv8y8zd0rqk3k2dv.json
}
