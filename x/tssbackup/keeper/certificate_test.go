package keeper_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// standing is the certificate that stands for a keygen.
func (c *chain) standing(keygen uint64) types.Certificate {
	c.t.Helper()
	certificate, err := c.k.Certificates.Get(c.ctx, keygen)
	require.NoError(c.t, err)
	return certificate
}

// shown is the certificate as the query shows it, nil when it shows none.
func (c *chain) shown(keygen uint64) *types.CertificateInfo {
	c.t.Helper()
	res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen})
	require.NoError(c.t, err)
	return res.Keygen.Certificate
}

// TestCertificateOfAVote has what a vote for a result must come with: the signatures of all members,
// unless a certificate stands.
func TestCertificateOfAVote(t *testing.T) {
	vault, other := newVault("vault"), newVault("other")
	type fixture struct {
		c      *chain
		keygen types.Keygen
		voter  types.Member
		// result and session are what the vote's certificate is about.
		result  types.Result
		session []byte
	}
	// part is the signature of a member in the certificate.
	part := func(msg *types.MsgTssPool, i int) []byte {
		return msg.Certificate[types.SignatureSize*i:][:types.SignatureSize]
	}
	stands := func(f *fixture) { f.c.mustRun(vault.vote(f.keygen, f.keygen.Members[1])) }
	tests := []struct {
		name   string
		change func(f *fixture, msg *types.MsgTssPool)
		err    error
		stood  bool // one stood before
	}{
		{"that of the latest session is accepted", nil, nil, false},
		{"in the last block for it, it is accepted", func(f *fixture, _ *types.MsgTssPool) {
			f.c.ctx = f.c.ctx.WithBlockHeight(f.keygen.CertificateDeadline())
		}, nil, false},
		{"in the block after that it is refused", func(f *fixture, _ *types.MsgTssPool) {
			f.c.ctx = f.c.ctx.WithBlockHeight(f.keygen.CertificateDeadline() + 1)
		}, types.ErrNoCertificate, false},
		{"none is refused", func(_ *fixture, msg *types.MsgTssPool) { msg.Certificate = nil }, types.ErrNoCertificate, false},
		{"one of too few bytes is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Certificate = msg.Certificate[1:]
		}, types.ErrNoCertificate, false},
		{"one of too many members is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Certificate = append(msg.Certificate, part(msg, 0)...)
		}, types.ErrNoCertificate, false},
		{"one without the last member is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Certificate = msg.Certificate[:3*types.SignatureSize]
		}, types.ErrNoCertificate, false},
		{"a wrong signature of the first member is refused", func(_ *fixture, msg *types.MsgTssPool) {
			part(msg, 0)[5] ^= 1
		}, types.ErrInvalidCertificate, false},
		{"a wrong signature of the last member is refused", func(_ *fixture, msg *types.MsgTssPool) {
			part(msg, 3)[40] ^= 1
		}, types.ErrInvalidCertificate, false},
		{"no signature of a member is refused", func(_ *fixture, msg *types.MsgTssPool) {
			clear(part(msg, 2))
		}, types.ErrInvalidCertificate, false},
		{"a signature with high S is refused", func(_ *fixture, msg *types.MsgTssPool) {
			copy(part(msg, 1), highS(part(msg, 1)))
		}, types.ErrInvalidCertificate, false},
		{"members in another order are refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Certificate = slices.Concat(part(msg, 1), part(msg, 0), part(msg, 2), part(msg, 3))
		}, types.ErrInvalidCertificate, false},
		{"one member in the place of another is refused", func(_ *fixture, msg *types.MsgTssPool) {
			copy(part(msg, 0), part(msg, 1))
		}, types.ErrInvalidCertificate, false},
		{"that of another session is refused", func(f *fixture, msg *types.MsgTssPool) {
			msg.Certificate = certificate(f.keygen.Members, bytes.Repeat([]byte{1}, types.HashSize), f.result)
		}, types.ErrInvalidCertificate, false},
		{"that of an attempt before the latest is refused", func(f *fixture, _ *types.MsgTssPool) {
			for _, m := range f.keygen.Members {
				f.c.mustRun(newJoin(f.keygen.Id, m, "again").msg)
			}
		}, types.ErrInvalidCertificate, false},
		{"that of the latest session is accepted while members wait for the next", func(f *fixture, _ *types.MsgTssPool) {
			for _, m := range f.keygen.Members[1:] {
				f.c.mustRun(newJoin(f.keygen.Id, m, "again").msg)
			}
		}, nil, false},
		{"that of another vault is refused", func(f *fixture, msg *types.MsgTssPool) {
			msg.Certificate = f.c.certified(other.vote(f.keygen, f.voter)).Certificate
		}, types.ErrInvalidCertificate, false},
		{"that of another ed25519 key is refused", func(f *fixture, msg *types.MsgTssPool) {
			f.result.PubKeyEd25519 = other.pubKeyEd25519()
			msg.Certificate = certificate(f.keygen.Members, f.session, f.result)
		}, types.ErrInvalidCertificate, false},
		{"that of the vault with other public shares is refused", func(f *fixture, msg *types.MsgTssPool) {
			vault.prove(msg, f.keygen.Members, f.voter, 0)
		}, types.ErrInvalidCertificate, false},
		{"none is needed when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			msg.Certificate = nil
		}, nil, true},
		{"none is needed in the block of the deadline when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			msg.Certificate = nil
			f.c.ctx = f.c.ctx.WithBlockHeight(f.keygen.Deadline)
		}, nil, true},
		{"a false one is not looked at when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			msg.Certificate = []byte("anything")
		}, nil, true},
		{"another result is refused when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			*msg = *f.c.certified(other.vote(f.keygen, f.voter))
		}, types.ErrCertified, true},
		{"another ed25519 key is refused when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			msg.PubKeyEd25519 = hex.EncodeToString(other.pubKeyEd25519())
		}, types.ErrCertified, true},
		{"other public shares are refused when one stands", func(f *fixture, msg *types.MsgTssPool) {
			stands(f)
			vault.prove(msg, f.keygen.Members, f.voter, 0)
		}, types.ErrCertified, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, testParams(), 4)
			c.unchecked = true
			keygen := c.keygen(c.startChurn()[0])
			c.begin(keygen)
			c.endBlock()
			session, err := c.k.Sessions.Get(c.ctx, keygen.Id)
			require.NoError(t, err)
			f := &fixture{c: c, keygen: keygen, voter: keygen.Members[0], session: session.Id}
			msg := c.certified(vault.vote(keygen, f.voter))
			f.result, err = msg.ParseResult()
			require.NoError(t, err)
			result := f.result
			require.Nil(t, c.shown(keygen.Id))
			if tt.change != nil {
				tt.change(f, msg)
			}
			before := c.dump()
			err = c.handle(msg)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.err == nil && !tt.stood, c.emitted("EventCertified"))
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			height := c.ctx.BlockHeight()
			if tt.stood {
				height = 2
			}
			require.Equal(t, types.Certificate{Result: result, Attempt: 1, Height: height}, c.standing(keygen.Id))
			require.Equal(t, &types.CertificateInfo{
				Vault: vault.name(), PubKeyEd25519: hex.EncodeToString(vault.pubKeyEd25519()), Attempt: 1, Height: height,
			}, c.shown(keygen.Id))
		})
	}
}

func TestACertificateNeedsASession(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	keygen := c.keygen(c.startChurn()[0])
	msg := newVault("v").vote(keygen, keygen.Members[0])
	result, err := msg.ParseResult()
	require.NoError(t, err)
	msg.Certificate = certificate(keygen.Members, nil, result)
	require.ErrorIs(t, c.handle(msg), types.ErrInvalidCertificate)
	// Nor is it one when some have joined.
	for _, m := range keygen.Members[1:] {
		c.mustRun(newJoin(keygen.Id, m, "join").msg)
	}
	require.ErrorIs(t, c.handle(msg), types.ErrInvalidCertificate)
}

// TestTssCheck has the signatures of a vault brought, by the last member, which has not voted.
func TestTssCheck(t *testing.T) {
	vault, other := newVault("vault"), newVault("other")
	type fixture struct {
		c      *chain
		keygen types.Keygen
		member string
	}
	tests := []struct {
		name   string
		change func(f *fixture, msg *types.MsgTssCheck)
		err    error
	}{
		{"true ones are accepted", nil, nil},
		{"those that another member brings are accepted", func(f *fixture, msg *types.MsgTssCheck) {
			msg.Signer = bech(f.keygen.Members[0].Address())
		}, nil},
		{"they are accepted in the block of the deadline", func(f *fixture, _ *types.MsgTssCheck) {
			f.c.ctx = f.c.ctx.WithBlockHeight(f.keygen.Deadline)
		}, nil},
		{"they are refused in the block after it", func(f *fixture, _ *types.MsgTssCheck) {
			f.c.ctx = f.c.ctx.WithBlockHeight(f.keygen.Deadline + 1)
		}, types.ErrKeygenClosed},
		{"they are refused when the keygen is closed", func(f *fixture, _ *types.MsgTssCheck) {
			f.c.untilClosed(f.keygen.Id)
		}, types.ErrKeygenClosed},
		{"they are refused for no keygen", func(_ *fixture, msg *types.MsgTssCheck) { msg.KeygenId = 77 }, types.ErrKeygenNotFound},
		{"they are refused from a stranger", func(_ *fixture, msg *types.MsgTssCheck) {
			msg.Signer = bech(bytes.Repeat([]byte{1}, 20))
		}, types.ErrNotMember},
		{"they are refused from no address", func(_ *fixture, msg *types.MsgTssCheck) { msg.Signer = "x" }, types.ErrNotMember},
		{"they are refused twice", func(f *fixture, msg *types.MsgTssCheck) { f.c.mustRun(msg) }, types.ErrCheckPresent},
		{"false ones are refused when true ones stand", func(f *fixture, msg *types.MsgTssCheck) {
			f.c.mustRun(msg)
			*msg = types.MsgTssCheck{Signer: msg.Signer, KeygenId: msg.KeygenId}
		}, types.ErrCheckPresent},
		{"another vault's are refused", func(f *fixture, msg *types.MsgTssCheck) {
			*msg = *other.signed(f.keygen.Id, f.member)
		}, types.ErrInvalidSignature},
		{"a secp256k1 signature by another key is refused", func(f *fixture, msg *types.MsgTssCheck) {
			mixed := other
			mixed.ed = vault.ed
			msg.Signature = mixed.signed(f.keygen.Id, f.member).Signature
		}, types.ErrInvalidSignature},
		{"an ed25519 signature by another key is refused", func(f *fixture, msg *types.MsgTssCheck) {
			mixed := vault
			mixed.ed = other.ed
			msg.SignatureEd25519 = mixed.signed(f.keygen.Id, f.member).SignatureEd25519
		}, types.ErrInvalidSignature},
		{"a secp256k1 signature with high S is refused", func(_ *fixture, msg *types.MsgTssCheck) {
			msg.Signature = highS(msg.Signature)
		}, types.ErrInvalidSignature},
		{"no secp256k1 signature is refused", func(_ *fixture, msg *types.MsgTssCheck) { msg.Signature = nil }, types.ErrInvalidSignature},
		{"no ed25519 signature is refused", func(_ *fixture, msg *types.MsgTssCheck) { msg.SignatureEd25519 = nil }, types.ErrInvalidSignature},
		{"a short secp256k1 signature is refused", func(_ *fixture, msg *types.MsgTssCheck) {
			msg.Signature = msg.Signature[:63]
		}, types.ErrInvalidSignature},
		{"a short ed25519 signature is refused", func(_ *fixture, msg *types.MsgTssCheck) {
			msg.SignatureEd25519 = msg.SignatureEd25519[:63]
		}, types.ErrInvalidSignature},
		{"a longer signature is refused", func(_ *fixture, msg *types.MsgTssCheck) {
			msg.SignatureEd25519 = append(msg.SignatureEd25519, 0)
		}, types.ErrInvalidSignature},
		{"those for another keygen are refused", func(f *fixture, msg *types.MsgTssCheck) {
			*msg = *vault.signed(f.keygen.Id+1, f.member)
			msg.KeygenId--
		}, types.ErrInvalidSignature},
		{"those for another chain are refused", func(f *fixture, _ *types.MsgTssCheck) {
			f.c.ctx = f.c.ctx.WithChainID("test-2")
		}, types.ErrInvalidSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, testParams(), 4)
			c.unchecked = true
			keygen := c.keygen(c.startChurn()[0])
			f := &fixture{c: c, keygen: keygen, member: bech(keygen.Members[3].Address())}
			msg := vault.signed(keygen.Id, f.member)
			require.ErrorIs(t, c.run(msg), types.ErrNoCertificate, "before the certificate there is no vault")
			c.mustRun(vault.vote(keygen, keygen.Members[0]))
			require.False(t, c.shown(keygen.Id).Checked)
			if tt.change != nil {
				tt.change(f, msg)
			}
			before := c.dump()
			err := c.run(msg)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.err == nil, c.emitted("EventTssCheck"))
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			require.Equal(t, msg.Signature, c.standing(keygen.Id).Signature)
			require.Equal(t, msg.SignatureEd25519, c.standing(keygen.Id).SignatureEd25519)
			require.True(t, c.shown(keygen.Id).Checked)
			require.Len(t, c.votes(keygen.Id), 1, "it is no vote")
		})
	}
}

// Checks are counted with joins, of whoever sends them.
func TestChecksAreBounded(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	c.unchecked = true
	keygen := c.keygen(c.startChurn()[0])
	vault := newVault("v")
	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	msg := vault.signed(keygen.Id, bech(keygen.Members[1].Address()))
	v, ok, err := c.k.ExemptVote(c.ctx, msg)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, v.Small)
	for range types.MaxExemptJoins {
		require.NoError(t, c.k.CountAttempt(c.ctx, v))
	}
	_, _, err = c.k.ExemptVote(c.ctx, msg)
	require.ErrorIs(t, err, types.ErrTooManyAttempts)
	_, ok, err = c.k.ExemptVote(c.ctx, vault.signed(keygen.Id, bech(keygen.Members[2].Address())))
	require.NoError(t, err)
	require.True(t, ok, "another member's are free all the same")
	_, ok, err = c.k.ExemptVote(c.ctx, vault.vote(keygen, keygen.Members[1]))
	require.NoError(t, err)
	require.True(t, ok, "and so is its vote")
	c.mustRun(vault.vote(keygen, keygen.Members[1]))
	_, _, err = c.k.ExemptVote(c.ctx, msg)
	require.ErrorIs(t, err, types.ErrTooManyAttempts, "a vote gives it no more of them")
}

// TestOneMaliciousVoterFailsNoKeygen has one of four do all that it can against the result of the
// others. Whatever it sends is refused, so that it votes for the result, or is silent and sits out.
func TestOneMaliciousVoterFailsNoKeygen(t *testing.T) {
	vault, other := newVault("vault"), newVault("other")
	start := func(t *testing.T) (*chain, types.Keygen, types.Member) {
		c, _ := startChain(t, testParams(), 4)
		keygen := c.keygen(c.startChurn()[0])
		malicious := keygen.Members[0]
		c.begin(keygen)
		refused := func(err error, when string) {
			t.Helper()
			for name, vote := range map[string]*types.MsgTssPool{
				"its lone blame":                blame(keygen.Id, bech(malicious.Address()), bech(keygen.Members[1].Address())),
				"that it failed through nobody": blame(keygen.Id, bech(malicious.Address())),
			} {
				require.ErrorIs(t, c.run(vote), err, "%s %s", name, when)
			}
		}
		// It is the first, and cannot sign for the others.
		refused(types.ErrBlameEarly, "before the certificate")
		lone := other.vote(keygen, malicious)
		result, err := lone.ParseResult()
		require.NoError(t, err)
		session, err := c.k.Sessions.Get(c.ctx, keygen.Id)
		require.NoError(t, err)
		lone.Certificate = bytes.Repeat(sign(malicious, types.DoneMessage(session.Id, result)), 4)
		require.ErrorIs(t, c.run(lone), types.ErrInvalidCertificate)

		c.mustRun(vault.vote(keygen, keygen.Members[1]))
		c.endBlock()
		refused(types.ErrCertified, "after the certificate")
		require.ErrorIs(t, c.run(newJoin(keygen.Id, malicious, "again").msg), types.ErrCertified, "nor has it them begin again")
		lone.Certificate = nil
		require.ErrorIs(t, c.handle(lone), types.ErrCertified)
		for _, m := range keygen.Members[2:] {
			c.mustRun(vault.vote(keygen, m))
		}
		c.untilBlame(keygen)
		refused(types.ErrCertified, "when others could blame")
		return c, keygen, malicious
	}
	t.Run("it votes", func(t *testing.T) {
		c, keygen, malicious := start(t)
		c.mustRun(vault.vote(keygen, malicious))
		c.endBlock()
		require.Equal(t, ready, c.keygen(keygen.Id).Status)
		require.Empty(t, c.export().SitOuts)
	})
	t.Run("it is silent", func(t *testing.T) {
		c, keygen, malicious := start(t)
		c.untilClosed(keygen.Id)
		// Four bear nobody absent by the default coverage, so that its silence fails this keygen;
		// the next is without it.
		require.Equal(t, failed, c.keygen(keygen.Id).Status)
		require.Equal(t, [][]byte{malicious.Address()}, c.keygen(keygen.Id).Silent)
		require.Positive(t, c.signer(c.validatorOf(malicious)).SitsOutUntil)
		next := c.keygen(c.startChurn()[0])
		require.Len(t, next.Members, 3)
		c.complete(next.Id, vault)
		require.Len(t, c.coverage(""), 1)
	})
}

// TestWhoIsShownTheCertificateLateVotesWithoutOne has three of four members keep the certificate
// from the fourth until the last block in which it counts: it stands in state then, and the fourth
// votes by it, and is not left behind.
func TestWhoIsShownTheCertificateLateVotesWithoutOne(t *testing.T) {
	c, _ := startChain(t, testParams(), 4)
	vault := newVault("v")
	keygen := c.keygen(c.startChurn()[0])
	late := keygen.Members[3]
	c.begin(keygen)
	vote := vault.vote(keygen, late)
	c.ctx = c.ctx.WithBlockHeight(keygen.CertificateDeadline())
	require.ErrorIs(t, c.handle(vote), types.ErrNoCertificate)
	for _, m := range keygen.Members[:3] {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
	require.Equal(t, vault.name(), c.shown(keygen.Id).Vault, "the chain shows what the others have")
	require.NoError(t, c.handle(vote))
	c.endBlock()
	require.Equal(t, ready, c.keygen(keygen.Id).Status)
	require.EqualValues(t, 4, c.coverage(vault.name())[0].Published)
	require.Nil(t, c.shown(keygen.Id), "nothing of it is kept when the vault is active")
}

// TestTheCertificateIsPaidForBeforeItIsVerified has a vote end for want of gas before the first
// signature of a false certificate is looked at.
func TestTheCertificateIsPaidForBeforeItIsVerified(t *testing.T) {
	for _, n := range []int{4, 40} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			c, _ := startChain(t, testParams(), n)
			keygen := c.keygen(c.startChurn()[0])
			msg := c.certified(newVault("v").vote(keygen, keygen.Members[0]))
			msg.Certificate[0] ^= 1
			run := func(limit uint64) (used uint64, err error) {
				ctx, _ := c.ctx.WithGasMeter(storetypes.NewGasMeter(limit)).WithKVGasConfig(storetypes.GasConfig{}).CacheContext()
				_, err = c.msg.TssPool(ctx, msg)
				return ctx.GasMeter().GasConsumed(), err
			}
			used, err := run(types.VoteGas(n))
			require.ErrorIs(t, err, types.ErrInvalidCertificate)
			require.GreaterOrEqual(t, used, uint64(5_000*n))
			require.PanicsWithValue(t, storetypes.ErrorOutOfGas{Descriptor: "certificate"}, func() { _, _ = run(used - 5_000*uint64(n)) })
		})
	}
}

// TestQueryShowsTheDeadlines has the sixteen parts of a keygen's time.
func TestQueryShowsTheDeadlines(t *testing.T) {
	for deadline, want := range map[uint64][]int64{
		32: {18, 26, 28, 32}, 33: {18, 26, 28, 33}, 47: {26, 38, 41, 47}, 1800: {1012, 1462, 1575, 1800},
	} {
		params := testParams()
		params.KeygenDeadline = deadline
		c, _ := startChain(t, params, 3)
		c.endBlocks(4)
		res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: c.startChurn()[0]})
		require.NoError(t, err)
		k := res.Keygen
		opened := k.OpenedHeight
		require.EqualValues(t, 5, opened)
		require.Equal(t, want, []int64{
			k.JoinDeadline - opened, k.AttemptDeadline - opened, k.CertificateDeadline - opened, k.Deadline - opened,
		})
		require.Nil(t, k.Certificate)
	}
}
