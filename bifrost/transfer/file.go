package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

// format names what an exported file is, and begins what its signature is over.
const format = "tssbackup/export/v1"

// MaxFileBytes is the most that an exported file has.
const MaxFileBytes = 64 << 20

var (
	// ErrFile means that a file is not an exported one as a member made it, or does not open.
	ErrFile = errors.New("it is not an exported file, or was altered")
	// ErrMember means that the keyshares in a file are another member's than who imports them.
	ErrMember = errors.New("the keyshares are another member's")
)

// manifest says what is in an exported file.
type manifest struct {
	Format string `json:"format"`
	Subject
	// Approvals are sorted by who approves.
	Approvals []Approval `json:"approvals"`
	Files     []file     `json:"files"`
}

// file is one keyshare file behind the manifest.
type file struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// Seal makes the file in which a member's keyshares travel, for the wrapping key of the subject and
// signed by the member. The caller has verified the approvals and checked the keyshares.
func Seal(
	key *signer.Key, s Subject, approvals []Approval, files []envelope.File,
) ([]byte, error) {
	to, err := age.ParseX25519Recipient(s.To)
	if err != nil {
		return nil, ErrRecipient
	}
	m := manifest{Format: format, Subject: s, Approvals: slices.Clone(approvals)}
	slices.SortFunc(m.Approvals, func(a, b Approval) int {
		return strings.Compare(a.Approver, b.Approver)
	})
	total := 0
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		m.Files = append(m.Files, file{f.Name, len(f.Data), hex.EncodeToString(sum[:])})
		total += len(f.Data)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(signed(body))
	if err != nil {
		return nil, err
	}
	head := fmt.Appendf(body, "\n%x\n", signature)
	plain := make([]byte, 0, len(head)+total) // which leaves no copies behind
	plain = append(plain, head...)
	for _, f := range files {
		plain = append(plain, f.Data...)
	}
	defer sanity.Wipe(plain)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil && out.Len() > MaxFileBytes {
		err = errors.New("the keyshares are too large")
	}
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return out.Bytes(), nil
}

func signed(body []byte) []byte { return append([]byte(format), body...) }

// An Export is what was in a file, none of which is believed before Check.
type Export struct {
	Subject
	Approvals []Approval
	Files     []envelope.File

	body, signature, plain []byte
}

// Wipe overwrites the keyshares.
func (e *Export) Wipe() { sanity.Wipe(e.plain) }

// Open opens an exported file with an identity file of age, which has the identity of its wrapping
// key. The caller wipes what it returns, and the identity. Its error wraps [ErrFile].
func Open(sealed, identity []byte) (*Export, error) {
	identities, err := age.ParseIdentities(bytes.NewReader(identity))
	if err != nil {
		return nil, fmt.Errorf("%w: the identity file holds no identity of age", ErrFile)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return nil, fmt.Errorf("%w: no identity in the identity file opens it", ErrFile)
	}
	// The plaintext is shorter than the file: the buffer never grows and leaves copies behind.
	plain := bytes.NewBuffer(make([]byte, 0, len(sealed)+bytes.MinRead))
	if _, err := plain.ReadFrom(r); err != nil {
		sanity.Wipe(plain.Bytes())
		return nil, fmt.Errorf("%w: it is torn", ErrFile)
	}
	e, err := parse(plain.Bytes())
	if err == nil && !slices.ContainsFunc(identities, func(id age.Identity) bool {
		x, ok := id.(*age.X25519Identity)
		return ok && x.Recipient().String() == e.To
	}) {
		err = errors.New("it is sealed for another key than its members approved of")
	}
	if err != nil {
		sanity.Wipe(plain.Bytes())
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return e, nil
}

// parse reads what is in the age file. There is one writing of each, and it reads no other.
func parse(plain []byte) (*Export, error) {
	body, rest, ok := bytes.Cut(plain, []byte("\n"))
	line, rest, also := bytes.Cut(rest, []byte("\n"))
	if !ok || !also {
		return nil, errors.New("it has no manifest and signature")
	}
	signature, err := unhex(string(line))
	if err != nil || len(signature) != signatureBytes {
		return nil, errors.New("its signature is not 64 bytes in hex")
	}
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, errors.New("its manifest is not the JSON of one")
	}
	if m.Format != format {
		return nil, fmt.Errorf("its format is %.60q, this bifrost knows %s", m.Format, format)
	}
	if again, err := json.Marshal(m); err != nil || !bytes.Equal(again, body) {
		return nil, errors.New("its manifest is not written as manifests are")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	e := &Export{
		Subject: m.Subject, Approvals: m.Approvals,
		body: bytes.Clone(body), signature: signature, plain: plain,
	}
	for _, f := range m.Files {
		if f.Size < 0 || f.Size > len(rest) {
			return nil, errors.New("its files are shorter than its manifest says")
		}
		data := rest[:f.Size:f.Size]
		rest = rest[f.Size:]
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			return nil, errors.New("a file in it is not what its manifest says")
		}
		e.Files = append(e.Files, envelope.File{Name: f.Name, Data: data})
	}
	if len(rest) > 0 {
		return nil, errors.New("something follows its files")
	}
	return e, nil
}

func (m manifest) check() error {
	if err := m.Subject.check(); err != nil {
		return err
	}
	if len(m.Files) != 2 {
		return fmt.Errorf("it has %d files, and a member has two keyshares", len(m.Files))
	}
	for i, a := range m.Approvals {
		if a.Format != approvalFormat {
			return errors.New("an approval in it is of another format")
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("an approval in it: %w", err)
		}
		if i > 0 && m.Approvals[i-1].Approver >= a.Approver {
			return errors.New("its approvals are not sorted, or one member approves twice")
		}
	}
	return nil
}

// Check makes sure that a file is what a member exported by agreement, and that the agreement holds
// at the height of the vault's verified record: that it is of this chain and of this member, given
// by its compressed public key, who has signed it, and of the vault's present epoch, that its
// members still agree, and that its keyshares are right. Its error wraps [ErrMember], [ErrRefused],
// [ErrFile] or [keyfiles.ErrKeyshares].
func (e *Export) Check(v vault.Vault, chainID string, height int64, member []byte) error {
	if e.ChainID != chainID {
		return fmt.Errorf("%w: it is of chain %.60q, and this is %q", ErrRefused, e.ChainID, chainID)
	}
	owner, err := rawAddress(e.Member)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !bytes.Equal(owner, signer.AddressOf(member)) {
		return fmt.Errorf("%w: they are those of %s", ErrMember, e.Member)
	}
	if err := Verify(v, e.Subject, height, e.Approvals); err != nil {
		return err
	}
	if !signer.Verify(member, signed(e.body), e.signature) {
		return fmt.Errorf("%w: its signature is not that of %s", ErrFile, e.Member)
	}
	return CheckKeyshares(v, e.Files, member)
}

// CheckKeyshares makes sure that files are a member's two keyshares of the vault's present epoch,
// as mathematics and by the public shares that the vault's verified record names. The member is
// given by its compressed public key. Its error wraps [keyfiles.ErrKeyshares].
func CheckKeyshares(v vault.Vault, files []envelope.File, member []byte) error {
	keys, err := keyfiles.Check(v, files, member)
	if err != nil {
		return err
	}
	defer keys.Wipe()
	if len(v.SharesHash) == 0 {
		return fmt.Errorf("%w: the chain's state has no public shares of vault %s to hold them against",
			keyfiles.ErrKeyshares, v.Name())
	}
	return keys.CheckShares(v)
}
