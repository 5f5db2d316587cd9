package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterLegacyAminoCodec registers the messages for amino JSON signing.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgRegisterSigner{}, "tssbackup/MsgRegisterSigner")
	legacy.RegisterAminoMsg(cdc, &MsgClaimSigner{}, "tssbackup/MsgClaimSigner")
	legacy.RegisterAminoMsg(cdc, &MsgTssJoin{}, "tssbackup/MsgTssJoin")
	legacy.RegisterAminoMsg(cdc, &MsgTssPool{}, "tssbackup/MsgTssPool")
	legacy.RegisterAminoMsg(cdc, &MsgTssCheck{}, "tssbackup/MsgTssCheck")
	legacy.RegisterAminoMsg(cdc, &MsgPublishBackup{}, "tssbackup/MsgPublishBackup")
	legacy.RegisterAminoMsg(cdc, &MsgHeartbeat{}, "tssbackup/MsgHeartbeat")
	legacy.RegisterAminoMsg(cdc, &MsgStartChurn{}, "tssbackup/MsgStartChurn")
	legacy.RegisterAminoMsg(cdc, &MsgStartReshare{}, "tssbackup/MsgStartReshare")
	legacy.RegisterAminoMsg(cdc, &MsgRetireVault{}, "tssbackup/MsgRetireVault")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "tssbackup/MsgUpdateParams")
}

// RegisterInterfaces registers the messages as implementations of sdk.Msg.
func RegisterInterfaces(registry codectypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgRegisterSigner{},
		&MsgClaimSigner{},
		&MsgTssJoin{},
		&MsgTssPool{},
		&MsgTssCheck{},
		&MsgPublishBackup{},
		&MsgHeartbeat{},
		&MsgStartChurn{},
		&MsgStartReshare{},
		&MsgRetireVault{},
		&MsgUpdateParams{},
	)
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
