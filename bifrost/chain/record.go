package chain

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrState means that verified records contradict each other or cannot be read: the
// chain runs another version of the module than this program knows.
var ErrState = errors.New("the chain's records cannot be read")

// The functions below turn the store's records into what queries show of them:
// keys and hashes in lower-case hex, addresses in bech32. None of them fails on
// what an honest chain holds.

// decodeLiveVaults returns the names and epochs of all vaults that are not retired.
func decodeLiveVaults(value []byte) ([]types.LiveVault, error) {
	var live types.LiveVaults
	if err := proto.Unmarshal(value, &live); err != nil {
		return nil, fmt.Errorf("%w: living vaults: %w", ErrState, err)
	}
	for _, v := range live.Vaults {
		if len(v.PubKey) != pubKeySize {
			return nil, fmt.Errorf("%w: a vault's name of %d bytes", ErrState, len(v.PubKey))
		}
	}
	return live.Vaults, nil
}

// pubKeySize is the length of a compressed secp256k1 key.
const pubKeySize = 33

func decodeVault(name, value []byte) (types.Vault, error) {
	var vault types.Vault
	if err := proto.Unmarshal(value, &vault); err != nil {
		return vault, fmt.Errorf("%w: vault %x: %w", ErrState, name, err)
	}
	for _, m := range vault.Members {
		if len(m.PubKey) != pubKeySize {
			return vault, fmt.Errorf("%w: vault %x has a member with a key of %d bytes", ErrState, name, len(m.PubKey))
		}
	}
	return vault, nil
}

func vaultInfo(name []byte, vault types.Vault, prefix string) (types.VaultInfo, error) {
	info := types.VaultInfo{
		Vault:          hex.EncodeToString(name),
		PubKeyEd25519:  hex.EncodeToString(vault.PubKeyEd25519),
		Status:         vault.Status,
		Epoch:          vault.Epoch,
		ChurnId:        vault.ChurnId,
		Threshold:      vault.Threshold,
		Needed:         vault.Needed,
		ActiveHeight:   vault.ActiveHeight,
		RetiringHeight: vault.RetiringHeight,
		RetiredHeight:  vault.RetiredHeight,
		SharesHash:     hex.EncodeToString(vault.SharesHash),
	}
	for _, m := range vault.Members {
		address, err := bech32.ConvertAndEncode(prefix, m.Address())
		if err != nil {
			return types.VaultInfo{}, fmt.Errorf("prefix %q: %w", prefix, err)
		}
		info.Members = append(info.Members, types.MemberInfo{
			Address: address, PubKey: hex.EncodeToString(m.PubKey), Asked: m.Asked,
		})
	}
	return info, nil
}

// decodeBackup returns what state knows of a member's envelopes: nil, when there is
// no record.
func decodeBackup(value []byte) (*types.Backup, error) {
	if len(value) == 0 {
		return nil, nil
	}
	var backup types.Backup
	if err := proto.Unmarshal(value, &backup); err != nil {
		return nil, fmt.Errorf("%w: backup: %w", ErrState, err)
	}
	return &backup, nil
}

func decodeShares(value []byte) (types.PublicShares, error) {
	var shares types.PublicShares
	if err := proto.Unmarshal(value, &shares); err != nil {
		return shares, fmt.Errorf("%w: public shares: %w", ErrState, err)
	}
	return shares, nil
}

// decodeProof returns what state knows of a member's proof: nothing, when there is
// no record.
func decodeProof(value []byte) (types.Proof, error) {
	var proof types.Proof
	if err := proto.Unmarshal(value, &proof); err != nil {
		return proof, fmt.Errorf("%w: proof: %w", ErrState, err)
	}
	return proof, nil
}
