package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"cosmossdk.io/core/address"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// MaxHeldEnvelope is the largest envelope that members hold, in bytes.
	MaxHeldEnvelope = 512 << 10
	// EnvelopeEntryBytes is how much a list of envelopes that members hold has for each.
	EnvelopeEntryBytes = HashSize + 8

	envelopesDomain = "tssbackup/envelopes/v1"
	receiptDomain   = "tssbackup/receipt/v1"
)

// HeldRules are the bounds of an envelope that members hold, which each of them checks with
// sanity.CheckEnvelopeForm before it signs for it. They are no parameters: all members come to the
// same verdict at any height, and consensus refuses nothing that they have signed for.
func HeldRules() sanity.EnvelopeRules {
	return sanity.EnvelopeRules{
		MaxBytes: MaxHeldEnvelope, MinWorkFactor: 1, MaxWorkFactor: sanity.MaxWorkFactor,
	}
}

// Held is the commitment to an envelope that members hold, without a height. It does not check the
// envelope's form.
func Held(envelope []byte) Commitment {
	sum := sha256.Sum256(envelope)
	return Commitment{
		Sha256: sum[:], Size_: uint64(len(envelope)), Placement: Placement_PLACEMENT_MEMBERS,
	}
}

// Word is the placement as tools and pages say it: vote or members.
func (p Placement) Word() string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "PLACEMENT_"))
}

// IsHeld reports whether the members hold the envelope: no block and no archive has it.
func (c Commitment) IsHeld() bool { return c.Placement == Placement_PLACEMENT_MEMBERS }

// IsHeld reports whether the members hold each other's envelopes.
func (k Keygen) IsHeld() bool { return k.Placement == Placement_PLACEMENT_MEMBERS }

// IsHeld reports whether the members of the present epoch hold each other's envelopes.
func (v Vault) IsHeld() bool { return v.Placement == Placement_PLACEMENT_MEMBERS }

// EncodeEnvelopes lists the envelopes that members hold as a vote carries them: of each asked
// member, in the order of the keygen's members, the SHA-256 in 32 bytes and the size in 8,
// big-endian.
func EncodeEnvelopes(envelopes []Commitment) []byte {
	b := make([]byte, 0, len(envelopes)*EnvelopeEntryBytes)
	for _, c := range envelopes {
		b = append(b, c.Sha256...)
		b = binary.BigEndian.AppendUint64(b, c.Size_)
	}
	return b
}

// ParseEnvelopes reads what EncodeEnvelopes wrote of the envelopes of so many asked members. The
// commitments have no height. It wraps ErrInvalidEnvelopes.
func ParseEnvelopes(b []byte, asked int) ([]Commitment, error) {
	if asked < 1 || len(b) != asked*EnvelopeEntryBytes {
		return nil, ErrInvalidEnvelopes.Wrapf("%d bytes are not %d for each of %d asked members",
			len(b), EnvelopeEntryBytes, asked)
	}
	envelopes := make([]Commitment, asked)
	for i := range envelopes {
		entry := b[i*EnvelopeEntryBytes : (i+1)*EnvelopeEntryBytes]
		size := binary.BigEndian.Uint64(entry[HashSize:])
		if err := checkHeldSize(size); err != nil {
			return nil, ErrInvalidEnvelopes.Wrapf("entry %d: %s", i+1, err)
		}
		envelopes[i] = Commitment{
			Sha256:    bytes.Clone(entry[:HashSize]),
			Size_:     size,
			Placement: Placement_PLACEMENT_MEMBERS,
		}
	}
	return envelopes, nil
}

// EnvelopesHash names a list of envelopes, as EncodeEnvelopes wrote it, in results and votes: 32
// bytes.
func EnvelopesHash(envelopes []byte) []byte {
	sum := sha256.Sum256(append([]byte(envelopesDomain), envelopes...))
	return sum[:]
}

func checkHeldSize(size uint64) error {
	if size < 1 || size > MaxHeldEnvelope {
		return fmt.Errorf("an envelope of %d bytes, not of 1 to %d", size, MaxHeldEnvelope)
	}
	return nil
}

// Envelope is the entry of a member in the certificate of a keygen with these members, given by its
// raw address. ok is false where the envelopes are in the votes, and for who is not asked.
func (c Certificate) Envelope(members []Member, address []byte) (envelope Commitment, ok bool) {
	i := 0
	for _, m := range members {
		if !m.Asked || i == len(c.Envelopes) {
			continue
		}
		if bytes.Equal(m.Address(), address) {
			return c.Envelopes[i], true
		}
		i++
	}
	return Commitment{}, false
}

// CountAsked is how many of the members are asked to publish.
func CountAsked(members []Member) int {
	asked := 0
	for _, m := range members {
		if m.Asked {
			asked++
		}
	}
	return asked
}

// ReceiptMessage is what a member signs, as a digest of 32 bytes, to say that it holds an envelope
// of this hash and size, of another member of this epoch, who is given by its raw address.
func ReceiptMessage(
	chainID string, epoch uint64, publisher, sha256Sum []byte, size uint64,
) []byte {
	b := appendLP([]byte(receiptDomain), []byte(chainID))
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = appendLP(b, publisher)
	b = append(b, sha256Sum...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, size))
	return sum[:]
}

// CheckReceiptCount reports by its error whether so many receipts come with the publication of a
// member of an epoch of so many members: with the one who publishes, who holds the envelope too, a
// threshold has it. Not more can come than there are other members. It wraps ErrInvalidReceipts.
func CheckReceiptCount(receipts, members int, threshold uint32) error {
	if least := int(threshold) - 1; receipts < least || receipts >= members {
		return ErrInvalidReceipts.Wrapf("%d of them, not %d to %d", receipts, least, members-1)
	}
	return nil
}

// CheckReceipts checks whether each receipt is of another one of the members, and of none of them
// the publisher's, who is given by its raw address, and signed over the message. It verifies a
// signature for each, and wraps ErrInvalidReceipts.
func CheckReceipts(
	receipts []Receipt, message, publisher []byte, members []Member, codec address.Codec,
) error {
	// open are the keys of those who have given none.
	open := make(map[string][]byte, len(members))
	for _, m := range members {
		open[string(m.Address())] = m.PubKey
	}
	delete(open, string(publisher))
	for i, r := range receipts {
		addr, err := codec.StringToBytes(r.Member)
		if err != nil {
			return ErrInvalidReceipts.Wrapf("receipt %d: %s", i+1, err)
		}
		pubKey, ok := open[string(addr)]
		if !ok {
			return ErrInvalidReceipts.Wrapf(
				"receipt %d is of who publishes, of who gave one, or of no member", i+1)
		}
		delete(open, string(addr))
		if !VerifySecp256k1(pubKey, message, r.Signature) {
			return ErrInvalidReceipts.Wrapf("receipt %d is not signed by its member", i+1)
		}
	}
	return nil
}

// checkCommitment checks a commitment to an envelope with this placement.
func checkCommitment(c Commitment, p Placement) error {
	if len(c.Sha256) != HashSize || c.Size_ == 0 || c.Height < 0 || c.Placement != p {
		return errors.New("invalid commitment")
	}
	if c.IsHeld() {
		return checkHeldSize(c.Size_)
	}
	return nil
}

// checkEnvelopes checks the envelopes of a certificate of a keygen.
func (c Certificate) checkEnvelopes(k Keygen) error {
	if !k.IsHeld() {
		if len(c.Envelopes) != 0 {
			return errors.New("envelopes that no members hold")
		}
		return nil
	}
	if len(c.Envelopes) != CountAsked(k.Members) {
		return errors.New("it does not have the envelopes of all asked members")
	}
	for _, e := range c.Envelopes {
		if err := checkCommitment(e, k.Placement); err != nil || e.Height != 0 {
			return errors.New("an envelope is malformed")
		}
	}
	if !bytes.Equal(EnvelopesHash(EncodeEnvelopes(c.Envelopes)), c.Result.EnvelopesHash) {
		return errors.New("its envelopes are not those of the result")
	}
	return nil
}

// checkPlacement errs unless it is one of those that there are.
func checkPlacement(p Placement) error {
	switch p {
	case Placement_PLACEMENT_VOTE, Placement_PLACEMENT_MEMBERS:
		return nil
	}
	return errors.New("no such placement")
}
