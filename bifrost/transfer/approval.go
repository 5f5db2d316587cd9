// Package transfer is the agreed export of a member's keyshares: what the members of a vault sign
// to approve of it, when their approvals are enough, and the file in which the keyshares travel. It
// asks no chain: its callers have verified the vault's record.
//
// Agreement binds honest software and nobody else: a member has its keyshares, and can always copy
// them by other means.
package transfer

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// MaxBlocks is how far ahead an approval may expire.
const MaxBlocks = 10_000

// approvalFormat names what an approval is, and begins what its signature is over.
const approvalFormat = "tssbackup/export-approval/v1"

// ErrRefused means that a vault's members have not agreed on an export, or do so no more.
var ErrRefused = errors.New("the export is not agreed on")

// ErrRecipient means that a text is no wrapping key.
var ErrRecipient = errors.New("the wrapping key is no X25519 recipient of age, age1…")

// A Subject is what members agree on: whose keyshares go to whom.
type Subject struct {
	ChainID string `json:"chain_id"`
	// Vault is the vault's name, Epoch the one of which the keyshares are.
	Vault string `json:"vault"`
	Epoch uint64 `json:"epoch"`
	// Member is the address of the member whose keyshares they are.
	Member string `json:"member"`
	// To is the wrapping key, an X25519 recipient of age.
	To string `json:"to"`
}

// An Approval is a member's signature for an export.
type Approval struct {
	Format string `json:"format"`
	Subject
	// Expiry is the last block in which it counts.
	Expiry int64 `json:"expiry"`
	// Approver is the address of the member that signs, Signature R ‖ S in hex.
	Approver  string `json:"approver"`
	Signature string `json:"signature"`
}

// CheckRecipient errs with [ErrRecipient] unless a text is a wrapping key.
func CheckRecipient(to string) error {
	r, err := age.ParseX25519Recipient(to)
	if err != nil || r.String() != to {
		return fmt.Errorf("%w: %.100q", ErrRecipient, to)
	}
	return nil
}

// Approve signs for an export as the member with this key. The prefix is that of addresses. It errs
// when the subject or the expiry has not its form; whether it counts [Verify] tells.
func Approve(key *signer.Key, prefix string, s Subject, expiry int64) (Approval, error) {
	a := Approval{
		Format: approvalFormat, Subject: s, Expiry: expiry, Approver: key.Bech32(prefix),
		Signature: strings.Repeat("00", signatureBytes),
	}
	if err := a.check(); err != nil {
		return Approval{}, err
	}
	if !strings.HasPrefix(s.Member, prefix+"1") {
		return Approval{}, fmt.Errorf("its member %s is not an address that begins with %s1",
			s.Member, prefix)
	}
	signature, err := key.Sign(a.message())
	a.Signature = hex.EncodeToString(signature)
	return a, err
}

// Encode is the file of an approval: its JSON in one line.
func (a Approval) Encode() ([]byte, error) {
	data, err := json.Marshal(a)
	return append(data, '\n'), err
}

// ParseApproval reads what Encode gives, and no other writing of it. Whose signature it is and
// whether it counts [Verify] tells. Its error wraps [ErrRefused].
func ParseApproval(data []byte) (Approval, error) {
	var a Approval
	if err := json.Unmarshal(data, &a); err != nil {
		return Approval{}, fmt.Errorf("%w: it is not the JSON of an approval", ErrRefused)
	}
	if a.Format != approvalFormat {
		return Approval{}, fmt.Errorf("%w: its format is %.60q, this bifrost knows %s",
			ErrRefused, a.Format, approvalFormat)
	}
	if err := a.check(); err != nil {
		return Approval{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if again, err := a.Encode(); err != nil || !bytes.Equal(again, data) {
		return Approval{}, fmt.Errorf("%w: its JSON is not written as approvals are", ErrRefused)
	}
	return a, nil
}

// signatureBytes is the size of a signature.
const signatureBytes = 64

// check errs unless every part of an approval has its form.
func (a Approval) check() error {
	if err := a.Subject.check(); err != nil {
		return err
	}
	if a.Expiry <= 0 {
		return errors.New("its expiry is no block")
	}
	if _, err := rawAddress(a.Approver); err != nil {
		return fmt.Errorf("its approver: %w", err)
	}
	if raw, err := unhex(a.Signature); err != nil || len(raw) != signatureBytes {
		return errors.New("its signature is not 64 bytes in hex")
	}
	return nil
}

func (s Subject) check() error {
	switch {
	case s.ChainID == "":
		return errors.New("it names no chain")
	case s.Epoch == 0:
		return errors.New("it names no epoch")
	}
	if key, err := types.ParseVault(s.Vault); err != nil || hex.EncodeToString(key) != s.Vault {
		return errors.New("its vault is no name of one")
	}
	if _, err := rawAddress(s.Member); err != nil {
		return fmt.Errorf("its member: %w", err)
	}
	return CheckRecipient(s.To)
}

// rawAddress decodes an address that is written as addresses are.
func rawAddress(text string) ([]byte, error) {
	prefix, raw, err := bech32.DecodeAndConvert(text)
	if err == nil && len(raw) == addressBytes {
		var again string
		if again, err = bech32.ConvertAndEncode(prefix, raw); err == nil && again == text {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("%.100q is not the address of an account", text)
}

// addressBytes is the size of an account's address.
const addressBytes = 20

func unhex(text string) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err == nil && hex.EncodeToString(raw) != text {
		err = errors.New("it is not in lower case")
	}
	return raw, err
}

// message is what an approval's signature is over; its parts have their form.
func (a Approval) message() []byte {
	pubKey, _ := hex.DecodeString(a.Vault)
	member, _ := rawAddress(a.Member)
	b := []byte(approvalFormat)
	b = appendLP(b, []byte(a.ChainID))
	b = appendLP(b, pubKey)
	b = binary.BigEndian.AppendUint64(b, a.Epoch)
	b = appendLP(b, member)
	b = appendLP(b, []byte(a.To))
	return binary.BigEndian.AppendUint64(b, uint64(a.Expiry))
}

// appendLP appends bytes behind their number.
func appendLP(b, part []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
}

// Expiry is the last block in which approvals agree: the first one that expires ends it. It is 0
// without any.
func Expiry(approvals []Approval) (first int64) {
	for _, a := range approvals {
		if first == 0 || a.Expiry < first {
			first = a.Expiry
		}
	}
	return first
}

// Approvers are the addresses of those who approve.
func Approvers(approvals []Approval) []string {
	all := []string{}
	for _, a := range approvals {
		all = append(all, a.Approver)
	}
	return all
}

// Verify makes sure that members of a vault, as its verified record of this height says, agree on
// an export: every approval is of a member, for exactly this export, of this epoch, and counts at
// this height, and they are at least the vault's threshold. Its error wraps [ErrRefused].
func Verify(v vault.Vault, s Subject, height int64, approvals []Approval) error {
	if err := s.fits(v); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	known := map[string]bool{}
	for _, a := range approvals {
		if err := a.verify(v, s, height); err != nil {
			return fmt.Errorf("%w: the approval of %.100s: %w", ErrRefused, a.Approver, err)
		}
		if known[a.Approver] {
			return fmt.Errorf("%w: %s approves twice, and counts once: leave one out",
				ErrRefused, a.Approver)
		}
		known[a.Approver] = true
	}
	if len(known) < int(v.Threshold) || v.Threshold == 0 {
		return fmt.Errorf("%w: %d members approve, and %d of %d are needed",
			ErrRefused, len(known), v.Threshold, len(v.Members))
	}
	return nil
}

// fits errs unless the subject is a member's keyshares of the vault's present epoch.
func (s Subject) fits(v vault.Vault) error {
	switch {
	case s.Vault != v.Name():
		return fmt.Errorf("it is of vault %.100s, not of %s", s.Vault, v.Name())
	case !v.IsLive():
		return fmt.Errorf("vault %s is not alive", v.Name())
	case s.Epoch != v.Epoch:
		return fmt.Errorf("it is of epoch %d, and the vault is in epoch %d: approve anew",
			s.Epoch, v.Epoch)
	}
	raw, err := rawAddress(s.Member)
	if err != nil {
		return err
	}
	if _, ok := v.Member(raw); !ok {
		return fmt.Errorf("%s is no member of the vault", s.Member)
	}
	return nil
}

func (a Approval) verify(v vault.Vault, s Subject, height int64) error {
	if err := a.check(); err != nil {
		return err
	}
	switch {
	case a.ChainID != s.ChainID:
		return fmt.Errorf("it is for chain %.60q, not for %.60q", a.ChainID, s.ChainID)
	case a.Vault != s.Vault:
		return fmt.Errorf("it is for vault %s", a.Vault)
	case a.Epoch != s.Epoch:
		return fmt.Errorf("it is for epoch %d, and the vault is in epoch %d", a.Epoch, s.Epoch)
	case a.Member != s.Member:
		return fmt.Errorf("it is for the keyshares of %s, not of %s", a.Member, s.Member)
	case a.To != s.To:
		return fmt.Errorf("it is for the wrapping key %s, not for %s", a.To, s.To)
	case a.Expiry < height:
		return fmt.Errorf("it has expired: it counted up to block %d, and this is %d",
			a.Expiry, height)
	case a.Expiry-height > MaxBlocks:
		return fmt.Errorf("it expires in block %d, which is more than %d blocks after block %d",
			a.Expiry, MaxBlocks, height)
	}
	raw, err := rawAddress(a.Approver)
	if err != nil {
		return err
	}
	m, ok := v.Member(raw)
	if !ok {
		return errors.New("who approves is no member of the vault")
	}
	signature, err := unhex(a.Signature)
	if err != nil || !signer.Verify(m.PubKey, a.message(), signature) {
		return errors.New("its signature is wrong")
	}
	return nil
}
