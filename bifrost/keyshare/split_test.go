package keyshare_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

const epoch = 7

// both are the data of a member's two files.
func both(t testing.TB, size, member int) [2][]byte {
	files := fixture.Keyshares(t, size, member)
	return [2][]byte{files[0].Data, files[1].Data}
}

// divided is a member's keyshares, split.
type divided struct {
	secrets *sanity.Secrets
	group   []byte
	members [][]byte
}

func split(t testing.TB, size, member int) divided {
	shares, _ := parsed(t, size, member)
	secrets, group, err := keyshare.Split(both(t, size, member), epoch)
	require.NoError(t, err)
	return divided{secrets, group, shares[0].Participants()}
}

func TestEveryFixtureIsSplitAndJoined(t *testing.T) {
	for _, size := range fixture.Sizes {
		first := split(t, size, 0)
		for member := range fixture.Members(t, size) {
			t.Run(fmt.Sprintf("member %d of %d", member, size), func(t *testing.T) {
				d := split(t, size, member)
				require.Len(t, d.group, size*sanity.GroupMemberBytes)
				require.Equal(t, first.group, d.group, "the group part is the same for all members")

				file, err := d.secrets.Encode()
				require.NoError(t, err)
				read, err := sanity.ParseSecrets(file)
				require.NoError(t, err)
				joined, err := keyshare.Join(read, d.members, d.group)
				require.NoError(t, err)
				want := both(t, size, member)
				require.Equal(t, string(want[0]), string(joined[0]))
				require.Equal(t, string(want[1]), string(joined[1]))
			})
		}
	}
}

func TestTheSecretPart(t *testing.T) {
	shares, _ := parsed(t, 4, 1)
	s := split(t, 4, 1).secrets
	d := shares[0].ECDSA()
	for name, c := range map[string]struct {
		part   []byte
		number *big.Int
	}{
		"the share of the secp256k1 key": {s.Secret.XiSecp256k1(), d.Xi},
		"the share of the ed25519 key":   {s.Secret.XiEd25519(), shares[1].EdDSA().Xi},
		"the Paillier prime":             {s.Secret.PaillierP(), d.PaillierSK.P},
		"the prime of the ring":          {s.Secret.RingP(), d.P},
		"the exponent":                   {s.Secret.Alpha(), d.Alpha},
	} {
		require.Equal(t, c.number, new(big.Int).SetBytes(c.part), name)
	}
	require.Equal(t, "cosmos", s.Prefix)
	require.Equal(t, shares[0].VaultKey(), s.PubKey)
	require.Equal(t, shares[1].VaultKey(), s.PubKeyEd25519)
	require.Equal(t, shares[0].LocalParty(), s.Member)
	require.EqualValues(t, epoch, s.Epoch)
}

// What is not written as go-tss and this project write it is sound all the same, and not split.
func TestWhatIsNotSplit(t *testing.T) {
	local := func(change func(local map[string]json.RawMessage)) func(data []byte) []byte {
		return func(data []byte) []byte {
			return edit(t, data, func(_, local map[string]json.RawMessage) { change(local) })
		}
	}
	none := local(func(map[string]json.RawMessage) {})
	for name, c := range map[string]struct {
		file   int
		change func(data []byte) []byte
		says   string
	}{
		"fields in another order":                     {0, none, "not written as go-tss writes them"},
		"fields of the ed25519 file in another order": {1, none, "not written as go-tss writes them"},
		"a line end":               {0, func(b []byte) []byte { return append(b, '\n') }, "not written as"},
		"spaces":                   {1, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(","), []byte(", ")) }, "not written as"},
		"an object for local_data": {1, func(b []byte) []byte { return legacy(t, b) }, "not written as"},
		"keys in hex": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			return bytes.ReplaceAll(b, []byte(shares[0].PubKey), fmt.Appendf(nil, "%x", shares[0].VaultKey()))
		}, "not in bech32"},
		"a prefix in capital letters": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			return bytes.ReplaceAll(b, []byte(shares[0].PubKey), []byte(strings.ToUpper(shares[0].PubKey)))
		}, ""},
		"another prefix in one of the keys": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			other, err := keyshare.EncodeSecp256k1("thor", shares[0].VaultKey())
			require.NoError(t, err)
			return bytes.ReplaceAll(b, []byte(shares[0].PubKey), []byte(other))
		}, "not written as"},
		"no Paillier primes": {0, local(func(local map[string]json.RawMessage) {
			var sk map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(local["PaillierSK"], &sk))
			delete(sk, "P")
			delete(sk, "Q")
			local["PaillierSK"], _ = json.Marshal(sk)
		}), "they lack PaillierSK.P"},
		"no primes of the ring": {0, local(func(local map[string]json.RawMessage) {
			for _, name := range []string{"Alpha", "Beta", "P", "Q"} {
				local[name] = json.RawMessage("null")
			}
		}), "they lack P"},
		"another Beta of the same class": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			d := shares[0].ECDSA()
			beta := new(big.Int).Mul(d.P, d.Q)
			beta.Add(beta, d.Beta)
			return replaceLocal(t, b, d.Beta.String(), beta.String())
		}, "not written as"},
		"an Alpha that is longer than its place": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			d := shares[0].ECDSA()
			alpha := new(big.Int).Lsh(new(big.Int).Mul(d.P, d.Q), 100)
			alpha.Add(alpha, d.Alpha)
			return replaceLocal(t, b, d.Alpha.String(), alpha.String())
		}, "Alpha has no place in 256 bytes"},
		"points without their curve, as tss-lib v1 wrote them": {1, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			raw := bytes.ReplaceAll(localDataOf(t, b), []byte(`"Curve":"ed25519",`), nil)
			k, err := keyshare.New("cosmos", keyshare.Ed25519, raw, shares[1].LocalParty(), shares[1].Participants())
			require.NoError(t, err)
			out, err := k.Encode()
			require.NoError(t, err)
			return out
		}, "not written as"},
		"numbers as texts": {0, func(b []byte) []byte {
			shares, _ := parsed(t, 4, 0)
			xi := shares[0].ECDSA().Xi.String()
			return replaceLocal(t, b, `"Xi":`+xi, `"Xi":"`+xi+`"`)
		}, "not written as"},
		"both of one key": {1, func([]byte) []byte { return both(t, 4, 0)[0] }, "it is of the secp256k1 key"},
		"of two vaults":   {1, func([]byte) []byte { return both(t, 20, 0)[1] }, "of two vaults"},
		"of two members":  {1, func([]byte) []byte { return both(t, 4, 1)[1] }, "not written as"},
		"no keyshare":     {0, func([]byte) []byte { return []byte("{}") }, "not a keyshare file"},
	} {
		t.Run(name, func(t *testing.T) {
			files := both(t, 4, 0)
			files[c.file] = c.change(files[c.file])
			secrets, group, err := keyshare.Split(files, epoch)
			require.ErrorIs(t, err, keyshare.ErrNotSplit)
			require.ErrorContains(t, err, c.says)
			require.Nil(t, secrets)
			require.Nil(t, group)
			requireNoSecret(t, err)
		})
	}
	_, _, err := keyshare.Split(both(t, 4, 0), 0)
	require.ErrorIs(t, err, keyshare.ErrNotSplit)
	require.ErrorContains(t, err, "epoch")
}

// requireNoSecret looks for the numbers of the first fixture, which no error may show.
func requireNoSecret(t testing.TB, err error) {
	shares, _ := parsed(t, 4, 0)
	d := shares[0].ECDSA()
	for _, n := range []*big.Int{d.Xi, shares[1].EdDSA().Xi, d.P, d.PaillierSK.P, d.Alpha} {
		require.NotContains(t, err.Error(), n.String()[:12])
		require.NotContains(t, err.Error(), n.Text(16)[:12])
	}
}

// legacy has the object itself for local_data.
func legacy(t testing.TB, data []byte) []byte {
	raw := localDataOf(t, data)
	return edit(t, data, func(outer, _ map[string]json.RawMessage) { outer["local_data"] = raw })
}

// replaceLocal replaces a text in local_data, once.
func replaceLocal(t testing.TB, data []byte, old, new string) []byte {
	raw := localDataOf(t, data)
	require.Equal(t, 1, bytes.Count(raw, []byte(old)))
	members := func() (all [][]byte, own []byte, prefix string) {
		k, err := keyshare.Parse(data)
		require.NoError(t, err)
		return k.Participants(), k.LocalParty(), "cosmos"
	}
	all, own, prefix := members()
	k, err := keyshare.New(prefix, keyshare.Secp256k1, bytes.Replace(raw, []byte(old), []byte(new), 1), own, all)
	require.NoError(t, err)
	out, err := k.Encode()
	require.NoError(t, err)
	return out
}

func TestWhatIsNotJoined(t *testing.T) {
	other, large := split(t, 4, 1), split(t, 20, 0)
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	secret := func(d *divided, b []byte) {
		s, err := sanity.NewSecret(b)
		require.NoError(t, err)
		d.secrets.Secret = s
	}
	for name, c := range map[string]struct {
		change func(d *divided)
		says   string
	}{
		"no group part":                  {func(d *divided) { d.group = nil }, "0 bytes"},
		"a group part that was cut off":  {func(d *divided) { d.group = d.group[1:] }, "bytes"},
		"that of more members":           {func(d *divided) { d.group = large.group }, "bytes"},
		"no members":                     {func(d *divided) { d.members = nil }, "0 members"},
		"too many members":               {func(d *divided) { d.members = make([][]byte, 513) }, "513 members"},
		"members in another order":       {func(d *divided) { d.members = slices.Clone(d.members); slices.Reverse(d.members) }, "ascending"},
		"a member twice":                 {func(d *divided) { d.members = slices.Clone(d.members); d.members[1] = d.members[0] }, "ascending"},
		"members of another vault":       {func(d *divided) { d.members = large.members[:4] }, "not among"},
		"no secret part":                 {func(d *divided) { d.secrets.Secret = sanity.Secret{} }, "no secret part"},
		"a secret part of zeros":         {func(d *divided) { secret(d, make([]byte, sanity.SecretBytes)) }, "Paillier prime"},
		"another member's secret part":   {func(d *divided) { d.secrets.Secret = other.secrets.Secret }, "Paillier prime"},
		"another member":                 {func(d *divided) { d.secrets.Member = other.secrets.Member }, "Paillier prime"},
		"another share":                  {func(d *divided) { secret(d, flip(d.secrets.Secret.Bytes(), 31)) }, "not what was split"},
		"another share of the other key": {func(d *divided) { secret(d, flip(d.secrets.Secret.Bytes(), 63)) }, "not what was split"},
		"another prime of the ring":      {func(d *divided) { secret(d, flip(d.secrets.Secret.Bytes(), 64+255)) }, "ring's prime"},
		"an even exponent":               {func(d *divided) { secret(d, append(bytes.Clone(d.secrets.Secret.Bytes()[:320]), make([]byte, 256)...)) }, "Alpha"},
		"another exponent":               {func(d *divided) { secret(d, flip(d.secrets.Secret.Bytes(), 575)) }, ""},
		"another prefix":                 {func(d *divided) { d.secrets.Prefix = "thor" }, "not what was split"},
		"a prefix that is none":          {func(d *divided) { d.secrets.Prefix = "\x00" }, ""},
		"another vault's key":            {func(d *divided) { d.secrets.PubKey = large.secrets.PubKey }, "not what was split"},
		"no vault's key":                 {func(d *divided) { d.secrets.PubKey = nil }, "the vault's secp256k1 key"},
		"no ed25519 key":                 {func(d *divided) { d.secrets.PubKeyEd25519 = nil }, "the vault's ed25519 key"},
		"another hash":                   {func(d *divided) { d.secrets.Files[0] ^= 1 }, "not what was split"},
		"another point":                  {func(d *divided) { copy(d.group[1089:], d.group[:65]) }, "not what was split"},
		"no point":                       {func(d *divided) { clear(d.group[:33]) }, "secp256k1 point of member 1"},
		"no ed25519 point":               {func(d *divided) { copy(d.group[33:65], bytes.Repeat([]byte{2}, 32)) }, "ed25519 point of member 1"},
		"parameters of zeros":            {func(d *divided) { clear(d.group[65:1089]) }, "Paillier prime"},
		"another member's parameters":    {func(d *divided) { copy(d.group[65:1089], d.group[1089+65:]) }, "Paillier prime"},
		"other parameters of another":    {func(d *divided) { copy(d.group[1089+65:], d.group[65:1089]) }, "not what was split"},
	} {
		t.Run(name, func(t *testing.T) {
			d := split(t, 4, 0)
			c.change(&d)
			joined, err := keyshare.Join(d.secrets, d.members, d.group)
			require.ErrorIs(t, err, keyshare.ErrNotJoined)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, [2][]byte{}, joined)
			requireNoSecret(t, err)
		})
	}
}

// Whatever stands in a group part and a secret part, there is an error or the very files.
func FuzzJoin(f *testing.F) {
	d := split(f, 4, 0)
	want := both(f, 4, 0)
	f.Add(d.group, d.secrets.Secret.Bytes(), "cosmos")
	f.Add(make([]byte, len(d.group)), make([]byte, sanity.SecretBytes), "")
	f.Add(d.group, bytes.Repeat([]byte{0, 1}, sanity.SecretBytes/2), "thor")
	f.Fuzz(func(t *testing.T, group, raw []byte, prefix string) {
		secret, err := sanity.NewSecret(raw)
		if err != nil {
			return
		}
		s := *d.secrets
		s.Secret, s.Prefix = secret, prefix
		joined, err := keyshare.Join(&s, d.members, group)
		if err != nil {
			require.ErrorIs(t, err, keyshare.ErrNotJoined)
			return
		}
		require.Equal(t, want, joined)
	})
}

func BenchmarkJoin(b *testing.B) {
	d := split(b, 20, 0)
	for b.Loop() {
		_, err := keyshare.Join(d.secrets, d.members, d.group)
		require.NoError(b, err)
	}
}
