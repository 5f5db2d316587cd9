package rebuild

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/verenc"
)

func parses(stored []byte) bool {
	_, err := verenc.ParseStored(stored)
	return err == nil
}

func TestHostileStates(t *testing.T) {
	v, other := deal(t, "four", "chain-1", 4), deal(t, "other", "chain-1", 4)
	for name, tc := range map[string]struct {
		change func(r *Record)
		err    string
	}{
		"no members":                            {func(r *Record) { r.Proofs = nil }, "proofs of 0 members"},
		"one member":                            {func(r *Record) { r.Proofs = r.Proofs[:1] }, "proofs of 1 members"},
		"more members than a vault has":         {func(r *Record) { r.Proofs = make([]Proof, 513) }, "proofs of 513 members"},
		"another vault's name":                  {func(r *Record) { r.Vault = other.record.Vault }, "secp256k1: verenc: the public shares are not those"},
		"another vault's ed25519 key":           {func(r *Record) { r.PubKeyEd25519 = other.record.PubKeyEd25519 }, "ed25519: verenc: the public shares are not those"},
		"another vault's list":                  {func(r *Record) { r.Secp256k1 = other.record.Secp256k1 }, "secp256k1: verenc: the public shares are not those"},
		"another vault's ed25519 list":          {func(r *Record) { r.Ed25519 = other.record.Ed25519 }, "ed25519: verenc: the public shares are not those"},
		"a list with one other point":           {func(r *Record) { r.Secp256k1[2].Point = r.Secp256k1[1].Point }, "not those of one key"},
		"a list whose points are swapped":       {func(r *Record) { swapPoints(r.Ed25519) }, "not those of one key"},
		"a list in another order":               {func(r *Record) { slices.Reverse(r.Secp256k1) }, "not strictly ascending"},
		"a list without a member":               {func(r *Record) { r.Secp256k1 = r.Secp256k1[1:] }, "3 public shares of 4 members"},
		"a list with a member twice":            {func(r *Record) { r.Secp256k1[0].Member = r.Secp256k1[1].Member }, "is of a stranger, or of a member that has one"},
		"a list with a stranger":                {func(r *Record) { r.Ed25519[0].Member = "cosmos1stranger" }, "is of a stranger"},
		"an id that is too short":               {func(r *Record) { r.Secp256k1[0].ID = "00" }, "the id of public share 1"},
		"an id that is zero":                    {func(r *Record) { r.Secp256k1[0].ID = strings.Repeat("0", 64) }, "not between zero and the group order"},
		"an id above the group order":           {func(r *Record) { r.Ed25519[3].ID = strings.Repeat("f", 64) }, "not between zero and the group order"},
		"a point that is too long":              {func(r *Record) { r.Secp256k1[0].Point += "00" }, "the point of public share 1"},
		"a point that is none":                  {func(r *Record) { r.Secp256k1[0].Point = "02" + strings.Repeat("f", 64) }, "secp256k1"},
		"a point of small order":                {func(r *Record) { r.Ed25519[0].Point = "01" + strings.Repeat("00", 31) }, "ed25519"},
		"a vault in upper case":                 {func(r *Record) { r.Vault = strings.ToUpper(r.Vault) }, "lower-case hex"},
		"a vault that is too short":             {func(r *Record) { r.Vault = "02ab" }, "the vault's key"},
		"a threshold that is too low":           {func(r *Record) { r.Threshold = 2 }, "the threshold is 2, and that of 4 members is 3"},
		"a threshold that overflows":            {func(r *Record) { r.Threshold = 1<<32 - 1 }, "the threshold is 4294967295"},
		"two proofs of one member":              {func(r *Record) { r.Proofs[0].Member = r.Proofs[1].Member }, "two proofs of"},
		"an address with control characters":    {func(r *Record) { r.Proofs[0].Member = "cosmos1\x1b[2J" }, "is no address"},
		"an address that is very long":          {func(r *Record) { r.Proofs[0].Member = strings.Repeat("a", 1<<20) }, "is no address"},
		"an address that is empty":              {func(r *Record) { r.Proofs[0].Member = "" }, "is no address"},
		"the members' shares of a smaller one":  {func(r *Record) { r.Proofs = r.Proofs[:3]; r.Threshold = 2 }, "4 public shares of 3 members"},
		"a degree that is too high for members": {dropMember, "not those of one key"},
	} {
		t.Run(name, func(t *testing.T) {
			r := v.copied(t)
			tc.change(&r)
			s, err := New(r)
			require.Nil(t, s)
			require.ErrorIs(t, err, ErrState)
			require.ErrorContains(t, err, tc.err)
			require.Less(t, len(err.Error()), 500)
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func swapPoints(list []Point) { list[0].Point, list[1].Point = list[1].Point, list[0].Point }

// dropMember leaves three members of a vault that needs three.
func dropMember(r *Record) {
	gone := r.Proofs[3].Member
	r.Proofs, r.Threshold = r.Proofs[:3], 2
	is := func(p Point) bool { return p.Member == gone }
	r.Secp256k1, r.Ed25519 = slices.DeleteFunc(r.Secp256k1, is), slices.DeleteFunc(r.Ed25519, is)
}

func TestParse(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	data, err := json.Marshal(v.record)
	require.NoError(t, err)

	t.Run("numbers may be text, and unknown fields are passed over", func(t *testing.T) {
		text := strings.Replace(string(data), `"keygen_id":7`, `"keygen_id":"7","height":"12"`, 1)
		require.NotEqual(t, string(data), text)
		r, err := Parse([]byte(text))
		require.NoError(t, err)
		require.Equal(t, v.record, r)
	})
	for name, text := range map[string][]byte{
		"nothing":                         nil,
		"no object":                       []byte("[]"),
		"an empty object":                 []byte("{}"),
		"another query's answer":          []byte(`{"vaults":[]}`),
		"YAML":                            []byte("vault: 02ab\n"),
		"bytes":                           {0, 255, 254},
		"half of it":                      data[:len(data)/2],
		"all of it and more":              append(slices.Clone(data), "{}"...),
		"a number that is none":           []byte(`{"vault":"02","keygen_id":"` + strings.Repeat("9", 1<<16) + `"}`),
		"an index that is negative":       []byte(`{"vault":"02","proofs":[{"recipient_index":-1}]}`),
		"a stored form that is no base64": []byte(`{"vault":"02","proofs":[{"stored":"\u0000"}]}`),
		"ten million bytes":               bytes.Repeat([]byte(" "), 10_000_000),
		"very deep":                       bytes.Repeat([]byte("["), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(text)
			require.ErrorIs(t, err, ErrState)
			require.Less(t, len(err.Error()), 500)
		})
	}
}

// FuzzState opens whatever can be parsed with a member's mnemonic: nothing panics, and no keys come
// from fewer mnemonics than are needed.
func FuzzState(f *testing.F) {
	v := deal(f, "four", "chain-1", 4)
	data, err := json.Marshal(v.record)
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(`{"vault":"02ab","proofs":[{},{}],"threshold":2}`))
	words := mnemonic(f, v.mnemonics[0])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			return
		}
		s, err := New(r)
		if err != nil {
			require.ErrorIs(t, err, ErrState)
			return
		}
		o := s.Open()
		defer o.Wipe()
		_, _ = o.Add(words)
		if keys, err := o.Combine(); err == nil {
			// Two members with one key would be a vault of two.
			require.Equal(t, r.Vault, hex.EncodeToString(keys.keys[0].Public().Point))
		}
	})
}
