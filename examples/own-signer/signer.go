// Package ownsigner is a signer that was there before tssbackup, and publishes the backups of its
// keyshares by it: an example to copy from.
//
// It has its own keygen and keysign (go-tss, for instance), which leaves each keyshare in a folder,
// as localstate-<public key>.json, and its own network between the members. Of bifrost it takes the
// loop ([publish.Publisher]) and what fits that to a node, the signer's key and its mnemonic
// (package adapt): no home, no keystore, no ceremonies, no service. The loop joins each keygen that
// the chain opens, has the signer run it, seals the result for the mnemonic, proves it, votes, and
// looks until its vote stands in state; what is on its way lies in its outbox.
//
// [Own] is what such a signer has to bring. All else is here.
package ownsigner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/adapt"
	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// Own is the signer that was there before. Members are named by the compressed public keys of their
// signers. Each method blocks until it is done or the context ends; a keygen that fails is tried
// again, as long as the chain lets attempts begin.
type Own interface {
	// Keygen makes a vault with the other members and leaves both keyshare files in the folder. It
	// returns the vault's public keys, 33 and 32 bytes. The id is the same for all members and for
	// no other attempt.
	Keygen(
		ctx context.Context, id []byte, members [][]byte, threshold int,
	) (secp256k1, ed25519 []byte, err error)
	// Exchange gives what this member signed to all others and returns what each of them did, in
	// the order of the members, this one's among them.
	Exchange(ctx context.Context, id []byte, members [][]byte, signed []byte) ([][]byte, error)
	// Keysign signs with a vault's key, given as in its keyshare file, together with the other
	// signers: 64 bytes, for secp256k1 R and S of a digest, S the lower of the two possible.
	Keysign(
		ctx context.Context, id string, pubKey string, signers [][]byte, message []byte,
	) ([]byte, error)
}

// Config is what the signer is started with.
type Config struct {
	ChainID string
	// Node is the address of a node's RPC.
	Node string
	// Prefix is the bech32 prefix of accounts, HDPath where the mnemonic's signer key lies.
	Prefix, HDPath string
	// Keyshares is the folder in which the keygen leaves its files, Outbox one for the loop alone.
	Keyshares, Outbox string
	// Mnemonic is the signer's. Its key and its recipient key are registered on chain (`bifrost
	// register` prints the transaction). The caller wipes it when the loop has ended.
	Mnemonic *sanity.Mnemonic
	Log      zerolog.Logger
}

// Publish is what the loop works with: publish.New takes it, and Run goes on until its context
// ends.
func Publish(c Config, own Own) (publish.Config, error) {
	key, err := signer.Derive(c.Mnemonic, c.HDPath)
	if err != nil {
		return publish.Config{}, err
	}
	client, err := chain.New(c.Node, 0)
	if err != nil {
		return publish.Config{}, err
	}
	out, err := adapt.Outbox(c.Outbox, c.Mnemonic)
	if err != nil {
		return publish.Config{}, err
	}
	files := folder(c.Keyshares)
	return publish.Config{
		ChainID: c.ChainID,
		Address: key.Bech32(c.Prefix),
		PubKey:  key.PubKey(),
		Prefix:  c.Prefix,
		Outbox:  out,
		Store:   files,
		Chain:   adapt.Node(client),
		SignTx:  adapt.SignTx(c.ChainID, key),
		Tss:     ceremonies{own: own, files: files, prefix: c.Prefix, key: key},
		Seal:    adapt.Seal(c.Mnemonic),
		Prove:   adapt.Prove(c.Mnemonic),
		Log:     c.Log,
	}, nil
}

// folder is go-tss's, as the loop's store: one folder for the files of all vaults, which the keygen
// has written and which are told apart by the key in their names.
type folder string

// Save makes sure that the files are there, for the keygen wrote them. It writes none.
func (f folder) Save(_ uint64, files []envelope.File) error {
	for _, file := range files {
		there, err := os.ReadFile(filepath.Join(string(f), file.Name))
		if err != nil {
			return err
		}
		if !bytes.Equal(there, file.Data) {
			return fmt.Errorf("%s is not what the keygen made any more", file.Name)
		}
	}
	return nil
}

// Replace is for reshares, in which this signer takes no part.
func (f folder) Replace(epoch uint64, files []envelope.File) error { return f.Save(epoch, files) }

func (f folder) Load(_ uint64, name string) ([]byte, error) {
	if !envelope.IsKeyshareName(name) {
		return nil, fmt.Errorf("%q is no keyshare's name: %w", name, fs.ErrNotExist)
	}
	return os.ReadFile(filepath.Join(string(f), name))
}

func (f folder) List(uint64) (names []string, err error) {
	entries, err := os.ReadDir(string(f))
	for _, e := range entries {
		if envelope.IsKeyshareName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// ceremonies are the signer's own, as the loop asks for them.
type ceremonies struct {
	own    Own
	files  folder
	prefix string
	key    *signer.Key
}

// Keygen has the signer make a vault, and all members sign that they have kept their keyshares: the
// certificate, without which the chain takes no vote for a result.
func (c ceremonies) Keygen(
	ctx context.Context, r ceremony.KeygenRequest,
) (*ceremony.KeygenResult, error) {
	secp, ed, err := c.own.Keygen(ctx, r.Session.ID, r.Members, r.Threshold)
	if err != nil {
		return nil, err
	}
	result := ceremony.KeygenResult{Secp256k1: secp, Ed25519: ed}
	if result.Files, err = c.made(secp, ed); err != nil {
		return nil, err
	}
	// From here on the result is on the disk, in the outbox: this member may sign for it.
	digest, err := r.Keep(ctx, result)
	if err != nil {
		return nil, err
	}
	result.Certificate, err = c.own.Exchange(ctx, r.Session.ID, r.Members, c.sign(digest))
	if err != nil {
		return nil, err
	}
	for i, m := range r.Members {
		if i >= len(result.Certificate) || !verifies(m, digest, result.Certificate[i]) {
			return nil, &ceremony.BlameError{
				Members: [][]byte{m}, Reason: "it did not sign for the result",
			}
		}
	}
	return &result, nil
}

// made reads both files of a new vault, the secp256k1 one first.
func (c ceremonies) made(secp, ed []byte) (files []envelope.File, err error) {
	ecdsaKey, err := keyshare.EncodeSecp256k1(c.prefix, secp)
	if err != nil {
		return nil, fmt.Errorf("the keygen's secp256k1 key: %w", err)
	}
	eddsaKey, err := keyshare.EncodeEd25519(c.prefix, ed)
	if err != nil {
		return nil, fmt.Errorf("the keygen's ed25519 key: %w", err)
	}
	for _, name := range []string{keyshare.FileName(ecdsaKey), keyshare.FileName(eddsaKey)} {
		data, err := c.files.Load(0, name)
		if err != nil {
			return nil, err
		}
		files = append(files, envelope.File{Name: name, Data: data})
	}
	slices.SortFunc(files, func(a, b envelope.File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// Keysign has the signer sign with one of the vault's keys.
func (c ceremonies) Keysign(ctx context.Context, r ceremony.KeysignRequest) ([]byte, error) {
	share, err := keyshare.Parse(r.Keyshare)
	if err != nil {
		return nil, err
	}
	defer share.Wipe()
	signature, err := c.own.Keysign(ctx, r.ID, share.PubKey, r.Signers, r.Message)
	if err == nil && len(signature) != 64 {
		err = errors.New("a signature that has not 64 bytes")
	}
	return signature, err
}

// sign signs a digest with the signer's key: R and S.
func (c ceremonies) sign(digest []byte) []byte {
	private := c.key.Private()
	defer sanity.Wipe(private)
	key := secp256k1.PrivKeyFromBytes(private)
	defer key.Zero()
	return ecdsa.SignCompact(key, digest, true)[1:] // the first byte is for recovery
}

func verifies(pubKey, digest, signature []byte) bool {
	key, err := secp256k1.ParsePubKey(pubKey)
	if err != nil || len(signature) != 64 {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, key)
}
