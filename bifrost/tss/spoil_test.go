package tss

import (
	"context"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"

	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// rewritten changes the messages that a member broadcasts, the same for all.
func rewritten(change func(step uint8, m proto.Message)) tamper {
	var mu sync.Mutex
	type place struct {
		session hash
		slot    slot
	}
	done := map[place]*frame{}
	return func(s *session, _ int, f *frame) *frame {
		if !ofOwn(s, f) || f.slot.to != everybody {
			return f
		}
		mu.Lock()
		defer mu.Unlock()
		at := place{s.id, f.slot}
		if done[at] == nil {
			wrapped := new(anypb.Any)
			if err := proto.Unmarshal(f.payload, wrapped); err != nil {
				panic(err)
			}
			m, err := wrapped.UnmarshalNew()
			if err != nil {
				panic(err)
			}
			change(f.slot.step, m)
			done[at] = forge(s, f, packed(m))
		}
		return done[at]
	}
}

// signWith lets as many members as are needed sign with the fixture's keyshares of one curve, while
// one of them changes what it broadcasts.
func (net *cluster) signWith(t *testing.T, file, bad int, change func(step uint8, m proto.Message)) []error {
	t.Helper()
	net.tamper(bad, rewritten(change))
	return net.eachWith(bad, func(ctx context.Context, i int, n *Node) error {
		share, err := keyshare.Parse(fixture.Keyshares(t, 4, i)[file].Data)
		if err != nil {
			return err
		}
		_, parties, err := checkMembers("x", share.Participants()[:len(net.members)])
		if err != nil {
			return err
		}
		_, err = n.keysign(ctx, "sign", share, net.members, parties, make([]byte, 32), true)
		return err
	})
}

// eachWith calls f for all nodes at once. The malicious one is stopped when the others are done:
// nobody answers it any more.
func (net *cluster) eachWith(bad int, f func(ctx context.Context, i int, n *Node) error) []error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var honest atomic.Int32
	return net.each(net.all(), func(i int, n *Node) error {
		if i == bad {
			return f(ctx, i, n)
		}
		defer func() {
			if int(honest.Add(1)) == len(net.nodes)-1 {
				stop()
			}
		}()
		return f(context.Background(), i, n)
	})
}

// What tss-lib would panic on, or fail without a culprit for, names its author at every honest
// member.
func TestWhoSpoilsASignatureIsNamed(t *testing.T) {
	const bad = 2
	for _, c := range []struct {
		name   string
		file   int
		want   string
		change func(step uint8, m proto.Message)
	}{
		{"another part of an ed25519 signature", 1, "not the author's part", func(_ uint8, m proto.Message) {
			if m, ok := m.(*edsigning.SignRound3Message); ok {
				s := number(m.S)
				m.S = s.Add(s, big.NewInt(1)).Mod(s, tsslib.Edwards().Params().N).Bytes()
			}
		}},
		{"another R than it committed to", 1, "committed to", func(_ uint8, m proto.Message) {
			if m, ok := m.(*edsigning.SignRound2Message); ok {
				m.DeCommitment[0] = []byte{1}
			}
		}},
		{"a U that it did not commit to, before which tss-lib panics", 0, "committed to", func(_ uint8, m proto.Message) {
			if m, ok := m.(*ecsigning.SignRound8Message); ok {
				x, y := secp{}.base()
				m.DeCommitment[1], m.DeCommitment[2] = x, y
			}
		}},
		{"a T that is no point", 0, "not a point", func(_ uint8, m proto.Message) {
			if m, ok := m.(*ecsigning.SignRound8Message); ok {
				m.DeCommitment[3] = []byte{1}
			}
		}},
		{"a gamma that it did not commit to", 0, "committed to", func(_ uint8, m proto.Message) {
			if m, ok := m.(*ecsigning.SignRound4Message); ok {
				m.DeCommitment[0] = []byte{1}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := newCluster(t, 3, nil)
			errs := net.signWith(t, c.file, bad, c.change)
			for i := range bad {
				net.requireBlame(t, errs[i], c.want, bad)
			}
		})
	}
}

// A part of ECDSA's result that fits everything before and is wrong spoils the signature, and
// nothing tells whose it was.
func TestASpoiltECDSASignatureBlamesNobody(t *testing.T) {
	net := newCluster(t, 3, nil)
	errs := net.signWith(t, 0, 1, func(_ uint8, m proto.Message) {
		if m, ok := m.(*ecsigning.SignRound9Message); ok {
			m.S = []byte{1}
		}
	})
	for _, i := range []int{0, 2} {
		require.Error(t, errs[i])
		var blame *ceremony.BlameError
		require.NotErrorAs(t, errs[i], &blame)
	}
}

// In whatever order its author sends them, a message is looked at after those that it is checked
// against.
func TestMessagesWaitForWhatTheyNeed(t *testing.T) {
	k := knownIn(ecdsaKeysign, sanity.Parameters{}, sanity.Parameters{})
	round4 := &ecdsaKeysign.steps[4]
	require.False(t, k.has(round4, 0))
	k.sent[1][0] = &ecsigning.SignRound1Message2{Commitment: []byte{1}}
	k.sent[3][0] = &ecsigning.SignRound3Message{Theta: []byte{1}}
	require.False(t, k.has(round4, 0), "one theta is missing")
	k.sent[3][1] = &ecsigning.SignRound3Message{Theta: []byte{1}}
	require.True(t, k.has(round4, 0))
	require.False(t, k.has(round4, 1), "its author's commitment is missing")
}
