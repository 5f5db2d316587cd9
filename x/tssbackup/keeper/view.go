package keeper

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// The state as queries and events show it: addresses in bech32, keys and hashes in lower-case hex.

func (k Keeper) bech32(address []byte) (string, error) {
	return k.accounts.AddressCodec().BytesToString(address)
}

func (k Keeper) bech32s(addresses [][]byte) ([]string, error) {
	var list []string
	for _, addr := range addresses {
		bech, err := k.bech32(addr)
		if err != nil {
			return nil, err
		}
		list = append(list, bech)
	}
	return list, nil
}

func (k Keeper) signerInfo(
	ctx context.Context,
	operator []byte,
	signer types.Signer,
) (info types.SignerInfo, err error) {
	info = types.SignerInfo{
		PubKey: hex.EncodeToString(signer.PubKey),
		Height: signer.Height,
		RecipientKey: hex.EncodeToString(
			signer.Recipient.Key,
		),
		RecipientIndex: signer.Recipient.Index,
	}
	if info.Operator, err = k.staking.ValidatorAddressCodec().BytesToString(operator); err != nil {
		return info, err
	}
	if info.Address, err = k.bech32(signer.Address); err != nil {
		return info, err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return info, err
	}
	sitOut, err := k.sitOutOf(ctx, operator)
	if err != nil {
		return info, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	if height < sitOut.Until {
		info.SitsOutUntil = sitOut.Until
	}
	if sitOut.Counts(params, height) {
		info.Faults = sitOut.Count
	}
	return info, nil
}

// memberNames are the address and the operator of a member.
func (k Keeper) memberNames(
	ctx context.Context,
	member types.Member,
) (address, operator string, err error) {
	if address, err = k.bech32(member.Address()); err != nil {
		return "", "", err
	}
	raw, err := k.operatorOf(ctx, member.Address())
	if err != nil {
		return "", "", err
	}
	operator, err = k.staking.ValidatorAddressCodec().BytesToString(raw)
	return address, operator, err
}

// memberInfos shows the members of a keygen, or of the vault that it made.
func (k Keeper) memberInfos(
	ctx context.Context,
	keygenID uint64,
	members []types.Member,
) ([]types.MemberInfo, error) {
	infos := make([]types.MemberInfo, len(members))
	for i, m := range members {
		address, operator, err := k.memberNames(ctx, m)
		if err != nil {
			return nil, err
		}
		proof, err := k.proofOf(ctx, keygenID, m.Address())
		if err != nil {
			return nil, err
		}
		infos[i] = types.MemberInfo{
			Address:        address,
			Operator:       operator,
			PubKey:         hex.EncodeToString(m.PubKey),
			Asked:          m.Asked,
			RecipientKey:   hex.EncodeToString(proof.Recipient.Key),
			RecipientIndex: proof.Recipient.Index,
		}
	}
	return infos, nil
}

// keygenInfo shows a keygen, with the members of its vault once that has them.
func (k Keeper) keygenInfo(
	ctx context.Context,
	keygen types.Keygen,
) (info types.KeygenInfo, err error) {
	info = types.KeygenInfo{
		Id:           keygen.Id,
		ChurnId:      keygen.ChurnId,
		Status:       keygen.Status,
		Threshold:    keygen.Threshold,
		Needed:       keygen.Needed,
		OpenedHeight: keygen.OpenedHeight,
		Deadline:     keygen.Deadline,
		ClosedHeight: keygen.ClosedHeight,
		Vault:        types.VaultName(keygen.Vault),

		RequireProofs: keygen.RequireProofs,
		Try:           keygen.Try,
		Split:         keygen.Split,
		Placement:     keygen.Placement,
	}
	if keygen.Ended != nil {
		info.EndedHeight = keygen.Ended.Height
	}
	members := keygen.Members
	if len(members) == 0 {
		vault, err := k.vault(ctx, keygen.Vault)
		if err != nil {
			return info, err
		}
		members = vault.Members
	}
	if info.Members, err = k.memberInfos(ctx, keygen.Id, members); err != nil {
		return info, err
	}
	votes, err := k.votesOf(ctx, keygen.Id)
	if err != nil {
		return info, err
	}
	for _, v := range votes {
		vote, err := k.voteInfo(ctx, keygen.Id, v)
		if err != nil {
			return info, err
		}
		info.Votes = append(info.Votes, vote)
	}
	dealing, err := k.dealingIn(ctx, keygen)
	if err != nil {
		return info, err
	}
	if err := k.showReshare(&info, dealing); err != nil {
		return info, err
	}
	if err := k.showJoins(ctx, &info, keygen, dealing); err != nil {
		return info, err
	}
	if err := k.showCertificate(ctx, &info, keygen); err != nil {
		return info, err
	}
	if info.Blamed, err = k.bech32s(keygen.Blamed); err != nil {
		return info, err
	}
	info.Silent, err = k.bech32s(keygen.Silent)
	return info, err
}

// showReshare adds which vault a keygen reshares, and who may deal.
func (k Keeper) showReshare(info *types.KeygenInfo, d dealing) (err error) {
	if len(d.reshare.Vault) == 0 {
		return nil
	}
	shown := &types.ReshareInfo{
		Vault: types.VaultName(d.reshare.Vault), Epoch: d.reshare.Epoch, Threshold: d.threshold,
	}
	for _, m := range d.able() {
		dealer, err := k.bech32(m.Address())
		if err != nil {
			return err
		}
		shown.Dealers = append(shown.Dealers, dealer)
	}
	info.Reshare = shown
	shown.Excluded, err = k.bech32s(d.reshare.Excluded)
	return err
}

// showJoins adds what is known of the attempts at a keygen, which is nothing once it is closed.
func (k Keeper) showJoins(
	ctx context.Context, info *types.KeygenInfo, keygen types.Keygen, d dealing,
) error {
	info.JoinDeadline = keygen.JoinDeadline()
	session, err := k.session(ctx, keygen.Id)
	if err != nil {
		return err
	}
	if session.Attempt > 0 {
		info.Session = &types.SessionInfo{
			Id:      hex.EncodeToString(session.Id),
			Attempt: session.Attempt,
			Height:  session.Height,
		}
	}
	for _, d := range session.Dealers {
		shown, err := k.joinInfo(types.Member{PubKey: d.PubKey}, d.Join)
		if err != nil {
			return err
		}
		info.Session.Dealers = append(info.Session.Dealers, shown)
	}
	for i, m := range types.Participants(keygen.Members, d.able()) {
		if session.Attempt > 0 && i < len(keygen.Members) {
			shown, err := k.joinInfo(m, session.Members[i])
			if err != nil {
				return err
			}
			info.Session.Members = append(info.Session.Members, shown)
		}
		join, err := k.Joins.Get(ctx, collections.Join(keygen.Id, []byte(m.Address())))
		if errors.Is(err, collections.ErrNotFound) ||
			err == nil && join.Attempt <= session.Attempt {
			continue
		}
		if err != nil {
			return err
		}
		shown, err := k.joinInfo(m, join)
		if err != nil {
			return err
		}
		info.Joins = append(info.Joins, shown)
	}
	return nil
}

// showCertificate adds which result a keygen has that is not closed, and until when it can come by
// one.
func (k Keeper) showCertificate(
	ctx context.Context, info *types.KeygenInfo, keygen types.Keygen,
) error {
	info.AttemptDeadline = keygen.AttemptDeadline()
	info.CertificateDeadline = keygen.CertificateDeadline()
	c, err := k.certificate(ctx, keygen.Id)
	if c == nil || err != nil {
		return err
	}
	info.Certificate = &types.CertificateInfo{
		Vault:         types.VaultName(c.Result.PubKey),
		PubKeyEd25519: hex.EncodeToString(c.Result.PubKeyEd25519),
		SharesHash:    hex.EncodeToString(c.Result.SharesHash),
		Attempt:       c.Attempt,
		Height:        c.Height,
		Checked:       c.IsChecked(),
		EnvelopesHash: hex.EncodeToString(c.Result.EnvelopesHash),
	}
	for _, e := range c.Envelopes {
		info.Certificate.Envelopes = append(info.Certificate.Envelopes, e.Info())
	}
	return nil
}

func (k Keeper) joinInfo(m types.Member, j types.Join) (info types.JoinInfo, err error) {
	info.Member, err = k.bech32(m.Address())
	info.Nonce = hex.EncodeToString(j.Nonce)
	info.SessionKey = hex.EncodeToString(j.SessionKey)
	info.Height = j.Height
	return info, err
}

func (k Keeper) voteInfo(
	ctx context.Context,
	keygenID uint64,
	v memberVote,
) (info types.VoteInfo, err error) {
	info.Height = v.Height
	if info.Member, err = k.bech32(v.member); err != nil {
		return info, err
	}
	if v.Result != nil {
		info.Vault = types.VaultName(v.Result.PubKey)
		info.PubKeyEd25519 = hex.EncodeToString(v.Result.PubKeyEd25519)
		info.SharesHash = hex.EncodeToString(v.Result.SharesHash)
		info.EnvelopesHash = hex.EncodeToString(v.Result.EnvelopesHash)
	}
	proof, err := k.proofOf(ctx, keygenID, v.member)
	if err != nil {
		return info, err
	}
	info.Proven = proof.IsProven()
	if v.Commitment != nil {
		commitment := v.Commitment.Info()
		info.Commitment = &commitment
	}
	info.Blamed, err = k.bech32s(v.Blamed)
	return info, err
}

func (k Keeper) vaultInfo(
	ctx context.Context,
	pubKey []byte,
	vault types.Vault,
) (types.VaultInfo, error) {
	members, err := k.memberInfos(ctx, vault.Epoch, vault.Members)
	return types.VaultInfo{
		Vault:          types.VaultName(pubKey),
		PubKeyEd25519:  hex.EncodeToString(vault.PubKeyEd25519),
		Status:         vault.Status,
		Epoch:          vault.Epoch,
		ChurnId:        vault.ChurnId,
		Threshold:      vault.Threshold,
		Needed:         vault.Needed,
		ActiveHeight:   vault.ActiveHeight,
		RetiringHeight: vault.RetiringHeight,
		RetiredHeight:  vault.RetiredHeight,
		Members:        members,
		SharesHash:     hex.EncodeToString(vault.SharesHash),
		Split:          vault.Split,
		Group:          vault.Group.Info(),
		Former:         vault.Former,
		EpochHeight:    vault.EpochHeight,
		GraceUntil:     vault.GraceUntil,
		Placement:      vault.Placement,
	}, err
}

// coverage reads who of a vault has published, and who has proven.
func (k Keeper) coverage(
	ctx context.Context,
	pubKey []byte,
	vault types.Vault,
) (types.VaultCoverage, error) {
	members := make([]types.MemberRecords, len(vault.Members))
	for i, m := range vault.Members {
		var err error
		if members[i], err = k.memberRecords(ctx, vault.Epoch, m); err != nil {
			return types.VaultCoverage{}, err
		}
	}
	return types.Coverage(pubKey, vault, members), nil
}

func (k Keeper) memberRecords(
	ctx context.Context, epoch uint64, m types.Member,
) (r types.MemberRecords, err error) {
	r.Member = m
	if r.Address, r.Operator, err = k.memberNames(ctx, m); err != nil {
		return r, err
	}
	backup, err := k.Backups.Get(ctx, collections.Join(epoch, []byte(m.Address())))
	switch {
	case err == nil:
		r.Backup = &backup
	case !errors.Is(err, collections.ErrNotFound):
		return r, err
	}
	if r.Heartbeat, err = k.knownHeartbeat(ctx, epoch, m.Address()); err != nil {
		return r, err
	}
	r.Proof, err = k.proofOf(ctx, epoch, m.Address())
	return r, err
}

// knownHeartbeat is what state knows of a member's heartbeats in an epoch, nil when nothing.
func (k Keeper) knownHeartbeat(
	ctx context.Context, epoch uint64, member []byte,
) (*types.Heartbeat, error) {
	beat, err := k.Heartbeats.Get(ctx, collections.Join(epoch, member))
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	return &beat, err
}

// membership shows what a member was, and has done, in an epoch of a vault.
func (k Keeper) membership(
	ctx context.Context, epoch uint64, address []byte,
) (types.Membership, error) {
	pubKey, vault, err := k.vaultOf(ctx, epoch)
	if err != nil {
		return types.Membership{}, err
	}
	members, endedHeight := vault.Members, int64(0)
	if vault.Epoch != epoch {
		keygen, err := k.Keygens.Get(ctx, epoch)
		if err != nil {
			return types.Membership{}, err
		}
		members, endedHeight = keygen.Members, keygen.Ended.Height
	}
	m, _ := types.FindMember(members, address)
	r, err := k.memberRecords(ctx, epoch, m)
	if err != nil {
		return types.Membership{}, err
	}
	c := r.Coverage()
	return types.Membership{
		Vault:          types.VaultName(pubKey),
		Epoch:          epoch,
		Status:         vault.Status,
		ActiveHeight:   vault.ActiveHeight,
		RetiringHeight: vault.RetiringHeight,
		RetiredHeight:  vault.RetiredHeight,
		Asked:          c.Asked,
		Commitments:    c.Commitments,
		Proven:         c.Proven,
		EndedHeight:    endedHeight,
	}, nil
}

func (k Keeper) proofInfo(member []byte, proof types.Proof) (types.ProofInfo, error) {
	address, err := k.bech32(member)
	return types.ProofInfo{
		Member:         address,
		RecipientKey:   hex.EncodeToString(proof.Recipient.Key),
		RecipientIndex: proof.Recipient.Index,
		Stored:         proof.Stored,
		Height:         proof.Height,
	}, err
}

func (k Keeper) shareInfos(list []types.PublicShare) ([]types.PublicShareInfo, error) {
	infos := make([]types.PublicShareInfo, len(list))
	for i, e := range list {
		member, err := k.bech32(e.Member)
		if err != nil {
			return nil, err
		}
		infos[i] = types.PublicShareInfo{
			Member: member,
			Id:     hex.EncodeToString(e.Id),
			Point:  hex.EncodeToString(e.Point),
		}
	}
	return infos, nil
}
