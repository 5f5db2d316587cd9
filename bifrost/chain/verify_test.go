package chain

import (
	"bytes"
	"testing"

	cmtcrypto "github.com/cometbft/cometbft/proto/tendermint/crypto"
	rpcclient "github.com/cometbft/cometbft/rpc/client"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// answer is what a node says about a key, with the root to hold it against.
type answer struct {
	root, key, value []byte
	proof            *cmtcrypto.ProofOps
}

// ask gets a genuine answer.
func ask(t testing.TB, c *Client, path string, key []byte, height int64) answer {
	opts := rpcclient.ABCIQueryOptions{Height: height, Prove: true}
	res, err := c.rpc.ABCIQueryWithOptions(t.Context(), path, key, opts)
	require.NoError(t, err)
	require.True(t, res.Response.IsOK(), res.Response.Log)
	next := height + 1
	commit, err := c.rpc.Commit(t.Context(), &next)
	require.NoError(t, err)
	return answer{commit.AppHash, key, res.Response.Value, res.Response.ProofOps}
}

func TestVerifyRecord(t *testing.T) {
	p := newScene(t, 3)
	c := clients(t, p.url)[0]
	_, err := c.Status(t.Context())
	require.NoError(t, err)
	present := vaultKey(1)
	missing := vaultKey(7)
	last := vaultKey(3)
	before := ask(t, c, storePath(types.StoreKey), types.VaultKey(present), 99)
	p.Lock()
	p.Vaults[0].Threshold = 3
	p.Unlock()
	p.Advance(1)

	there := func() answer { return ask(t, c, storePath(types.StoreKey), types.VaultKey(present), 100) }
	absent := func() answer { return ask(t, c, storePath(types.StoreKey), types.VaultKey(missing), 100) }
	for name, a := range map[string]answer{
		"a record": there(), "no record": absent(), "a record of before": before,
		"no record after the last one": ask(t, c, storePath(types.StoreKey), []byte{255}, 100),
		"the first record":             ask(t, c, storePath(types.StoreKey), types.SignerOwnerKey([]byte{}), 100),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, VerifyRecord(a.root, a.key, a.value, a.proof))
		})
	}

	for name, lie := range map[string]func() answer{
		"nothing at all, as for an unknown height": func() answer {
			a := there()
			return answer{root: a.root, key: a.key}
		},
		"a value without a proof": func() answer {
			a := there()
			a.proof = &cmtcrypto.ProofOps{}
			return a
		},
		"a false absence with the proof of presence": func() answer {
			a := there()
			a.value = nil
			return a
		},
		"a false absence with the proof of another absence": func() answer {
			a := absent()
			a.key = types.VaultKey(present)
			return a
		},
		"a made-up record with the proof of its absence": func() answer {
			a := absent()
			a.value = there().value
			return a
		},
		"a valid proof for another key": func() answer {
			a := ask(t, c, storePath(types.StoreKey), types.VaultKey(last), 100)
			a.key = types.VaultKey(present)
			return a
		},
		"a valid proof of another store": func() answer {
			return ask(t, c, "/store/bank/key", []byte("supply"), 100)
		},
		"an old record, which was true": func() answer {
			a := before
			a.root = there().root
			return a
		},
		"a value that differs in one bit": func() answer {
			a := there()
			a.value = bytes.Clone(a.value)
			a.value[len(a.value)-1] ^= 1
			return a
		},
		"a proof that differs in one bit": func() answer {
			a := there()
			data := a.proof.Ops[0].Data
			data[len(data)-1] ^= 1
			return a
		},
		"a proof that ends at the store": func() answer {
			a := there()
			a.proof.Ops = a.proof.Ops[:1]
			return a
		},
		"a proof with an operation too many": func() answer {
			a := there()
			a.proof.Ops = append(a.proof.Ops, a.proof.Ops[1])
			return a
		},
		"operations in the wrong order": func() answer {
			a := there()
			a.proof.Ops[0], a.proof.Ops[1] = a.proof.Ops[1], a.proof.Ops[0]
			return a
		},
		"an operation by other rules": func() answer {
			a := there()
			a.proof.Ops[0].Type = "ics23:smt"
			return a
		},
		"an operation that consumes no key": func() answer {
			a := there()
			a.proof.Ops[1].Key = nil
			return a
		},
		"another root": func() answer {
			a := there()
			a.root = bytes.Repeat([]byte{1}, 32)
			return a
		},
		"no root": func() answer {
			a := there()
			a.root = nil
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := lie()
			require.ErrorIs(t, VerifyRecord(a.root, a.key, a.value, a.proof), ErrUnverified)
		})
	}
}

// FuzzVerifyRecord looks for panics, and for a changed proof that shows another value: there must
// be none.
func FuzzVerifyRecord(f *testing.F) {
	node, url := fakenode.New(f)
	node.Vaults = []types.VaultInfo{{Vault: vaultName(1)}, {Vault: vaultName(2)}}
	c, err := New(url, 0)
	require.NoError(f, err)
	_, err = c.Status(f.Context())
	require.NoError(f, err)
	there := ask(f, c, storePath(types.StoreKey), types.LiveVaultsKey(), 99)
	absent := ask(f, c, storePath(types.StoreKey), types.ParamsKey(), 99)
	for _, a := range []answer{there, absent} {
		f.Add(a.key, a.value, a.proof.Ops[0].Data, a.proof.Ops[1].Data)
	}
	// A compressed batch whose one entry names nodes that are not there.
	f.Add(there.key, there.value, []byte{0x22, 0x06, 0x0a, 0x04, 0x0a, 0x02, 0x22, 0x00}, []byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, key, value, store, app []byte) {
		proof := &cmtcrypto.ProofOps{Ops: []cmtcrypto.ProofOp{
			{Type: "ics23:iavl", Key: key, Data: store}, {Type: "ics23:simple", Key: []byte(types.StoreKey), Data: app},
		}}
		if VerifyRecord(there.root, key, value, proof) != nil {
			return
		}
		switch {
		case bytes.Equal(key, there.key):
			require.Equal(t, there.value, value)
		case len(value) == 0:
		default:
			require.Contains(t, []string{string(types.VaultKey(vaultKey(1))), string(types.VaultKey(vaultKey(2)))}, string(key))
		}
	})
}
