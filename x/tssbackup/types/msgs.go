package types

import (
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"cosmossdk.io/core/address"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// ParseVault reads the name of a vault: its compressed secp256k1 key in lower-case hex. Whether it
// is a point of the curve is not checked.
func ParseVault(name string) ([]byte, error) {
	key, ok := decodeHex(name, PubKeySize)
	if !ok {
		return nil, ErrInvalidVault.Wrap("a vault is named by 66 lower-case hex digits")
	}
	return key, nil
}

// VaultName is the name of the vault with this compressed secp256k1 key.
func VaultName(pubKey []byte) string {
	return hex.EncodeToString(pubKey)
}

// decodeHex decodes exactly size bytes of lower-case hex.
func decodeHex(s string, size int) ([]byte, bool) {
	if len(s) != 2*size {
		return nil, false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil, false
		}
	}
	b, err := hex.DecodeString(s)
	return b, err == nil
}

// ParseResult reads the result of a vote: both keys in lower-case hex, each a strictly encoded
// point. The hash of a group part is not in it.
func (m *MsgTssPool) ParseResult() (Result, error) {
	pubKey, ok := decodeHex(m.PubKey, PubKeySize)
	if !ok {
		return Result{}, ErrInvalidResult.Wrap("pub_key is not 66 lower-case hex digits")
	}
	if err := CheckPubKey(pubKey); err != nil {
		return Result{}, ErrInvalidResult.Wrap(err.Error())
	}
	pubKeyEd25519, ok := decodeHex(m.PubKeyEd25519, PubKeyEd25519Size)
	if !ok {
		return Result{}, ErrInvalidResult.Wrap("pub_key_ed25519 is not 64 lower-case hex digits")
	}
	if err := CheckPubKeyEd25519(pubKeyEd25519); err != nil {
		return Result{}, ErrInvalidResult.Wrap(err.Error())
	}
	result := Result{PubKey: pubKey, PubKeyEd25519: pubKeyEd25519}
	if m.PublicShares != nil {
		if m.PublicShares.IsEmpty() {
			return Result{}, ErrInvalidShares.Wrap("there is none")
		}
		result.SharesHash = m.PublicShares.Hash(pubKey, pubKeyEd25519)
	}
	return result, nil
}

// ParseBlame reads the raw addresses that a blame names, which are members without the voter, each
// once, or none. A blame comes with nothing else.
func (m *MsgTssPool) ParseBlame(
	voter sdk.AccAddress,
	members []Member,
	codec address.Codec,
) ([][]byte, error) {
	if m.PubKey != "" || m.PubKeyEd25519 != "" || len(m.KeysharesBackup) != 0 ||
		len(m.Certificate) != 0 || m.PublicShares != nil || len(m.Proof) != 0 ||
		len(m.Group) != 0 || len(m.GroupHash) != 0 ||
		len(m.Envelopes) != 0 || len(m.EnvelopesHash) != 0 {
		return nil, ErrInvalidBlame.Wrap("a blame comes with nothing else")
	}
	if len(m.Blame.Reason) > MaxBlameReason || !utf8.ValidString(m.Blame.Reason) {
		return nil, ErrInvalidBlame.Wrapf("reason is not at most %d bytes of UTF-8", MaxBlameReason)
	}
	if len(m.Blame.Members) >= len(members) {
		return nil, ErrInvalidBlame.Wrap("more are blamed than there are other members")
	}
	// open are those who can still be named.
	open := make(map[string]bool, len(members))
	for _, member := range members {
		open[string(member.Address())] = true
	}
	delete(open, string(voter))
	blamed := make([][]byte, len(m.Blame.Members))
	for i, bech := range m.Blame.Members {
		addr, err := codec.StringToBytes(bech)
		if err != nil {
			return nil, ErrInvalidBlame.Wrapf("member %d: %s", i+1, err)
		}
		if !open[string(addr)] {
			return nil, ErrInvalidBlame.Wrapf(
				"member %d is the voter, named twice, or not in the keygen",
				i+1,
			)
		}
		delete(open, string(addr))
		blamed[i] = addr
	}
	return blamed, nil
}

// Address is the account address of the member's signer.
func (m Member) Address() sdk.AccAddress {
	return SignerAddress(m.PubKey)
}

// FindMember finds the member with this raw account address.
func FindMember(members []Member, addr []byte) (Member, bool) {
	for _, m := range members {
		if m.Address().Equals(sdk.AccAddress(addr)) {
			return m, true
		}
	}
	return Member{}, false
}

// Key is all of a result, one after the other: two results are the same when both keys, all public
// shares and all envelopes that the members hold are.
func (r Result) Key() string {
	return string(r.PubKey) + string(r.PubKeyEd25519) + string(r.SharesHash) + "/" +
		string(r.EnvelopesHash)
}

// IsLive reports whether the vault is not retired.
func (v Vault) IsLive() bool {
	return v.Status == VaultStatus_VAULT_STATUS_ACTIVE ||
		v.Status == VaultStatus_VAULT_STATUS_RETIRING
}

// MaxProofBytes bounds a transaction without a fee: the bytes of a proof and, for each of so many
// members, of public shares and of a signature in the certificate.
func MaxProofBytes(members int) uint64 {
	return uint64(verenc.MaxProofSize(2)) + (256+SignatureSize)*uint64(members)
}

// CheckClaim checks what a claim says beside its term: a nonce of its size, and addresses that can
// be printed.
func CheckClaim(nonce []byte, addresses string) error {
	if len(nonce) != ClaimNonceSize {
		return fmt.Errorf("a nonce of %d bytes, not %d", len(nonce), ClaimNonceSize)
	}
	if len(addresses) > MaxAddresses {
		return fmt.Errorf("addresses of %d bytes, more than %d", len(addresses), MaxAddresses)
	}
	for i, c := range []byte(addresses) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("byte %d of the addresses is no printable ASCII character", i+1)
		}
	}
	return nil
}

// Exemption is what the ante handler learns of a vote, a join, a check, a publication or a claim
// that may pass without a fee.
type Exemption struct {
	// KeygenID is the keygen whose attempts of the member are counted.
	KeygenID uint64
	// Member is the account that votes or publishes.
	Member sdk.AccAddress
	// Envelope is empty for a blame and for the vote of a member that is not asked. Otherwise its
	// form is still to be checked.
	Envelope []byte
	// Small reports whether it is a join, a check or a claim, which are counted apart.
	Small bool
	// Claim reports whether it is a claim, which is about no keygen.
	Claim bool
	// Heartbeat reports whether it is a heartbeat, of which those in a window are counted.
	Heartbeat bool
	// Members is how many members' public shares and signatures the message carries, or proves by,
	// or joins it may make a session of; 0 when none.
	Members int
	// CarriesGroup reports whether the message has the group part of so many members, and
	// NamesGroup whether it has the hash of one instead.
	CarriesGroup, NamesGroup bool
}

// MaxBytes is how long a transaction with the message may be beyond its envelope and what stands
// around every message.
func (e Exemption) MaxBytes() uint64 {
	switch {
	case e.NamesGroup:
		return MaxProofBytes(0)
	case e.CarriesGroup:
		return MaxProofBytes(e.Members) + uint64(e.Members)*sanity.GroupMemberBytes
	}
	return MaxProofBytes(e.Members)
}

// MaxGas is what a transaction with the message may use beyond the gas for its size and its
// signature.
func (e Exemption) MaxGas() uint64 {
	switch {
	case e.Heartbeat:
		return HeartbeatGas(e.Members)
	case e.NamesGroup:
		return NamingVoteGas
	case e.CarriesGroup:
		return CarryingVoteGas(e.Members)
	}
	return VoteGas(e.Members)
}
