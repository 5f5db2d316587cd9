package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// GroupPart returns the group part of a split vault, which is named by digits of its name, and what
// the chain's records say of the vault. Both are verified from the trusted header of the home on,
// in which nothing is changed and a bifrost may run. Its own node and its witnesses are asked;
// warn is told by what the records are not as well verified as they could be. When state keeps none
// any more it is taken out of the block that carries it. The error of a vault that is not split, or
// when neither has it, wraps [chain.ErrNotFound]; v is set then.
func GroupPart(
	ctx context.Context,
	homeDir string, cfg home.Config, digits string, warn func(text string),
) (v vault.Vault, group []byte, err error) {
	records, v, err := vaultRecord(ctx, homeDir, cfg, digits, warn)
	if err != nil {
		return v, nil, err
	}
	if !v.Split {
		return v, nil, fmt.Errorf("vault %s is not split: each member's envelope holds its whole "+
			"keyshares: %w", v.Name(), chain.ErrNotFound)
	}
	group, err = groupOf(ctx, records, v)
	return v, group, err
}

// maxRecordAge is how old the header of records may be by which somebody signs, hands a vault on or
// exports keyshares.
const maxRecordAge = 10 * time.Minute

// checkAge errs when records are older than that: the vault may be in another epoch by now. Its
// error wraps [chain.ErrUnreachable].
func checkAge(records care.Records) error {
	height, _, at := records.Header()
	if age := time.Since(at); age > maxRecordAge {
		return fmt.Errorf("the latest header, of block %d, is %s old: the epoch and what has "+
			"expired are not known: %w", height, age.Round(time.Second), chain.ErrUnreachable)
	}
	return nil
}

// VaultRecord returns what the chain's records say of a vault, which is named by digits of its
// name, and the block after which they say so. They are verified as those of [GroupPart] are, and
// no older than ten minutes; the error of older ones wraps [chain.ErrUnreachable].
func VaultRecord(
	ctx context.Context,
	homeDir string, cfg home.Config, digits string, warn func(text string),
) (v vault.Vault, height int64, err error) {
	records, v, err := vaultRecord(ctx, homeDir, cfg, digits, warn)
	if err != nil {
		return v, 0, err
	}
	if err := checkAge(records); err != nil {
		return v, 0, err
	}
	height, _, _ = records.Header()
	return v, height, nil
}

// vaultRecord verifies the records, and finds the vault that digits name in them.
func vaultRecord(
	ctx context.Context,
	homeDir string, cfg home.Config, digits string, warn func(text string),
) (records care.Records, v vault.Vault, err error) {
	if err := vault.CheckDigits(digits); err != nil {
		return nil, v, err
	}
	nodes := append([]string{cfg.Node}, cfg.Witnesses...)
	store := care.ReadOnly{TrustStore: chain.TrustDir(home.TrustDir(homeDir))}
	if records, err = lookFrom(ctx, homeDir, cfg, nil, nodes, look{store, warn}); err != nil {
		return nil, v, err
	}
	v, err = namedVault(ctx, records, digits)
	return records, v, err
}

func groupOf(ctx context.Context, records care.Records, v vault.Vault) ([]byte, error) {
	group, err := records.Group(ctx, v)
	if !errors.Is(err, chain.ErrNotFound) {
		return group, err
	}
	group, carried := records.CarriedGroup(ctx, v)
	if carried != nil {
		return nil, errors.Join(err, carried)
	}
	return group, nil
}

// OwnGroup makes the group part of a split vault of what a member, given by its compressed public
// key, has of it: its whole keyshares. It is the one that the vault's record names.
func OwnGroup(
	store *keystore.Store, v vault.Vault, prefix string, member []byte,
) ([]byte, error) {
	files, err := keyfiles.Read(v, prefix, store.Load)
	if err != nil {
		return nil, fmt.Errorf("this member's own keyshares: %w", err)
	}
	defer keyfiles.Wipe(files)
	keys, err := keyfiles.Check(v, files, member)
	if err != nil {
		return nil, err
	}
	defer keys.Wipe()
	group, err := keys.GroupPart()
	if err != nil {
		return nil, err
	}
	return group, v.CheckGroup(group)
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
