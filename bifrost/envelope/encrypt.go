package envelope

import (
	"bytes"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/tssbackup/tssbackup/sanity"
)

// encrypt makes an age file of the stream, with the mnemonic as its passphrase. The copies that age takes of the
// passphrase cannot be wiped.
func encrypt(stream []byte, m *sanity.Mnemonic, workFactor int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(string(m.Bytes()))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(workFactor)
	var envelope bytes.Buffer
	w, err := age.Encrypt(&envelope, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(stream); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return envelope.Bytes(), nil
}

// decrypt undoes encrypt. The envelope has passed checkForm. age refuses bytes after the last chunk.
func decrypt(envelope []byte, m *sanity.Mnemonic) ([]byte, error) {
	identity, err := age.NewScryptIdentity(string(m.Bytes()))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(MaxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(envelope), identity)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		return nil, ErrWrongMnemonic
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	stream, err := readAll(r, len(envelope), len(envelope))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return stream, nil
}
