package verenc

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectorFile is the format of testdata/*-vectors.json: bytes in hex, every case with its verdict
// and why.
type vectorFile struct {
	Proofs []proofVector `json:"proofs"`
	Lists  []listVector  `json:"lists"`
}

type proofVector struct {
	Mnemonic   string         `json:"mnemonic"`
	Index      uint32         `json:"index"`
	Label      hexBytes       `json:"label"`
	Recipient  hexBytes       `json:"recipient"`
	Secrets    []secretVector `json:"secrets"`
	Proof      hexBytes       `json:"proof"`
	ChainID    string         `json:"chain_id,omitempty"`
	Address    hexBytes       `json:"address,omitempty"`
	Possession hexBytes       `json:"possession,omitempty"`
	Salt       hexBytes       `json:"salt,omitempty"`
	RootSeed   hexBytes       `json:"root_seed,omitempty"`
	Why        string         `json:"why"`
	Expect     string         `json:"expect"`
}

type secretVector struct {
	Group  Group    `json:"group"`
	Share  hexBytes `json:"share"`
	Public hexBytes `json:"public"`
}

type listVector struct {
	Group   Group         `json:"group"`
	N       int           `json:"n"`
	T       int           `json:"t"`
	Vault   hexBytes      `json:"vault"`
	Entries []entryVector `json:"entries"`
	Why     string        `json:"why"`
	Expect  string        `json:"expect"`
}

type entryVector struct {
	ID     hexBytes `json:"id"`
	Public hexBytes `json:"public"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB, name string) vectorFile {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	var v vectorFile
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

func (v proofVector) statement() Statement {
	st := Statement{Label: v.Label, Recipient: v.Recipient}
	for _, s := range v.Secrets {
		st.Shares = append(st.Shares, PublicShare{Group: s.Group, Point: s.Public})
	}
	return st
}

func (v proofVector) shares(t testing.TB) []Share {
	t.Helper()
	var shares []Share
	for _, s := range v.Secrets {
		share, err := NewShare(s.Group, s.Share)
		require.NoError(t, err)
		shares = append(shares, share)
	}
	return shares
}

func (v listVector) list() List {
	l := List{Group: v.Group, Vault: v.Vault}
	for _, e := range v.Entries {
		l.Entries = append(l.Entries, Entry{ID: e.ID, Point: e.Public})
	}
	return l
}

// bip39Seeds spares every test but the first the slow derivation of a seed.
var bip39Seeds sync.Map

func bip39Seed(t testing.TB, mnemonic string) []byte {
	t.Helper()
	if s, ok := bip39Seeds.Load(mnemonic); ok {
		return s.([]byte)
	}
	s, err := pbkdf2.Key(sha512.New, mnemonic, []byte("mnemonic"), 2048, 64)
	require.NoError(t, err)
	bip39Seeds.Store(mnemonic, s)
	return s
}

func recipientOf(t testing.TB, mnemonic string, index uint32) *RecipientKey {
	t.Helper()
	k, err := NewRecipientKey(bip39Seed(t, mnemonic), index)
	require.NoError(t, err)
	return k
}

var vectorNames = []string{"verenc-vectors.json", "vectors.json"}

func TestVectorsOfProofs(t *testing.T) {
	for _, name := range vectorNames {
		for i, v := range readVectors(t, name).Proofs {
			t.Run(name+"/"+strconv.Itoa(i)+" "+v.Why, func(t *testing.T) {
				t.Parallel()
				checkProofVector(t, v)
			})
		}
	}
}

func checkProofVector(t *testing.T, v proofVector) {
	key := recipientOf(t, v.Mnemonic, v.Index)
	st := v.statement()
	if v.Possession != nil {
		require.NoError(t, VerifyPossession(v.Recipient, v.ChainID, v.Address, v.Possession))
		require.Error(t, VerifyPossession(v.Recipient, v.ChainID+"x", v.Address, v.Possession))
	}
	stored, err := verifyBoth(t, suite1, st, v.Proof)
	if v.Expect != "ok" {
		require.Equal(t, "reject", v.Expect)
		require.Error(t, err)
		require.Nil(t, stored)
		return
	}
	require.NoError(t, err)
	require.Equal(t, key.Public(), []byte(v.Recipient))

	form := stored.Bytes()
	require.Len(t, form, StoredSize(len(v.Secrets)))
	parsed, err := ParseStored(form)
	require.NoError(t, err)
	require.Equal(t, form, parsed.Bytes())
	opened, err := parsed.Open(key, st.Shares)
	require.NoError(t, err)
	for j, s := range opened {
		require.Equal(t, []byte(v.Secrets[j].Share), s.Bytes())
	}

	if v.Salt != nil {
		proof, err := suite1.prove(key, st, v.shares(t), (*[32]byte)(v.Salt), (*seed)(v.RootSeed))
		require.NoError(t, err)
		require.Equal(t, []byte(v.Proof), proof)
	}
}

func TestVectorsOfLists(t *testing.T) {
	for _, name := range vectorNames {
		for i, v := range readVectors(t, name).Lists {
			t.Run(name+"/"+strconv.Itoa(i)+" "+v.Why, func(t *testing.T) {
				err := v.list().Check()
				if len(v.Entries) == v.N && Degree(v.N) != v.T {
					t.Fatalf("a degree of %d for %d members", v.T, v.N)
				}
				if v.Expect == "ok" {
					require.NoError(t, err)
				} else {
					require.Equal(t, "reject", v.Expect)
					require.Error(t, err)
				}
			})
		}
	}
}
