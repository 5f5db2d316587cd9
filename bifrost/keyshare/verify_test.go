package keyshare_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// leaves calls visit for every number in a JSON value, with its path and a function that changes
// it.
func leaves(path string, v any, set func(any), visit func(path string, n *big.Int, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			leaves(path+"."+key, inner, func(x any) { v[key] = x }, visit)
		}
	case []any:
		for i, inner := range v {
			leaves(path+"["+strconv.Itoa(i)+"]", inner, func(x any) { v[i] = x }, visit)
		}
	case json.Number:
		n, ok := new(big.Int).SetString(v.String(), 10)
		if ok {
			visit(strings.TrimPrefix(path, "."), n, set)
		}
	}
}

// check parses and checks a file against the vault and member that it says it is of.
func check(file []byte) error {
	k, err := keyshare.Parse(file)
	if err != nil {
		return err
	}
	keys := keyshare.VaultKeys{Secp256k1: k.VaultKey(), Ed25519: k.VaultKey()}
	return k.Check(keys, k.LocalParty(), k.Participants())
}

// withLocal returns the file with another local_data.
func withLocal(t testing.TB, file []byte, local any) []byte {
	t.Helper()
	data, err := json.Marshal(local)
	require.NoError(t, err)
	return edit(t, file, func(outer, _ map[string]json.RawMessage) { outer["local_data"] = data })
}

func decodeLocal(t testing.TB, file []byte) (local any) {
	t.Helper()
	edit(t, file, func(_, fields map[string]json.RawMessage) {
		data, err := json.Marshal(fields)
		require.NoError(t, err)
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		require.NoError(t, d.Decode(&local))
	})
	return local
}

// Every number in a real keyshare is changed in turn, by two so that odd ones stay odd. The error
// names it, or names it together with what it must fit.
func TestEveryNumberIsChecked(t *testing.T) {
	const member = 1
	own := func(list string) string { return fmt.Sprintf("%s[%d]", list, member) }
	files := fixture.Keyshares(t, 4, member)
	for i, curve := range []string{"ECDSA", "EdDSA"} {
		local := decodeLocal(t, files[i].Data)
		require.NoError(t, check(withLocal(t, files[i].Data, local)))
		visited := 0
		leaves("", local, func(any) {}, func(path string, n *big.Int, set func(any)) {
			visited++
			set(json.Number(new(big.Int).Add(n, big.NewInt(2)).String()))
			err := check(withLocal(t, files[i].Data, local))
			set(json.Number(n.String()))

			list, index, isList := strings.Cut(path, "[")
			theirs := isList && !strings.HasPrefix(path, own(list))
			told := isList && slices.Contains([]string{"NTildej", "H1j", "H2j", "PaillierPKs"}, list)
			switch {
			case told && err != nil && strings.Contains(err.Error(), "what participant "+index[:1]+" told the others"):
				// It no longer has the form of an honest member's.
			case told && theirs:
				require.NoError(t, err, "%s %s: what another member told is in no relation to the rest of the file", curve, path)
			case strings.HasPrefix(path, "ECDSAPub") || strings.HasPrefix(path, "EDDSAPub"):
				require.ErrorContains(t, err, path[:len("ECDSAPub")]+" is not", path)
			case list == "BigXj":
				require.ErrorContains(t, err, "BigXj["+string(path[len("BigXj[")])+"]", path)
			case path == "PaillierSK.P" || path == "PaillierSK.Q":
				require.ErrorContains(t, err, "PaillierSK.P and PaillierSK.Q", path)
			case list == "PaillierPKs" || path == "PaillierSK.N":
				require.ErrorContains(t, err, "PaillierSK.N is not PaillierPKs[1].N", path)
			case path == "NTildei" || path == "H1i" || path == "H2i" || isList && strings.Contains("NTildej H1j H2j", list):
				name := strings.TrimRight(list, "ij")
				require.ErrorContains(t, err, name+"i is not "+name+"j[1]", path)
			default:
				require.ErrorContains(t, err, path, path)
			}
		})
		require.Greater(t, visited, 10)
	}
}

func TestVerifyNamesWhatDoesNotFit(t *testing.T) {
	type object = map[string]any
	number := func(v any) *big.Int {
		n, ok := new(big.Int).SetString(v.(json.Number).String(), 10)
		require.True(t, ok)
		return n
	}
	asNumber := func(n *big.Int) json.Number { return json.Number(n.String()) }
	swap := func(list any, i, j int) {
		l := list.([]any)
		l[i], l[j] = l[j], l[i]
	}
	for _, c := range []struct {
		name   string
		only   string // a curve, or both
		change func(local object)
		want   string
	}{
		{"two other members' public shares are swapped", "", func(l object) { swap(l["BigXj"], 1, 2) }, "do not lie on one polynomial of degree 2"},
		{"another member has the own public share", "", func(l object) {
			b := l["BigXj"].([]any)
			b[2] = b[0]
		}, "BigXj[2] does not fit"},
		{"both forms of the range-proof modulus are another's", "ECDSA", func(l object) {
			l["NTildei"] = l["NTildej"].([]any)[1]
			l["NTildej"].([]any)[0] = l["NTildei"]
		}, "P and Q do not fit NTildei"},
		{"both forms of H1 are another's", "ECDSA", func(l object) {
			l["H1i"] = l["H1j"].([]any)[1]
			l["H1j"].([]any)[0] = l["H1i"]
		}, "secret Alpha does not fit"},
		{"both forms of H2 are another power of H1", "ECDSA", func(l object) {
			h := number(l["H1i"])
			l["H2i"] = asNumber(h.Exp(h, big.NewInt(2), number(l["NTildei"])))
			l["H2j"].([]any)[0] = l["H2i"]
		}, "secret Alpha does not fit"},
		{"H1 and H2 are equal", "ECDSA", func(l object) { l["H2j"].([]any)[2] = l["H1j"].([]any)[2] }, "participant 2 told the others: H1 and H2 are equal"},
		{"H1 is one", "ECDSA", func(l object) { l["H1j"].([]any)[3] = json.Number("1") }, "participant 3 told the others: H1"},
		{"a modulus of another member is even", "ECDSA", func(l object) {
			list := l["NTildej"].([]any)
			list[2] = asNumber(new(big.Int).Add(number(list[2]), big.NewInt(1)))
		}, "participant 2 told the others: NTilde is not an odd number of 2048 bits"},
		{"a Paillier key of another member is short", "ECDSA", func(l object) {
			l["PaillierPKs"].([]any)[2].(object)["N"] = json.Number("35")
		}, "participant 2 told the others: N is not an odd number of 2048 bits"},
		{"both Paillier keys are another's", "ECDSA", func(l object) {
			list := l["PaillierPKs"].([]any)
			list[0] = list[1]
			l["PaillierSK"].(object)["N"] = list[1].(object)["N"]
		}, "not the factors of PaillierSK.N"},
		{"the Paillier primes are one and N", "ECDSA", func(l object) {
			sk := l["PaillierSK"].(object)
			sk["P"], sk["Q"] = json.Number("1"), sk["N"]
		}, "not two primes"},
		{"one of the Paillier primes is missing", "ECDSA", func(l object) { delete(l["PaillierSK"].(object), "P") }, "not two primes"},
		{"the Paillier primes are missing and φ is wrong", "ECDSA", func(l object) {
			sk := l["PaillierSK"].(object)
			delete(sk, "P")
			delete(sk, "Q")
			sk["PhiN"] = asNumber(new(big.Int).Sub(number(sk["PhiN"]), big.NewInt(4)))
		}, "PaillierSK.PhiN"},
		{"the Paillier primes are missing and λ is wrong", "ECDSA", func(l object) {
			sk := l["PaillierSK"].(object)
			delete(sk, "P")
			delete(sk, "Q")
			sk["LambdaN"] = sk["PhiN"]
		}, "PaillierSK.LambdaN"},
		{"the Paillier key has three factors", "ECDSA", func(l object) {
			sk := l["PaillierSK"].(object)
			p, q := number(sk["P"]), number(sk["Q"])
			p.Add(p, big.NewInt(4)) // a multiple of three, as safe primes are one less than one
			n := new(big.Int).Mul(p, q)
			sk["P"], sk["N"] = asNumber(p), asNumber(n)
			l["PaillierPKs"].([]any)[0].(object)["N"] = sk["N"]
		}, "not the product of two primes"},
		{"one of the range-proof secrets is missing", "ECDSA", func(l object) { delete(l, "Beta") }, "Beta is missing"},
		{"a range-proof secret is negative", "ECDSA", func(l object) { l["Alpha"] = json.Number("-1") }, "Alpha is missing or out of range"},
		{"a range-proof secret is huge", "ECDSA", func(l object) { l["P"] = json.Number("1" + strings.Repeat("0", 100_000)) }, "P is missing or out of range"},
		{"an older keyshare, without the primes and range-proof secrets", "ECDSA", func(l object) {
			delete(l["PaillierSK"].(object), "P")
			delete(l["PaillierSK"].(object), "Q")
			for _, name := range []string{"Alpha", "Beta", "P", "Q"} {
				l[name] = nil
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, curve := range []string{"ECDSA", "EdDSA"} {
				if c.only != "" && c.only != curve {
					continue
				}
				file := fixture.Keyshares(t, 4, 0)[i].Data
				local := decodeLocal(t, file)
				c.change(local.(object))
				err := check(withLocal(t, file, local))
				if c.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// dealt is the keyshare of the first member of a vault with n members, whose shares lie on a
// polynomial of some degree; change is done to the public shares before.
func dealt(t testing.TB, n, degree int, change func(d *edData)) *keyshare.Keyshare {
	t.Helper()
	var members [][]byte
	for range n {
		members = append(members, secpKey(randomScalar(t)))
	}
	slices.SortFunc(members, bytes.Compare)
	coefficients := make([]*big.Int, degree+1)
	for i := range coefficients {
		coefficients[i] = randomScalar(t)
	}
	d := edData{EDDSAPub: edBase(coefficients[0])}
	for _, m := range members {
		k := new(big.Int).SetBytes(m)
		d.Ks = append(d.Ks, k)
		d.BigXj = append(d.BigXj, edBase(edValue(coefficients, k)))
	}
	d.ShareID = d.Ks[0]
	d.Xi = edValue(coefficients, d.ShareID)
	if change != nil {
		change(&d)
	}
	raw, err := json.Marshal(d)
	require.NoError(t, err)
	k, err := keyshare.New("cosmos", keyshare.Ed25519, raw, members[0], members)
	require.NoError(t, err)
	return k
}

func TestPublicSharesLieOnOnePolynomial(t *testing.T) {
	base := func(v int64) *point { return edBase(big.NewInt(v)) }
	torsion := &point{"ed25519", [2]*big.Int{new(big.Int), new(big.Int).Sub(edField, big.NewInt(1))}}
	for _, c := range []struct {
		name      string
		n, degree int
		change    func(d *edData)
		want      string
	}{
		{"two members", 2, 1, nil, ""},
		{"three members", 3, 1, nil, ""},
		{"five members", 5, 3, nil, ""},
		{"thirty members", 30, 19, nil, ""},
		{"all interpolate to the key, but too many are needed", 5, 4, nil, "do not lie on one polynomial of degree 3"},
		{"all interpolate to the key, but one fewer suffices", 5, 2, nil, "lower degree than 3: fewer than 4 members"},
		{"everyone's share is the key", 3, 1, func(d *edData) {
			for i := range d.BigXj {
				d.BigXj[i] = edBase(d.Xi)
			}
			d.EDDSAPub = d.BigXj[0]
		}, "lower degree than 1: fewer than 2 members"},
		{"the key is another", 5, 3, func(d *edData) { d.EDDSAPub = base(7) }, "give another key"},
		{"of two, the key is another", 2, 1, func(d *edData) { d.EDDSAPub = base(7) }, "do not lie on one polynomial of degree 1"},
		{"the last public share is another", 5, 3, func(d *edData) { d.BigXj[4] = base(7) }, "BigXj[4]"},
		{"of three, the last public share is another", 3, 1, func(d *edData) { d.BigXj[2] = base(7) }, "BigXj[2]"},
		{"two public shares are others", 7, 4, func(d *edData) { d.BigXj[4], d.BigXj[5] = base(7), base(8) }, "do not lie on one polynomial of degree 4"},
		{"the errors of two cancel out in all that interpolates all", 5, 3, func(d *edData) {
			// What interpolating all of them gives changes by the sum of what the changes weigh.
			order := edOrder
			weight := func(i int) *big.Int {
				w := big.NewInt(1)
				for j := range d.Ks {
					if j != i {
						w.Mul(w, d.Ks[j]).Mul(w, new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(d.Ks[j], d.Ks[i]), order), order)).Mod(w, order)
					}
				}
				return w
			}
			shift := func(i int, by *big.Int) {
				d.BigXj[i] = d.BigXj[i].add(edBase(by))
			}
			shift(3, weight(4))
			shift(4, new(big.Int).Sub(order, weight(3)))
		}, "do not lie on one polynomial of degree 3"},
		{"a public share has a part of small order", 5, 3, func(d *edData) {
			d.BigXj[2] = d.BigXj[2].add(torsion)
		}, "BigXj[2] is not in the prime-order group"},
		{"the vault's key has a part of small order", 5, 3, func(d *edData) {
			d.EDDSAPub = d.EDDSAPub.add(torsion)
		}, "pub_key is not in the prime-order group"},
		{"a public share is the identity", 5, 3, func(d *edData) {
			d.BigXj[2] = &point{"ed25519", [2]*big.Int{new(big.Int), big.NewInt(1)}}
		}, "BigXj[2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := dealt(t, c.n, c.degree, c.change).Verify()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTooManyParticipants(t *testing.T) {
	file := fixture.Keyshares(t, 4, 0)[1].Data
	var keys []string
	for i := range 513 {
		s, err := keyshare.EncodeSecp256k1("cosmos", secpKey(big.NewInt(int64(i+1))))
		require.NoError(t, err)
		keys = append(keys, s)
	}
	err := check(edit(t, file, func(outer, local map[string]json.RawMessage) {
		var err error
		outer["participant_keys"], err = json.Marshal(keys)
		require.NoError(t, err)
		outer["local_party_key"], err = json.Marshal(keys[0])
		require.NoError(t, err)
		outer["local_data"], err = json.Marshal(local)
		require.NoError(t, err)
	}))
	require.ErrorContains(t, err, "513 participants")
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range fixture.Sizes {
		for i, f := range fixture.Keyshares(b, size, 0) {
			b.Run(fmt.Sprintf("%d members, %s", size, []string{"ECDSA", "EdDSA"}[i]), func(b *testing.B) {
				k, err := keyshare.Parse(f.Data)
				require.NoError(b, err)
				for b.Loop() {
					require.NoError(b, k.Verify())
				}
			})
		}
	}
}
