// Package adapt fits what the loop of package publish asks for to what is here: a node, the
// signer's key, its mnemonic. bifrost's own service is wired with it, and so is a signer of another
// project that has its own ceremonies and keeps keyshares in its own way (examples/own-signer).
package adapt

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Node is a node as the loop sees it. While it catches up it has no height.
func Node(client *chain.Client) publish.Chain { return node{client} }

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

// SignTx signs the loop's transactions with the signer's key, for a chain.
func SignTx(chainID string, key *signer.Key) publish.SignTx {
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

// Seal seals for the mnemonic, which the caller wipes when the loop has ended. One scrypt takes
// 256 MiB × 2^(workFactor−18): who opens envelopes beside it takes turns with it.
func Seal(mnemonic *sanity.Mnemonic) func([]envelope.File, int) ([]byte, error) {
	return func(files []envelope.File, workFactor int) ([]byte, error) {
		return envelope.Seal(files, mnemonic, envelope.WithWorkFactor(workFactor))
	}
}

// Prove proves with the recipient key of the mnemonic, which the caller wipes when the loop has
// ended.
func Prove(
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

// SignBeat signs heartbeats with the recipient key of the mnemonic, which the caller wipes when the
// loop has ended.
func SignBeat(mnemonic *sanity.Mnemonic) func(verenc.Beat, types.Recipient) ([]byte, error) {
	return func(b verenc.Beat, recipient types.Recipient) ([]byte, error) {
		key, err := signer.DeriveRecipient(mnemonic, recipient.Index)
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		if !bytes.Equal(key.Public(), recipient.Key) {
			return nil, fmt.Errorf("%w: it holds %x, and the mnemonic derives %x at index %d",
				publish.ErrRecipient, recipient.Key, key.Public(), recipient.Index)
		}
		return key.SignBeat(b)
	}
}

// Outbox is the outbox in a folder, whose keyshares are sealed for the mnemonic. One process at a
// time works in it.
func Outbox(dir string, mnemonic *sanity.Mnemonic) (*outbox.Outbox, error) {
	identity, err := signer.HomeIdentity(mnemonic)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(identity)
	keys, err := keystore.NewKeys(identity, nil)
	if err != nil {
		return nil, err
	}
	return outbox.NewOutbox(dir, keys), nil
}
