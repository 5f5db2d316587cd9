package rebuild

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"
)

// TestTheKeysOfEveryThreshold rebuilds from every set of three of four members; what comes out
// signs for the vault.
func TestTheKeysOfEveryThreshold(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	s, err := New(v.copied(t))
	require.NoError(t, err)
	require.Equal(t, 3, s.Need())
	for _, set := range append(subsets(4, 3), []int{0, 1, 2, 3}, []int{3, 1, 0}) {
		o := s.Open()
		v.add(t, o, set...)
		require.Zero(t, o.Missing())
		keys, err := o.Combine()
		require.NoError(t, err)
		require.Equal(t, v.keys[0], keys.Secp256k1())
		require.Equal(t, v.keys[1], keys.Ed25519())
		signsForTheVault(t, v.record, keys)
		o.Wipe()
		_, err = o.Combine()
		require.Error(t, err, "wiped shares give no keys")
	}
}

// signsForTheVault signs with both keys and verifies under the vault's public ones.
func signsForTheVault(t *testing.T, r Record, keys *Keys) {
	t.Helper()
	digest := sha256.Sum256([]byte("all the money"))
	key := secp256k1.PrivKeyFromBytes(keys.Secp256k1())
	pub, err := secp256k1.ParsePubKey(unhexed(r.Vault))
	require.NoError(t, err)
	require.True(t, ecdsa.Sign(key, digest[:]).Verify(digest[:], pub))

	// RFC 8032 from the scalar on: it has no seed to derive the scalar and the nonce from.
	a, err := edwards25519.NewScalar().SetCanonicalBytes(keys.Ed25519())
	require.NoError(t, err)
	wide := func(parts ...[]byte) *edwards25519.Scalar {
		h := sha512.Sum512(slices.Concat(parts...))
		s, err := edwards25519.NewScalar().SetUniformBytes(h[:])
		require.NoError(t, err)
		return s
	}
	nonce := wide([]byte("nonce"), a.Bytes(), digest[:])
	big := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	c := wide(big, unhexed(r.PubKeyEd25519), digest[:])
	sig := append(big, edwards25519.NewScalar().MultiplyAdd(c, a, nonce).Bytes()...)
	require.True(t, ed25519.Verify(unhexed(r.PubKeyEd25519), digest[:], sig))
}

// TestBelowTheThreshold gives every set of fewer members, and looks for anything of the keys.
func TestBelowTheThreshold(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	s, err := New(v.copied(t))
	require.NoError(t, err)
	for k := range 3 {
		for _, set := range subsets(4, k) {
			o := s.Open()
			v.add(t, o, set...)
			require.Equal(t, 3-k, o.Missing())
			keys, err := o.Combine()
			require.ErrorIs(t, err, ErrTooFew)
			require.ErrorContains(t, err, fmt.Sprintf("%d more of 3", 3-k))
			require.Nil(t, keys)
			// Not even verenc is asked; it would refuse too.
			for g, list := range s.lists {
				_, err := list.Combine(o.shares[g])
				require.Error(t, err)
			}
			reveals(t, v, fmt.Sprint(err), fmt.Sprintf("%+v %#v", o, o))
			o.Wipe()
		}
	}
}

// reveals fails the test when a text holds a key of the vault.
func reveals(t *testing.T, v *vault, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, key := range v.keys {
			require.NotContains(t, text, hex.EncodeToString(key))
			require.NotContains(t, text, strings.Trim(fmt.Sprintf("%d", key), "[]"))
		}
	}
}

func TestManyMembers(t *testing.T) {
	v := deal(t, "ten", "chain-1", 10)
	s, err := New(v.copied(t))
	require.NoError(t, err)
	o := s.Open()
	v.add(t, o, 9, 0, 4, 7, 2, 5)
	_, err = o.Combine()
	require.ErrorIs(t, err, ErrTooFew)
	v.add(t, o, 1)
	keys, err := o.Combine()
	require.NoError(t, err)
	signsForTheVault(t, v.record, keys)
}

// TestAnotherChainID opens what was made under one name of the chain although another name is all
// that is left: nothing in the record tells it.
func TestAnotherChainID(t *testing.T) {
	before, after := deal(t, "same", "chain-1", 4), deal(t, "same", "chain-2", 4)
	require.NotEqual(t, before.record.Proofs[0].Stored[:33], after.record.Proofs[0].Stored[:33], "the contexts")
	for _, v := range []*vault{before, after} {
		s, err := New(v.record)
		require.NoError(t, err)
		o := s.Open()
		v.add(t, o, 0, 1, 2)
		keys, err := o.Combine()
		require.NoError(t, err)
		require.Equal(t, before.keys[0], keys.Secp256k1())
	}
}

func TestMnemonics(t *testing.T) {
	v, other := deal(t, "four", "chain-1", 4), deal(t, "other", "chain-1", 4)
	t.Run("one that was given twice counts once", func(t *testing.T) {
		s, err := New(v.record)
		require.NoError(t, err)
		o := s.Open()
		v.add(t, o, 1, 1, 1)
		require.Equal(t, 2, o.Missing())
		require.True(t, o.Opened(1))
		require.False(t, o.Opened(0))
	})
	t.Run("one of no member is told and does no harm", func(t *testing.T) {
		s, err := New(v.record)
		require.NoError(t, err)
		o := s.Open()
		whose, err := o.Add(mnemonic(t, other.mnemonics[0]))
		require.ErrorIs(t, err, ErrStranger)
		require.Empty(t, whose)
		for _, word := range strings.Fields(other.mnemonics[0]) {
			require.NotContains(t, strings.Fields(err.Error()), word)
		}
		v.add(t, o, 0, 1, 2)
		_, err = o.Combine()
		require.NoError(t, err)
	})
	t.Run("one of a member with another index is of no member", func(t *testing.T) {
		r := v.copied(t)
		r.Proofs[0].RecipientIndex = 9
		s, err := New(r)
		require.NoError(t, err)
		_, err = s.Open().Add(mnemonic(t, v.mnemonics[0]))
		require.ErrorIs(t, err, ErrStranger)
	})
	t.Run("one of two members counts for both", func(t *testing.T) {
		r := v.copied(t)
		// The second member's record holds the first one's key; its rows do not open with it.
		r.Proofs[1].RecipientKey, r.Proofs[1].RecipientIndex = r.Proofs[0].RecipientKey, r.Proofs[0].RecipientIndex
		s, err := New(r)
		require.NoError(t, err)
		o := s.Open()
		whose, err := o.Add(mnemonic(t, v.mnemonics[0]))
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, address(1))
		require.Equal(t, []string{address(0), address(1)}, whose)
		require.True(t, o.Opened(0))
		require.False(t, o.Opened(1))
	})
}

// TestADamagedMember takes from the others what one member's record does not give.
func TestADamagedMember(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	for name, tc := range map[string]struct {
		damage func(p *Proof)
		err    string // of the member; empty when only opening shows it
	}{
		"it never proved":                      {func(p *Proof) { p.Stored = nil }, ErrUnproven.Error()},
		"the stored form is cut off":           {func(p *Proof) { p.Stored = p.Stored[:2948] }, "2948 bytes are no stored proof"},
		"the stored form is of another suite":  {func(p *Proof) { p.Stored[0] = 2 }, "unknown suite 2"},
		"the stored form is of one share":      {func(p *Proof) { p.Stored = p.Stored[:1989] }, "holds 1 shares"},
		"the recipient key is cut off":         {func(p *Proof) { p.RecipientKey = p.RecipientKey[:62] }, "not 32 bytes"},
		"the recipient key is in upper case":   {func(p *Proof) { p.RecipientKey = strings.ToUpper(p.RecipientKey) }, "lower-case hex"},
		"the recipient key is of small order":  {func(p *Proof) { p.RecipientKey = strings.Repeat("00", 32) }, "recipient key"},
		"the recipient key is another's":       {func(p *Proof) { p.RecipientKey = v.record.Proofs[2].RecipientKey }, ""},
		"the stored form is another's":         {func(p *Proof) { p.Stored = v.record.Proofs[2].Stored }, ""},
		"the context has flipped bits":         {func(p *Proof) { flipContext(p) }, ""},
		"every row has a flipped bit":          {func(p *Proof) { flipRows(p) }, ""},
		"the rows are those of another member": {func(p *Proof) { copy(p.Stored[69:], v.record.Proofs[2].Stored[69:]) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := v.copied(t)
			tc.damage(&r.Proofs[3])
			s, err := New(r)
			require.NoError(t, err)
			if tc.err != "" {
				require.ErrorContains(t, s.Members()[3].Err, tc.err)
			} else {
				require.NoError(t, s.Members()[3].Err)
			}
			o := s.Open()
			_, err = o.Add(mnemonic(t, v.mnemonics[3]))
			require.Error(t, err)
			reveals(t, v, err.Error())
			v.add(t, o, 0, 1)
			_, err = o.Combine()
			require.ErrorIs(t, err, ErrTooFew)
			_, _ = o.Add(mnemonic(t, v.mnemonics[2])) // it may be the key of the damaged record too
			keys, err := o.Combine()
			require.NoError(t, err)
			require.Equal(t, v.keys[0], keys.Secp256k1())
		})
	}
}

// flipContext changes the context in a way that leaves the nonce admissible, as its challenge then
// is another.
func flipContext(p *Proof) {
	form := slices.Clone(p.Stored)
	for n := uint32(1); ; n++ {
		binary.BigEndian.PutUint32(p.Stored[1:], n^binary.BigEndian.Uint32(form[1:]))
		if parses(p.Stored) {
			return
		}
	}
}

func flipRows(p *Proof) {
	for i := 69; i < len(p.Stored); i += 96 {
		p.Stored[i+40] ^= 1
	}
}

// TestTwoEpochs mixes what state keeps of two epochs of one vault. A member's proof of another epoch
// is named and counts for nothing, and among the public shares none of another epoch is taken.
func TestTwoEpochs(t *testing.T) {
	former, v := deal(t, "four", "chain-1", 4), deal(t, "four", "chain-1", 5)
	require.Equal(t, former.record.Vault, v.record.Vault)
	require.Equal(t, former.keys, v.keys)
	require.NotEqual(t, former.record.KeygenID, v.record.KeygenID)
	for stale := range 4 {
		r := v.copied(t)
		for i := range stale {
			require.Equal(t, former.record.Proofs[i].RecipientKey, r.Proofs[i].RecipientKey)
			r.Proofs[i] = former.record.Proofs[i]
		}
		s, err := New(r)
		require.NoError(t, err)
		o := s.Open()
		for i := range stale {
			whose, err := o.Add(mnemonic(t, v.mnemonics[i]))
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, address(i))
			require.Equal(t, []string{address(i)}, whose)
			require.False(t, o.Opened(i))
		}
		for i := stale; i < 5; i++ {
			v.add(t, o, i)
		}
		keys, err := o.Combine()
		if stale > 1 {
			require.ErrorIs(t, err, ErrTooFew)
			require.Nil(t, keys)
			continue
		}
		require.NoError(t, err, "four of five are enough")
		require.Equal(t, v.keys[0], keys.Secp256k1())
	}
	for _, list := range []func(r *Record) []Point{
		func(r *Record) []Point { return r.Secp256k1 }, func(r *Record) []Point { return r.Ed25519 },
	} {
		r := v.copied(t)
		of := list(&former.record)[1]
		i := slices.IndexFunc(list(&r), func(p Point) bool { return p.Member == of.Member })
		require.Equal(t, of.ID, list(&r)[i].ID, "a member's shares lie at one place")
		list(&r)[i].Point = of.Point
		_, err := New(r)
		require.ErrorIs(t, err, ErrState)
		require.ErrorContains(t, err, "not those of one key")
	}
}

// TestSwappedMembers gives two members each other's points. The list is still that of the vault's
// key, and their shares are not those of their points.
func TestSwappedMembers(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	r := v.copied(t)
	a, b := &r.Secp256k1[0], &r.Secp256k1[1]
	a.Member, b.Member = b.Member, a.Member
	s, err := New(r)
	require.NoError(t, err)
	o := s.Open()
	for i := range 4 {
		_, err := o.Add(mnemonic(t, v.mnemonics[i]))
		require.Equal(t, address(i) == a.Member || address(i) == b.Member, errors.Is(err, ErrDamaged))
	}
	require.Equal(t, 1, o.Missing())
	_, err = o.Combine()
	require.ErrorIs(t, err, ErrTooFew)
}

// TestOneRowIsEnough damages all closed rows but one.
func TestOneRowIsEnough(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	r := v.copied(t)
	for i := 69; i < len(r.Proofs[0].Stored)-96; i += 96 {
		r.Proofs[0].Stored[i+40] ^= 1
	}
	s, err := New(r)
	require.NoError(t, err)
	v.add(t, s.Open(), 0)
}

func TestKeysDoNotPrint(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	s, err := New(v.record)
	require.NoError(t, err)
	o := s.Open()
	v.add(t, o, 0, 1, 2)
	keys, err := o.Combine()
	require.NoError(t, err)
	data, err := json.Marshal(keys)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", keys)
	reveals(t, v, string(data), log.String(), fmt.Sprint(keys), fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, keys),
		fmt.Sprintf("%+v", struct{ k *Keys }{keys}))
	require.Equal(t, `"`+redacted+`"`, string(data))

	keys.Wipe()
	require.Equal(t, make([]byte, 32), keys.Secp256k1())
	require.Equal(t, make([]byte, 32), keys.Ed25519())
}

func TestTheFile(t *testing.T) {
	v := deal(t, "four", "chain-1", 4)
	s, err := New(v.record)
	require.NoError(t, err)
	o := s.Open()
	v.add(t, o, 0, 1, 2)
	keys, err := o.Combine()
	require.NoError(t, err)
	file := keys.Encode()
	require.LessOrEqual(t, len(file), 512, "a file that grew left a copy behind")
	var got map[string]string
	require.NoError(t, json.Unmarshal(file, &got))
	require.Equal(t, map[string]string{
		"vault": v.record.Vault, "pub_key_ed25519": v.record.PubKeyEd25519,
		"secp256k1": hex.EncodeToString(v.keys[0]), "ed25519_scalar": hex.EncodeToString(v.keys[1]),
	}, got)
}
