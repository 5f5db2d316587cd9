package verenc

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// saveData is what the scheme takes from tss-lib's LocalPartySaveData.
type saveData struct {
	Xi, ShareID *big.Int
	Ks          []*big.Int
	BigXj       []coords
	ECDSAPub    coords
	EDDSAPub    coords
}

type coords struct{ Coords [2]*big.Int }

// vault is one keygen's result for one curve, with the shares of the members that are known.
type vault struct {
	list   List
	shares []Share // at the member's place in the list, zero when its keyshare is not kept
	places []int   // places[m] is the place of member m in the list
}

// vaultOf brings what members saved into the form of this package.
func vaultOf(t testing.TB, g Group, saves []saveData) vault {
	t.Helper()
	pub := saves[0].ECDSAPub
	if g == Ed25519 {
		pub = saves[0].EDDSAPub
	}
	var v vault
	point, err := PointFromInts(g, pub.Coords[0], pub.Coords[1])
	require.NoError(t, err)
	v.list = List{Group: g, Vault: point}
	for i, key := range saves[0].Ks {
		id, err := ShareID(g, 1, key.Bytes())
		require.NoError(t, err)
		point, err := PointFromInts(g, saves[0].BigXj[i].Coords[0], saves[0].BigXj[i].Coords[1])
		require.NoError(t, err)
		v.list.Entries = append(v.list.Entries, Entry{ID: id, Point: point})
	}
	slices.SortFunc(v.list.Entries, func(a, b Entry) int { return bytes.Compare(a.ID, b.ID) })
	v.shares = make([]Share, len(v.list.Entries))
	for _, s := range saves {
		id, err := ShareID(g, 1, s.ShareID.Bytes())
		require.NoError(t, err)
		place := slices.IndexFunc(v.list.Entries, func(e Entry) bool { return bytes.Equal(e.ID, id) })
		v.shares[place], err = ShareFromInt(g, s.Xi)
		require.NoError(t, err)
		v.places = append(v.places, place)
	}
	return v
}

// realVaults reads the keyshares that tss-lib made for a vault of n members: its secp256k1 and its
// ed25519 key.
func realVaults(t testing.TB, n int) map[Group]vault {
	t.Helper()
	saves := map[Group][]saveData{}
	for m := range fixture.Members(t, n) {
		for i, f := range fixture.Keyshares(t, n, m) {
			var file struct {
				LocalData []byte `json:"local_data"`
			}
			require.NoError(t, json.Unmarshal(f.Data, &file))
			var s saveData
			require.NoError(t, json.Unmarshal(file.LocalData, &s))
			g := Group(i + 1) // sorted by name, the secp256k1 key comes first
			saves[g] = append(saves[g], s)
		}
	}
	return map[Group]vault{
		Secp256k1: vaultOf(t, Secp256k1, saves[Secp256k1]),
		Ed25519:   vaultOf(t, Ed25519, saves[Ed25519]),
	}
}

// public is the public share of member m, share its secret.
func (v vault) public(m int) PublicShare {
	return PublicShare{Group: v.list.Group, Point: v.list.Entries[v.places[m]].Point}
}

func (v vault) share(m int) Share { return v.shares[v.places[m]] }

func TestRealListsHold(t *testing.T) {
	for _, n := range fixture.Sizes {
		for g, v := range realVaults(t, n) {
			require.NoError(t, v.list.Check(), "%v of %d members", g, n)
		}
	}
}

// exported is the state a chain keeps of one member.
type exported struct {
	Recipient []byte
	Index     uint32
	Stored    []byte
}

// TestVaultKeysFromMnemonicsAndStateAlone proves the shares of a real keygen, forgets them, and
// rebuilds both vault keys from t+1 mnemonics and the exported state; with t it does not go.
func TestVaultKeysFromMnemonicsAndStateAlone(t *testing.T) {
	vaults := realVaults(t, 4)
	groups := []Group{Secp256k1, Ed25519}
	mnemonics := make([]string, 4)
	state := make([]exported, 4)
	for m := range mnemonics {
		mnemonics[m] = mnemonicOf(t, fmt.Sprintf("member %d", m))
		index := uint32(m % 2)
		key := recipientOf(t, mnemonics[m], index)
		st := Statement{
			Label:     Label("chain-1", vaults[Secp256k1].list.Vault, vaults[Ed25519].list.Vault, 7, []byte{byte(m)}),
			Recipient: key.Public(),
			Shares:    []PublicShare{vaults[Secp256k1].public(m), vaults[Ed25519].public(m)},
		}
		shares := []Share{vaults[Secp256k1].share(m), vaults[Ed25519].share(m)}
		proof, err := Prove(key, st, shares)
		require.NoError(t, err)
		stored, err := Verify(st, proof)
		require.NoError(t, err)
		state[m] = exported{Recipient: st.Recipient, Index: index, Stored: stored.Bytes()}
	}
	genesis, err := json.Marshal(state)
	require.NoError(t, err)
	lists := map[Group]List{}
	places := map[Group][]int{}
	for g, v := range vaults {
		lists[g], places[g] = v.list, v.places
		for _, s := range v.shares {
			s.Wipe()
		}
	}

	// What follows knows the mnemonics, the exported state, the lists and nothing else.
	var imported []exported
	require.NoError(t, json.Unmarshal(genesis, &imported))
	opened := map[Group][]Share{}
	for _, g := range groups {
		opened[g] = make([]Share, 4)
	}
	for n, m := range []int{3, 0, 2} {
		for _, g := range groups {
			_, err := lists[g].Combine(opened[g])
			require.ErrorContains(t, err, fmt.Sprintf("%d shares of 3", n))
		}
		key := recipientOf(t, mnemonics[m], imported[m].Index)
		require.Equal(t, imported[m].Recipient, key.Public())
		stored, err := ParseStored(imported[m].Stored)
		require.NoError(t, err)
		var public []PublicShare
		for _, g := range groups {
			public = append(public, PublicShare{Group: g, Point: lists[g].Entries[places[g][m]].Point})
		}
		shares, err := stored.Open(key, public)
		require.NoError(t, err)
		for j, g := range groups {
			opened[g][places[g][m]] = shares[j]
		}
	}
	for _, g := range groups {
		key, err := lists[g].Combine(opened[g])
		require.NoError(t, err)
		requireSigns(t, key, lists[g].Vault)
	}
}

// requireSigns signs with a rebuilt key and verifies the signature as the world does.
func requireSigns(t testing.TB, key Share, public []byte) {
	t.Helper()
	msg := []byte("after everything else was lost")
	if key.Group() == Secp256k1 {
		digest := sha256.Sum256(msg)
		sig := ecdsa.Sign(secp256k1.PrivKeyFromBytes(key.Bytes()), digest[:])
		pub, err := secp256k1.ParsePubKey(public)
		require.NoError(t, err)
		require.True(t, sig.Verify(digest[:], pub))
		return
	}
	h := sha512.Sum512(append(key.Bytes(), msg...))
	nonce := edwards{}.wide(&h)
	r := secretMult(edwards{}, &nonce)
	c := signatureChallenge(r, public, msg)
	s := edwards{}.mulAdd(&c, key.x.scalar(), &nonce)
	require.True(t, ed25519.Verify(public, msg, append(bytes.Clone(r), s[:]...)))
}

// mnemonicOf makes 24 words from a name.
func mnemonicOf(t testing.TB, name string) string {
	t.Helper()
	entropy := sha256.Sum256([]byte("mnemonic of " + name))
	m, err := bip39.NewMnemonic(entropy[:])
	require.NoError(t, err)
	return m
}
