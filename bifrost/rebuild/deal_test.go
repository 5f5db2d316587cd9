package rebuild

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// vault is a vault whose members have proven, with everything that nobody has in one place: dealt here with verenc
// alone, so that these tests need no chain.
type vault struct {
	record    Record
	mnemonics []string
	keys      [2][]byte
}

var orders = [2]*big.Int{
	secp256k1.Params().N,
	// 2²⁵² + 27742317777372353535851937790883648493
	new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 252), fromDecimal("27742317777372353535851937790883648493")),
}

func fromDecimal(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

func number(name string, order *big.Int) *big.Int {
	h := sha256.Sum256([]byte("rebuild/" + name))
	n := new(big.Int).SetBytes(h[:])
	return n.Mod(n, order)
}

// deal gives the vault that follows from a name, with n members that have all proven under a chain id. Proofs take time,
// so it is made once: its record is changed in a copy alone.
func deal(t testing.TB, name, chainID string, n int) *vault {
	t.Helper()
	of := fmt.Sprint(name, chainID, n)
	if vaults[of] == nil {
		vaults[of] = newVault(t, name, chainID, n)
	}
	return vaults[of]
}

var vaults = map[string]*vault{}

func newVault(t testing.TB, name, chainID string, n int) *vault {
	t.Helper()
	v := &vault{record: Record{KeygenID: 7, Threshold: uint32(verenc.Threshold(n))}}
	points := [2][]Point{}
	shares := make([][]verenc.Share, n)
	for g, group := range groups {
		var coefficients []*big.Int
		for c := range verenc.Threshold(n) {
			coefficients = append(coefficients, number(fmt.Sprint(name, g, c), orders[g]))
		}
		key, err := verenc.ShareFromInt(group, coefficients[0])
		require.NoError(t, err)
		v.keys[g] = key.Bytes()
		for i := range n {
			at := number(fmt.Sprint(name, "party", i), orders[0])
			x := new(big.Int)
			for _, c := range slices.Backward(coefficients) {
				x.Mod(x.Add(x.Mul(x, at), c), orders[g])
			}
			share, err := verenc.ShareFromInt(group, x)
			require.NoError(t, err)
			id, err := verenc.ShareID(group, 7, at.Bytes())
			require.NoError(t, err)
			shares[i] = append(shares[i], share)
			points[g] = append(points[g], Point{Member: address(i), ID: hex.EncodeToString(id), Point: hex.EncodeToString(share.Public().Point)})
		}
		slices.SortFunc(points[g], func(a, b Point) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
		name := hex.EncodeToString(key.Public().Point)
		if g == 0 {
			v.record.Vault = name
		} else {
			v.record.PubKeyEd25519 = name
		}
	}
	v.record.Secp256k1, v.record.Ed25519 = points[0], points[1]
	for i := range n {
		entropy := sha256.Sum256(fmt.Append(nil, "rebuild/", name, "/member ", i))
		words, err := bip39.NewMnemonic(entropy[:])
		require.NoError(t, err)
		v.mnemonics = append(v.mnemonics, words)
		index := uint32(i % 3)
		key, err := verenc.NewRecipientKey(bip39.NewSeed(words, ""), index)
		require.NoError(t, err)
		st := verenc.Statement{
			Label:     verenc.Label(chainID, unhexed(v.record.Vault), unhexed(v.record.PubKeyEd25519), 7, []byte(address(i))),
			Recipient: key.Public(),
			Shares:    []verenc.PublicShare{shares[i][0].Public(), shares[i][1].Public()},
		}
		proof, err := verenc.Prove(key, st, shares[i])
		require.NoError(t, err)
		stored, err := verenc.Verify(st, proof)
		require.NoError(t, err)
		v.record.Proofs = append(v.record.Proofs, Proof{
			Member: address(i), RecipientKey: hex.EncodeToString(key.Public()), RecipientIndex: index, Stored: stored.Bytes(),
		})
	}
	return v
}

func address(i int) string { return fmt.Sprintf("cosmos1member%d", i) }

func unhexed(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// copied is a record of one's own to change.
func (v *vault) copied(t testing.TB) Record {
	t.Helper()
	data, err := json.Marshal(v.record)
	require.NoError(t, err)
	r, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, v.record, r)
	return r
}

func mnemonic(t testing.TB, words string) *sanity.Mnemonic {
	t.Helper()
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	return m
}

// add opens the shares of these members.
func (v *vault) add(t testing.TB, o *Opening, members ...int) {
	t.Helper()
	for _, i := range members {
		whose, err := o.Add(mnemonic(t, v.mnemonics[i]))
		require.NoError(t, err)
		require.Equal(t, []string{address(i)}, whose)
	}
}

// subsets are all sets of k of n members.
func subsets(n, k int) (all [][]int) {
	for bits := range 1 << n {
		var set []int
		for i := range n {
			if bits>>i&1 == 1 {
				set = append(set, i)
			}
		}
		if len(set) == k {
			all = append(all, set)
		}
	}
	return all
}
