package restore_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// records are those of one vault. An embedder has them from its light client, as chain.State has.
type records struct {
	vault  vault.Vault
	backup types.Commitment
}

func (r records) Vaults(context.Context, []byte) ([]vault.Vault, error) {
	return []vault.Vault{r.vault}, nil
}

func (r records) Vault(context.Context, []byte) (vault.Vault, error) { return r.vault, nil }

func (r records) Backup(context.Context, vault.Vault, []byte) ([]types.Commitment, error) {
	return []types.Commitment{r.backup}, nil
}

// Example restores a member's keyshares from a folder of envelopes that nobody vouches for.
func Example() {
	dir, err := os.MkdirTemp("", "restore")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	mnemonic, member, verified := published(dir)
	store, err := keystore.OpenFolder(filepath.Join(dir, "keyshares"))
	if err != nil {
		panic(err)
	}

	results, err := restore.Run(context.Background(), restore.Config{
		Records: verified,
		Source: func(
			_ context.Context, _ vault.Vault, _ []byte, c types.Commitment,
		) ([]byte, error) {
			return os.ReadFile(filepath.Join(dir, hex.EncodeToString(c.Sha256)))
		},
		Store:    keystore.Flat{Folder: store},
		Mnemonic: mnemonic,
		Member:   member,
	})
	if err != nil {
		panic(err)
	}
	for _, r := range results {
		fmt.Println(len(r.Files), "files, error:", r.Err)
	}
	// Output: 2 files, error: <nil>
}

// published makes a vault of three members, of whom the first has its envelope in the folder, named
// by its hash.
func published(dir string) (m *sanity.Mnemonic, member string, r records) {
	var mnemonics []*sanity.Mnemonic
	var keys [][]byte
	for i := range 3 {
		entropy := sha256.Sum256([]byte{'m', byte(i)})
		words := must(bip39.NewMnemonic(entropy[:]))
		mnemonic := must(sanity.ParseMnemonic([]byte(words)))
		key := must(signer.Derive(mnemonic, signer.DefaultHDPath))
		mnemonics, keys = append(mnemonics, mnemonic), append(keys, key.PubKey())
		r.vault.Members = append(r.vault.Members, types.Member{PubKey: key.PubKey(), Asked: true})
	}
	v := dealer.NewVault("example", "cosmos", keys)
	r.vault.PubKey, r.vault.PubKeyEd25519 = v.PubKey(), v.PubKeyEd25519()
	var files []envelope.File
	for _, f := range v.Files[0] {
		files = append(files, envelope.File(f))
	}
	sealed := must(envelope.Seal(files, mnemonics[0], envelope.WithWorkFactor(4)))
	hash := sha256.Sum256(sealed)
	r.backup = types.Commitment{Sha256: hash[:], Size_: uint64(len(sealed)), Height: 1}
	name := filepath.Join(dir, hex.EncodeToString(hash[:]))
	if err := os.WriteFile(name, sealed, 0o600); err != nil {
		panic(err)
	}
	return mnemonics[0], must(bech32.ConvertAndEncode("cosmos", types.SignerAddress(keys[0]))), r
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
