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

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/verenc"
)

// vault is a vault whose members have proven, with everything that nobody has in one place. These
// tests need no chain either.
type vault struct {
	record    Record
	mnemonics []string
	keys      [2][]byte
}

// deal gives the vault that follows from a name, with n members that have all proven under a chain
// id. With another n it is another epoch of the same vault: the members are those of the smaller one
// and more. Proofs take time, so it is made once: its record is changed in a copy alone.
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
	private, epoch := shamir.NewKeys("rebuild/"+name), uint64(3+n)
	var members [][]byte
	for i := range n {
		members = append(members, shamir.NewKeys(fmt.Sprint("rebuild/", name, "/member ", i)).PubKey())
	}
	dealt := private.Deal(members)
	v := &vault{record: Record{
		Vault: private.Name(), PubKeyEd25519: hex.EncodeToString(private.PubKeyEd25519()), KeygenID: Number(epoch), Threshold: uint32(verenc.Threshold(n)),
	}}
	for g, secret := range []*big.Int{new(big.Int).SetBytes(private.Secp256k1.Serialize()), shamir.Scalar(private.Ed25519)} {
		key, err := verenc.ShareFromInt(groups[g], secret)
		require.NoError(t, err)
		v.keys[g] = key.Bytes()
	}
	points := func(list []shamir.Entry) (all []Point) {
		for _, e := range list {
			i := slices.IndexFunc(members, func(m []byte) bool { return bytes.Equal(m, e.Member) })
			all = append(all, Point{Member: address(i), ID: hex.EncodeToString(e.ID), Point: hex.EncodeToString(e.Point)})
		}
		return all
	}
	v.record.Secp256k1, v.record.Ed25519 = points(dealt.Secp256k1), points(dealt.Ed25519)
	for i, m := range members {
		entropy := sha256.Sum256(fmt.Append(nil, "rebuild/", name, "/member ", i))
		words, err := bip39.NewMnemonic(entropy[:])
		require.NoError(t, err)
		v.mnemonics = append(v.mnemonics, words)
		index := uint32(i % 3)
		key, err := verenc.NewRecipientKey(bip39.NewSeed(words, ""), index)
		require.NoError(t, err)
		shares := dealt.Shares(m)
		st := verenc.Statement{
			Label:     verenc.Label(chainID, private.PubKey(), private.PubKeyEd25519(), epoch, []byte(address(i))),
			Recipient: key.Public(),
			Shares:    []verenc.PublicShare{shares[0].Public(), shares[1].Public()},
		}
		proof, err := verenc.Prove(key, st, shares)
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
