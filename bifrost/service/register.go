package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrRefused means that the mnemonic may not be used with this configuration:
	// the chain knows another signer, or another recipient key of this one.
	ErrRefused = errors.New("the mnemonic is not the registered signer's")

	// errRecipient means that the signer is the right one and its recipient key is not.
	errRecipient = errors.New("the signer's recipient key is not the mnemonic's")
)

// Registration is what an operator needs to register a signer.
type Registration struct {
	ChainID  string `json:"chain_id"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	// PubKey, Signature, RecipientKey, RecipientIndex and Possession are the arguments
	// of register-signer, in hex but for the index.
	PubKey         string `json:"pub_key"`
	Signature      string `json:"signature"`
	RecipientKey   string `json:"recipient_key"`
	RecipientIndex uint32 `json:"recipient_index"`
	Possession     string `json:"possession"`
	// PeerID is by what the other signers know this one.
	PeerID string `json:"peer_id"`
	// Command is the transaction to run where the operator's key is; the fee is
	// for the operator to add.
	Command string `json:"command"`
}

// NewRegistration signs for a registration with the mnemonic's recipient key at an
// index: 0 for the first one.
func NewRegistration(c home.Config, key *signer.Key, mnemonic *sanity.Mnemonic, index uint32) (*Registration, error) {
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
	r := &Registration{
		ChainID: c.ChainID, Operator: c.Operator, Address: key.Bech32(c.Prefix),
		PubKey: hex.EncodeToString(key.PubKey()), Signature: hex.EncodeToString(signature),
		RecipientKey: hex.EncodeToString(recipient.Public()), RecipientIndex: index,
		Possession: hex.EncodeToString(possession), PeerID: peer,
	}
	account, err := bech32.ConvertAndEncode(c.Prefix, operator)
	if err != nil {
		return nil, err
	}
	r.Command = fmt.Sprintf("tssbackupd tx tssbackup register-signer %s %s %s %d %s --from %s --chain-id %s",
		r.PubKey, r.Signature, r.RecipientKey, r.RecipientIndex, r.Possession, account, c.ChainID)
	return r, nil
}

// NextRecipientIndex asks the node which index the signer's next registration has:
// one more than that of the recipient key that the chain knows, 0 when it knows none.
func NextRecipientIndex(ctx context.Context, c home.Config, address string) (uint32, error) {
	node, err := chain.New(c.Node, 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	if err := checkNode(ctx, node, c); err != nil {
		return 0, err
	}
	present, err := node.Signer(ctx, address)
	if errors.Is(err, chain.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if present.Address != address {
		return 0, nil // it was replaced, and begins anew when it comes back
	}
	return present.RecipientIndex + 1, nil
}

// checkNode makes sure that the node is of the configured chain and knows its
// latest state.
func checkNode(ctx context.Context, node *chain.Client, c home.Config) error {
	status, err := node.Status(ctx)
	if err != nil {
		return err
	}
	if status.ChainID != c.ChainID {
		return fmt.Errorf("%w: %s is a node of chain %q, config.toml says %q", home.ErrConfig, node.Name(), status.ChainID, c.ChainID)
	}
	if status.CatchingUp {
		return fmt.Errorf("the node is catching up, at block %d", status.Height)
	}
	return nil
}

// checkRegistration asks the chain for the operator's signer and returns the state
// that follows: ready, unregistered, or replaced when this signer was the
// operator's before. An error that wraps ErrRefused or home.ErrConfig will not go away
// by itself.
func checkRegistration(ctx context.Context, node *chain.Client, c home.Config, address string, mnemonic *sanity.Mnemonic) (state string, err error) {
	if err := checkNode(ctx, node, c); err != nil {
		return "", err
	}
	present, err := node.Signer(ctx, c.Operator)
	if err != nil && !errors.Is(err, chain.ErrNotFound) {
		return "", err
	}
	if err == nil && present.Address == address {
		if err := checkRecipient(mnemonic, present.RecipientKey, present.RecipientIndex); err != nil {
			return "", fmt.Errorf("%w: %w: replace the recipient key by what bifrost register prints", ErrRefused, err)
		}
		return StateReady, nil
	}
	// The chain remembers whose signer an address ever was.
	own, ownErr := node.Signer(ctx, address)
	switch {
	case ownErr == nil && own.Operator != c.Operator:
		return "", fmt.Errorf("%w: the chain knows %s as a signer of %s, config.toml says %s", ErrRefused, address, own.Operator, c.Operator)
	case ownErr == nil:
		return StateReplaced, nil
	case !errors.Is(ownErr, chain.ErrNotFound):
		return "", ownErr
	case err == nil:
		return "", fmt.Errorf("%w: the chain knows %s as the signer of %s, the mnemonic derives %s", ErrRefused, present.Address, c.Operator, address)
	}
	return StateUnregistered, nil
}

// checkRecipient makes sure that the mnemonic derives a recipient key that the chain
// holds for this signer: it could not open proofs to another one.
func checkRecipient(mnemonic *sanity.Mnemonic, want string, index uint32) error {
	key, err := signer.DeriveRecipient(mnemonic, index)
	if err != nil {
		return err
	}
	defer key.Wipe()
	if got := hex.EncodeToString(key.Public()); got != want {
		return fmt.Errorf("%w: the chain holds %q at index %d, the mnemonic derives %s", errRecipient, want, index, got)
	}
	return nil
}

// FormerVault is a live vault in which the operator's member is a signer that was
// replaced. Only the former mnemonic opens its backup and signs for it.
type FormerVault struct {
	Vault   string `json:"vault"`
	Address string `json:"address"`
}

// formerVaults finds the vaults that still live under a former mnemonic.
func formerVaults(ctx context.Context, node *chain.Client, operator, address string) ([]FormerVault, error) {
	vaults, err := node.Vaults(ctx, "")
	if err != nil {
		return nil, err
	}
	var former []FormerVault
	for _, v := range vaults {
		for _, m := range v.Members {
			if m.Operator == operator && m.Address != address {
				former = append(former, FormerVault{Vault: v.Vault, Address: m.Address})
			}
		}
	}
	return former, nil
}
