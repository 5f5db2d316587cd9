// Package registration is about who the signer is: the transaction by which the validator's
// operator registers it, whether the chain knows it as that operator's, and which vaults still live
// under a signer that it replaced.
package registration

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

var (
	// ErrRefused means that the mnemonic may not be used with this configuration: the chain knows
	// another signer, or another recipient key of this one.
	ErrRefused = errors.New("the mnemonic is not the registered signer's")
	// ErrRecipient means that the signer is the right one and its recipient key is not.
	ErrRecipient = errors.New("the signer's recipient key is not the mnemonic's")
)

// State is what the chain says of a signer.
type State string

const (
	// Waiting means that the node did not answer yet.
	Waiting State = "waiting for the node"
	// Unregistered means that the operator has yet to register the signer.
	Unregistered State = "unregistered"
	// Ready means that the signer is the operator's.
	Ready State = "ready"
	// Replaced means that the signer was the operator's, and another is by now. Vaults may still
	// live under this one.
	Replaced State = "replaced"
)

// Check asks the chain for the operator's signer, and reports whether the one with this address and
// mnemonic is Ready, Unregistered or Replaced. An error that wraps [ErrRefused] or [home.ErrConfig]
// will not go away by itself; one that wraps [ErrRecipient] too is about a signer that is Ready but
// for its recipient key.
func Check(
	ctx context.Context,
	node *chain.Client,
	c home.Config,
	address string,
	mnemonic *sanity.Mnemonic,
) (State, error) {
	if err := checkNode(ctx, node, c); err != nil {
		return "", err
	}
	present, err := node.Signer(ctx, c.Operator)
	if err != nil && !errors.Is(err, chain.ErrNotFound) {
		return "", err
	}
	if err == nil && present.Address == address {
		err := CheckRecipient(mnemonic, present.RecipientKey, present.RecipientIndex)
		if err != nil {
			return "", fmt.Errorf(
				"%w: %w: replace the recipient key by what bifrost register prints",
				ErrRefused,
				err,
			)
		}
		return Ready, nil
	}
	// The chain remembers whose signer an address ever was.
	own, ownErr := node.Signer(ctx, address)
	switch {
	case ownErr == nil && own.Operator != c.Operator:
		return "", fmt.Errorf("%w: the chain knows %s as a signer of %s, config.toml says %s",
			ErrRefused, address, own.Operator, c.Operator)
	case ownErr == nil:
		return Replaced, nil
	case !errors.Is(ownErr, chain.ErrNotFound):
		return "", ownErr
	case err == nil:
		return "", fmt.Errorf("%w: the chain knows %s as the signer of %s, the mnemonic derives %s",
			ErrRefused, present.Address, c.Operator, address)
	}
	return Unregistered, nil
}

// CheckRecipient makes sure that the mnemonic derives, at an index, a recipient key that the chain
// holds for this signer, in hex: it could not open proofs to another one. Its error wraps
// [ErrRecipient].
func CheckRecipient(mnemonic *sanity.Mnemonic, want string, index uint32) error {
	key, err := signer.DeriveRecipient(mnemonic, index)
	if err != nil {
		return err
	}
	defer key.Wipe()
	if got := hex.EncodeToString(key.Public()); got != want {
		return fmt.Errorf("%w: the chain holds %q at index %d, the mnemonic derives %s",
			ErrRecipient, want, index, got)
	}
	return nil
}

// NextIndex asks the node which index the signer's next registration has: one more than that of the
// recipient key that the chain knows, 0 when it knows none.
func NextIndex(ctx context.Context, c home.Config, address string) (uint32, error) {
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

// Registered reports whether the chain knows the signer with this address and mnemonic as the
// operator's, with a recipient key of the mnemonic's: then there is nothing to register.
func Registered(
	ctx context.Context, c home.Config, address string, mnemonic *sanity.Mnemonic,
) (bool, error) {
	node, err := chain.New(c.Node, 0)
	if err != nil {
		return false, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	state, err := Check(ctx, node, c, address, mnemonic)
	if errors.Is(err, ErrRecipient) {
		return false, nil // it is to be replaced
	}
	return state == Ready, err
}

// checkNode makes sure that the node is of the configured chain and knows its latest state.
func checkNode(ctx context.Context, node *chain.Client, c home.Config) error {
	status, err := node.Status(ctx)
	if err != nil {
		return err
	}
	if status.ChainID != c.ChainID {
		return fmt.Errorf("%w: %s is a node of chain %q, config.toml says %q",
			home.ErrConfig, node.Name(), status.ChainID, c.ChainID)
	}
	if status.CatchingUp {
		return fmt.Errorf("the node is catching up, at block %d", status.Height)
	}
	if status.Height == 0 {
		return errors.New("the node has no block yet: a chain begins when validators with more " +
			"than two thirds of its power are there")
	}
	return nil
}

// FormerVault is a live vault in which the operator's member is a signer that was replaced. Only
// the former mnemonic opens its backup and signs for it.
type FormerVault struct {
	Vault   string `json:"vault"`
	Address string `json:"address"`
}

// findFormer finds the vaults that still live under a former mnemonic.
func findFormer(
	ctx context.Context, node *chain.Client, operator, address string,
) ([]FormerVault, error) {
	// The coverage names the operators beside the members.
	vaults, err := node.Coverage(ctx, "")
	if err != nil {
		return nil, err
	}
	var former []FormerVault
	for _, v := range vaults {
		for _, m := range v.List {
			if m.Operator == operator && m.Address != address {
				former = append(former, FormerVault{Vault: v.Vault, Address: m.Address})
			}
		}
	}
	return former, nil
}
