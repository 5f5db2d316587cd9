package held

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// fakeChain is what a chain says of vaults, to whoever looks.
type fakeChain struct {
	vaults  []vault.Vault
	backups map[string][]types.Commitment // by epoch and member's key
	keygens map[uint64]vault.Keygen
	err     error
}

func (c *fakeChain) Vaults(_ context.Context, member []byte) (all []vault.Vault, _ error) {
	for _, v := range c.vaults {
		if _, ok := v.Member(member); ok && v.IsLive() {
			all = append(all, v)
		}
	}
	return all, c.err
}

func (c *fakeChain) Vault(_ context.Context, pubKey []byte) (vault.Vault, error) {
	for _, v := range c.vaults {
		if string(v.PubKey) == string(pubKey) {
			return v, nil
		}
	}
	return vault.Vault{}, errors.New("no such vault")
}

func (c *fakeChain) Backups(_ context.Context, v vault.Vault) (all [][]types.Commitment, _ error) {
	for _, m := range v.Members {
		all = append(all, c.backups[backupKey(v.Epoch, m.PubKey)])
	}
	return all, nil
}

func (c *fakeChain) Keygen(_ context.Context, id uint64) (vault.Keygen, error) {
	return c.keygens[id], nil
}

func backupKey(epoch uint64, pubKey []byte) string { return fmt.Sprintf("%d/%x", epoch, pubKey) }

// active is a vault of members who hold each other's envelopes.
func active(name byte, epoch uint64, members ...*member) vault.Vault {
	v := vault.Vault{PubKey: append(make([]byte, 32), name)}
	v.Status, v.Epoch = types.VaultStatus_VAULT_STATUS_ACTIVE, epoch
	v.Placement, v.Threshold = types.Placement_PLACEMENT_MEMBERS, uint32(2*len(members)+2)/3
	for _, m := range members {
		v.Members = append(v.Members, types.Member{PubKey: m.pub})
	}
	return v
}

// publish has a member's envelopes be named.
func (c *fakeChain) publish(epoch uint64, m *member, envelopes ...[]byte) {
	for _, e := range envelopes {
		key := backupKey(epoch, m.pub)
		c.backups[key] = append(c.backups[key], types.Held(e))
	}
}

func newChain(vaults ...vault.Vault) *fakeChain {
	return &fakeChain{
		vaults: vaults, backups: map[string][]types.Commitment{}, keygens: map[uint64]vault.Keygen{},
	}
}

// keeper is that of a member, wired as a bifrost has it.
func (w *world) keeper(m *member, c *fakeChain) *Keeper {
	return NewKeeper(KeeperConfig{
		PubKey: m.pub, Store: m.store, Update: m.server.Update, Admit: m.node.Admit,
		Open: m.client.Open, Log: m.logger(),
		Look: func(context.Context) (Records, error) {
			if c.err != nil {
				return nil, c.err
			}
			return c, nil
		},
	})
}

func of(m *member) []byte { return fmt.Appendf(nil, "envelope of %x", m.pub) }

// A member whose disk is new gets all that the chain names from the others, whoever of them has it,
// and it serves and admits them from then on.
func TestWhatADiskLostComesBackFromTheOthers(t *testing.T) {
	w := newWorld(t, 5)
	lost, lies, half, keeps := w.members[0], w.members[2], w.members[3], w.members[4] // one more has nothing
	chain := newChain(active(1, 7, w.members...))
	all := map[string]string{}
	for _, m := range w.members {
		chain.publish(7, m, of(m))
		all["7/"+nameOf(of(m))] = string(of(m))
	}
	later := []byte("envelope that was published later")
	chain.publish(7, half, later)
	all["7/"+nameOf(later)] = string(later)
	// One that its member's vote carried is with the nodes.
	chain.backups[backupKey(7, half.pub)] = append(chain.backups[backupKey(7, half.pub)],
		types.Commitment{Sha256: sum([]byte("on chain")), Size_: 8})

	require.NoError(t, half.store.Put(7, [][]byte{of(lost), of(half)}))
	require.NoError(t, half.store.Deposit(7, half.pub, later, none))
	for _, m := range w.members {
		require.NoError(t, keeps.store.Put(7, [][]byte{of(m)}))
	}
	for _, m := range w.members[1:] {
		m.server.Update(nil)
		require.NoError(t, w.keeper(m, newChain(chain.vaults...)).job.Once(t.Context()))
	}
	liar(lies, append([]byte{answerOK}, of(lies)...))

	k := w.keeper(lost, chain)
	require.NoError(t, k.job.Once(t.Context()))
	require.Equal(t, all, disk.Tree(t, lost.store.dir))
	st := k.Status()
	require.Equal(t, Status{Named: 6, Held: 6, Missing: []Missing{}}, st)
	require.Empty(t, st.Problems())
	for _, m := range []*member{half, keeps} {
		_, err := m.client.Get(t.Context(), [][]byte{lost.pub}, sum(later))
		require.NoError(t, err, "it serves what it has got")
	}
}

// Who gives other bytes is named in the log, and is not asked for the next one.
func TestWhoGivesOtherBytesIsNamed(t *testing.T) {
	w := newWorld(t, 2)
	lost, lies := w.members[0], w.members[1]
	chain := newChain(active(1, 7, w.members...))
	chain.publish(7, lost, of(lost))
	chain.publish(7, lies, of(lies))
	require.NoError(t, w.keeper(lies, newChain(chain.vaults...)).job.Once(t.Context()))
	liar(lies, append([]byte{answerOK}, "envelope of somebody else"...))
	k := w.keeper(lost, chain)
	require.ErrorIs(t, k.job.Once(t.Context()), errMissing)
	require.Contains(t, lost.log.String(), fmt.Sprintf("%x", lies.pub))
	require.Contains(t, lost.log.String(), ErrOther.Error())
	st := k.Status()
	require.Equal(t, 2, st.Named)
	require.Equal(t, 0, st.Held)
	require.Contains(t, st.Missing[0].Error, ErrOther.Error())
	require.Contains(t, st.Missing[1].Error, "none to ask")
	require.Contains(t, st.Problems()[0], "2 of 2 envelopes that the members hold are not here")
	require.Equal(t, fmt.Sprintf("%x", sum(of(lost))), st.Missing[0].SHA256)
}

func TestWhatTheDiskDamagedIsFetchedAgain(t *testing.T) {
	w := newWorld(t, 2)
	lost, keeps := w.members[0], w.members[1]
	chain := newChain(active(1, 7, w.members...))
	chain.publish(7, keeps, of(keeps))
	require.NoError(t, lost.store.Put(7, [][]byte{of(keeps)}))
	require.NoError(t, keeps.store.Put(7, [][]byte{of(keeps)}))
	require.NoError(t, w.keeper(keeps, chain).job.Once(t.Context()))
	k := w.keeper(lost, chain)
	now := time.Now()
	k.now = func() time.Time { return now }
	require.NoError(t, k.job.Once(t.Context()))
	path := filepath.Join(lost.store.dir, "7", nameOf(of(keeps)))
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	require.NoError(t, k.job.Once(t.Context()), "it is read once in a while")
	now = now.Add(readPeriod)
	require.NoError(t, k.job.Once(t.Context()))
	got, err := lost.store.Get(sum(of(keeps)))
	require.NoError(t, err)
	require.Equal(t, of(keeps), got)
}

// Only what is of no use to anybody any more is removed.
func TestEnvelopesStayAsLongAsTheirEpochs(t *testing.T) {
	w := newWorld(t, 2)
	m := w.members[0]
	live, retired, handed, others := active(1, 10, w.members...), active(2, 11, w.members...),
		active(3, 13, w.members...), active(4, 15, w.members[1])
	retired.Status = types.VaultStatus_VAULT_STATUS_RETIRED
	handed.Former = []types.FormerEpoch{{Epoch: 9}, {Epoch: 12}}
	handed.GraceUntil = 1000
	others.Former = []types.FormerEpoch{{Epoch: 14}}
	chain := newChain(live, retired, handed, others)
	ready := func(v vault.Vault) vault.Keygen {
		var k vault.Keygen
		k.Status, k.Vault = types.KeygenStatus_KEYGEN_STATUS_READY, v.PubKey
		return k
	}
	status := func(s types.KeygenStatus) (k vault.Keygen) {
		k.Status = s
		return k
	}
	chain.keygens = map[uint64]vault.Keygen{
		9: ready(handed), 10: ready(live), 11: ready(retired), 12: ready(handed), 13: ready(handed), 14: ready(others),
		16: status(types.KeygenStatus_KEYGEN_STATUS_OPEN), 17: status(types.KeygenStatus_KEYGEN_STATUS_FAILED),
		18: status(types.KeygenStatus_KEYGEN_STATUS_READY), // its siblings have yet to end
	}
	for epoch := uint64(8); epoch < 20; epoch++ {
		if epoch != 15 {
			require.NoError(t, m.store.Put(epoch, [][]byte{of(m)}))
		}
	}
	k := w.keeper(m, chain)
	require.NoError(t, k.job.Once(t.Context()))
	epochs, err := m.store.Epochs()
	require.NoError(t, err)
	require.Equal(t, []uint64{10, 12, 13, 16, 18, 19}, epochs, "19 the records do not know of yet, and 8 no more")

	// Without the records nothing is removed, fetched or forgotten.
	chain.err = errors.New("no node answers")
	require.ErrorContains(t, k.job.Once(t.Context()), "no node answers")
	require.Equal(t, "no node answers", k.Status().Error)
	again, err := m.store.Epochs()
	require.NoError(t, err)
	require.Equal(t, epochs, again)
	_, err = w.members[1].client.Get(t.Context(), [][]byte{m.pub}, sum(of(m)))
	require.NoError(t, err)
}

// A publication gets the receipts of all who keep the envelope, and none without enough of them.
func TestADepositHasTheReceiptsOfAThreshold(t *testing.T) {
	const chainID, prefix = "test-1", "cosmos"
	w := newWorld(t, 4)
	publisher, forges := w.members[0], w.members[1]
	for _, m := range w.members[1:] {
		m.server.cfg.Sign = func(epoch uint64, by, hash []byte, size uint64) ([]byte, error) {
			return m.sign(types.ReceiptMessage(chainID, epoch, types.SignerAddress(by), hash, size)), nil
		}
	}
	forges.server.cfg.Sign = func(epoch uint64, by, hash []byte, size uint64) ([]byte, error) {
		return forges.sign(types.ReceiptMessage("test-2", epoch, types.SignerAddress(by), hash, size)), nil
	}
	v := active(1, 1, w.members...)
	receipts, err := publisher.client.Deposit(t.Context(), chainID, prefix, v, publisher.pub, sealed)
	require.NoError(t, err)
	require.Len(t, receipts, 2)
	message := types.ReceiptMessage(chainID, 1, types.SignerAddress(publisher.pub), sum(sealed), uint64(len(sealed)))
	require.NoError(t, types.CheckReceipts(
		receipts, message, types.SignerAddress(publisher.pub), v.Members, codec{}))
	require.ErrorContains(t, publisher.passed.of(forges), "not signed by it for this envelope")

	require.NoError(t, w.members[2].node.Close())
	_, err = publisher.client.Deposit(t.Context(), chainID, prefix, v, publisher.pub, sealed)
	require.ErrorIs(t, err, types.ErrInvalidReceipts)
	require.ErrorContains(t, err, fmt.Sprintf("member %x", w.members[2].pub))
}
