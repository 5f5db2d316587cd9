package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// backup is a commitment in JSON.
type backup struct {
	SHA256 string `json:"sha256"`
	// CID is the name of the envelope on IPFS.
	CID    string `json:"cid"`
	Size   uint64 `json:"size"`
	Height int64  `json:"height"`
	// Placement is vote, or members when the members hold the envelope and no node does.
	Placement string `json:"placement"`
}

// held says of an envelope where it is, when it is not on chain.
func (b backup) held() string {
	if b.Placement != types.Placement_PLACEMENT_MEMBERS.Word() {
		return ""
	}
	return ", held by the members"
}

func describeBackup(c types.CommitmentInfo) backup {
	b := backup{
		SHA256: command.OneLine(c.Sha256), Size: c.Size_, Height: c.Height,
		Placement: command.OneLine(c.Placement.Word()),
	}
	if sum, err := hex.DecodeString(c.Sha256); err == nil && len(sum) == sha256.Size {
		b.CID = cid.Of(sum)
	}
	return b
}

func describeBackups(commitments []types.CommitmentInfo) []backup {
	all := []backup{}
	for _, c := range commitments {
		all = append(all, describeBackup(c))
	}
	return all
}

// statusName is active, retiring or retired.
func statusName(s types.VaultStatus) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "VAULT_STATUS_"))
}
