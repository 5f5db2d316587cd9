package keeper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// groupOf is what the query shows of a vault's group part.
func (c *chain) groupOf(v vaultKeys) (*types.QueryGroupResponse, error) {
	return c.query.Group(c.ctx, &types.QueryGroupRequest{Vault: v.name()})
}

// TestVotesOfASplitKeygen has every kind of a vote come first, and after the vote that carries the
// group part.
func TestVotesOfASplitKeygen(t *testing.T) {
	vault, other := newVault("vault"), newVault("other")
	n := sanity.GroupMemberBytes
	spoil := func(change func(group []byte) []byte) func(*chain, types.Keygen, *types.MsgTssPool) {
		return func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) {
			msg.Group = change(bytes.Clone(msg.Group))
		}
	}
	set := func(at int, with []byte) func(*chain, types.Keygen, *types.MsgTssPool) {
		return spoil(func(group []byte) []byte { copy(group[at:], with); return group })
	}
	names := func(_ *chain, k types.Keygen, msg *types.MsgTssPool) { *msg = *naming(msg, k.Members) }
	for _, tt := range []struct {
		name   string
		change func(c *chain, keygen types.Keygen, msg *types.MsgTssPool)
		// first is the error when nothing is known, later the one when another member carried it.
		first, later error
	}{
		{"it carries the group part", nil, nil, nil},
		{"it names the group part", names, types.ErrGroupUnknown, nil},
		{"it carries and names it", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			msg.GroupHash = resultOf(msg, k.Members).SharesHash
		}, types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"it does neither", func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) { msg.Group = nil }, types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"it has public shares beside it", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			public := vault.deal(k.Members).Public
			msg.PublicShares = &public
		}, types.ErrInvalidShares, types.ErrInvalidShares},
		{"it has public shares instead", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			public := vault.deal(k.Members).Public
			msg.PublicShares, msg.Group = &public, nil
		}, types.ErrInvalidShares, types.ErrInvalidShares},
		{"it names it with another hash", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			names(c, k, msg)
			msg.GroupHash = bytes.Repeat([]byte{7}, 32)
		}, types.ErrGroupUnknown, types.ErrGroupUnknown},
		{"it names it with a hash that is too short", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			names(c, k, msg)
			msg.GroupHash = msg.GroupHash[:31]
		}, types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"it names it and has a certificate", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			certified := c.certified(msg)
			names(c, k, msg)
			msg.Certificate = certified.Certificate
		}, types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"a byte is missing", spoil(func(g []byte) []byte { return g[:len(g)-1] }), types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"a byte is too many", spoil(func(g []byte) []byte { return append(g, 0) }), types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"a member is missing", spoil(func(g []byte) []byte { return g[n:] }), types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"a member is too many", spoil(func(g []byte) []byte { return append(g, g[:n]...) }), types.ErrInvalidGroup, types.ErrInvalidGroup},
		{"two members are in each other's place", spoil(func(g []byte) []byte {
			return bytes.Join([][]byte{g[n : 2*n], g[:n], g[2*n:]}, nil)
		}), types.ErrInvalidShares, types.ErrCertified},
		{"a point is no point", set(0, make([]byte, 33)), types.ErrInvalidShares, types.ErrCertified},
		{"a point lies on no polynomial with the others", set(n, newVault("another").pubKey()), types.ErrInvalidShares, types.ErrCertified},
		{"a point of ed25519 is not in canonical form", set(33, bytes.Repeat([]byte{0xff}, 32)), types.ErrInvalidShares, types.ErrCertified},
		{"the points are another vault's", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			msg.Group = other.group(k.Members)
		}, types.ErrInvalidShares, types.ErrCertified},
		{"N is zero", set(65, make([]byte, 256)), types.ErrInvalidGroup, types.ErrCertified},
		{"N is even", spoil(func(g []byte) []byte { g[65+255] &^= 1; return g }), types.ErrInvalidGroup, types.ErrCertified},
		{"NTilde is shorter than its place", set(65+256, []byte{0}), types.ErrInvalidGroup, types.ErrCertified},
		{"N is NTilde", spoil(func(g []byte) []byte { copy(g[65:321], g[321:577]); return g }), types.ErrInvalidGroup, types.ErrCertified},
		{"H1 is above NTilde", set(65+2*256, bytes.Repeat([]byte{0xff}, 256)), types.ErrInvalidGroup, types.ErrCertified},
		{"H1 is one, of the last member", spoil(func(g []byte) []byte {
			copy(g[len(g)-512:], append(make([]byte, 255), 1))
			return g
		}), types.ErrInvalidGroup, types.ErrCertified},
		{"H2 is H1", spoil(func(g []byte) []byte { copy(g[n-256:n], g[n-512:n-256]); return g }), types.ErrInvalidGroup, types.ErrCertified},
		{"it is for another vault", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			m, _ := types.FindMember(k.Members, mustBytes(msg.Signer))
			*msg = *other.vote(k, m)
		}, nil, types.ErrCertified},
	} {
		for when, want := range map[string]error{"first": tt.first, "later": tt.later} {
			t.Run(tt.name+", "+when, func(t *testing.T) {
				c, _ := startChain(t, splitParams(), 4)
				c.unchecked = true
				keygen := c.keygen(c.startChurn()[0])
				require.True(t, keygen.Split)
				c.begin(keygen)
				if when == "later" {
					c.mustRun(vault.vote(keygen, keygen.Members[0]))
				}
				msg := vault.vote(keygen, keygen.Members[1])
				if tt.change != nil {
					tt.change(c, keygen, msg)
				}
				if when == "first" && len(msg.GroupHash) == 0 {
					// All members have signed for it, so that nothing but the keeper refuses it.
					msg = c.certified(msg)
				}
				before := c.dump()
				err := c.handle(msg)
				if want != nil {
					require.ErrorIs(t, err, want)
					require.Equal(t, before, c.dump())
					return
				}
				require.NoError(t, err)
				hash := resultOf(msg, keygen.Members).SharesHash
				require.Len(t, hash, 32)
				require.Contains(t, fmt.Sprint(c.events), hex.EncodeToString(hash))
				vote, err := c.k.Votes.Get(c.ctx, collections.Join(keygen.Id, []byte(keygen.Members[1].Address())))
				require.NoError(t, err)
				require.Equal(t, hash, vote.Result.SharesHash)
				has, err := c.k.Groups.Has(c.ctx, collections.Join(keygen.Id, hash))
				require.NoError(t, err)
				require.True(t, has)
			})
		}
	}
}

func mustBytes(bech string) []byte {
	b, err := accCodec.StringToBytes(bech)
	if err != nil {
		panic(err)
	}
	return b
}

// TestAnUnknownGroupPartCostsNothing shows that a vote which names what is not there is refused
// before it counts, and one with what cannot be a group part.
func TestAnUnknownGroupPartCostsNothing(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, splitParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	c.begin(keygen)
	m := keygen.Members[1]
	carries := c.certified(vault.vote(keygen, m))
	names := naming(carries, keygen.Members)
	for range types.MaxExemptAttempts + 2 {
		_, _, err := c.k.ExemptVote(c.ctx, names)
		require.ErrorIs(t, err, types.ErrGroupUnknown)
	}
	short := *carries
	short.Group = short.Group[1:]
	_, _, err := c.k.ExemptVote(c.ctx, &short)
	require.ErrorIs(t, err, types.ErrInvalidGroup)

	e, ok, err := c.k.ExemptVote(c.ctx, carries)
	require.NoError(t, err)
	require.True(t, ok && e.CarriesGroup && !e.NamesGroup)
	require.Equal(t, types.CarryingVoteGas(4), e.MaxGas())
	require.Equal(t, types.Exemption{Members: 4}.MaxBytes()+4*1089, e.MaxBytes())

	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	e, ok, err = c.k.ExemptVote(c.ctx, names)
	require.NoError(t, err)
	require.True(t, ok && e.NamesGroup && !e.CarriesGroup)
	require.EqualValues(t, types.NamingVoteGas, e.MaxGas())
	require.Less(t, e.MaxBytes(), types.Exemption{Members: 4}.MaxBytes())
	// What was fixed before it was known is good as it is.
	e, _, err = c.k.ExemptVote(c.ctx, carries)
	require.NoError(t, err)
	require.True(t, e.CarriesGroup)
	require.NoError(t, c.handle(carries))
}

// TestTheGroupPartOfASplitVault goes the whole way of one: from the vote that carries it to the end
// of the proofs.
func TestTheGroupPartOfASplitVault(t *testing.T) {
	for _, proofs := range []bool{true, false} {
		t.Run(fmt.Sprint("proofs required: ", proofs), func(t *testing.T) {
			params := splitParams()
			params.ProofsOptional = !proofs
			first := newVault("first")
			c, _ := startChain(t, params, 4)
			keygen := c.keygen(c.startChurn()[0])
			shown, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
			require.NoError(t, err)
			require.True(t, shown.Keygen.Split)
			group := first.group(keygen.Members)
			_, err = c.groupOf(first)
			require.Error(t, err)
			c.endBlocks(3)
			carried := c.ctx.BlockHeight()
			for i, m := range keygen.Members {
				c.mustRun(first.vote(keygen, m))
				if i == 0 {
					c.unchecked = true
					c.endBlock()
				}
			}
			shown, err = c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
			require.NoError(t, err)
			c.endBlock()

			res, err := c.groupOf(first)
			require.NoError(t, err)
			sum := sha256.Sum256(group)
			var keys []string
			for _, m := range keygen.Members {
				keys = append(keys, hex.EncodeToString(m.PubKey))
			}
			require.Equal(t, &types.QueryGroupResponse{
				Vault: first.name(), PubKeyEd25519: hex.EncodeToString(first.pubKeyEd25519()),
				Epoch: keygen.Id, Group: group, Sha256: hex.EncodeToString(sum[:]), Height: carried, Members: keys,
				GroupHash: hex.EncodeToString(resultOf(first.vote(keygen, keygen.Members[0]), keygen.Members).SharesHash),
			}, res)
			require.Equal(t, res.GroupHash, shown.Keygen.Certificate.SharesHash)
			require.Equal(t, res.GroupHash, shown.Keygen.Votes[3].SharesHash)
			vault, err := c.query.Vault(c.ctx, &types.QueryVaultRequest{Vault: first.name()})
			require.NoError(t, err)
			require.True(t, vault.Vault.Split)
			require.Equal(t, res.GroupHash, vault.Vault.SharesHash)

			// What stands from before follows from it.
			all, err := c.query.Proofs(c.ctx, &types.QueryProofsRequest{Vault: first.name()})
			require.NoError(t, err)
			public := first.deal(keygen.Members).Public
			require.Len(t, all.Secp256k1, 4)
			for i := range all.Secp256k1 {
				require.Equal(t, hex.EncodeToString(public.Secp256k1[i].Point), all.Secp256k1[i].Point)
				require.Equal(t, hex.EncodeToString(public.Ed25519[i].Id), all.Ed25519[i].Id)
			}

			// Beside it stands a vault that is not split.
			params.SplitBackups = false
			c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
			c.unchecked = false
			second := newVault("second")
			c.complete(c.startChurn()[0], second)
			_, err = c.groupOf(second)
			require.Error(t, err)
			_, err = c.groupOf(first)
			require.NoError(t, err)
			require.Equal(t, c.dump(), exportInto(t, c).dump())

			c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: first.name()})
			c.endBlocks(15)
			_, err = c.groupOf(first)
			require.NoError(t, err)
			c.endBlock()
			_, err = c.groupOf(first)
			require.ErrorContains(t, err, "state keeps no group part")
			for key := range c.dump() {
				require.NotContains(t, []string{"1c", "1d"}, key[:2], "the group part is gone")
			}
			vault, err = c.query.Vault(c.ctx, &types.QueryVaultRequest{Vault: first.name()})
			require.NoError(t, err)
			require.Empty(t, vault.Vault.SharesHash)
			require.Equal(t, &types.GroupNameInfo{Hash: res.GroupHash, Sha256: res.Sha256, Height: carried}, vault.Vault.Group)
			require.Equal(t, c.dump(), exportInto(t, c).dump())
		})
	}
}

func TestTheGroupPartOfAFailedKeygenIsGone(t *testing.T) {
	for _, siblings := range []bool{false, true} {
		t.Run(fmt.Sprint("with a sibling that fails: ", siblings), func(t *testing.T) {
			params := splitParams()
			params.MaxTries = 1
			n := 4
			if siblings {
				params.MaxVaultMembers, n = 5, 8
			}
			c, _ := startChain(t, params, n)
			ids := c.startChurn()
			keygen := c.keygen(ids[0])
			vault := newVault("vault")
			members := keygen.Members
			if !siblings {
				members = members[:2]
			}
			for _, m := range members {
				c.mustRun(vault.vote(keygen, m))
			}
			key := collections.Join(keygen.Id, resultOf(vault.vote(keygen, members[0]), keygen.Members).SharesHash)
			has := func() bool {
				points, err := c.k.Groups.Has(c.ctx, key)
				require.NoError(t, err)
				parameters, err := c.k.GroupParameters.Has(c.ctx, key)
				require.NoError(t, err)
				require.Equal(t, points, parameters)
				return points
			}
			// As long as the churn is open it stays, and is in its genesis.
			for c.keygen(keygen.Id).Status != failed {
				require.True(t, has())
				if c.ctx.BlockHeight()%8 == 0 {
					require.Equal(t, c.dump(), exportInto(t, c).dump())
				}
				c.endBlock()
			}
			require.Equal(t, failed, c.keygen(keygen.Id).Status)
			require.False(t, has())
			require.Zero(t, c.proofSize())
			require.Equal(t, c.dump(), exportInto(t, c).dump())
		})
	}
}

// TestTheGroupPartComesLate has it come in the last block for a certificate, and one block later.
func TestTheGroupPartComesLate(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, splitParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	c.begin(keygen)
	for c.ctx.BlockHeight() < keygen.CertificateDeadline() {
		c.endBlock()
	}
	late := *c
	late.ctx, _ = c.ctx.WithBlockHeight(keygen.CertificateDeadline() + 1).CacheContext()
	require.ErrorIs(t, late.run(vault.vote(keygen, keygen.Members[0])), types.ErrNoCertificate)

	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	for c.ctx.BlockHeight() < keygen.Deadline {
		c.endBlock()
	}
	// To the last block all others may carry it or name it.
	second := vault.vote(keygen, keygen.Members[1])
	require.NoError(t, c.handle(second))
	for _, m := range keygen.Members[2:] {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
	require.Equal(t, ready, c.keygen(keygen.Id).Status)
	_, err := c.groupOf(vault)
	require.NoError(t, err)
}

func TestAnUnsplitKeygenTakesNoGroupPart(t *testing.T) {
	c, _ := startChain(t, provenParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	c.begin(keygen)
	vault := newVault("vault")
	for _, change := range []func(*types.MsgTssPool){
		func(msg *types.MsgTssPool) { msg.Group = vault.group(keygen.Members) },
		func(msg *types.MsgTssPool) { msg.GroupHash = make([]byte, 32) },
	} {
		msg := c.certified(vault.vote(keygen, keygen.Members[0]))
		change(msg)
		require.ErrorIs(t, c.handle(msg), types.ErrInvalidGroup)
	}
	c.untilBlame(keygen)
	msg := blame(keygen.Id, bech(keygen.Members[0].Address()))
	msg.GroupHash = make([]byte, 32)
	require.ErrorIs(t, c.handle(msg), types.ErrInvalidBlame)
}

// TestWhoWasSilentMayProveLaterInASplitVault has a member that did not vote come back.
func TestWhoWasSilentMayProveLaterInASplitVault(t *testing.T) {
	vault := newVault("vault")
	params := splitParams()
	params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 2}
	c, _ := startChain(t, params, 4)
	keygen := c.keygen(c.startChurn()[0])
	stray := keygen.Members[0]
	for _, m := range keygen.Members[1:] {
		c.mustRun(vault.vote(keygen, m))
	}
	c.untilClosed(keygen.Id)
	st := vault.statement(vault.deal(keygen.Members).Public, keygen.Id, stray, 0)
	c.mustRun(&types.MsgPublishBackup{
		Signer: bech(stray.Address()), Vault: vault.name(), KeysharesBackup: envelope("a", 100),
		Proof: dealer.FakeProof(st),
	})
	require.EqualValues(t, 4, c.coverage(vault.name())[0].Proven)
}

// TestGasOfSplitVotes has both kinds of a vote stay within what the ante handler allows and a
// signer asks for, in keygens of all sizes and both placements.
func TestGasOfSplitVotes(t *testing.T) {
	for _, n := range []int{3, 4, 40, 100, 512} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) { requireGasOfSplitVotes(t, n, splitParams()) })
		t.Run(fmt.Sprint(n, " members that hold the envelopes"), func(t *testing.T) {
			requireGasOfSplitVotes(t, n, heldParams(splitParams()))
		})
	}
}

func requireGasOfSplitVotes(t *testing.T, n int, params types.Params) {
	params.MaxVaultMembers = 512
	c, _ := startChain(t, params, n)
	keygen := c.keygen(c.startChurn()[0])
	used := func(msg *types.MsgTssPool) {
		ctx, write := c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).WithKVGasConfig(storetypes.KVGasConfig()).CacheContext()
		e, ok, err := c.k.ExemptVote(ctx, msg)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, c.k.CountAttempt(ctx, e))
		_, err = c.msg.TssPool(ctx, msg)
		require.NoError(t, err)
		write()
		t.Logf("carries %v: %d of %d gas", e.CarriesGroup, ctx.GasMeter().GasConsumed(), e.MaxGas())
		require.Less(t, ctx.GasMeter().GasConsumed(), e.MaxGas())
		limit, err := types.SignerGas(msg, n)
		require.NoError(t, err)
		require.Equal(t, e.MaxGas()+10*uint64(msg.Size()), limit)
		if e.NamesGroup {
			require.LessOrEqual(t, limit, uint64(900_000))
		} else {
			require.Less(t, limit, uint64(100_000_000), "it fits into a block")
		}
		require.LessOrEqual(t, uint64(msg.Size()-len(msg.KeysharesBackup)), e.MaxBytes()+1024)
	}
	longest := func(m types.Member) *types.MsgTssPool {
		msg := vaultOf(n).vote(keygen, m)
		if !keygen.IsHeld() {
			msg.KeysharesBackup = envelope(bech(m.Address()), 1_000)
		}
		if n <= 40 {
			msg.Proof = vaultOf(n).proof(t, keygen, m, 0)
		}
		return msg
	}
	used(c.certified(longest(keygen.Members[0])))
	used(naming(longest(keygen.Members[n-1]), keygen.Members))
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

func vaultOf(n int) vaultKeys { return newVault(fmt.Sprint("vault of ", n)) }

// TestGroupGasIsChargedBeforeTheWork has a vote run out of gas before its group part is checked.
func TestGroupGasIsChargedBeforeTheWork(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, splitParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	gas := func(msg *types.MsgTssPool) uint64 {
		before := c.ctx.GasMeter().GasConsumed()
		require.NoError(t, c.handle(msg))
		return c.ctx.GasMeter().GasConsumed() - before
	}
	first := gas(c.certified(vault.vote(keygen, keygen.Members[0])))
	again := gas(vault.vote(keygen, keygen.Members[1]))
	named := gas(naming(vault.vote(keygen, keygen.Members[2]), keygen.Members))
	require.Greater(t, first-again, uint64(4*5_000+2*4*2_532+4*25_000), "all is checked once")
	require.GreaterOrEqual(t, again-named, uint64(4*100), "the group part is hashed each time")
	require.GreaterOrEqual(t, named, uint64(250_000))
}

// TestAProofInASplitKeygen has proofs be about the points of the group part.
func TestAProofInASplitKeygen(t *testing.T) {
	vault := newVault("vault")
	c, _ := startChain(t, splitParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	verified := c.counted()
	for i, m := range keygen.Members {
		msg := vault.vote(keygen, m)
		msg.Proof = vault.proof(t, keygen, keygen.Members[(i+1)%4], 0)
		require.ErrorIs(t, c.run(msg), types.ErrInvalidProof, "another member's")
		msg.Proof = vault.proof(t, keygen, m, 0)
		c.mustRun(msg)
		require.Equal(t, 2*(i+1), *verified)
	}
	c.endBlock()
	require.EqualValues(t, 4, c.coverage(vault.name())[0].Proven)
	m := keygen.Members[2]
	res, err := c.query.Proof(c.ctx, &types.QueryProofRequest{Vault: vault.name(), Member: bech(m.Address())})
	require.NoError(t, err)
	stored, err := verenc.ParseStored(res.Proof.Stored)
	require.NoError(t, err)
	public, _ := vault.deal(keygen.Members).Public.Of(m.Address())
	_, err = stored.Open(dealer.RecipientKey(m.PubKey, 0), public)
	require.NoError(t, err)
}

// TestAKeygenKeepsWhetherItIsSplit turns the parameter on, as after an upgrade, while a keygen is
// open, and off again.
func TestAKeygenKeepsWhetherItIsSplit(t *testing.T) {
	params := provenParams()
	c, _ := startChain(t, params, 4)
	before := c.keygen(c.startChurn()[0])
	params.SplitBackups = true
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	require.False(t, c.keygen(before.Id).Split)
	first := newVault("first")
	require.ErrorIs(t, c.run(&types.MsgTssPool{
		Signer: bech(before.Members[0].Address()), KeygenId: before.Id, PubKey: first.name(),
		PubKeyEd25519: hex.EncodeToString(first.pubKeyEd25519()), KeysharesBackup: envelope("e", 100),
		Group: first.group(before.Members),
	}), types.ErrInvalidShares)
	c.complete(before.Id, first)

	after := c.keygen(c.startChurn()[0])
	require.True(t, after.Split)
	params.SplitBackups = false
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	second := newVault("second")
	c.complete(after.Id, second)
	for v, split := range map[string]bool{first.name(): false, second.name(): true} {
		res, err := c.query.Vault(c.ctx, &types.QueryVaultRequest{Vault: v})
		require.NoError(t, err)
		require.Equal(t, split, res.Vault.Split)
	}
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// TestGenesisOfSplitKeygens has the rules of group parts in a genesis. Keygen 1 has made a split
// vault, keygen 2 one that is not, and keygen 3, which is split, has votes.
func TestGenesisOfSplitKeygens(t *testing.T) {
	params := splitParams()
	c, _ := startChain(t, params, 4)
	c.complete(c.startChurn()[0], newVault("first"))
	params.SplitBackups = false
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	c.complete(c.startChurn()[0], newVault("second"))
	params.SplitBackups = true
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	keygen := c.keygen(c.startChurn()[0])
	third := newVault("third")
	c.mustRun(third.vote(keygen, keygen.Members[0]))
	c.mustRun(third.vote(keygen, keygen.Members[1]))
	c.endBlock()
	good := c.export()
	require.NoError(t, good.Validate())
	require.Len(t, good.Groups, 2)
	require.Len(t, good.PublicShares, 1)
	require.Equal(t, third.group(keygen.Members), good.Groups[1].Group)
	next := exportInto(t, c)
	require.Equal(t, c.dump(), next.dump())

	vaultOf := func(gs *types.GenesisState, epoch uint64) *types.Vault {
		for i := range gs.Vaults {
			if gs.Vaults[i].Vault.Epoch == epoch {
				return &gs.Vaults[i].Vault
			}
		}
		panic("no such vault")
	}
	for name, change := range map[string]func(gs *types.GenesisState){
		"a group part is missing":                       func(gs *types.GenesisState) { gs.Groups = gs.Groups[:1] },
		"a vault's group part is missing":               func(gs *types.GenesisState) { gs.Groups = gs.Groups[1:] },
		"group parts out of order":                      func(gs *types.GenesisState) { gs.Groups[0], gs.Groups[1] = gs.Groups[1], gs.Groups[0] },
		"a group part twice":                            func(gs *types.GenesisState) { gs.Groups[1] = gs.Groups[0] },
		"a group part of no keygen":                     func(gs *types.GenesisState) { gs.Groups[1].KeygenId = 9 },
		"a group part of a keygen that is not split":    func(gs *types.GenesisState) { gs.Groups[0].KeygenId = 2 },
		"a group part with another hash":                func(gs *types.GenesisState) { gs.Groups[1].Hash[0] ^= 1 },
		"a group part with another parameter":           func(gs *types.GenesisState) { gs.Groups[1].Group[1000] ^= 1 },
		"a group part with a point that is none":        func(gs *types.GenesisState) { gs.Groups[1].Group[0] = 9 },
		"a group part that is too short":                func(gs *types.GenesisState) { gs.Groups[1].Group = gs.Groups[1].Group[1:] },
		"a group part of fewer members":                 func(gs *types.GenesisState) { gs.Groups[1].Group = gs.Groups[1].Group[1089:] },
		"a group part at a negative height":             func(gs *types.GenesisState) { gs.Groups[1].Height = -1 },
		"public shares of a split keygen":               func(gs *types.GenesisState) { gs.PublicShares[0].KeygenId = 1 },
		"a split vault of a keygen that is not":         func(gs *types.GenesisState) { vaultOf(gs, 2).Split = true },
		"a vault that is not split of a keygen that is": func(gs *types.GenesisState) { vaultOf(gs, 1).Split = false },
		"a split vault that lives without its group part": func(gs *types.GenesisState) {
			vaultOf(gs, 1).SharesHash, gs.Groups = nil, gs.Groups[1:]
		},
		"a split vault that names no group part":          func(gs *types.GenesisState) { vaultOf(gs, 1).Group = nil },
		"a vault that is not split and names one":         func(gs *types.GenesisState) { vaultOf(gs, 2).Group = vaultOf(gs, 1).Group },
		"a vault that names two group parts":              func(gs *types.GenesisState) { vaultOf(gs, 1).Group.Hash[0] ^= 1 },
		"a vault with half a SHA-256 of its group part":   func(gs *types.GenesisState) { vaultOf(gs, 1).Group.Sha256 = make([]byte, 16) },
		"a vault with another SHA-256 of its group part":  func(gs *types.GenesisState) { vaultOf(gs, 1).Group.Sha256[0] ^= 1 },
		"a vault whose group part is of another block":    func(gs *types.GenesisState) { vaultOf(gs, 1).Group.Height++ },
		"a vault whose group part is of a block below it": func(gs *types.GenesisState) { vaultOf(gs, 1).Group.Height = -1 },
		"a vote on a split keygen without a hash":         func(gs *types.GenesisState) { gs.Votes[0].Vote.Result.SharesHash = nil },
	} {
		t.Run(name, func(t *testing.T) {
			bz, err := testCodec.Marshal(good)
			require.NoError(t, err)
			var gs types.GenesisState
			require.NoError(t, testCodec.Unmarshal(bz, &gs))
			change(&gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
}
