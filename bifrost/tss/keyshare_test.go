package tss

import (
	"encoding/json"
	"testing"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// savedData is what tss-lib's own decoder makes of local_data.
func savedData(curve keyshare.Curve, raw []byte) (any, error) {
	var data any = new(eckeygen.LocalPartySaveData)
	if curve == keyshare.Ed25519 {
		data = new(edkeygen.LocalPartySaveData)
	}
	return data, json.Unmarshal(raw, data)
}

// ofKeyshare is a keyshare as tss-lib has it.
func ofKeyshare(t testing.TB, k *keyshare.Keyshare) (data any) {
	t.Helper()
	var err error
	if k.Curve() == keyshare.Ed25519 {
		data, err = eddsaData(k)
	} else {
		data, err = ecdsaData(k)
	}
	require.NoError(t, err)
	return data
}

func localDataOf(t testing.TB, file []byte) []byte {
	t.Helper()
	var fields struct {
		Data []byte `json:"local_data"`
	}
	require.NoError(t, json.Unmarshal(file, &fields))
	return fields.Data
}

// What is read from a file of a real keygen, and given to tss-lib, is every byte of what tss-lib
// wrote; and what tss-lib read itself becomes the same file.
func TestKeysharesAreThoseOfTSSLib(t *testing.T) {
	for _, size := range fixture.Sizes {
		for member := range fixture.Members(t, size) {
			for _, f := range fixture.Keyshares(t, size, member) {
				k, err := keyshare.Parse(f.Data)
				require.NoError(t, err)
				raw := localDataOf(t, f.Data)
				again, err := json.Marshal(ofKeyshare(t, k))
				require.NoError(t, err)
				require.Equal(t, string(raw), string(again), f.Name)

				data, err := savedData(k.Curve(), raw)
				require.NoError(t, err)
				require.Equal(t, data, ofKeyshare(t, k))
				made, err := newKeyshare("cosmos", k.Curve(), data, k.LocalParty(), k.Participants())
				require.NoError(t, err)
				file, err := made.Encode()
				require.NoError(t, err)
				require.Equal(t, string(f.Data), string(file), f.Name)
			}
		}
	}
}

// FuzzKeyshare compares how keyshare and tss-lib read local_data. What both read has the same
// numbers, keyshare reads it if and only if it reads what tss-lib writes of it, and tss-lib takes
// all that keyshare reads.
func FuzzKeyshare(f *testing.F) {
	type file struct {
		PubKey          string   `json:"pub_key"`
		LocalData       []byte   `json:"local_data"`
		ParticipantKeys []string `json:"participant_keys"`
		LocalPartyKey   string   `json:"local_party_key"`
	}
	var outer [2]file
	for i, fixed := range fixture.Keyshares(f, 4, 0) {
		require.NoError(f, json.Unmarshal(fixed.Data, &outer[i]))
		raw := outer[i].LocalData
		f.Add(i == 1, raw)
		f.Add(i == 1, append([]byte(`{"xi":1,"BIGXJ":[{"Coords":[1]},null],"Ks":[5],"x":0,`), raw[1:]...))
		f.Add(i == 1, append(raw[:len(raw)-1:len(raw)-1], `,"BigXj":[{"curve":"ed25519","coords":[0,1,2]}]}`...))
		f.Add(i == 1, append(raw[:len(raw)-1:len(raw)-1], `,"PaillierSK":{"N":null},"BigXj":null}`...))
	}
	f.Fuzz(func(t *testing.T, ed bool, raw []byte) {
		curve, parse := keyshare.Secp256k1, func(raw []byte) (*keyshare.Keyshare, error) {
			fields := outer[0]
			if ed {
				fields = outer[1]
			}
			fields.LocalData = raw
			data, err := json.Marshal(fields)
			require.NoError(t, err)
			return keyshare.Parse(data)
		}
		if ed {
			curve = keyshare.Ed25519
		}
		k, err := parse(raw)
		if err == nil {
			again, err := json.Marshal(ofKeyshare(t, k))
			require.NoError(t, err)
			data, err := savedData(curve, again)
			require.NoError(t, err)
			require.Equal(t, data, ofKeyshare(t, k))
		}
		data, errLib := savedData(curve, raw)
		if errLib != nil {
			return
		}
		written, errWrite := json.Marshal(data)
		if errWrite != nil {
			require.Error(t, err, "tss-lib has no words for a point that it lacks")
			return
		}
		_, errAgain := parse(written)
		require.Equal(t, errAgain == nil, err == nil, "%v, %v", err, errAgain)
		if err == nil {
			require.Equal(t, data, ofKeyshare(t, k))
		}
	})
}
