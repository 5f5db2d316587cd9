package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/bifrost/vault"
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
	if !strings.HasPrefix(record.Vault, r.vault) {
		return nil, fmt.Errorf(
			"%w: it is that of vault %.80q, and --vault is %s",
			rebuild.ErrState,
			record.Vault,
			r.vault,
		)
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
	var record rebuild.Record
	if len(data) > rebuild.MaxBytes {
		err = fmt.Errorf("%w: more than %d bytes", rebuild.ErrState, rebuild.MaxBytes)
	} else if data, err = saved.Object(data, "vault"); err != nil {
		err = fmt.Errorf(
			"%w: it is not what the query proofs prints with --output json: %w",
			rebuild.ErrState,
			err,
		)
	} else {
		record, err = rebuild.Parse(data)
	}
	if err != nil {
		return record, fmt.Errorf("%s: %w", r.stateFile, err)
	}
	return record, nil
}

// live reads the vault's state from verified records.
func (r *rebuilding) live(ctx context.Context) (rebuild.Record, error) {
	r.Warn("a machine that is on a network is no place for a vault's private keys: " +
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
	v, err := state.Vault(ctx, r.vaultKey)
	if err != nil {
		return rebuild.Record{}, err
	}
	proofs, err := state.Proofs(ctx, v)
	if err != nil {
		return rebuild.Record{}, err
	}
	return recordOf(v, r.prefix, proofs.Shares, proofs.Members)
}

// recordOf shows a vault's records as the query proofs shows them. The prefix is that of account
// addresses.
func recordOf(
	v vault.Vault,
	prefix string,
	shares types.PublicShares,
	proofs []types.Proof,
) (rebuild.Record, error) {
	record := rebuild.Record{
		Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519),
		KeygenID: rebuild.Number(v.Epoch), Threshold: v.Threshold,
	}
	if shares.IsEmpty() {
		return record, fmt.Errorf(
			"%w: vault %s was made without proofs, or they are deleted",
			rebuild.ErrUnproven,
			v.Name(),
		)
	}
	addresses := map[string]string{}
	for i, m := range v.Members {
		address, err := bech32.ConvertAndEncode(prefix, m.Address())
		if err != nil {
			return record, fmt.Errorf("--prefix %q: %w", prefix, err)
		}
		addresses[string(m.Address())] = address
		record.Proofs = append(record.Proofs, rebuild.Proof{
			Member: address, RecipientKey: hex.EncodeToString(proofs[i].Recipient.Key),
			RecipientIndex: proofs[i].Recipient.Index, Stored: proofs[i].Stored,
		})
	}
	points := func(list []types.PublicShare) (all []rebuild.Point) {
		for _, e := range list {
			all = append(all, rebuild.Point{
				Member: addresses[string(e.Member)],
				ID:     hex.EncodeToString(e.Id),
				Point:  hex.EncodeToString(e.Point),
			})
		}
		return all
	}
	record.Secp256k1, record.Ed25519 = points(shares.Secp256k1), points(shares.Ed25519)
	return record, nil
}
