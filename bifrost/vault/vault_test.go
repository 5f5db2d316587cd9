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
	require.True(t, k.MayDeal(member.Address()))
	require.False(t, k.MayDeal([]byte("a stranger")))
	require.Equal(t, 3, k.Deal)
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

// joinInfo is a join of a member that its secret names.
func joinInfo(t *testing.T, secret string) types.JoinInfo {
	member := secp256k1.GenPrivKeyFromSecret([]byte(secret)).PubKey()
	address, err := bech32.ConvertAndEncode("cosmos", member.Address())
	require.NoError(t, err)
	return types.JoinInfo{
		Member: address, Nonce: strings.Repeat("0a", 16), SessionKey: hex.EncodeToString(member.Bytes()),
	}
}

func TestTheSessionOfAReshare(t *testing.T) {
	stays, comes, leaves := joinInfo(t, "stays"), joinInfo(t, "comes"), joinInfo(t, "leaves")
	info := func() types.KeygenInfo {
		return types.KeygenInfo{
			Id: 7,
			Members: []types.MemberInfo{
				{Address: stays.Member, PubKey: stays.SessionKey}, {Address: comes.Member, PubKey: comes.SessionKey},
			},
			Reshare: &types.ReshareInfo{
				Vault: strings.Repeat("02", 33), Epoch: 4, Threshold: 2, Dealers: []string{stays.Member},
			},
			Session: &types.SessionInfo{
				Id: strings.Repeat("0b", 32), Attempt: 2,
				Members: []types.JoinInfo{stays, comes}, Dealers: []types.JoinInfo{leaves, stays},
			},
		}
	}
	k, err := KeygenFromInfo(info())
	require.NoError(t, err, "who dealt may have been excluded since")
	keys := k.Session.Keys()
	require.Len(t, keys, 3, "one that deals and is a member has one key")
	for i, j := range []types.JoinInfo{stays, comes, leaves} {
		require.Equal(t, j.SessionKey, hex.EncodeToString(keys[i]))
		address := secp256k1.PubKey{Key: keys[i]}
		_, ok := k.Session.Of(address.Address())
		require.True(t, ok)
	}
	for name, change := range map[string]func(i *types.KeygenInfo){
		"a member is missing": func(i *types.KeygenInfo) { i.Session.Members = i.Session.Members[:1] },
		"members are in another order": func(i *types.KeygenInfo) {
			i.Session.Members = []types.JoinInfo{comes, stays}
		},
		"a dealer is missing":                              func(i *types.KeygenInfo) { i.Session.Dealers = i.Session.Dealers[:1] },
		"a dealer is there twice":                          func(i *types.KeygenInfo) { i.Session.Dealers[1] = leaves },
		"there are dealers in a keygen that is no reshare": func(i *types.KeygenInfo) { i.Reshare = nil },
	} {
		t.Run(name, func(t *testing.T) {
			i := info()
			change(&i)
			_, err := KeygenFromInfo(i)
			require.ErrorContains(t, err, "keygen 7")
		})
	}
}
