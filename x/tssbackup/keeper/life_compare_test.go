package keeper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// compare checks that the chain is as the model says.
func (l *life) compare(rt *rapid.T) {
	t := l.t
	l.compareSigners()
	l.compareTerms()
	l.compareChurns()
	var told, epochs []string
	for _, call := range l.hooks.calls {
		if strings.HasPrefix(call, "failed ") {
			told = append(told, call)
		}
		if strings.HasPrefix(call, "epoch ") {
			epochs = append(epochs, call)
		}
	}
	require.Equal(t, l.m.told, told, "hooks are told once of each failed try, and of no other keygen")
	require.Equal(t, l.m.epochsBegun, epochs, "and once of each reshare that was complete")
	votes := 0
	for _, k := range l.m.keygens {
		l.compareKeygen(k)
		if !k.deleted {
			votes += len(k.votes)
		}
	}
	require.NoError(t, l.c.k.Votes.Walk(l.c.ctx, nil, func(collections.Pair[uint64, []byte], types.Vote) (bool, error) {
		votes--
		return false, nil
	}))
	require.Zero(t, votes, "the votes of keygens in state, and no others")
	l.compareIndexes()
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
	clear(attempts)
	require.NoError(t, l.c.k.JoinAttempts.Walk(l.c.ctx, nil, func(key collections.Pair[uint64, []byte], n uint64) (bool, error) {
		require.LessOrEqual(t, n, uint64(types.MaxExemptJoins))
		attempts[fmt.Sprint(key.K1(), bech(key.K2()))] = n
		return false, nil
	}))
	clear(wantAttempts)
	certified, waiting := 0, 0
	for _, k := range l.m.keygens {
		for address, n := range k.smalls {
			wantAttempts[fmt.Sprint(k.id, address)] = n
		}
		if k.certificate != nil {
			certified++
		}
		if k.attempt > 0 || len(k.joined) > 0 {
			waiting++
		}
	}
	require.Equal(t, wantAttempts, attempts)
	require.NoError(t, l.c.k.Certificates.Walk(l.c.ctx, nil, func(uint64, types.Certificate) (bool, error) {
		certified--
		return false, nil
	}))
	require.Zero(t, certified, "the certificates of keygens whose vaults are not active yet, and no others")
	require.NoError(t, l.c.k.Sessions.Walk(l.c.ctx, nil, func(uint64, types.Session) (bool, error) {
		waiting--
		return false, nil
	}))
	require.Zero(t, waiting, "and so the sessions")
	l.compareVaults()
	l.compareKept()
}

// compareKept checks that nodes keep what is on chain, of the open churn and of the vaults that are
// not retired, and nothing that members hold.
func (l *life) compareKept() {
	var want []string
	if c := l.m.open(); c != nil {
		for _, k := range c.keygens {
			for _, vote := range k.votes {
				if vote.sha != "" && !k.held {
					want = append(want, vote.sha)
				}
			}
		}
	}
	for _, v := range l.m.vaults {
		for _, e := range v.epochs() {
			if !v.live() || e.keygen.held || e.over != 0 || e.ended != 0 && v.graceUntil == 0 {
				continue
			}
			for _, shas := range e.backups {
				want = append(want, shas...)
			}
		}
	}
	require.ElementsMatch(l.t, want, l.c.kept())
}

// compareIndexes checks that what is found by an index is what there is.
func (l *life) compareIndexes() {
	t := l.t
	all := &query.PageRequest{Limit: 1000}
	for s := range types.KeygenStatus_name {
		status := types.KeygenStatus(s)
		if status == types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
			continue
		}
		var want, got []uint64
		for _, k := range l.m.keygens {
			if k.status == status && !k.deleted {
				want = append(want, k.id)
			}
		}
		res, err := l.c.query.Keygens(l.c.ctx, &types.QueryKeygensRequest{Status: status, Pagination: all})
		require.NoError(t, err)
		for _, k := range res.Keygens {
			got = append(got, k.Id)
		}
		require.Equal(t, want, got)
	}
	histories := map[string][]uint64{}
	epochs := map[uint64]*modelEpoch{}
	for _, e := range l.m.epochs() {
		epochs[e.keygen.id] = e
		for _, m := range e.keygen.members {
			histories[m.address] = append(histories[m.address], e.keygen.id)
		}
	}
	for address := range l.m.owner {
		var got []uint64
		res, err := l.c.query.History(l.c.ctx, &types.QueryHistoryRequest{Member: address, Pagination: all})
		require.NoError(t, err)
		for _, m := range res.History {
			got = append(got, m.Epoch)
			v, e := l.m.vaultNamed(m.Vault), epochs[m.Epoch]
			require.Contains(t, v.epochs(), e)
			require.Equal(t, v.status, m.Status)
			require.Equal(t, []int64{v.active, v.retiring, v.retired}, []int64{m.ActiveHeight, m.RetiringHeight, m.RetiredHeight})
			require.Equal(t, e.ended, m.EndedHeight)
			member, ok := e.keygen.member(address)
			require.True(t, ok)
			require.Equal(t, member.asked, m.Asked)
			require.Len(t, m.Commitments, len(e.backups[address]))
			require.Equal(t, e.proven[address], m.Proven)
		}
		slices.Sort(histories[address])
		require.Equal(t, histories[address], got)
	}
	var over, found []string
	for _, v := range l.m.vaults {
		for _, e := range v.former {
			if e.over != 0 {
				over = append(over, fmt.Sprint(e.over, e.keygen.id, v.keys.name()))
			}
		}
		if !v.live() {
			over = append(over, fmt.Sprint(v.retired, v.keygen.id, v.keys.name()))
		}
	}
	require.NoError(t, l.c.k.Retirements.Walk(l.c.ctx, nil, func(key collections.Pair[uint64, uint64], pubKey []byte) (bool, error) {
		found = append(found, fmt.Sprint(key.K1(), key.K2(), types.VaultName(pubKey)))
		return false, nil
	}))
	require.ElementsMatch(t, over, found, "the retired vaults, and the epochs that are over")
}

func (l *life) compareSigners() {
	t := l.t
	for _, v := range l.vals {
		res, err := l.c.query.Signer(l.c.ctx, &types.QuerySignerRequest{Address: v.valoper()})
		require.NoError(t, err)
		require.Equal(t, v.account(), res.Signer.Address)
		until := l.m.sitOut[v].until
		if l.m.height >= until {
			until = 0
		}
		require.Equal(t, until, res.Signer.SitsOutUntil)
		require.EqualValues(t, l.m.faults(v), res.Signer.Faults)
	}
}

func (l *life) compareChurns() {
	t := l.t
	res, err := l.c.query.Churns(l.c.ctx, &types.QueryChurnsRequest{Pagination: &query.PageRequest{Limit: 1000}})
	require.NoError(t, err)
	require.Equal(t, l.m.next, res.NextChurnHeight)
	kept := slices.DeleteFunc(slices.Clone(l.m.churns), func(c *modelChurn) bool { return c.deleted })
	require.Len(t, res.Churns, len(kept))
	for i, want := range kept {
		got := res.Churns[i]
		require.Equal(t, want.status, got.Status)
		require.Equal(t, []int64{want.opened, want.deadline, want.closed}, []int64{got.OpenedHeight, got.Deadline, got.ClosedHeight})
		require.Equal(t, idsOf(want.keygens), got.KeygenIds)
		require.Equal(t, idsOf(want.failed), got.FailedIds)
		vaults := 0
		for _, e := range l.m.epochs() {
			if e.keygen.churn == want {
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

// idsOf are the numbers of keygens, in ascending order.
func idsOf(keygens []*modelKeygen) []uint64 {
	var ids []uint64
	for _, k := range keygens {
		ids = append(ids, k.id)
	}
	slices.Sort(ids)
	return ids
}

func (l *life) compareKeygen(k *modelKeygen) {
	t := l.t
	res, err := l.c.query.Keygen(l.c.ctx, &types.QueryKeygenRequest{Id: k.id})
	if k.deleted {
		require.Equal(t, codes.NotFound, status.Code(err))
		return
	}
	require.NoError(t, err)
	got := res.Keygen
	require.Equal(t, k.status, got.Status)
	require.Equal(t, []int{k.threshold, k.needed}, []int{int(got.Threshold), int(got.Needed)})
	require.Equal(t, []int64{k.opened, k.deadline, k.closed}, []int64{got.OpenedHeight, got.Deadline, got.ClosedHeight})
	require.EqualValues(t, k.try, got.Try)
	require.Equal(t, k.held, got.Placement == members)
	require.Equal(t, k.blamed, got.Blamed)
	require.Equal(t, k.silent, got.Silent)
	vault := ""
	if k.vault != nil {
		vault = k.vault.name()
	}
	require.Equal(t, vault, got.Vault)
	require.Len(t, got.Members, len(k.members))
	for i, m := range got.Members {
		want := k.members[i]
		require.Equal(t, []any{want.address, want.asked}, []any{m.Address, m.Asked})
		require.Equal(t, l.m.owner[m.Address].valoper(), m.Operator)
		if k.status == types.KeygenStatus_KEYGEN_STATUS_OPEN {
			require.Equal(t, want.recipient, m.RecipientIndex)
			key := dealer.RecipientKey(want.key.PubKey, want.recipient).Public()
			require.Equal(t, hex.EncodeToString(key), m.RecipientKey, "it is frozen")
		}
		if k.status == types.KeygenStatus_KEYGEN_STATUS_FAILED {
			require.Empty(t, m.RecipientKey, "nothing is kept of a failed keygen's proofs")
		}
	}
	l.compareReshare(k, got)
	l.compareCeremony(k, got)
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
		require.Equal(t, k.held && sha != "", vote.Commitment != nil && vote.Commitment.Placement == members)
		require.Equal(t, want.shares, vote.SharesHash != "")
		require.Equal(t, want.proven && k.status != types.KeygenStatus_KEYGEN_STATUS_FAILED, vote.Proven)
	}
}

// compareReshare checks what is shown of who hands which vault over.
func (l *life) compareReshare(k *modelKeygen, got types.KeygenInfo) {
	t := l.t
	require.Equal(t, k.reshares != nil, got.Reshare != nil)
	if k.reshares == nil {
		return
	}
	require.Equal(t, []any{k.reshares.keys.name(), k.deals.id}, []any{got.Reshare.Vault, got.Reshare.Epoch})
	require.EqualValues(t, k.deals.threshold, got.Reshare.Threshold)
	var able []string
	for _, m := range k.able() {
		able = append(able, m.address)
	}
	require.Equal(t, able, got.Reshare.Dealers)
	require.Equal(t, k.idle, got.Reshare.Excluded)
	require.GreaterOrEqual(t, len(able), k.deals.threshold, "enough may deal")
}

// compareCeremony checks what is shown of the attempts at a keygen, and of their result.
func (l *life) compareCeremony(k *modelKeygen, got types.KeygenInfo) {
	t := l.t
	require.Equal(t, []int64{k.joinUntil(), k.certifyUntil()}, []int64{got.JoinDeadline, got.CertificateDeadline})
	var joined []string
	for _, j := range got.Joins {
		joined = append(joined, j.Member)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(k.joined)), joined)
	require.Equal(t, k.attempt > 0, got.Session != nil)
	if k.attempt > 0 {
		require.EqualValues(t, k.attempt, got.Session.Attempt)
		require.Len(t, got.Session.Members, len(k.members))
	}
	c := k.certificate
	require.Equal(t, c != nil, got.Certificate != nil)
	if c == nil {
		return
	}
	require.Equal(t, c.vault.name(), got.Certificate.Vault)
	require.Equal(t, hex.EncodeToString(c.vault.pubKeyEd25519()), got.Certificate.PubKeyEd25519)
	require.Equal(t, c.shares, got.Certificate.SharesHash != "")
	require.EqualValues(t, c.attempt, got.Certificate.Attempt)
	require.Equal(t, []any{c.height, c.checked}, []any{got.Certificate.Height, got.Certificate.Checked})
	var list []types.Commitment
	for _, e := range got.Certificate.Envelopes {
		held, err := e.Commitment()
		require.NoError(t, err)
		list = append(list, held)
	}
	require.Equal(t, string(c.list), string(types.EncodeEnvelopes(list)))
	require.Equal(t, k.held, len(list) != 0)
	for _, vote := range k.votes {
		require.NotNil(t, vote.vault, "nobody votes against it")
		require.Equal(t, c.vault.name(), vote.vault.name(), "nor for another result")
	}
}

func (l *life) compareVaults() {
	t := l.t
	var live []types.LiveVault
	for _, v := range l.m.vaults {
		if v.live() {
			item := types.LiveVault{PubKey: v.keys.pubKey(), Epoch: v.keygen.id}
			if v.graceUntil != 0 {
				item.GraceEpoch = v.former[len(v.former)-1].keygen.id
			}
			live = append(live, item)
		}
		res, err := l.c.query.Vault(l.c.ctx, &types.QueryVaultRequest{Vault: v.keys.name()})
		require.NoError(t, err)
		got := res.Vault
		require.Equal(t, v.status, got.Status)
		require.Equal(t, v.keygen.id, got.Epoch)
		require.Equal(t, hex.EncodeToString(v.keys.pubKeyEd25519()), got.PubKeyEd25519)
		require.Equal(t, []int64{v.active, v.retiring, v.retired}, []int64{got.ActiveHeight, got.RetiringHeight, got.RetiredHeight})
		require.EqualValues(t, v.keygen.needed, got.Needed)
		require.Equal(t, v.keygen.held, got.Placement == members)
		require.Len(t, got.Members, len(v.keygen.members))
		l.compareGroup(v, got)
		require.Equal(t, []int64{v.began, v.graceUntil}, []int64{got.EpochHeight, got.GraceUntil})
		require.Len(t, got.Former, len(v.former))
		for i, e := range v.former {
			want := types.FormerEpoch{
				Epoch: e.keygen.id, Threshold: uint32(e.keygen.threshold),
				Outside: uint32(e.outside(v.keygen.addresses())),
			}
			require.Equal(t, want, got.Former[i])
			require.Less(t, want.Outside, want.Threshold, "no threshold of a former epoch is outside")
		}

		cov, err := l.c.query.Coverage(l.c.ctx, &types.QueryCoverageRequest{Vault: v.keys.name()})
		require.NoError(t, err)
		c := cov.Vaults[0]
		require.EqualValues(t, v.keygen.id, c.Epoch)
		require.Equal(t, v.keygen.held, c.Placement == members)
		require.Equal(t, []int{len(v.former) + 1, v.margin()}, []int{int(c.Epochs), int(c.Margin)})
		require.Equal(t, got.Former, c.Former)
		require.EqualValues(t, len(v.backups), c.Published)
		require.GreaterOrEqual(t, int(c.Published), v.keygen.needed, "no vault is active without its backups")
		require.True(t, c.Recoverable)
		require.EqualValues(t, len(v.proven), c.Proven)
		require.Equal(t, len(v.proven) >= v.keygen.threshold, c.ProvenRecoverable)
		if v.keygen.requires && !v.deleted {
			require.GreaterOrEqual(t, int(c.Proven), v.keygen.needed, "no vault is active without its proofs")
			require.True(t, c.ProvenRecoverable)
		}
		l.compareProofs(v)
		for _, m := range c.List {
			require.Equal(t, v.proven[m.Address], m.Proven)
			var shas []string
			for _, commitment := range m.Commitments {
				shas = append(shas, commitment.Sha256)
				require.Equal(t, v.keygen.held, commitment.Placement == members)
			}
			require.Equal(t, v.backups[m.Address], shas)
			require.Equal(t, m.Asked && len(shas) == 0, slices.Contains(c.Missing, m.Address))
		}
	}
	var n, groups, parameters int
	require.NoError(t, l.c.k.PublicShares.Walk(l.c.ctx, nil, func(collections.Pair[uint64, []byte], types.PublicShares) (bool, error) {
		n++
		return false, nil
	}))
	require.NoError(t, l.c.k.Groups.Walk(l.c.ctx, nil, func(collections.Pair[uint64, []byte], types.Group) (bool, error) {
		groups++
		return false, nil
	}))
	require.NoError(t, l.c.k.GroupParameters.Walk(l.c.ctx, nil, func(collections.Pair[uint64, []byte], []byte) (bool, error) {
		parameters++
		return false, nil
	}))
	wantShares, wantGroups := l.m.results()
	require.Equal(t, wantShares, n, "the public shares of open keygens' results and of vaults, and no others")
	require.Equal(t, []int{wantGroups, wantGroups}, []int{groups, parameters}, "and so the group parts")
	item, err := l.c.k.LiveVaults.Get(l.c.ctx)
	if len(l.m.vaults) == 0 {
		require.True(t, errors.Is(err, collections.ErrNotFound))
		return
	}
	require.NoError(t, err)
	slices.SortFunc(live, func(a, b types.LiveVault) int { return bytes.Compare(a.PubKey, b.PubKey) })
	require.Equal(t, live, item.Vaults)
}

// compareProofs checks what state keeps of the proofs of a vault.
func (l *life) compareProofs(v *modelVault) {
	t := l.t
	res, err := l.c.query.Proofs(l.c.ctx, &types.QueryProofsRequest{Vault: v.keys.name()})
	if !v.shares {
		require.Equal(t, codes.NotFound, status.Code(err))
		return
	}
	require.NoError(t, err)
	require.Len(t, res.Secp256k1, len(v.keygen.members))
	require.Len(t, res.Ed25519, len(v.keygen.members))
	require.Len(t, res.Proofs, len(v.keygen.members))
	for i, p := range res.Proofs {
		m := v.keygen.members[i]
		require.Equal(t, m.address, p.Member)
		require.Equal(t, m.recipient, p.RecipientIndex)
		require.Equal(t, v.proven[m.address], len(p.Stored) > 0)
		require.Equal(t, v.proven[m.address], p.Height > 0)
	}
}

// compareGroup checks what state has of the group part of a vault, and what names it for ever.
func (l *life) compareGroup(v *modelVault, got types.VaultInfo) {
	t := l.t
	require.Equal(t, v.keygen.split, got.Split)
	require.Equal(t, v.shares, got.SharesHash != "")
	res, err := l.c.query.Group(l.c.ctx, &types.QueryGroupRequest{Vault: v.keys.name()})
	require.Equal(t, v.shares && v.keygen.split, err == nil)
	if !v.keygen.split {
		require.Nil(t, got.Group)
		return
	}
	group := v.keys.group(v.keygen.keys())
	sum := sha256.Sum256(group)
	vote := &types.MsgTssPool{PubKey: v.keys.name(), PubKeyEd25519: got.PubKeyEd25519, Group: group}
	name := &types.GroupNameInfo{
		Hash:   hex.EncodeToString(resultOf(vote, v.keygen.keys()).SharesHash),
		Sha256: hex.EncodeToString(sum[:]), Height: v.carried,
	}
	require.Equal(t, name, got.Group)
	if err == nil {
		require.Equal(t, group, res.Group)
		require.Equal(t, *name, types.GroupNameInfo{Hash: res.GroupHash, Sha256: res.Sha256, Height: res.Height})
	}
}

// results is how many results there are whose public shares, or whose group parts, state keeps: one
// of a keygen at most.
func (m *model) results() (shares, groups int) {
	count := func(split bool) {
		if split {
			groups++
		} else {
			shares++
		}
	}
	for _, e := range m.epochs() {
		if e.shares {
			count(e.keygen.split)
		}
	}
	if c := m.open(); c != nil {
		for _, k := range c.keygens {
			if k.certificate != nil && k.certificate.shares {
				count(k.split)
			}
		}
	}
	return shares, groups
}
