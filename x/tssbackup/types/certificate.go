package types

import (
	"crypto/sha256"
)

const doneDomain = "tssbackup/done/v1"

// DoneMessage is what a member signs, as a digest of 32 bytes, once it has kept its keyshares of a
// result, and the others' envelopes where the members hold them: that it is done in the session
// with this id. Of the result the shares hash and the envelopes hash may be empty.
func DoneMessage(session []byte, result Result) []byte {
	b := appendLP([]byte(doneDomain), session)
	b = appendLP(b, result.PubKey)
	b = appendLP(b, result.PubKeyEd25519)
	b = appendLP(b, result.SharesHash)
	if len(result.EnvelopesHash) != 0 {
		b = appendLP(b, result.EnvelopesHash)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// CheckCertificate checks whether a certificate, as a vote carries it, has the signature of each
// member over the DoneMessage of the session and the result. It wraps ErrInvalidCertificate.
func CheckCertificate(certificate, session []byte, result Result, members []Member) error {
	if len(certificate) != SignatureSize*len(members) {
		return ErrInvalidCertificate.Wrapf(
			"it does not have %d bytes for each of %d members", SignatureSize, len(members))
	}
	done := DoneMessage(session, result)
	for i, m := range members {
		signature := certificate[SignatureSize*i : SignatureSize*(i+1)]
		if !VerifySecp256k1(m.PubKey, done, signature) {
			return ErrInvalidCertificate.Wrapf(
				"member %d has not signed for this result in the latest session", i+1)
		}
	}
	return nil
}

// IsChecked reports whether the vault has shown that it can sign.
func (c Certificate) IsChecked() bool { return len(c.Signature) != 0 }

// The time of a keygen has sixteen parts. Nine are for joining, of which every restart needs a
// little, and four for the longest attempt. In one part the certificate finds its block, and in the
// last two the vault signs, or the keygen is voted to have failed. Each keeps the order of the
// deadlines when it is as short as minKeygenDeadline allows.
const (
	deadlineParts    = 16
	joinParts        = 9
	attemptParts     = 13
	certificateParts = 14
)

// JoinDeadline is the last block in which an attempt at the keygen can begin.
func (k Keygen) JoinDeadline() int64 { return k.part(joinParts) }

// AttemptDeadline is the last block in which a member sends a certificate that it has just
// obtained: what it sends then is in a block before the CertificateDeadline.
func (k Keygen) AttemptDeadline() int64 { return k.part(attemptParts) }

// CertificateDeadline is the last block in which a first certificate can come to stand. After it,
// and only without one, members vote that the keygen has failed. So no member can be left behind:
// by the certificate that one of them keeps to itself, or shows too late.
func (k Keygen) CertificateDeadline() int64 { return k.part(certificateParts) }

func (k Keygen) part(n int64) int64 {
	return k.OpenedHeight + (k.Deadline-k.OpenedHeight)*n/deadlineParts
}
