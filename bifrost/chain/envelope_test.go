package chain

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func anEnvelope(size int, fill byte) []byte {
	return append([]byte(sanity.EnvelopePrefix), bytes.Repeat([]byte{fill}, size-len(sanity.EnvelopePrefix))...)
}

func TestEnvelope(t *testing.T) {
	node, c := newNode(t)
	envelope := anEnvelope(500, 'x')
	node.Publish("02aa", "cosmos1a", 60, envelope)
	hash := sha256.Sum256(envelope)
	good := types.Commitment{Sha256: hash[:], Size_: 500, Height: 60}

	got, err := c.Envelope(t.Context(), good)
	require.NoError(t, err)
	require.Equal(t, envelope, got)

	for name, tc := range map[string]struct {
		change func(*types.Commitment)
		err    error
	}{
		"another block":             {func(c *types.Commitment) { c.Height = 61 }, ErrNoEnvelope},
		"another hash":              {func(c *types.Commitment) { c.Sha256 = make([]byte, 32) }, ErrNoEnvelope},
		"another size":              {func(c *types.Commitment) { c.Size_ = 499 }, ErrNoEnvelope},
		"a block that is not there": {func(c *types.Commitment) { c.Height = 101 }, ErrNoBlock},
		"a hash that is too short":  {func(c *types.Commitment) { c.Sha256 = []byte{0} }, ErrState},
		// The block has it all the same: nobody is asked.
		"one that members hold": {func(c *types.Commitment) { c.Placement = types.Placement_PLACEMENT_MEMBERS }, ErrHeld},
	} {
		t.Run(name, func(t *testing.T) {
			commitment := good
			tc.change(&commitment)
			_, err := c.Envelope(t.Context(), commitment)
			require.ErrorIs(t, err, tc.err)
		})
	}
}
