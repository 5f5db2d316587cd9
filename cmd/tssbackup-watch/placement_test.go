package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestThePageSaysWhatMembersHold has envelopes that are in no block be held by the members, and not
// missing.
func TestThePageSaysWhatMembersHold(t *testing.T) {
	for _, placement := range []types.Placement{types.Placement_PLACEMENT_VOTE, types.Placement_PLACEMENT_MEMBERS} {
		t.Run(placement.Word(), func(t *testing.T) {
			v := large(1, 4)
			v.Vaults[0].Placement = placement.Word()
			for i := range v.Vaults[0].Members {
				v.Vaults[0].Members[i].Backups[0].Placement = placement.Word()
			}
			var out bytes.Buffer
			require.NoError(t, newPage(v, "", "", time.Now()).write(&out))
			held := placement == types.Placement_PLACEMENT_MEMBERS
			require.Equal(t, held, bytes.Contains(out.Bytes(), []byte("held by the members, since block")))
			require.Equal(t, held, bytes.Contains(out.Bytes(), []byte("held by the members, who have signed for it")))
			require.NotContains(t, out.String(), `<span class="pill missing">`)
		})
	}
	commitment := types.Held([]byte("an envelope"))
	require.True(t, describeBackup(commitment.Info()).Held())
}
