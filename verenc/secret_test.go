package verenc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecretsAreNotPrinted formats keys and shares in every way, also inside other values.
func TestSecretsAreNotPrinted(t *testing.T) {
	key, _, shares := toyCase(t, "secret")
	type inside struct {
		Key    *RecipientKey
		key    *RecipientKey
		direct RecipientKey
		Share  Share
		share  Share
		Shares []Share
	}
	value := inside{key, key, *key, shares[0], shares[0], shares}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "key", key, "share", shares[0], "all", value)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "share", shares[0], "all", value)
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	printed := log.String() + string(encoded)
	for _, v := range []any{key, *key, shares[0], &shares[0], shares, value, &value} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			printed += fmt.Sprintf(verb, v) + "\n"
		}
	}
	require.Contains(t, printed, redactedText)
	for _, secret := range [][]byte{key.sk.scalar()[:], shares[0].Bytes(), shares[1].Bytes()} {
		numbers := strings.Trim(fmt.Sprintf("%d", secret[:4]), "[]")
		for _, form := range []string{string(secret), hex.EncodeToString(secret[:4]), strings.ToUpper(hex.EncodeToString(secret[:4])), numbers, strings.ReplaceAll(numbers, " ", ", ")} {
			require.NotContains(t, printed, form)
		}
	}
}

func TestWipe(t *testing.T) {
	key, _, shares := toyCase(t, "wipe")
	given := shares[0].Bytes()
	share, err := NewShare(Secp256k1, given)
	require.NoError(t, err)
	aliased := share
	share.Wipe()
	require.Equal(t, make([]byte, 32), aliased.Bytes())
	require.NotEqual(t, make([]byte, 32), given, "the caller's bytes are the caller's")
	Share{}.Wipe()
	require.Nil(t, Share{}.Bytes())
	require.Equal(t, PublicShare{}, Share{}.Public())
	key.Wipe()
	require.Equal(t, scalar{}, *key.sk.scalar())

	rows := &secretRows{seeds: tree{{1}}, masks: [][]scalar{{{2}}}}
	rows.wipe()
	require.Equal(t, seed{}, rows.seeds[0])
	require.Equal(t, scalar{}, rows.masks[0][0])
}

// TestRefusalsAreCheap bounds what hostile input can make Verify and ParseStored allocate.
func TestRefusalsAreCheap(t *testing.T) {
	_, st, _, proof := honest(t, suite1, "both")
	huge := append(bytes.Clone(proof), make([]byte, 10<<20)...)
	outOfRange := bytes.Clone(proof)
	copy(outOfRange[len(proof)-32:], bytes.Repeat([]byte{0xff}, 32))
	for why, c := range map[string]struct {
		proof []byte
		most  uint64
	}{
		"nothing":                 {nil, 8 << 10},
		"ten megabytes":           {huge, 8 << 10},
		"zeros of the right size": {make([]byte, len(proof)), 32 << 10},
		"out of range":            {outOfRange, 32 << 10},
		"a good proof":            {proof, 2 << 20},
	} {
		const runs = 4
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			_, _ = Verify(st, c.proof)
			_, _ = ParseStored(c.proof)
		}
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, (after.TotalAlloc-before.TotalAlloc)/runs, c.most, why)
	}
}
