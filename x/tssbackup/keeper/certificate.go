package keeper

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A certificate is what all members of a keygen have signed once each has kept its keyshares. The
// first that comes to stand decides which result it is, and that it has not failed: no vote can
// contradict it. Without one no vote for a result is taken, and while one can still come, none that
// the keygen has failed.

// certificate is the one that stands for a keygen, nil when none does.
func (k Keeper) certificate(ctx context.Context, keygenID uint64) (*types.Certificate, error) {
	c, err := k.Certificates.Get(ctx, keygenID)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	return &c, err
}

// checkBlame checks whether a member may vote now that the keygen has failed.
func (k Keeper) checkBlame(ctx context.Context, b ballot) error {
	if b.certificate != nil {
		return types.ErrCertified.Wrapf("keygen %d has not failed", b.keygen.Id)
	}
	last := b.keygen.CertificateDeadline()
	if nextBlock(ctx) <= last {
		return types.ErrBlameEarly.Wrapf("until block %d keygen %d may come by its result",
			last, b.keygen.Id)
	}
	return nil
}

// checkCertified checks whether a vote for a result comes with a certificate, or names the keys of
// the one that stands. It is cheap: nothing of a certificate is verified.
func (k Keeper) checkCertified(ctx context.Context, msg *types.MsgTssPool, b ballot) error {
	id, members := b.keygen.Id, len(b.keygen.Members)
	if c := b.certificate; c != nil {
		if msg.PubKey != types.VaultName(c.Result.PubKey) ||
			msg.PubKeyEd25519 != hex.EncodeToString(c.Result.PubKeyEd25519) {
			return types.ErrCertified.Wrapf("keygen %d has another result", id)
		}
		return nil
	}
	if len(msg.Certificate) != types.SignatureSize*members {
		return types.ErrNoCertificate.Wrapf(
			"keygen %d: the first vote for a result carries one", id)
	}
	last := b.keygen.CertificateDeadline()
	if nextBlock(ctx) > last {
		return types.ErrNoCertificate.Wrapf("keygen %d took one until block %d", id, last)
	}
	return nil
}

// certify checks whether a vote's result is that of the certificate that stands. While none does,
// it verifies the vote's own, which stands from then on, with the envelopes that the vote lists.
func (k Keeper) certify(
	ctx context.Context, msg *types.MsgTssPool, b ballot, result types.Result,
	envelopes []types.Commitment,
) (types.Certificate, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if c := b.certificate; c != nil {
		if result.Key() != c.Result.Key() {
			return *c, types.ErrCertified.Wrapf("keygen %d has another result", b.keygen.Id)
		}
		return *c, nil
	}
	members := b.keygen.Members
	sdkCtx.GasMeter().ConsumeGas(gasPerSignature*uint64(len(members)), "certificate")
	session, err := k.session(ctx, b.keygen.Id)
	if err != nil {
		return types.Certificate{}, err
	}
	if session.Attempt == 0 {
		return types.Certificate{}, types.ErrInvalidCertificate.Wrap(
			"no attempt at the keygen has begun")
	}
	if err := types.CheckCertificate(msg.Certificate, session.Id, result, members); err != nil {
		return types.Certificate{}, err
	}
	c := types.Certificate{
		Result: result, Attempt: session.Attempt, Height: sdkCtx.BlockHeight(),
		Envelopes: envelopes,
	}
	if err := k.Certificates.Set(ctx, b.keygen.Id, c); err != nil {
		return types.Certificate{}, err
	}
	return c, sdkCtx.EventManager().EmitTypedEvent(&types.EventCertified{
		KeygenId:      b.keygen.Id,
		Attempt:       session.Attempt,
		Vault:         msg.PubKey,
		PubKeyEd25519: msg.PubKeyEd25519,
		EnvelopesHash: hex.EncodeToString(result.EnvelopesHash),
	})
}

// checkChecker checks whether a member may bring the signatures of a keygen's vault now: the keygen
// is open, and its certificate waits for them. It is cheap, and says nothing about the signatures.
func (k Keeper) checkChecker(ctx context.Context, msg *types.MsgTssCheck) (ballot, error) {
	b, err := k.memberOfOpen(ctx, msg.Signer, msg.KeygenId, msg.Term, false)
	if err != nil {
		return ballot{}, err
	}
	switch {
	case b.certificate == nil:
		return ballot{}, types.ErrNoCertificate.Wrapf("keygen %d has no vault yet", msg.KeygenId)
	case b.certificate.IsChecked():
		return ballot{}, types.ErrCheckPresent.Wrapf("the vault of keygen %d", msg.KeygenId)
	}
	return b, nil
}

// TssCheck takes the signatures by which the vault of a keygen shows that it can sign.
func (s msgServer) TssCheck(
	ctx context.Context,
	msg *types.MsgTssCheck,
) (*types.MsgTssCheckResponse, error) {
	b, err := s.k.checkChecker(ctx, msg)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(2*gasPerSignature, "signatures of the vault")
	c := *b.certificate
	digest := types.CheckMessage(
		sdkCtx.ChainID(), msg.KeygenId, c.Result.PubKey, c.Result.PubKeyEd25519,
	)
	if !types.VerifySecp256k1(c.Result.PubKey, digest, msg.Signature) {
		return nil, types.ErrInvalidSignature.Wrap(
			"vault's secp256k1 signature over the check message",
		)
	}
	if !types.VerifyEd25519(c.Result.PubKeyEd25519, digest, msg.SignatureEd25519) {
		return nil, types.ErrInvalidSignature.Wrap(
			"vault's ed25519 signature over the check message",
		)
	}
	c.Signature, c.SignatureEd25519 = msg.Signature, msg.SignatureEd25519
	if err := s.k.Certificates.Set(ctx, msg.KeygenId, c); err != nil {
		return nil, err
	}
	member, err := s.k.bech32(b.signer)
	if err != nil {
		return nil, err
	}
	return &types.MsgTssCheckResponse{}, sdkCtx.EventManager().EmitTypedEvent(
		&types.EventTssCheck{
			KeygenId: msg.KeygenId, Member: member, Vault: types.VaultName(c.Result.PubKey),
		},
	)
}
