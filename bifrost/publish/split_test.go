package publish

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// splitWorld is a world in which keygens are split.
func splitWorld(t *testing.T, n int) *world {
	w := newWorld(t, n)
	w.chain.split = true
	return w
}

// turns are the members in the order in which they carry the group part of keygen 1, once they know
// its result: each waits to vote, because it cannot prove, until it is let go.
func (w *world) turns() []*member {
	w.t.Helper()
	var hash []byte
	w.eventually("all know the result", func() bool {
		for _, m := range w.members {
			if !m.says("no randomness") {
				return false
			}
		}
		return true
	})
	m := w.members[0]
	m.mu.Lock()
	p := m.pub
	m.mu.Unlock()
	k := w.keygen(1)
	p.mu.Lock()
	rec := *p.entries[outbox.VoteName(1)].rec
	p.mu.Unlock()
	v, err := made(&rec, k)
	require.NoError(w.t, err)
	s, err := p.readKeyshares(v)
	require.NoError(w.t, err)
	hash = s.hash
	var keys [][]byte
	for _, m := range w.members {
		keys = append(keys, m.key.PubKey().Bytes())
	}
	turns := make([]*member, len(w.members))
	for _, m := range w.members {
		turns[carrierRank(1, hash, keys, m.key.PubKey().Bytes())] = m
	}
	return turns
}

// hold keeps all members from voting, and returns them in the order of their turns.
func (w *world) hold(blocks int64) []*member {
	w.t.Helper()
	for _, m := range w.members {
		m.proofErr = fmt.Errorf("no randomness")
	}
	w.chain.open(1, blocks, w.infos())
	w.start()
	return w.turns()
}

// carriedBy are the votes of a member that carry a group part.
func (w *world) carriedBy(m *member) (carried int) {
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	for _, msg := range w.chain.messages[m.address] {
		if len(msg.Group) > 0 {
			carried++
		}
	}
	return carried
}

func TestOneVoteCarriesTheGroupPart(t *testing.T) {
	w := splitWorld(t, 4)
	turns := w.hold(1000)
	for _, m := range w.members {
		m.setProofErr(nil)
	}
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	require.Equal(t, 1, w.chain.carried)
	require.Equal(t, 1, w.carriedBy(turns[0]), "the first in turn")
	v := w.chain.vaults[types.VaultName(w.keygen(1).Vault)]
	require.True(t, v.Split)
	for _, m := range w.members {
		msg := w.chain.messages[m.address][0]
		require.Nil(t, msg.PublicShares)
		require.Equal(t, len(msg.Group) > 0, len(msg.Certificate) > 0, "the certificate comes with it")
		require.Equal(t, [][]string{{"secrets-" + v.Vault + ".json"}}, m.contents)
	}
	carrier := w.chain.messages[turns[0].address][0]
	hash, err := w.keygen(1).Makes(unhex(v.Vault), unhex(v.PubKeyEd25519)).GroupHash(carrier.Group)
	require.NoError(t, err)
	require.Equal(t, v.SharesHash, hex.EncodeToString(hash))
}

// However many of those in whose turn it is are dead, the next one that lives carries it, and
// nobody sooner.
func TestTheNextOneCarriesWhenCarriersAreDead(t *testing.T) {
	for dead := range 3 {
		t.Run(fmt.Sprintf("%d are dead", dead), func(t *testing.T) {
			w := splitWorld(t, 7)
			turns := w.hold(10_000)
			w.chain.mu.Lock()
			w.chain.keygens[1].Needed = 4
			w.chain.mu.Unlock()
			for _, m := range turns[dead:] {
				m.setProofErr(nil)
			}
			w.eventually("they have sealed", func() bool {
				return !slices.ContainsFunc(turns[dead:], func(m *member) bool { return m.counted("sealed") == 0 })
			})
			for range 2 * dead {
				w.chain.advance(1)
			}
			w.eventually("all others have voted", func() bool {
				return !slices.ContainsFunc(turns[dead:], func(m *member) bool { return w.chainVotes(m) == 0 })
			})
			require.Equal(t, 1, w.carriedBy(turns[dead]))
			for _, m := range turns[:dead] {
				m.setProofErr(nil)
			}
			w.awaitReady(1)
			w.awaitClosed(1)
			w.checkInvariants()
			for _, m := range w.members {
				require.Equal(t, 1, w.chainVotes(m))
			}
			require.LessOrEqual(t, w.chain.carried, 2, "%d blocks are not always told apart", 2)
		})
	}
}

// lyingChain sends another group part than the loop made, signed with the member's own key.
type lyingChain struct {
	*fakeChain
	m    *member
	lies int
}

func (c *lyingChain) Broadcast(ctx context.Context, raw []byte) error {
	_, sequence, msg := decode(raw)
	vote, ok := msg.(*types.MsgTssPool)
	if ok && len(vote.Group) > 0 {
		c.lies++
		vote.Group[40]++ // a point
		forged, err := chain.SignTx(vote, chain.TxParams{
			ChainID: testChain, AccountNumber: 7, Sequence: sequence, Gas: gasOf(raw), TimeoutHeight: 5000,
		}, keySigner{c.m.key})
		must(err)
		raw = forged
	}
	return c.fakeChain.Broadcast(ctx, raw)
}

// A carrier that lies wins nothing by it: its group part is not the one in the certificate.
func TestACarrierThatLies(t *testing.T) {
	w := splitWorld(t, 4)
	liars := map[*member]*lyingChain{}
	for _, m := range w.members {
		liars[m] = &lyingChain{fakeChain: w.chain, m: m}
	}
	// Who is first in turn shows only with the result, so each may lie.
	for m, liar := range liars {
		m.chain = liar
	}
	turns := w.hold(1000)
	for _, m := range turns[1:] {
		liars[m].m = nil
	}
	honest := func(m *member) { m.halt(); m.chain = w.chain; m.run() }
	for _, m := range turns[1:] {
		honest(m)
	}
	for _, m := range w.members {
		m.setProofErr(nil)
	}
	w.eventually("it lies", func() bool { return w.sequenceOf(turns[0]) >= 2 })
	w.chain.advance(8)
	w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) >= 3 })
	require.Zero(t, w.carriedBy(turns[0]))
	k := w.keygen(1)
	require.NotNil(t, k.Certificate)
}

func (w *world) sequenceOf(m *member) uint64 {
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	return w.chain.sequence[m.address]
}

// Near the deadline everyone carries it, in the same block too, and each vote is as good.
func TestEveryoneCarriesNearTheDeadline(t *testing.T) {
	w := splitWorld(t, 4)
	turns := w.hold(1000)
	k := w.keygen(1)
	w.chain.mu.Lock()
	w.chain.mempool = nil
	w.chain.mu.Unlock()
	height, err := w.chain.Height(t.Context())
	require.NoError(t, err)
	w.chain.advance(k.CertificateDeadline - height - lastBlocks)
	for _, m := range turns[1:] {
		m.setProofErr(nil)
	}
	w.eventually("three have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
	turns[0].setProofErr(nil)
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	for _, m := range w.members {
		require.Equal(t, 1, w.chainVotes(m))
	}
}

// A vote that carries the group part is fixed, and its member dies before it is sent. Meanwhile
// another one has carried it: the fixed vote stays good.
func TestAFixedVoteStaysGood(t *testing.T) {
	w := splitWorld(t, 4)
	turns := w.hold(1000)
	w.chain.mu.Lock()
	w.chain.drop[turns[0].address] = true
	w.chain.mu.Unlock()
	turns[0].setProofErr(nil)
	w.eventually("it is fixed", func() bool {
		s := turns[0].status()
		return len(s.Outbox) == 1 && s.Outbox[0].Step == outbox.StepTx
	})
	turns[0].halt()
	for _, m := range turns[1:] {
		m.setProofErr(nil)
	}
	w.chain.advance(3)
	w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.chain.mu.Lock()
	w.chain.drop = map[string]bool{}
	w.chain.mu.Unlock()
	turns[0].run()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	require.Equal(t, 1, w.carriedBy(turns[0]))
}

// A member whose keyshares give another group part than the one in the certificate casts no vote,
// and says why. When the vault lives all the same, its envelope holds the keyshares whole: with the
// group part on the chain its secrets would be of no use.
func TestAnotherGroupPartThanTheOthers(t *testing.T) {
	w := splitWorld(t, 4)
	turns := w.hold(1000)
	w.chain.mu.Lock()
	w.chain.keygens[1].Needed = 3
	w.chain.mu.Unlock()
	other := turns[3]
	for _, m := range turns[:3] {
		m.setProofErr(nil)
	}
	w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.awaitChecked(1)
	other.mu.Lock()
	other.regroup = func(group []byte) []byte { group[len(group)-1]++; return group }
	other.mu.Unlock()
	other.setProofErr(nil)
	w.eventually("it says so", func() bool { return other.says(errOtherShares.Error()) })
	require.Zero(t, w.chainVotes(other))
	other.mu.Lock()
	require.Empty(t, other.contents, "nothing is sealed for a vote that is not cast")
	other.mu.Unlock()
	w.chain.advance(1001)
	w.awaitReady(1)
	name := types.VaultName(w.keygen(1).Vault)
	w.eventually("its backup is published later", func() bool { return w.published(name, other) })
	other.halt()
	last := other.contents[len(other.contents)-1]
	require.Len(t, last, 2)
	for _, f := range last {
		require.True(t, strings.HasPrefix(f, "localstate-"), f)
	}
}

// The envelope of a vote that missed its vault is published later, with the secrets alone in it.
func TestALaterPublicationOfASplitVault(t *testing.T) {
	w := splitWorld(t, 6)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 5
	late := w.members[5]
	late.proofErr = fmt.Errorf("no randomness")
	w.start()
	w.eventually("five votes", func() bool {
		w.chain.advance(1)
		return len(w.keygen(1).Votes) == 5
	})
	w.awaitChecked(1)
	w.chain.advance(1001)
	w.awaitReady(1)
	late.setProofErr(nil)
	name := types.VaultName(w.keygen(1).Vault)
	w.eventually("the backup is there", func() bool { return w.published(name, late) })
	late.halt()
	// Where it saw the keygen open still, it has sealed for the vote that came too late as well.
	require.NotEmpty(t, late.contents)
	for _, sealed := range late.contents {
		require.Equal(t, []string{"secrets-" + name + ".json"}, sealed)
	}
}

// A chain that turns split backups on has unsplit vaults beside, and the other way round.
func TestSplitAndUnsplitVaultsStandBesideEachOther(t *testing.T) {
	w := splitWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.chain.mu.Lock()
	w.chain.split = false
	w.chain.mu.Unlock()
	w.chain.open(2, 1000, w.infos())
	w.awaitReady(2)
	w.awaitClosed(2)
	for _, m := range w.members {
		require.Equal(t, 2, w.chainVotes(m))
		require.Len(t, m.contents, 2)
		require.Len(t, m.contents[0], 1)
		require.Len(t, m.contents[1], 2)
		require.NotNil(t, w.chain.messages[m.address][1].PublicShares)
	}
}
