package service

import (
	"context"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// GroupPart returns the group part of a split vault, which is named by digits of its name, and what
// the chain's records say of the vault. Both are verified from the trusted header of the home on,
// in which nothing is changed and a bifrost may run. Its own node and its witnesses are asked;
// warn is told by what the records are not as well verified as they could be. The error of a vault
// that is not split, or of which state keeps none any more, wraps [chain.ErrNotFound].
func GroupPart(
	ctx context.Context,
	homeDir string, cfg home.Config, digits string, warn func(text string),
) (v vault.Vault, group []byte, err error) {
	if err := vault.CheckDigits(digits); err != nil {
		return v, nil, err
	}
	nodes := append([]string{cfg.Node}, cfg.Witnesses...)
	store := care.ReadOnly{TrustStore: chain.TrustDir(home.TrustDir(homeDir))}
	records, err := lookFrom(ctx, homeDir, cfg, nil, nodes, look{store, warn})
	if err != nil {
		return v, nil, err
	}
	if v, err = namedVault(ctx, records, digits); err != nil {
		return v, nil, err
	}
	if !v.Split {
		return v, nil, fmt.Errorf("vault %s is not split: each member's envelope holds its whole "+
			"keyshares: %w", v.Name(), chain.ErrNotFound)
	}
	group, err = records.Group(ctx, v)
	return v, group, err
}

// namedVault finds the vault that digits name: one that lives, or by its whole name any.
func namedVault(ctx context.Context, records care.Records, digits string) (vault.Vault, error) {
	if pubKey, err := types.ParseVault(digits); err == nil {
		return records.Vault(ctx, pubKey)
	}
	vaults, err := records.Vaults(ctx, nil)
	if err != nil {
		return vault.Vault{}, err
	}
	byName, names := map[string]vault.Vault{}, []string{}
	for _, v := range vaults {
		byName[v.Name()] = v
		names = append(names, v.Name())
	}
	name, err := vault.Pick(digits, names)
	return byName[name], err
}
