package chain

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// gasPrice is the form of one price of gas. What a node says may end up on a command line.
var gasPrice = regexp.MustCompile(`^[0-9]{1,20}(\.[0-9]{1,18})?[a-zA-Z][a-zA-Z0-9/:._-]{2,127}$`)

// MinGasPrice returns the price of gas that the node asks of a transaction, such as 0.001stake: one
// of them where it takes several denominations, empty when it asks for none. It errs where the node
// serves no gRPC, with which the SDK leaves the question out.
func (c *Client) MinGasPrice(ctx context.Context) (string, error) {
	// Written out because the SDK's package of it brings a whole server with it.
	value, err := c.abciQuery(ctx, "/cosmos.base.node.v1beta1.Service/Config", nil)
	if err != nil {
		return "", err
	}
	prices, ok := stringField(value, 1)
	price, _, _ := strings.Cut(prices, ",")
	if !ok || price != "" && !gasPrice.MatchString(price) {
		return "", fmt.Errorf("%w: malformed answer about the price of gas", ErrUnreachable)
	}
	return price, nil
}

// HasValidator reports whether the chain has a validator of this operator.
func (c *Client) HasValidator(ctx context.Context, operator string) (bool, error) {
	req := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), operator)
	_, err := c.abciQuery(ctx, "/cosmos.staking.v1beta1.Query/Validator", req)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// HasFunds reports whether an account can pay anything.
func (c *Client) HasFunds(ctx context.Context, address string) (bool, error) {
	req := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), address)
	value, err := c.abciQuery(ctx, "/cosmos.bank.v1beta1.Query/SpendableBalances", req)
	if err != nil {
		return false, err
	}
	funds := false
	ok := fields(value, func(num protowire.Number, _ protowire.Type, _ []byte) bool {
		funds = funds || num == 1
		return true
	})
	if !ok {
		return false, fmt.Errorf("%w: malformed answer about the funds of %s", ErrUnreachable, address)
	}
	return funds, nil
}

// Registration is a transaction that registers a signer, as a node has it.
type Registration struct {
	// Pending tells that it waits for a block; Code and Log are its outcome else. Height is that of
	// its block.
	Pending bool
	Height  int64
	Code    uint32
	Log     string
}

// searched is how many transactions are looked at for a registration.
const searched = 30

// Registrations returns the registrations of an operator that wait in the node's mempool, and the
// latest that an account, which paid for them, has in a block, the newest first. A node without an
// index knows those in the mempool alone.
func (c *Client) Registrations(
	ctx context.Context, operator, payer string,
) ([]Registration, error) {
	limit, page := searched, 1
	waiting, err := c.rpc.UnconfirmedTxs(ctx, &limit)
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	var list []Registration
	for _, raw := range waiting.Txs {
		if registers(raw, operator) {
			list = append(list, Registration{Pending: true})
		}
	}
	done, err := c.rpc.TxSearch(
		ctx, fmt.Sprintf("tx.fee_payer='%s'", payer), false, &page, &limit, "desc")
	if err != nil {
		return list, nil //nolint:nilerr // the node has no index, and that is no fault
	}
	for _, res := range done.Txs {
		if registers(res.Tx, operator) {
			list = append(list, Registration{
				Height: res.Height, Code: res.TxResult.Code,
				Log: printable(c.transport.scrub(res.TxResult.Log)),
			})
		}
	}
	return list, nil
}

// registers reports whether a transaction registers a signer for an operator.
func registers(raw []byte, operator string) bool {
	var outer tx.TxRaw
	var body tx.TxBody
	if proto.Unmarshal(raw, &outer) != nil || proto.Unmarshal(outer.BodyBytes, &body) != nil {
		return false
	}
	for _, packed := range body.Messages {
		var msg types.MsgRegisterSigner
		if packed.TypeUrl == "/"+proto.MessageName(&msg) && proto.Unmarshal(packed.Value, &msg) == nil &&
			msg.Operator == operator {
			return true
		}
	}
	return false
}

// stringField is the text in a field of a message, empty when it has none.
func stringField(msg []byte, want protowire.Number) (text string, ok bool) {
	ok = fields(msg, func(num protowire.Number, typ protowire.Type, field []byte) bool {
		if num != want || typ != protowire.BytesType {
			return true
		}
		value, n := protowire.ConsumeString(field)
		text = value
		return n >= 0
	})
	return text, ok
}
