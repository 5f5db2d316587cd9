package keyfiles

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// splitVault is a vault with split keyshares, as its record has it, its group part, and the files
// of its members, who are in the order of their keys.
func splitVault(t *testing.T) (v vault.Vault, group []byte, files [][]envelope.File) {
	vaults, all, members := deal(t)
	v, files = vaults[0], all[0]
	byKey := func(a, b types.Member) int { return slices.Compare(a.PubKey, b.PubKey) }
	slices.SortFunc(v.Members, byKey)
	v.Split = true
	keys, err := Check(v, files[0], members[0])
	require.NoError(t, err)
	defer keys.Wipe()
	group, err = keys.GroupPart()
	require.NoError(t, err)
	v.SharesHash, err = v.GroupHash(group)
	require.NoError(t, err)
	return v, group, files
}

func TestEveryMembersFilesComeBackFromItsSecretsAndTheGroupPart(t *testing.T) {
	v, group, files := splitVault(t)
	for _, own := range files {
		file, err := SecretsFile(v, own, group)
		require.NoError(t, err)
		require.Less(t, len(file.Data), 1400)
		require.True(t, envelope.IsSecretsName(file.Name), file.Name)
		found, ok := FindSecrets([]envelope.File{file})
		require.True(t, ok)
		require.Equal(t, file, found)
		joined, err := Join(v, file, group)
		require.NoError(t, err)
		require.Equal(t, own, joined)
	}
	_, ok := FindSecrets(files[0])
	require.False(t, ok, "whole keyshares")
}

func TestTheGroupPartIsTheSameFromEachMember(t *testing.T) {
	vaults, files, members := deal(t)
	var first []byte
	for i, own := range files[0] {
		keys, err := Check(vaults[0], own, members[i])
		require.NoError(t, err)
		group, err := keys.GroupPart()
		require.NoError(t, err)
		keys.Wipe()
		if first == nil {
			first = group
		}
		require.Equal(t, first, group)
		require.Len(t, group, 3*sanity.GroupMemberBytes)
	}
}

func TestWhatCannotBeSplitIsSaid(t *testing.T) {
	v, group, files := splitVault(t)
	renamed := slices.Clone(files[0])
	renamed[0].Name = renamed[1].Name
	spaced := slices.Clone(files[0])
	spaced[1].Data = append(slices.Clone(spaced[1].Data), ' ')
	other := slices.Clone(group)
	other[len(other)-1]++
	for _, row := range []struct {
		name  string
		files []envelope.File
		group []byte
	}{
		{"another name than the key's", renamed, group},
		{"other bytes than go-tss writes", spaced, group},
		{"another group part than the members'", files[0], other},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := SecretsFile(v, row.files, row.group)
			require.ErrorIs(t, err, keyshare.ErrNotSplit)
		})
	}
}

func TestSecretsAreJoinedForTheirVaultAlone(t *testing.T) {
	v, group, files := splitVault(t)
	file, err := SecretsFile(v, files[0], group)
	require.NoError(t, err)
	vaults, _, _ := deal(t)
	later, otherGroup, damaged := v, slices.Clone(group), file
	later.Epoch++
	otherGroup[40]++
	damaged.Data = slices.Clone(file.Data)
	damaged.Data[len(damaged.Data)/2] ^= 1
	for _, row := range []struct {
		name  string
		v     vault.Vault
		file  envelope.File
		group []byte
	}{
		{"another vault", vaults[1], file, group},
		{"another epoch", later, file, group},
		{"another group part", v, file, otherGroup},
		{"a part of the group part", v, file, group[:len(group)-1]},
		{"no group part", v, file, nil},
		{"damaged secrets", v, damaged, group},
	} {
		t.Run(row.name, func(t *testing.T) {
			joined, err := Join(row.v, row.file, row.group)
			require.ErrorIs(t, err, ErrKeyshares)
			require.Nil(t, joined)
		})
	}
}
