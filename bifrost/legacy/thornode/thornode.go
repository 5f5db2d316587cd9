// Package thornode opens the backups of keyshares that THORNode and its forks published in the
// field keyshares_backup of their MsgTssPool, from before there were envelopes.
//
// Such a backup holds one keyshare file and is encrypted three times: it is XChaCha20-Poly1305
// around AES-256-GCM around an age file around an LZMA stream around the file, where each of the
// two AEADs has its nonce in front of its ciphertext. All keys are made from the mnemonic with one
// SHA-256: of the mnemonic and "+3" for XChaCha20, of the mnemonic and "+2" for AES, and, in hex,
// of the mnemonic and "+1" for the passphrase of the age file.
//
// So whoever guesses the mnemonic of such a backup needs no scrypt to know that the guess is right.
// That is why this package opens them and nothing in this project makes them; the backups of a
// mnemonic that was used with both are no safer than the older ones.
package thornode

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ulikunitz/xz/lzma"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
)

// MinBytes is the size of the smallest backup: two nonces, two tags, and an age file with nothing
// in it.
const MinBytes = chacha20poly1305.NonceSizeX + 12 + 2*chacha20poly1305.Overhead + minAge

// minAge is the size of an age file of a byte with one scrypt stanza: 151 bytes of header, a nonce
// and a tag.
const minAge = 151 + 16 + 1 + 16

// maxFile is the size of the largest keyshare that Open unpacks. That of a vault of a hundred
// members has half a megabyte.
const maxFile = 8 << 20

// Open returns the keyshare file in the backup, as a list of one. Its name follows from the public
// key in the file and is safe to use as a file name; whether the keyshare is sound is for the
// caller to check. The caller wipes the data.
//
// No bytes make it panic or use more than the limits of package envelope allow, and its errors wrap
// those of that package: ErrNotEnvelope for what is too short or is an envelope of this project,
// ErrWrongMnemonic when the outermost layer does not open, ErrDamaged and ErrTooLarge for what is
// beneath. A changed byte anywhere also shows as ErrWrongMnemonic: the outermost layer has nothing
// that tells the one from the other.
func Open(payload []byte, p *sanity.Phrase) ([]envelope.File, error) {
	if len(p.Normal()) == 0 {
		return nil, errors.New("no mnemonic to open the backup with")
	}
	switch {
	case len(payload) > envelope.MaxBytes:
		return nil, fmt.Errorf(
			"%w: it has %d bytes, at most %d are allowed",
			envelope.ErrTooLarge,
			len(payload),
			envelope.MaxBytes,
		)
	case len(payload) < MinBytes:
		return nil, fmt.Errorf(
			"%w: it has %d bytes, fewer than any backup of THORNode",
			envelope.ErrNotEnvelope,
			len(payload),
		)
	case bytes.HasPrefix(payload, []byte(sanity.EnvelopePrefix)):
		return nil, fmt.Errorf(
			"%w of THORNode's: it is one of this project",
			envelope.ErrNotEnvelope,
		)
	}
	// The outermost layer decides which form of the mnemonic it was, before anything costly is
	// done.
	for passphrase := range passphrases(p) {
		inner, err := openXChaCha(payload, passphrase)
		if err != nil {
			continue
		}
		file, err := openInner(inner, passphrase)
		if err != nil {
			return nil, err
		}
		return []envelope.File{file}, nil
	}
	return nil, fmt.Errorf(
		"%w, or it is damaged, or it is none of THORNode's",
		envelope.ErrWrongMnemonic,
	)
}

// openInner opens what was beneath the outermost layer, which the mnemonic has opened.
func openInner(sealed, passphrase []byte) (envelope.File, error) {
	ageFile, err := openAES(sealed, passphrase)
	if err != nil {
		return envelope.File{}, fmt.Errorf(
			"%w: its second layer does not open",
			envelope.ErrDamaged,
		)
	}
	key := layerKey(passphrase, 1)
	defer sanity.Wipe(key)
	agePassphrase := []byte(hex.EncodeToString(key))
	defer sanity.Wipe(agePassphrase)
	stream, err := envelope.Decrypt(ageFile, agePassphrase)
	if errors.Is(err, envelope.ErrWrongMnemonic) || errors.Is(err, envelope.ErrNotEnvelope) {
		// The mnemonic is the right one: it opened the layers around.
		return envelope.File{}, fmt.Errorf("%w: its third layer does not open", envelope.ErrDamaged)
	}
	if err != nil {
		return envelope.File{}, err
	}
	defer sanity.Wipe(stream)
	clampDictionary(stream)
	data, err := envelope.Decompress(stream, maxFile)
	if err != nil {
		return envelope.File{}, err
	}
	name, err := fileName(data)
	if err != nil {
		sanity.Wipe(data)
		return envelope.File{}, fmt.Errorf(
			"%w: what it holds is not a keyshare: %w",
			envelope.ErrDamaged,
			err,
		)
	}
	return envelope.File{Name: name, Data: data}, nil
}

// clampDictionary lowers the dictionary that the stream asks for, 128 MiB in what those networks
// wrote, to what a keyshare can use of it: no part of it is farther from the next than it is long.
func clampDictionary(stream []byte) {
	if len(stream) < lzma.HeaderLen {
		return
	}
	if size := stream[1:5]; binary.LittleEndian.Uint32(size) > maxFile {
		binary.LittleEndian.PutUint32(size, maxFile)
	}
}

// fileName is the name under which the network kept the keyshare.
func fileName(keyshare []byte) (string, error) {
	var file struct {
		PubKey string `json:"pub_key"`
	}
	if json.Unmarshal(keyshare, &file) != nil { // whose text may be part of a secret
		return "", errors.New("it is not a JSON object with a pub_key")
	}
	// In hex as some forks write it, or in bech32.
	key := strings.TrimPrefix(strings.ToLower(file.PubKey), "0x")
	name := "localstate-" + key + ".json"
	if !envelope.IsKeyshareName(name) {
		return "", errors.New("its pub_key is not a public key")
	}
	return name, nil
}

func openXChaCha(sealed, passphrase []byte) ([]byte, error) {
	key := layerKey(passphrase, 3)
	defer sanity.Wipe(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return openAEAD(aead, sealed)
}

func openAES(sealed, passphrase []byte) ([]byte, error) {
	key := layerKey(passphrase, 2)
	defer sanity.Wipe(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return openAEAD(aead, sealed)
}

// openAEAD opens a ciphertext that has its nonce in front.
func openAEAD(aead cipher.AEAD, sealed []byte) ([]byte, error) {
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("shorter than a nonce")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
}

// layerKey is the key of a layer: 1 is the innermost.
func layerKey(passphrase []byte, layer int) []byte {
	salted := fmt.Appendf(bytes.Clone(passphrase), "+%d", layer)
	defer sanity.Wipe(salted)
	key := sha256.Sum256(salted)
	return key[:]
}
