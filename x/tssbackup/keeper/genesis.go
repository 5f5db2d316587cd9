package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// InitGenesis writes a whole state, which it validates first. Heights are absolute: a state that
// was exported continues in a chain whose initial height is above the one it was exported at, which
// is what the export command writes. A chain that starts again at height 1 refuses it.
func (k Keeper) InitGenesis(ctx context.Context, gs types.GenesisState) error {
	if err := gs.Validate(); err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	if latest := latestHeight(gs); latest > height {
		return types.ErrInvalidGenesis.Wrapf(
			"it has heights up to %d: the chain's initial height must be above",
			latest,
		)
	}
	if err := k.initItems(ctx, gs); err != nil {
		return err
	}
	for _, s := range gs.Signers {
		if err := k.Signers.Set(ctx, s.Operator, s.Signer); err != nil {
			return err
		}
	}
	for _, o := range gs.SignerOwners {
		if err := k.SignerOwners.Set(ctx, o.Address, o.Owner); err != nil {
			return err
		}
	}
	for _, t := range gs.SignerTerms {
		if err := k.Terms.Set(ctx, t.Address, t.Term); err != nil {
			return err
		}
	}
	for _, w := range gs.Claims {
		if err := k.Claims.Set(ctx, w.Address, w.Window); err != nil {
			return err
		}
	}
	for _, s := range gs.SitOuts {
		if err := k.SitOuts.Set(ctx, s.Operator, s.SitOut); err != nil {
			return err
		}
	}
	for _, c := range gs.Churns {
		if err := k.Churns.Set(ctx, c.Id, c); err != nil {
			return err
		}
	}
	for _, g := range gs.Keygens {
		if err := k.setKeygen(ctx, g, types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED); err != nil {
			return err
		}
		if g.Ended == nil {
			continue
		}
		if err := k.indexMembers(ctx, g.Id, g.Members); err != nil {
			return err
		}
		if g.Ended.GraceHeight == 0 {
			continue
		}
		if err := k.indexRetirement(ctx, g.Ended.GraceHeight, g.Id, g.Vault); err != nil {
			return err
		}
	}
	for _, v := range gs.Votes {
		if err := k.Votes.Set(ctx, collections.Join(v.KeygenId, v.Member), v.Vote); err != nil {
			return err
		}
	}
	for _, a := range gs.Attempts {
		if err := k.Attempts.Set(ctx, collections.Join(a.KeygenId, a.Member), a.Count); err != nil {
			return err
		}
	}
	for _, a := range gs.JoinAttempts {
		key := collections.Join(a.KeygenId, a.Member)
		if err := k.JoinAttempts.Set(ctx, key, a.Count); err != nil {
			return err
		}
	}
	for _, j := range gs.Joins {
		if err := k.Joins.Set(ctx, collections.Join(j.KeygenId, j.Member), j.Join); err != nil {
			return err
		}
	}
	for _, s := range gs.Sessions {
		if err := k.Sessions.Set(ctx, s.KeygenId, s.Session); err != nil {
			return err
		}
	}
	for _, c := range gs.Certificates {
		if err := k.Certificates.Set(ctx, c.KeygenId, c.Certificate); err != nil {
			return err
		}
	}
	for _, v := range gs.Vaults {
		if err := k.Vaults.Set(ctx, v.PubKey, v.Vault); err != nil {
			return err
		}
		if err := k.indexMembers(ctx, v.Vault.Epoch, v.Vault.Members); err != nil {
			return err
		}
		if v.Vault.IsLive() {
			continue
		}
		if err := k.indexRetirement(
			ctx, v.Vault.RetiredHeight, v.Vault.Epoch, v.PubKey,
		); err != nil {
			return err
		}
	}
	for _, b := range gs.Backups {
		if err := k.Backups.Set(ctx, collections.Join(b.Epoch, b.Member), b.Backup); err != nil {
			return err
		}
	}
	for _, e := range gs.ChurnExpiries {
		if err := k.ChurnExpiries.Set(
			ctx,
			collections.Join(uint64(e.Height), e.ChurnId),
			true,
		); err != nil {
			return err
		}
	}
	if err := k.initHeartbeats(ctx, gs); err != nil {
		return err
	}
	return k.initProofs(ctx, gs)
}

// initHeartbeats writes what belongs to heartbeats and pauses.
func (k Keeper) initHeartbeats(ctx context.Context, gs types.GenesisState) error {
	for _, h := range gs.Heartbeats {
		if err := k.setHeartbeat(ctx, h.Epoch, h.Member, h.Heartbeat); err != nil {
			return err
		}
	}
	for _, a := range gs.HeartbeatAttempts {
		key := collections.Join(a.Epoch, a.Member)
		if err := k.HeartbeatAttempts.Set(ctx, key, a.Window); err != nil {
			return err
		}
	}
	if len(gs.Beacons) != 0 {
		if err := k.Beacons.Set(ctx, types.Beacons{List: gs.Beacons}); err != nil {
			return err
		}
	}
	return k.setPause(ctx, gs.Pause)
}

// initProofs writes what belongs to proofs. A stored form names the context that it was made in,
// which may be of a chain with another name: it is carried over.
func (k Keeper) initProofs(ctx context.Context, gs types.GenesisState) error {
	for _, o := range gs.RecipientOwners {
		if err := k.RecipientOwners.Set(ctx, o.Key, o.Address); err != nil {
			return err
		}
	}
	for _, s := range gs.PublicShares {
		if err := k.PublicShares.Set(
			ctx,
			collections.Join(s.KeygenId, s.Hash),
			s.Shares,
		); err != nil {
			return err
		}
	}
	for _, g := range gs.Groups {
		members := len(g.Group) / sanity.GroupMemberBytes
		record, parameters, err := g.Records(members)
		if err != nil {
			return err
		}
		key := collections.Join(g.KeygenId, g.Hash)
		if err := k.Groups.Set(ctx, key, record); err != nil {
			return err
		}
		if err := k.GroupParameters.Set(ctx, key, parameters); err != nil {
			return err
		}
	}
	for _, p := range gs.Proofs {
		if err := k.Proofs.Set(ctx, collections.Join(p.KeygenId, p.Member), p.Proof); err != nil {
			return err
		}
	}
	vaults := make(map[uint64][]byte, len(gs.Keygens))
	for _, g := range gs.Keygens {
		vaults[g.Id] = g.Vault
	}
	for _, e := range gs.ProofExpiries {
		key := collections.Join(uint64(e.Height), e.KeygenId)
		if err := k.ProofExpiries.Set(ctx, key, vaults[e.KeygenId]); err != nil {
			return err
		}
	}
	return nil
}

// initItems writes what there is one of.
func (k Keeper) initItems(ctx context.Context, gs types.GenesisState) error {
	if err := k.Params.Set(ctx, gs.Params); err != nil {
		return err
	}
	if err := k.ChurnSequence.Set(ctx, gs.LastChurnId+1); err != nil {
		return err
	}
	if err := k.KeygenSequence.Set(ctx, gs.LastKeygenId+1); err != nil {
		return err
	}
	if gs.NextChurnHeight != 0 {
		if err := k.NextChurnHeight.Set(ctx, gs.NextChurnHeight); err != nil {
			return err
		}
	} else if err := k.scheduleChurn(ctx, gs.Params.ChurnInterval); err != nil {
		return err
	}
	if churn, ok := gs.OpenChurn(); ok {
		if err := k.OpenChurn.Set(ctx, churn.Id); err != nil {
			return err
		}
	}
	if gs.LiveChurnId == 0 {
		return nil
	}
	live := types.LiveVaults{ChurnId: gs.LiveChurnId}
	for _, v := range gs.Vaults {
		if v.Vault.IsLive() {
			live.Vaults = append(
				live.Vaults,
				types.LiveVault{
					PubKey: v.PubKey, Epoch: v.Vault.Epoch, GraceEpoch: v.Vault.GraceEpoch(),
				},
			)
		}
	}
	return k.LiveVaults.Set(ctx, live)
}

// latestHeight is the highest height at which something in the state happened.
func latestHeight(gs types.GenesisState) int64 {
	var latest int64
	for _, s := range gs.Signers {
		latest = max(latest, s.Signer.Height)
	}
	for _, t := range gs.SignerTerms {
		latest = max(latest, t.Term.Height)
	}
	for _, w := range gs.Claims {
		latest = max(latest, w.Window.Start)
	}
	for _, c := range gs.Churns {
		latest = max(latest, c.OpenedHeight, c.ClosedHeight)
	}
	for _, v := range gs.Votes {
		latest = max(latest, v.Vote.Height)
	}
	for _, j := range gs.Joins {
		latest = max(latest, j.Join.Height)
	}
	for _, g := range gs.Keygens {
		latest = max(latest, g.OpenedHeight, g.ClosedHeight)
		if g.Ended != nil {
			latest = max(latest, g.Ended.GraceHeight)
		}
	}
	for _, v := range gs.Vaults {
		latest = max(latest, v.Vault.RetiringHeight, v.Vault.RetiredHeight)
	}
	for _, b := range gs.Backups {
		latest = max(latest, b.Backup.Commitments()[0].Height)
	}
	for _, g := range gs.Groups {
		latest = max(latest, g.Height)
	}
	for _, p := range gs.Proofs {
		latest = max(latest, p.Proof.Height)
	}
	for _, h := range gs.Heartbeats {
		latest = max(latest, h.Heartbeat.MachineHeight, h.Heartbeat.PaperHeight)
	}
	for _, a := range gs.HeartbeatAttempts {
		latest = max(latest, a.Window.Start)
	}
	for _, b := range gs.Beacons {
		latest = max(latest, b.Height)
	}
	return max(latest, gs.Pause.Since)
}

// ExportGenesis returns the whole state. Imported again it gives the same store, byte for byte, at
// any point of a churn.
func (k Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	gs := &types.GenesisState{}
	var err error
	if gs.Params, err = k.Params.Get(ctx); err != nil {
		return nil, err
	}
	if gs.NextChurnHeight, err = k.NextChurnHeight.Get(
		ctx,
	); err != nil &&
		!errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	if gs.LastChurnId, err = last(ctx, k.ChurnSequence); err != nil {
		return nil, err
	}
	if gs.LastKeygenId, err = last(ctx, k.KeygenSequence); err != nil {
		return nil, err
	}
	live, err := k.live(ctx)
	if err != nil {
		return nil, err
	}
	gs.LiveChurnId = live.ChurnId
	if gs.Pause, err = k.pause(ctx); err != nil {
		return nil, err
	}
	beacons, err := k.beacons(ctx)
	if err != nil {
		return nil, err
	}
	gs.Beacons = beacons.List

	var groupErr error // of a group part that cannot be put together
	err = errors.Join(
		each(ctx, k.Signers, func(operator []byte, s types.Signer) {
			gs.Signers = append(gs.Signers, types.GenesisSigner{Operator: operator, Signer: s})
		}),
		each(ctx, k.SignerOwners, func(address []byte, o types.SignerOwner) {
			gs.SignerOwners = append(
				gs.SignerOwners,
				types.GenesisSignerOwner{Address: address, Owner: o},
			)
		}),
		each(ctx, k.Terms, func(address []byte, t types.SignerTerm) {
			gs.SignerTerms = append(
				gs.SignerTerms,
				types.GenesisSignerTerm{Address: address, Term: t},
			)
		}),
		each(ctx, k.Claims, func(address []byte, w types.Window) {
			gs.Claims = append(gs.Claims, types.GenesisClaims{Address: address, Window: w})
		}),
		each(ctx, k.SitOuts, func(operator []byte, s types.SitOut) {
			gs.SitOuts = append(gs.SitOuts, types.GenesisSitOut{Operator: operator, SitOut: s})
		}),
		each(ctx, k.Churns, func(_ uint64, c types.Churn) {
			gs.Churns = append(gs.Churns, c)
		}),
		each(ctx, k.Keygens, func(_ uint64, g types.Keygen) {
			gs.Keygens = append(gs.Keygens, g)
		}),
		each(ctx, k.Votes, func(key collections.Pair[uint64, []byte], v types.Vote) {
			gs.Votes = append(
				gs.Votes,
				types.GenesisVote{KeygenId: key.K1(), Member: key.K2(), Vote: v},
			)
		}),
		each(ctx, k.Attempts, func(key collections.Pair[uint64, []byte], count uint64) {
			gs.Attempts = append(
				gs.Attempts,
				types.GenesisAttempt{KeygenId: key.K1(), Member: key.K2(), Count: count},
			)
		}),
		each(ctx, k.JoinAttempts, func(key collections.Pair[uint64, []byte], count uint64) {
			gs.JoinAttempts = append(
				gs.JoinAttempts,
				types.GenesisAttempt{KeygenId: key.K1(), Member: key.K2(), Count: count},
			)
		}),
		each(ctx, k.Joins, func(key collections.Pair[uint64, []byte], j types.Join) {
			gs.Joins = append(
				gs.Joins,
				types.GenesisJoin{KeygenId: key.K1(), Member: key.K2(), Join: j},
			)
		}),
		each(ctx, k.Sessions, func(keygenID uint64, s types.Session) {
			gs.Sessions = append(
				gs.Sessions,
				types.GenesisSession{KeygenId: keygenID, Session: s},
			)
		}),
		each(ctx, k.Certificates, func(keygenID uint64, c types.Certificate) {
			gs.Certificates = append(
				gs.Certificates,
				types.GenesisCertificate{KeygenId: keygenID, Certificate: c},
			)
		}),
		each(ctx, k.Vaults, func(pubKey []byte, v types.Vault) {
			gs.Vaults = append(gs.Vaults, types.GenesisVault{PubKey: pubKey, Vault: v})
		}),
		each(ctx, k.Backups, func(key collections.Pair[uint64, []byte], b types.Backup) {
			gs.Backups = append(
				gs.Backups,
				types.GenesisBackup{Epoch: key.K1(), Member: key.K2(), Backup: b},
			)
		}),
		each(ctx, k.RecipientOwners, func(key, address []byte) {
			gs.RecipientOwners = append(
				gs.RecipientOwners,
				types.GenesisRecipientOwner{Key: key, Address: address},
			)
		}),
		each(ctx, k.PublicShares, func(key collections.Pair[uint64, []byte], s types.PublicShares) {
			gs.PublicShares = append(
				gs.PublicShares,
				types.GenesisPublicShares{KeygenId: key.K1(), Hash: key.K2(), Shares: s},
			)
		}),
		each(ctx, k.Groups, func(key collections.Pair[uint64, []byte], g types.Group) {
			parameters, err := k.GroupParameters.Get(ctx, key)
			if err == nil {
				var group []byte
				group, err = g.Part(parameters)
				gs.Groups = append(gs.Groups, types.GenesisGroup{
					KeygenId: key.K1(), Hash: key.K2(), Group: group, Height: g.Height,
				})
			}
			groupErr = errors.Join(groupErr, err)
		}),
		each(ctx, k.Proofs, func(key collections.Pair[uint64, []byte], p types.Proof) {
			gs.Proofs = append(
				gs.Proofs,
				types.GenesisProof{KeygenId: key.K1(), Member: key.K2(), Proof: p},
			)
		}),
		each(ctx, k.Heartbeats, func(key collections.Pair[uint64, []byte], h types.Heartbeat) {
			gs.Heartbeats = append(
				gs.Heartbeats,
				types.GenesisHeartbeat{Epoch: key.K1(), Member: key.K2(), Heartbeat: h},
			)
		}),
		each(ctx, k.HeartbeatAttempts, func(
			key collections.Pair[uint64, []byte], w types.Window,
		) {
			gs.HeartbeatAttempts = append(
				gs.HeartbeatAttempts,
				types.GenesisHeartbeatAttempts{Epoch: key.K1(), Member: key.K2(), Window: w},
			)
		}),
		each(ctx, k.ProofExpiries, func(key collections.Pair[uint64, uint64], _ []byte) {
			gs.ProofExpiries = append(
				gs.ProofExpiries,
				types.GenesisProofExpiry{Height: int64(key.K1()), KeygenId: key.K2()},
			)
		}),
		each(ctx, k.ChurnExpiries, func(key collections.Pair[uint64, uint64], _ bool) {
			gs.ChurnExpiries = append(
				gs.ChurnExpiries,
				types.GenesisChurnExpiry{Height: int64(key.K1()), ChurnId: key.K2()},
			)
		}),
	)
	return gs, errors.Join(err, groupErr)
}

// last is the highest number that a sequence has given out.
func last(ctx context.Context, s collections.Sequence) (uint64, error) {
	next, err := s.Peek(ctx)
	if err != nil {
		return 0, err
	}
	if next == 0 {
		return 0, errors.New("a sequence was never set: the state has no genesis")
	}
	return next - 1, nil
}

func each[K, V any](ctx context.Context, m collections.Map[K, V], f func(K, V)) error {
	return m.Walk(ctx, nil, func(key K, value V) (bool, error) {
		f(key, value)
		return false, nil
	})
}
