package keeper_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// proof is a real proof of m's shares of the vault to its recipient key with this index.
func (v vaultKeys) proof(t testing.TB, keygen types.Keygen, m types.Member, index uint32) []byte {
	t.Helper()
	d := v.deal(keygen.Members)
	proof, err := verenc.Prove(dealer.RecipientKey(m.PubKey, index), v.statement(d.Public, keygen.Id, m, index), d.Shares(m.PubKey))
	require.NoError(t, err)
	return proof
}

// counted has the chain's keeper check proofs as verenc does, and count them.
func (c *chain) counted() *int {
	n := new(int)
	c.k.SetVerify(func(st verenc.Statement, proof []byte) ([]byte, error) {
		*n++
		stored, err := verenc.Verify(st, proof)
		if err != nil {
			return nil, err
		}
		return stored.Bytes(), nil
	})
	return n
}

func TestProofOfAVote(t *testing.T) {
	vault := newVault("vault")
	params := provenParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	type fixture struct {
		c                     *chain
		keygen                types.Keygen
		asked, other, unasked types.Member
	}
	// A point of another list, and of the same list in another place.
	otherPoint := func(list []types.PublicShare) { list[0].Point = newVault("other").pubKey() }
	swap := func(list []types.PublicShare) { list[0].Point, list[1].Point = list[1].Point, list[0].Point }
	shares := func(change func(list []types.PublicShare)) func(*fixture, *types.MsgTssPool) {
		return func(_ *fixture, msg *types.MsgTssPool) {
			list := append([]types.PublicShare{}, msg.PublicShares.Secp256k1...)
			change(list)
			msg.PublicShares = &types.PublicShares{Secp256k1: list, Ed25519: msg.PublicShares.Ed25519}
		}
	}
	tests := []struct {
		name   string
		change func(f *fixture, msg *types.MsgTssPool)
		err    error
		// verified tells that the refusal needed verenc's verification.
		verified bool
	}{
		{"a true proof is accepted", nil, nil, true},
		{"a member that is not asked sends public shares and no proof", func(f *fixture, msg *types.MsgTssPool) {
			*msg = *vault.vote(f.keygen, f.unasked)
		}, nil, false},
		{"no proof is refused", func(_ *fixture, msg *types.MsgTssPool) { msg.Proof = nil }, types.ErrProofMissing, false},
		{"a proof without an envelope is refused", func(f *fixture, msg *types.MsgTssPool) {
			proof := msg.Proof
			*msg = *vault.vote(f.keygen, f.unasked)
			msg.Proof = proof
		}, types.ErrInvalidProof, false},
		{"no public shares are refused", func(_ *fixture, msg *types.MsgTssPool) { msg.PublicShares, msg.Proof = nil, nil }, types.ErrInvalidShares, false},
		{"a proof without public shares is refused", func(_ *fixture, msg *types.MsgTssPool) { msg.PublicShares = nil }, types.ErrInvalidProof, false},
		{"empty public shares are refused", func(_ *fixture, msg *types.MsgTssPool) { msg.PublicShares = &types.PublicShares{} }, types.ErrInvalidShares, false},
		{"public shares of one key are refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PublicShares = &types.PublicShares{Secp256k1: msg.PublicShares.Secp256k1}
		}, types.ErrInvalidShares, false},
		{"a missing entry is refused", func(_ *fixture, msg *types.MsgTssPool) {
			msg.PublicShares = &types.PublicShares{Secp256k1: msg.PublicShares.Secp256k1[1:], Ed25519: msg.PublicShares.Ed25519}
		}, types.ErrInvalidShares, false},
		{"a member twice is refused", shares(func(list []types.PublicShare) { list[0].Member = list[1].Member }), types.ErrInvalidShares, false},
		{"a stranger's entry is refused", shares(func(list []types.PublicShare) { list[0].Member = bytes.Repeat([]byte{1}, 20) }), types.ErrInvalidShares, false},
		{"entries out of order are refused", shares(func(list []types.PublicShare) { list[0], list[1] = list[1], list[0] }), types.ErrInvalidShares, false},
		{"an id of zero is refused", shares(func(list []types.PublicShare) { list[0].Id = make([]byte, 32) }), types.ErrInvalidShares, false},
		{"two members with each other's ids and points are refused", shares(func(list []types.PublicShare) {
			list[0].Member, list[1].Member = list[1].Member, list[0].Member
		}), types.ErrInvalidShares, false},
		{"a short id is refused", shares(func(list []types.PublicShare) { list[0].Id = list[0].Id[1:] }), types.ErrInvalidShares, false},
		{"a point that is none is refused", shares(func(list []types.PublicShare) { list[0].Point = make([]byte, 33) }), types.ErrInvalidShares, false},
		{"a point that is not on the polynomial is refused", shares(otherPoint), types.ErrInvalidShares, false},
		{"points in each other's place are refused", shares(swap), types.ErrInvalidShares, false},
		{"the public shares of another vault are refused", func(f *fixture, msg *types.MsgTssPool) {
			other := newVault("other").deal(f.keygen.Members).Public
			msg.PublicShares = &other
		}, types.ErrInvalidShares, false},
		{"another member's proof is refused", func(f *fixture, msg *types.MsgTssPool) {
			msg.Proof = vault.proof(f.c.t, f.keygen, f.other, 0)
		}, types.ErrInvalidProof, true},
		{"a proof for another keygen is refused", func(f *fixture, msg *types.MsgTssPool) {
			old := f.keygen
			old.Id++
			msg.Proof = vault.proof(f.c.t, old, f.asked, 0)
		}, types.ErrInvalidProof, true},
		{"a proof for another vault is refused", func(f *fixture, msg *types.MsgTssPool) {
			msg.Proof = newVault("other").proof(f.c.t, f.keygen, f.asked, 0)
		}, types.ErrInvalidProof, true},
		{"a proof to a recipient key that was registered later is refused", func(f *fixture, msg *types.MsgTssPool) {
			for _, v := range f.c.staking.validators {
				if v.addr().Equals(f.asked.Address()) {
					v.recipient = 1
					f.c.mustRun(v.register())
				}
			}
			msg.Proof = vault.proof(f.c.t, f.keygen, f.asked, 1)
		}, types.ErrInvalidProof, true},
		{"a proof to the key that the keygen opened with is accepted after another was registered", func(f *fixture, _ *types.MsgTssPool) {
			for _, v := range f.c.staking.validators {
				if v.addr().Equals(f.asked.Address()) {
					v.recipient = 1
					f.c.mustRun(v.register())
				}
			}
		}, nil, true},
		{"a proof of one of the two shares is refused", func(f *fixture, msg *types.MsgTssPool) {
			d := vault.deal(f.keygen.Members)
			st := vault.statement(d.Public, f.keygen.Id, f.asked, 0)
			st.Shares = st.Shares[:1]
			proof, err := verenc.Prove(dealer.RecipientKey(f.asked.PubKey, 0), st, d.Shares(f.asked.PubKey)[:1])
			require.NoError(f.c.t, err)
			msg.Proof = proof
		}, types.ErrInvalidProof, true},
		{"a proof that is too long is refused before it is looked at", func(_ *fixture, msg *types.MsgTssPool) {
			msg.Proof = append(msg.Proof, make([]byte, 4000)...)
		}, types.ErrInvalidProof, false},
		{"a proof with a flipped bit is refused", func(_ *fixture, msg *types.MsgTssPool) { msg.Proof[40] ^= 1 }, types.ErrInvalidProof, true},
		{"a true proof with a wrong certificate is not looked at", func(f *fixture, msg *types.MsgTssPool) {
			*msg = *f.c.certified(msg)
			msg.Certificate[0] ^= 1
		}, types.ErrInvalidCertificate, false},
		{"a true proof with an envelope out of form is not looked at", func(_ *fixture, msg *types.MsgTssPool) { msg.KeysharesBackup = []byte{1} }, types.ErrEnvelopeForm, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			f := &fixture{c: c, keygen: c.keygen(c.startChurn()[0])}
			for _, m := range f.keygen.Members {
				if m.Asked {
					f.asked, f.other = m, f.asked
				} else {
					f.unasked = m
				}
			}
			c.begin(f.keygen)
			msg := vault.vote(f.keygen, f.asked)
			msg.Proof = vault.proof(t, f.keygen, f.asked, 0)
			if tt.change != nil {
				tt.change(f, msg)
			}
			verified := c.counted()
			before := c.dump()
			require.ErrorIs(t, c.run(msg), tt.err)
			require.Equal(t, tt.verified, *verified == 1)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: f.keygen.Id})
			require.NoError(t, err)
			require.Equal(t, len(msg.Proof) > 0, res.Keygen.Votes[0].Proven)
			require.NotEmpty(t, res.Keygen.Votes[0].SharesHash)
		})
	}
}

// TestStoredProofOpens has what state keeps of a real proof give the member's shares.
func TestStoredProofOpens(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, provenParams(), 3)
	c.counted()
	keygen := c.keygen(c.startChurn()[0])
	for _, m := range keygen.Members {
		msg := vault.vote(keygen, m)
		msg.Proof = vault.proof(t, keygen, m, 0)
		c.mustRun(msg)
	}
	c.endBlock()
	require.EqualValues(t, 3, c.coverage(vault.name())[0].Proven)
	for _, m := range keygen.Members {
		res, err := c.query.Proof(c.ctx, &types.QueryProofRequest{Vault: vault.name(), Member: bech(m.Address())})
		require.NoError(t, err)
		require.EqualValues(t, 1, res.Proof.Height)
		stored, err := verenc.ParseStored(res.Proof.Stored)
		require.NoError(t, err)
		d := vault.deal(keygen.Members)
		public, ok := d.Public.Of(m.Address())
		require.True(t, ok)
		opened, err := stored.Open(dealer.RecipientKey(m.PubKey, res.Proof.RecipientIndex), public)
		require.NoError(t, err)
		for i, share := range d.Shares(m.PubKey) {
			require.Equal(t, share.Bytes(), opened[i].Bytes())
		}
	}
}

func TestNoVaultIsActiveWithoutProofs(t *testing.T) {
	vault := newVault("vault")
	params := provenParams()
	params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 2}
	for proven, want := range map[int]types.KeygenStatus{2: failed, 3: ready, 4: ready} {
		t.Run(fmt.Sprint(proven, " of 4 prove"), func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			keygen := c.keygen(c.startChurn()[0])
			for i, m := range keygen.Members {
				msg := vault.vote(keygen, m)
				if i >= proven {
					msg.Proof[len(msg.Proof)-1] ^= 1
					require.ErrorIs(t, c.run(msg), types.ErrInvalidProof)
					continue
				}
				c.mustRun(msg)
			}
			c.untilClosed(keygen.Id)
			require.Equal(t, want, c.keygen(keygen.Id).Status)
			if want == ready {
				cov := c.coverage(vault.name())[0]
				require.EqualValues(t, proven, cov.Proven)
				require.True(t, cov.ProvenRecoverable)
			}
		})
	}
}

// TestWhoWasSilentMayProveLater has a member that did not vote come back to the vault that the
// others made.
func TestWhoWasSilentMayProveLater(t *testing.T) {
	vault := newVault("vault")
	params := provenParams()
	params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 2}
	c, _ := startChain(t, params, 4)
	keygen := c.keygen(c.startChurn()[0])
	stray := keygen.Members[0]
	for _, m := range keygen.Members[1:] {
		c.mustRun(vault.vote(keygen, m))
	}
	c.untilClosed(keygen.Id)
	cov := c.coverage(vault.name())[0]
	require.EqualValues(t, 3, cov.Proven)
	publish := func(name string, proof []byte) error {
		return c.run(&types.MsgPublishBackup{
			Signer: bech(stray.Address()), Vault: vault.name(), KeysharesBackup: envelope(name, 100), Proof: proof,
		})
	}
	shares := vault.deal(keygen.Members).Public
	require.ErrorIs(t, publish("a", newVault("another").vote(keygen, stray).Proof), types.ErrInvalidProof)
	require.NoError(t, publish("a", dealer.FakeProof(vault.statement(shares, keygen.Id, stray, 0))))
	require.EqualValues(t, 4, c.coverage(vault.name())[0].Proven)
	require.ErrorIs(t, publish("b", dealer.FakeProof(vault.statement(shares, keygen.Id, stray, 0))), types.ErrProofPresent)
	require.NoError(t, publish("b", nil), "and an envelope alone may be published again")
}

func TestProofsAreDeletedSomeTimeAfterTheRetirement(t *testing.T) {
	first := newVault("first")
	c, _ := startChain(t, provenParams(), 3)
	c.complete(c.startChurn()[0], first)
	c.complete(c.startChurn()[0], newVault("second"))
	proofs := func() error {
		_, err := c.query.Proofs(c.ctx, &types.QueryProofsRequest{Vault: first.name()})
		return err
	}
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: first.name()})
	c.endBlocks(15)
	require.NoError(t, proofs(), "someone may still send money to a vault that was retired")
	require.False(t, c.emitted("EventProofsDeleted"))
	c.endBlock()
	require.True(t, c.emitted("EventProofsDeleted"))
	require.Error(t, proofs())
	require.Zero(t, c.coverage(first.name())[0].Proven)
	second, err := c.query.Proofs(c.ctx, &types.QueryProofsRequest{Vault: newVault("second").name()})
	require.NoError(t, err)
	require.Len(t, second.Proofs, 3)
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

func TestNothingIsKeptOfTheProofsOfAFailedKeygen(t *testing.T) {
	c, _ := startChain(t, provenParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	c.mustRun(newVault("a").vote(keygen, keygen.Members[0]))
	require.NotZero(t, c.proofSize())
	c.untilClosed(keygen.Id)
	require.Equal(t, failed, c.keygen(keygen.Id).Status)
	require.Zero(t, c.proofSize())
}

func TestGasIsChargedBeforeTheWork(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, provenParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	verified := c.counted()
	gas := func(m types.Member) uint64 {
		msg := vault.vote(keygen, m)
		msg.Proof = vault.proof(t, keygen, m, 0)
		msg = c.certified(msg)
		before := c.ctx.GasMeter().GasConsumed()
		require.NoError(t, c.handle(msg))
		return c.ctx.GasMeter().GasConsumed() - before
	}
	first, second := gas(keygen.Members[0]), gas(keygen.Members[1])
	require.GreaterOrEqual(t, second, uint64(250_000))
	require.Greater(t, first-second, uint64(4*5_000+2*4*2_532), "the certificate is verified once, the public shares checked and written once")

	// With too little gas for the proof, it is not verified.
	*verified = 0
	msg := vault.vote(keygen, keygen.Members[2])
	msg.Proof = vault.proof(t, keygen, keygen.Members[2], 0)
	ctx := c.ctx.WithGasMeter(storetypes.NewGasMeter(250_000))
	require.Panics(t, func() { _, _ = c.msg.TssPool(ctx, msg) })
	require.Zero(t, *verified)
}

func TestVoteGasIsEnough(t *testing.T) {
	for _, n := range []int{3, 4, 40, 100, 512} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			params := provenParams()
			params.MaxVaultMembers = 512
			c, _ := startChain(t, params, n)
			keygen := c.keygen(c.startChurn()[0])
			msg := c.certified(newVault("v").vote(keygen, keygen.Members[0]))
			gas := func(run func(ctx sdk.Context)) uint64 {
				ctx, _ := c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).WithKVGasConfig(storetypes.KVGasConfig()).CacheContext()
				run(ctx)
				return ctx.GasMeter().GasConsumed()
			}
			used := gas(func(ctx sdk.Context) {
				_, _, err := c.k.ExemptVote(ctx, msg)
				require.NoError(t, err)
				require.NoError(t, c.k.CountAttempt(ctx, types.Exemption{KeygenID: keygen.Id, Member: keygen.Members[0].Address()}))
				_, err = c.msg.TssPool(ctx, msg)
				require.NoError(t, err)
			})
			require.Less(t, used, types.VoteGas(n))
			t.Logf("%d of %d gas", used, types.VoteGas(n))
			bz, err := msg.Marshal()
			require.NoError(t, err)
			require.LessOrEqual(t, uint64(len(bz)-len(msg.KeysharesBackup)), types.MaxProofBytes(n)+1024)
		})
	}
}

// TestVoteGasOfWhatBringsNoPublicShares has the largest blame, the last join, a check and the proof
// of a later publication stay within what bifrost asks for them, in a keygen of 512 members.
func TestVoteGasOfWhatBringsNoPublicShares(t *testing.T) {
	const n = 512
	params := provenParams()
	params.MaxVaultMembers = n
	params.Sample = types.Fraction{Numerator: 2, Denominator: 3}
	c, _ := startChain(t, params, n)
	keygen := c.keygen(c.startChurn()[0])
	used := func(msg sdk.Msg) (gas, limit uint64) {
		ctx, _ := c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).WithKVGasConfig(storetypes.KVGasConfig()).CacheContext()
		v, ok, err := c.k.ExemptVote(ctx, msg)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, c.k.CountAttempt(ctx, v))
		require.NoError(t, dispatch(ctx, c.msg, msg))
		return ctx.GasMeter().GasConsumed(), types.VoteGas(v.Members)
	}
	var others []string
	for _, m := range keygen.Members[1:] {
		others = append(others, bech(m.Address()))
	}
	now := c.ctx
	c.ctx = c.ctx.WithBlockHeight(keygen.CertificateDeadline() + 1)
	gas, limit := used(blame(keygen.Id, bech(keygen.Members[0].Address()), others...))
	t.Logf("a blame of all others: %d of %d gas", gas, limit)
	require.Equal(t, types.VoteGas(0), limit)
	require.Less(t, gas, limit)
	c.ctx = now

	for _, m := range keygen.Members[1:] {
		c.mustRun(newJoin(keygen.Id, m, "join").msg)
	}
	gas, limit = used(newJoin(keygen.Id, keygen.Members[0], "join").msg)
	t.Logf("the last join: %d of %d gas", gas, limit)
	require.Less(t, gas, limit)

	vault := newVault("v")
	c.unchecked = true
	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	gas, limit = used(vault.signed(keygen.Id, bech(keygen.Members[1].Address())))
	t.Logf("a check: %d of %d gas", gas, limit)
	require.Less(t, gas, limit)

	c.unchecked = false
	for _, m := range keygen.Members[1:] {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
	for _, m := range keygen.Members {
		if m.Asked {
			continue
		}
		shares := vault.deal(keygen.Members).Public
		gas, limit := used(&types.MsgPublishBackup{
			Signer: bech(m.Address()), Vault: vault.name(), KeysharesBackup: envelope("late", 64<<10),
			Proof: dealer.FakeProof(vault.statement(shares, keygen.Id, m, 0)),
		})
		t.Logf("a later publication: %d of %d gas", gas, limit)
		require.Less(t, gas, limit)
		return
	}
	t.Fatal("all are asked")
}

func TestRecipientKeys(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *chain, msg *types.MsgRegisterSigner, v, other *validator)
		err    error
	}{
		{"without one", func(_ *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			*msg = *signed(v, types.Recipient{}, msg.Possession)
		}, types.ErrInvalidRecipient},
		{"without possession", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.Possession = nil
		}, types.ErrInvalidRecipient},
		{"with the possession of another signer", func(_ *chain, msg *types.MsgRegisterSigner, _, other *validator) {
			msg.Possession = other.register().Possession
		}, types.ErrInvalidRecipient},
		{"of small order", func(_ *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			*msg = *signed(v, types.Recipient{Key: append([]byte{1}, make([]byte, 31)...)}, msg.Possession)
		}, types.ErrInvalidRecipient},
		{"that the signer's signature does not cover", func(_ *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			key := dealer.RecipientKey([]byte("another"), 0)
			possession, err := key.Possess(chainID, v.addr())
			if err != nil {
				panic(err)
			}
			msg.RecipientKey, msg.Possession = key.Public(), possession
		}, types.ErrInvalidSignature},
		{"of an index that the signer's signature does not cover", func(_ *chain, msg *types.MsgRegisterSigner, _, _ *validator) {
			msg.RecipientIndex++
		}, types.ErrInvalidSignature},
		{"that another signer has", func(_ *chain, msg *types.MsgRegisterSigner, v, other *validator) {
			key := dealer.RecipientKey(other.signer.PubKey().Bytes(), 0)
			possession, err := key.Possess(chainID, v.addr())
			if err != nil {
				panic(err)
			}
			*msg = *signed(v, types.Recipient{Key: key.Public()}, possession)
		}, types.ErrRecipientTaken},
		{"again", func(c *chain, msg *types.MsgRegisterSigner, _, _ *validator) { c.mustRun(msg) }, types.ErrSignerPresent},
		{"another one, of the next index", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			c.mustRun(msg)
			v.recipient = 1
			*msg = *v.register()
		}, nil},
		{"the one before, sent again by who saw it", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			c.mustRun(msg)
			v.recipient = 1
			c.mustRun(v.register())
		}, types.ErrInvalidRecipient},
		{"the one before, sent again by way of another signer", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			c.mustRun(msg)
			v.recipient = 1
			c.mustRun(v.register())
			between := *v
			between.signer = signerKey("between")
			c.mustRun(between.register())
		}, types.ErrInvalidRecipient},
		{"its latest, after another signer was registered in between", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			c.mustRun(msg)
			v.recipient = 1
			*msg = *v.register()
			c.mustRun(msg)
			between := *v
			between.signer = signerKey("between")
			c.mustRun(between.register())
		}, nil},
		{"its own, after another signer was registered in between", func(c *chain, msg *types.MsgRegisterSigner, v, _ *validator) {
			c.mustRun(msg)
			between := *v
			between.signer = signerKey("between")
			c.mustRun(between.register())
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, vals := startChain(t, testParams(), 1)
			v := newValidator(1)
			c.staking.validators = append(c.staking.validators, v)
			msg := v.register()
			tt.change(c, msg, v, vals[0])
			before := c.dump()
			require.ErrorIs(t, c.run(msg), tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			res, err := c.query.Signer(c.ctx, &types.QuerySignerRequest{Address: v.valoper()})
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%x", msg.RecipientKey), res.Signer.RecipientKey)
			require.Equal(t, msg.RecipientIndex, res.Signer.RecipientIndex)
		})
	}
}

// signed is a registration with any recipient key.
func signed(v *validator, recipient types.Recipient, possession []byte) *types.MsgRegisterSigner {
	pubKey := v.signer.PubKey().Bytes()
	sig, err := v.signer.Sign(types.RegisterMessage(chainID, v.operator, pubKey, recipient))
	if err != nil {
		panic(err)
	}
	return &types.MsgRegisterSigner{
		Operator: v.valoper(), PubKey: pubKey, Signature: sig,
		RecipientKey: recipient.Key, RecipientIndex: recipient.Index, Possession: possession,
	}
}

func TestGenesisOfProofsIsValidatedStrictly(t *testing.T) {
	good := busy(t).export()
	require.NoError(t, good.Validate())
	require.NotEmpty(t, good.ProofExpiries)
	proven := func(gs *types.GenesisState, live bool) *types.GenesisProof {
		for i := range gs.Proofs {
			p := &gs.Proofs[i]
			if p.Proof.IsProven() && (p.KeygenId == gs.LastKeygenId) == live {
				return p
			}
		}
		panic("no proof")
	}
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
	}{
		{"a recipient owner twice", func(gs *types.GenesisState) { gs.RecipientOwners[1] = gs.RecipientOwners[0] }},
		{"a recipient key that is no point", func(gs *types.GenesisState) { gs.RecipientOwners[0].Key = make([]byte, 32) }},
		{"a recipient owner that was never registered", func(gs *types.GenesisState) { gs.RecipientOwners[0].Address = bytes.Repeat([]byte{1}, 20) }},
		{"a signer with another's recipient key", func(gs *types.GenesisState) {
			gs.Signers[0].Signer.Recipient = gs.Signers[1].Signer.Recipient
		}},
		{"a missing recipient owner", func(gs *types.GenesisState) { gs.RecipientOwners = gs.RecipientOwners[1:] }},
		{"public shares of no result", func(gs *types.GenesisState) { gs.PublicShares[0].KeygenId++ }},
		{"public shares twice", func(gs *types.GenesisState) { gs.PublicShares[1] = gs.PublicShares[0] }},
		{"missing public shares", func(gs *types.GenesisState) { gs.PublicShares = gs.PublicShares[1:] }},
		{"public shares with another hash", func(gs *types.GenesisState) {
			gs.PublicShares[0].Shares.Ed25519[0].Id[31] ^= 1
		}},
		{"public shares with a point that is none", func(gs *types.GenesisState) {
			gs.PublicShares[0].Shares.Secp256k1[0].Point = make([]byte, 33)
		}},
		{"public shares of too few members", func(gs *types.GenesisState) {
			gs.PublicShares[0].Shares.Secp256k1 = gs.PublicShares[0].Shares.Secp256k1[1:]
		}},
		{"a vault that names other public shares", func(gs *types.GenesisState) { gs.Vaults[0].Vault.SharesHash[0] ^= 1 }},
		{"a proof of no keygen", func(gs *types.GenesisState) { gs.Proofs[0].KeygenId = 99 }},
		{"a proof of a keygen that failed", func(gs *types.GenesisState) { gs.Proofs[0].KeygenId = 2 }},
		{"a stranger's proof", func(gs *types.GenesisState) { gs.Proofs[0].Member = bytes.Repeat([]byte{1}, 20) }},
		{"a proof twice", func(gs *types.GenesisState) { gs.Proofs[1] = gs.Proofs[0] }},
		{"a missing proof of a live vault", func(gs *types.GenesisState) {
			for i, p := range gs.Proofs {
				if p.KeygenId == gs.LastKeygenId {
					gs.Proofs = append(gs.Proofs[:i], gs.Proofs[i+1:]...)
					return
				}
			}
		}},
		{"some proofs of a retired vault", func(gs *types.GenesisState) { gs.Proofs = gs.Proofs[1:] }},
		{"a recipient key that is not the member's", func(gs *types.GenesisState) {
			gs.Proofs[0].Proof.Recipient = gs.Proofs[1].Proof.Recipient
		}},
		{"a stored form that is cut", func(gs *types.GenesisState) {
			p := proven(gs, false)
			p.Proof.Stored = p.Proof.Stored[1:]
		}},
		{"a stored form of one share", func(gs *types.GenesisState) {
			p := proven(gs, false)
			form := append([]byte{1}, make([]byte, verenc.StoredSize(1)-1)...)
			for nonce := uint32(0); ; nonce++ {
				binary.BigEndian.PutUint32(form[65:], nonce)
				if _, err := verenc.ParseStored(form); err == nil {
					break
				}
			}
			p.Proof.Stored = form
		}},
		{"a stored form of another suite", func(gs *types.GenesisState) { proven(gs, false).Proof.Stored[0] = 2 }},
		{"a height without a proof", func(gs *types.GenesisState) { proven(gs, false).Proof.Stored = nil }},
		{"a negative height", func(gs *types.GenesisState) { proven(gs, false).Proof.Height = -1 }},
		{"a vote without the proof that its keygen requires", func(gs *types.GenesisState) {
			p := proven(gs, true)
			p.Proof.Stored, p.Proof.Height = nil, 0
		}},
		{"a vote without the public shares that its keygen requires", func(gs *types.GenesisState) {
			vote(gs).Result.SharesHash = nil
			gs.PublicShares = gs.PublicShares[:len(gs.PublicShares)-1]
		}},
		{"a live vault with fewer proven members than it needed", func(gs *types.GenesisState) {
			for i := range gs.Proofs {
				if gs.Proofs[i].KeygenId == 4 && gs.Proofs[i].Proof.IsProven() {
					gs.Proofs[i].Proof = types.Proof{Recipient: gs.Proofs[i].Proof.Recipient}
					return
				}
			}
			panic("no proof of the live vault")
		}},
		{"an expiry of a live vault", func(gs *types.GenesisState) { gs.ProofExpiries[0].KeygenId = 3 }},
		{"an expiry twice", func(gs *types.GenesisState) { gs.ProofExpiries = append(gs.ProofExpiries, gs.ProofExpiries[0]) }},
		{"an expiry before the retirement", func(gs *types.GenesisState) { gs.ProofExpiries[0].Height = 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bz, err := testCodec.Marshal(good)
			require.NoError(t, err)
			var gs types.GenesisState
			require.NoError(t, testCodec.Unmarshal(bz, &gs))
			tt.change(&gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
}

// TestGenesisCarriesContexts has a stored form, whose context names the chain it was made on, come
// through an export into a chain of another name as it is.
func TestGenesisCarriesContexts(t *testing.T) {
	c, _ := startChain(t, provenParams(), 3)
	vault := newVault("vault")
	keygen := c.startChurn()[0]
	c.complete(keygen, vault)
	next := exportInto(t, c)
	next.ctx = next.ctx.WithChainID("test-2")
	for _, m := range c.coverage(vault.name())[0].List {
		addr, err := accCodec.StringToBytes(m.Address)
		require.NoError(t, err)
		before, err := c.k.Proofs.Get(c.ctx, collections.Join(keygen, addr))
		require.NoError(t, err)
		after, err := next.k.Proofs.Get(next.ctx, collections.Join(keygen, addr))
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}
