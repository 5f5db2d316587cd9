// Package ceremony holds what is asked of the ceremonies that a vault's members run together, and
// what comes of them: a keygen's request and its result, a reshare's and a signing's request, and
// the blame of those by whom a ceremony failed.
//
// Package tss runs ceremonies and package publish asks for them; neither imports the other. Members
// are named by the compressed public keys of their signers, 33 bytes, everywhere.
package ceremony

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
)

// KeygenRequest asks for a new vault. It is the same for all of its members.
type KeygenRequest struct {
	// ID names the keygen, the same in every attempt.
	ID string
	// Session is the attempt.
	Session Session
	// Left, if there is one, gives members that have joined the next attempt on chain while this
	// one runs. When all others have been told so, the attempt ends at once, with the blame of
	// those who left.
	Left <-chan []byte
	// Members are all members, the one who asks among them, in any order.
	Members [][]byte
	// Threshold is how many of them shall be able to sign, ⌈2n/3⌉ by design: at least 2.
	Threshold int
	// Keep makes this member's result durable, which is complete and checked but for the
	// certificate, and returns the 32 bytes that members sign for it: the same at all honest
	// members, of this session and this result. It is called once, when everything else has
	// succeeded, from another goroutine, and has to return before the context ends, with which the
	// round is over. Its error ends the attempt for this member, and nobody else is blamed for it.
	//
	// Keygen may fail after it, and others may have a certificate all the same: who kept its own
	// signature back has all of them. So what is kept has to stay until the keygen is over.
	Keep func(ctx context.Context, result KeygenResult) (digest []byte, err error)
	// Envelopes is set when the members hold each other's envelopes, in place of publishing them.
	Envelopes *Envelopes
}

// Envelopes are what members give each other to hold: each that is asked seals its own, all get
// all, and the Keep of each is given them with the result, before it returns what is signed.
type Envelopes struct {
	// Asked are the members that give one, not none, in any order.
	Asked [][]byte
	// Seal makes this member's, of a result that is complete and checked but for certificate and
	// envelopes, if it is one of those asked. It is called at most once, from another goroutine,
	// and has to return before the context ends. Its error ends the attempt for this member.
	Seal func(ctx context.Context, result KeygenResult) ([]byte, error)
	// Check errs when bytes are no envelope that a member holds for another one, who is named for
	// them. It says the same at all honest members, at any time.
	Check func(envelope []byte) error
}

// A Session is one attempt at a keygen, which has begun because all of its members joined it.
type Session struct {
	// ID is 32 bytes, the same for all members and for no other attempt.
	ID []byte
	// Keys are the members' session keys, compressed, in the order of the request's members.
	Keys [][]byte
	// Secret is the secret of this member's, 32 bytes. It is for this attempt alone.
	Secret []byte
}

// KeygenResult is a new vault, or one that has a new epoch, and one member's keyshares of it.
type KeygenResult struct {
	// Secp256k1 and Ed25519 are the vault's public keys, 33 and 32 bytes.
	Secp256k1, Ed25519 []byte
	// Files are the two keyshare files sorted by name, which puts the secp256k1 one first. They are
	// checked: of this vault and member, with numbers that fit together.
	Files []envelope.File
	// Certificate is what the members signed after each had kept its result: their signatures by
	// their signers' keys over what Keep returned, in the order of the request's members. Each is
	// 64 bytes, R and S, S the lower of the two possible.
	Certificate [][]byte
	// Envelopes are those that members hold for each other, in the order of Asked; nil without
	// [KeygenRequest.Envelopes].
	Envelopes [][]byte
}

// ReshareRequest asks that members of a vault's present epoch, its dealers, hand the vault's keys
// to the members of the next. It is the same for all who take part but for what is said to be of
// one.
type ReshareRequest struct {
	// KeygenRequest is what a keygen of the next epoch would be asked for: its members and its
	// threshold, and of each of them its Keep. Session has the keys of all who take part, in the
	// order of Taking.
	KeygenRequest
	// Epoch is the number of the next epoch.
	Epoch uint64
	// Secp256k1 and Ed25519 are the vault's public keys, 33 and 32 bytes. They stay.
	Secp256k1, Ed25519 []byte
	// From is the present epoch.
	From Epoch
	// Keyshares are a dealer's own two keyshare files of it. They are not changed.
	Keyshares []envelope.File
}

// An Epoch is one of a vault's as state has it, with those of its members who deal in a reshare.
type Epoch struct {
	// Number is that of the ceremony that made it.
	Number uint64
	// Members are all members.
	Members [][]byte
	// Threshold is how many of them sign together.
	Threshold int
	// Secp256k1 and Ed25519 are their public shares in the order of Members, 33 and 32 bytes each.
	Secp256k1, Ed25519 [][]byte
	// Dealers are as many of the members as Threshold says.
	Dealers [][]byte
}

// Taking are all who take part in the reshare: the next epoch's members, and then the dealers that
// are none.
func (r ReshareRequest) Taking() [][]byte {
	all := slices.Clone(r.Members)
	for _, d := range r.From.Dealers {
		if !slices.ContainsFunc(r.Members, func(m []byte) bool { return bytes.Equal(m, d) }) {
			all = append(all, d)
		}
	}
	return all
}

// KeysignRequest asks for a signature by a vault. All but Keyshare is the same for all of its
// signers.
type KeysignRequest struct {
	// ID names the ceremony. Two ceremonies at a time have two names, also for the two keys of one
	// vault.
	ID string
	// Keyshare is this member's keyshare file of the key that shall sign.
	Keyshare []byte
	// Signers are the members that sign: enough of the vault's, the one who asks among them, in any
	// order.
	Signers [][]byte
	// Message is what is signed: for secp256k1 a digest of 32 bytes, for ed25519 the message
	// itself, not empty.
	Message []byte
	// TrustParameters says that this member takes the others' Paillier moduli and ring-Pedersen
	// parameters as its keyshare file has them: because all members proved theirs in the keygen
	// that made it, or because the operator says so. Without it all signers prove theirs before
	// they sign with a secp256k1 key. For ed25519, which has none, it means nothing.
	TrustParameters bool
}

// A BlameError is the end of a ceremony that failed through the doing, or the silence, of some of
// its members.
type BlameError struct {
	// Members are those to blame, ascending, never empty. Where it cannot be told which of two
	// members failed the other, both are named.
	Members [][]byte
	// Reason tells what they did, or what they did not send.
	Reason string
}

func (e *BlameError) Error() string {
	names := make([]string, len(e.Members))
	for i, m := range e.Members {
		names[i] = hex.EncodeToString(m)
	}
	return fmt.Sprintf("%s (to blame: %s)", e.Reason, strings.Join(names, ", "))
}
