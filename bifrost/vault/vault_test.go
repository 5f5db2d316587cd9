package vault

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestFromInfoRefusesWhatTheModuleDoesNotShow(t *testing.T) {
	key, keyEd25519 := strings.Repeat("02", 33), strings.Repeat("03", 32)
	for name, tc := range map[string]struct {
		info types.VaultInfo
		says string
	}{
		"no name":       {types.VaultInfo{PubKeyEd25519: keyEd25519}, `the vault ""`},
		"a short name":  {types.VaultInfo{Vault: "02ab", PubKeyEd25519: keyEd25519}, `the vault "02ab" is not 33 bytes`},
		"no second key": {types.VaultInfo{Vault: key}, `the ed25519 key ""`},
		"a hash that is none": {
			types.VaultInfo{Vault: key, PubKeyEd25519: keyEd25519, SharesHash: "xy"}, `the shares hash "xy"`,
		},
		"a member's key that is none": {types.VaultInfo{
			Vault: key, PubKeyEd25519: keyEd25519, Members: []types.MemberInfo{{PubKey: "02"}},
		}, `the member's key "02"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := FromInfo(tc.info)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestKeygenFromInfo(t *testing.T) {
	member := secp256k1.GenPrivKeyFromSecret([]byte("m")).PubKey()
	address, err := bech32.ConvertAndEncode("cosmos", member.Address())
	require.NoError(t, err)
	key, keyEd25519 := strings.Repeat("02", 33), strings.Repeat("03", 32)
	k, err := KeygenFromInfo(types.KeygenInfo{
		Id: 7, OpenedHeight: 3, Deadline: 9, Threshold: 1,
		Members: []types.MemberInfo{{
			Address: address, PubKey: hex.EncodeToString(member.Bytes()), Asked: true,
			RecipientKey: keyEd25519, RecipientIndex: 2,
		}},
		Votes:  []types.VoteInfo{{Member: address, Height: 5, Vault: key, PubKeyEd25519: keyEd25519}},
		Silent: []string{address},
		Reshare: &types.ReshareInfo{
			Vault: key, Epoch: 4, Threshold: 3, Dealers: []string{address}, Excluded: []string{address},
		},
	})
	require.NoError(t, err)
	require.Equal(t, &types.Reshare{
		Vault: bytes.Repeat([]byte{2}, 33), Epoch: 4, Excluded: [][]byte{member.Address()},
	}, k.Reshare)
	m, recipient, ok := k.Member(member.Address())
	require.True(t, ok)
	require.Equal(t, types.Member{PubKey: member.Bytes(), Asked: true}, m)
	require.EqualValues(t, 2, recipient.Index)
	require.Equal(t, bytes.Repeat([]byte{2}, 33), k.VoteOf(member.Address()).Result.PubKey)
	require.Nil(t, k.VoteOf([]byte("a stranger")))
	require.Equal(t, [][]byte{member.Address()}, k.Silent)
	made := k.Makes(bytes.Repeat([]byte{2}, 33), bytes.Repeat([]byte{3}, 32))
	require.EqualValues(t, 7, made.Epoch)
	require.Equal(t, key, made.Name())

	_, err = KeygenFromInfo(types.KeygenInfo{Silent: []string{"nobody"}})
	require.ErrorContains(t, err, `address "nobody" is none`)
	_, err = KeygenFromInfo(types.KeygenInfo{Reshare: &types.ReshareInfo{Vault: "02"}})
	require.ErrorContains(t, err, `the vault "02"`)
}
