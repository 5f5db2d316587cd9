package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Vault is a vault whose whole keys the test holds, so that it can cast votes without a keygen.
type Vault struct{ dealer.PrivateKeys }

// NewVault makes the vault that follows from the name.
func NewVault(name string) Vault { return Vault{dealer.NewPrivateKeys(name)} }

// Prove is the proof of a member for this vault.
func (v Vault) Prove(chainID string, keygenID uint64, members [][]byte, member Account) []byte {
	dealt := v.Deal(members)
	key := member.Recipient(0)
	st, ok := dealt.Public.Statement(chainID, keygenID, v.PubKey(), v.PubKeyEd25519(),
		member.Address(), key.Public())
	if !ok {
		panic("the account is no member")
	}
	proof, err := verenc.Prove(key, st, dealt.Shares(member.Key.PubKey().Bytes()))
	if err != nil {
		panic(err)
	}
	return proof
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

// Seal makes an envelope of a file of this size, which does not compress, for the member, with the
// least work. Each call gives another envelope.
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
	sealed, err := envelope.Seal(in, mnemonic, envelope.WithWorkFactor(MinWorkFactor))
	require.NoError(t, err)
	return sealed
}
