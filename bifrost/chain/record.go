package chain

import (
	"errors"
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrState means that verified records contradict each other or cannot be read: the chain runs
// another version of the module than this program knows.
var ErrState = errors.New("the chain's records cannot be read")

// decodeLiveVaults returns the names and epochs of all vaults that are not retired.
func decodeLiveVaults(value []byte) ([]types.LiveVault, error) {
	var live types.LiveVaults
	if err := proto.Unmarshal(value, &live); err != nil {
		return nil, fmt.Errorf("%w: living vaults: %w", ErrState, err)
	}
	for _, v := range live.Vaults {
		if len(v.PubKey) != types.PubKeySize {
			return nil, fmt.Errorf("%w: a vault's name of %d bytes", ErrState, len(v.PubKey))
		}
	}
	return live.Vaults, nil
}

// decodeVault reads a vault's record, whose keys have the right lengths then.
func decodeVault(name, value []byte) (vault.Vault, error) {
	v := vault.Vault{PubKey: name}
	if err := proto.Unmarshal(value, &v.Vault); err != nil {
		return vault.Vault{}, fmt.Errorf("%w: vault %x: %w", ErrState, name, err)
	}
	if len(v.PubKeyEd25519) != types.PubKeyEd25519Size {
		return vault.Vault{}, fmt.Errorf("%w: vault %x has an ed25519 key of %d bytes",
			ErrState, name, len(v.PubKeyEd25519))
	}
	for _, m := range v.Members {
		if len(m.PubKey) != types.PubKeySize {
			return vault.Vault{}, fmt.Errorf("%w: vault %x has a member with a key of %d bytes",
				ErrState, name, len(m.PubKey))
		}
	}
	return v, nil
}

// decodeBackup returns what state knows of a member's envelopes: nil, when there is no record.
func decodeBackup(value []byte) (*types.Backup, error) {
	if len(value) == 0 {
		return nil, nil
	}
	var backup types.Backup
	if err := proto.Unmarshal(value, &backup); err != nil {
		return nil, fmt.Errorf("%w: backup: %w", ErrState, err)
	}
	for _, c := range backup.Commitments() {
		if len(c.Sha256) != types.HashSize {
			return nil, fmt.Errorf(
				"%w: a commitment to a hash of %d bytes",
				ErrState,
				len(c.Sha256),
			)
		}
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

func decodeGroup(value []byte) (types.Group, error) {
	var group types.Group
	if err := proto.Unmarshal(value, &group); err != nil {
		return group, fmt.Errorf("%w: group part: %w", ErrState, err)
	}
	return group, nil
}

// decodeProof returns what state knows of a member's proof: nothing, when there is no record.
func decodeProof(value []byte) (types.Proof, error) {
	var proof types.Proof
	if err := proto.Unmarshal(value, &proof); err != nil {
		return proof, fmt.Errorf("%w: proof: %w", ErrState, err)
	}
	return proof, nil
}

// decodeHeartbeat returns what state knows of a member's heartbeats: nil, when there is no record.
func decodeHeartbeat(value []byte) (*types.Heartbeat, error) {
	if len(value) == 0 {
		return nil, nil
	}
	var beat types.Heartbeat
	if err := proto.Unmarshal(value, &beat); err != nil {
		return nil, fmt.Errorf("%w: heartbeat: %w", ErrState, err)
	}
	return &beat, nil
}

// decodeParams returns the parameters: empty ones, when there is no record.
func decodeParams(value []byte) (types.Params, error) {
	var params types.Params
	if err := proto.Unmarshal(value, &params); err != nil {
		return params, fmt.Errorf("%w: parameters: %w", ErrState, err)
	}
	return params, nil
}
