package network

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Vault is a vault whose whole keys the test holds, so that it can cast votes
// without a keygen.
type Vault struct {
	Secp256k1 *secp256k1.PrivateKey
	Ed25519   ed25519.PrivateKey
}

// NewVault makes the vault that follows from the name.
func NewVault(name string) Vault {
	seed := sha256.Sum256([]byte("tssbackup/testutil/network/vault/" + name))
	return Vault{
		Secp256k1: secp256k1.PrivKeyFromBytes(seed[:]),
		Ed25519:   ed25519.NewKeyFromSeed(seed[:]),
	}
}

// Name is the vault's name on chain.
func (v Vault) Name() string {
	return hex.EncodeToString(v.Secp256k1.PubKey().SerializeCompressed())
}

// Vote is the vote of a member for this vault, with the vault's signatures, the public
// shares of all members, given by their compressed public keys, and beside an envelope
// the proof that its member can open what it shares.
func (v Vault) Vote(chainID string, keygenID uint64, members [][]byte, member Account, envelope []byte) *types.MsgTssPool {
	pubKey := v.Secp256k1.PubKey().SerializeCompressed()
	pubKeyEd25519 := v.Ed25519.Public().(ed25519.PublicKey)
	check := types.CheckMessage(chainID, keygenID, pubKey, pubKeyEd25519)
	// A compact signature is a byte for recovery and R||S with low S.
	signature := ecdsa.SignCompact(v.Secp256k1, check, true)[1:]
	vote := &types.MsgTssPool{
		Signer:           member.Bech32(),
		KeygenId:         keygenID,
		PubKey:           hex.EncodeToString(pubKey),
		PubKeyEd25519:    hex.EncodeToString(pubKeyEd25519),
		KeysharesBackup:  envelope,
		Signature:        signature,
		SignatureEd25519: ed25519.Sign(v.Ed25519, check),
		PublicShares:     &v.deal(members).Public,
	}
	if len(envelope) > 0 && slices.ContainsFunc(members, func(m []byte) bool { return bytes.Equal(m, member.Key.PubKey().Bytes()) }) {
		vote.Proof = v.Prove(chainID, keygenID, members, member)
	}
	return vote
}

// Prove is the proof of a member for this vault.
func (v Vault) Prove(chainID string, keygenID uint64, members [][]byte, member Account) []byte {
	dealt := v.deal(members)
	key := member.Recipient(0)
	st, ok := dealt.Public.Statement(chainID, keygenID, v.Secp256k1.PubKey().SerializeCompressed(),
		v.Ed25519.Public().(ed25519.PublicKey), member.Address(), key.Public())
	if !ok {
		panic("the account is no member")
	}
	proof, err := verenc.Prove(key, st, dealt.Shares(member.Key.PubKey().Bytes()))
	if err != nil {
		panic(err)
	}
	return proof
}

func (v Vault) deal(members [][]byte) *dealer.Dealt {
	return dealer.Deal(v.Secp256k1, v.Ed25519, members)
}

// Members are the compressed public keys of a keygen's members.
func (n *Network) Members(keygenID uint64) [][]byte {
	n.t.Helper()
	res, err := n.Query().Keygen(context.Background(), &types.QueryKeygenRequest{Id: keygenID})
	require.NoError(n.t, err)
	var keys [][]byte
	for _, m := range res.Keygen.Members {
		key, err := hex.DecodeString(m.PubKey)
		require.NoError(n.t, err)
		keys = append(keys, key)
	}
	return keys
}

// Seal makes an envelope of a file of this size, which does not compress, for the
// member, with the least work. Each call gives another envelope.
func Seal(t testing.TB, member Account, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(member.Mnemonic))).Read(data)
	return SealFiles(t, member, fixture.File{Name: "localstate-test.json", Data: data})
}

// SealFiles makes an envelope of these files, as Seal does.
func SealFiles(t testing.TB, member Account, files ...fixture.File) []byte {
	t.Helper()
	mnemonic, err := sanity.ParseMnemonic([]byte(member.Mnemonic))
	require.NoError(t, err)
	var in []envelope.File
	for _, f := range files {
		in = append(in, envelope.File{Name: f.Name, Data: f.Data})
	}
	sealed, err := envelope.Seal(in, mnemonic, envelope.WithWorkFactor(minWorkFactor))
	require.NoError(t, err)
	return sealed
}
