package keyfiles_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Secrets and group parts of version 1 are to give the same files for good. So the envelopes and
// group parts of the fixtures in testdata are frozen: -update writes those that are missing.
var update = flag.Bool("update", false, "write what testdata/split lacks")

const (
	split       = "testdata/split"
	frozenEpoch = 7
)

func TestFrozenSplitEnvelopes(t *testing.T) {
	words, err := os.ReadFile("../envelope/testdata/stock/mnemonic")
	require.NoError(t, err)
	mnemonic, err := sanity.ParseMnemonic(words)
	require.NoError(t, err)
	for _, size := range fixture.Sizes {
		for member := range fixture.Members(t, size) {
			t.Run(fmt.Sprintf("member %d of %d", member, size), func(t *testing.T) {
				dir := filepath.Join(split, fmt.Sprintf("n%d", size))
				path, groupPath := filepath.Join(dir, fmt.Sprintf("member%02d.age", member)), filepath.Join(dir, "group.json")
				files := fixture.Keyshares(t, size, member)
				want := [2][]byte{files[0].Data, files[1].Data}
				if *update {
					freeze(t, mnemonic, want, path, groupPath)
				}
				sealed, err := os.ReadFile(path)
				require.NoError(t, err)
				opened, err := envelope.Open(sealed, mnemonic)
				require.NoError(t, err)
				require.Len(t, opened, 1)
				require.True(t, envelope.IsSecretsName(opened[0].Name))
				secrets, err := sanity.ParseSecrets(opened[0].Data)
				require.NoError(t, err)
				data, err := os.ReadFile(groupPath)
				require.NoError(t, err)
				v, group, err := vault.ParseGroup(data)
				require.NoError(t, err)
				require.Equal(t, v.PubKey, secrets.PubKey)
				require.Equal(t, v.PubKeyEd25519, secrets.PubKeyEd25519)
				require.Equal(t, v.Epoch, secrets.Epoch)
				joined, err := keyshare.Join(secrets, v.MemberKeys(), group)
				require.NoError(t, err)
				require.Equal(t, want, joined)

				// Both are made in the same way to this day.
				again, part, err := keyshare.Split(want, frozenEpoch)
				require.NoError(t, err)
				require.Equal(t, group, part)
				file, err := again.Encode()
				require.NoError(t, err)
				require.Equal(t, string(opened[0].Data), string(file))
				kept, err := v.EncodeGroup(part)
				require.NoError(t, err)
				require.Equal(t, string(data), string(kept))
			})
		}
	}
}

// freeze writes the files that are not there.
func freeze(t *testing.T, mnemonic *sanity.Mnemonic, files [2][]byte, path, groupPath string) {
	secrets, group, err := keyshare.Split(files, frozenEpoch)
	require.NoError(t, err)
	share, err := keyshare.Parse(files[0])
	require.NoError(t, err)
	v := vault.Vault{PubKey: secrets.PubKey, Vault: types.Vault{PubKeyEd25519: secrets.PubKeyEd25519, Epoch: secrets.Epoch}}
	for _, key := range share.Participants() {
		v.Members = append(v.Members, types.Member{PubKey: key})
	}
	data, err := secrets.Encode()
	require.NoError(t, err)
	sealed, err := envelope.Seal([]envelope.File{{Name: secrets.FileName(), Data: data}}, mnemonic, envelope.WithWorkFactor(10))
	require.NoError(t, err)
	kept, err := v.EncodeGroup(group)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	for name, content := range map[string][]byte{path: sealed, groupPath: kept} {
		if _, err := os.Stat(name); err != nil {
			require.NoError(t, os.WriteFile(name, content, 0o644))
		}
	}
}
