// Command consumer is a signer of another project, on its own Cosmos SDK, CometBFT, libp2p and
// tss-lib, that takes from this one what needs no SDK: it seals the keyshare files of a folder for
// the mnemonic on its standard input, and writes the envelope to its standard output.
//
// Here it is built with the versions of this repository, so that it stays one that builds.
// scripts/consumer.sh builds it in a module of its own, with consumer.mod as go.mod, SDK 0.53, and
// the ceremonies of go-tss (ceremonies.go.txt) beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	_ "github.com/bnb-chain/tss-lib/v2/eddsa/signing" // a signer's own ceremonies
	"github.com/cometbft/cometbft/crypto/merkle"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/legacy/mpcium"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// node is what the signer has of its own, and what it reads of others' backups.
type node struct {
	Peer     peer.ID
	Proof    merkle.Proof
	Address  func(hrp string, data []byte) (string, error)
	Keygen   eckeygen.LocalPartySaveData
	Older    func(payload []byte, p *sanity.Phrase) ([]envelope.File, error)
	Found    saved.Found
	Other    mpcium.Key
	Recovery *verenc.RecipientKey
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: consumer FOLDER < MNEMONIC > ENVELOPE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	words, err := io.ReadAll(io.LimitReader(os.Stdin, 4096))
	if err != nil {
		return err
	}
	defer sanity.Wipe(words)
	m, err := sanity.ParseMnemonic(words)
	if err != nil {
		return err
	}
	defer m.Wipe()
	files, err := read(folder)
	if err != nil {
		return err
	}
	sealed, err := envelope.Seal(files, m)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(sealed)
	return err
}

// read takes the folder's keyshares, each checked as mathematics.
func read(folder string) ([]envelope.File, error) {
	names, err := filepath.Glob(filepath.Join(folder, "localstate-*.json"))
	if err != nil {
		return nil, err
	}
	own := node{Older: thornode.Open, Address: bech32.ConvertAndEncode}
	var files []envelope.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		share, err := keyshare.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := share.Verify(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if share.Curve() == keyshare.Secp256k1 {
			if err := ownReads(data, &own.Keygen); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		files = append(files, envelope.File{Name: filepath.Base(name), Data: data})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no keyshare files in %s", folder)
	}
	return files, nil
}

// ownReads has the signer's tss-lib read what it wrote.
func ownReads(file []byte, into *eckeygen.LocalPartySaveData) error {
	var outer struct {
		LocalData []byte `json:"local_data"`
	}
	if json.Unmarshal(file, &outer) != nil || json.Unmarshal(outer.LocalData, into) != nil {
		return errors.New("tss-lib does not read local_data") // whose text may be secret
	}
	return nil
}
