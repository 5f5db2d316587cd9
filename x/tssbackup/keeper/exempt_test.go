package keeper_test

import (
	"bytes"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestExemptVote(t *testing.T) {
	vault := newVault("vault")
	params := testParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	stranger := bech(bytes.Repeat([]byte{1}, 20))

	type fixture struct {
		c              *chain
		keygen         types.Keygen
		asked, unasked string
	}
	// active makes the vault, of which the member that was not asked has no backup.
	active := func(f *fixture) { f.c.complete(f.keygen.Id, vault) }
	tests := []struct {
		name string
		msg  func(f *fixture) sdk.Msg
		err  error
	}{
		{"a result of a member that is asked", func(f *fixture) sdk.Msg {
			return f.c.certified(vault.result(f.keygen.Id, f.asked, envelope("e", 100)))
		}, nil},
		{"a result of a member that is not asked", func(f *fixture) sdk.Msg {
			return f.c.certified(vault.result(f.keygen.Id, f.unasked, nil))
		}, nil},
		{"a result without a certificate", func(f *fixture) sdk.Msg {
			return vault.result(f.keygen.Id, f.asked, envelope("e", 100))
		}, types.ErrNoCertificate},
		{"a result with a certificate of too few bytes", func(f *fixture) sdk.Msg {
			msg := f.c.certified(vault.result(f.keygen.Id, f.asked, envelope("e", 100)))
			msg.Certificate = msg.Certificate[1:]
			return msg
		}, types.ErrNoCertificate},
		{"a result with the first certificate after its time", func(f *fixture) sdk.Msg {
			msg := f.c.certified(vault.result(f.keygen.Id, f.asked, envelope("e", 100)))
			f.c.untilBlame(f.keygen)
			return msg
		}, types.ErrNoCertificate},
		{"the certificate's result without one", func(f *fixture) sdk.Msg {
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			return vault.result(f.keygen.Id, f.asked, envelope("e", 100))
		}, nil},
		{"another result than the certificate's", func(f *fixture) sdk.Msg {
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			return f.c.certified(newVault("other").result(f.keygen.Id, f.asked, envelope("e", 100)))
		}, types.ErrCertified},
		{"a blame after the time of certificates", func(f *fixture) sdk.Msg {
			f.c.untilBlame(f.keygen)
			return blame(f.keygen.Id, f.asked, f.unasked)
		}, nil},
		{"a blame in that time", func(f *fixture) sdk.Msg {
			return blame(f.keygen.Id, f.asked, f.unasked)
		}, types.ErrBlameEarly},
		{"a blame while a certificate stands", func(f *fixture) sdk.Msg {
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			f.c.untilBlame(f.keygen)
			return blame(f.keygen.Id, f.asked, f.unasked)
		}, types.ErrCertified},
		{"a check", func(f *fixture) sdk.Msg {
			f.c.unchecked = true
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			return vault.signed(f.keygen.Id, f.asked)
		}, nil},
		{"a check of nothing", func(f *fixture) sdk.Msg {
			f.c.unchecked = true
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			return &types.MsgTssCheck{Signer: f.asked, KeygenId: f.keygen.Id}
		}, nil},
		{"a check before there is a certificate", func(f *fixture) sdk.Msg {
			return vault.signed(f.keygen.Id, f.asked)
		}, types.ErrNoCertificate},
		{"a second check", func(f *fixture) sdk.Msg {
			f.c.mustRun(vault.result(f.keygen.Id, f.unasked, nil))
			return vault.signed(f.keygen.Id, f.asked)
		}, types.ErrCheckPresent},
		{"a stranger's check", func(f *fixture) sdk.Msg {
			return vault.signed(f.keygen.Id, stranger)
		}, types.ErrNotMember},
		{"a join", func(f *fixture) sdk.Msg {
			return newJoin(f.keygen.Id, f.keygen.Members[0], "join").msg
		}, nil},
		{"a join while a certificate stands", func(f *fixture) sdk.Msg {
			f.c.mustRun(vault.vote(f.keygen, f.keygen.Members[0]))
			return newJoin(f.keygen.Id, f.keygen.Members[1], "join").msg
		}, types.ErrCertified},
		{"a stranger's result", func(f *fixture) sdk.Msg {
			return vault.result(f.keygen.Id, stranger, envelope("e", 100))
		}, types.ErrNotMember},
		{"a second vote", func(f *fixture) sdk.Msg {
			msg := vault.result(f.keygen.Id, f.asked, envelope("e", 100))
			f.c.mustRun(msg)
			return msg
		}, types.ErrAlreadyVoted},
		{"a vote on a closed keygen", func(f *fixture) sdk.Msg {
			active(f)
			return vault.result(f.keygen.Id, f.asked, envelope("e", 100))
		}, types.ErrKeygenClosed},
		{"a vote on no keygen", func(f *fixture) sdk.Msg {
			return vault.result(77, f.asked, envelope("e", 100))
		}, types.ErrKeygenNotFound},
		{"a vote without the envelope", func(f *fixture) sdk.Msg {
			return vault.result(f.keygen.Id, f.asked, nil)
		}, types.ErrEnvelopeMissing},
		{"an envelope that nobody asked for", func(f *fixture) sdk.Msg {
			return vault.result(f.keygen.Id, f.unasked, envelope("e", 100))
		}, types.ErrNotAsked},
		{"a blame with an envelope", func(f *fixture) sdk.Msg {
			msg := blame(f.keygen.Id, f.asked, f.unasked)
			msg.KeysharesBackup = envelope("e", 100)
			return msg
		}, types.ErrInvalidBlame},
		{"a fourth attempt", func(f *fixture) sdk.Msg {
			addr, err := accCodec.StringToBytes(f.asked)
			require.NoError(t, err)
			for range types.MaxExemptAttempts {
				require.NoError(t, f.c.k.CountAttempt(f.c.ctx, types.Exemption{KeygenID: f.keygen.Id, Member: addr}))
			}
			require.ErrorIs(t, f.c.k.CountAttempt(f.c.ctx, types.Exemption{KeygenID: f.keygen.Id, Member: addr}), types.ErrTooManyAttempts)
			return f.c.certified(vault.result(f.keygen.Id, f.asked, envelope("e", 100)))
		}, types.ErrTooManyAttempts},
		{"a publication of a backup that is missing", func(f *fixture) sdk.Msg {
			active(f)
			return &types.MsgPublishBackup{Signer: f.unasked, Vault: vault.name(), KeysharesBackup: envelope("e", 100)}
		}, nil},
		{"a publication of a backup that is there", func(f *fixture) sdk.Msg {
			active(f)
			return &types.MsgPublishBackup{Signer: f.asked, Vault: vault.name(), KeysharesBackup: envelope("e", 100)}
		}, types.ErrBackupPresent},
		{"a publication for no vault", func(f *fixture) sdk.Msg {
			return &types.MsgPublishBackup{Signer: f.asked, Vault: vault.name(), KeysharesBackup: envelope("e", 100)}
		}, types.ErrVaultNotFound},
		{"a publication by a stranger", func(f *fixture) sdk.Msg {
			active(f)
			return &types.MsgPublishBackup{Signer: stranger, Vault: vault.name(), KeysharesBackup: envelope("e", 100)}
		}, types.ErrNotMember},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			f := &fixture{c: c, keygen: c.keygen(c.startChurn()[0])}
			for _, m := range f.keygen.Members {
				if m.Asked {
					f.asked = bech(m.Address())
				} else {
					f.unasked = bech(m.Address())
				}
			}
			msg := tt.msg(f)
			before := c.dump()
			v, ok, err := c.k.ExemptVote(c.ctx, msg)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.err == nil, ok)
			require.Equal(t, before, c.dump(), "it writes nothing")
			if ok {
				require.Equal(t, f.keygen.Id, v.KeygenID)
				require.Equal(t, msg.(interface{ GetSigner() string }).GetSigner(), bech(v.Member))
			}
		})
	}

	c, _ := startChain(t, params, 4)
	for _, msg := range []sdk.Msg{&banktypes.MsgSend{}, &types.MsgStartChurn{Authority: authority}, &types.MsgRegisterSigner{}} {
		_, ok, err := c.k.ExemptVote(c.ctx, msg)
		require.NoError(t, err)
		require.False(t, ok, "%T is no vote", msg)
	}
}

func TestCheckForm(t *testing.T) {
	c, _ := startChain(t, testParams(), 0)
	require.NoError(t, c.k.CheckForm(c.ctx, envelope("e", 100)))
	require.ErrorIs(t, c.k.CheckForm(c.ctx, nil), types.ErrEnvelopeForm)
	require.ErrorIs(t, c.k.CheckForm(c.ctx, envelope("e", 10)), types.ErrEnvelopeForm)
	require.ErrorIs(t, c.k.CheckForm(c.ctx, envelope("e", 128<<10)), types.ErrEnvelopeForm)
}

func TestAttemptsEndWithTheKeygen(t *testing.T) {
	for name, vote := range map[string]bool{"when it is ready": true, "when it failed": false} {
		t.Run(name, func(t *testing.T) {
			c, _ := startChain(t, testParams(), 3)
			keygen := c.keygen(c.startChurn()[0])
			for _, m := range keygen.Members {
				require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: m.Address()}))
			}
			require.Len(t, c.export().Attempts, 3)
			for i, m := range keygen.Members {
				if vote {
					c.mustRun(newVault("v").vote(keygen, m))
					require.Len(t, c.export().Attempts, 2-i, "nor after the vote")
				}
			}
			c.untilClosed(keygen.Id)
			require.Empty(t, c.export().Attempts)
		})
	}
}

// TestWhatANodeChecksIsAsInTheNextBlock has the last and the first blocks in which something may be
// sent: what a node lets into its mempool must not fail in the next block where it is not counted, and
// what is good there must not wait for a block more.
func TestWhatANodeChecksIsAsInTheNextBlock(t *testing.T) {
	join := func(keygen types.Keygen) sdk.Msg { return newJoin(keygen.Id, keygen.Members[0], "late").msg }
	result := func(keygen types.Keygen) sdk.Msg {
		msg := newVault("v").vote(keygen, keygen.Members[0])
		msg.Certificate = make([]byte, types.SignatureSize*len(keygen.Members))
		return msg
	}
	failed := func(keygen types.Keygen) sdk.Msg {
		return blame(keygen.Id, bech(keygen.Members[0].Address()))
	}
	tests := []struct {
		name          string
		height        func(types.Keygen) int64
		msg           func(types.Keygen) sdk.Msg
		checked, runs error
	}{
		{
			"a join before the last block for one",
			func(k types.Keygen) int64 { return k.JoinDeadline() - 1 }, join, nil, nil,
		},
		{
			"a join in the last block for one",
			types.Keygen.JoinDeadline, join, types.ErrJoinClosed, nil,
		},
		{
			"a certificate before the last block for one",
			func(k types.Keygen) int64 { return k.CertificateDeadline() - 1 }, result, nil, nil,
		},
		{
			"a certificate in the last block for one",
			types.Keygen.CertificateDeadline, result, types.ErrNoCertificate, nil,
		},
		{
			"a blame too early",
			func(k types.Keygen) int64 { return k.CertificateDeadline() - 1 }, failed,
			types.ErrBlameEarly, types.ErrBlameEarly,
		},
		{
			"a blame for the first block that takes one",
			types.Keygen.CertificateDeadline, failed, nil, types.ErrBlameEarly,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, testParams(), 4)
			keygen := c.keygen(c.startChurn()[0])
			c.untilHeight(tt.height(keygen))
			_, _, err := c.k.ExemptVote(c.ctx, tt.msg(keygen))
			require.ErrorIs(t, err, tt.runs)
			_, _, err = c.k.ExemptVote(c.ctx.WithIsCheckTx(true), tt.msg(keygen))
			require.ErrorIs(t, err, tt.checked)
		})
	}
	t.Run("a heartbeat for the first block of a window", func(t *testing.T) {
		c, vals, epoch := beatingChain(t, beatParams(), 4)
		msg := vals[0].beat(epoch, 100, machine)
		for range types.MaxExemptHeartbeats {
			e, _, err := c.k.ExemptVote(c.ctx, msg)
			require.NoError(t, err)
			require.NoError(t, c.k.CountAttempt(c.ctx, e))
		}
		checks := func() error {
			_, _, err := c.k.ExemptVote(c.ctx.WithIsCheckTx(true), msg)
			return err
		}
		c.untilHeight(198)
		require.ErrorIs(t, checks(), types.ErrTooManyAttempts)
		c.untilHeight(199)
		require.NoError(t, checks())
		_, _, err := c.k.ExemptVote(c.ctx, msg)
		require.ErrorIs(t, err, types.ErrTooManyAttempts, "in the window's own last block")
	})
}
