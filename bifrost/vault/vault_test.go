package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// deal makes two vaults of the same three members, and the files of each member.
func deal(t *testing.T) (vaults [2]Vault, files [2][][]envelope.File, members [][]byte) {
	for i := range 3 {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "vault member ", i))
		members = append(members, key.PubKey().Bytes())
	}
	for i := range vaults {
		dealt := dealer.NewVault(fmt.Sprint("vault ", i), "cosmos", members)
		vaults[i] = Vault{PubKey: dealt.Keys.Secp256k1, Vault: types.Vault{
			PubKeyEd25519: dealt.Keys.Ed25519, Epoch: uint64(i + 1),
		}}
		for _, m := range members {
			vaults[i].Members = append(vaults[i].Members, types.Member{PubKey: m, Asked: true})
		}
		for _, of := range dealt.Files {
			files[i] = append(files[i], []envelope.File{
				{Name: of[0].Name, Data: of[0].Data}, {Name: of[1].Name, Data: of[1].Data},
			})
		}
	}
	return vaults, files, members
}

func TestCheck(t *testing.T) {
	vaults, files, members := deal(t)
	own, v := files[0][0], vaults[0]
	names, err := v.FileNames("cosmos")
	require.NoError(t, err)
	require.Equal(t, [2]string{own[0].Name, own[1].Name}, names)

	swapped := []envelope.File{
		{Name: own[0].Name, Data: own[1].Data}, {Name: own[1].Name, Data: own[0].Data},
	}
	for name, tc := range map[string]struct {
		files []envelope.File
		says  string
	}{
		"both files":                     {own, ""},
		"both files, the other way":      {[]envelope.File{own[1], own[0]}, ""},
		"no file":                        {nil, "the secp256k1 keyshare is missing"},
		"one file":                       {own[:1], "the ed25519 keyshare is missing"},
		"one file twice":                 {[]envelope.File{own[0], own[0]}, "two keyshares of the vault's secp256k1 key"},
		"another vault's files":          {files[1][0], "of another vault"},
		"one file of another vault":      {[]envelope.File{own[0], files[1][0][1]}, "of another vault"},
		"a third file":                   {append(slices.Clone(own), files[1][0][0]), "of another vault"},
		"another member's files":         {files[0][1], "another member's"},
		"each file under the other name": {swapped, "it holds the keyshare of"},
		"a file of zeros":                {[]envelope.File{{Name: own[0].Name, Data: make([]byte, 600)}, own[1]}, own[0].Name},
		"a file that is cut off":         {[]envelope.File{{Name: own[0].Name, Data: own[0].Data[:600]}, own[1]}, own[0].Name},
	} {
		t.Run(name, func(t *testing.T) {
			keyshares, err := v.Check(tc.files, members[0])
			if tc.says != "" {
				require.ErrorIs(t, err, ErrKeyshares)
				require.ErrorContains(t, err, tc.says)
				return
			}
			require.NoError(t, err)
			defer keyshares.Wipe()
			require.Equal(t, own, keyshares.Files)
			shares, err := keyshares.PublicShares()
			require.NoError(t, err)
			require.NoError(t, shares.CheckForm(v.Epoch, v.Members))
			require.NoError(t, shares.Check(v.PubKey, v.PubKeyEd25519))
			secret, err := keyshares.Shares()
			require.NoError(t, err)
			require.Len(t, secret, 2)
		})
	}
}

func TestCheckWithAMemberFewerInTheRecord(t *testing.T) {
	vaults, files, members := deal(t)
	v := vaults[0]
	v.Members = v.Members[:2]
	_, err := v.Check(files[0][0], members[0])
	require.ErrorIs(t, err, ErrKeyshares)
	require.ErrorContains(t, err, "of 3 members, not 2")
}

func TestFileNamesOfAKeyThatIsNoPoint(t *testing.T) {
	vaults, _, _ := deal(t)
	v := vaults[0]
	v.PubKeyEd25519 = []byte("short")
	_, err := v.FileNames("cosmos")
	require.ErrorContains(t, err, v.Name())
}

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
	})
	require.NoError(t, err)
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
}
