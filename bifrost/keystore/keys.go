package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/tssbackup/tssbackup/sanity"
)

// ErrSealed means that a sealed file does not open: it is damaged, or sealed to other keys.
var ErrSealed = errors.New("it does not open with the keys of this home: it is damaged, or sealed " +
	"with another mnemonic's")

// ErrRecipients means that the configured recipients cannot be used.
var ErrRecipients = errors.New("the recipients cannot be used")

// hybridPrefix begins the recipients that are safe from quantum computers as well. They and the
// others do not mix in one age file, which would be no safer than the weaker.
const hybridPrefix = "age1pq1"

// Keys seal and open what lies in a home. They print as a fixed text. The identities are in the
// memory of package age, which offers no way to wipe them.
type Keys struct {
	identities []age.Identity
	// own is the recipient of the home itself, all are that and those of the configuration.
	own age.Recipient
	all []age.Recipient
}

// NewKeys takes the home's identities, as signer.HomeIdentity gives them, and the recipients of the
// configuration, all of one kind: age1… or age1pq1…. The home's own recipient is of that kind, too.
// Its error about them wraps [ErrRecipients]. The caller wipes identity.
func NewKeys(identity []byte, recipients []string) (*Keys, error) {
	identities, err := age.ParseIdentities(bytes.NewReader(identity))
	if err != nil {
		return nil, errors.New("the home's identity is none")
	}
	k := &Keys{identities: identities}
	hybrid := isHybrid(recipients)
	for _, id := range identities {
		switch id := id.(type) {
		case *age.X25519Identity:
			if !hybrid {
				k.own = id.Recipient()
			}
		case *age.HybridIdentity:
			if hybrid {
				k.own = id.Recipient()
			}
		}
	}
	if k.own == nil {
		return nil, errors.New("the home has no identity of the recipients' kind")
	}
	others, err := parseRecipients(recipients)
	k.all = append([]age.Recipient{k.own}, others...)
	return k, err
}

// CheckRecipients errs when the recipients of a configuration cannot be used.
func CheckRecipients(recipients []string) error {
	_, err := parseRecipients(recipients)
	return err
}

func parseRecipients(recipients []string) (all []age.Recipient, err error) {
	hybrid := isHybrid(recipients)
	for _, text := range recipients {
		if strings.HasPrefix(text, hybridPrefix) != hybrid {
			return nil, fmt.Errorf("%w: age1… and %s… do not mix: give all of one kind",
				ErrRecipients, hybridPrefix)
		}
		var r age.Recipient
		if hybrid {
			r, err = age.ParseHybridRecipient(text)
		} else {
			r, err = age.ParseX25519Recipient(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no recipient of age", ErrRecipients, text)
		}
		all = append(all, r)
	}
	return all, nil
}

// isHybrid reports whether the first of the recipients is of the hybrid kind.
func isHybrid(recipients []string) bool {
	return len(recipients) > 0 && strings.HasPrefix(recipients[0], hybridPrefix)
}

// Seal returns an age file to the home alone, for what no other has a use for: what is on its way,
// and pre-parameters. It was opened again and compared.
func (k *Keys) Seal(plain []byte) ([]byte, error) { return k.seal(plain, k.own) }

// SealForAll is Seal to all recipients, those of the configuration too.
func (k *Keys) SealForAll(plain []byte) ([]byte, error) { return k.seal(plain, k.all...) }

// SealFor returns an age file to these recipients and not to the home, for what the home is not to
// open. So it is not opened again and compared. Its error about the recipients is that of
// [Keys.CheckOthers].
func (k *Keys) SealFor(plain []byte, recipients []string) ([]byte, error) {
	if err := k.CheckOthers(recipients); err != nil {
		return nil, err
	}
	to, err := parseRecipients(recipients)
	if err != nil {
		return nil, err
	}
	return encrypt(plain, to...)
}

// CheckOthers errs when there are no recipients, when they cannot be used, or when the home itself
// is one of them, whose identities follow from the mnemonic. Its error wraps [ErrRecipients].
func (k *Keys) CheckOthers(recipients []string) error {
	others, err := parseRecipients(recipients)
	if err == nil && len(others) == 0 {
		err = fmt.Errorf("%w: there are none", ErrRecipients)
	}
	for _, r := range others {
		for _, id := range k.identities {
			if fmt.Sprint(r) == recipientOf(id) {
				return fmt.Errorf("%w: %.20s… is the home's own: who has lost the mnemonic opens nothing "+
					"with it", ErrRecipients, r)
			}
		}
	}
	return err
}

// recipientOf is the recipient of an identity of the home.
func recipientOf(id age.Identity) string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient().String()
	case *age.HybridIdentity:
		return id.Recipient().String()
	}
	return ""
}

// Recipients are those of SealForAll as age writes them, the home's own first.
func (k *Keys) Recipients() (all []string) {
	for _, r := range k.all {
		all = append(all, fmt.Sprint(r))
	}
	return all
}

func (k *Keys) seal(plain []byte, to ...age.Recipient) ([]byte, error) {
	sealed, err := encrypt(plain, to...)
	if err != nil {
		return nil, err
	}
	again, err := k.Open(sealed)
	defer sanity.Wipe(again)
	if err != nil || !bytes.Equal(again, plain) {
		return nil, errors.New("what was sealed does not open again to what it was")
	}
	return sealed, nil
}

func encrypt(plain []byte, to ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return out.Bytes(), nil
}

// Open returns what is in an age file, which the caller wipes. Its error wraps [ErrSealed].
func (k *Keys) Open(sealed []byte) ([]byte, error) {
	plain, err := k.OpenPart(sealed)
	if err != nil {
		sanity.Wipe(plain)
		return nil, err
	}
	return plain, nil
}

// OpenPart is Open for an age file that may be torn: with its error comes what precedes the place
// where the file is not in order, or nil when the keys do not open it at all.
func (k *Keys) OpenPart(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), k.identities...)
	if err != nil {
		return nil, ErrSealed
	}
	// The plaintext is shorter than the file: the buffer never grows and leaves copies behind.
	plain := make([]byte, 0, len(sealed)+1)
	for {
		n, err := r.Read(plain[len(plain):cap(plain)])
		plain = plain[:len(plain)+n]
		switch {
		case errors.Is(err, io.EOF):
			return plain, nil
		case err != nil || len(plain) == cap(plain):
			return plain, ErrSealed
		}
	}
}

// String returns a constant.
func (*Keys) String() string { return "[redacted keys of a home]" }

// Format writes a constant, whatever the verb.
func (k *Keys) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalText returns a constant.
func (k *Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
