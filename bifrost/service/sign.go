package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const messageDomain = "tssbackup/message/v1"

// MessageDigest is what a vault signs for a text: SHA-256 of "tssbackup/message/v1" || u32 length
// || text. It is never the hash of a transaction, whose bytes do not begin like this.
func MessageDigest(text string) []byte {
	b := []byte(messageDomain)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	sum := sha256.Sum256(append(b, text...))
	return sum[:]
}

const (
	// maxMessage is the longest text that is signed.
	maxMessage = 64 << 10
	// DefaultSignTimeout is how long a signing waits for the other signers.
	DefaultSignTimeout = 5 * time.Minute
)

// SignRequest asks for a signature of a text by a vault.
type SignRequest struct {
	Vault   string `json:"vault"`
	Message string `json:"message"`
	// Signers are the addresses of the members that sign, all when empty. Every one of them is
	// asked in the same way by its operator, within the timeout.
	Signers []string `json:"signers,omitempty"`
	// TimeoutSeconds is DefaultSignTimeout when 0.
	TimeoutSeconds int `json:"timeout_seconds,omitempty"`
}

// SignResult is a vault's two signatures.
type SignResult struct {
	Vault   string   `json:"vault"`
	Digest  string   `json:"digest"`
	Signers []string `json:"signers"`
	// Secp256k1 is R||S over the digest, Ed25519 RFC 8032 over it as the message.
	Secp256k1 Signature `json:"secp256k1"`
	Ed25519   Signature `json:"ed25519"`
}

// Signature is a signature with its key, both in hex.
type Signature struct {
	PubKey    string `json:"pub_key"`
	Signature string `json:"signature"`
}

var (
	errBadRequest = errors.New("bad request")
	errNotReady   = errors.New("bifrost is not ready to sign")
)

// sign joins both ceremonies of a signing.
func (s *service) sign(ctx context.Context, req SignRequest) (*SignResult, error) {
	s.mu.Lock()
	ready := s.tss
	s.mu.Unlock()
	if ready == nil {
		return nil, fmt.Errorf("%w: %s", errNotReady, s.terms.Status().Reason)
	}
	if len(req.Message) == 0 || len(req.Message) > maxMessage {
		return nil, fmt.Errorf("%w: a message of %d bytes", errBadRequest, len(req.Message))
	}
	timeout := DefaultSignTimeout
	if req.TimeoutSeconds > 0 {
		timeout = time.Duration(req.TimeoutSeconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	v, err := s.verifiedVault(ctx, req.Vault)
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", req.Vault, err)
	}
	signers, err := chooseSigners(v, s.cfg.Prefix, s.request.Address, req.Signers)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	digest := MessageDigest(req.Message)
	res := &SignResult{Vault: v.Name(), Digest: hex.EncodeToString(digest)}
	var keys [][]byte
	set := sha256.New()
	for _, m := range signers {
		res.Signers = append(res.Signers, m.address)
		keys = append(keys, m.pubKey)
		set.Write(m.pubKey)
	}
	set.Write(digest)
	set.Write([]byte(v.Name()))
	id := fmt.Sprintf("%s/message/%x", s.cfg.ChainID, set.Sum(nil)[:16])
	s.log.Info().Str("vault", v.Name()).Str("digest", res.Digest).Int("signers", len(signers)).
		Msg("joining the signing of a message")
	files, err := s.filesOf(v)
	if err != nil {
		return nil, err
	}
	defer keyfiles.Wipe(files)
	trust := s.trustParameters(ctx, v)
	for i, with := range []struct {
		curve  string
		key    []byte
		verify func(key, digest, signature []byte) bool
		out    *Signature
	}{
		{"secp256k1", v.PubKey, types.VerifySecp256k1, &res.Secp256k1},
		{"ed25519", v.PubKeyEd25519, types.VerifyEd25519, &res.Ed25519},
	} {
		signature, err := ready.Keysign(ctx, ceremony.KeysignRequest{
			ID: id + "/" + with.curve, Keyshare: files[i].Data, Signers: keys, Message: digest,
			TrustParameters: trust,
		})
		if err != nil {
			return nil, fmt.Errorf("signing with the vault's %s key: %w", with.curve, err)
		}
		if !with.verify(with.key, digest, signature) {
			return nil, fmt.Errorf(
				"the signature does not verify under the vault's %s key",
				with.curve,
			)
		}
		*with.out = Signature{
			PubKey: hex.EncodeToString(with.key), Signature: hex.EncodeToString(signature),
		}
	}
	return res, nil
}

// filesOf are this member's two keyshare files of a vault, the secp256k1 one first, which the
// caller wipes. Of one that was reshared, they are of its present epoch.
func (s *service) filesOf(v vault.Vault) ([]envelope.File, error) {
	files, err := keyfiles.Read(v, s.cfg.Prefix, s.keyshares.Load)
	if err != nil || len(v.Former) == 0 {
		return files, err
	}
	keys, err := keyfiles.Check(v, files, s.key.PubKey())
	if err != nil {
		keyfiles.Wipe(files)
		return nil, err
	}
	keys.Wipe()
	return files, nil
}

// chosen is a member that signs.
type chosen struct {
	address string
	pubKey  []byte
}

// chooseSigners are the vault's members with these addresses, in the order of their addresses; all
// without any.
func chooseSigners(v vault.Vault, prefix, self string, addresses []string) ([]chosen, error) {
	var signers []chosen
	for _, m := range v.Members {
		address, err := bech32.ConvertAndEncode(prefix, m.Address())
		if err != nil {
			return nil, err
		}
		if len(addresses) == 0 || slices.Contains(addresses, address) {
			signers = append(signers, chosen{address, m.PubKey})
		}
	}
	switch {
	case len(addresses) > 0 && len(signers) != len(addresses):
		return nil, errors.New(
			"not all of the signers are members of the vault, or one is named twice",
		)
	case len(signers) < int(v.Threshold):
		return nil, fmt.Errorf("%d signers, the vault needs %d", len(signers), v.Threshold)
	case !slices.ContainsFunc(signers, func(m chosen) bool { return m.address == self }):
		return nil, fmt.Errorf("%s, which this bifrost signs for, is not among the signers", self)
	}
	slices.SortFunc(signers, func(a, b chosen) int { return strings.Compare(a.address, b.address) })
	return signers, nil
}
