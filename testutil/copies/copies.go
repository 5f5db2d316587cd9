// Package copies gives a chain more vaults than it has made, for what depends on how many there
// are.
package copies

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Vaults writes copies of a chain's first live vault into its state, each with keys and an epoch of
// its own, until that many are alive. What is long and looks random in the state of a vault is
// other random bytes in each copy, so that nothing gets smaller by being there twice. It returns
// the envelopes of the copies' backups.
func Vaults(t testing.TB, ctx sdk.Context, k *keeper.Keeper, vaults int) (envelopes [][]byte) {
	t.Helper()
	random := rand.NewChaCha8(sha256.Sum256([]byte("copies")))
	filled := func(length int) []byte {
		raw := make([]byte, length)
		_, err := random.Read(raw)
		require.NoError(t, err)
		return raw
	}
	live, err := k.LiveVaults.Get(ctx)
	require.NoError(t, err)
	vault, err := k.Vaults.Get(ctx, live.Vaults[0].PubKey)
	require.NoError(t, err)
	for i := len(live.Vaults); i < vaults; i++ {
		of, copied := vault, live.Vaults[0]
		keys := dealer.NewPrivateKeys(fmt.Sprint("copy ", i))
		copied.PubKey = keys.Secp256k1.PubKey().SerializeCompressed()
		copied.Epoch = 1_000_000 + uint64(i)
		vault.Epoch = copied.Epoch
		require.NoError(t, k.Vaults.Set(ctx, copied.PubKey, vault))
		live.Vaults = append(live.Vaults, copied)

		from := collections.Join(of.Epoch, of.SharesHash)
		to := collections.Join(copied.Epoch, of.SharesHash)
		if of.Split {
			group, err := k.Groups.Get(ctx, from)
			require.NoError(t, err)
			parameters, err := k.GroupParameters.Get(ctx, from)
			require.NoError(t, err)
			group.Points = filled(len(group.Points))
			require.NoError(t, k.Groups.Set(ctx, to, group))
			require.NoError(t, k.GroupParameters.Set(ctx, to, filled(len(parameters))))
		} else {
			shares, err := k.PublicShares.Get(ctx, from)
			require.NoError(t, err)
			for _, list := range [][]types.PublicShare{shares.Secp256k1, shares.Ed25519} {
				for i := range list {
					list[i].Point = filled(len(list[i].Point))
				}
			}
			require.NoError(t, k.PublicShares.Set(ctx, to, shares))
		}
		for _, m := range of.Members {
			from := collections.Join(of.Epoch, []byte(m.Address()))
			to := collections.Join(copied.Epoch, []byte(m.Address()))
			backup, err := k.Backups.Get(ctx, from)
			require.NoError(t, err)
			envelope := filled(int(backup.First.Size_))
			sum := sha256.Sum256(envelope)
			envelopes = append(envelopes, envelope)
			backup.First.Sha256, backup.Latest = sum[:], nil
			require.NoError(t, k.Backups.Set(ctx, to, backup))
			proof, err := k.Proofs.Get(ctx, from)
			require.NoError(t, err)
			proof.Stored = filled(len(proof.Stored))
			require.NoError(t, k.Proofs.Set(ctx, to, proof))
		}
	}
	require.NoError(t, k.LiveVaults.Set(ctx, live))
	return envelopes
}
