package keeper_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// compare checks that the chain is as the model says.
func (l *life) compare(rt *rapid.T) {
	t := l.t
	l.compareSigners()
	l.compareChurns()
	for _, k := range l.m.keygens {
		l.compareKeygen(k)
	}
	attempts := map[string]uint64{}
	require.NoError(t, l.c.k.Attempts.Walk(l.c.ctx, nil, func(key collections.Pair[uint64, []byte], n uint64) (bool, error) {
		require.LessOrEqual(t, n, uint64(types.MaxExemptAttempts))
		attempts[fmt.Sprint(key.K1(), bech(key.K2()))] = n
		return false, nil
	}))
	wantAttempts := map[string]uint64{}
	for _, k := range l.m.keygens {
		for address, n := range k.attempts {
			wantAttempts[fmt.Sprint(k.id, address)] = n
		}
	}
	require.Equal(t, wantAttempts, attempts)
	l.compareVaults()
}

func (l *life) compareSigners() {
	t := l.t
	for _, v := range l.vals {
		res, err := l.c.query.Signer(l.c.ctx, &types.QuerySignerRequest{Address: v.valoper()})
		require.NoError(t, err)
		require.Equal(t, v.account(), res.Signer.Address)
		want := l.m.sitOut[v]
		if l.m.height >= want {
			want = 0
		}
		require.Equal(t, want, res.Signer.SitsOutUntil)
	}
}

func (l *life) compareChurns() {
	t := l.t
	res, err := l.c.query.Churns(l.c.ctx, &types.QueryChurnsRequest{Pagination: &query.PageRequest{Limit: 1000}})
	require.NoError(t, err)
	require.Equal(t, l.m.next, res.NextChurnHeight)
	require.Len(t, res.Churns, len(l.m.churns))
	for i, want := range l.m.churns {
		got := res.Churns[i]
		require.Equal(t, want.status, got.Status)
		require.Equal(t, []int64{want.opened, want.deadline, want.closed}, []int64{got.OpenedHeight, got.Deadline, got.ClosedHeight})
		vaults := 0
		for _, v := range l.m.vaults {
			if v.keygen.churn == want {
				vaults++
			}
		}
		if got.Status == types.ChurnStatus_CHURN_STATUS_COMPLETE {
			require.Len(t, want.keygens, vaults, "all vaults of a churn become active")
		} else {
			require.Zero(t, vaults, "or none")
		}
	}
}

func (l *life) compareKeygen(k *modelKeygen) {
	t := l.t
	res, err := l.c.query.Keygen(l.c.ctx, &types.QueryKeygenRequest{Id: k.id})
	require.NoError(t, err)
	got := res.Keygen
	require.Equal(t, k.status, got.Status)
	require.Equal(t, []int{k.threshold, k.needed}, []int{int(got.Threshold), int(got.Needed)})
	require.Equal(t, []int64{k.churn.opened, k.churn.deadline, k.closed}, []int64{got.OpenedHeight, got.Deadline, got.ClosedHeight})
	require.Equal(t, k.blamed, got.Blamed)
	require.Equal(t, k.silent, got.Silent)
	vault := ""
	if k.vault != nil {
		vault = k.vault.name()
	}
	require.Equal(t, vault, got.Vault)
	require.Len(t, got.Members, len(k.members))
	for i, m := range got.Members {
		require.Equal(t, k.members[i], modelMember{m.Address, m.Asked})
		require.Equal(t, l.m.owner[m.Address].valoper(), m.Operator)
	}
	require.Len(t, got.Votes, len(k.votes))
	for _, vote := range got.Votes {
		want := k.votes[vote.Member]
		require.Equal(t, want.height, vote.Height)
		require.ElementsMatch(t, want.blamed, vote.Blamed)
		if want.vault != nil {
			require.Equal(t, want.vault.name(), vote.Vault)
			require.Equal(t, hex.EncodeToString(want.vault.pubKeyEd25519()), vote.PubKeyEd25519)
		}
		sha := ""
		if vote.Commitment != nil {
			sha = vote.Commitment.Sha256
		}
		require.Equal(t, want.sha, sha)
	}
}

func (l *life) compareVaults() {
	t := l.t
	var live [][]byte
	for _, v := range l.m.vaults {
		if v.live() {
			live = append(live, v.keys.pubKey())
		}
		res, err := l.c.query.Vault(l.c.ctx, &types.QueryVaultRequest{Vault: v.keys.name()})
		require.NoError(t, err)
		got := res.Vault
		require.Equal(t, v.status, got.Status)
		require.Equal(t, v.keygen.id, got.KeygenId)
		require.Equal(t, hex.EncodeToString(v.keys.pubKeyEd25519()), got.PubKeyEd25519)
		require.Equal(t, []int64{v.active, v.retiring, v.retired}, []int64{got.ActiveHeight, got.RetiringHeight, got.RetiredHeight})
		require.Len(t, got.Members, len(v.keygen.members))

		cov, err := l.c.query.Coverage(l.c.ctx, &types.QueryCoverageRequest{Vault: v.keys.name()})
		require.NoError(t, err)
		c := cov.Vaults[0]
		require.EqualValues(t, len(v.backups), c.Published)
		require.GreaterOrEqual(t, int(c.Published), v.keygen.needed, "no vault is active without its backups")
		require.True(t, c.Recoverable)
		for _, m := range c.List {
			var shas []string
			for _, commitment := range m.Commitments {
				shas = append(shas, commitment.Sha256)
			}
			require.Equal(t, v.backups[m.Address], shas)
			require.Equal(t, m.Asked && len(shas) == 0, slices.Contains(c.Missing, m.Address))
		}
	}
	item, err := l.c.k.LiveVaults.Get(l.c.ctx)
	if len(l.m.vaults) == 0 {
		require.True(t, errors.Is(err, collections.ErrNotFound))
		return
	}
	require.NoError(t, err)
	slices.SortFunc(live, bytes.Compare)
	require.Equal(t, live, item.PubKeys)
}
