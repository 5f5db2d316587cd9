package chain

import (
	"errors"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

type testSigner struct {
	key *secp256k1.PrivKey
	err error
}

func (s testSigner) PubKey() []byte { return s.key.PubKey().Bytes() }

func (s testSigner) Sign(msg []byte) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.key.Sign(msg)
}

func TestSignTx(t *testing.T) {
	key := secp256k1.GenPrivKeyFromSecret([]byte("tx test"))
	msg := &types.MsgTssPool{Signer: "cosmos1a", KeygenId: 7, KeysharesBackup: []byte("envelope")}
	params := TxParams{ChainID: "chain-1", AccountNumber: 3, Sequence: 4, Gas: 500_000, TimeoutHeight: 720}
	raw, err := SignTx(msg, params, testSigner{key: key})
	require.NoError(t, err)

	var txRaw tx.TxRaw
	require.NoError(t, proto.Unmarshal(raw, &txRaw))
	var body tx.TxBody
	require.NoError(t, proto.Unmarshal(txRaw.BodyBytes, &body))
	require.EqualValues(t, 720, body.TimeoutHeight)
	require.Empty(t, body.Memo)
	require.Len(t, body.Messages, 1)
	require.Equal(t, "/tssbackup.v1.MsgTssPool", body.Messages[0].TypeUrl)
	var sent types.MsgTssPool
	require.NoError(t, proto.Unmarshal(body.Messages[0].Value, &sent))
	require.Equal(t, msg, &sent)

	var auth tx.AuthInfo
	require.NoError(t, proto.Unmarshal(txRaw.AuthInfoBytes, &auth))
	require.EqualValues(t, 500_000, auth.Fee.GasLimit)
	require.Empty(t, auth.Fee.Amount)
	require.Len(t, auth.SignerInfos, 1)
	require.EqualValues(t, 4, auth.SignerInfos[0].Sequence)
	require.Equal(t, signing.SignMode_SIGN_MODE_DIRECT, auth.SignerInfos[0].ModeInfo.GetSingle().Mode)
	require.Nil(t, auth.SignerInfos[0].PublicKey, "it is in state since the first transaction")

	doc, err := proto.Marshal(&tx.SignDoc{
		BodyBytes: txRaw.BodyBytes, AuthInfoBytes: txRaw.AuthInfoBytes, ChainId: "chain-1", AccountNumber: 3,
	})
	require.NoError(t, err)
	require.True(t, key.PubKey().VerifySignature(doc, txRaw.Signatures[0]))

	first := params
	first.Sequence = 0
	raw, err = SignTx(msg, first, testSigner{key: key})
	require.NoError(t, err)
	require.NoError(t, proto.Unmarshal(raw, &txRaw))
	require.NoError(t, proto.Unmarshal(txRaw.AuthInfoBytes, &auth))
	require.Equal(t, "/cosmos.crypto.secp256k1.PubKey", auth.SignerInfos[0].PublicKey.TypeUrl)

	_, err = SignTx(msg, params, testSigner{key: key, err: errors.New("locked")})
	require.ErrorContains(t, err, "locked")
}
