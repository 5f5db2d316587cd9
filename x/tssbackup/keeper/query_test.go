package keeper_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestQueriesSayWhatIsWrong(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	q, ctx := c.query, context.Context(c.ctx)
	stranger := bech(newValidator(99).addr())
	tests := []struct {
		name string
		code codes.Code
		call func() (any, error)
	}{
		{"a churn that does not exist", codes.NotFound, func() (any, error) { return q.Churn(ctx, &types.QueryChurnRequest{Id: 9}) }},
		{"a keygen that does not exist", codes.NotFound, func() (any, error) { return q.Keygen(ctx, &types.QueryKeygenRequest{}) }},
		{"a vault that does not exist", codes.NotFound, func() (any, error) {
			return q.Vault(ctx, &types.QueryVaultRequest{Vault: newVault("x").name()})
		}},
		{"the coverage of a vault that does not exist", codes.NotFound, func() (any, error) {
			return q.Coverage(ctx, &types.QueryCoverageRequest{Vault: newVault("x").name()})
		}},
		{"a vault by a bech32 key", codes.InvalidArgument, func() (any, error) {
			return q.Vault(ctx, &types.QueryVaultRequest{Vault: "cosmospub1addwnpepq"})
		}},
		{"a vault in upper case", codes.InvalidArgument, func() (any, error) {
			return q.Vault(ctx, &types.QueryVaultRequest{Vault: strings.ToUpper(vault.name())})
		}},
		{"the proofs of a vault that has none", codes.NotFound, func() (any, error) {
			return q.Proofs(ctx, &types.QueryProofsRequest{Vault: vault.name()})
		}},
		{"the proofs of a vault that does not exist", codes.NotFound, func() (any, error) {
			return q.Proofs(ctx, &types.QueryProofsRequest{Vault: newVault("x").name()})
		}},
		{"the proofs of a name out of form", codes.InvalidArgument, func() (any, error) {
			return q.Proofs(ctx, &types.QueryProofsRequest{Vault: "zz"})
		}},
		{"the group part of a vault that is not split", codes.NotFound, func() (any, error) {
			return q.Group(ctx, &types.QueryGroupRequest{Vault: vault.name()})
		}},
		{"the group part of a vault that does not exist", codes.NotFound, func() (any, error) {
			return q.Group(ctx, &types.QueryGroupRequest{Vault: newVault("x").name()})
		}},
		{"the group part of a name out of form", codes.InvalidArgument, func() (any, error) {
			return q.Group(ctx, &types.QueryGroupRequest{Vault: "zz"})
		}},
		{"a stranger's proof", codes.NotFound, func() (any, error) {
			return q.Proof(ctx, &types.QueryProofRequest{Vault: vault.name(), Member: stranger})
		}},
		{"the proof of a member out of form", codes.InvalidArgument, func() (any, error) {
			return q.Proof(ctx, &types.QueryProofRequest{Vault: vault.name(), Member: "x"})
		}},
		{"no vault", codes.InvalidArgument, func() (any, error) { return q.Vault(ctx, &types.QueryVaultRequest{}) }},
		{"the coverage of a name out of form", codes.InvalidArgument, func() (any, error) {
			return q.Coverage(ctx, &types.QueryCoverageRequest{Vault: "zz"})
		}},
		{"a stranger's backup", codes.NotFound, func() (any, error) {
			return q.Backup(ctx, &types.QueryBackupRequest{Vault: vault.name(), Member: stranger})
		}},
		{"the backup of a member out of form", codes.InvalidArgument, func() (any, error) {
			return q.Backup(ctx, &types.QueryBackupRequest{Vault: vault.name(), Member: vals[0].valoper()})
		}},
		{"the backup of a vault out of form", codes.InvalidArgument, func() (any, error) {
			return q.Backup(ctx, &types.QueryBackupRequest{Member: stranger})
		}},
		{"a stranger's signer", codes.NotFound, func() (any, error) { return q.Signer(ctx, &types.QuerySignerRequest{Address: stranger}) }},
		{"the signer of a validator without one", codes.NotFound, func() (any, error) {
			return q.Signer(ctx, &types.QuerySignerRequest{Address: newValidator(99).valoper()})
		}},
		{"the signer of no address", codes.InvalidArgument, func() (any, error) { return q.Signer(ctx, &types.QuerySignerRequest{}) }},
		{"the vaults of a member out of form", codes.InvalidArgument, func() (any, error) {
			return q.Vaults(ctx, &types.QueryVaultsRequest{Member: "x"})
		}},
		{"no request", codes.InvalidArgument, func() (any, error) { return q.Params(ctx, nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.call()
			require.Equal(t, tt.code, status.Code(err), "%v", err)
			require.NotContains(t, err.Error(), "collections", "it is said in the words of the caller")
		})
	}
}

func TestQuerySigner(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	former := vals[1].account()
	vals[1].signer = signerKey("new")
	c.mustRun(vals[1].register())
	for _, address := range []string{vals[1].valoper(), vals[1].account(), former} {
		res, err := c.query.Signer(c.ctx, &types.QuerySignerRequest{Address: address})
		require.NoError(t, err)
		require.Equal(t, vals[1].account(), res.Signer.Address)
		require.Equal(t, vals[1].valoper(), res.Signer.Operator)
	}
	page := &query.PageRequest{Limit: 2}
	res, err := c.query.Signers(c.ctx, &types.QuerySignersRequest{Pagination: page})
	require.NoError(t, err)
	require.Len(t, res.Signers, 2)
	rest, err := c.query.Signers(c.ctx, &types.QuerySignersRequest{Pagination: &query.PageRequest{Key: res.Pagination.NextKey}})
	require.NoError(t, err)
	require.Len(t, rest.Signers, 1)
}

func TestQueryVaultsAndKeygens(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	names := make([]string, 3)
	for i := range names {
		vault := newVault(string(rune('a' + i)))
		names[i] = vault.name()
		// The last validator is in the first vault alone.
		vals[3].bonded = i == 0
		c.complete(c.startChurn()[0], vault)
	}
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: names[0]})
	c.startChurn()

	vaults := func(status types.VaultStatus, member string) []string {
		res, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Status: status, Member: member})
		require.NoError(t, err)
		var list []string
		for _, v := range res.Vaults {
			list = append(list, v.Vault)
		}
		return list
	}
	const unset = types.VaultStatus_VAULT_STATUS_UNSPECIFIED
	require.ElementsMatch(t, names[1:], vaults(unset, ""))
	require.ElementsMatch(t, names[1:], vaults(unset, vals[0].account()))
	require.Empty(t, vaults(unset, vals[3].account()))
	require.Equal(t, names[:1], vaults(types.VaultStatus_VAULT_STATUS_RETIRED, vals[3].account()))
	require.Equal(t, names[1:2], vaults(types.VaultStatus_VAULT_STATUS_RETIRING, ""))
	require.Equal(t, names[2:], vaults(types.VaultStatus_VAULT_STATUS_ACTIVE, ""))

	keygens := func(status types.KeygenStatus) []types.KeygenInfo {
		res, err := c.query.Keygens(c.ctx, &types.QueryKeygensRequest{Status: status})
		require.NoError(t, err)
		return res.Keygens
	}
	require.Len(t, keygens(types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED), 4)
	require.Len(t, keygens(open), 1)
	done := keygens(ready)
	require.Len(t, done, 3)
	require.Equal(t, names[0], done[0].Vault)
	require.Len(t, done[0].Members, 4, "a keygen shows its members after the vault has them")
	require.Empty(t, done[0].Votes)
}
