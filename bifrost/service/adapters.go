package service

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// node is the chain as publish sees it.
type node struct{ *chain.Client }

func (n node) Height(ctx context.Context) (int64, error) {
	status, err := n.Status(ctx)
	if err != nil {
		return 0, err
	}
	if status.CatchingUp {
		return 0, fmt.Errorf("the node is catching up, at block %d", status.Height)
	}
	return status.Height, nil
}

func signTx(chainID string, key *signer.Key) publish.SignTx {
	return func(msg proto.Message, p publish.TxParams) ([]byte, error) {
		return chain.SignTx(msg, chain.TxParams{
			ChainID:       chainID,
			AccountNumber: p.AccountNumber,
			Sequence:      p.Sequence,
			Gas:           p.Gas,
			TimeoutHeight: p.TimeoutHeight,
		}, key)
	}
}

// prove proves with the recipient key of the mnemonic.
func prove(
	mnemonic *sanity.Mnemonic,
) func(verenc.Statement, uint32, []verenc.Share) ([]byte, error) {
	return func(st verenc.Statement, index uint32, shares []verenc.Share) ([]byte, error) {
		key, err := signer.DeriveRecipient(mnemonic, index)
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		if !bytes.Equal(key.Public(), st.Recipient) {
			return nil, fmt.Errorf("%w: it holds %x, and the mnemonic derives %x at index %d",
				publish.ErrRecipient, st.Recipient, key.Public(), index)
		}
		return verenc.Prove(key, st, shares)
	}
}
