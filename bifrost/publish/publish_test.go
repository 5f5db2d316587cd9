package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/rotation"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// world is a chain, its ceremonies, and its members.
type world struct {
	t       *testing.T
	log     zerolog.Logger
	chain   *fakeChain
	tss     *fakeTss
	members []*member
}

// member is a signer whose process is started again when it dies.
type member struct {
	w       *world
	key     *secp256k1.PrivKey
	address string
	home    string
	keys    *keystore.Keys
	metrics *counts
	// chain is the world's fake unless a test replaces it.
	chain Chain
	poll  time.Duration
	// backup, strict and notBefore are what the publisher is configured with.
	backup    func(context.Context) error
	catchUp   func(context.Context) error
	strict    bool
	notBefore int64
	term      uint64

	mu  sync.Mutex
	pub *Publisher
	mortality
	// noReshares is of a signer whose ceremonies have none.
	noReshares bool
	// unverified is why what a reshare hands on is not verified.
	unverified error
	sealErr    error
	seals      int
	// checked counts the keyshare files that were checked.
	checked int
	// refuses has it hold nothing that others bring it later, and stalls not answer until it is
	// closed.
	refuses bool
	stalls  chan struct{}
	// factors are the work factors that were asked for, and contents the names of what was sealed.
	factors  []int
	contents [][]string
	// regroup, when set, changes the group part that is made of its keyshares.
	regroup func(group []byte) []byte
	// proves counts the proofs that were asked for, and proofErr refuses them.
	proves   int
	proofErr error
	// recipient gives the keys of real proofs; without it proofs are fakes.
	recipient func(index uint32) *verenc.RecipientKey

	stop    context.CancelFunc
	stopped chan struct{}
}

const (
	patience = 30 * time.Second
	// cheap is the work factor of the fake envelopes.
	cheap = 2
	// testIndex is the index of the members' recipient keys.
	testIndex = 3
)

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, log: zerolog.New(zerolog.NewTestWriter(t)), chain: newFakeChain(), tss: &fakeTss{sessions: map[string]*session{}, patience: 500 * time.Millisecond}}
	var keys []*secp256k1.PrivKey
	for range n {
		keys = append(keys, secp256k1.GenPrivKey())
	}
	slices.SortFunc(keys, func(a, b *secp256k1.PrivKey) int { return bytes.Compare(a.PubKey().Bytes(), b.PubKey().Bytes()) })
	for _, key := range keys { // a keygen has its members in the order of their keys
		address, err := bech32.ConvertAndEncode(testPrefix, key.PubKey().Address())
		require.NoError(t, err)
		m := &member{
			w: w, key: key, address: address, home: t.TempDir(), metrics: &counts{of: map[string]int{}},
			keys: homekeys.New(t), chain: w.chain, poll: time.Millisecond,
		}
		m.mortal(t)
		w.members = append(w.members, m)
	}
	t.Cleanup(func() {
		for _, m := range w.members {
			m.halt()
		}
	})
	return w
}

func (w *world) infos() []types.MemberInfo { return infosOf(w.members...) }

func infosOf(members ...*member) []types.MemberInfo {
	var list []types.MemberInfo
	for _, m := range members {
		list = append(list, types.MemberInfo{
			Address: m.address, PubKey: hex.EncodeToString(m.key.PubKey().Bytes()), Asked: true,
			RecipientKey: hex.EncodeToString(dealer.RecipientKey([]byte(m.address), testIndex).Public()), RecipientIndex: testIndex,
		})
	}
	return list
}

func (w *world) start() {
	for _, m := range w.members {
		m.run()
	}
}

func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	require.Eventually(w.t, cond, patience, time.Millisecond, what)
}

// keygen returns the keygen as it is in state.
func (w *world) keygen(id uint64) vault.Keygen {
	k, err := w.chain.Keygen(context.Background(), id)
	require.NoError(w.t, err)
	return k
}

// awaitChecked waits until the vault of a keygen that is open has signed.
func (w *world) awaitChecked(id uint64) {
	w.t.Helper()
	w.eventually("the vault has signed", func() bool {
		c := w.keygen(id).Certificate
		return c != nil && c.Checked
	})
}

func (w *world) awaitReady(id uint64) {
	w.t.Helper()
	w.eventually("keygen is ready", func() bool {
		return w.keygen(id).Status == types.KeygenStatus_KEYGEN_STATUS_READY
	})
}

type keySigner struct{ key *secp256k1.PrivKey }

func (k keySigner) PubKey() []byte                  { return k.key.PubKey().Bytes() }
func (k keySigner) Sign(msg []byte) ([]byte, error) { return k.key.Sign(msg) }

func (m *member) store() *keystore.Store {
	store, err := keystore.Open(filepath.Join(m.home, "keyshares"), m.keys)
	require.NoError(m.w.t, err)
	return store
}

// raw is the raw address.
func (m *member) raw() []byte { return types.SignerAddress(m.key.PubKey().Bytes()) }

func (m *member) open() *Publisher {
	ceremonies := mortalTss{seat{m.w.tss, m.key.PubKey().Bytes(), m.key.Key}, m}
	p, err := New(Config{
		ChainID: testChain, Address: m.address, PubKey: m.key.PubKey().Bytes(), Prefix: testPrefix,
		Store:  m.store(),
		Outbox: outbox.NewOutbox(filepath.Join(m.home, "outbox"), m.keys),
		Chain:  mortalChain{m.chain, m},
		SignTx: func(msg proto.Message, params TxParams) ([]byte, error) {
			return chain.SignTx(msg, chain.TxParams{
				ChainID: testChain, AccountNumber: params.AccountNumber, Sequence: params.Sequence,
				Gas: params.Gas, TimeoutHeight: params.TimeoutHeight,
			}, keySigner{m.key})
		},
		Tss:      ceremonies,
		Reshares: ceremonies,
		Seal:     m.seal,
		Prove:    m.prove,
		Hold:     m.holds().Put,
		Deposit:  m.deposit,
		SignBeat: func(b verenc.Beat, recipient types.Recipient) ([]byte, error) {
			if recipient.Index != testIndex {
				return nil, ErrRecipient
			}
			return dealer.RecipientKey([]byte(m.address), recipient.Index).SignBeat(b)
		},
		Backup: m.backup, CatchUp: m.catchUp, StrictBackup: m.strict, NotBefore: m.notBefore, Term: m.term,
		Log: m.w.log, Metrics: m.metrics, Poll: m.poll,
	})
	require.NoError(m.w.t, err)
	p.checkFiles = func(v vault.Vault, files []envelope.File) (checkedKeyshares, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.checked += len(files)
		k, err := checkFake(v, files, m.key.PubKey().Bytes())
		if err == nil {
			k.regroup = m.regroup
		}
		return k, err
	}
	p.split = splitFake
	if m.noReshares {
		p.cfg.Reshares = nil
	}
	return p
}

func (m *member) status() Status {
	m.mu.Lock()
	p := m.pub
	m.mu.Unlock()
	return p.Status()
}

// says reports whether the status of its record holds an error with this text.
func (m *member) says(text string) bool {
	for _, r := range m.status().Outbox {
		if strings.Contains(r.Error, text) {
			return true
		}
	}
	return false
}

// seal makes another envelope each time.
func (m *member) seal(files []envelope.File, workFactor int) ([]byte, error) {
	if err := m.acts(false); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seals++
	m.factors = append(m.factors, workFactor)
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	m.contents = append(m.contents, names)
	if m.sealErr != nil {
		return nil, m.sealErr
	}
	recipient, err := age.NewScryptRecipient("not a mnemonic")
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(cheap)
	var out bytes.Buffer
	enc, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if _, err := enc.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	// The header says what was asked for, and nobody opens it.
	return bytes.Replace(out.Bytes(), fmt.Appendf(nil, " %d\n", cheap), fmt.Appendf(nil, " %d\n", workFactor), 1), nil
}

// prove makes another proof each time.
func (m *member) prove(st verenc.Statement, index uint32, shares []verenc.Share) ([]byte, error) {
	if err := m.acts(false); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proves++
	if m.proofErr != nil {
		return nil, m.proofErr
	}
	if m.recipient != nil {
		return verenc.Prove(m.recipient(index), st, shares)
	}
	if !bytes.Equal(dealer.RecipientKey([]byte(m.address), index).Public(), st.Recipient) {
		return nil, ErrRecipient
	}
	for i, s := range shares {
		if !bytes.Equal(s.Public().Point, st.Shares[i].Point) {
			return nil, errors.New("not this member's share")
		}
	}
	return fakeProof(st), nil
}

func (m *member) setProofErr(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proofErr = err
}

// proofs is how many proofs were asked for.
func (m *member) proofs() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proves
}

// counts are the events that the loop told of, by name.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[name]++
}

func (c *counts) Polled(Status, error)                             {}
func (c *counts) Ceremony(kind string, _ time.Duration, err error) { c.add(kind) }
func (c *counts) Sealed(time.Duration)                             { c.add("sealed") }
func (c *counts) SealFailed()                                      { c.add("seal failed") }
func (c *counts) Proved(time.Duration)                             { c.add("proved") }
func (c *counts) ProveFailed()                                     { c.add("prove failed") }
func (c *counts) NotBackedUp()                                     { c.add("not backed up") }
func (c *counts) Sent(outcome string)                              { c.add("sent " + outcome) }
func (c *counts) Delivered(kind string)                            { c.add("delivered " + kind) }
func (c *counts) Missed()                                          { c.add("missed") }

// counted is how often the loop told of an event.
func (m *member) counted(name string) int {
	m.metrics.mu.Lock()
	defer m.metrics.mu.Unlock()
	return m.metrics.of[name]
}

func (m *member) setSealErr(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealErr = err
}

// checkInvariants holds what must hold whatever happened: one keygen, one envelope per member, one
// vote per member.
func (w *world) checkInvariants() {
	w.t.Helper()
	w.tss.mu.Lock()
	require.Equal(w.t, 1, w.tss.keygens, "keygens that ran")
	w.tss.mu.Unlock()
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	require.Zero(w.t, w.chain.early, "votes by the hash of a group part that the chain had not")
	for i, m := range w.members {
		require.LessOrEqual(w.t, len(w.chain.envelopes[m.address]), 1, "envelopes of member %d", i)
		require.LessOrEqual(w.t, len(w.chain.sent[m.address]), 1, "proofs of member %d", i)
		require.LessOrEqual(w.t, w.chain.votes[m.address], 1, "votes of member %d", i)
	}
}

func (w *world) awaitClosed(id uint64) {
	w.t.Helper()
	for _, m := range w.members {
		w.eventually("the record is closed", func() bool {
			_, err := os.Stat(filepath.Join(m.home, "outbox", "closed", outbox.VoteName(id)))
			return err == nil && len(m.status().Outbox) == 0
		})
	}
}

func TestKilledAfterEveryStep(t *testing.T) {
	for _, point := range []string{"result", "certified", "keyshares", "saved", "proven", "message", "tx", "sent", "done", "closed"} {
		for _, who := range []struct {
			name string
			dies func(i int) bool
		}{
			{"one member is killed", func(i int) bool { return i == 1 }},
			{"all members are killed", func(int) bool { return true }},
		} {
			for name, prepare := range map[string]func(c *fakeChain){
				"in one piece": func(*fakeChain) {},
				"split":        func(c *fakeChain) { c.split = true },
				"held":         func(c *fakeChain) { c.placement = types.Placement_PLACEMENT_MEMBERS },
			} {
				t.Run(fmt.Sprintf("%s after %s, %s", who.name, point, name), func(t *testing.T) {
					w := newWorld(t, 4)
					prepare(w.chain)
					deaths := 0
					for i, m := range w.members {
						if who.dies(i) {
							m.dieAt = point
							deaths++
						}
					}
					w.chain.open(1, 1000, w.infos())
					w.start()
					w.awaitReady(1)
					w.awaitClosed(1)
					w.checkInvariants()
					for i, m := range w.members {
						w.chain.mu.Lock()
						require.Equal(t, 1, w.chain.votes[m.address], "votes of member %d", i)
						require.Len(t, w.chain.envelopes[m.address], 1)
						require.Len(t, w.chain.sent[m.address], 1)
						w.chain.mu.Unlock()
						m.mu.Lock()
						require.Equal(t, 1, m.proves, "proofs of member %d", i)
						deaths -= m.deaths
						m.mu.Unlock()
						files, err := os.ReadDir(filepath.Join(m.home, "keyshares", "1"))
						require.NoError(t, err)
						require.Len(t, files, 2)
					}
					require.Zero(t, deaths, "members that were to be killed and were not")
				})
			}
		}
	}
}

// TestKilledBeforeAndAfterEveryChangeToTheDisk kills one member at each change that a vote makes to
// its disk, among which it keeps the envelopes of the others. The others have no result without it
// until it has kept its own, so that it loses none.
func TestKilledBeforeAndAfterEveryChangeToTheDisk(t *testing.T) {
	held := func(m *member) { m.w.chain.placement = types.Placement_PLACEMENT_MEMBERS }
	changes := changesOfAVote(t, held)
	require.Greater(t, changes, 50)
	for n := 1; n <= changes; n++ {
		for _, when := range []string{"before", "after"} {
			t.Run(fmt.Sprintf("%s change %d", when, n), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 4)
				w.chain.split = n%2 == 0 // a split keygen changes a disk as others do
				held(w.members[0])
				w.tss.patience = 200 * time.Millisecond
				m := w.members[1]
				if when == "before" {
					m.dieBefore = n
				} else {
					m.dieAfter = n
				}
				w.chain.open(1, 1000, w.infos())
				w.start()
				died := func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.deaths == 1 }
				if n < changes || when == "before" { // after the last one nothing is left to do
					w.eventually("it is killed", died)
				}
				w.awaitReady(1)
				w.awaitClosed(1)
				w.checkInvariants()
				require.Equal(t, 1, w.chainVotes(m))
				files, err := os.ReadDir(filepath.Join(m.home, "keyshares", "1"))
				require.NoError(t, err)
				require.Len(t, files, 2)
			})
		}
	}
}

func TestEventsAreNotNeeded(t *testing.T) {
	w := newWorld(t, 4)
	for _, m := range w.members[:3] {
		m.run()
	}
	w.chain.open(1, 1000, w.infos())
	w.chain.advance(50)
	// This one was not there when the keygen opened, and comes while the others wait for it.
	w.members[3].run()
	w.awaitReady(1)
	w.checkInvariants()
}

func TestSequenceMismatchSignsTheSameMessageAgain(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	refusals := map[string]int{}
	w.chain.refuse = func(member string) error {
		if refusals[member] < 2 {
			// Somebody used the account in between.
			refusals[member]++
			w.chain.sequence[member] += 3
			return sdkerrors.ErrWrongSequence
		}
		return nil
	}
	w.start()
	w.awaitReady(1)
	w.checkInvariants()
	for _, m := range w.members {
		require.Equal(t, 2, refusals[m.address])
		require.EqualValues(t, 8+w.checksBy(m), w.chain.sequence[m.address], "a join too, and perhaps a check")
		require.Equal(t, 1, m.seals)
	}
}

func TestSealingErrorIsLoudAndCastsNoVote(t *testing.T) {
	w := newWorld(t, 4)
	broken := w.members[2]
	broken.sealErr = errors.New("no memory for scrypt")
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.eventually("the status says so", func() bool {
		s := broken.status()
		return s.SealError != "" && len(s.Outbox) == 1 && s.Outbox[0].Error != "" && s.Outbox[0].Step == outbox.StepProven
	})
	require.Positive(t, broken.counted("seal failed"))
	w.chain.mu.Lock()
	require.Empty(t, w.chain.envelopes[broken.address])
	require.Zero(t, w.chain.votes[broken.address])
	w.chain.mu.Unlock()

	broken.setSealErr(nil)
	w.awaitReady(1)
	w.checkInvariants()
	w.eventually("the status is clean again", func() bool { return broken.status().SealError == "" })
}

// A step that failed is made again, not skipped: the keyshares are in their store before the record
// says so.
func TestAStoreThatFailsCostsNoVote(t *testing.T) {
	w := newWorld(t, 4)
	full := filepath.Join(w.members[2].home, "keyshares")
	var failed atomic.Int32
	t.Cleanup(durable.Inject(func(_, path string) error {
		if strings.HasPrefix(path, full) && failed.Add(1) <= 3 {
			return errors.New("no space left on the disk")
		}
		return nil
	}))
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	require.Greater(t, failed.Load(), int32(3))
}

func TestEnvelopesAreSealedWithTheLargerWorkFactor(t *testing.T) {
	for _, row := range []struct {
		name  string
		chain uint32
		want  int
	}{
		{"the chain asks for less", 10, 18},
		{"the chain asks for as much", 18, 18},
		{"the chain asks for more", 19, 19},
		{"the chain asks for the most that it may", 20, 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4)
			w.chain.params.MinWorkFactor = row.chain
			w.chain.open(1, 1000, w.infos())
			w.start()
			w.awaitReady(1)
			w.checkInvariants()
			for _, m := range w.members {
				m.halt()
				require.Equal(t, []int{row.want}, m.factors)
			}
		})
	}
}

func TestAbsentMemberIsBlamed(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	for _, m := range w.members[:3] {
		m.run()
	}
	w.eventually("three have joined", func() bool { return w.members[0].says("to join: 3 of 4") })
	require.Empty(t, w.keygen(1).Votes, "there is time for another attempt")
	w.chain.advance(900)
	w.eventually("three blames", func() bool { return len(w.keygen(1).Votes) == 3 })
	for _, v := range w.keygen(1).Votes {
		require.Nil(t, v.Result)
		require.Equal(t, [][]byte{w.members[3].raw()}, v.Blamed)
	}
	// It comes late, and names nobody.
	w.members[3].run()
	for _, m := range w.members {
		w.eventually("closed", func() bool { return len(m.status().Outbox) == 0 && w.chainVotes(m) == 1 })
	}
	require.Empty(t, w.keygen(1).VoteOf(w.members[3].raw()).Blamed)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, w.keygen(1).Status)
	require.Zero(t, w.tss.keygens)
}

// TestAKeygenThatIsTriedAgain has the chain try a keygen again within its churn, as another keygen
// among the members that were not at fault.
func TestAKeygenThatIsTriedAgain(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	for _, m := range w.members[:3] {
		m.run()
	}
	w.eventually("three have joined", func() bool { return w.members[0].says("to join: 3 of 4") })
	w.chain.advance(900)
	w.eventually("three blames", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.chain.advance(101)
	w.chain.open(2, 1000, w.infos()[:3])
	w.members[3].run()
	w.awaitReady(2)
	for _, m := range w.members[:3] {
		require.Equal(t, 2, w.chainVotes(m), "one on each try")
		w.eventually("closed", func() bool { return len(m.status().Outbox) == 0 })
	}
	require.Zero(t, w.chainVotes(w.members[3]))
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, w.keygen(1).Status)
}

func TestBlameSurvivesAKill(t *testing.T) {
	for _, point := range []string{"message", "tx", "sent", "done"} {
		t.Run("after "+point, func(t *testing.T) {
			w := newWorld(t, 4)
			w.members[0].dieAt = point
			w.chain.open(1, 1000, w.infos())
			for _, m := range w.members[:3] {
				m.run()
			}
			w.eventually("three have joined", func() bool { return w.members[1].says("to join: 3 of 4") })
			w.chain.advance(900)
			w.eventually("three blames", func() bool { return len(w.keygen(1).Votes) == 3 })
			for _, m := range w.members[:3] {
				require.Equal(t, 1, w.chain.votes[m.address])
			}
		})
	}
}

// failAttempt opens a keygen whose only attempt fails by a member, and waits until the others know.
func (w *world) failAttempt(culprit *member) {
	w.t.Helper()
	w.tss.fail = func(member []byte, _ string) error {
		if !bytes.Equal(member, culprit.key.PubKey().Bytes()) {
			return nil
		}
		k := w.keygen(1)
		w.chain.advance(k.JoinDeadline - k.OpenedHeight) // no other begins
		return errors.New("no pre-parameters")
	}
	w.chain.open(1, 1000, w.infos())
	w.start()
	for _, m := range w.members {
		if m == culprit {
			continue
		}
		w.eventually("its record names who failed the attempt", func() bool {
			records, err := outbox.NewOutbox(filepath.Join(m.home, "outbox"), m.keys).Load()
			require.NoError(w.t, err)
			return len(records) == 1 && slices.Equal(records[0].FailedBy, []string{culprit.address})
		})
	}
	require.Empty(w.t, w.keygen(1).Votes)
}

// requireBlamed advances to where failure votes are taken, and requires that all name the culprit,
// which names nobody.
func (w *world) requireBlamed(culprit *member) {
	w.t.Helper()
	w.chain.advance(400)
	w.eventually("all votes", func() bool { return len(w.keygen(1).Votes) == 4 })
	for _, m := range w.members {
		vote := w.keygen(1).VoteOf(m.raw())
		require.Nil(w.t, vote.Result)
		if m == culprit {
			require.Empty(w.t, vote.Blamed)
			continue
		}
		require.Equal(w.t, [][]byte{culprit.raw()}, vote.Blamed)
		require.Equal(w.t, "did not join", w.chain.messages[m.address][0].Blame.Reason)
	}
}

// Whom an attempt failed by is in the record, so that a process that ends before votes of it are
// taken does not forget it.
func TestWhoFailedAnAttemptIsKnownAfterARestart(t *testing.T) {
	w := newWorld(t, 4)
	w.failAttempt(w.members[3])
	for _, m := range w.members {
		m.halt()
	}
	w.start()
	w.requireBlamed(w.members[3])
}

// Whom an attempt failed by is of no use once the keygen is closed, and does not stay on its way.
func TestARecordOfAFailedAttemptIsClosedWithItsKeygen(t *testing.T) {
	w := newWorld(t, 4)
	w.failAttempt(w.members[3])
	for _, m := range w.members {
		m.halt()
	}
	w.chain.advance(1000)
	w.start()
	for _, m := range w.members[:3] {
		box := outbox.NewOutbox(filepath.Join(m.home, "outbox"), m.keys)
		w.eventually("the record is closed", func() bool {
			left, err := box.Load()
			require.NoError(t, err)
			return len(left) == 0
		})
		closed, err := box.Closed(outbox.VoteName(1))
		require.NoError(t, err)
		require.Equal(t, "failed", closed.Outcome)
	}
}

// Nobody is named for an attempt that failed before another one made a result.
func TestAResultForgetsWhoFailedAnAttemptBefore(t *testing.T) {
	w := newWorld(t, 4)
	var failed atomic.Bool
	w.tss.fail = func(member []byte, _ string) error {
		if bytes.Equal(member, w.members[3].key.PubKey().Bytes()) && !failed.Swap(true) {
			return errors.New("it fails the attempt")
		}
		return nil
	}
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	for _, m := range w.members {
		closed, err := outbox.NewOutbox(filepath.Join(m.home, "outbox"), m.keys).Closed(outbox.VoteName(1))
		require.NoError(t, err)
		require.Empty(t, closed.FailedBy)
		require.Empty(t, closed.FailedReason)
	}
}

func TestLocalFailureBlamesNobody(t *testing.T) {
	w := newWorld(t, 4)
	w.failAttempt(w.members[0])
	w.requireBlamed(w.members[0])
}

func TestNoKeygenIsBegunNearOrPastItsDeadline(t *testing.T) {
	for _, row := range []struct {
		name   string
		blocks int64
		votes  int // that name nobody
	}{
		{"after the last block for a certificate", 90, 4},
		{"at the deadline", 100, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4)
			w.chain.open(1, 100, w.infos())
			w.chain.advance(row.blocks)
			w.start()
			w.eventually("everyone has looked", func() bool {
				for _, m := range w.members {
					if m.status().LastPoll.IsZero() {
						return false
					}
				}
				return true
			})
			w.eventually("those vote who can", func() bool { return len(w.keygen(1).Votes) == row.votes })
			w.chain.advance(3)
			w.eventually("nothing is left", func() bool { return len(w.members[0].status().Outbox) == 0 })
			require.Zero(t, w.tss.keygens)
			require.Equal(t, row.votes, w.chain.received)
		})
	}
}

func TestDeadlineEndsACeremonyAndNobodyIsNamedForIt(t *testing.T) {
	w := newWorld(t, 4)
	w.tss.patience = time.Hour
	w.chain.open(1, 1000, w.infos())
	gone := w.members[3].key.PubKey().Bytes()
	w.tss.fail = func(member []byte, _ string) error {
		if bytes.Equal(member, gone) {
			return errors.New("it has crashed")
		}
		return nil
	}
	w.start()
	w.eventually("three wait for the fourth", func() bool {
		w.tss.mu.Lock()
		defer w.tss.mu.Unlock()
		for _, s := range w.tss.sessions {
			return len(s.joined) == 3
		}
		return false
	})
	w.chain.advance(900)
	w.eventually("four votes", func() bool { return len(w.keygen(1).Votes) == 4 })
	for _, v := range w.keygen(1).Votes {
		require.Nil(t, v.Result)
		require.Empty(t, v.Blamed)
	}
}

// checksBy is how many of the signatures that stand a member brought.
func (w *world) checksBy(m *member) int {
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	return w.chain.checks[m.address]
}

// Two of seven, as many as a vault bears, spoil every signature that they have a part in. Each
// window is another set's turn.
func TestTheVaultSignsThoughTwoOfSevenSpoilIt(t *testing.T) {
	w := newWorld(t, 7)
	w.chain.open(1, 1000, w.infos())
	var spoilers [][]byte
	for _, m := range w.members[2:4] {
		spoilers = append(spoilers, m.key.PubKey().Bytes())
	}
	w.tss.fail = func(member []byte, id string) error {
		if contains(spoilers, member) && strings.Contains(id, "check") {
			return errors.New("spoilt")
		}
		return nil
	}
	w.start()
	w.eventually("all have voted", func() bool { return len(w.keygen(1).Votes) == 7 })
	windows := 0
	for ; w.keygen(1).Status == types.KeygenStatus_KEYGEN_STATUS_OPEN; windows++ {
		k := w.keygen(1)
		number, end := window(k, k.Certificate.Height+int64(windows)*maxWindow)
		require.EqualValues(t, windows, number)
		var signers [][]byte
		for _, i := range rotation.Signers(7, 5, 1, number) {
			signers = append(signers, k.Members[i].PubKey)
		}
		if !contains(signers, spoilers[0]) && !contains(signers, spoilers[1]) {
			w.awaitReady(1)
			break
		}
		height, err := w.chain.Height(t.Context())
		require.NoError(t, err)
		w.chain.advance(end - height)
	}
	require.Less(t, windows, rotation.Windows(7, 5))
	w.awaitClosed(1)
	w.checkInvariants()
	for _, m := range w.members {
		require.Equal(t, 1, w.chainVotes(m))
	}
}

func TestAVaultThatNeverSignsFailsAndNobodyIsNamed(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.tss.fail = func(_ []byte, id string) error {
		if strings.Contains(id, "check") {
			return errors.New("spoilt")
		}
		return nil
	}
	w.start()
	w.eventually("all have voted", func() bool { return len(w.keygen(1).Votes) == 4 })
	for _, m := range w.members {
		w.eventually("it says so", func() bool { return m.says("waiting for the vault's signatures") })
	}
	w.chain.advance(1001)
	w.awaitClosed(1)
	k := w.keygen(1)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, k.Status)
	for _, v := range k.Votes {
		require.NotNil(t, v.Result, "nobody is blamed, and nobody silent")
	}
	w.checkInvariants()
}

func TestOneTransactionBringsTheSignatures(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	checks := 0
	for _, m := range w.members {
		checks += w.checksBy(m)
	}
	require.Equal(t, 1, checks)
}

// All four have the certificate at the same time. One of them carries it in its vote, and the others
// wait for that, but not for ever.
func TestOneVoteCarriesTheCertificate(t *testing.T) {
	w := newWorld(t, 4)
	for _, m := range w.members {
		m.poll = 200 * time.Millisecond
	}
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.chain.mu.Lock()
	carriers := 0
	for _, m := range w.members {
		if len(w.chain.messages[m.address][0].Certificate) > 0 {
			carriers++
		}
	}
	w.chain.mu.Unlock()
	require.Equal(t, 1, carriers)

	// The one that carries it in the next keygen cannot vote.
	w = newWorld(t, 4)
	members := w.infos()
	w.chain.open(1, 1000, members)
	w.members[3].proofErr = errors.New("no randomness") // (3 + 1) mod 4 = 0
	w.start()
	w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
	require.NotNil(t, w.keygen(1).Certificate)
}

// One of four keeps its signature for the result to itself, so that it has a certificate and the
// others blame it. When it shows the certificate, in its vote, the others have the result as well:
// each kept it before it signed.
func TestAWithheldSignatureLeavesNobodyBehind(t *testing.T) {
	for _, row := range []struct {
		name  string
		votes bool // the certificate is shown
	}{
		{"the certificate is shown", true},
		{"the certificate is never shown", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4)
			w.chain.open(1, 1000, w.infos())
			malicious := w.members[2]
			w.tss.withholds = malicious.key.PubKey().Bytes()
			w.chain.drop[malicious.address] = true
			w.start()
			for _, m := range w.members {
				if m != malicious {
					w.eventually("the others blame it", func() bool { return m.says("did not join") || m.says("to join: ") })
				}
			}
			w.eventually("it has a vote", func() bool {
				s := malicious.status()
				return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
			})
			if row.votes {
				w.chain.mu.Lock()
				w.chain.drop = map[string]bool{}
				w.chain.mu.Unlock()
				w.awaitReady(1)
				w.awaitClosed(1)
				for _, m := range w.members {
					require.Equal(t, 1, w.chainVotes(m))
				}
				require.Equal(t, 3, w.chain.bare, "the others' votes need none")
				return
			}
			w.chain.advance(900)
			w.eventually("the others blame it in state", func() bool { return len(w.keygen(1).Votes) == 3 })
			for _, v := range w.keygen(1).Votes {
				require.Equal(t, [][]byte{malicious.raw()}, v.Blamed)
			}
		})
	}
}

// The first certificates of an attempt that ended late are sent by nobody, and those that did not
// reach a block in time help nobody any more: the votes say that the keygen failed, through nobody.
// Whom an attempt before failed by has made up for it.
func TestACertificateThatComesTooLate(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	first := true
	w.tss.fail = func(member []byte, _ string) error {
		if first && bytes.Equal(member, w.members[3].key.PubKey().Bytes()) {
			first = false
			return errors.New("it restarts")
		}
		return nil
	}
	for _, m := range w.members {
		w.chain.drop[m.address] = true
	}
	w.start()
	for _, m := range w.members {
		w.eventually("it has a vote", func() bool {
			s := m.status()
			return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
		})
	}
	w.chain.advance(900)
	w.chain.mu.Lock()
	w.chain.drop = map[string]bool{}
	w.chain.mu.Unlock()
	w.eventually("four votes", func() bool { return len(w.keygen(1).Votes) == 4 })
	for _, v := range w.keygen(1).Votes {
		require.Nil(t, v.Result)
		require.Empty(t, v.Blamed)
	}
	w.awaitClosed(1)
	w.checkInvariants()
	for _, m := range w.members {
		files, err := os.ReadDir(filepath.Join(m.home, "keyshares", "1"))
		require.NoError(t, err)
		require.Len(t, files, 2, "keyshares are never deleted")
	}
}

// laggingChain is a chain of whose state a member sees an old one, though the height is the latest:
// so it is behind a name that several nodes answer under.
type laggingChain struct {
	*fakeChain
	mu  sync.Mutex
	old *vault.Keygen
}

func (c *laggingChain) lag(k *vault.Keygen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old = k
}

func (c *laggingChain) Keygen(ctx context.Context, id uint64) (vault.Keygen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.old != nil {
		return *c.old, nil
	}
	return c.fakeChain.Keygen(ctx, id)
}

func (c *laggingChain) OpenKeygens(ctx context.Context) ([]vault.Keygen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.old != nil {
		return []vault.Keygen{*c.old}, nil
	}
	return c.fakeChain.OpenKeygens(ctx)
}

// A certificate may come to stand in the last block for it. A member whose node does not show that
// block yet does not give up: a blame is for ever, and against a certificate the chain takes none.
func TestNobodyGivesUpByAnOldState(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	late := w.members[1]
	node := &laggingChain{fakeChain: w.chain}
	late.chain = node
	w.chain.drop[late.address] = true
	malicious := w.members[0]
	w.tss.withholds = malicious.key.PubKey().Bytes()
	w.chain.drop[malicious.address] = true
	w.start()
	w.eventually("one has the certificate alone", func() bool {
		s := malicious.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
	})
	w.eventually("the other has none", func() bool { return late.says("did not join") || late.says("to join: ") })
	old := w.keygen(1)
	node.lag(&old)
	w.chain.mu.Lock()
	delete(w.chain.drop, malicious.address)
	w.chain.mu.Unlock()
	w.eventually("a certificate stands", func() bool { return w.keygen(1).Certificate != nil })
	w.chain.advance(900)
	w.eventually("it sees how late it is", func() bool { return late.says("lags behind") })
	w.chain.mu.Lock()
	delete(w.chain.drop, late.address)
	w.chain.mu.Unlock()
	node.lag(nil)
	w.awaitReady(1)
	w.awaitClosed(1)
	require.Equal(t, 1, w.chainVotes(late))
	require.Equal(t, 1, late.counted("delivered result"))
}

func (w *world) chainVotes(m *member) int {
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	return w.chain.votes[m.address]
}

func TestMemberThatLostItsResultNeitherBlamesNorRunsAnotherKeygen(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	loser := w.members[3]
	loser.dieAt, loser.lost = "certified", true // it dies with its disk
	loser.run()
	w.eventually("it is waiting", func() bool { return len(loser.status().Outbox) == 1 })
	for _, m := range w.members[:3] {
		m.run()
	}
	w.eventually("it died", func() bool { loser.mu.Lock(); defer loser.mu.Unlock(); return loser.deaths == 1 })
	loser.halt()
	loser.home, loser.lost = t.TempDir(), false
	w.eventually("the others have voted without it", func() bool { return len(w.keygen(1).Votes) == 3 })
	loser.run()
	w.eventually("it knows", func() bool {
		s := loser.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Error == errLost.Error()
	})
	w.chain.advance(1001)
	w.eventually("closed", func() bool { return len(loser.status().Outbox) == 0 })
	require.Zero(t, w.chainVotes(loser))
	w.checkInvariants()
}

// TestKeygenThatStateForgot has a bifrost come back after its keygen failed and was deleted.
func TestKeygenThatStateForgot(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	late := w.members[3]
	w.chain.drop[late.address] = true
	w.start()
	w.eventually("its vote was sent", func() bool {
		s := late.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
	})
	for _, m := range w.members {
		m.halt()
	}
	forget := func(height int64) {
		w.chain.mu.Lock()
		defer w.chain.mu.Unlock()
		delete(w.chain.keygens, 1)
		w.chain.height = height
	}
	forget(999)
	late.run()
	w.eventually("a node that is behind decides nothing", func() bool {
		return strings.Contains(late.status().Error, "does not know keygen 1")
	})
	require.Len(t, late.status().Outbox, 1)
	forget(2000)
	w.eventually("it is closed", func() bool { return len(late.status().Outbox) == 0 })
}

func TestVoteThatMissedItsVaultIsPublishedLaterWithTheSameEnvelope(t *testing.T) {
	w := newWorld(t, 6)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 5
	late := w.members[5]
	w.chain.drop[late.address] = true
	w.start()
	w.eventually("five votes", func() bool { return len(w.keygen(1).Votes) == 5 })
	w.awaitChecked(1)
	w.eventually("the sixth was sent", func() bool {
		s := late.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
	})
	w.chain.advance(1001)
	w.awaitReady(1)
	w.chain.mu.Lock()
	w.chain.drop = map[string]bool{}
	w.chain.mu.Unlock()
	name := types.VaultName(w.keygen(1).Vault)
	w.eventually("the backup is there", func() bool {
		return w.published(name, late)
	})
	w.eventually("and closed", func() bool { return len(late.status().Outbox) == 0 })
	require.Zero(t, w.chainVotes(late))
	require.Equal(t, 1, late.seals)
	w.checkInvariants()
	w.eventually("the status says so", func() bool {
		s := late.status()
		return len(s.Vaults) == 1 && s.Vaults[0].Published && s.Vaults[0].Keyshares && s.Vaults[0].Error == ""
	})
}

func TestRefusedTransactionIsSaidAndTriedAgain(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	refused := 0
	w.chain.refuse = func(member string) error {
		if member == w.members[0].address && refused < 3 {
			refused++
			return errors.New("code 13: insufficient fee")
		}
		return nil
	}
	w.start()
	w.awaitReady(1)
	require.Equal(t, 3, refused)
	require.EqualValues(t, 3, w.members[0].counted("sent refused"))
	w.checkInvariants()
}

func TestOutboxOfAnotherChainIsRefused(t *testing.T) {
	w := newWorld(t, 4)
	w.members[0].dieAt = "saved"
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	m := w.members[0]
	m.halt()

	t.Run("of another name", func(t *testing.T) {
		box := outbox.NewOutbox(filepath.Join(m.home, "outbox"), m.keys)
		require.NoError(t, box.Save(&outbox.Record{ChainID: "other-1", Signer: m.address, Step: outbox.StepSaved, Kind: outbox.Vote, Epoch: 5}))
		_, err := New(Config{ChainID: testChain, Address: m.address, PubKey: m.key.PubKey().Bytes(), Outbox: box})
		require.ErrorContains(t, err, "other-1")
		require.NoError(t, os.Remove(filepath.Join(m.home, "outbox", outbox.VoteName(5))))
	})
	t.Run("of the same name, started again", func(t *testing.T) {
		p := m.open()
		require.NoError(t, p.outbox.Save(&outbox.Record{
			ChainID: testChain, Signer: m.address, Step: outbox.StepSaved, Kind: outbox.Vote, Epoch: 2, OpenedHeight: 3, Deadline: 9,
		}))
		w.chain.open(2, 1000, w.infos())
		p = m.open()
		require.ErrorContains(t, p.poll(context.Background()), "another chain of the same name")
		require.NoError(t, os.Remove(filepath.Join(m.home, "outbox", outbox.VoteName(2))))
	})
	t.Run("of the same name, started again, when all is closed", func(t *testing.T) {
		for _, m := range w.members {
			m.halt()
		}
		delete(w.chain.keygens, 2)
		w.chain.open(1, 1000, w.infos())
		require.ErrorContains(t, m.open().poll(context.Background()), "another chain of the same name")
	})
}

func TestNobodyHasAResultThatOneCannotKeep(t *testing.T) {
	w := newWorld(t, 4)
	m := w.members[0]
	// A folder in the place of the record stands for a disk that takes nothing.
	obstacle := filepath.Join(m.home, "outbox", outbox.VoteName(1))
	require.NoError(t, os.MkdirAll(obstacle, 0o700))
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("it says why", func() bool { return m.says("not a regular file") })
	w.eventually("the others have none without it", func() bool { return w.members[1].says("join") })
	require.Nil(t, w.keygen(1).Certificate)
	require.NoError(t, os.Remove(obstacle))
	w.awaitReady(1)
	w.awaitClosed(1)
	require.Equal(t, 1, w.chainVotes(m))
	w.checkInvariants()
}

func TestLastVoteWithoutAnEnvelopeIsNotTakenForAMissedOne(t *testing.T) {
	w := newWorld(t, 6)
	infos := w.infos()
	infos[5].Asked = false
	w.chain.open(1, 1000, infos)
	w.chain.keygens[1].Needed = 5
	last := w.members[5]
	w.chain.drop[last.address] = true
	w.start()
	w.eventually("five votes", func() bool { return len(w.keygen(1).Votes) == 5 })
	w.awaitChecked(1)
	w.chain.mu.Lock()
	w.chain.drop = map[string]bool{}
	w.chain.mu.Unlock()
	w.awaitReady(1)
	w.awaitClosed(1)
	require.Equal(t, 1, w.chainVotes(last))
	require.Zero(t, last.counted("missed"))
	require.EqualValues(t, 1, last.counted("delivered result"))
}

func TestPublicationForARetiredVaultIsGivenUp(t *testing.T) {
	w := newWorld(t, 6)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 5
	late := w.members[5]
	w.chain.drop[late.address] = true
	w.start()
	w.eventually("five votes", func() bool { return len(w.keygen(1).Votes) == 5 })
	w.awaitChecked(1)
	w.chain.advance(1001)
	w.awaitReady(1)
	w.eventually("a publication is on its way", func() bool {
		s := late.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Kind == "backup" && s.Outbox[0].Step == outbox.StepTx
	})
	w.chain.mu.Lock()
	w.chain.vaults[w.chain.keygens[1].Vault].Status = types.VaultStatus_VAULT_STATUS_RETIRED
	w.chain.mu.Unlock()
	w.eventually("it is closed", func() bool { return len(late.status().Outbox) == 0 })
	require.Zero(t, late.counted("delivered backup"))
}

// TestWhatWasFixedInATermIsSentInTheNext has a member be started anew in a later term while its vote
// waits for its block: the same message goes out in that term, and nothing of the earlier one is
// taken any more.
func TestWhatWasFixedInATermIsSentInTheNext(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	m := w.members[0]
	m.term, w.chain.terms[m.address] = 1, 1
	w.chain.drop[m.address] = true
	w.start()
	w.eventually("its vote is on its way", func() bool {
		s := m.status()
		return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
	})
	before := m.readRecord(outbox.VoteName(1))
	require.EqualValues(t, 1, before.Term)
	require.EqualValues(t, 1, decodedVote(t, before.Tx).Term)
	m.halt()
	w.chain.mu.Lock()
	w.chain.drop, w.chain.terms[m.address] = map[string]bool{}, 2
	w.chain.mu.Unlock()
	require.ErrorIs(t, w.chain.Broadcast(t.Context(), before.Tx), types.ErrOtherTerm)
	m.term = 2
	m.run()
	w.awaitReady(1)
	require.Equal(t, 1, m.seals)
	w.checkInvariants()
	w.eventually("the record is closed", func() bool { return len(m.status().Outbox) == 0 })
	sent := w.chain.messages[m.address]
	require.Len(t, sent, 1)
	require.EqualValues(t, 2, sent[0].Term)
	var fixed types.MsgTssPool
	require.NoError(t, proto.Unmarshal(before.Message, &fixed))
	require.Zero(t, fixed.Term)
	fixed.Term = 2
	require.Equal(t, fixed.String(), sent[0].String(), "but for the term")
}

func decodedVote(t *testing.T, tx []byte) *types.MsgTssPool {
	_, _, msg := decode(tx)
	vote, ok := msg.(*types.MsgTssPool)
	require.True(t, ok)
	return vote
}
