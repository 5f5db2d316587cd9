package keyfiles

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// deal makes two vaults of the same three members, and the files of each member.
func deal(t *testing.T) (vaults [2]vault.Vault, files [2][][]envelope.File, members [][]byte) {
	for i := range 3 {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "vault member ", i))
		members = append(members, key.PubKey().Bytes())
	}
	for i := range vaults {
		dealt := dealer.NewVault(fmt.Sprint("vault ", i), "cosmos", members)
		vaults[i] = vault.Vault{PubKey: dealt.Keys.Secp256k1, Vault: types.Vault{
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
	names, err := Names(v, "cosmos")
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
			keyshares, err := Check(v, tc.files, members[0])
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
	_, err := Check(v, files[0][0], members[0])
	require.ErrorIs(t, err, ErrKeyshares)
	require.ErrorContains(t, err, "of 3 members, not 2")
}

func TestFileNamesOfAKeyThatIsNoPoint(t *testing.T) {
	vaults, _, _ := deal(t)
	v := vaults[0]
	v.PubKeyEd25519 = []byte("short")
	_, err := Names(v, "cosmos")
	require.ErrorContains(t, err, v.Name())
}

// All epochs of a vault have its keys, and may have the same members.
func TestKeysharesOfAnotherEpoch(t *testing.T) {
	vaults, files, members := deal(t)
	v, own := vaults[0], files[0][0]
	keys, err := Check(v, own, members[0])
	require.NoError(t, err)
	defer keys.Wipe()
	shares, err := keys.PublicShares()
	require.NoError(t, err)
	v.Former = []types.FormerEpoch{{Epoch: 1, Threshold: 2}}
	v.SharesHash = shares.Hash(v.PubKey, v.PubKeyEd25519)
	present, err := Check(v, own, members[0])
	require.NoError(t, err, "of the present one")
	present.Wipe()

	v.SharesHash = make([]byte, types.HashSize)
	_, err = Check(v, own, members[0])
	require.ErrorIs(t, err, ErrKeyshares)
	require.ErrorIs(t, err, ErrOtherEpoch)
	require.ErrorContains(t, err, "in epoch 1")

	v.Members = v.Members[:2]
	_, err = Check(v, own, members[0])
	require.ErrorIs(t, err, ErrOtherEpoch, "of other members")
	_, err = Check(v, files[1][0], members[0])
	require.ErrorIs(t, err, ErrKeyshares)
	require.NotErrorIs(t, err, ErrOtherEpoch, "of another vault")
}
