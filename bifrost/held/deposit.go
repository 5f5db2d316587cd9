package held

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// depositsAtOnce is to how many members an envelope is brought at the same time.
const depositsAtOnce = 16

// Deposit brings a member's own envelope of a vault's present epoch to all other members, and
// returns the receipts of those that hold it then, each verified, in the order of the members. The
// member is given by its compressed public key; prefix is that of accounts. It errs when there are
// fewer receipts than a publication takes.
func (c *Client) Deposit(
	ctx context.Context, chainID, prefix string, v vault.Vault, pubKey, envelope []byte,
) ([]types.Receipt, error) {
	publisher := types.SignerAddress(pubKey)
	commitment := types.Held(envelope)
	message := types.ReceiptMessage(
		chainID, v.Epoch, publisher, commitment.Sha256, commitment.Size_)
	signatures, errs := make([][]byte, len(v.Members)), make([]error, len(v.Members))
	turn := make(chan struct{}, depositsAtOnce)
	var all sync.WaitGroup
	for i, m := range v.Members {
		if string(m.PubKey) == string(pubKey) {
			continue
		}
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			signature, err := c.Put(ctx, m.PubKey, v.Epoch, envelope)
			if err == nil && !types.VerifySecp256k1(m.PubKey, message, signature) {
				err = errors.New("its receipt is not signed by it for this envelope")
			}
			if err != nil {
				errs[i] = fmt.Errorf("member %x: %w", m.PubKey, err)
				c.passed(m.PubKey, err)
				return
			}
			signatures[i] = signature
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var receipts []types.Receipt
	for i, m := range v.Members {
		if signatures[i] == nil {
			continue
		}
		address, err := bech32.ConvertAndEncode(prefix, m.Address())
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, types.Receipt{Member: address, Signature: signatures[i]})
	}
	if err := types.CheckReceiptCount(len(receipts), len(v.Members), v.Threshold); err != nil {
		return nil, fmt.Errorf("the other members do not hold the envelope yet: %w: %w",
			err, errors.Join(errs...))
	}
	return receipts, nil
}
