package types_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestCoverage(t *testing.T) {
	published := &types.Backup{First: types.Commitment{Sha256: []byte{1}, Size_: 1, Height: 5}}
	twice := published.With(types.Commitment{Sha256: []byte{2}, Size_: 2, Height: 6})
	proof := types.Proof{Stored: []byte{1}, Height: 5}
	member := func(address string, asked bool, backup *types.Backup, proof types.Proof) types.MemberRecords {
		return types.MemberRecords{Member: types.Member{Asked: asked}, Backup: backup, Proof: proof, Address: address}
	}
	all := func(backup *types.Backup, proof types.Proof) (list []types.MemberRecords) {
		for _, address := range []string{"a", "b", "c", "d"} {
			list = append(list, member(address, true, backup, proof))
		}
		return list
	}
	tests := []struct {
		name      string
		threshold uint32
		members   []types.MemberRecords

		asked, published, proven uint32
		missing                  []string
		recoverable, proves      bool
	}{
		{
			"nobody has published",
			3, all(nil, types.Proof{}), 4, 0, 0,
			[]string{"a", "b", "c", "d"},
			false, false,
		},
		{
			"all have published and none has proven",
			3, all(published, types.Proof{}), 4, 4, 0, nil, true, false,
		},
		{"all have proven", 3, all(&twice, proof), 4, 4, 4, nil, true, true},
		{
			"a proof without an envelope counts for nothing",
			3, all(nil, proof), 4, 0, 0,
			[]string{"a", "b", "c", "d"},
			false, false,
		},
		{
			"a recipient key without a proof proves nothing",
			3, all(published, types.Proof{Recipient: types.Recipient{Key: []byte{1}}}), 4, 4, 0, nil, true, false,
		},
		{
			"one is missing, and the threshold is reached",
			3, append(all(published, proof)[:3], member("d", true, nil, proof)), 4, 3, 3,
			[]string{"d"},
			true, true,
		},
		{
			"one of the threshold has not proven",
			3, append(all(published, proof)[:2], member("c", true, published, types.Proof{})), 3, 3, 2, nil, true, false,
		},
		{
			"who is not asked is not missing",
			3, append(all(published, proof)[:3], member("d", false, nil, types.Proof{})), 3, 3, 3, nil, true, true,
		},
		{
			"who is not asked and has published counts",
			3, append(all(published, proof)[:2], member("c", false, published, proof)), 2, 3, 3, nil, true, true,
		},
		{
			"one below the threshold is not enough",
			3, all(published, proof)[:2], 2, 2, 2, nil, false, false,
		},
		{
			"a threshold of 0 is reached by nobody",
			0, all(published, proof), 4, 4, 4, nil, false, false,
		},
		{"a vault without members is not recoverable", 0, nil, 0, 0, 0, nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vault := types.Vault{Status: types.VaultStatus_VAULT_STATUS_RETIRING, Threshold: tt.threshold, Needed: 4}
			c := types.Coverage(bytes.Repeat([]byte{2}, 33), vault, tt.members)
			require.Equal(t, types.VaultName(bytes.Repeat([]byte{2}, 33)), c.Vault)
			require.Equal(t, vault.Status, c.Status)
			require.EqualValues(t, len(tt.members), c.Members)
			require.Equal(t, []uint32{tt.threshold, 4}, []uint32{c.Threshold, c.Needed})
			require.Equal(t, []uint32{tt.asked, tt.published, tt.proven}, []uint32{c.Asked, c.Published, c.Proven})
			require.Equal(t, tt.missing, c.Missing)
			require.Equal(t, []bool{tt.recoverable, tt.proves}, []bool{c.Recoverable, c.ProvenRecoverable})
			require.Len(t, c.List, len(tt.members))
			for i, m := range c.List {
				of := tt.members[i]
				require.Equal(t, []any{of.Address, of.Member.Asked}, []any{m.Address, m.Asked})
				require.Equal(t, of.Backup != nil && of.Proof.IsProven(), m.Proven)
				if of.Backup == nil {
					require.Empty(t, m.Commitments)
					continue
				}
				for j, c := range of.Backup.Commitments() {
					require.Equal(t, c.Info(), m.Commitments[j])
				}
			}
		})
	}
}
