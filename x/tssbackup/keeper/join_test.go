package keeper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"cosmossdk.io/collections"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// join is a member's join with the secret of its session key.
type join struct {
	msg    *types.MsgTssJoin
	member types.Member
	key    *secp256k1.PrivateKey
}

// newJoin is the join of a member that follows from a name.
func newJoin(keygen uint64, m types.Member, name string) *join {
	seed := sha256.Sum256(append([]byte(name), m.PubKey...))
	j := &join{member: m, key: secp256k1.PrivKeyFromBytes(seed[:])}
	j.msg = &types.MsgTssJoin{
		Signer: bech(m.Address()), KeygenId: keygen, Nonce: seed[:types.NonceSize],
		SessionKey: j.key.PubKey().SerializeCompressed(),
	}
	j.sign(chainID)
	return j
}

func (j *join) sign(chainID string) {
	digest := types.JoinMessage(chainID, j.msg.KeygenId, j.member.PubKey, j.msg.Nonce)
	signature := ecdsa.Sign(j.key, digest)
	r, s := signature.R(), signature.S()
	rb, sb := r.Bytes(), s.Bytes()
	j.msg.Possession = append(rb[:], sb[:]...)
}

func TestAnAttemptBeginsWithTheLastJoin(t *testing.T) {
	c, _ := startChain(t, testParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	session := func() *types.SessionInfo {
		res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
		require.NoError(t, err)
		require.Equal(t, keygen.OpenedHeight+18, res.Keygen.JoinDeadline)
		return res.Keygen.Session
	}
	waiting := func() int {
		res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
		require.NoError(t, err)
		return len(res.Keygen.Joins)
	}
	var first []types.Join
	for i, m := range keygen.Members {
		require.Nil(t, session())
		require.Equal(t, i, waiting())
		c.mustRun(newJoin(keygen.Id, m, "lost").msg)
		c.endBlock()
		j := newJoin(keygen.Id, m, "first") // it restarted: the latest counts
		if i == 3 {
			break // this one's first was the last one
		}
		c.mustRun(j.msg)
		first = append(first, types.Join{Nonce: j.msg.Nonce, SessionKey: j.msg.SessionKey})
	}
	last := newJoin(keygen.Id, keygen.Members[3], "lost")
	first = append(first, types.Join{Nonce: last.msg.Nonce, SessionKey: last.msg.SessionKey})
	begun := session()
	require.EqualValues(t, 1, begun.Attempt)
	require.Equal(t, hex.EncodeToString(types.SessionID(chainID, keygen.Id, 1, keygen.Members, first)), begun.Id)
	for i, m := range begun.Members {
		require.Equal(t, bech(keygen.Members[i].Address()), m.Member)
		require.Equal(t, hex.EncodeToString(first[i].SessionKey), m.SessionKey)
	}
	require.Zero(t, waiting())

	// Joining again changes nothing in the attempt that runs, and the next begins without waiting
	// for anybody twice.
	for i, m := range keygen.Members {
		require.Equal(t, begun, session())
		require.Equal(t, i, waiting())
		c.mustRun(newJoin(keygen.Id, m, "second").msg)
	}
	require.EqualValues(t, 2, session().Attempt)
	require.NotEqual(t, begun.Id, session().Id)
}

func TestJoinsThatAreRefused(t *testing.T) {
	type fixture struct {
		c      *chain
		keygen types.Keygen
	}
	for _, tt := range []struct {
		name   string
		change func(f *fixture, j *join)
		err    error
	}{
		{"a join is accepted", func(*fixture, *join) {}, nil},
		{"a join in the last block is accepted", func(f *fixture, _ *join) { f.c.endBlocks(18) }, nil},
		{"a join after it", func(f *fixture, _ *join) { f.c.endBlocks(19) }, types.ErrJoinClosed},
		{"a stranger's", func(_ *fixture, j *join) { j.msg.Signer = bech(bytes.Repeat([]byte{1}, 20)) }, types.ErrNotMember},
		{"no address", func(_ *fixture, j *join) { j.msg.Signer = "x" }, types.ErrNotMember},
		{"for no keygen", func(_ *fixture, j *join) { j.msg.KeygenId = 77 }, types.ErrKeygenNotFound},
		{"for a closed keygen", func(f *fixture, _ *join) { f.c.complete(f.keygen.Id, newVault("v")) }, types.ErrKeygenClosed},
		{"after the member's vote", func(f *fixture, j *join) {
			f.c.mustRun(newVault("v").vote(f.keygen, j.member))
		}, types.ErrAlreadyVoted},
		{"after another's vote, which brought the certificate", func(f *fixture, _ *join) {
			f.c.mustRun(newVault("v").vote(f.keygen, f.keygen.Members[1]))
		}, types.ErrCertified},
		{"a short nonce", func(_ *fixture, j *join) { j.msg.Nonce = j.msg.Nonce[1:]; j.sign(chainID) }, types.ErrInvalidJoin},
		{"a session key that is no point", func(_ *fixture, j *join) { j.msg.SessionKey = make([]byte, 33) }, types.ErrInvalidJoin},
		{"the member's own key", func(_ *fixture, j *join) { j.msg.SessionKey = j.member.PubKey }, types.ErrInvalidJoin},
		{"another's session key", func(f *fixture, j *join) {
			j.msg.SessionKey = newJoin(f.keygen.Id, f.keygen.Members[1], "x").msg.SessionKey
		}, types.ErrInvalidJoin},
		{"all of another's join", func(f *fixture, j *join) {
			other := newJoin(f.keygen.Id, f.keygen.Members[1], "x").msg
			j.msg.Nonce, j.msg.SessionKey, j.msg.Possession = other.Nonce, other.SessionKey, other.Possession
		}, types.ErrInvalidJoin},
		{"signed for another chain", func(_ *fixture, j *join) { j.sign("other") }, types.ErrInvalidJoin},
		{"signed for another keygen", func(f *fixture, j *join) {
			j.msg.KeygenId++
			j.sign(chainID)
			j.msg.KeygenId--
		}, types.ErrInvalidJoin},
		{"the same once more", func(f *fixture, j *join) { f.c.mustRun(j.msg) }, types.ErrInvalidJoin},
		{"that of the attempt which runs", func(f *fixture, j *join) {
			f.c.mustRun(j.msg)
			for _, m := range f.keygen.Members[1:] {
				f.c.mustRun(newJoin(f.keygen.Id, m, "join").msg)
			}
		}, types.ErrInvalidJoin},
		{"without possession", func(_ *fixture, j *join) { j.msg.Possession = nil }, types.ErrInvalidJoin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, testParams(), 4)
			f := &fixture{c: c, keygen: c.keygen(c.startChurn()[0])}
			j := newJoin(f.keygen.Id, f.keygen.Members[0], "join")
			tt.change(f, j)
			before := c.dump()
			err := c.run(j.msg)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
			}
		})
	}
}

// Joins are counted apart from votes, and nothing of them stays.
func TestJoinsAreBoundedAndForgotten(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	keygen := c.keygen(c.startChurn()[0])
	m := keygen.Members[0]
	msg := newJoin(keygen.Id, m, "join").msg
	v, ok, err := c.k.ExemptVote(c.ctx, msg)
	require.NoError(t, err)
	require.True(t, ok)
	for range types.MaxExemptJoins {
		require.NoError(t, c.k.CountAttempt(c.ctx, v))
	}
	require.ErrorIs(t, c.k.CountAttempt(c.ctx, v), types.ErrTooManyAttempts)
	_, _, err = c.k.ExemptVote(c.ctx, msg)
	require.ErrorIs(t, err, types.ErrTooManyAttempts)
	has, err := c.k.Attempts.Has(c.ctx, collections.Join(keygen.Id, []byte(m.Address())))
	require.NoError(t, err)
	require.False(t, has, "votes are free all the same")

	for _, m := range keygen.Members {
		c.mustRun(newJoin(keygen.Id, m, "join").msg)
	}
	c.mustRun(newJoin(keygen.Id, keygen.Members[1], "again").msg)
	c.untilClosed(keygen.Id)
	gs := c.export()
	require.Empty(t, gs.Joins)
	require.Empty(t, gs.Sessions)
	require.Empty(t, gs.JoinAttempts)
}
