package saved_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
)

// Somebody saved a node's answer. What may be a backup in it is tried with the mnemonic.
func Example() {
	var published []struct {
		Mnemonic string
		Envelope []byte
	}
	data, err := os.ReadFile("../thornode/testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(data, &published)
	}
	if err != nil {
		panic(err)
	}
	answer := `{"tx": "` + base64.StdEncoding.EncodeToString(published[0].Envelope) + `"}`

	m, err := sanity.ParsePhrase([]byte(published[0].Mnemonic))
	if err != nil {
		panic(err)
	}
	defer m.Wipe()
	found := saved.Find([]byte(answer))
	for _, c := range found.Candidates {
		if files, err := thornode.Open(c.Data, m); err == nil {
			fmt.Println(len(files), "keyshare")
		}
	}
	// Output: 1 keyshare
}
