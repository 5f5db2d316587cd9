package ante_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"cosmossdk.io/log/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/stretchr/testify/require"
	protov2 "google.golang.org/protobuf/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/ante"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestDecorators has the order in which the decorators do their work around the others of a chain.
func TestDecorators(t *testing.T) {
	errNotEligible, errForm, errCount := errors.New("not eligible"), errors.New("form"), errors.New("count")
	rows := []struct {
		name     string
		keeper   fakeKeeper
		simulate bool
		want     []string
		err      error
		exempt   bool
	}{
		{
			name:   "a transaction that is no vote goes through the wrapped decorator alone",
			keeper: fakeKeeper{},
			want:   []string{"exempt?", "fee", "signature", "message"},
		},
		{
			name:   "an exempt vote passes by the wrapped decorator and is counted after its signature",
			keeper: fakeKeeper{vote: true},
			want:   []string{"exempt?", "signature", "form", "count", "message"},
			exempt: true,
		},
		{
			name:   "a vote that is not eligible gets no further",
			keeper: fakeKeeper{exemptErr: errNotEligible},
			want:   []string{"exempt?"},
			err:    errNotEligible,
		},
		{
			name:     "a simulated vote that is not eligible goes through the wrapped decorator",
			keeper:   fakeKeeper{exemptErr: errNotEligible},
			simulate: true,
			want:     []string{"exempt?", "fee", "signature", "message"},
		},
		{
			name:   "a vote whose envelope has not the form is not counted",
			keeper: fakeKeeper{vote: true, formErr: errForm},
			want:   []string{"exempt?", "signature", "form"},
			err:    errForm,
		},
		{
			name:   "a vote that cannot be counted is refused",
			keeper: fakeKeeper{vote: true, countErr: errCount},
			want:   []string{"exempt?", "signature", "form", "count"},
			err:    errCount,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var calls []string
			row.keeper.calls = &calls
			chain := sdk.ChainAnteDecorators(
				ante.NewFeeDecorator(row.keeper, fakeAccounts{}, step{&calls, "fee"}),
				step{&calls, "signature"},
				ante.NewVoteDecorator(row.keeper),
				step{&calls, "message"},
			)
			ctx := sdk.NewContext(nil, cmtproto.Header{Height: 1}, false, log.NewNopLogger()).WithTxBytes([]byte("tx"))
			ctx, err := chain(ctx, fakeTx{}, row.simulate)
			require.ErrorIs(t, err, row.err)
			require.Equal(t, row.want, calls)
			if row.err != nil {
				return
			}
			require.Equal(t, row.exempt, ante.IsExempt(ctx))
			if row.exempt {
				require.EqualValues(t, math.MaxInt64, ctx.Priority())
			}
		})
	}
}

// step is a decorator that only says that it ran.
type step struct {
	calls *[]string
	name  string
}

func (s step) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	*s.calls = append(*s.calls, s.name)
	return next(ctx, tx, simulate)
}

type fakeKeeper struct {
	calls                        *[]string
	vote                         bool
	exemptErr, formErr, countErr error
}

func (k fakeKeeper) ExemptVote(context.Context, sdk.Msg) (types.Exemption, bool, error) {
	*k.calls = append(*k.calls, "exempt?")
	return types.Exemption{KeygenID: 1, Envelope: []byte("envelope")}, k.vote, k.exemptErr
}

func (k fakeKeeper) CheckForm(context.Context, []byte) error {
	*k.calls = append(*k.calls, "form")
	return k.formErr
}

func (k fakeKeeper) CountAttempt(context.Context, types.Exemption) error {
	*k.calls = append(*k.calls, "count")
	return k.countErr
}

type fakeAccounts struct{}

func (fakeAccounts) GetParams(context.Context) authtypes.Params { return authtypes.DefaultParams() }

// fakeTx is a transaction of one message and one signer without a fee.
type fakeTx struct{}

func (fakeTx) GetMsgs() []sdk.Msg                              { return []sdk.Msg{&types.MsgTssPool{}} }
func (fakeTx) GetMsgsV2() ([]protov2.Message, error)           { return nil, nil }
func (fakeTx) GetGas() uint64                                  { return 1 }
func (fakeTx) GetFee() sdk.Coins                               { return nil }
func (fakeTx) FeePayer() []byte                                { return []byte("member") }
func (fakeTx) FeeGranter() []byte                              { return nil }
func (fakeTx) GetSigners() ([][]byte, error)                   { return [][]byte{[]byte("member")}, nil }
func (fakeTx) GetPubKeys() ([]cryptotypes.PubKey, error)       { return nil, nil }
func (fakeTx) GetSignaturesV2() ([]signing.SignatureV2, error) { return nil, nil }
