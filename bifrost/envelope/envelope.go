// Package envelope encrypts the keyshares of one vault for the mnemonic of the member they belong
// to, and opens them again.
//
// An envelope is an age file with one scrypt recipient, whose passphrase is the mnemonic in its
// normal form, around an LZMA stream around a tar archive of the keyshare files. Nothing about it
// is our own, so that it opens without us:
//
//	age -d envelope.age | xz -dc --format=lzma | tar x
//
// In place of the keyshare files there may be one secrets file ([sanity.Secrets]): what they hold
// that no other member's do. It has the same size for every number of members, and together with
// the vault's group part it gives the files.
//
// An envelope is public: it travels in a transaction and stays on the chain for good. What it hides
// lasts as long as the mnemonic does: one leaked mnemonic opens every envelope ever sealed with it.
// It gives away its length, and with it, of keyshare files, roughly the number of members of the
// vault.
//
// Sealing and opening each run scrypt, which takes about a second and 256 MiB of memory at the
// default work factor of 18, and 256 MiB × 2^(f−18) at a work factor f; sealing runs it twice, one
// after the other, for it opens what it made. A caller that seals or opens several envelopes does
// so one by one.
package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// DefaultWorkFactor is the scrypt work factor, log2(N), that Seal uses.
	DefaultWorkFactor = 18
	// MaxWorkFactor is the highest work factor that Open agrees to: 4 GiB of memory.
	MaxWorkFactor = 22
	// MaxBytes is the size of the largest envelope that Open reads and Seal makes. Chains set a
	// lower limit.
	MaxBytes = 16 << 20

	// sealAttempts is how often Seal encrypts before it gives up on chance hits of the word check.
	sealAttempts = 8
)

// The errors that a caller of Open branches on. Each is wrapped by an error that says more.
var (
	// ErrWrongMnemonic says that the mnemonic does not open the envelope. A change to the salt or
	// the encrypted key in the envelope's header shows in the same way, because they are all that
	// the mnemonic is tried on: compare the envelope with its commitment first.
	ErrWrongMnemonic = errors.New("mnemonic does not open the envelope")
	// ErrNotEnvelope says that the bytes do not begin as an envelope does.
	ErrNotEnvelope = errors.New("not an envelope")
	// ErrDamaged says that the bytes begin as an envelope does and are not one, or that what is
	// inside is not.
	ErrDamaged = errors.New("envelope is damaged")
	// ErrTooLarge says that the envelope, or what it unpacks to, or the work it asks for, exceeds a
	// limit.
	ErrTooLarge = errors.New("envelope is too large")
)

// File is one keyshare file, or a secrets file.
type File struct {
	// Name is "localstate-", the vault's public key as go-tss writes it, and ".json". That of a
	// secrets file is [sanity.Secrets.FileName].
	Name string `json:"name"`
	// Data is the content, which comes back byte for byte.
	Data []byte `json:"data"`
}

// Option changes how Seal works.
type Option func(*options)

type options struct {
	workFactor int
}

// WithWorkFactor sets the scrypt work factor, from 1 to MaxWorkFactor. Each step doubles the time
// and the memory that sealing, opening and guessing take. Chains accept DefaultWorkFactor and a
// little more; less is for tests.
func WithWorkFactor(workFactor int) Option {
	return func(o *options) { o.workFactor = workFactor }
}

// Seal returns an envelope of the files, in which their order is that of their names: keyshare
// files, or one secrets file. The mnemonic must pass CheckSeal, and the envelope passes all output
// checks of package sanity before it is returned. Each call gives another envelope.
func Seal(files []File, m *sanity.Mnemonic, opts ...Option) ([]byte, error) {
	o := options{workFactor: DefaultWorkFactor}
	for _, opt := range opts {
		opt(&o)
	}
	if o.workFactor < 1 || o.workFactor > MaxWorkFactor {
		return nil, fmt.Errorf("scrypt work factor must be from 1 to %d", MaxWorkFactor)
	}
	return seal(files, m, func(stream []byte) ([]byte, error) {
		return encrypt(stream, m, o.workFactor)
	})
}

// seal is Seal with the encryption given.
func seal(
	files []File,
	m *sanity.Mnemonic,
	encrypt func(stream []byte) ([]byte, error),
) ([]byte, error) {
	if err := m.CheckSeal(); err != nil {
		return nil, err
	}
	files = slices.SortedFunc(
		slices.Values(files),
		func(a, b File) int { return strings.Compare(a.Name, b.Name) },
	)
	archive, err := pack(files)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(archive)
	stream, err := compress(archive)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(stream)

	var envelope []byte
	for range sealAttempts {
		if envelope, err = encrypt(stream); err != nil {
			return nil, err
		}
		// By chance a good envelope holds a word of three letters. Another one, made with fresh
		// randomness, will not; one that is sent with a word in it would make the check worthless.
		if err = checkOutput(
			envelope,
			m,
			files,
			archive,
			stream,
		); !errors.Is(
			err,
			sanity.ErrHoldsWord,
		) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return envelope, nil
}

// checkOutput runs the output checks on the envelope: last the one that takes long.
func checkOutput(envelope []byte, m *sanity.Mnemonic, files []File, archive, stream []byte) error {
	if len(envelope) > MaxBytes {
		return fmt.Errorf(
			"%w: it has %d bytes, at most %d are allowed",
			ErrTooLarge,
			len(envelope),
			MaxBytes,
		)
	}
	forms := [][]byte{archive, stream}
	for _, file := range files {
		forms = append(forms, file.Data)
		if IsSecretsName(file.Name) {
			secrets, err := readSecrets(file)
			if err != nil {
				return err
			}
			defer secrets.Secret.Wipe()
			forms = append(forms, rawForms(secrets.Secret)...)
		}
	}
	if err := sanity.CheckNotInput(envelope, forms...); err != nil {
		return err
	}
	if err := sanity.CheckNoInput(envelope, forms...); err != nil {
		return err
	}
	if err := sanity.CheckNoPassphrase(envelope, m); err != nil {
		return err
	}
	if err := sanity.CheckNoWord(envelope, m); err != nil {
		return err
	}

	var opened []File
	defer func() {
		for _, file := range opened {
			sanity.Wipe(file.Data)
		}
	}()
	return sanity.CheckOpens(envelope, func(envelope []byte) ([][]byte, error) {
		var err error
		opened, err = Open(envelope, m)
		return parts(opened), err
	}, parts(files)...)
}

// parts returns the names and contents of files, one after another.
func parts(files []File) [][]byte {
	var p [][]byte
	for _, file := range files {
		p = append(p, []byte(file.Name), file.Data)
	}
	return p
}

// Open returns the files in the envelope, sorted by name: keyshare files, or one secrets file, as
// [IsSecretsName] tells. Their names are safe to use as file names. The caller wipes the data. No
// bytes make it panic or use more than the limits of this package allow; what it makes of bytes
// that are not an envelope for this mnemonic are errors that wrap ErrNotEnvelope, ErrWrongMnemonic,
// ErrDamaged or ErrTooLarge.
func Open(envelope []byte, m *sanity.Mnemonic) ([]File, error) {
	if m.Words() == 0 {
		return nil, errors.New("no mnemonic to open the envelope with")
	}
	stream, err := Decrypt(envelope, m.Bytes())
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(stream)
	archive, err := Decompress(stream, maxArchive)
	if err != nil {
		return nil, err
	}
	files, err := unpack(archive) // whose data are parts of the archive
	if err != nil {
		sanity.Wipe(archive)
		return nil, err
	}
	return files, nil
}

// checkForm judges the envelope by what needs no mnemonic, before any work is done for it.
func checkForm(envelope []byte) error {
	if len(envelope) > MaxBytes {
		return fmt.Errorf(
			"%w: it has %d bytes, at most %d are allowed",
			ErrTooLarge,
			len(envelope),
			MaxBytes,
		)
	}
	if !bytes.HasPrefix(envelope, []byte(sanity.EnvelopePrefix)) {
		return fmt.Errorf(
			"%w: it does not begin as an age file with a passphrase does",
			ErrNotEnvelope,
		)
	}
	err := sanity.CheckEnvelopeForm(envelope, sanity.EnvelopeRules{
		MaxBytes:      MaxBytes,
		MinWorkFactor: 1,
		MaxWorkFactor: MaxWorkFactor,
	})
	switch {
	case errors.Is(err, sanity.ErrTooMuchWork):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
