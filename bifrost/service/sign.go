package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const messageDomain = "tssbackup/message/v1"

// MessageDigest is what a vault signs for a text: SHA-256 of
// "tssbackup/message/v1" || u32 length || text. It is never the hash of a
// transaction, whose bytes do not begin like this.
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
	// Signers are the addresses of the members that sign, all when empty. Every
	// one of them is asked in the same way by its operator, within the timeout.
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
		return nil, errNotReady
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

	vault, err := s.chain.Vault(ctx, req.Vault)
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", req.Vault, err)
	}
	signers, err := chooseSigners(vault, s.request.Address, req.Signers)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	digest := MessageDigest(req.Message)
	res := &SignResult{Vault: vault.Vault, Digest: hex.EncodeToString(digest)}
	var keys [][]byte
	set := sha256.New()
	for _, m := range signers {
		res.Signers = append(res.Signers, m.Address)
		key, err := hex.DecodeString(m.PubKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		set.Write(key)
	}
	set.Write(digest)
	set.Write([]byte(vault.Vault))
	id := fmt.Sprintf("%s/message/%x", s.cfg.ChainID, set.Sum(nil)[:16])
	s.log.Info().Str("vault", vault.Vault).Str("digest", res.Digest).Int("signers", len(signers)).
		Msg("joining the signing of a message")
	for _, with := range []struct {
		curve keyshare.Curve
		key   string
		out   *Signature
	}{
		{keyshare.Secp256k1, vault.Vault, &res.Secp256k1},
		{keyshare.Ed25519, vault.PubKeyEd25519, &res.Ed25519},
	} {
		*with.out, err = s.signWith(ctx, ready, with.curve, with.key, id, keys, digest)
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

func (s *service) signWith(
	ctx context.Context, node *tss.Node, curve keyshare.Curve, key, id string, signers [][]byte,
	digest []byte,
) (Signature, error) {
	raw, err := hex.DecodeString(key)
	if err != nil {
		return Signature{}, err
	}
	encode, verify := keyshare.EncodeSecp256k1, types.VerifySecp256k1
	if curve == keyshare.Ed25519 {
		encode, verify = keyshare.EncodeEd25519, types.VerifyEd25519
	}
	name, err := encode(s.cfg.Prefix, raw)
	if err != nil {
		return Signature{}, err
	}
	file, err := s.keyshares.Load(keyshare.FileName(name))
	if err != nil {
		return Signature{}, err
	}
	signature, err := node.Keysign(ctx, ceremony.KeysignRequest{
		ID: id + "/" + curve.String(), Keyshare: file, Signers: signers, Message: digest,
	})
	if err != nil {
		return Signature{}, fmt.Errorf("signing with the vault's %s key: %w", curve, err)
	}
	if !verify(raw, digest, signature) {
		return Signature{}, fmt.Errorf("the signature does not verify under the vault's %s key", curve)
	}
	return Signature{PubKey: key, Signature: hex.EncodeToString(signature)}, nil
}

// chooseSigners are the vault's members with these addresses, in the order of
// their addresses; all without any.
func chooseSigners(vault types.VaultInfo, self string, addresses []string) ([]types.MemberInfo, error) {
	var signers []types.MemberInfo
	for _, m := range vault.Members {
		if len(addresses) == 0 || slices.Contains(addresses, m.Address) {
			signers = append(signers, m)
		}
	}
	switch {
	case len(addresses) > 0 && len(signers) != len(addresses):
		return nil, errors.New("not all of the signers are members of the vault, or one is named twice")
	case len(signers) < int(vault.Threshold):
		return nil, fmt.Errorf("%d signers, the vault needs %d", len(signers), vault.Threshold)
	case !slices.ContainsFunc(signers, func(m types.MemberInfo) bool { return m.Address == self }):
		return nil, fmt.Errorf("%s, which this bifrost signs for, is not among the signers", self)
	}
	sort.Slice(signers, func(i, j int) bool { return signers[i].Address < signers[j].Address })
	return signers, nil
}
