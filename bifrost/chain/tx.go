package chain

import (
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	"github.com/cosmos/gogoproto/proto"
)

// TxParams is what a transaction says beside its message.
type TxParams struct {
	ChainID       string
	AccountNumber uint64
	Sequence      uint64
	// Gas is the gas limit. The fee is zero: votes cost none.
	Gas uint64
	// TimeoutHeight is the last block that may hold the transaction; 0 means any.
	TimeoutHeight uint64
}

// Signer signs with a secp256k1 account key; signer.Key is one.
type Signer interface {
	// PubKey is the compressed key, 33 bytes.
	PubKey() []byte
	// Sign returns R||S with a low S over the SHA-256 of msg, 64 bytes.
	Sign(msg []byte) ([]byte, error)
}

// SignTx returns the bytes of a transaction with one message, signed in SIGN_MODE_DIRECT. The same
// arguments give the same bytes when the signer is deterministic.
func SignTx(msg proto.Message, p TxParams, key Signer) ([]byte, error) {
	anyMsg, err := codectypes.NewAnyWithValue(msg)
	if err != nil {
		return nil, err
	}
	// An account that has signed before has its key in state: 79 bytes less in every vote.
	var anyKey *codectypes.Any
	if p.Sequence == 0 {
		anyKey, err = codectypes.NewAnyWithValue(&secp256k1.PubKey{Key: key.PubKey()})
		if err != nil {
			return nil, err
		}
	}
	body, err := proto.Marshal(&tx.TxBody{
		Messages:      []*codectypes.Any{anyMsg},
		TimeoutHeight: p.TimeoutHeight,
	})
	if err != nil {
		return nil, err
	}
	authInfo, err := proto.Marshal(&tx.AuthInfo{
		SignerInfos: []*tx.SignerInfo{{
			PublicKey: anyKey,
			ModeInfo: &tx.ModeInfo{Sum: &tx.ModeInfo_Single_{
				Single: &tx.ModeInfo_Single{Mode: signing.SignMode_SIGN_MODE_DIRECT},
			}},
			Sequence: p.Sequence,
		}},
		Fee: &tx.Fee{GasLimit: p.Gas},
	})
	if err != nil {
		return nil, err
	}
	doc, err := proto.Marshal(&tx.SignDoc{
		BodyBytes:     body,
		AuthInfoBytes: authInfo,
		ChainId:       p.ChainID,
		AccountNumber: p.AccountNumber,
	})
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(doc)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(
		&tx.TxRaw{BodyBytes: body, AuthInfoBytes: authInfo, Signatures: [][]byte{signature}},
	)
}
