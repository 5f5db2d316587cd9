package held

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var sealed = []byte("envelope of a member")

// Who has lost its own envelope gets it from whichever member has it, on its own node or with
// nothing than its key, and passes over who keeps nothing, who lies, and who is not there.
func TestAnEnvelopeComesFromWhicheverMemberHasIt(t *testing.T) {
	w := newWorld(t, 5)
	lost, nothing, lies, gone, keeps := w.members[0], w.members[1], w.members[2], w.members[3], w.members[4]
	require.NoError(t, keeps.store.Put(1, [][]byte{[]byte("envelope of another"), sealed}))
	liar(lies, append([]byte{answerOK}, "envelope of somebody else"...))
	require.NoError(t, gone.node.Close())
	var peers []string
	for _, m := range w.members[1:] {
		peers = append(peers, m.node.Addrs()...)
	}
	for name, client := range map[string]*Client{
		"over its own node": lost.client, "with its key alone": w.dialer(lost, peers, false),
	} {
		t.Run(name, func(t *testing.T) {
			lost.passed.errs = map[string]error{}
			got, err := client.Get(t.Context(), w.others(lost), sum(sealed))
			require.NoError(t, err)
			require.Equal(t, sealed, got)
			require.ErrorIs(t, lost.passed.of(nothing), ErrNotHeld)
			require.ErrorIs(t, lost.passed.of(lies), ErrOther)
			require.Error(t, lost.passed.of(gone))
			require.NoError(t, lost.passed.of(keeps))

			_, err = client.Get(t.Context(), w.others(lost), sum([]byte("what nobody has")))
			require.ErrorIs(t, err, ErrNobody)
			_, err = client.Get(t.Context(), nil, sum(sealed))
			require.ErrorIs(t, err, ErrNobody)
		})
	}
}

// A member that takes its time keeps nobody from asking the next one.
func TestAMemberThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, 3)
	lost, slow, keeps := w.members[0], w.members[1], w.members[2]
	require.NoError(t, keeps.store.Put(1, [][]byte{sealed}))
	open := lost.client.Open
	released := make(chan struct{}, 2)
	lost.client.Open = func(ctx context.Context, pubKey []byte) (Stream, error) {
		if bytes.Equal(pubKey, slow.pub) {
			<-ctx.Done()
			released <- struct{}{}
			return nil, ctx.Err()
		}
		return open(ctx, pubKey)
	}
	lost.client.stagger = time.Millisecond
	got, err := lost.client.Get(t.Context(), w.others(lost), sum(sealed))
	require.NoError(t, err)
	require.Equal(t, sealed, got)
	<-released // it does not go on in the back

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = lost.client.Get(ctx, w.others(lost), sum(sealed))
	require.ErrorIs(t, err, context.Canceled)
}

// Nobody but members of epochs that live is served, whatever the gate lets in.
func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t, 2)
	keeps, stranger := w.members[0], w.join()
	require.NoError(t, keeps.store.Put(1, [][]byte{sealed}))
	require.NoError(t, stranger.node.Admit(w.keys()))
	_, err := stranger.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.Error(t, err, "the connection is not let in")
	_, err = w.dialer(stranger, keeps.node.Addrs(), false).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.Error(t, err, "nor is that of the tool")

	// As a member of a ceremony it gets in, and at nothing.
	require.NoError(t, keeps.node.Admit([][]byte{stranger.pub, w.members[1].pub}))
	_, err = stranger.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorIs(t, err, ErrRefused)
	_, err = stranger.client.Put(t.Context(), keeps.pub, 1, sealed)
	require.ErrorIs(t, err, ErrRefused)

	// Nor does a member once none of its epochs lives.
	_, err = w.members[1].client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.NoError(t, err)
	w.live()
	_, err = w.members[1].client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorIs(t, err, ErrRefused)
}

// Who answers at a member's address has to be that member.
func TestWhoAnswersInAMembersPlaceIsNoMember(t *testing.T) {
	w := newWorld(t, 3)
	lost, other, keeps := w.members[0], w.members[1], w.members[2]
	require.NoError(t, other.store.Put(1, [][]byte{sealed}))
	at := strings.Split(other.node.Addrs()[0], "/p2p/")[0]
	peer := fmt.Sprintf("%s/p2p/%s", at, keeps.node.PeerID())
	_, err := w.dialer(lost, []string{peer}, false).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorContains(t, err, "peer id mismatch")
}

// What members claim of where they are has the tool dial nothing that is not public; what its user
// says does.
func TestTheToolDialsPublicAddressesThatAreClaimed(t *testing.T) {
	w := newWorld(t, 2)
	lost, keeps := w.members[0], w.members[1]
	require.NoError(t, keeps.store.Put(1, [][]byte{sealed}))
	_, port, _ := strings.Cut(strings.Split(keeps.node.Addrs()[0], "/p2p/")[0], "/tcp/")
	for _, claim := range []string{"/ip4/127.0.0.1/tcp/", "/dns4/localhost/tcp/"} {
		w.names[string(keeps.pub)] = []string{"nonsense", claim + port}
		_, err := w.dialer(lost, nil, true).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
		require.ErrorContains(t, err, "no public address", claim)
	}
	for _, said := range []string{"/ip4/127.0.0.1/tcp/", "/dns4/localhost/tcp/", "/dns/localhost/tcp/"} {
		peer := said + port + "/p2p/" + keeps.node.PeerID()
		_, err := w.dialer(lost, []string{peer}, true).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
		require.NoError(t, err, said)
	}
	w.names = nil
	_, err := w.dialer(lost, nil, true).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorContains(t, err, "nobody says where it is reached")

	for _, peer := range []string{"nonsense", "/ip4/127.0.0.1/tcp/1", ""} {
		_, err := NewDialer(lost.key, []string{peer}, nil)
		require.Error(t, err, peer)
	}
	_, err = NewDialer(lost.key[1:], nil, nil)
	require.Error(t, err)
	d, err := NewDialer(lost.key, keeps.node.Addrs(), nil)
	require.NoError(t, err)
	d.Wipe()
	_, err = (&Client{Open: d.Open}).Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorIs(t, err, ErrNobody)
}

// A member gets receipts for what it brings of its own, once it is on the disk; for nothing else.
func TestAMemberDepositsItsOwnEnvelope(t *testing.T) {
	w := newWorld(t, 3)
	publisher, keeps, other := w.members[0], w.members[1], w.members[2]
	w.live(
		Epoch{Number: 1, Members: w.keys()},
		Epoch{Number: 2, Members: [][]byte{keeps.pub, other.pub}},
	)
	got, err := publisher.client.Put(t.Context(), keeps.pub, 1, sealed)
	require.NoError(t, err)
	require.Equal(t, receipt(keeps.pub, 1, publisher.pub, sum(sealed), uint64(len(sealed))), got)
	held, err := Open(keeps.store.dir).Get(sum(sealed))
	require.NoError(t, err)
	require.Equal(t, sealed, held)
	got, err = publisher.client.Put(t.Context(), keeps.pub, 1, sealed)
	require.NoError(t, err, "again is fine")
	require.Len(t, got, signatureSize)

	for name, put := range map[string]struct {
		epoch    uint64
		envelope []byte
	}{
		"of an epoch that it is no member of": {2, sealed},
		"of no epoch that lives":              {3, sealed},
		"that is none":                        {1, []byte("anything")},
		"that is empty":                       {1, nil},
		"that is too large":                   {1, append([]byte("envelope "), make([]byte, types.MaxHeldEnvelope)...)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := publisher.client.Put(t.Context(), keeps.pub, put.epoch, put.envelope)
			require.Error(t, err)
			require.False(t, keeps.store.Has(sum(put.envelope)) && put.epoch == 1)
		})
	}
	epochs, err := keeps.store.Epochs()
	require.NoError(t, err)
	require.Equal(t, []uint64{1}, epochs)
	require.Contains(t, keeps.log.String(), errForm.Error())
}

// Whatever a member brings, what the chain names stays.
func TestAFloodOfEnvelopesTakesNothingFromAnyone(t *testing.T) {
	w := newWorld(t, 3)
	flooder, keeps, other := w.members[0], w.members[1], w.members[2]
	named := []byte("envelope that the chain names")
	require.NoError(t, keeps.store.Put(1, [][]byte{sealed}))
	_, err := flooder.client.Put(t.Context(), keeps.pub, 1, named)
	require.NoError(t, err)
	w.live(Epoch{Number: 1, Members: w.keys(), Named: []Named{{flooder.pub, sum(named)}}})
	kept, refused := 0, 0
	for i := range requestsAtOnce + 20 {
		_, err := flooder.client.Put(t.Context(), keeps.pub, 1, fmt.Appendf(nil, "envelope %d", i))
		switch {
		case err == nil:
			kept++
		case errors.Is(err, ErrLater):
			refused++
		default:
			require.NoError(t, err)
		}
	}
	require.Equal(t, maxUnnamed, kept)
	require.Equal(t, requestsAtOnce+20-maxUnnamed, refused)
	require.True(t, keeps.store.Has(sum(sealed)))
	require.True(t, keeps.store.Has(sum(named)))

	// It cannot ask for more for a while, and the others can.
	_, err = flooder.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	for err == nil { // it came to new tokens
		_, err = flooder.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	}
	require.ErrorIs(t, err, ErrLater)
	_, err = other.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.NoError(t, err)
}

// A member that leaves its streams open has as many as are for one member, and takes none from the
// others.
func TestStreamsThatStayOpenAreBounded(t *testing.T) {
	w := newWorld(t, 3)
	slow, keeps, other := w.members[0], w.members[1], w.members[2]
	require.NoError(t, keeps.store.Put(1, [][]byte{sealed}))
	var streams []network.Stream
	for range streamsOfMember {
		st, err := slow.node.Open(t.Context(), keeps.pub, Protocol)
		require.NoError(t, err)
		_, err = st.Write([]byte{kindGet})
		require.NoError(t, err)
		streams = append(streams, st)
	}
	taken := func() int {
		keeps.server.mu.Lock()
		defer keeps.server.mu.Unlock()
		return keeps.server.members[string(slow.pub)].streams
	}
	require.Eventually(t, func() bool { return taken() == streamsOfMember }, time.Minute, time.Millisecond)
	_, err := slow.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.ErrorIs(t, err, ErrLater)
	_, err = other.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.NoError(t, err)
	for _, st := range streams {
		require.NoError(t, st.Reset())
	}
	require.Eventually(t, func() bool { return taken() == 0 }, time.Minute, time.Millisecond)
	_, err = slow.client.Get(t.Context(), [][]byte{keeps.pub}, sum(sealed))
	require.NoError(t, err)
}

// The largest envelope passes in both directions, from many members at once.
func TestTheLargestEnvelopesPassAtOnce(t *testing.T) {
	w := newWorld(t, 6)
	keeps := w.members[0]
	var all sync.WaitGroup
	errs := make(chan error, len(w.members))
	for i, m := range w.members[1:] {
		large := bytes.Repeat([]byte{byte(i)}, types.MaxHeldEnvelope)
		copy(large, "envelope ")
		all.Go(func() {
			_, err := m.client.Put(t.Context(), keeps.pub, 1, large)
			if err == nil {
				var got []byte
				got, err = w.dialer(m, keeps.node.Addrs(), false).Get(t.Context(), [][]byte{keeps.pub}, sum(large))
				if err == nil && !bytes.Equal(got, large) {
					err = errors.New("other bytes")
				}
			}
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestAnswersThatAreNoneArePassedOver(t *testing.T) {
	w := newWorld(t, 2)
	asks, lies := w.members[0], w.members[1]
	for name, answer := range map[string][]byte{
		"empty": {}, "of no kind": {9}, "without a body": {answerOK}, "with a body that it has not": {answerNone, 1},
		"too long": append([]byte{answerOK}, make([]byte, types.MaxHeldEnvelope+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			liar(lies, answer)
			_, err := asks.client.Get(t.Context(), [][]byte{lies.pub}, sum(sealed))
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrNotHeld)
			_, err = asks.client.Put(t.Context(), lies.pub, 1, sealed)
			require.Error(t, err)
		})
	}
	liar(lies, []byte{answerOK, 1, 2, 3})
	_, err := asks.client.Put(t.Context(), lies.pub, 1, sealed)
	require.ErrorContains(t, err, "a receipt of 3 bytes")
}

func FuzzRequest(f *testing.F) {
	f.Add(request{sum: sum(sealed)}.encode())
	f.Add(request{epoch: 7, envelope: sealed}.encode())
	f.Add([]byte{})
	f.Add([]byte{kindPut, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err == nil {
			require.Equal(t, b, r.encode())
			require.LessOrEqual(t, len(r.envelope), types.MaxHeldEnvelope)
			require.NotEqual(t, r.sum == nil, r.envelope == nil)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(encodeAnswer(sealed, nil))
	for _, err := range []error{ErrNotHeld, ErrRefused, ErrLater, errForm} {
		f.Add(encodeAnswer(nil, err))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := decodeAnswer(b)
		switch {
		case err == nil:
			require.Equal(t, b, encodeAnswer(body, nil))
		case errors.Is(err, ErrNotHeld) || errors.Is(err, ErrRefused) || errors.Is(err, ErrLater):
			require.Equal(t, b, encodeAnswer(nil, err))
		}
	})
}
