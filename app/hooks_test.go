package app_test

import (
	"context"
	"testing"

	"cosmossdk.io/depinject"
	"cosmossdk.io/log/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// toldHooks write down that they were told.
type toldHooks string

var told []string

func (h toldHooks) AfterVaultActive(context.Context, []byte, types.Vault) error { return nil }

func (h toldHooks) AfterEpochActive(context.Context, []byte, types.Vault) error { return nil }

func (h toldHooks) AfterVaultRetired(context.Context, []byte, types.Vault) error {
	told = append(told, string(h))
	return nil
}

func (h toldHooks) AfterKeygenFailed(context.Context, uint64, []types.HookMember, []types.HookMember) error {
	return nil
}

func (h toldHooks) AfterHeartbeatMissed(context.Context, types.HookMember, uint64, uint64) error {
	return nil
}

func hooks(name string) types.TssbackupHooksWrapper {
	return types.TssbackupHooksWrapper{TssbackupHooks: toldHooks(name)}
}

// ProvideTreasury and ProvideSlashes are what modules do. depinject takes exported functions alone.
func ProvideTreasury() types.TssbackupHooksWrapper { return hooks("treasury") }
func ProvideSlashes() types.TssbackupHooksWrapper  { return hooks("slashes") }

func TestHooksThatAnAppGivesRun(t *testing.T) {
	treasury := depinject.ProvideInModule("treasury", ProvideTreasury)
	slashes := depinject.ProvideInModule("slashes", ProvideSlashes)
	supply := depinject.Supply(hooks("supplied"))
	tests := []struct {
		name   string
		config depinject.Config
		set    func(k *keeper.Keeper)
		want   []string
		err    string
	}{
		{name: "the app has none"},
		{name: "the app supplies them", config: supply, want: []string{"supplied"}},
		{name: "a module provides them", config: treasury, want: []string{"treasury"}},
		{
			name:   "modules provide them, in the order of their names",
			config: depinject.Configs(treasury, slashes),
			want:   []string{"slashes", "treasury"},
		},
		{
			name: "they are set on the keeper",
			set:  func(k *keeper.Keeper) { k.SetHooks(hooks("set")) },
			want: []string{"set"},
		},
		{
			name: "they are set on a copy of the keeper",
			set: func(k *keeper.Keeper) {
				theirs := *k
				theirs.SetHooks(hooks("set"))
			},
			want: []string{"set"},
		},
		{
			name:   "a module provides them and the app supplies them too",
			config: depinject.Configs(treasury, supply),
			err:    "TssbackupHooksWrapper",
		},
		{
			name:   "the app supplies them and a module provides them too",
			config: depinject.Configs(supply, treasury),
			err:    "TssbackupHooksWrapper",
		},
		{
			name:   "the app supplies them twice",
			config: depinject.Configs(supply, depinject.Supply(hooks("again"))),
			err:    "TssbackupHooksWrapper",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			configs := []depinject.Config{app.Config(), depinject.Supply(log.NewNopLogger(), sims.AppOptionsMap{})}
			if tt.config != nil {
				configs = append(configs, tt.config)
			}
			var (
				builder *runtime.AppBuilder
				k       *keeper.Keeper
			)
			// Without options: those of Inject leave files behind when it fails.
			err := depinject.InjectDebug(depinject.DebugOptions(), depinject.Configs(configs...), &builder, &k)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			a := builder.Build(dbm.NewMemDB())
			if tt.set != nil {
				tt.set(k)
			}
			require.NoError(t, a.Load(true))

			ctx := a.NewContextLegacy(true, cmtproto.Header{Height: 7})
			require.NoError(t, k.Params.Set(ctx, types.DefaultParams()))
			vault := network.NewVault("retiring").PubKey()
			require.NoError(t, k.Vaults.Set(ctx, vault, types.Vault{Status: types.VaultStatus_VAULT_STATUS_RETIRING}))
			require.NoError(t, k.RetireVault(ctx, vault))
			require.Equal(t, tt.want, told)
			if tt.want != nil {
				require.Panics(t, func() { k.SetHooks(hooks("late")) }, "hooks are not lost")
			}
		})
	}
}
