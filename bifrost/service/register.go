package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrRefused means that the mnemonic may not be used with this configuration:
	// the chain knows another signer.
	ErrRefused = errors.New("the mnemonic is not the registered signer's")
	// ErrConfig means that the configuration does not fit the node.
	ErrConfig = errors.New("the configuration does not fit the node")
)

// Registration is what an operator needs to register a signer.
type Registration struct {
	ChainID  string `json:"chain_id"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	// PubKey and Signature are the arguments of register-signer, in hex.
	PubKey    string `json:"pub_key"`
	Signature string `json:"signature"`
	// PeerID is by what the other signers know this one.
	PeerID string `json:"peer_id"`
	// Command is the transaction to run where the operator's key is; the fee is
	// for the operator to add.
	Command string `json:"command"`
}

// NewRegistration signs for a registration.
func NewRegistration(c Config, key *signer.Key) (*Registration, error) {
	operator, err := c.OperatorAddress()
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(types.RegisterMessage(c.ChainID, operator, key.PubKey()))
	if err != nil {
		return nil, err
	}
	peer, err := tss.PeerID(key.PubKey())
	if err != nil {
		return nil, err
	}
	r := &Registration{
		ChainID: c.ChainID, Operator: c.Operator, Address: key.Bech32(c.Prefix),
		PubKey: hex.EncodeToString(key.PubKey()), Signature: hex.EncodeToString(signature), PeerID: peer,
	}
	account, err := bech32.ConvertAndEncode(c.Prefix, operator)
	if err != nil {
		return nil, err
	}
	r.Command = fmt.Sprintf("tssbackupd tx tssbackup register-signer %s %s --from %s --chain-id %s",
		r.PubKey, r.Signature, account, c.ChainID)
	return r, nil
}

// checkRegistration asks the chain for the operator's signer and returns the state
// that follows: ready, unregistered, or replaced when this signer was the
// operator's before. An error that wraps ErrRefused or ErrConfig will not go away
// by itself.
func checkRegistration(ctx context.Context, node *chain.Client, c Config, address string) (state string, err error) {
	status, err := node.Status(ctx)
	if err != nil {
		return "", err
	}
	if status.ChainID != c.ChainID {
		return "", fmt.Errorf("%w: %s is a node of chain %q, config.toml says %q", ErrConfig, node.Name(), status.ChainID, c.ChainID)
	}
	if status.CatchingUp {
		return "", fmt.Errorf("the node is catching up, at block %d", status.Height)
	}
	present, err := node.Signer(ctx, c.Operator)
	if err != nil && !errors.Is(err, chain.ErrNotFound) {
		return "", err
	}
	if err == nil && present.Address == address {
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
