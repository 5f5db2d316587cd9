package restore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/hostile"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	storePath    = "/store/tssbackup/key"
	envelopePath = "/tssbackup.v1.Query/Envelope"
)

// scene is a network with a vault whose members have all published. It recovers the keyshares of
// the first.
type scene struct {
	network *network.Network
	backups *network.Backups
	me      *network.Validator
	// mnemonic and address are those of the first member.
	mnemonic *sanity.Mnemonic
	address  string
	// trusted is a header that is known from elsewhere, of a time before the vault was there.
	trusted chain.Trust
}

func newScene(t testing.TB, cfg network.Config) *scene {
	n := network.New(t, cfg)
	n.RegisterSigners()
	s := &scene{network: n, backups: n.BackUp(), me: n.Validators[0]}
	s.address = s.me.Signer.Bech32()
	var err error
	s.mnemonic, err = sanity.ParseMnemonic([]byte(s.me.Signer.Mnemonic))
	require.NoError(t, err)
	n.WaitBlocks(3)
	commit, err := n.Validators[1].Client().Commit(t.Context(), &s.backups.Opened)
	require.NoError(t, err)
	s.trusted = chain.Trust{ChainID: n.ChainID, Height: s.backups.Opened, Hash: commit.Hash(), Store: noStore{}}
	return s
}

type noStore struct{}

func (noStore) Load(string) ([]byte, error) { return nil, nil }
func (noStore) Save(string, []byte) error   { return nil }

// verify leads from the trusted header to the latest, by which all that follows is verified.
func (s *scene) verify(ctx context.Context, nodes []*chain.Client, trust chain.Trust) (*chain.State, error) {
	light, err := chain.NewLight(ctx, nodes, "cosmos", trust, time.Now())
	if err != nil {
		return nil, err
	}
	return light.Head(ctx, time.Now())
}

// chainState is both: the records, and where the envelopes come from.
type chainState interface {
	restore.Records
	Envelope(ctx context.Context, v vault.Vault, member []byte, c types.Commitment) ([]byte, error)
	Group(ctx context.Context, v vault.Vault) ([]byte, error)
}

// restore writes the first member's keyshares to a folder.
func (s *scene) restore(ctx context.Context, from chainState, dir string) error {
	store, err := keystore.OpenFolder(dir)
	if err != nil {
		return err
	}
	results, err := restore.Run(ctx, restore.Config{
		Records: from, Source: from.Envelope, Group: from.Group,
		Store: keystore.Flat{Folder: store}, Mnemonic: s.mnemonic, Member: s.address,
	})
	if err != nil {
		return err
	}
	return results[0].Err
}

// recover restores the first member's keyshares by these nodes, and returns what is on the disk and
// what was reported of which node.
func (s *scene) recover(t *testing.T, urls ...string) (files map[string][]byte, reports map[string]string, err error) {
	nodes := clients(t, 2*time.Second, urls...)
	reports = map[string]string{}
	trust := s.trusted
	trust.Report = func(node string, err error) { reports[node] += err.Error() + "\n" }
	dir := filepath.Join(t.TempDir(), "keyshares")
	state, err := s.verify(t.Context(), nodes, trust)
	if err == nil {
		err = s.restore(t.Context(), state, dir)
	}
	return held(t, dir), reports, err
}

func clients(t testing.TB, timeout time.Duration, urls ...string) []*chain.Client {
	var nodes []*chain.Client
	for _, url := range urls {
		c, err := chain.New(url, timeout)
		require.NoError(t, err)
		nodes = append(nodes, c)
	}
	return nodes
}

// held are the files in a folder, if there is one.
func held(t testing.TB, dir string) map[string][]byte {
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = data
	}
	return files
}

func byName(files []fixture.File) map[string][]byte {
	m := map[string][]byte{}
	for _, f := range files {
		m[f.Name] = f.Data
	}
	return m
}

// envelopeLie gives these bytes for the envelope, and blocks without one.
func envelopeLie(envelope []byte) hostile.Lie {
	return hostile.Lie{Answer: hostile.Both(
		hostile.ChangeQuery(envelopePath, func(_ hostile.Call, res *abci.ResponseQuery) {
			var answer types.QueryEnvelopeResponse
			_ = proto.Unmarshal(res.Value, &answer)
			answer.Envelope = envelope
			res.Value, _ = proto.Marshal(&answer)
		}),
		hostile.Change("block", func(_ hostile.Call, res *ctypes.ResultBlock) {
			res.Block.Txs = nil
			if len(envelope) > 0 {
				res.Block.Txs = append(res.Block.Txs, envelope)
			}
		}),
	)}
}

// keyOf is the store's key that a call asks for.
func keyOf(c hostile.Call) []byte {
	var text string
	_ = json.Unmarshal(c.Params["data"], &text)
	key, _ := hex.DecodeString(text)
	return key
}

func setParam(c *hostile.Call, name string, value any) {
	c.Params[name], _ = json.Marshal(value)
}

// askInstead has the honest node asked for another key.
func askInstead(key, other []byte) func(*hostile.Call) {
	return func(c *hostile.Call) {
		if c.Path() == storePath && bytes.Equal(keyOf(*c), key) {
			setParam(c, "data", hex.EncodeToString(other))
		}
	}
}

// TestHostileNode has a node lie in one way after the other. Each time recovery works by the next,
// honest node, the liar is named, and what is written is the truth; with liars alone nothing is
// written.
func TestHostileNode(t *testing.T) {
	s := newScene(t, splitConfig(false))
	var liars []*hostile.Proxy
	for range 2 {
		liars = append(liars, hostile.New(t, s.me.RPC()))
	}
	honest := s.network.Validators[1].RPC()
	want := byName(s.backups.Vault.Files[0])
	vault, sealed, early := s.backups.Vault.Keys.Secp256k1, s.backups.Envelopes, s.backups.Opened
	me, other := s.me.Signer.Address(), s.network.Validators[1].Signer.Address()
	live, err := s.network.Query().Vault(t.Context(), &types.QueryVaultRequest{Vault: s.backups.Vault.Name()})
	require.NoError(t, err)
	epoch := live.Vault.Epoch
	older := network.SealFiles(t, s.me.Signer, s.backups.Vault.Files[0]...)
	forgers := fakenode.NewValidators("forgers", 4)
	flipped := bytes.Clone(sealed[0])
	flipped[len(flipped)/2] ^= 1

	for name, tc := range map[string]struct {
		lie hostile.Lie
		// says is in what is reported of the liar; nothing has to be when the lie makes no
		// difference beside an honest node.
		says string
	}{
		"another member's envelope":          {envelopeLie(sealed[1]), "envelope is not in its block"},
		"an older envelope of the same keys": {envelopeLie(older), "envelope is not in its block"},
		"a truncated envelope":               {envelopeLie(sealed[0][:len(sealed[0])-1]), "envelope is not in its block"},
		"an envelope with a flipped bit":     {envelopeLie(flipped), "envelope is not in its block"},
		"no envelope":                        {envelopeLie(nil), "envelope is not in its block"},
		"a forged record": {hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(c hostile.Call, res *abci.ResponseQuery) {
			if bytes.Equal(keyOf(c), types.VaultKey(vault)) {
				res.Value[len(res.Value)-1] ^= 1
			}
		})}, "answer is not verified"},
		"a forged commitment": {hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(c hostile.Call, res *abci.ResponseQuery) {
			if bytes.Equal(keyOf(c), types.BackupKey(epoch, me)) {
				res.Value, _ = proto.Marshal(&types.Backup{First: types.Commitment{Sha256: make([]byte, 32), Size_: 5000, Height: 5}})
			}
		})}, "answer is not verified"},
		"another member's commitment, with its valid Merkle proof": {
			hostile.Lie{Ask: askInstead(types.BackupKey(epoch, me), types.BackupKey(epoch, other))}, "answer is not verified",
		},
		"a false absence of the backup": {hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(c hostile.Call, res *abci.ResponseQuery) {
			if bytes.Equal(keyOf(c), types.BackupKey(epoch, me)) {
				res.Value = nil
			}
		})}, "answer is not verified"},
		"a false absence, with the valid Merkle proof of another one": {
			hostile.Lie{Ask: askInstead(types.BackupKey(epoch, me), types.BackupKey(epoch, make([]byte, 20)))}, "answer is not verified",
		},
		"a hidden vault": {hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(c hostile.Call, res *abci.ResponseQuery) {
			if bytes.Equal(keyOf(c), types.LiveVaultsKey()) {
				res.Value, _ = proto.Marshal(&types.LiveVaults{ChurnId: 1})
			}
		})}, "answer is not verified"},
		"a hidden vault, with the valid Merkle proof of an earlier time": {hostile.Lie{Ask: func(c *hostile.Call) {
			if c.Path() == storePath {
				setParam(c, "height", fmt.Sprint(early))
			}
		}}, "answer is not verified"},
		"an empty answer without a Merkle proof": {hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(_ hostile.Call, res *abci.ResponseQuery) {
			res.Value, res.ProofOps = nil, nil
		})}, "carries no Merkle proof"},
		"a forged header": {hostile.Lie{Answer: hostile.Change("commit", func(_ hostile.Call, res *ctypes.ResultCommit) {
			if res.Height > early {
				res.AppHash = bytes.Repeat([]byte{1}, 32)
			}
		})}, "headers are of no use"},
		"a forged header that forgers have signed": {hostile.Lie{Answer: hostile.Both(
			hostile.Change("commit", func(_ hostile.Call, res *ctypes.ResultCommit) {
				if res.Height > early {
					res.AppHash = bytes.Repeat([]byte{1}, 32)
					res.ValidatorsHash = fakenode.ValidatorSet(forgers).Hash()
					res.SignedHeader = *fakenode.Sign(res.Header, forgers)
				}
			}),
			hostile.Change("validators", func(_ hostile.Call, res *ctypes.ResultValidators) {
				if res.BlockHeight > early {
					res.Validators = fakenode.ValidatorSet(forgers).Validators
				}
			}),
		)}, "headers are of no use"},
		"an old header": {hostile.Lie{Ask: func(c *hostile.Call) {
			if c.Method == "commit" {
				setParam(c, "height", fmt.Sprint(early-1))
			}
		}}, "got header"},
		"a height that there is not": {hostile.Lie{Answer: hostile.Change("status", func(_ hostile.Call, res *ctypes.ResultStatus) {
			res.SyncInfo.LatestBlockHeight = 1_000_000_000
		})}, ""},
		"another chain": {hostile.Lie{Answer: hostile.Change("status", func(_ hostile.Call, res *ctypes.ResultStatus) {
			res.NodeInfo.Network = "another"
		})}, "it is of chain"},
		"silence": {hostile.Lie{Serve: func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		}}, "node unreachable"},
		"silence after the headers": {hostile.Lie{Serve: func(_ http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if !bytes.Contains(body, []byte("abci_query")) {
				return false
			}
			<-r.Context().Done()
			return true
		}}, "node unreachable"},
		"100 MB": {hostile.Lie{Serve: func(w http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if !bytes.Contains(body, []byte("abci_query")) {
				return false
			}
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 100<<20))
			return true
		}}, "node unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, liar := range liars {
				liar.Tell(tc.lie)
			}
			files, reports, err := s.recover(t, liars[0].URL, honest)
			require.NoError(t, err)
			require.Equal(t, want, files)
			if tc.says != "" {
				require.Contains(t, reports[liars[0].URL], tc.says)
				require.Empty(t, reports[honest])
			}

			files, reports, err = s.recover(t, liars[0].URL, liars[1].URL)
			require.Error(t, err)
			require.Empty(t, files)
			require.NotErrorIs(t, err, restore.ErrNoBackup)
			require.NotErrorIs(t, err, restore.ErrNoVault)
			require.True(t, strings.Contains(err.Error(), liars[0].URL) || reports[liars[0].URL] != "", err)
		})
	}
}

// TestHostileNodeAndAGroupPart has a node lie about the group part of a split vault.
func TestHostileNodeAndAGroupPart(t *testing.T) {
	s := newScene(t, splitConfig(true))
	liar := hostile.New(t, s.me.RPC())
	honest := s.network.Validators[1].RPC()
	want := byName(s.backups.Vault.Files[0])
	live, err := s.network.Query().Vault(t.Context(), &types.QueryVaultRequest{Vault: s.backups.Vault.Name()})
	require.NoError(t, err)
	require.True(t, live.Vault.Split)
	hash, err := hex.DecodeString(live.Vault.SharesHash)
	require.NoError(t, err)
	points, parameters := types.GroupKey(live.Vault.Epoch, hash), types.GroupParametersKey(live.Vault.Epoch, hash)
	answer := func(key []byte, change func(value []byte) []byte) hostile.Lie {
		return hostile.Lie{Answer: hostile.ChangeQuery(storePath, func(c hostile.Call, res *abci.ResponseQuery) {
			if bytes.Equal(keyOf(c), key) {
				res.Value = change(res.Value)
			}
		})}
	}
	flip := func(value []byte) []byte { value[len(value)/2] ^= 1; return value }
	for name, lie := range map[string]hostile.Lie{
		"other points":                        answer(points, flip),
		"other parameters":                    answer(parameters, flip),
		"no points":                           answer(points, func([]byte) []byte { return nil }),
		"no parameters":                       answer(parameters, func([]byte) []byte { return nil }),
		"the points in the parameters' place": {Ask: askInstead(parameters, points)},
		"the absence of another one":          {Ask: askInstead(points, types.GroupKey(live.Vault.Epoch, make([]byte, 32)))},
	} {
		t.Run(name, func(t *testing.T) {
			liar.Tell(lie)
			files, reports, err := s.recover(t, liar.URL, honest)
			require.NoError(t, err)
			require.Equal(t, want, files)
			require.Contains(t, reports[liar.URL], "answer is not verified")
			require.Empty(t, reports[honest])

			files, _, err = s.recover(t, liar.URL, liar.URL)
			require.Error(t, err)
			require.Empty(t, files)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
