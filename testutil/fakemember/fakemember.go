// Package fakemember is a signer that is a member of two vaults, with its home and two nodes of one
// chain that hold its backups, its own and another one: for tests of what a bifrost does with its
// keyshares, without a network.
package fakemember

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Operator is the validator's, which both the configuration and the chain name.
const Operator = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2"

// Member is the signer. Each test changes what it needs; what is on the chain, at both nodes.
type Member struct {
	// Home is an empty folder.
	Home     string
	Address  string
	PubKey   []byte
	Mnemonic *sanity.Mnemonic
	// Own and Other are the nodes, which answer at OwnURL and OtherURL.
	Own, Other       *fakenode.Node
	OwnURL, OtherURL string
	// Vaults are an active one and a retiring one, of three members each, of whom the first is the
	// signer.
	Vaults []*dealer.Vault
}

// The vaults are dealt once: it takes a while, and their members are always the same.
var (
	dealing sync.Once
	dealt   []*dealer.Vault
)

// Config is the configuration that lacks nothing but what a test is about.
func Config() home.Config {
	c := home.DefaultConfig()
	c.ChainID, c.Operator = "fake-1", Operator
	return c
}

// Mnemonic is that of the member at a position: 0 is the signer's.
func Mnemonic(t testing.TB, i byte) *sanity.Mnemonic {
	entropy := sha256.Sum256([]byte{'s', 'e', 'r', 'v', 'i', 'c', 'e', i})
	words, err := bip39.NewMnemonic(entropy[:])
	require.NoError(t, err)
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	return m
}

// Recipient is the recipient key, in hex, of the mnemonic at a position.
func Recipient(t testing.TB, mnemonic byte, index uint32) string {
	key, err := signer.DeriveRecipient(Mnemonic(t, mnemonic), index)
	require.NoError(t, err)
	return hex.EncodeToString(key.Public())
}

// New makes the signer, with nothing in its home and no backup on the chain.
func New(t testing.TB) *Member {
	m := &Member{Home: filepath.Join(t.TempDir(), "home"), Mnemonic: Mnemonic(t, 0)}
	require.NoError(t, os.Mkdir(m.Home, 0o700))
	var members []types.MemberInfo
	var keys [][]byte
	for i := range 3 {
		key, err := signer.Derive(Mnemonic(t, byte(i)), signer.DefaultHDPath)
		require.NoError(t, err)
		keys = append(keys, key.PubKey())
		members = append(members, types.MemberInfo{
			Address: key.Bech32("cosmos"), PubKey: hex.EncodeToString(key.PubKey()), Asked: true,
		})
	}
	m.Address, m.PubKey = members[0].Address, keys[0]
	dealing.Do(func() {
		dealt = []*dealer.Vault{
			dealer.NewVault("active", "cosmos", keys),
			dealer.NewVault("retiring", "cosmos", keys),
		}
	})
	m.Vaults = dealt
	m.Own, m.OwnURL = fakenode.New(t)
	m.Other, m.OtherURL = fakenode.New(t)
	m.Other.Start = m.Own.Start
	for i, status := range []types.VaultStatus{
		types.VaultStatus_VAULT_STATUS_ACTIVE, types.VaultStatus_VAULT_STATUS_RETIRING,
	} {
		info := types.VaultInfo{
			Vault: m.Vaults[i].Name(), PubKeyEd25519: hex.EncodeToString(m.Vaults[i].Keys.Ed25519),
			Status: status, Epoch: uint64(i + 1), Threshold: 2, Members: members,
		}
		m.Own.Vaults, m.Other.Vaults = append(m.Own.Vaults, info), append(m.Other.Vaults, info)
	}
	return m
}

// Seal seals files as the member at a position does.
func Seal(t testing.TB, member byte, files []fixture.File) []byte {
	var in []envelope.File
	for _, f := range files {
		in = append(in, envelope.File{Name: f.Name, Data: f.Data})
	}
	sealed, err := envelope.Seal(in, Mnemonic(t, member), envelope.WithWorkFactor(10))
	require.NoError(t, err)
	return sealed
}

// Publish makes both nodes hold the backups of both vaults, in blocks 1 and 2.
func (m *Member) Publish(t testing.TB) {
	for i, v := range m.Vaults {
		m.PublishOne(int64(i+1), v, Seal(t, 0, v.Files[0]))
	}
}

// PublishOne makes both nodes hold a backup of one vault.
func (m *Member) PublishOne(height int64, v *dealer.Vault, sealed []byte) {
	m.Own.Publish(v.Name(), m.Address, height, sealed)
	m.Other.Publish(v.Name(), m.Address, height, sealed)
}

// Unpublish takes all backups off the chain.
func (m *Member) Unpublish() { m.Both(func(n *fakenode.Node) { clear(n.Backups) }) }

// Both changes what is on the chain.
func (m *Member) Both(change func(n *fakenode.Node)) {
	for _, n := range []*fakenode.Node{m.Own, m.Other} {
		n.Lock()
		change(n)
		n.Unlock()
	}
}

// OneVault leaves the first vault alone on the chain.
func (m *Member) OneVault() { m.Both(func(n *fakenode.Node) { n.Vaults = n.Vaults[:1] }) }

// Registered has the own node answer that the signer is the operator's, with this recipient key.
func (m *Member) Registered(t testing.TB, recipient string) {
	m.Own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
		value, err := proto.Marshal(&types.QuerySignerResponse{Signer: types.SignerInfo{
			Operator: Operator, Address: m.Address, RecipientKey: recipient,
		}})
		require.NoError(t, err)
		return abci.ResponseQuery{Value: value}
	}
}

// Store keeps the keyshares in the home.
func (m *Member) Store(t testing.TB) *keystore.Store {
	store, err := keystore.Open(home.KeysharesDir(m.Home), homekeys.Of(t, m.Mnemonic))
	require.NoError(t, err)
	return store
}

// TrustDir keeps the trusted header in the home.
func (m *Member) TrustDir() chain.TrustDir { return chain.TrustDir(home.TrustDir(m.Home)) }

// Kept is the header that is in the home, nil when there is none.
func (m *Member) Kept(t testing.TB) []byte {
	data, err := m.TrustDir().Load("fake-1")
	require.NoError(t, err)
	return data
}

// Epoch is that of a vault.
func (m *Member) Epoch(v *dealer.Vault) uint64 {
	same := func(o *dealer.Vault) bool { return o.Name() == v.Name() }
	return uint64(1 + slices.IndexFunc(m.Vaults, same))
}

// File is where a file of the signer's lies in the home.
func (m *Member) File(v *dealer.Vault, file int) string {
	return filepath.Join(home.KeysharesDir(m.Home), strconv.FormatUint(m.Epoch(v), 10), v.Files[0][file].Name+".age")
}

// Save puts the signer's files of vaults into the home.
func (m *Member) Save(t testing.TB, vaults ...*dealer.Vault) {
	for _, v := range vaults {
		epoch := m.Epoch(v)
		var files []envelope.File
		for _, f := range v.Files[0] {
			files = append(files, envelope.File{Name: f.Name, Data: f.Data})
		}
		require.NoError(t, m.Store(t).Save(epoch, files))
	}
}

// Holds requires that exactly the signer's files of these vaults are in the home.
func (m *Member) Holds(t testing.TB, vaults ...*dealer.Vault) {
	t.Helper()
	entries, err := m.Store(t).Entries()
	require.NoError(t, err)
	require.Len(t, entries, 2*len(vaults))
	for _, v := range vaults {
		for _, f := range v.Files[0] {
			data, err := m.Store(t).Load(m.Epoch(v), f.Name)
			require.NoError(t, err)
			require.Equal(t, f.Data, data)
		}
	}
}
