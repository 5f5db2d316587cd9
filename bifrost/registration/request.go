package registration

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Request is what an operator needs to register a signer.
type Request struct {
	ChainID  string `json:"chain_id"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	// PubKey, Signature, RecipientKey, RecipientIndex and Possession are the arguments of
	// register-signer, in hex but for the index.
	PubKey         string `json:"pub_key"`
	Signature      string `json:"signature"`
	RecipientKey   string `json:"recipient_key"`
	RecipientIndex uint32 `json:"recipient_index"`
	Possession     string `json:"possession"`
	// PeerID is by what the other signers know this one.
	PeerID string `json:"peer_id"`
	// Registered tells that the chain knows this signer already: there is nothing to run.
	Registered bool `json:"registered"`
	// Command is the transaction to run where the operator's key is. It asks the node of the
	// configuration and pays what that asks; a key or a password in the node's address is left for
	// the operator to fill in.
	Command string `json:"register_command"`

	// command is without the price of gas.
	command string
}

// NewRequest signs for a registration with the mnemonic's recipient key at an index: 0 for the
// first one.
func NewRequest(
	c home.Config, key *signer.Key, mnemonic *sanity.Mnemonic, index uint32,
) (*Request, error) {
	operator, err := c.OperatorAddress()
	if err != nil {
		return nil, err
	}
	recipient, err := signer.DeriveRecipient(mnemonic, index)
	if err != nil {
		return nil, err
	}
	defer recipient.Wipe()
	possession, err := recipient.Possess(c.ChainID, key.Address())
	if err != nil {
		return nil, err
	}
	registered := types.Recipient{Key: recipient.Public(), Index: index}
	signature, err := key.Sign(types.RegisterMessage(c.ChainID, operator, key.PubKey(), registered))
	if err != nil {
		return nil, err
	}
	peer, err := tss.PeerID(key.PubKey())
	if err != nil {
		return nil, err
	}
	r := &Request{
		ChainID: c.ChainID, Operator: c.Operator, Address: key.Bech32(c.Prefix),
		PubKey: hex.EncodeToString(key.PubKey()), Signature: hex.EncodeToString(signature),
		RecipientKey: hex.EncodeToString(recipient.Public()), RecipientIndex: index,
		Possession: hex.EncodeToString(possession), PeerID: peer,
	}
	account, err := c.OperatorAccount()
	if err != nil {
		return nil, err
	}
	node, err := chain.New(c.Node, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	r.command = fmt.Sprintf("tssbackupd tx tssbackup register-signer %s %s %s %d %s "+
		"--from %s --chain-id %s --node %s --gas auto --gas-adjustment %s",
		r.PubKey, r.Signature, r.RecipientKey, r.RecipientIndex, r.Possession,
		account, quoted(c.ChainID), quoted(node.Name()), gasAdjustment)
	r.Command = r.priced(defaultGasPrice)
	return r, nil
}

const (
	// defaultGasPrice is what a node of tssbackupd asks until it is told otherwise.
	defaultGasPrice = "0.001stake"
	// gasAdjustment leaves room beside what a simulation uses, which does not write the account.
	gasAdjustment = "1.5"
)

func (r *Request) priced(price string) string {
	if price == "" {
		return r.command
	}
	return r.command + " --gas-prices " + price
}

// price asks the node for its price of gas, and has the command pay that. What it was before stays
// where the node does not say.
func (r *Request) price(ctx context.Context, node *chain.Client) {
	if price, err := node.MinGasPrice(ctx); err == nil {
		r.Command = r.priced(price)
	}
}

// Price has the command of a request pay what the configured node asks, if it says.
func Price(ctx context.Context, c home.Config, r *Request) {
	if node, err := chain.New(c.Node, glance); err == nil {
		r.price(ctx, node)
	}
}

// Complete looks whether the chain knows the signer of a request already, and else has its command
// pay what the configured node asks. A node that does not answer within a few seconds, or is of
// another chain, leaves the request as it is.
func Complete(ctx context.Context, c home.Config, r *Request, mnemonic *sanity.Mnemonic) {
	node, err := chain.New(c.Node, glance)
	if err != nil {
		return
	}
	node.OnRetry(func(context.Context, chain.Retry) error { return errGlance })
	state, err := Check(ctx, node, c, r.Address, mnemonic)
	if err != nil {
		return
	}
	r.Registered = state == Ready
	r.price(ctx, node)
}

// glance is how long a node may take that is not needed, and errGlance that it took longer.
const glance = 3 * time.Second

var errGlance = errors.New("the node does not answer at once")

// quoted is text as a shell takes it for one word.
func quoted(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var plain = regexp.MustCompile(`^[a-zA-Z0-9_./:@%+=-]+$`)
