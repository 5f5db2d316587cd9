package vault

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// genesisGroups is what an exported genesis has of vaults and their group parts.
type genesisGroups struct {
	Vaults []struct {
		PubKey []byte `json:"pub_key"`
		Vault  struct {
			PubKeyEd25519 []byte `json:"pub_key_ed25519"`
			Epoch         uint64 `json:"epoch,string"`
			Members       []struct {
				PubKey []byte `json:"pub_key"`
			} `json:"members"`
		} `json:"vault"`
	} `json:"vaults"`
	Groups []struct {
		KeygenID uint64 `json:"keygen_id,string"`
		Hash     []byte `json:"hash"`
		Group    []byte `json:"group"`
	} `json:"groups"`
}

// IsGenesis reports whether JSON is a genesis rather than an answer to a query, by its app_state.
func IsGenesis(data []byte) bool {
	var doc map[string]json.RawMessage
	return json.Unmarshal(data, &doc) == nil && doc["app_state"] != nil
}

// ParseGenesis reads the group parts of all vaults out of a genesis, as a chain exports it: of each
// the vault as far as it shows, as [ParseGroup] does, and the group part. Each has the group hash
// that stands beside it. The group part of a keygen that has made no vault yet is left out. It errs
// when there is none.
func ParseGenesis(data []byte) (vaults []Vault, groups [][]byte, err error) {
	var doc struct {
		AppState map[string]json.RawMessage `json:"app_state"`
	}
	var state genesisGroups
	err = json.Unmarshal(data, &doc)
	if err == nil && doc.AppState[types.ModuleName] == nil {
		err = fmt.Errorf("it has no state of the module %s", types.ModuleName)
	}
	if err == nil {
		err = json.Unmarshal(doc.AppState[types.ModuleName], &state)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("it is not a genesis that such a chain exports: %w", err)
	}
	made := map[uint64]Vault{}
	for _, g := range state.Vaults {
		v := Vault{PubKey: g.PubKey, Vault: types.Vault{
			PubKeyEd25519: g.Vault.PubKeyEd25519, Epoch: g.Vault.Epoch, Split: true,
		}}
		for _, m := range g.Vault.Members {
			if len(m.PubKey) != types.PubKeySize {
				return nil, nil, fmt.Errorf("vault %s: a member's key has %d bytes", v.Name(), len(m.PubKey))
			}
			v.Members = append(v.Members, types.Member{PubKey: m.PubKey})
		}
		made[v.Epoch] = v
	}
	for _, g := range state.Groups {
		v, ok := made[g.KeygenID]
		if !ok {
			continue
		}
		v.SharesHash = g.Hash
		switch {
		case len(v.PubKey) != types.PubKeySize || len(v.PubKeyEd25519) != types.PubKeyEd25519Size:
			err = errors.New("its keys have another length")
		case len(g.Hash) != types.HashSize:
			err = fmt.Errorf("its group hash has %d bytes", len(g.Hash))
		default:
			err = v.CheckGroup(g.Group)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("vault %s: %w", v.Name(), err)
		}
		vaults, groups = append(vaults, v), append(groups, g.Group)
	}
	if len(vaults) == 0 {
		return nil, nil, errors.New("the genesis has the group part of no vault")
	}
	return vaults, groups, nil
}
