package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestProofThatCannotBeMadeIsLoudAndCastsNoVote(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(m *member, info *types.MemberInfo)
		says  string
	}{
		{"proving fails", func(m *member, _ *types.MemberInfo) { m.proofErr = errors.New("no randomness") }, "no randomness"},
		{"the recipient key is another mnemonic's", func(_ *member, info *types.MemberInfo) {
			info.RecipientKey = hex.EncodeToString(dealer.RecipientKey([]byte("another"), testIndex).Public())
		}, ErrRecipient.Error()},
		{"the recipient key is of another index", func(_ *member, info *types.MemberInfo) { info.RecipientIndex++ }, ErrRecipient.Error()},
		{"the chain holds no recipient key", func(_ *member, info *types.MemberInfo) { info.RecipientKey = "" }, "no recipient key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4)
			broken := w.members[2]
			infos := w.infos()
			row.spoil(broken, &infos[2])
			w.chain.open(1, 1000, infos)
			w.start()
			w.eventually("the others have voted", func() bool { return len(w.keygen(1).Votes) == 3 })
			w.eventually("the status says so", func() bool { return broken.status().ProofError != "" && broken.says(row.says) })
			require.Equal(t, outbox.StepSaved, broken.status().Outbox[0].Step)
			require.Positive(t, broken.counted("prove failed"))
			w.chain.mu.Lock()
			require.Empty(t, w.chain.envelopes[broken.address], "nothing leaves without its proof")
			require.Zero(t, w.chain.votes[broken.address])
			w.chain.mu.Unlock()
		})
	}
}

func TestProofThatFailedIsMadeLater(t *testing.T) {
	w := newWorld(t, 4)
	broken := w.members[2]
	broken.proofErr = errors.New("no randomness")
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("the status says so", func() bool { return broken.status().ProofError != "" })
	broken.setProofErr(nil)
	w.awaitReady(1)
	w.checkInvariants()
	w.eventually("the status is clean again", func() bool {
		s := broken.status()
		return s.ProofError == "" && len(s.Vaults) == 1 && s.Vaults[0].Proven
	})
	require.EqualValues(t, 1, broken.counted("proved"))

	// The proof that was sent stays on the disk.
	w.awaitClosed(1)
	r, err := outbox.NewOutbox(filepath.Join(broken.home, "outbox"), broken.keys).Closed(outbox.VoteName(1))
	require.NoError(t, err)
	require.Equal(t, outbox.StepDone, r.Step)
	require.Empty(t, r.Message)
	require.Equal(t, w.chain.messages[broken.address][0].Proof, r.Proof)
}

func TestMemberThatIsNotAskedSendsPublicSharesAlone(t *testing.T) {
	w := newWorld(t, 4)
	infos := w.infos()
	infos[3].Asked = false
	w.chain.open(1, 1000, infos)
	w.start()
	w.awaitReady(1)
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	for i, m := range w.members {
		msg := w.chain.messages[m.address][0]
		require.Equal(t, w.chain.messages[w.members[0].address][0].PublicShares, msg.PublicShares)
		require.Len(t, msg.PublicShares.Secp256k1, 4)
		require.Equal(t, i != 3, len(msg.Proof) > 0)
	}
	require.Zero(t, w.members[3].proofs())
}

// missed makes a world in which the last of six members misses its vault, by a vote that finds no
// block or, when proving or sealing fails, by none.
func missed(t *testing.T, spoil func(late *member)) (w *world, late *member, name string) {
	w = newWorld(t, 6)
	w.chain.open(1, 1000, w.infos())
	w.chain.keygens[1].Needed = 5
	late = w.members[5]
	w.chain.drop[late.address] = true
	spoil(late)
	w.start()
	w.eventually("five votes", func() bool { return len(w.keygen(1).Votes) == 5 })
	w.awaitChecked(1)
	w.eventually("the sixth has come as far as it does", func() bool {
		s := late.status()
		return len(s.Outbox) == 1 && (s.Outbox[0].Step == outbox.StepTx || s.Outbox[0].Error != "")
	})
	return w, late, types.VaultName(w.keygen(1).Votes[0].Result.PubKey)
}

// goesOn lets the vault become active and the late member's transactions find blocks.
func (w *world) goesOn() {
	w.chain.advance(1001)
	w.awaitReady(1)
	w.chain.mu.Lock()
	w.chain.drop = map[string]bool{}
	w.chain.mu.Unlock()
}

// publicationFails reports whether its later publication is on its way and does not go on.
func (m *member) publicationFails() bool {
	s := m.status()
	return len(s.Outbox) == 1 && s.Outbox[0].Kind == "backup" && s.Outbox[0].Error != ""
}

// published reports whether state holds a commitment of the member's.
func (w *world) published(name string, m *member) bool {
	list, err := w.chain.Backup(context.Background(), name, m.address)
	return err == nil && len(list) > 0
}

func (w *world) awaitPublication(m *member, name string) *types.MsgPublishBackup {
	w.t.Helper()
	w.eventually("the backup is there", func() bool {
		return w.published(name, m)
	})
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	require.Len(w.t, w.chain.later[m.address], 1)
	return w.chain.later[m.address][0]
}

func TestLaterPublicationSendsTheProofOfTheVote(t *testing.T) {
	w, late, name := missed(t, func(*member) {})
	w.goesOn()
	msg := w.awaitPublication(late, name)
	require.Equal(t, 1, late.proofs())
	w.chain.mu.Lock()
	require.True(t, w.chain.sent[late.address][hex.EncodeToString(msg.Proof)])
	require.Equal(t, msg.Proof, w.chain.proofs[name+"/"+late.address].Stored)
	w.chain.mu.Unlock()
	w.checkInvariants()
	w.eventually("the status says so", func() bool {
		s := late.status()
		return len(s.Vaults) == 1 && s.Vaults[0].Proven
	})
}

func TestLaterPublicationSendsTheProofOfAVoteThatWasNeverMade(t *testing.T) {
	w, late, name := missed(t, func(m *member) { m.sealErr = errors.New("no memory") })
	w.chain.advance(1001)
	w.awaitReady(1)
	w.eventually("the publication waits for its envelope", func() bool { return late.publicationFails() })
	late.setSealErr(nil)
	w.goesOn()
	require.NotEmpty(t, w.awaitPublication(late, name).Proof)
	require.Equal(t, 1, late.proofs())
	w.checkInvariants()
}

func TestLaterPublicationMakesItsProofOnce(t *testing.T) {
	for _, point := range []string{"", "proven", "message", "tx", "sent"} {
		t.Run("killed after "+point, func(t *testing.T) {
			w, late, name := missed(t, func(m *member) { m.proofErr = errors.New("no randomness") })
			w.chain.advance(1001)
			w.awaitReady(1)
			w.eventually("the publication waits for its proof", func() bool { return late.publicationFails() })
			late.mu.Lock()
			late.dieAt, late.proves, late.proofErr = point, 0, nil
			late.mu.Unlock()
			w.goesOn()
			require.NotEmpty(t, w.awaitPublication(late, name).Proof)
			require.Equal(t, 1, late.proofs())
			w.checkInvariants()
			late.mu.Lock()
			defer late.mu.Unlock()
			require.Equal(t, point != "", late.deaths == 1)
		})
	}
}

func TestLaterPublicationWithoutAProof(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(w *world, late *member, v *types.VaultInfo)
		says   string // in the status
	}{
		{"the chain holds a proof already", func(w *world, late *member, v *types.VaultInfo) {
			w.chain.proofs[v.Vault+"/"+late.address] = types.ProofInfo{Stored: []byte("stored")}
		}, ""},
		{"the vault has no public shares", func(_ *world, _ *member, v *types.VaultInfo) { v.SharesHash = "" }, ""},
		{"the chain keeps no recipient key any more", func(_ *world, _ *member, v *types.VaultInfo) { v.Members[5].RecipientKey = "" }, ""},
		{"the members agreed on other public shares", func(_ *world, _ *member, v *types.VaultInfo) { v.SharesHash = strings.Repeat("ab", 32) }, errOtherShares.Error()},
		{"the recipient key is another mnemonic's", func(_ *world, _ *member, v *types.VaultInfo) {
			v.Members[5].RecipientKey = hex.EncodeToString(dealer.RecipientKey([]byte("another"), testIndex).Public())
		}, ErrRecipient.Error()},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, late, name := missed(t, func(*member) {})
			late.halt()
			w.chain.advance(1001)
			w.awaitReady(1)
			w.chain.mu.Lock()
			v := w.chain.vaults[name]
			v.Members = append([]types.MemberInfo{}, v.Members...)
			row.change(w, late, v)
			w.chain.drop = map[string]bool{}
			w.chain.mu.Unlock()
			late.run()
			require.Empty(t, w.awaitPublication(late, name).Proof)
			if row.says == "" {
				require.Empty(t, late.status().ProofError)
			} else {
				require.Contains(t, late.status().ProofError, row.says)
				require.Positive(t, late.counted("prove failed"))
			}
		})
	}
}

func TestProofOfAnotherChainIsNotSent(t *testing.T) {
	w, late, name := missed(t, func(*member) {})
	w.chain.advance(1001)
	w.awaitReady(1)
	w.eventually("the vote's record is closed", func() bool {
		_, err := os.Stat(filepath.Join(late.home, "outbox", "closed", outbox.VoteName(1)))
		return err == nil
	})
	late.halt()
	// The chain went on under another name, by which the proof says nothing any more.
	p := late.open()
	r, err := p.outbox.Closed(outbox.VoteName(1))
	require.NoError(t, err)
	r.ProofContext[0]++
	require.NoError(t, p.outbox.Close(r))
	e, next := &entry{}, &outbox.Record{}
	known, err := w.chain.Vault(context.Background(), name)
	require.NoError(t, err)
	made, err := p.laterProof(context.Background(), e, known, next)
	require.NoError(t, err)
	require.True(t, made)
	require.NotEqual(t, r.Proof, next.Proof)
}

func TestAVoteWithOtherPublicSharesIsAnotherProcess(t *testing.T) {
	vote := func(member, key, shares byte) vault.Vote {
		return vault.Vote{Member: []byte{member}, Vote: types.Vote{Result: &types.Result{
			PubKey: []byte{key}, PubKeyEd25519: []byte{3}, SharesHash: []byte{shares},
		}}}
	}
	var log bytes.Buffer
	p := &Publisher{log: zerolog.New(&log)}
	e := &entry{rec: &outbox.Record{Step: outbox.StepMessage, Vault: "02", SharesHash: "aa"}}
	same, other := vote(1, 2, 0xaa), vote(1, 2, 0xbb)
	p.compare(e, &same)
	require.Empty(t, log.String())
	p.compare(e, &other)
	require.Contains(t, log.String(), "ANOTHER PROCESS")
}
