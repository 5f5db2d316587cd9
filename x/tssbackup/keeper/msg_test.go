package keeper_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestRegisterSigner(t *testing.T) {
	tests := []struct {
		name string
		// change alters the registration of a validator that has no signer yet; others has a
		// signer.
		change func(c *chain, msg *types.MsgRegisterSigner, v, other *validator)
		err    error
	}{
		{"a validator without a signer gets one", nil, nil},
		{"an operator that is no validator is refused", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			v.gone = true
		}, types.ErrInvalidOperator},
		{"an operator address with a wrong prefix is refused", func(_ *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			msg.Operator = bech(v.operator)
		}, types.ErrInvalidOperator},
		{"a jailed or unbonded validator may register", func(_ *chain, _ *types.MsgRegisterSigner, v, _ *validator) {
			v.bonded = false
		}, nil},
		{"a key that is no point is refused", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.PubKey = append([]byte{2}, bytes.Repeat([]byte{255}, 32)...)
		}, types.ErrInvalidSigner},
		{"an uncompressed key is refused", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.PubKey = newVault("x").secp.PubKey().SerializeUncompressed()
		}, types.ErrInvalidSigner},
		{"no key is refused", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.PubKey = nil
		}, types.ErrInvalidSigner},
		{"a signature for another operator is refused", func(_ *chain, msg *types.MsgRegisterSigner, v, other *validator) {
			msg.Signature = (&validator{operator: other.operator, signer: v.signer}).register().Signature
		}, types.ErrInvalidSignature},
		{"a signature with high S is refused", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.Signature = highS(msg.Signature)
		}, types.ErrInvalidSignature},
		{"a short signature is refused", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.Signature = msg.Signature[:63]
		}, types.ErrInvalidSignature},
		{"another validator's signer is refused", func(_ *chain, msg *types.MsgRegisterSigner, v, other *validator) {
			*msg = *(&validator{operator: v.operator, signer: other.signer}).register()
		}, types.ErrSignerTaken},
		{"another validator's former signer is refused", func(c *chain, msg *types.MsgRegisterSigner, v, other *validator) {
			former := other.signer
			other.signer = signerKey("new")
			require.NoError(t, c.run(other.register()))
			*msg = *(&validator{operator: v.operator, signer: former}).register()
		}, types.ErrSignerTaken},
		{"the same signer again is refused", func(c *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			require.NoError(t, c.run(msg))
		}, types.ErrSignerPresent},
		{"the account of a module is refused", func(c *chain, _ *types.MsgRegisterSigner, v, _ *validator) {
			acc := authtypes.NewModuleAccount(authtypes.NewBaseAccountWithAddress(v.addr()), "mint")
			c.accounts.SetAccount(c.ctx, acc)
		}, types.ErrInvalidSigner},
		{"an account that exists is kept as it is", func(c *chain, _ *types.MsgRegisterSigner, v, _ *validator) {
			acc := authtypes.NewBaseAccountWithAddress(v.addr())
			require.NoError(t, acc.SetSequence(7))
			c.accounts.SetAccount(c.ctx, acc)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, vals := startChain(t, testParams(), 1)
			v := newValidator(1)
			c.staking.validators = append(c.staking.validators, v)
			msg := v.register()
			if tt.change != nil {
				tt.change(c, msg, v, vals[0])
			}
			before := c.accounts.GetAccount(c.ctx, v.addr())
			err := c.run(msg)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				return
			}
			require.True(t, c.emitted("EventSignerRegistered"))
			signer, err := c.k.Signers.Get(c.ctx, v.operator)
			require.NoError(t, err)
			require.Equal(t, types.Signer{
				Address: v.addr(), PubKey: msg.PubKey, Height: 1, Recipient: types.Recipient{Key: msg.RecipientKey},
			}, signer)
			after := c.accounts.GetAccount(c.ctx, v.addr())
			require.NotNil(t, after)
			if before != nil {
				require.Equal(t, before, after)
			}
		})
	}
}

func TestSignerIsReplacedAndComesBack(t *testing.T) {
	c, vals := startChain(t, testParams(), 1)
	v, first := vals[0], vals[0].signer
	v.signer = signerKey("second")
	c.mustRun(v.register())
	v.signer = first
	c.mustRun(v.register())
	signer, err := c.k.Signers.Get(c.ctx, v.operator)
	require.NoError(t, err)
	require.Equal(t, first.PubKey().Bytes(), signer.PubKey)
}

func TestTssPool(t *testing.T) {
	vault := newVault("vault")
	// One of the four members, with sample 3/4, is not asked.
	params := testParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}

	type fixture struct {
		c              *chain
		keygen         types.Keygen
		asked, unasked string // members
		other          string // another member that is asked
	}
	// late has a change be made when members may blame.
	late := func(change func(*fixture, *types.MsgTssPool)) func(*fixture, *types.MsgTssPool) {
		return func(f *fixture, msg *types.MsgTssPool) {
			f.c.untilBlame(f.keygen)
			change(f, msg)
		}
	}
	tests := []struct {
		name   string
		change func(f *fixture, msg *types.MsgTssPool)
		err    error
	}{
		{"a result with an envelope is accepted", nil, nil},
		{"a result without an envelope of a member that is not asked is accepted", func(f *fixture, msg *types.MsgTssPool) {
			*msg = *vault.result(f.keygen.Id, f.unasked, nil)
		}, nil},
		{"a vote in the block of the deadline is accepted", func(f *fixture, _ *types.MsgTssPool) {
			f.c.mustRun(vault.result(f.keygen.Id, f.other, envelope("other", 300)))
			f.c.endBlocks(testDeadline)
		}, nil},
		{"a vote after the deadline is refused", func(f *fixture, _ *types.MsgTssPool) {
			f.c.endBlocks(testDeadline + 1)
		}, types.ErrKeygenClosed},
		{"a vote after the deadline is refused though nothing closed the keygen", func(f *fixture, _ *types.MsgTssPool) {
			f.c.ctx = f.c.ctx.WithBlockHeight(f.c.ctx.BlockHeight() + testDeadline + 1)
		}, types.ErrKeygenClosed},
		{"a keygen that does not exist is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.KeygenId++
		}, types.ErrKeygenNotFound},
		{"a stranger is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Signer = bech(bytes.Repeat([]byte{1}, 20))
		}, types.ErrNotMember},
		{"an address that is none is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Signer = "cosmos1"
		}, types.ErrNotMember},
		{"a second vote is refused", func(f *fixture, msg *types.MsgTssPool) {
			f.c.mustRun(msg)
		}, types.ErrAlreadyVoted},
		{"a blame after a result is refused", func(f *fixture, msg *types.MsgTssPool) {
			f.c.mustRun(msg)
			f.c.untilBlame(f.keygen)
			*msg = *blame(f.keygen.Id, f.asked, f.other)
		}, types.ErrAlreadyVoted},
		{"a result after a blame is refused", func(f *fixture, msg *types.MsgTssPool) {
			f.c.untilBlame(f.keygen)
			f.c.mustRun(blame(f.keygen.Id, f.asked, f.other))
		}, types.ErrAlreadyVoted},
		{"a result without an envelope of a member that is asked is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.KeysharesBackup = nil
		}, types.ErrEnvelopeMissing},
		{"an envelope of a member that is not asked is refused", func(f *fixture, msg *types.MsgTssPool) {
			msg.Signer = f.unasked
		}, types.ErrNotAsked},
		{"an envelope out of form is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.KeysharesBackup = []byte("PK\x03\x04")
		}, types.ErrEnvelopeForm},
		{"an envelope that is too large is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.KeysharesBackup = envelope("large", 129<<10)
		}, types.ErrEnvelopeForm},
		{"an envelope with too little work is refused", func(f *fixture, _ *types.MsgTssPool) {
			params := params
			params.MinWorkFactor = 19
			f.c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
		}, types.ErrEnvelopeForm},
		{"a key in upper-case hex is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKey = strings.ToUpper(msg.PubKey)
		}, types.ErrInvalidResult},
		{"a short key is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKey = msg.PubKey[:64]
		}, types.ErrInvalidResult},
		{"no key is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKey, msg.PubKeyEd25519 = "", ""
		}, types.ErrInvalidResult},
		{"a key that is no point is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKey = "02" + strings.Repeat("f", 64)
		}, types.ErrInvalidResult},
		{"a key in hybrid form is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKey = "06" + msg.PubKey[2:]
		}, types.ErrInvalidResult},
		{"no ed25519 key is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKeyEd25519 = ""
		}, types.ErrInvalidResult},
		{"the ed25519 identity is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PubKeyEd25519 = "01" + strings.Repeat("0", 62)
		}, types.ErrInvalidResult},
		{"a blame is accepted", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other, f.unasked)
		}), nil},
		{"a blame of nobody is accepted", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked)
		}), nil},
		{"a blame in the block of the deadline is accepted", func(f *fixture, msg *types.MsgTssPool) {
			f.c.endBlocks(testDeadline)
			*msg = *blame(f.keygen.Id, f.asked, f.other)
		}, nil},
		{"a blame in the last block for a certificate is refused", func(f *fixture, msg *types.MsgTssPool) {
			f.c.endBlocks(28)
			*msg = *blame(f.keygen.Id, f.asked, f.other)
		}, types.ErrBlameEarly},
		{"a blame at the beginning is refused", func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other)
		}, types.ErrBlameEarly},
		{"a blame while a certificate stands is refused at any time", func(f *fixture, msg *types.MsgTssPool) {
			f.c.mustRun(msg)
			f.c.untilBlame(f.keygen)
			*msg = *blame(f.keygen.Id, f.other, f.asked)
		}, types.ErrCertified},
		{"a blame with a result is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			msg.KeysharesBackup, msg.Blame = nil, blame(f.keygen.Id, f.asked, f.other).Blame
		}), types.ErrInvalidBlame},
		{"a blame with an envelope is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			env := msg.KeysharesBackup
			*msg = *blame(f.keygen.Id, f.asked, f.other)
			msg.KeysharesBackup = env
		}), types.ErrInvalidBlame},
		{"a blame with a certificate is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			certificate := f.c.certified(msg).Certificate
			*msg = *blame(f.keygen.Id, f.asked, f.other)
			msg.Certificate = certificate
		}), types.ErrInvalidBlame},
		{"a blame of oneself is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.asked)
		}), types.ErrInvalidBlame},
		{"a blame of a member twice is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other, f.other)
		}), types.ErrInvalidBlame},
		{"a blame of a stranger is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, bech(bytes.Repeat([]byte{1}, 20)))
		}), types.ErrInvalidBlame},
		{"a blame of more than all others is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other, f.unasked, f.other, f.other)
		}), types.ErrInvalidBlame},
		{"a blame with a reason of 256 bytes is accepted", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other)
			msg.Blame.Reason = strings.Repeat("x", 256)
		}), nil},
		{"a blame with a longer reason is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other)
			msg.Blame.Reason = strings.Repeat("x", 257)
		}), types.ErrInvalidBlame},
		{"a blame with a reason that is not UTF-8 is refused", late(func(f *fixture, msg *types.MsgTssPool) {
			*msg = *blame(f.keygen.Id, f.asked, f.other)
			msg.Blame.Reason = "\xff"
		}), types.ErrInvalidBlame},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			f := &fixture{c: c, keygen: c.keygen(c.startChurn()[0])}
			for _, m := range f.keygen.Members {
				if m.Asked {
					f.asked, f.other = bech(m.Address()), f.asked
				} else {
					f.unasked = bech(m.Address())
				}
			}
			c.begin(f.keygen)
			msg := vault.result(f.keygen.Id, f.asked, envelope("asked", 300))
			if tt.change != nil {
				tt.change(f, msg)
			}
			before := c.dump()
			err := c.run(msg)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			require.True(t, c.emitted("EventTssPool") != c.emitted("EventBlame"))
			votes, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: f.keygen.Id})
			require.NoError(t, err)
			at := slices.IndexFunc(votes.Keygen.Votes, func(v types.VoteInfo) bool { return v.Member == msg.Signer })
			require.NotEqual(t, -1, at)
			vote := votes.Keygen.Votes[at]
			require.Equal(t, c.ctx.BlockHeight(), vote.Height)
			require.Equal(t, msg.PubKey, vote.Vault)
			if msg.Blame != nil {
				require.ElementsMatch(t, msg.Blame.Members, vote.Blamed)
			}
		})
	}
}

func TestTssPoolRefusesTheKeyOfAVault(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	vault := newVault("vault")
	c.complete(c.startChurn()[0], vault)
	keygen := c.keygen(c.startChurn()[0])
	require.ErrorIs(t, c.run(vault.vote(keygen, keygen.Members[0])), types.ErrVaultExists)
}

func TestPublishBackup(t *testing.T) {
	vault := newVault("vault")
	params := testParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	tests := []struct {
		name   string
		change func(c *chain, msg *types.MsgPublishBackup, member string, vote []byte)
		err    error
		shas   []string // names of the envelopes that stand then, latest first
	}{
		{"a member whose backup is missing publishes", nil, nil, []string{"new"}},
		{"a member publishes again, and the first stays", func(_ *chain, msg *types.MsgPublishBackup, member string, _ []byte) {
			msg.Signer = member
		}, nil, []string{"new", "vote"}},
		{"bad publications do not bury the first", func(c *chain, msg *types.MsgPublishBackup, member string, _ []byte) {
			msg.Signer = member
			second := *msg
			second.KeysharesBackup = envelope("second", 100)
			c.mustRun(&second)
		}, nil, []string{"new", "vote"}},
		{"the first may be published again, and is the latest then", func(c *chain, msg *types.MsgPublishBackup, member string, vote []byte) {
			msg.Signer = member
			second := *msg
			second.KeysharesBackup = envelope("second", 100)
			c.mustRun(&second)
			msg.KeysharesBackup = vote
		}, nil, []string{"vote", "vote"}},
		{"one between may be published again", func(c *chain, msg *types.MsgPublishBackup, member string, _ []byte) {
			msg.Signer = member
			first := *msg
			c.mustRun(&first)
			second := *msg
			second.KeysharesBackup = envelope("second", 100)
			c.mustRun(&second)
		}, nil, []string{"new", "vote"}},
		{"the latest is refused", func(c *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			c.mustRun(msg)
		}, types.ErrBackupPresent, nil},
		{"a retiring vault takes publications", func(c *chain, _ *types.MsgPublishBackup, _ string, _ []byte) {
			c.complete(c.startChurn()[0], newVault("next"))
		}, nil, []string{"new"}},
		{"a retired vault is refused", func(c *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			c.complete(c.startChurn()[0], newVault("next"))
			c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: msg.Vault})
		}, types.ErrVaultNotLive, nil},
		{"a stranger is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.Signer = bech(bytes.Repeat([]byte{1}, 20))
		}, types.ErrNotMember, nil},
		{"an address that is none is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.Signer = ""
		}, types.ErrNotMember, nil},
		{"a vault that does not exist is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.Vault = newVault("other").name()
		}, types.ErrVaultNotFound, nil},
		{"a vault's name in upper case is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.Vault = strings.ToUpper(msg.Vault)
		}, types.ErrInvalidVault, nil},
		{"an envelope out of form is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.KeysharesBackup = msg.KeysharesBackup[1:]
		}, types.ErrEnvelopeForm, nil},
		{"no envelope is refused", func(_ *chain, msg *types.MsgPublishBackup, _ string, _ []byte) {
			msg.KeysharesBackup = nil
		}, types.ErrEnvelopeForm, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			keygen := c.keygen(c.startChurn()[0])
			c.complete(keygen.Id, vault)
			names := map[string]string{}
			var missing, member string
			var first []byte // the envelope of member's vote
			for _, m := range keygen.Members {
				if m.Asked {
					member = bech(m.Address())
					vote := vault.vote(keygen, m)
					names[commitment(vote.KeysharesBackup)] = "vote"
					first = vote.KeysharesBackup
				} else {
					missing = bech(m.Address())
				}
			}
			for _, name := range []string{"new", "second"} {
				names[commitment(envelope(name, 100))] = name
			}
			msg := &types.MsgPublishBackup{Signer: missing, Vault: vault.name(), KeysharesBackup: envelope("new", 100)}
			if tt.change != nil {
				tt.change(c, msg, member, first)
			}
			before := c.dump()
			err := c.run(msg)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			require.True(t, c.emitted("EventBackupPublished"))
			res, err := c.query.Backup(c.ctx, &types.QueryBackupRequest{Vault: msg.Vault, Member: msg.Signer})
			require.NoError(t, err)
			got := []string{names[res.Latest.Sha256]}
			if res.First != nil {
				got = append(got, names[res.First.Sha256])
			}
			require.Equal(t, tt.shas, got)
			require.Equal(t, c.ctx.BlockHeight(), res.Latest.Height)
			require.Equal(t, uint64(len(msg.KeysharesBackup)), res.Latest.Size_)
		})
	}
}

func TestAuthority(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	stranger := bech(bytes.Repeat([]byte{1}, 20))
	require.ErrorIs(t, c.run(&types.MsgStartChurn{Authority: stranger}), types.ErrInvalidAuthority)
	require.ErrorIs(t, c.run(&types.MsgRetireVault{Authority: stranger}), types.ErrInvalidAuthority)
	require.ErrorIs(t, c.run(&types.MsgUpdateParams{Authority: stranger, Params: testParams()}), types.ErrInvalidAuthority)
	require.ErrorIs(t, c.run(&types.MsgStartChurn{}), types.ErrInvalidAuthority)

	// An app may give it in upper case, which bech32 allows.
	k, err := c.newKeeper(strings.ToUpper(authority))
	require.NoError(t, err)
	_, err = keeper.NewMsgServer(k).StartChurn(c.ctx, &types.MsgStartChurn{Authority: authority})
	require.NoError(t, err)
	_, err = c.newKeeper("gov")
	require.ErrorIs(t, err, types.ErrInvalidAuthority)
}

func TestRetireVault(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	hooks := &fakeHooks{}
	c.k.SetHooks(hooks)
	vault, next := newVault("vault"), newVault("next")
	retire := func(name string) error {
		return c.run(&types.MsgRetireVault{Authority: authority, Vault: name})
	}
	require.ErrorIs(t, retire("zz"), types.ErrInvalidVault)
	require.ErrorIs(t, retire(vault.name()), types.ErrVaultNotFound)
	c.complete(c.startChurn()[0], vault)
	require.ErrorIs(t, retire(vault.name()), types.ErrVaultNotRetiring, "an active vault is not retired")
	c.complete(c.startChurn()[0], next)
	require.NoError(t, retire(vault.name()))
	require.True(t, c.emitted("EventVaultRetired"))
	require.ErrorIs(t, retire(vault.name()), types.ErrVaultNotRetiring, "nor is a retired one again")
	require.Equal(t, "retired "+vault.name()[:8], hooks.calls[len(hooks.calls)-1])

	live, err := c.k.LiveVaults.Get(c.ctx)
	require.NoError(t, err)
	require.Equal(t, types.LiveVaults{ChurnId: 2, Vaults: []types.LiveVault{{PubKey: next.pubKey(), Epoch: 2}}}, live)
}

func TestUpdateParams(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	params := testParams()
	params.KeygenDeadline = 0
	require.ErrorIs(t, c.run(&types.MsgUpdateParams{Authority: authority, Params: params}), types.ErrInvalidParams)

	next := func() int64 {
		res, err := c.query.Churns(c.ctx, &types.QueryChurnsRequest{})
		require.NoError(t, err)
		return res.NextChurnHeight
	}
	require.Zero(t, next())
	params = testParams()
	params.ChurnInterval = 100
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	require.EqualValues(t, 101, next(), "a new interval counts from now")
	c.endBlocks(3)
	params.RetirementDelay = 1
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	require.EqualValues(t, 101, next(), "and stays when something else changes")
	params.ChurnInterval = 0
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	require.Zero(t, next())
}

func TestGasIsChargedForTheEnvelope(t *testing.T) {
	gas := func(size int) uint64 {
		c, _ := startChain(t, testParams(), 3)
		keygen := c.keygen(c.startChurn()[0])
		msg := c.certified(newVault("v").result(keygen.Id, bech(keygen.Members[0].Address()), envelope("e", size)))
		before := c.ctx.GasMeter().GasConsumed()
		require.NoError(t, c.handle(msg))
		return c.ctx.GasMeter().GasConsumed() - before
	}
	small, large := gas(100), gas(100<<10)
	require.GreaterOrEqual(t, small, uint64(2*5000+3*5000), "the keys and the certificate")
	require.InDelta(t, 100*100, large-small, 200, "100 for each KiB")
}

func TestCheckPubKeyEd25519RefusesPointsOfSmallOrder(t *testing.T) {
	good := newVault("v").pubKeyEd25519()
	require.NoError(t, types.CheckPubKeyEd25519(good))
	// Points of order 2, 4 and 8, alone and added to a good key.
	for _, small := range []string{
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	} {
		b, err := hex.DecodeString(small)
		require.NoError(t, err)
		require.Error(t, types.CheckPubKeyEd25519(b), small)
		p, err := new(edwards25519.Point).SetBytes(b)
		require.NoError(t, err)
		q, err := new(edwards25519.Point).SetBytes(good)
		require.NoError(t, err)
		require.Error(t, types.CheckPubKeyEd25519(q.Add(q, p).Bytes()), small)
	}
	// y = p + 3 is a second encoding of a point.
	b, err := hex.DecodeString("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
	require.NoError(t, err)
	require.Error(t, types.CheckPubKeyEd25519(b))
}
