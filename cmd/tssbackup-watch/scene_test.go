package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	chainvault "github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// scene is a chain behind a fake node, and who follows it.
type scene struct {
	*fakenode.Node
	t       testing.TB
	url     string
	members []sceneMember
	dir     string
	log     *strings.Builder
	clock   time.Time
}

type sceneMember struct {
	types.MemberInfo
	raw []byte
	key []byte
}

// names are what validators call themselves. Some would like to be more than text.
var monikers = []string{
	"Nordlicht Staking", "blockhaus", "Sakura 桜 Validators", `<script>alert("moniker")</script>`,
	"Tidewater", "a-very-long-moniker-that-somebody-chose-to-see-what-becomes-of-the-page-layout-when-it-is-long",
	"Ponte Vecchio", "\u202eesrever ni", "Karoo Nodes", "validator-10",
}

func newScene(t testing.TB, members int) *scene {
	node, url := fakenode.New(t)
	s := &scene{Node: node, t: t, url: url, dir: t.TempDir(), log: &strings.Builder{}}
	node.ChainID = "harbor-1"
	node.Height = 4_812_000
	// Blocks follow each other by a millisecond, counted from the first.
	s.clock = time.Now().UTC().Truncate(time.Second)
	node.Start = s.clock.Add(-time.Duration(node.Height) * time.Millisecond)
	for i := range members {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "watched member ", i)).PubKey()
		address, err := bech32.ConvertAndEncode("cosmos", key.Address())
		require.NoError(t, err)
		s.members = append(s.members, sceneMember{
			MemberInfo: types.MemberInfo{Address: address, PubKey: hex.EncodeToString(key.Bytes()), Asked: true},
			raw:        key.Address(), key: key.Bytes(),
		})
		if i < len(monikers) {
			node.Monikers[string(key.Address())] = monikers[i]
		} else if i%7 != 3 {
			node.Monikers[string(key.Address())] = fmt.Sprintf("validator %d", i)
		}
	}
	return s
}

// later moves the clock on, and the chain by a block of that time.
func (s *scene) later(d time.Duration) {
	s.clock = s.clock.Add(d)
	s.Lock()
	s.Start = s.clock.Add(-time.Duration(s.Height+1) * time.Millisecond)
	s.Unlock()
	s.Advance(1)
}

func vaultName(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, "vault ", i))
	return "02" + hex.EncodeToString(sum[:])
}

// vault adds a vault of these members, of which the first have published and proven.
func (s *scene) vault(i int, status types.VaultStatus, members []sceneMember, published, proven int) string {
	name := vaultName(i)
	ed25519 := sha256.Sum256([]byte(name))
	v := types.VaultInfo{
		Vault: name, PubKeyEd25519: hex.EncodeToString(ed25519[:]), Status: status, Epoch: uint64(i), ChurnId: uint64(i),
		Threshold: uint32((2*len(members) + 2) / 3), Needed: uint32((5*len(members) + 5) / 6), ActiveHeight: 4_700_000 + int64(i),
	}
	for _, m := range members {
		v.Members = append(v.Members, m.MemberInfo)
	}
	s.Lock()
	s.Vaults = append(s.Vaults, v)
	if s.Proofs[name] == nil {
		s.Proofs[name] = map[string]types.Proof{}
	}
	s.Unlock()
	for j := range published {
		s.publish(i, members[j])
	}
	for j := range proven {
		s.prove(i, members[j])
	}
	return name
}

func (s *scene) publish(i int, m sceneMember) {
	envelope := append([]byte("age-encryption.org/v1\n-> scrypt "), fmt.Append(nil, i, m.Address)...)
	s.Publish(vaultName(i), m.Address, 4_700_000+int64(i), append(envelope, make([]byte, 9800+len(m.Address)*i)...))
}

func (s *scene) prove(i int, m sceneMember) {
	s.Lock()
	defer s.Unlock()
	s.Proofs[vaultName(i)][m.Address] = types.Proof{
		Recipient: types.Recipient{Key: make([]byte, 32)}, Stored: []byte("stored"), Height: 4_700_000 + int64(i),
	}
}

// open opens a churn with a keygen among members, of whom some have joined and voted.
func (s *scene) open(id uint64, status types.ChurnStatus, k types.Keygen, members []sceneMember) {
	s.Lock()
	s.Records[string(types.ChurnSequenceKey())] = binary.BigEndian.AppendUint64(nil, id+1)
	s.Unlock()
	k.Id, k.ChurnId, k.Try = id, id, 1
	k.Threshold, k.Needed = uint32((2*len(members)+2)/3), uint32((5*len(members)+5)/6)
	for _, m := range members {
		k.Members = append(k.Members, types.Member{PubKey: m.key, Asked: true})
	}
	c := &types.Churn{
		Id: id, Status: status, OpenedHeight: k.OpenedHeight, Deadline: k.Deadline,
		ClosedHeight: k.ClosedHeight, KeygenIds: []uint64{id},
	}
	s.Put(types.ChurnKey(id), c)
	s.Put(types.KeygenKey(id), &k)
}

// reshared gives a vault epochs before its present one, each with so many members outside by now,
// and the churn of the reshare that came last.
func (s *scene) reshared(i int, epoch uint64, outside ...uint32) {
	s.Lock()
	for j := range s.Vaults {
		v := &s.Vaults[j]
		if v.Vault != vaultName(i) {
			continue
		}
		for n, count := range outside {
			former := types.FormerEpoch{Epoch: v.Epoch + uint64(n), Threshold: v.Threshold, Outside: count}
			v.Former = append(v.Former, former)
		}
		v.Epoch, v.EpochHeight = epoch, 4_805_000
	}
	s.Unlock()
	s.open(epoch, types.ChurnStatus_CHURN_STATUS_COMPLETE, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_READY, OpenedHeight: 4_804_990, Deadline: 4_806_790, ClosedHeight: 4_805_000,
		Vault:   unhex(vaultName(i)),
		Reshare: &types.Reshare{Vault: unhex(vaultName(i)), Epoch: epoch - 1},
	}, nil)
}

// done makes the churn of a vault that was made.
func (s *scene) done(i int) {
	s.open(uint64(i), types.ChurnStatus_CHURN_STATUS_COMPLETE, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_READY, OpenedHeight: 4_699_000 + int64(i), Deadline: 4_700_800,
		ClosedHeight: 4_700_000 + int64(i), Vault: unhex(vaultName(i)),
	}, nil)
}

func unhex(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

// follower follows the nodes at these addresses, that of the scene without any.
func (s *scene) follower(urls ...string) *follower {
	if len(urls) == 0 {
		urls = []string{s.url}
	}
	var clients []*chain.Client
	for _, url := range urls {
		c, err := chain.New(url, 5*time.Second)
		require.NoError(s.t, err)
		c.OnRetry(func(context.Context, chain.Retry) error { return context.DeadlineExceeded })
		clients = append(clients, c)
	}
	db, err := openStore(s.dir)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = db.Close() })
	logger := &log{
		in: &command.Invocation{Stdin: os.Stdin, Stdout: io.Discard, Stderr: s.log}, now: s.now, said: map[string]time.Time{},
	}
	f := &follower{
		nodes: clients, log: logger, now: s.now, db: db, patience: slowAfter,
		rules: chain.Trust{
			Store: chain.TrustDir(s.dir + "/trust"), Once: true,
			Confirm: func(chain.FirstHeader) error { return nil },
			Report:  func(node string, err error) { logger.problem(node, err.Error()) },
		},
		looker: newLooker("cosmos", "", len(clients), func(text string) { logger.problem("the chain", text) }),
	}
	f.looker.repeat = believe
	require.NoError(s.t, f.start(""))
	return f
}

// believe takes proofs for good, which are none.
func believe(
	ctx context.Context, _ string, state *chain.State, v chainvault.Vault,
) (*audited, error) {
	proofs, err := state.Proofs(ctx, v)
	done := &audited{}
	for _, p := range proofs.Members {
		m := audit.Member{Height: p.Height, Result: audit.None}
		if p.IsProven() {
			m.Result = audit.Repeated
		}
		done.Proof = append(done.Proof, proof{string(m.Result), m.Height, explain(m)})
	}
	return done, err
}

func (s *scene) now() time.Time { return s.clock }

// harbor is a network in its daily life: a vault of ten of which one backup is missing, one that is
// retiring, a churn that failed and one that goes on, and a validator that sits out.
func harbor(t testing.TB) (*scene, *follower) {
	s := newScene(t, 11)
	s.vault(3, active, s.members[:10], 9, 9)
	s.vault(2, types.VaultStatus_VAULT_STATUS_RETIRING, s.members[:7], 7, 7)
	s.done(2)
	s.done(3)
	raw := func(i int) []byte { return s.members[i].raw }
	s.open(4, types.ChurnStatus_CHURN_STATUS_FAILED, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_FAILED, OpenedHeight: 4_809_100, Deadline: 4_810_900, ClosedHeight: 4_810_900,
		Blamed: [][]byte{raw(8)},
	}, s.members[:10])
	for i := range 8 {
		s.Put(types.VoteKey(4, raw(i)), &types.Vote{Height: 4_809_300, Blamed: [][]byte{raw(8)}})
	}
	for i := range 6 { // the others never claimed
		s.Put(types.SignerTermKey(raw(i)), &types.SignerTerm{
			Term: uint64(i + 1), Nonce: make([]byte, types.ClaimNonceSize), Height: 4_790_000 + int64(i),
			Addresses: fmt.Sprintf("/dns4/signer%d.example.org/tcp/5040 <b>", i),
		})
	}
	params := types.DefaultParams()
	params.HeartbeatInterval = 14_400
	s.Put(types.ParamsKey(), &params)
	for i := range 9 { // the last has sent none, and none is due of it yet
		s.Put(types.HeartbeatKey(3, raw(i)), &types.Heartbeat{
			MachineHeight: 4_811_000 - 100*int64(i), BeaconHeight: 4_810_900, Due: 4_826_000,
			PaperHeight: map[bool]int64{true: 4_709_000}[i == 0],
			Missed:      map[bool]uint64{true: 2}[i == 8], Overdue: i == 8,
		})
	}
	s.Put(types.SitOutKey(raw(8)), &types.SitOut{Until: 4_815_220, Count: 1})
	s.open(5, types.ChurnStatus_CHURN_STATUS_OPEN, types.Keygen{
		Status: types.KeygenStatus_KEYGEN_STATUS_OPEN, OpenedHeight: 4_811_900, Deadline: 4_813_700,
	}, append(append([]sceneMember{}, s.members[:8]...), s.members[9], s.members[10]))
	session := &types.Session{Attempt: 1, Id: make([]byte, 32), Height: 4_811_904, Members: make([]types.Join, 10)}
	s.Put(types.SessionKey(5), session)
	for i := range 4 {
		s.Put(types.VoteKey(5, raw(i)), &types.Vote{Height: 4_811_950, Result: &types.Result{
			PubKey: unhex(vaultName(5)), PubKeyEd25519: make([]byte, 32),
		}})
		s.Put(types.ProofKey(5, raw(i)), &types.Proof{Stored: []byte("stored"), Height: 4_811_950})
	}
	f := s.follower()
	require.NoError(t, f.once(t.Context()), s.log)
	return s, f
}

// pretend puts a past before what a follower has seen.
func (s *scene) pretend(f *follower) {
	now := f.latest().segments[0]
	var past []segment
	ago := func(from, until time.Duration, published, proven []int) {
		g := segment{From: s.clock.Add(-from), Until: s.clock.Add(-until)}
		for i := range published {
			g.Vaults = append(g.Vaults, point{vaultName(i), uint64(i), 10, published[i], proven[i], 7})
		}
		past = append(past, g)
	}
	day := 24 * time.Hour
	ago(6*day, 5*day, []int{10, 10}, []int{10, 10})
	ago(5*day, 110*time.Hour, []int{10, 8}, []int{10, 8})
	ago(110*time.Hour, 80*time.Hour, []int{10, 10}, []int{10, 10})
	ago(70*time.Hour, 50*time.Hour, []int{10, 10}, []int{9, 10})
	ago(50*time.Hour, 44*time.Hour, []int{10, 9}, []int{6, 5})
	ago(44*time.Hour, 41*time.Hour, []int{10, 6}, []int{6, 5})
	ago(41*time.Hour, 20*time.Hour, []int{10, 10}, []int{9, 10})
	ago(20*time.Hour, time.Hour, []int{10, 10}, []int{10, 10})
	ago(time.Hour, 0, []int{9, 10}, []int{9, 10})
	past = append(past, now)
	f.history.segments = past
	f.show(f.latest().report)
}

// server serves what a follower sees.
func (s *scene) server(f *follower) string {
	server := httptest.NewServer(newServer(f, "v0.1.0").Handler)
	s.t.Cleanup(server.Close)
	return server.URL
}

func get(t testing.TB, url string) (string, *http.Response) {
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body), res
}
