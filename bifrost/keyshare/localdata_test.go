package keyshare_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// localDataOf is what tss-lib saved, in a file.
func localDataOf(t testing.TB, data []byte) []byte {
	var file struct {
		Data []byte `json:"local_data"`
	}
	require.NoError(t, json.Unmarshal(data, &file))
	return file.Data
}

// localData is what tss-lib saved, of both curves.
func localData(t testing.TB) [2][]byte {
	var all [2][]byte
	for i, f := range fixture.Keyshares(t, 4, 0) {
		all[i] = localDataOf(t, f.Data)
	}
	return all
}

// nodes are parties that are numbered by the names of their nodes, which are longer than the order
// of the curve.
func nodes(n int) (ids []*big.Int) {
	for i := range n {
		ids = append(ids, new(big.Int).SetBytes(fmt.Appendf(nil, "0b6c7e1a-93a5-4d1e-8f0c-5a2d1b3c4d%02d:1", i)))
	}
	return ids
}

// deal shares a key on ed25519 with a polynomial of this degree, and gives the first party's.
func deal(t testing.TB, n, degree int) *edData {
	coefficients := make([]*big.Int, degree+1)
	for i := range coefficients {
		coefficients[i] = big.NewInt(int64(7919 + 13*i))
	}
	ids := nodes(n)
	d := &edData{Xi: edValue(coefficients, ids[0]), ShareID: ids[0], Ks: ids}
	for _, id := range ids {
		d.BigXj = append(d.BigXj, edBase(edValue(coefficients, id)))
	}
	d.EDDSAPub = edBase(coefficients[0])
	return d
}

func TestLocalDataOfAnotherSystemIsChecked(t *testing.T) {
	for i, curve := range []keyshare.Curve{keyshare.Secp256k1, keyshare.Ed25519} {
		raw := localData(t)[i]
		before := bytes.Clone(raw)
		data, err := keyshare.CheckLocalData(curve, raw)
		require.NoError(t, err)
		require.Equal(t, before, raw, "the caller's bytes stay")
		k, err := keyshare.Parse(fixture.Keyshares(t, 4, 0)[i].Data)
		require.NoError(t, err)
		require.Equal(t, keyshare.LocalData{Curve: curve, PubKey: k.VaultKey(), Members: 4, Threshold: 3}, data)
		_, err = keyshare.CheckLocalData(3-curve, raw)
		require.Error(t, err, "it is of the other curve")
	}
	for n := 2; n <= 6; n++ {
		for degree := 1; degree < n; degree++ {
			raw, err := json.Marshal(deal(t, n, degree))
			require.NoError(t, err)
			data, err := keyshare.CheckLocalData(keyshare.Ed25519, raw)
			require.NoError(t, err)
			require.Equal(t, degree+1, data.Threshold)
			require.Equal(t, n, data.Members)
		}
	}
}

func TestLocalDataThatDoesNotFitIsRefused(t *testing.T) {
	for name, row := range map[string]struct {
		change func(d *edData)
		says   string
	}{
		"another secret":            {func(d *edData) { d.Xi.Add(d.Xi, big.NewInt(1)) }, "does not give BigXj"},
		"no secret":                 {func(d *edData) { d.Xi = nil }, "not a scalar"},
		"a number of no party":      {func(d *edData) { d.ShareID = big.NewInt(5) }, "not among Ks"},
		"no number":                 {func(d *edData) { d.ShareID = nil }, "missing or out of range"},
		"a negative number":         {func(d *edData) { d.Ks[1] = big.NewInt(-1) }, "out of range"},
		"a number without bounds":   {func(d *edData) { d.Ks[1] = new(big.Int).Lsh(d.Ks[1], 2000) }, "out of range"},
		"no key":                    {func(d *edData) { d.EDDSAPub = nil }, "not a point"},
		"another member's entry":    {func(d *edData) { d.BigXj[3] = d.BigXj[2] }, "do not give the public key"},
		"an entry that is missing":  {func(d *edData) { d.BigXj = d.BigXj[:3] }, "3 in BigXj"},
		"nobody":                    {func(d *edData) { d.Ks, d.BigXj = nil, nil }, "participants"},
		"two parties of one number": {func(d *edData) { d.Ks[2] = d.Ks[1] }, "not usable"},
		"another key":               {func(d *edData) { d.EDDSAPub = d.BigXj[1] }, "do not give the public key"},
	} {
		t.Run(name, func(t *testing.T) {
			d := deal(t, 4, 2)
			row.change(d)
			raw, err := json.Marshal(d)
			require.NoError(t, err)
			_, err = keyshare.CheckLocalData(keyshare.Ed25519, raw)
			require.ErrorContains(t, err, row.says)
		})
	}
	raw, err := json.Marshal(deal(t, 3, 0))
	require.NoError(t, err)
	_, err = keyshare.CheckLocalData(keyshare.Ed25519, raw)
	require.ErrorContains(t, err, "signs alone")
}

func FuzzCheckLocalData(f *testing.F) {
	for i, raw := range localData(f) {
		f.Add(i == 0, raw)
	}
	raw, err := json.Marshal(deal(f, 3, 1))
	require.NoError(f, err)
	f.Add(false, raw)
	f.Add(false, []byte(`{}`))
	f.Fuzz(func(t *testing.T, ecdsa bool, raw []byte) {
		curve := keyshare.Ed25519
		if ecdsa {
			curve = keyshare.Secp256k1
		}
		if data, err := keyshare.CheckLocalData(curve, raw); err == nil {
			require.GreaterOrEqual(t, data.Threshold, 2)
			require.LessOrEqual(t, data.Threshold, data.Members)
		}
	})
}
