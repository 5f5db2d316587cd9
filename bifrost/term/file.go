package term

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// claim names a claim. The zeroth is that of a signer that never claimed.
type claim struct {
	Term uint64 `json:"term"`
	// Nonce is in hex.
	Nonce string `json:"nonce"`
}

func newClaim(term uint64, nonce []byte) claim {
	return claim{Term: term, Nonce: hex.EncodeToString(nonce)}
}

func (c claim) bytes() ([]byte, error) { return hex.DecodeString(c.Nonce) }

func (c claim) check() error {
	nonce, err := c.bytes()
	if err != nil || len(nonce) != types.ClaimNonceSize && (c.Term != 0 || len(nonce) != 0) {
		return errors.New("no claim")
	}
	return nil
}

// pending is a claim that may not have found its block yet. After Timeout it does not.
type pending struct {
	claim
	Timeout int64 `json:"timeout_height"`
}

// file is what a home remembers: its latest claim that was seen on chain, and the one after it that
// it sent.
type file struct {
	claim
	Pending *pending `json:"pending,omitempty"`
}

// record is the file with whose it is.
type record struct {
	Version int    `json:"version"`
	ChainID string `json:"chain_id"`
	Signer  string `json:"signer"`
	file
}

const (
	version = 1
	maxFile = 4 << 10
)

// load returns the zeroth claim when there is no file.
func load(path, chainID, signer string) (file, error) {
	data, err := durable.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, nil
	}
	if err != nil {
		return file{}, err
	}
	var r record
	err = json.Unmarshal(data, &r)
	if err == nil {
		err = r.check()
	}
	if err == nil && r.Pending != nil {
		err = r.Pending.check()
	}
	switch {
	case err != nil || r.Version != version:
		return file{}, fmt.Errorf("%s is damaged, or of a later bifrost: remove it, and this "+
			"instance waits to be promoted", path)
	case r.ChainID != chainID || r.Signer != signer:
		return file{}, fmt.Errorf("%s is of signer %s on chain %s: this home was used for something else",
			path, r.Signer, r.ChainID)
	}
	return r.file, nil
}

func (f file) save(path, chainID, signer string) error {
	data, err := json.Marshal(record{Version: version, ChainID: chainID, Signer: signer, file: f})
	if err != nil {
		return err
	}
	return durable.Replace(path, append(data, '\n'))
}
