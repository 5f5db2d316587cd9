package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// What a vote costs before the work is done, at 25 units of gas for a microsecond on a slow core: a
// block of certificates that fail, each at the last of its signatures, ends in the time of a block.
const (
	gasPerSignature   = 5_000
	gasPerEnvelopeKiB = 100
)

// ballot is a vote that may be cast as far as the state tells.
type ballot struct {
	signer sdk.AccAddress
	member types.Member
	keygen types.Keygen
	// certificate is nil while none stands.
	certificate *types.Certificate
	// dealing is who hands a vault to the members. A keygen that is no reshare has none, and it is
	// read for joins and blames alone.
	dealing dealing
	// deals tells that the signer may deal, and votes that it is a member of the keygen.
	deals, votes bool
}

// openBallot checks whether a keygen is open, and the signer a member that has not voted and whose
// term this is. One that joins may also be of those who deal.
func (k Keeper) openBallot(
	ctx context.Context, address string, keygenID, term uint64, joins bool,
) (ballot, error) {
	b, err := k.memberOfOpen(ctx, address, keygenID, term, joins)
	if err != nil {
		return ballot{}, err
	}
	voted, err := k.Votes.Has(ctx, collections.Join(keygenID, []byte(b.signer)))
	if err != nil {
		return ballot{}, err
	}
	if voted {
		return ballot{}, types.ErrAlreadyVoted.Wrapf("%s in keygen %d", address, keygenID)
	}
	return b, nil
}

// memberOfOpen checks whether a keygen is open, and the signer a member whose term this is, or one
// of those who deal when it joins.
func (k Keeper) memberOfOpen(
	ctx context.Context, address string, keygenID, term uint64, joins bool,
) (ballot, error) {
	signer, err := k.accounts.AddressCodec().StringToBytes(address)
	if err != nil {
		return ballot{}, types.ErrNotMember.Wrap(err.Error())
	}
	keygen, err := k.Keygens.Get(ctx, keygenID)
	if errors.Is(err, collections.ErrNotFound) {
		return ballot{}, types.ErrKeygenNotFound.Wrapf("keygen %d", keygenID)
	}
	if err != nil {
		return ballot{}, err
	}
	if keygen.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN {
		return ballot{}, types.ErrKeygenClosed.Wrapf("keygen %d", keygenID)
	}
	if sdk.UnwrapSDKContext(ctx).BlockHeight() > keygen.Deadline {
		return ballot{}, types.ErrKeygenClosed.Wrapf(
			"keygen %d had its deadline at %d",
			keygenID,
			keygen.Deadline,
		)
	}
	b := ballot{signer: signer, keygen: keygen}
	b.member, b.votes = types.FindMember(keygen.Members, signer)
	if joins {
		if b.dealing, err = k.dealingIn(ctx, keygen); err != nil {
			return ballot{}, err
		}
		var dealer types.Member
		if dealer, b.deals = types.FindMember(b.dealing.able(), signer); !b.votes {
			b.member = dealer
		}
	}
	if !b.votes && !b.deals {
		return ballot{}, types.ErrNotMember.Wrapf("%s in keygen %d", address, keygenID)
	}
	if err := k.checkTerm(ctx, signer, term); err != nil {
		return ballot{}, err
	}
	b.certificate, err = k.certificate(ctx, keygenID)
	return b, err
}

// checkBallot checks whether a vote may be cast now: the keygen is open, the signer is a member
// that has not voted, and there is an envelope or a list of envelopes exactly when there must be
// one, and a proof when there must be one. It is cheap, and says nothing about what the vote holds.
func (k Keeper) checkBallot(ctx context.Context, msg *types.MsgTssPool) (ballot, error) {
	b, err := k.openBallot(ctx, msg.Signer, msg.KeygenId, msg.Term, false)
	if err != nil {
		return ballot{}, err
	}
	member, keygen := b.member, b.keygen
	switch {
	case msg.Blame != nil:
		if len(msg.KeysharesBackup) != 0 {
			return ballot{}, types.ErrInvalidBlame.Wrap("a blame carries no envelope")
		}
		return b, k.checkBlame(ctx, b)
	case member.Asked && len(msg.KeysharesBackup) == 0 && !keygen.IsHeld():
		return ballot{}, types.ErrEnvelopeMissing.Wrapf("%s is asked to publish", msg.Signer)
	case !member.Asked && len(msg.KeysharesBackup) != 0:
		return ballot{}, types.ErrNotAsked.Wrap(msg.Signer)
	case len(msg.Proof) != 0 && (!member.Asked || !keygen.Split && msg.PublicShares == nil):
		return ballot{}, types.ErrInvalidProof.Wrap(
			"a proof comes with an envelope and the public shares",
		)
	case keygen.RequireShares() && !keygen.Split && msg.PublicShares == nil:
		return ballot{}, types.ErrInvalidShares.Wrap("the keygen requires them")
	case keygen.RequireProofs && member.Asked && len(msg.Proof) == 0:
		return ballot{}, types.ErrProofMissing.Wrap("the keygen requires it")
	}
	if err := checkGrouped(msg, b); err != nil {
		return ballot{}, err
	}
	if err := checkListed(msg, b); err != nil {
		return ballot{}, err
	}
	return b, k.checkCertified(ctx, msg, b)
}

// TssPool casts a member's vote. Checks run from the cheapest to the dearest.
func (s msgServer) TssPool(
	ctx context.Context,
	msg *types.MsgTssPool,
) (*types.MsgTssPoolResponse, error) {
	b, err := s.k.checkBallot(ctx, msg)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	vote := types.Vote{Height: sdkCtx.BlockHeight()}
	var event proto.Message
	member, err := s.k.bech32(b.signer)
	if err != nil {
		return nil, err
	}
	if msg.Blame != nil {
		named, err := s.k.participants(ctx, b.keygen)
		if err != nil {
			return nil, err
		}
		if vote.Blamed, err = msg.ParseBlame(
			b.signer, named, s.k.accounts.AddressCodec(),
		); err != nil {
			return nil, err
		}
		blamed, err := s.k.bech32s(vote.Blamed)
		if err != nil {
			return nil, err
		}
		event = &types.EventBlame{
			KeygenId: msg.KeygenId,
			Member:   member,
			Blamed:   blamed,
			Reason:   msg.Blame.Reason,
		}
	} else {
		if vote.Result, vote.Commitment, err = s.k.checkResult(ctx, msg, b); err != nil {
			return nil, err
		}
		pool := &types.EventTssPool{
			KeygenId: msg.KeygenId,
			Member:   member,
			Vault:    msg.PubKey,
			Proven:   len(msg.Proof) != 0,
		}
		if b.keygen.Split {
			pool.GroupHash = hex.EncodeToString(vote.Result.SharesHash)
		}
		if vote.Commitment != nil {
			pool.Commitment = hex.EncodeToString(vote.Commitment.Sha256)
			pool.Size_ = vote.Commitment.Size_
			pool.Placement = vote.Commitment.Placement
		}
		event = pool
	}

	key := collections.Join(msg.KeygenId, []byte(b.signer))
	if err := s.k.Votes.Set(ctx, key, vote); err != nil {
		return nil, err
	}
	// The vote is final, so the member has no attempts at it left to count. It may bring a check.
	if err := s.k.Attempts.Remove(ctx, key); err != nil {
		return nil, err
	}
	if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
		return nil, err
	}
	return &types.MsgTssPoolResponse{}, nil
}

// checkResult reads the result and the commitment of a vote: keys that are points and name no vault
// yet, or in a reshare that vault, an envelope in form or one that the members hold, a certificate
// unless one stands, public shares that are those of its keys or a group part that has them, and a
// proof that the member's shares are encrypted to its recipient key.
func (k Keeper) checkResult(
	ctx context.Context,
	msg *types.MsgTssPool,
	b ballot,
) (*types.Result, *types.Commitment, error) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(2*gasPerSignature, "vault keys")
	result, err := msg.ParseResult()
	if err != nil {
		return nil, nil, err
	}
	if err := k.checkKeys(ctx, b, result); err != nil {
		return nil, nil, err
	}
	var commitment *types.Commitment
	if len(msg.KeysharesBackup) != 0 {
		if commitment, err = k.commit(ctx, msg.KeysharesBackup); err != nil {
			return nil, nil, err
		}
	}
	var group []sanity.GroupMember
	if b.keygen.Split {
		if result.SharesHash, group, err = k.groupHash(
			ctx, msg, b.keygen.Members, result,
		); err != nil {
			return nil, nil, err
		}
	}
	var envelopes []types.Commitment
	if b.keygen.IsHeld() {
		if result.EnvelopesHash, envelopes, err = listed(ctx, msg, b.keygen.Members); err != nil {
			return nil, nil, err
		}
	}
	certificate, err := k.certify(ctx, msg, b, result, envelopes)
	if err != nil {
		return nil, nil, err
	}
	if held, ok := certificate.Envelope(b.keygen.Members, b.signer); ok {
		held.Height = sdk.UnwrapSDKContext(ctx).BlockHeight()
		commitment = &held
	}
	// With a certificate that stood before there is the group part that all members signed for.
	if b.keygen.Split && b.certificate == nil {
		err = k.keepGroup(ctx, msg.Group, group, b.keygen, result)
	} else {
		err = k.checkShares(ctx, b.keygen, result, msg.PublicShares)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(msg.Proof) != 0 {
		shares, err := k.sharesOfVoter(ctx, msg, b, result)
		if err != nil {
			return nil, nil, err
		}
		err = k.acceptProof(
			ctx,
			msg.KeygenId,
			result.PubKey,
			result.PubKeyEd25519,
			b.signer,
			shares,
			msg.Proof,
		)
		if err != nil {
			return nil, nil, err
		}
	}
	return &result, commitment, nil
}

// checkKeys checks that a keygen makes a vault that is not there yet, and a reshare none. Once a
// certificate stands, a vote has its keys, which were looked at then.
func (k Keeper) checkKeys(ctx context.Context, b ballot, result types.Result) error {
	if b.keygen.Reshare == nil {
		exists, err := k.Vaults.Has(ctx, result.PubKey)
		if err == nil && exists {
			err = types.ErrVaultExists.Wrap(types.VaultName(result.PubKey))
		}
		return err
	}
	if b.certificate != nil {
		return nil
	}
	vault, err := k.vault(ctx, b.keygen.Reshare.Vault)
	if err != nil {
		return err
	}
	if !bytes.Equal(result.PubKey, b.keygen.Reshare.Vault) ||
		!bytes.Equal(result.PubKeyEd25519, vault.PubKeyEd25519) {
		return types.ErrInvalidResult.Wrapf("a reshare of vault %s leaves it its keys",
			types.VaultName(b.keygen.Reshare.Vault))
	}
	return nil
}

// sharesOfVoter are the public shares that a vote's proof is about.
func (k Keeper) sharesOfVoter(
	ctx context.Context, msg *types.MsgTssPool, b ballot, result types.Result,
) ([]verenc.PublicShare, error) {
	if b.keygen.Split {
		return k.groupShares(ctx, b.keygen.Id, result.SharesHash, b.keygen.Members, b.signer)
	}
	shares, ok := msg.PublicShares.Of(b.signer)
	if !ok {
		return nil, types.ErrInvalidProof.Wrap("the member has no public shares")
	}
	return shares, nil
}
