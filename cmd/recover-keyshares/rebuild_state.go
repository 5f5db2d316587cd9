package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// state reads the vault's state, from a file or from the chain, and checks it.
func (r *rebuilding) state(ctx context.Context) (*rebuild.State, error) {
	var record rebuild.Record
	var err error
	if r.stateFile != "" {
		record, err = r.saved()
	} else {
		record, err = r.live(ctx)
	}
	if err != nil {
		return nil, err
	}
	if record.Vault != r.vault {
		return nil, fmt.Errorf("%w: it is that of vault %.80q, and --vault is %s", rebuild.ErrState, record.Vault, r.vault)
	}
	return rebuild.New(record)
}

func (r *rebuilding) saved() (rebuild.Record, error) {
	f := r.Stdin
	if r.stateFile != "-" {
		var err error
		if f, err = os.Open(r.stateFile); err != nil {
			return rebuild.Record{}, err
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, rebuild.MaxBytes+1))
	if err != nil {
		return rebuild.Record{}, err
	}
	record, err := rebuild.Parse(data)
	if err != nil {
		return record, fmt.Errorf("%s: %w", r.stateFile, err)
	}
	return record, nil
}

// live reads the vault's state from verified records.
func (r *rebuilding) live(ctx context.Context) (rebuild.Record, error) {
	r.warn("a machine that is on a network is no place for a vault's private keys: " +
		"save the state with 'tssbackupd query tssbackup proofs' and go on without one")
	light, err := r.light(ctx)
	if err != nil {
		return rebuild.Record{}, err
	}
	state, err := r.head(ctx, light)
	if err != nil {
		return rebuild.Record{}, err
	}
	r.chainID, r.height = light.ChainID(), state.Height()
	vault, err := state.Vault(ctx, r.vault)
	if err != nil {
		return rebuild.Record{}, err
	}
	shares, proofs, err := state.Proofs(ctx, vault)
	if err != nil {
		return rebuild.Record{}, err
	}
	return recordOf(vault, shares, proofs)
}

// recordOf shows a vault's records as the query proofs shows them.
func recordOf(vault types.VaultInfo, shares types.PublicShares, proofs []types.Proof) (rebuild.Record, error) {
	record := rebuild.Record{
		Vault: vault.Vault, PubKeyEd25519: vault.PubKeyEd25519, KeygenID: rebuild.Number(vault.Epoch), Threshold: vault.Threshold,
	}
	if shares.IsEmpty() {
		return record, fmt.Errorf("%w: vault %s was made without proofs, or they are deleted", rebuild.ErrUnproven, vault.Vault)
	}
	addresses := map[string]string{}
	for i, m := range vault.Members {
		key, err := hex.DecodeString(m.PubKey)
		if err != nil {
			return record, fmt.Errorf("%w: member %s: %w", rebuild.ErrState, m.Address, err)
		}
		addresses[string(types.SignerAddress(key))] = m.Address
		record.Proofs = append(record.Proofs, rebuild.Proof{
			Member: m.Address, RecipientKey: hex.EncodeToString(proofs[i].Recipient.Key),
			RecipientIndex: proofs[i].Recipient.Index, Stored: proofs[i].Stored,
		})
	}
	points := func(list []types.PublicShare) (all []rebuild.Point) {
		for _, e := range list {
			all = append(all, rebuild.Point{Member: addresses[string(e.Member)], ID: hex.EncodeToString(e.Id), Point: hex.EncodeToString(e.Point)})
		}
		return all
	}
	record.Secp256k1, record.Ed25519 = points(shares.Secp256k1), points(shares.Ed25519)
	return record, nil
}
