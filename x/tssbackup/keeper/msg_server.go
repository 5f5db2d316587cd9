package keeper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var _ types.MsgServer = msgServer{}

type msgServer struct{ k *Keeper }

// NewMsgServer returns the server of the module's messages.
func NewMsgServer(k *Keeper) types.MsgServer {
	return msgServer{k}
}

// RegisterSigner binds a signer to a validator, or replaces the one it has or that one's recipient
// key. Keygens that are open keep the members and the recipient keys that they opened with.
func (s msgServer) RegisterSigner(
	ctx context.Context,
	msg *types.MsgRegisterSigner,
) (*types.MsgRegisterSignerResponse, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	operator, err := s.k.staking.ValidatorAddressCodec().StringToBytes(msg.Operator)
	if err != nil {
		return nil, types.ErrInvalidOperator.Wrap(err.Error())
	}
	has, err := s.k.staking.HasValidator(ctx, operator)
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, types.ErrInvalidOperator.Wrap(msg.Operator)
	}

	sdkCtx.GasMeter().
		ConsumeGas(2*gasPerSignature, "signer's signature and possession of its recipient key")
	if err := types.CheckPubKey(msg.PubKey); err != nil {
		return nil, types.ErrInvalidSigner.Wrap(err.Error())
	}
	signer := types.Signer{
		Address:   types.SignerAddress(msg.PubKey),
		PubKey:    msg.PubKey,
		Height:    sdkCtx.BlockHeight(),
		Recipient: types.Recipient{Key: msg.RecipientKey, Index: msg.RecipientIndex},
	}
	digest := sha256.Sum256(
		types.RegisterMessage(sdkCtx.ChainID(), operator, msg.PubKey, signer.Recipient),
	)
	if !types.VerifySecp256k1(msg.PubKey, digest[:], msg.Signature) {
		return nil, types.ErrInvalidSignature.Wrap("signer's signature over the registration")
	}
	if err := verenc.VerifyPossession(
		msg.RecipientKey,
		sdkCtx.ChainID(),
		signer.Address,
		msg.Possession,
	); err != nil {
		return nil, types.ErrInvalidRecipient.Wrap(err.Error())
	}

	owner, err := s.k.SignerOwners.Get(ctx, signer.Address)
	known := !errors.Is(err, collections.ErrNotFound)
	switch {
	case !known:
	case err != nil:
		return nil, err
	case !bytes.Equal(owner.Operator, operator):
		return nil, types.ErrSignerTaken
	}
	before, err := s.k.Signers.Get(ctx, operator)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	same := bytes.Equal(before.Address, signer.Address)
	if known {
		if err := checkReplacement(owner.Latest, signer.Recipient, same); err != nil {
			return nil, err
		}
	}
	if err := s.k.takeRecipient(ctx, signer); err != nil {
		return nil, err
	}
	if err := s.k.ensureAccount(ctx, signer.Address); err != nil {
		return nil, err
	}
	if err := s.k.Signers.Set(ctx, operator, signer); err != nil {
		return nil, err
	}
	owner = types.SignerOwner{Operator: operator, Latest: signer.Recipient}
	if err := s.k.SignerOwners.Set(ctx, signer.Address, owner); err != nil {
		return nil, err
	}

	event := &types.EventSignerRegistered{
		RecipientKey:   hex.EncodeToString(signer.Recipient.Key),
		RecipientIndex: signer.Recipient.Index,
	}
	if event.Operator, err = s.k.staking.ValidatorAddressCodec().
		BytesToString(operator); err != nil {
		return nil, err
	}
	if event.Address, err = s.k.bech32(signer.Address); err != nil {
		return nil, err
	}
	if len(before.Address) != 0 && !same {
		if event.Replaced, err = s.k.bech32(before.Address); err != nil {
			return nil, err
		}
	}
	if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
		return nil, err
	}
	return &types.MsgRegisterSignerResponse{Address: event.Address}, nil
}

// checkReplacement keeps a registration that was sent before from being sent again, also by its
// operator and after another signer was registered in between: the index of a signer's recipient
// key only rises. A signer that comes back may have the key that it had last; one that is there,
// is.
func checkReplacement(latest, recipient types.Recipient, present bool) error {
	if bytes.Equal(latest.Key, recipient.Key) && latest.Index == recipient.Index {
		if present {
			return types.ErrSignerPresent
		}
		return nil
	}
	if recipient.Index <= latest.Index {
		return types.ErrInvalidRecipient.Wrapf(
			"the signer's latest key has index %d, and this one %d", latest.Index, recipient.Index)
	}
	return nil
}

// takeRecipient gives a recipient key to a signer, for ever.
func (k Keeper) takeRecipient(ctx context.Context, signer types.Signer) error {
	owner, err := k.RecipientOwners.Get(ctx, signer.Recipient.Key)
	switch {
	case errors.Is(err, collections.ErrNotFound):
		return k.RecipientOwners.Set(ctx, signer.Recipient.Key, signer.Address)
	case err != nil:
		return err
	case !bytes.Equal(owner, signer.Address):
		return types.ErrRecipientTaken
	}
	return nil
}

// ensureAccount makes the account of a signer when there is none, because only an account can send
// a vote.
func (k Keeper) ensureAccount(ctx context.Context, address sdk.AccAddress) error {
	switch acc := k.accounts.GetAccount(ctx, address).(type) {
	case nil:
		k.accounts.SetAccount(ctx, k.accounts.NewAccountWithAddress(ctx, address))
	case sdk.ModuleAccountI:
		return types.ErrInvalidSigner.Wrapf("it is the account of module %s", acc.GetName())
	}
	return nil
}

// StartChurn opens a churn now, among the operators that are named, if any are.
func (s msgServer) StartChurn(
	ctx context.Context,
	msg *types.MsgStartChurn,
) (*types.MsgStartChurnResponse, error) {
	if err := s.k.checkAuthority(msg.Authority); err != nil {
		return nil, err
	}
	operators, err := s.k.parseOperators(msg.Operators)
	if err != nil {
		return nil, err
	}
	churn, err := s.k.StartChurn(ctx, operators...)
	if err != nil {
		return nil, err
	}
	return &types.MsgStartChurnResponse{ChurnId: churn.Id, KeygenIds: churn.KeygenIds}, nil
}

// parseOperators reads the operators that a message names.
func (k Keeper) parseOperators(texts []string) ([]sdk.ValAddress, error) {
	operators := make([]sdk.ValAddress, len(texts))
	for i, text := range texts {
		operator, err := k.staking.ValidatorAddressCodec().StringToBytes(text)
		if err != nil {
			return nil, types.ErrInvalidOperator.Wrapf("%.100q: %s", text, err)
		}
		operators[i] = operator
	}
	return operators, nil
}

// StartReshare opens a reshare now, to the operators that are named, if any are.
func (s msgServer) StartReshare(
	ctx context.Context,
	msg *types.MsgStartReshare,
) (*types.MsgStartReshareResponse, error) {
	if err := s.k.checkAuthority(msg.Authority); err != nil {
		return nil, err
	}
	pubKey, err := types.ParseVault(msg.Vault)
	if err != nil {
		return nil, err
	}
	operators, err := s.k.parseOperators(msg.Operators)
	if err != nil {
		return nil, err
	}
	keygen, err := s.k.StartReshare(ctx, pubKey, operators...)
	if err != nil {
		return nil, err
	}
	return &types.MsgStartReshareResponse{ChurnId: keygen.ChurnId, KeygenId: keygen.Id}, nil
}

// RetireVault says that a retiring vault holds no money any more.
func (s msgServer) RetireVault(
	ctx context.Context,
	msg *types.MsgRetireVault,
) (*types.MsgRetireVaultResponse, error) {
	if err := s.k.checkAuthority(msg.Authority); err != nil {
		return nil, err
	}
	pubKey, err := types.ParseVault(msg.Vault)
	if err != nil {
		return nil, err
	}
	if err := s.k.RetireVault(ctx, pubKey); err != nil {
		return nil, err
	}
	return &types.MsgRetireVaultResponse{}, nil
}

// UpdateParams replaces all parameters. Keygens that are open keep their deadlines and what they
// need; one that is tried again goes by the new ones. When the churn interval changes, the next
// churn is due one interval from now.
func (s msgServer) UpdateParams(
	ctx context.Context,
	msg *types.MsgUpdateParams,
) (*types.MsgUpdateParamsResponse, error) {
	if err := s.k.checkAuthority(msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	before, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.k.Params.Set(ctx, msg.Params); err != nil {
		return nil, err
	}
	if err := s.k.turnHeartbeats(ctx, before, msg.Params); err != nil {
		return nil, err
	}
	if msg.Params.ChurnInterval != before.ChurnInterval {
		if err := s.k.scheduleChurn(ctx, msg.Params.ChurnInterval); err != nil {
			return nil, err
		}
	}
	return &types.MsgUpdateParamsResponse{}, nil
}
