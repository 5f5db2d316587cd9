package network

import (
	"context"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/client"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	"github.com/stretchr/testify/require"
)

// TxOptions are the parts of a transaction around its messages.
type TxOptions struct {
	Gas              uint64
	Fee              sdk.Coins
	FeeGranter       sdk.AccAddress
	Memo             string
	TimeoutHeight    uint64
	TimeoutTimestamp time.Time
}

// Signer is an account with the number and the sequence that it is to have when its transaction is
// checked.
type Signer struct {
	Account
	Number, Sequence uint64
}

// SignTx makes a transaction. The signers are those of the messages, in their order.
func SignTx(
	t testing.TB,
	txConfig client.TxConfig,
	chainID string,
	signers []Signer,
	opts TxOptions,
	msgs ...sdk.Msg,
) sdk.Tx {
	t.Helper()
	builder := txConfig.NewTxBuilder()
	require.NoError(t, builder.SetMsgs(msgs...))
	builder.SetGasLimit(opts.Gas)
	builder.SetFeeAmount(opts.Fee)
	builder.SetFeeGranter(opts.FeeGranter)
	builder.SetMemo(opts.Memo)
	builder.SetTimeoutHeight(opts.TimeoutHeight)
	if !opts.TimeoutTimestamp.IsZero() {
		builder.SetTimeoutTimestamp(opts.TimeoutTimestamp)
	}

	// Each signature covers the infos of all signers, so these come first, with signatures that are
	// still empty.
	mode := signing.SignMode_SIGN_MODE_DIRECT
	signatures := make([]signing.SignatureV2, len(signers))
	for i, s := range signers {
		signatures[i] = signing.SignatureV2{
			PubKey:   s.Key.PubKey(),
			Data:     &signing.SingleSignatureData{SignMode: mode},
			Sequence: s.Sequence,
		}
	}
	require.NoError(t, builder.SetSignatures(signatures...))
	for i, s := range signers {
		var err error
		signatures[i], err = clienttx.SignWithPrivKey(
			context.Background(),
			mode,
			authsigning.SignerData{
				Address:       s.Bech32(),
				ChainID:       chainID,
				AccountNumber: s.Number,
				Sequence:      s.Sequence,
				PubKey:        s.Key.PubKey(),
			},
			builder,
			s.Key,
			txConfig,
			s.Sequence,
		)
		require.NoError(t, err)
	}
	require.NoError(t, builder.SetSignatures(signatures...))
	return builder.GetTx()
}
