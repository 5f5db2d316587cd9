package tss

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"
	"testing"

	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
)

// TestVerencTakesAFreshKeygen runs a keygen of tss-lib and goes the whole way of a proof with its
// result: the shares are proven, opened from what is stored, and combined to the vault's key.
func TestVerencTakesAFreshKeygen(t *testing.T) {
	const n = 3
	saves := plainKeygen(t, n)
	vault, err := verenc.PointFromInts(verenc.Ed25519, saves[0].EDDSAPub.X(), saves[0].EDDSAPub.Y())
	require.NoError(t, err)
	list := verenc.List{Group: verenc.Ed25519, Vault: vault}
	for i, key := range saves[0].Ks {
		id, err := verenc.ShareID(verenc.Ed25519, 1, key.Bytes())
		require.NoError(t, err)
		public, err := verenc.PointFromInts(verenc.Ed25519, saves[0].BigXj[i].X(), saves[0].BigXj[i].Y())
		require.NoError(t, err)
		list.Entries = append(list.Entries, verenc.Entry{ID: id, Point: public})
	}
	slices.SortFunc(list.Entries, func(a, b verenc.Entry) int { return bytes.Compare(a.ID, b.ID) })
	require.NoError(t, list.Check())

	opened := make([]verenc.Share, n)
	for m := range verenc.Threshold(n) {
		id, err := verenc.ShareID(verenc.Ed25519, 1, saves[m].ShareID.Bytes())
		require.NoError(t, err)
		place := slices.IndexFunc(list.Entries, func(e verenc.Entry) bool { return bytes.Equal(e.ID, id) })
		share, err := verenc.ShareFromInt(verenc.Ed25519, saves[m].Xi)
		require.NoError(t, err)
		key := dealer.RecipientKey(fmt.Appendf(nil, "fresh %d", m), 0)
		public := []verenc.PublicShare{{Group: verenc.Ed25519, Point: list.Entries[place].Point}}
		st := verenc.Statement{Label: []byte("fresh"), Recipient: key.Public(), Shares: public}
		proof, err := verenc.Prove(key, st, []verenc.Share{share})
		require.NoError(t, err)
		stored, err := verenc.Verify(st, proof)
		require.NoError(t, err)
		shares, err := stored.Open(key, public)
		require.NoError(t, err)
		opened[place] = shares[0]
	}
	key, err := list.Combine(opened)
	require.NoError(t, err)
	message := []byte("after everything else was lost")
	require.True(t, ed25519.Verify(vault, message, dealer.SignEd25519(key.Bytes(), message)))
}

// plainKeygen runs tss-lib's EdDSA keygen among n parties in this process, with nothing of ours
// around it.
func plainKeygen(t testing.TB, n int) []*edkeygen.LocalPartySaveData {
	t.Helper()
	var unsorted tsslib.UnSortedPartyIDs
	for m := range n {
		h := sha512.Sum512([]byte{byte(m)})
		key := new(big.Int).SetBytes(h[:33]) // as long as go-tss's keys, so reducing it changes the order
		unsorted = append(unsorted, tsslib.NewPartyID(fmt.Sprint(m), fmt.Sprint(m), key))
	}
	ids := tsslib.SortPartyIDs(unsorted)
	ctx := tsslib.NewPeerContext(ids)
	out := make(chan tsslib.Message, n*n)
	end := make(chan *edkeygen.LocalPartySaveData, n)
	errs := make(chan error, n*n)
	parties := make([]tsslib.Party, n)
	for m := range parties {
		params := tsslib.NewParameters(tsslib.Edwards(), ctx, ids[m], n, verenc.Degree(n))
		parties[m] = edkeygen.NewLocalParty(params, out, end)
		go func() {
			if err := parties[m].Start(); err != nil {
				errs <- err
			}
		}()
	}
	deliver := func(p tsslib.Party, msg tsslib.Message) {
		wire, _, err := msg.WireBytes()
		if err == nil {
			_, terr := p.UpdateFromBytes(wire, msg.GetFrom(), msg.IsBroadcast())
			if terr == nil {
				return
			}
			err = terr
		}
		errs <- err
	}
	var saves []*edkeygen.LocalPartySaveData
	for len(saves) < n {
		select {
		case err := <-errs:
			require.NoError(t, err)
		case msg := <-out:
			for i, p := range parties {
				to := msg.GetTo()
				if i != msg.GetFrom().Index && (to == nil || slices.ContainsFunc(to, func(id *tsslib.PartyID) bool { return id.Index == i })) {
					go deliver(p, msg)
				}
			}
		case save := <-end:
			saves = append(saves, save)
		}
	}
	return saves
}
