package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestEnvelopesThatMembersHoldAreNamedSo shows a vault of three, of which one has published nothing:
// what the members hold is published and not missing, and said to be in no node.
func TestEnvelopesThatMembersHoldAreNamedSo(t *testing.T) {
	members := []string{"cosmos1a", "cosmos1b", "cosmos1c"}
	for _, placement := range []types.Placement{types.Placement_PLACEMENT_VOTE, types.Placement_PLACEMENT_MEMBERS} {
		t.Run(placement.Word(), func(t *testing.T) {
			held := placement == types.Placement_PLACEMENT_MEMBERS
			commitment := types.Held([]byte("an envelope"))
			commitment.Height, commitment.Placement = 5, placement
			v := types.Vault{Threshold: 2, Needed: 2, Placement: placement}
			var records []types.MemberRecords
			for i, address := range members {
				r := types.MemberRecords{Address: address, Member: types.Member{Asked: true}}
				if i < 2 {
					r.Backup = &types.Backup{First: commitment}
				}
				records = append(records, r)
			}
			c := judge(types.Coverage(make([]byte, 33), v, records))
			require.Equal(t, []any{placement.Word(), 2, true}, []any{c.Placement, c.Published, c.Covered})
			require.Equal(t, []string{"cosmos1c"}, c.Missing, "the one that has published nothing")
			require.Equal(t, placement.Word(), c.Members[0].Backups[0].Placement)
			var out strings.Builder
			(&verdict{Vaults: []coveredVault{c}}).text(&out)
			require.Equal(t, held, strings.Contains(out.String(), "envelopes held by the members"), out.String())

			out.Reset()
			l := listing{Vaults: []listedVault{{
				Vault: vault.Short(c.Vault), Backups: []backup{describeBackup(commitment.Info())},
			}}}
			l.text(&out)
			require.Equal(t, held, strings.Contains(out.String(), "11 bytes, held by the members"), out.String())
		})
	}
}
