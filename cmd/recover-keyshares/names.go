package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/trust"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// operatorSuffix ends the prefix of a validator's operator address.
const operatorSuffix = "valoper"

// checkNames brings --address and --vault into their normal forms, as far as that is possible
// without the chain.
func (a *app) checkNames() error {
	if a.vault != "" {
		a.vault = strings.ToLower(a.vault)
		if err := vault.CheckDigits(a.vault); err != nil {
			return command.Usage(fmt.Errorf("--vault: %w", err))
		}
		// Of fewer digits it is found among the chain's.
		a.vaultKey, _ = types.ParseVault(a.vault)
	}
	if a.address == "" {
		return nil
	}
	prefix, raw, err := home.DecodeAddress(a.address)
	if err != nil {
		return command.Usage(fmt.Errorf("--address: %w", err))
	}
	if a.operators != "" && prefix == a.operators {
		a.operator = raw
		return nil
	}
	if account, ok := strings.CutSuffix(prefix, operatorSuffix); ok {
		a.operator, a.prefix = raw, account
		return nil
	}
	a.prefix = prefix
	return a.showAddress(raw)
}

// showAddress writes --address anew.
func (a *app) showAddress(raw []byte) (err error) {
	if a.address, err = bech32.ConvertAndEncode(a.prefix, raw); err != nil {
		return command.Usage(fmt.Errorf("--address: %w", err))
	}
	return nil
}

// refuseOperator says that --address is a validator's operator address, and which is the member's,
// if a node shows it. err is why none does.
func (a *app) refuseOperator(ctx context.Context, light *chain.Light, err error) error {
	text := fmt.Sprintf("--address: %s is the address of a validator's operator, and a member is "+
		"known by that of its signer", a.address)
	member, err := a.signerOf(ctx, light, err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return command.Usage(fmt.Errorf("%s; which that is cannot be found out: %w", text, err))
	case member == "":
		return command.Usage(fmt.Errorf("%s; the chain knows no signer of this operator", text))
	}
	return command.Usage(fmt.Errorf("%s, which is %s now: give --address %s", text, member, member))
}

func (a *app) signerOf(ctx context.Context, light *chain.Light, err error) (string, error) {
	if err != nil {
		return "", err
	}
	state, err := light.Head(ctx, time.Now())
	if err != nil {
		return "", trust.Advise(err)
	}
	raw, err := state.SignerOf(ctx, a.operator)
	if err != nil || raw == nil {
		return "", err
	}
	return bech32.ConvertAndEncode(a.prefix, raw)
}

// settle finds, among what the chain holds, the vault that --vault names by a few digits, and the
// prefix of the chain's addresses.
func (a *app) settle(ctx context.Context, state *chain.State) error {
	if a.vaultKey != nil {
		v, err := state.Vault(ctx, a.vaultKey)
		if err != nil {
			return err
		}
		return a.checkPrefix(ctx, state, v)
	}
	vaults, err := state.Vaults(ctx, nil)
	if err != nil {
		return err
	}
	if a.vault != "" {
		names := make([]string, len(vaults))
		for i, v := range vaults {
			names[i] = v.Name()
		}
		name, err := vault.Pick(a.vault, names)
		if err != nil && !errors.Is(err, vault.ErrUnknown) {
			err = command.Usage(fmt.Errorf("--vault: %w", err))
		}
		if err != nil {
			return err
		}
		i := slices.Index(names, name)
		a.vault, a.vaultKey, vaults = name, vaults[i].PubKey, vaults[i:]
	}
	if len(vaults) == 0 {
		return nil
	}
	return a.checkPrefix(ctx, state, vaults[0])
}

// checkPrefix takes the prefix with which the chain writes the members of a vault, and warns when
// the user gave another one.
func (a *app) checkPrefix(ctx context.Context, state *chain.State, v vault.Vault) error {
	given := a.prefix
	prefix, err := state.FindPrefix(ctx, v)
	if err != nil || prefix == given {
		return err
	}
	a.prefix = prefix
	member, err := bech32.ConvertAndEncode(prefix, v.Members[0].Address())
	if err != nil {
		return err
	}
	a.Warn(fmt.Sprintf("%s is not the prefix of this chain's addresses: its vault %s names a member "+
		"%s, so that it is %s", given, vault.Short(v.Name()), command.OneLine(member), prefix))
	if a.address == "" {
		return nil
	}
	_, raw, err := bech32.DecodeAndConvert(a.address)
	if err != nil {
		return err
	}
	return a.showAddress(raw)
}
