package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// heldWorld is a world in which members hold each other's envelopes.
func heldWorld(t *testing.T, n int) *world {
	w := newWorld(t, n)
	w.chain.placement = types.Placement_PLACEMENT_MEMBERS
	return w
}

// holds is where the member keeps the envelopes of all.
func (m *member) holds() *held.Store { return held.Open(filepath.Join(m.home, "envelopes")) }

// deposit has the others hold an envelope that the member brings them.
func (m *member) deposit(
	ctx context.Context, v vault.Vault, sealed []byte,
) (receipts []types.Receipt, err error) {
	sum := types.Held(sealed)
	message := types.ReceiptMessage(testChain, v.Epoch, m.raw(), sum.Sha256, sum.Size_)
	for _, other := range m.w.members {
		if other == m {
			continue
		}
		other.mu.Lock()
		refuses, stalls := other.refuses, other.stalls
		other.mu.Unlock()
		if stalls != nil {
			select {
			case <-stalls:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if refuses {
			err = errors.Join(err, fmt.Errorf("%s does not answer", other.address))
			continue
		}
		if err := other.holds().Put(v.Epoch, [][]byte{sealed}); err != nil {
			return nil, err
		}
		receipts = append(receipts, types.Receipt{
			Member: other.address, Signature: signDigest(other.key.Key, message),
		})
	}
	if tooFew := types.CheckReceiptCount(len(receipts), len(v.Members), v.Threshold); tooFew != nil {
		return nil, fmt.Errorf("the other members do not hold the envelope yet: %w", errors.Join(tooFew, err))
	}
	return receipts, nil
}

// signDigest signs 32 bytes as they are.
func signDigest(key, digest []byte) []byte {
	return ecdsa.SignCompact(secp256k1.PrivKeyFromBytes(key), digest, true)[1:]
}

// The envelopes are in no transaction, and each member holds those of all before any of them votes.
func TestMembersHoldEachOthersEnvelopes(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split: %t", split), func(t *testing.T) {
			w := heldWorld(t, 4)
			w.chain.split = split
			w.chain.open(1, 1000, w.infos())
			w.chain.keygens[1].Members[2].Asked = false
			w.start()
			w.awaitReady(1)
			w.awaitClosed(1)
			w.checkInvariants()
			lists := 0
			name := types.VaultName(w.keygen(1).Vault)
			for i, m := range w.members {
				msg := w.chain.messages[m.address][0]
				require.Empty(t, msg.KeysharesBackup)
				require.Equal(t, i != 2, len(msg.Proof) > 0)
				require.Equal(t, len(msg.Certificate) > 0, len(msg.Envelopes) > 0, "the list comes with the certificate")
				require.NotEqual(t, len(msg.Envelopes) > 0, len(msg.EnvelopesHash) > 0)
				if len(msg.Envelopes) > 0 {
					lists++
				}
				commitments, err := w.chain.Backup(t.Context(), name, m.address)
				require.NoError(t, err)
				if i == 2 {
					require.Empty(t, commitments)
					require.Zero(t, m.seals)
					continue
				}
				require.Len(t, commitments, 1)
				require.True(t, commitments[0].IsHeld())
				for _, holder := range w.members {
					envelope, err := holder.holds().Get(commitments[0].Sha256)
					require.NoError(t, err)
					require.True(t, commitments[0].Matches(envelope))
				}
			}
			require.Positive(t, lists)
			if split {
				require.Equal(t, 1, lists)
			}
		})
	}
}

// A reshare has its members hold the envelopes of the next epoch.
func TestMembersOfAReshareHoldEachOthersEnvelopes(t *testing.T) {
	w := heldWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	w.awaitClosed(1)
	name := types.VaultName(w.keygen(1).Vault)
	w.reshare(name, 1000)
	w.requireReshared(name)
	next := w.members[1:]
	for _, m := range next {
		commitments, err := w.chain.Backup(t.Context(), name, m.address)
		require.NoError(t, err)
		require.Len(t, commitments, 1)
		for _, holder := range next {
			_, err := os.Stat(filepath.Join(
				holder.home, "envelopes", "2", hex.EncodeToString(commitments[0].Sha256)+".age"))
			require.NoError(t, err)
		}
	}
}

// Who cannot keep the envelopes of the others does not say that it holds them.
func TestWhoCannotHoldEnvelopesSignsForNothing(t *testing.T) {
	w := heldWorld(t, 4)
	broken := w.members[1]
	require.NoError(t, os.WriteFile(filepath.Join(broken.home, "envelopes"), nil, 0o600))
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("it says why", func() bool { return broken.says("keeping the members' envelopes") })
	require.Nil(t, w.keygen(1).Certificate)
	require.NoError(t, os.Remove(filepath.Join(broken.home, "envelopes")))
	w.awaitReady(1)
	w.awaitClosed(1)
}

// A publication later is one when a threshold of the members hold the envelope.
func TestALaterPublicationIsHeldByAThreshold(t *testing.T) {
	w := heldWorld(t, 6)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 5
	late := w.members[5]
	w.chain.drop[late.address] = true
	for _, m := range w.members[:3] {
		m.refuses = true
	}
	w.start()
	w.eventually("five votes", func() bool { return len(w.keygen(1).Votes) == 5 })
	w.awaitChecked(1)
	name := types.VaultName(w.keygen(1).Votes[0].Result.PubKey)
	w.goesOn()
	w.eventually("it says that too few hold it", func() bool {
		return late.says("the other members do not hold the envelope yet")
	})
	require.False(t, w.published(name, late))
	w.members[0].mu.Lock()
	w.members[0].refuses = false
	w.members[0].mu.Unlock()
	msg := w.awaitPublication(late, name)
	require.Empty(t, msg.KeysharesBackup)
	require.Len(t, msg.Receipts, 3, "with its own a threshold")
	late.mu.Lock()
	require.Equal(t, 2, late.seals, "one in the ceremony, and one for all tries after it")
	late.mu.Unlock()
	commitments, err := w.chain.Backup(t.Context(), name, late.address)
	require.NoError(t, err)
	require.True(t, commitments[0].IsHeld())
}

// A member that draws out its answer keeps nobody from the next keygen.
func TestWhoIsAskedToHoldAnEnvelopeHoldsNothingUp(t *testing.T) {
	w := heldWorld(t, 4)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 3
	late, slow := w.members[3], w.members[0]
	w.chain.drop[late.address] = true
	slow.stalls = make(chan struct{})
	w.start()
	w.eventually("three votes", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.awaitChecked(1)
	name := types.VaultName(w.keygen(1).Votes[0].Result.PubKey)
	w.goesOn()
	w.eventually("it has sealed for the others", func() bool {
		late.mu.Lock()
		defer late.mu.Unlock()
		return late.seals == 2
	})
	w.chain.open(2, 1000, w.infos())
	w.awaitReady(2)
	require.False(t, w.published(name, late))
	close(slow.stalls)
	require.Len(t, w.awaitPublication(late, name).Receipts, 3)
}

// A signer that holds no envelopes takes part in no keygen whose members do.
func TestWhoHoldsNothingTakesNoPart(t *testing.T) {
	w := heldWorld(t, 3)
	w.chain.open(1, 1000, w.infos())
	p := w.members[0].open()
	require.True(t, p.takesPart(w.keygen(1)))
	p.cfg.Hold = nil
	require.False(t, p.takesPart(w.keygen(1)))
}
