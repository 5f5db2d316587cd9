package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fakevault"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// world is a signer with two vaults, its own node and another one of the same chain.
// Each test changes what it needs; what is on the chain, at both nodes.
type world struct {
	identity
	home       string
	own, other *fakenode.Node
	ownURL     string
	otherURL   string
	vaults     []*fakevault.Vault
	now        time.Time
	log        bytes.Buffer
	cfg        home.Config

	restored, failed, untrusted int
}

var (
	dealtOnce sync.Once
	dealt     []*fakevault.Vault
	dealtKeys [][]byte
)

func testMnemonic(t *testing.T, i byte) *sanity.Mnemonic {
	entropy := sha256.Sum256([]byte{'s', 'e', 'r', 'v', 'i', 'c', 'e', i})
	words, err := bip39.NewMnemonic(entropy[:])
	require.NoError(t, err)
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	return m
}

func newWorld(t *testing.T) *world {
	w := &world{home: filepath.Join(t.TempDir(), "home"), now: time.Now(), cfg: testConfig()}
	require.NoError(t, os.Mkdir(w.home, 0o700))
	var members []types.MemberInfo
	var keys [][]byte
	for i := range 3 {
		m := testMnemonic(t, byte(i))
		key, err := signer.Derive(m, signer.DefaultHDPath)
		require.NoError(t, err)
		keys = append(keys, key.PubKey())
		members = append(members, types.MemberInfo{Address: key.Bech32("cosmos"), PubKey: hex.EncodeToString(key.PubKey()), Asked: true})
		if i == 0 {
			w.identity = identity{address: key.Bech32("cosmos"), pubKey: key.PubKey(), prefix: "cosmos", mnemonic: m}
		}
	}
	dealtOnce.Do(func() {
		dealtKeys = keys
		dealt = []*fakevault.Vault{fakevault.New(t, "cosmos", dealtKeys), fakevault.New(t, "cosmos", dealtKeys)}
	})
	w.vaults = dealt
	w.own, w.ownURL = fakenode.New(t)
	w.other, w.otherURL = fakenode.New(t)
	w.other.Start = w.own.Start
	for i, status := range []types.VaultStatus{types.VaultStatus_VAULT_STATUS_ACTIVE, types.VaultStatus_VAULT_STATUS_RETIRING} {
		info := types.VaultInfo{
			Vault: w.vaults[i].Name(), PubKeyEd25519: hex.EncodeToString(w.vaults[i].Keys.Ed25519), Status: status, Threshold: 2, Members: members,
		}
		w.own.Vaults, w.other.Vaults = append(w.own.Vaults, info), append(w.other.Vaults, info)
	}
	return w
}

func (w *world) seal(t *testing.T, member byte, files []fixture.File) []byte {
	var in []envelope.File
	for _, f := range files {
		in = append(in, envelope.File{Name: f.Name, Data: f.Data})
	}
	sealed, err := envelope.Seal(in, testMnemonic(t, member), envelope.WithWorkFactor(10))
	require.NoError(t, err)
	return sealed
}

func (w *world) unpublish() { w.both(func(n *fakenode.Node) { clear(n.Backups) }) }

// publish makes both nodes hold the backups of both vaults.
func (w *world) publish(t *testing.T) {
	for i, v := range w.vaults {
		w.publishOne(int64(i+1), v, w.seal(t, 0, v.Files[0]))
	}
}

func (w *world) publishOne(height int64, v *fakevault.Vault, sealed []byte) {
	w.own.Publish(v.Name(), w.address, height, sealed)
	w.other.Publish(v.Name(), w.address, height, sealed)
}

// both changes what is on the chain.
func (w *world) both(change func(n *fakenode.Node)) {
	for _, n := range []*fakenode.Node{w.own, w.other} {
		n.Lock()
		change(n)
		n.Unlock()
	}
}

// oneVault leaves the first vault alone on the chain.
func (w *world) oneVault() { w.both(func(n *fakenode.Node) { n.Vaults = n.Vaults[:1] }) }

func (w *world) store() *keystore.Store { return keystore.NewStore(home.KeysharesDir(w.home)) }

// save puts the files of a vault on the disk.
func (w *world) save(t *testing.T, vaults ...*fakevault.Vault) {
	for _, v := range vaults {
		files := map[string][]byte{}
		for _, f := range v.Files[0] {
			files[f.Name] = f.Data
		}
		require.NoError(t, w.store().Save(files))
	}
}

// holds requires that exactly the files of these vaults are on the disk.
func (w *world) holds(t *testing.T, vaults ...*fakevault.Vault) {
	t.Helper()
	names, err := w.store().List()
	require.NoError(t, err)
	require.Len(t, names, 2*len(vaults))
	for _, v := range vaults {
		for _, f := range v.Files[0] {
			data, err := w.store().Load(f.Name)
			require.NoError(t, err)
			require.Equal(t, f.Data, data)
		}
	}
}

func client(t *testing.T, url string) *chain.Client {
	c, err := chain.New(url, 0)
	require.NoError(t, err)
	return c
}

// prover proves by the own node and these witnesses.
func (w *world) prover(t *testing.T, witnesses ...string) *prover {
	clients, err := newWitnesses(w.ownURL, witnesses)
	require.NoError(t, err)
	p, err := newProver(w.home, w.cfg, w.address, client(t, w.ownURL), clients, chain.TrustDir(home.TrustDir(w.home)), zerolog.New(&w.log))
	require.NoError(t, err)
	p.now = func() time.Time { return w.now }
	p.failed = func() { w.untrusted++ }
	return p
}

func (w *world) repairer(t *testing.T) *repairer {
	return &repairer{
		identity: w.identity, look: w.prover(t, w.otherURL).look, store: w.store(),
		scrypt: new(sync.Mutex), log: zerolog.New(&w.log), now: func() time.Time { return w.now },
		restored: func() { w.restored++ }, failed: func() { w.failed++ },
		checked: map[string]bool{}, retryAt: map[string]time.Time{}, problems: map[string]string{},
	}
}

func (w *world) drill(t *testing.T, witnesses ...string) *drill {
	clients, err := newWitnesses(w.ownURL, witnesses)
	require.NoError(t, err)
	d := newDrill(w.identity, w.prover(t, witnesses...).look, client(t, w.ownURL), clients, w.store())
	d.scrypt, d.wait, d.patience = new(sync.Mutex), time.Millisecond, 20*time.Millisecond
	return d
}

func TestLostKeysharesComeBack(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world)
	}{
		{"of all live vaults", func(*testing.T, *world) {}},
		{"of the one that is not here", func(t *testing.T, w *world) { w.save(t, w.vaults[1]) }},
		{"when one of a vault's two files is not here", func(t *testing.T, w *world) {
			w.save(t, w.vaults...)
			require.NoError(t, os.Remove(filepath.Join(home.KeysharesDir(w.home), w.vaults[0].Files[0][0].Name)))
		}},
		{"from another node when the own one has not kept the envelope", func(_ *testing.T, w *world) { clear(w.own.Blocks) }},
		{"from the publication before when the last one is bad", func(t *testing.T, w *world) {
			w.publishOne(7, w.vaults[0], w.seal(t, 1, w.vaults[0].Files[1]))
		}},
		{"whatever a process left that died while it wrote", func(t *testing.T, w *world) {
			require.NoError(t, os.MkdirAll(filepath.Join(home.KeysharesDir(w.home), ".stage-1"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(home.KeysharesDir(w.home), ".stage-1", w.vaults[0].Files[0][0].Name), []byte("{"), 0o600))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			row.change(t, w)
			r := w.repairer(t)
			r.run(t.Context())
			require.Empty(t, r.list())
			w.holds(t, w.vaults...)
			require.Positive(t, w.restored)
			require.Zero(t, w.failed)
			require.Contains(t, w.log.String(), "keyshares are restored")

			// What is here is left alone; what is lost later comes back too.
			w.restored = 0
			r.run(t.Context())
			require.Zero(t, w.restored)
			require.NoError(t, os.RemoveAll(home.KeysharesDir(w.home)))
			r.run(t.Context())
			w.holds(t, w.vaults...)
			require.Equal(t, 2, w.restored)
		})
	}
}

func TestKeysharesThatCannotComeBackAreSaid(t *testing.T) {
	for _, row := range []struct {
		name    string
		spoil   func(t *testing.T, w *world)
		mend    func(t *testing.T, w *world)
		problem string
	}{
		{
			"nothing is published", func(_ *testing.T, w *world) { w.unpublish() },
			func(t *testing.T, w *world) { w.publish(t) }, "no backup is published",
		},
		{
			"no node holds the envelope", func(_ *testing.T, w *world) { clear(w.own.Blocks); clear(w.other.Blocks) },
			func(t *testing.T, w *world) { w.publish(t) }, "block",
		},
		{
			"the backup holds another member's keyshares",
			func(t *testing.T, w *world) {
				w.unpublish()
				w.publishOne(5, w.vaults[0], w.seal(t, 0, w.vaults[0].Files[1]))
			},
			func(t *testing.T, w *world) { w.publish(t) }, "keyshares do not fit",
		},
		{
			"the backup holds one of two keyshares",
			func(t *testing.T, w *world) {
				w.unpublish()
				w.publishOne(5, w.vaults[0], w.seal(t, 0, w.vaults[0].Files[0][:1]))
			},
			func(t *testing.T, w *world) { w.publish(t) }, "ed25519 keyshare is missing",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			w.oneVault()
			row.spoil(t, w)
			r := w.repairer(t)
			r.run(t.Context())
			w.holds(t)
			require.Len(t, r.list(), 1)
			require.Contains(t, r.list()[0], row.problem)
			require.Equal(t, 1, w.failed)
			require.Equal(t, 1, strings.Count(w.log.String(), "KEYSHARES ARE MISSING"))

			// Not at once again, but after a while, and nothing is in the way then.
			row.mend(t, w)
			r.run(t.Context())
			require.Len(t, r.list(), 1)
			w.now = w.now.Add(repairRetry)
			r.run(t.Context())
			require.Empty(t, r.list())
			w.holds(t, w.vaults[0])
		})
	}
}

func TestDamagedKeyshareIsSaidAndLeftAsItIs(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	w.oneVault()
	name := w.vaults[0].Files[0][1].Name
	require.NoError(t, w.store().Save(map[string][]byte{name: []byte("{}")}))
	r := w.repairer(t)
	r.run(t.Context())
	require.Len(t, r.list(), 1)
	require.Contains(t, r.list()[0], name+" is damaged")
	data, err := w.store().Load(name)
	require.NoError(t, err)
	require.Equal(t, "{}", string(data))

	require.NoError(t, os.Remove(filepath.Join(home.KeysharesDir(w.home), name)))
	w.now = w.now.Add(repairRetry)
	r.run(t.Context())
	require.Empty(t, r.list())
	w.holds(t, w.vaults[0])
}

// lister are records that name vaults which do not live.
type lister struct {
	records
	vaults []types.VaultInfo
}

func (l lister) Vaults(context.Context, string) ([]types.VaultInfo, error) { return l.vaults, nil }

func TestKeysharesOfVaultsThatDoNotLiveStayAway(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	r := w.repairer(t)
	stale := append([]types.VaultInfo(nil), w.own.Vaults...)
	for i, status := range []types.VaultStatus{types.VaultStatus_VAULT_STATUS_RETIRED, types.VaultStatus_VAULT_STATUS_UNSPECIFIED} {
		w.both(func(n *fakenode.Node) { n.Vaults[i].Status = status })
		stale[i].Status = status
	}
	prove := r.look
	r.look = func(ctx context.Context) (records, error) {
		proven, err := prove(ctx)
		return lister{proven, stale}, err
	}
	r.run(t.Context())
	w.holds(t)
	require.Empty(t, r.list())

	// One is retired between the list and the restore.
	stale[0].Status = types.VaultStatus_VAULT_STATUS_RETIRING
	r.run(t.Context())
	w.holds(t)
	require.Contains(t, strings.Join(r.list(), ""), "does not live any more")
	stale[0].Status = types.VaultStatus_VAULT_STATUS_RETIRED
	r.run(t.Context())
	require.Empty(t, r.list())
}

func TestDrill(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world)
		err    string
	}{
		{"the backups come back and are what is on the disk", func(*testing.T, *world) {}, ""},
		{"the own node has not kept the envelopes", func(_ *testing.T, w *world) { clear(w.own.Blocks) }, ""},
		{"the other node has not kept the envelopes", func(_ *testing.T, w *world) { clear(w.other.Blocks) }, "block"},
		{"the other node is behind, and nobody else proves the latest backup", func(t *testing.T, w *world) {
			require.Empty(t, w.drill(t, w.otherURL).run(t.Context()).Error)
			w.own.Advance(5)
			w.own.Publish(w.vaults[0].Name(), w.address, 104, w.seal(t, 0, w.vaults[0].Files[0]))
		}, "what is proven is of block 99 and has yet to reach block 104"},
		{"the own node shows a backup that the chain does not have", func(_ *testing.T, w *world) {
			record := w.own.Backups[w.vaults[0].Name()][w.address]
			w.unpublish()
			w.own.Answers["/tssbackup.v1.Query/Backup"] = func([]byte) abci.ResponseQuery {
				value, _ := proto.Marshal(&record)
				return abci.ResponseQuery{Value: value}
			}
		}, "shows a backup of block 1, and it is proven that the chain has none"},
		{"the latest backup is another member's", func(t *testing.T, w *world) {
			w.publishOne(7, w.vaults[0], w.seal(t, 1, w.vaults[0].Files[1]))
		}, envelope.ErrWrongMnemonic.Error()},
		{"the latest backup is of other keyshares", func(t *testing.T, w *world) {
			w.publishOne(7, w.vaults[0], w.seal(t, 0, w.vaults[1].Files[0]))
		}, "keyshares do not fit"},
		{"a file is not on the disk", func(t *testing.T, w *world) {
			require.NoError(t, os.Remove(filepath.Join(home.KeysharesDir(w.home), w.vaults[1].Files[0][0].Name)))
		}, "is not on the disk"},
		{"a file on the disk differs", func(t *testing.T, w *world) {
			path := filepath.Join(home.KeysharesDir(w.home), w.vaults[1].Files[0][0].Name)
			require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
		}, "is not what the backup holds"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			w.save(t, w.vaults...)
			row.change(t, w)
			result := w.drill(t, w.otherURL).run(t.Context())
			require.False(t, result.OwnNodeOnly)
			if row.err != "" {
				require.Contains(t, result.Error, row.err)
				require.Empty(t, result.Node)
				return
			}
			require.Empty(t, result.Error)
			require.Equal(t, w.otherURL, result.Node)
			require.ElementsMatch(t, []DrillVault{
				{Vault: w.vaults[0].Name(), Height: 1}, {Vault: w.vaults[1].Name(), Height: 2},
			}, result.Vaults)
		})
	}
}

func TestDrillWithTheOwnNodeAloneSaysSo(t *testing.T) {
	w := newWorld(t)
	w.publish(t)
	w.save(t, w.vaults...)
	result := w.drill(t, w.ownURL).run(t.Context())
	require.Empty(t, result.Error)
	require.True(t, result.OwnNodeOnly)
}
