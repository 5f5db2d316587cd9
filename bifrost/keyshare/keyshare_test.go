package keyshare_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

func parsed(t testing.TB, size, member int) (shares [2]*keyshare.Keyshare, files []fixture.File) {
	t.Helper()
	files = fixture.Keyshares(t, size, member)
	require.Len(t, files, 2)
	for i, f := range files {
		k, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		require.Equal(t, f.Name, k.FileName())
		shares[i] = k
	}
	return shares, files
}

func keysOf(shares [2]*keyshare.Keyshare) keyshare.VaultKeys {
	return keyshare.VaultKeys{Secp256k1: shares[0].VaultKey(), Ed25519: shares[1].VaultKey()}
}

func TestFixtures(t *testing.T) {
	for _, size := range fixture.Sizes {
		for member := range fixture.Members(t, size) {
			t.Run(fmt.Sprintf("member %d of %d", member, size), func(t *testing.T) {
				shares, files := parsed(t, size, member)
				require.Equal(t, keyshare.Secp256k1, shares[0].Curve())
				require.Equal(t, keyshare.Ed25519, shares[1].Curve())
				for i, k := range shares {
					require.Len(t, k.Participants(), size)
					require.NoError(t, k.Check(keysOf(shares), k.Participants()[member], k.Participants()))
					require.NoError(t, k.Check(keysOf(shares), k.LocalParty(), nil))

					again, err := k.Encode()
					require.NoError(t, err)
					require.True(t, bytes.Equal(files[i].Data, again), "encoding gives the bytes that were read")
				}

				// What a fresh keygen's result is made into is what the fixtures are.
				members := shares[0].Participants()
				members[0], members[1] = members[1], members[0]
				for i, k := range shares {
					made, err := keyshare.New("cosmos", k.Curve(), localDataOf(t, files[i].Data), k.LocalParty(), members)
					require.NoError(t, err)
					got, err := made.Encode()
					require.NoError(t, err)
					require.True(t, bytes.Equal(files[i].Data, got))
				}
			})
		}
	}
}

// A keygen that has no result makes no keyshare.
func TestNewRefusesWhatIsNoResult(t *testing.T) {
	shares, files := parsed(t, 4, 0)
	k, members := shares[0], shares[0].Participants()
	_, err := keyshare.New("cosmos", keyshare.Secp256k1, []byte(`{}`), members[0], members)
	require.ErrorContains(t, err, "no result")
	_, err = keyshare.New("cosmos", keyshare.Secp256k1, localDataOf(t, files[1].Data), members[0], members)
	require.ErrorContains(t, err, "no result", "it is of the other curve")
	_, err = keyshare.New("cosmos", keyshare.Secp256k1, []byte(`{"Xi":7`), members[0], members)
	require.ErrorContains(t, err, "malformed JSON")
	_, err = keyshare.New("cosmos", k.Curve(), localDataOf(t, files[0].Data), members[1], members)
	require.ErrorContains(t, err, "ShareID is not that of the local party")
}

func TestBech32(t *testing.T) {
	shares, _ := parsed(t, 4, 0)
	for _, k := range shares {
		curve, raw, err := keyshare.DecodePubKey(k.PubKey)
		require.NoError(t, err)
		require.Equal(t, k.Curve(), curve)
		encode := keyshare.EncodeSecp256k1
		if curve == keyshare.Ed25519 {
			encode = keyshare.EncodeEd25519
		}
		got, err := encode("cosmos", raw)
		require.NoError(t, err)
		require.Equal(t, k.PubKey, got)
		other, err := encode("thor", raw)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(other, "thorpub1"))
		_, raw2, err := keyshare.DecodePubKey(other)
		require.NoError(t, err)
		require.Equal(t, raw, raw2)

		_, err = encode("cosmos", raw[1:])
		require.Error(t, err)
		flipped := k.PubKey[:len(k.PubKey)-1] + "q"
		if flipped != k.PubKey {
			_, _, err = keyshare.DecodePubKey(flipped)
			require.Error(t, err)
		}
	}
	_, err := keyshare.EncodeSecp256k1("cosmos", bytes.Repeat([]byte{5}, 33))
	require.Error(t, err)
	_, _, err = keyshare.DecodePubKey("cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4")
	require.Error(t, err)
	require.Equal(t, "localstate-x.json", keyshare.FileName("x"))
}

func TestCheckNamesWhatDoesNotFit(t *testing.T) {
	shares, _ := parsed(t, 4, 0)
	others, _ := parsed(t, 20, 0)
	members := shares[0].Participants()
	for i, k := range shares {
		require.ErrorContains(t, k.Check(keysOf(others), members[0], members), "another vault")
		require.ErrorContains(t, k.Check(keyshare.VaultKeys{}, members[0], members), "another vault")
		require.ErrorContains(t, k.Check(keysOf(shares), members[1], members), "another member's")
		require.ErrorContains(t, k.Check(keysOf(shares), members[0], members[:3]), "4 members, not 3")
		strangers := append(shares[i].Participants()[:3], others[0].LocalParty())
		require.ErrorContains(t, k.Check(keysOf(shares), members[0], strangers), "not among")
	}
}

func TestCheckSigners(t *testing.T) {
	shares, _ := parsed(t, 4, 1)
	stranger, _ := parsed(t, 20, 0)
	for _, k := range shares {
		m := k.Participants()
		require.NoError(t, k.CheckSigners(m))
		require.NoError(t, k.CheckSigners([][]byte{m[3], m[0], m[2]}))
		require.ErrorContains(t, k.CheckSigners(m[:2]), "not enough")
		require.ErrorContains(t, k.CheckSigners(m[:1]), "not enough")
		require.ErrorContains(t, k.CheckSigners(nil), "not enough")
		require.ErrorContains(t, k.CheckSigners([][]byte{m[0], m[1], m[0], m[2]}), "twice")
		require.ErrorContains(t, k.CheckSigners([][]byte{m[0], m[1], stranger[0].LocalParty()}), "not among")
	}
	large, _ := parsed(t, 20, 0)
	m := large[0].Participants()
	require.NoError(t, large[0].CheckSigners(m[6:]), "14 of 20")
	require.ErrorContains(t, large[0].CheckSigners(m[7:]), "not enough")
}

// edit changes a field of the file, or of local_data, and returns the file.
func edit(t testing.TB, data []byte, change func(outer, local map[string]json.RawMessage)) []byte {
	t.Helper()
	var outer, local map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &outer))
	var encoded []byte
	require.NoError(t, json.Unmarshal(outer["local_data"], &encoded))
	require.NoError(t, json.Unmarshal(encoded, &local))
	delete(outer, "local_data")
	change(outer, local)
	if _, set := outer["local_data"]; !set {
		encoded, err := json.Marshal(local)
		require.NoError(t, err)
		outer["local_data"] = json.RawMessage(`"` + base64.StdEncoding.EncodeToString(encoded) + `"`)
	}
	out, err := json.Marshal(outer)
	require.NoError(t, err)
	return out
}

func TestOlderFilesHoldAnObject(t *testing.T) {
	for i := range 2 {
		shares, files := parsed(t, 4, 2)
		old := edit(t, files[i].Data, func(outer, local map[string]json.RawMessage) {
			raw, err := json.Marshal(local)
			require.NoError(t, err)
			outer["local_data"] = raw
		})
		k, err := keyshare.Parse(old)
		require.NoError(t, err)
		require.NoError(t, k.Check(keysOf(shares), shares[0].LocalParty(), shares[0].Participants()))
	}
}

func TestBrokenFiles(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	type change = func(outer, local map[string]json.RawMessage)
	set := func(field, value string) change {
		return func(_, local map[string]json.RawMessage) { local[field] = raw(value) }
	}
	outer := func(field, value string) change {
		return func(outer, _ map[string]json.RawMessage) { outer[field] = raw(value) }
	}
	for _, c := range []struct {
		name   string
		change change
	}{
		{"no public key", outer("pub_key", `""`)},
		{"no local party", outer("local_party_key", `""`)},
		{"no participants", outer("participant_keys", `[]`)},
		{"participants null", outer("participant_keys", `null`)},
		{"participants of another type", outer("participant_keys", `{"a":1}`)},
		{"local data null", outer("local_data", `null`)},
		{"local data not base64", outer("local_data", `"!"`)},
		{"local data a number", outer("local_data", `7`)},
		{"local data an empty object", outer("local_data", `{}`)},
		{"local data an array", outer("local_data", `[1]`)},
		{"Xi null", set("Xi", `null`)},
		{"Xi zero", set("Xi", `0`)},
		{"Xi negative", set("Xi", `-5`)},
		{"Xi too large", set("Xi", `1`+strings.Repeat("0", 90))},
		{"another Xi", set("Xi", `12345`)},
		{"another ShareID", set("ShareID", `12345`)},
		{"ShareID null", set("ShareID", `null`)},
		{"Ks empty", set("Ks", `[]`)},
		{"Ks with null", set("Ks", `[null,null,null,null]`)},
		{"Ks all zero", set("Ks", `[0,0,0,0]`)},
		{"BigXj null", set("BigXj", `null`)},
		{"BigXj of nulls", set("BigXj", `[null,null,null,null]`)},
		{"BigXj of no points", set("BigXj", `[{"Curve":"secp256k1","Coords":[1,1]}]`)},
		{"BigXj with null coordinates", set("BigXj", `[{"Curve":"secp256k1","Coords":[null,null]}]`)},
		{"BigXj of no curve", set("BigXj", `[{"Curve":"p256","Coords":[1,1]}]`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 2 {
				shares, files := parsed(t, 4, 0)
				k, err := keyshare.Parse(edit(t, files[i].Data, c.change))
				if err == nil {
					err = k.Check(keysOf(shares), shares[0].LocalParty(), shares[0].Participants())
				}
				require.Error(t, err)
				require.NotContains(t, err.Error(), shares[0].ECDSA().Xi.String())
			}
		})
	}
	for _, field := range []string{"NTildej", "H1j", "H2j", "PaillierPKs", "PaillierSK", "NTildei", "H1i", "H2i", "ECDSAPub"} {
		for _, value := range []string{`null`, `[]`, `{}`, `[null,null,null,null]`, `[-1,-1,-1,-1]`, `-1`, `{"N":4}`, `[{},{},{},{}]`, `{"N":6,"LambdaN":0,"PhiN":0}`} {
			shares, files := parsed(t, 4, 0)
			k, err := keyshare.Parse(edit(t, files[0].Data, set(field, value)))
			if err == nil {
				err = k.Check(keysOf(shares), shares[0].LocalParty(), shares[0].Participants())
			}
			require.Error(t, err, "%s %s", field, value)
		}
	}
	for _, data := range []string{"", "null", "{}", "[]", "7", `"x"`, "{", `{"pub_key":1}`} {
		_, err := keyshare.Parse([]byte(data))
		require.Error(t, err, data)
	}
	_, err := keyshare.Parse(make([]byte, keyshare.MaxFileSize+1))
	require.Error(t, err)
}

// The share of one member under the name of another: every field is well-formed, the share is not
// theirs.
func TestAnotherMembersShare(t *testing.T) {
	for i := range 2 {
		_, files := parsed(t, 4, 0)
		other, otherFiles := parsed(t, 4, 1)
		var xi json.RawMessage
		edit(t, otherFiles[i].Data, func(_, local map[string]json.RawMessage) { xi = local["Xi"] })
		mine, _ := parsed(t, 4, 0)
		k, err := keyshare.Parse(edit(t, files[i].Data, func(_, local map[string]json.RawMessage) { local["Xi"] = xi }))
		require.NoError(t, err)
		require.ErrorContains(t, k.Check(keysOf(other), mine[0].LocalParty(), nil), "public share")
	}
}

// Points that only ed25519 has: on the curve, and of small order.
func TestSmallOrderPointsAreFound(t *testing.T) {
	p := "57896044618658097711785492504343953926634992332820282019728792003956564819949"
	minusOne := "57896044618658097711785492504343953926634992332820282019728792003956564819948"
	i := "19681161376707505956807079304988542015446066515923890162744021073123829784752"
	for _, coords := range []string{"[0,1]", "[0," + minusOne + "]", "[" + i + ",0]", "[" + p + ",1]", "[0,-1]"} {
		shares, files := parsed(t, 4, 0)
		k, err := keyshare.Parse(edit(t, files[1].Data, func(_, local map[string]json.RawMessage) {
			point := `{"Curve":"ed25519","Coords":` + coords + `}`
			local["BigXj"] = json.RawMessage("[" + point + "," + point + "," + point + "," + point + "]")
		}))
		if err == nil {
			err = k.Check(keysOf(shares), shares[0].LocalParty(), nil)
			require.Error(t, k.CheckSigners(k.Participants()[1:]))
		}
		require.Error(t, err, coords)
	}
}

func TestAKeyshareShowsNothing(t *testing.T) {
	shares, _ := parsed(t, 4, 0)
	for i, xi := range []*big.Int{shares[0].ECDSA().Xi, shares[1].EdDSA().Xi} {
		k := shares[i]
		shown := ""
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			shown += fmt.Sprintf(verb, k)
		}
		for _, v := range []any{k, k.ECDSA(), k.EdDSA()} {
			data, err := json.Marshal(v)
			require.NoError(t, err)
			shown += string(data) + fmt.Sprintf("%v %+v %#v", v, v, v)
		}
		if d := k.ECDSA(); d != nil {
			shown += fmt.Sprintf("%v %+v", *d, d.PaillierSK)
			require.NotContains(t, shown, d.PaillierSK.PhiN.String())
		}
		require.Contains(t, shown, k.PubKey)
		require.NotContains(t, shown, xi.String())
		require.NotContains(t, shown, "Xi")
	}
}

func FuzzParse(f *testing.F) {
	for i := range 2 {
		_, files := parsed(f, 4, 0)
		f.Add(files[i].Data)
		f.Add(edit(f, files[i].Data, func(_, local map[string]json.RawMessage) { local["Xi"] = json.RawMessage("1") }))
	}
	f.Add([]byte(`{"pub_key":"","local_data":{},"participant_keys":[],"local_party_key":""}`))
	shares, _ := parsed(f, 4, 0)
	vault, local := keysOf(shares), shares[0].LocalParty()
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := keyshare.Parse(data)
		if err != nil {
			return
		}
		_ = k.Check(vault, local, nil)
		_ = k.CheckSigners(k.Participants())
		_, err = k.Encode()
		require.NoError(t, err)
	})
}

func TestWipe(t *testing.T) {
	shares, files := parsed(t, 4, 0)
	wiped := func(n *big.Int) {
		t.Helper()
		for _, word := range n.Bits() {
			require.Zero(t, word)
		}
	}
	for i, k := range shares {
		require.NoError(t, k.Verify())
		k.Wipe()
		if data := k.ECDSA(); data != nil {
			for _, n := range []*big.Int{data.Xi, data.P, data.Q, data.Alpha, data.Beta, data.PaillierSK.PhiN, data.PaillierSK.LambdaN} {
				wiped(n)
			}
		} else {
			wiped(k.EdDSA().Xi)
		}
		again, err := keyshare.Parse(files[i].Data)
		require.NoError(t, err, "the caller's bytes stay")
		require.NoError(t, again.Verify())
	}
}
