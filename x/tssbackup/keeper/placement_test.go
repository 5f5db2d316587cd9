package keeper_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const members = types.Placement_PLACEMENT_MEMBERS

// receipts are those of other members of an epoch, as many as there are in by, for the envelope that
// a publication is about.
func receipts(epoch uint64, msg *types.MsgPublishBackup, by []types.Member) (list []types.Receipt) {
	message := types.ReceiptMessage(chainID, epoch, mustBytes(msg.Signer), msg.Sha256, msg.Size_)
	for _, m := range by {
		list = append(list, types.Receipt{Member: bech(m.Address()), Signature: sign(m, message)})
	}
	return list
}

// heldPublication is a publication of an envelope that others in an epoch say that they hold.
func heldPublication(
	v vaultKeys, epoch uint64, publisher string, sealed []byte, by []types.Member,
) *types.MsgPublishBackup {
	held := types.Held(sealed)
	msg := &types.MsgPublishBackup{Signer: publisher, Vault: v.name(), Sha256: held.Sha256, Size_: held.Size_}
	msg.Receipts = receipts(epoch, msg, by)
	return msg
}

// others are the members of a list without the one with this address.
func others(list []types.Member, address string) []types.Member {
	return slices.DeleteFunc(slices.Clone(list), func(m types.Member) bool { return bech(m.Address()) == address })
}

// TestVotesOfAKeygenWhoseMembersHoldTheEnvelopes has every kind of a vote come first, and after the
// vote that lists the envelopes. The member that votes is asked, and the last of the four is not.
func TestVotesOfAKeygenWhoseMembersHoldTheEnvelopes(t *testing.T) {
	vault := newVault("vault")
	type change = func(c *chain, keygen types.Keygen, msg *types.MsgTssPool)
	entry := types.EnvelopeEntryBytes
	spoil := func(how func(list []byte) []byte) change {
		return func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) { msg.Envelopes = how(bytes.Clone(msg.Envelopes)) }
	}
	names := func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
		msg.EnvelopesHash, msg.Envelopes = types.EnvelopesHash(msg.Envelopes), nil
	}
	unasked := func(msg *types.MsgTssPool, k types.Keygen) {
		m := k.Members[slices.IndexFunc(k.Members, func(m types.Member) bool { return !m.Asked })]
		*msg = *vault.vote(k, m)
	}
	for _, tt := range []struct {
		name         string
		change       change
		first, later error
	}{
		{"it lists the envelopes", nil, nil, nil},
		{"it names the list", names, types.ErrEnvelopesUnknown, nil},
		{"it lists and names them", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			msg.EnvelopesHash = types.EnvelopesHash(msg.Envelopes)
		}, types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{
			"it does neither", func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) { msg.Envelopes = nil },
			types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes,
		},
		{"it carries an envelope", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			msg.KeysharesBackup = envelope("e", 100)
		}, types.ErrHeldByMembers, types.ErrHeldByMembers},
		{"it carries an envelope instead", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			msg.KeysharesBackup, msg.Envelopes = envelope("e", 100), nil
		}, types.ErrHeldByMembers, types.ErrHeldByMembers},
		{"it names it with another hash", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			names(c, k, msg)
			msg.EnvelopesHash = bytes.Repeat([]byte{7}, 32)
		}, types.ErrEnvelopesUnknown, types.ErrEnvelopesUnknown},
		{"it names it with a hash that is too short", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			names(c, k, msg)
			msg.EnvelopesHash = msg.EnvelopesHash[:31]
		}, types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{"it names it and has a certificate", func(c *chain, k types.Keygen, msg *types.MsgTssPool) {
			certified := c.certified(msg)
			names(c, k, msg)
			msg.Certificate = certified.Certificate
		}, types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{"a byte is missing", spoil(func(l []byte) []byte { return l[1:] }), types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{"a byte is too many", spoil(func(l []byte) []byte { return append(l, 0) }), types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{"a member's is missing", spoil(func(l []byte) []byte { return l[entry:] }), types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{
			"a member's is too many", spoil(func(l []byte) []byte { return append(l, l[:entry]...) }),
			types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes,
		},
		{"one has no byte", spoil(func(l []byte) []byte { clear(l[32:40]); return l }), types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes},
		{
			"one is larger than members hold", spoil(func(l []byte) []byte { copy(l[32:40], []byte{0, 0, 0, 0, 0, 8, 0, 1}); return l }),
			types.ErrInvalidEnvelopes, types.ErrInvalidEnvelopes,
		},
		// All members have signed for it, whatever it is.
		{"it has other envelopes", spoil(func(l []byte) []byte { l[0] ^= 1; return l }), nil, types.ErrCertified},
		{"two are in each other's place", spoil(func(l []byte) []byte {
			return bytes.Join([][]byte{l[entry : 2*entry], l[:entry], l[2*entry:]}, nil)
		}), nil, types.ErrCertified},
		{
			"it is without its proof", func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) { msg.Proof = nil },
			types.ErrProofMissing, types.ErrProofMissing,
		},
		{
			"its proof is false", func(_ *chain, _ types.Keygen, msg *types.MsgTssPool) { msg.Proof[len(msg.Proof)-1] ^= 1 },
			types.ErrInvalidProof, types.ErrInvalidProof,
		},
		{"it is of the member that is not asked", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) { unasked(msg, k) }, nil, nil},
		{"it is of the member that is not asked, with an envelope", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			unasked(msg, k)
			msg.KeysharesBackup = envelope("e", 100)
		}, types.ErrNotAsked, types.ErrNotAsked},
		{"it is of the member that is not asked, with a proof", func(_ *chain, k types.Keygen, msg *types.MsgTssPool) {
			proof := msg.Proof
			unasked(msg, k)
			msg.Proof = proof
		}, types.ErrInvalidProof, types.ErrInvalidProof},
	} {
		for _, split := range []bool{false, true} {
			for when, want := range map[string]error{"first": tt.first, "later": tt.later} {
				t.Run(fmt.Sprint(tt.name, ", ", when, ", split: ", split), func(t *testing.T) {
					params := heldParams(provenParams())
					params.SplitBackups = split
					params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
					c, _ := startChain(t, params, 4)
					c.unchecked = true
					keygen := c.keygen(c.startChurn()[0])
					require.Equal(t, members, keygen.Placement)
					c.begin(keygen)
					asked := slices.DeleteFunc(slices.Clone(keygen.Members), func(m types.Member) bool { return !m.Asked })
					require.Len(t, asked, 3)
					if when == "later" {
						c.mustRun(vault.vote(keygen, asked[0]))
					}
					msg := vault.vote(keygen, asked[1])
					if tt.change != nil {
						tt.change(c, keygen, msg)
					}
					if when == "first" && len(msg.EnvelopesHash) == 0 {
						// All members have signed for it, so that nothing but the keeper refuses it.
						msg = c.certified(msg)
					}
					before := c.dump()
					_, exempt, _ := c.k.ExemptVote(c.ctx, msg)
					err := c.handle(msg)
					if want != nil {
						require.ErrorIs(t, err, want)
						require.Equal(t, before, c.dump())
						return
					}
					require.NoError(t, err)
					require.True(t, exempt, "it costs no fee")
					require.Empty(t, c.staged(), "no archive has it")
					vote, err := c.k.Votes.Get(c.ctx, collections.Join(keygen.Id, mustBytes(msg.Signer)))
					require.NoError(t, err)
					certificate, err := c.k.Certificates.Get(c.ctx, keygen.Id)
					require.NoError(t, err)
					require.Equal(t, certificate.Result, *vote.Result)
					list := msg.Envelopes
					if len(list) == 0 {
						list = heldBy(keygen)
					}
					require.Equal(t, list, types.EncodeEnvelopes(certificate.Envelopes))
					held, ok := certificate.Envelope(keygen.Members, mustBytes(msg.Signer))
					require.Equal(t, ok, vote.Commitment != nil)
					if ok {
						held.Height = c.ctx.BlockHeight()
						require.Equal(t, held, *vote.Commitment)
						require.Equal(t, `"PLACEMENT_MEMBERS"`, c.told("EventTssPool", "placement"))
						require.Equal(t, fmt.Sprintf("%q", hex.EncodeToString(held.Sha256)), c.told("EventTssPool", "commitment"))
					}
					if when == "first" {
						require.Equal(t, fmt.Sprintf("%q", hex.EncodeToString(types.EnvelopesHash(list))),
							c.told("EventCertified", "envelopes_hash"))
					}
				})
			}
		}
	}
	t.Run("a list on a keygen whose envelopes are in the votes", func(t *testing.T) {
		c, _ := startChain(t, splitParams(), 4)
		keygen := c.keygen(c.startChurn()[0])
		for _, change := range []func(msg *types.MsgTssPool){
			func(msg *types.MsgTssPool) { msg.Envelopes = heldBy(keygen) },
			func(msg *types.MsgTssPool) { msg.EnvelopesHash = types.EnvelopesHash(heldBy(keygen)) },
			func(msg *types.MsgTssPool) { msg.Envelopes, msg.KeysharesBackup = heldBy(keygen), nil },
		} {
			msg := vault.vote(keygen, keygen.Members[0])
			change(msg)
			want := types.ErrInvalidEnvelopes
			if msg.KeysharesBackup == nil {
				want = types.ErrEnvelopeMissing
			}
			require.ErrorIs(t, c.handle(c.certified(msg)), want)
		}
	})
	t.Run("a blame with a list", func(t *testing.T) {
		c, _ := startChain(t, heldParams(splitParams()), 4)
		keygen := c.keygen(c.startChurn()[0])
		c.untilBlame(keygen)
		for _, change := range []func(msg *types.MsgTssPool){
			func(msg *types.MsgTssPool) { msg.Envelopes = heldBy(keygen) },
			func(msg *types.MsgTssPool) { msg.EnvelopesHash = types.EnvelopesHash(heldBy(keygen)) },
		} {
			msg := blame(keygen.Id, bech(keygen.Members[0].Address()))
			change(msg)
			require.ErrorIs(t, c.handle(msg), types.ErrInvalidBlame)
		}
		require.NoError(t, c.handle(blame(keygen.Id, bech(keygen.Members[0].Address()))))
	})
	t.Run("a certificate without the list", func(t *testing.T) {
		c, _ := startChain(t, heldParams(splitParams()), 4)
		keygen := c.keygen(c.startChurn()[0])
		msg := vault.vote(keygen, keygen.Members[0])
		bare := *msg
		bare.Envelopes = nil
		msg.Certificate = c.certified(&bare).Certificate
		require.ErrorIs(t, c.handle(msg), types.ErrInvalidCertificate, "members have signed for the keys alone")
	})
}

// TestTheLifeOfEnvelopesThatMembersHold follows them from the votes through a vault, publications,
// a reshare and a retirement.
func TestTheLifeOfEnvelopesThatMembersHold(t *testing.T) {
	params := heldParams(splitParams())
	c, vals := startChain(t, params, 5)
	vault := newVault("v")
	keygen := c.keygen(c.startChurn()[0])
	for i, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
		if i == 1 {
			// A keygen with votes and a certificate is in the genesis.
			require.Equal(t, c.dump(), exportInto(t, c).dump())
		}
	}
	shown, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
	require.NoError(t, err)
	require.Equal(t, members, shown.Keygen.Placement)
	require.Len(t, shown.Keygen.Certificate.Envelopes, 5)
	require.Equal(t, hex.EncodeToString(types.EnvelopesHash(heldBy(keygen))), shown.Keygen.Certificate.EnvelopesHash)
	require.Equal(t, shown.Keygen.Certificate.EnvelopesHash, shown.Keygen.Votes[4].EnvelopesHash)
	require.Equal(t, members, shown.Keygen.Votes[4].Commitment.Placement)
	require.Empty(t, c.kept())
	c.endBlock()
	require.Empty(t, c.ended, "no node writes anything into its archive")
	require.Empty(t, c.kept())

	cover := func() types.VaultCoverage {
		res, err := c.query.Coverage(c.ctx, &types.QueryCoverageRequest{Vault: vault.name()})
		require.NoError(t, err)
		return res.Vaults[0]
	}
	got := cover()
	require.Equal(t, []any{members, uint32(5), uint32(5), true}, []any{got.Placement, got.Published, got.Proven, got.Recoverable})
	for _, m := range got.List {
		require.Equal(t, members, m.Commitments[0].Placement)
		require.NotEmpty(t, m.Commitments[0].Cid, "the chain has its name on IPFS")
	}
	info, err := c.query.Vault(c.ctx, &types.QueryVaultRequest{Vault: vault.name()})
	require.NoError(t, err)
	require.Equal(t, members, info.Vault.Placement)
	for _, archive := range []keeper.Envelopes{nil, fakeArchive{}} {
		_, err = keeper.NewQueryServer(c.k, archive).Envelope(c.ctx, &types.QueryEnvelopeRequest{
			Vault: vault.name(), Member: vals[0].account(),
		})
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.ErrorContains(t, err, "members hold the envelope")
	}
	require.Equal(t, c.dump(), exportInto(t, c).dump())

	// Published again with receipts, the first stays.
	c.endBlock()
	member := vals[2].account()
	again := heldPublication(vault, keygen.Id, member, envelope("again", 500), others(keygen.Members, member)[:3])
	c.mustRun(again)
	require.Equal(t, `"PLACEMENT_MEMBERS"`, c.told("EventBackupPublished", "placement"))
	require.Empty(t, c.staged())
	backup, err := c.query.Backup(c.ctx, &types.QueryBackupRequest{Vault: vault.name(), Member: member})
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(again.Sha256), backup.Latest.Sha256)
	require.Equal(t, members, backup.First.Placement)
	require.Empty(t, c.kept())
	require.Equal(t, c.dump(), exportInto(t, c).dump())

	// The next epoch may have them on chain, and the one after with the members again.
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: splitParams()})
	reshare := c.openReshare(vault)
	require.Equal(t, types.Placement_PLACEMENT_VOTE, reshare.Placement)
	c.complete(reshare.Id, vault)
	require.Len(t, c.ended, 5)
	require.Len(t, c.kept(), 5, "those of the present epoch alone")
	require.Equal(t, types.Placement_PLACEMENT_VOTE, cover().Placement)
	require.ErrorIs(t, c.run(heldPublication(vault, reshare.Id, member, envelope("a", 500), others(keygen.Members, member))),
		types.ErrOtherEpoch)
	c.endBlocks(int(params.EpochGrace) + 1)
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	next := c.openReshare(vault)
	c.complete(next.Id, vault)
	require.Len(t, c.kept(), 5, "those of the epoch that has its grace alone")
	require.Equal(t, members, cover().Placement)
	require.Equal(t, c.dump(), exportInto(t, c).dump())

	c.complete(c.startChurn()[0], newVault("next"))
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
	retired, err := c.k.KeptRetired(c.ctx, c.ctx.BlockHeight()-1)
	require.NoError(t, err)
	require.Len(t, retired, 5)
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// openReshare opens a reshare of a vault to its present members.
func (c *chain) openReshare(v vaultKeys) types.Keygen {
	c.t.Helper()
	res, err := c.msg.StartReshare(c.ctx, &types.MsgStartReshare{Authority: authority, Vault: v.name()})
	require.NoError(c.t, err)
	return c.keygen(res.KeygenId)
}

// TestPublicationsWithReceipts has a member of a vault of four, whose backup is missing, say who else
// holds its envelope.
func TestPublicationsWithReceipts(t *testing.T) {
	vault := newVault("vault")
	params := heldParams(splitParams())
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	sealed := envelope("new", 100)
	type fixture struct {
		c      *chain
		keygen types.Keygen
		by     []types.Member // the other members
		msg    *types.MsgPublishBackup
	}
	again := func(f *fixture) { f.msg.Receipts = receipts(f.keygen.Id, f.msg, f.by[:2]) }
	for _, tt := range []struct {
		name   string
		change func(f *fixture)
		err    error
		free   error // why it is not free; nil stands for err
	}{
		{"a threshold has it with who publishes", nil, nil, nil},
		{"all have it", func(f *fixture) { f.msg.Receipts = receipts(f.keygen.Id, f.msg, f.by) }, nil, nil},
		{"in another order", func(f *fixture) { slices.Reverse(f.msg.Receipts) }, nil, nil},
		{"one has it", func(f *fixture) { f.msg.Receipts = f.msg.Receipts[:1] }, types.ErrInvalidReceipts, nil},
		{"nobody has it", func(f *fixture) { f.msg.Receipts = nil }, types.ErrInvalidReceipts, nil},
		{"more have it than there are others", func(f *fixture) {
			f.msg.Receipts = receipts(f.keygen.Id, f.msg, append(f.by, f.by[0]))
		}, types.ErrInvalidReceipts, nil},
		{"one says so twice", func(f *fixture) { f.msg.Receipts[1] = f.msg.Receipts[0] }, types.ErrInvalidReceipts, errLater},
		{"one is who publishes", func(f *fixture) {
			own, _ := types.FindMember(f.keygen.Members, mustBytes(f.msg.Signer))
			f.msg.Receipts = receipts(f.keygen.Id, f.msg, []types.Member{f.by[0], own})
		}, types.ErrInvalidReceipts, errLater},
		{"one is a stranger", func(f *fixture) {
			stranger := types.Member{PubKey: signerKey("stranger").PubKey().Bytes()}
			f.msg.Receipts = receipts(f.keygen.Id, f.msg, []types.Member{f.by[0], stranger})
		}, types.ErrInvalidReceipts, errLater},
		{"one signed in the name of another", func(f *fixture) {
			f.msg.Receipts[1].Member = bech(f.by[2].Address())
		}, types.ErrInvalidReceipts, errLater},
		{"one signed for another epoch", func(f *fixture) {
			f.msg.Receipts = receipts(f.keygen.Id+1, f.msg, f.by[:2])
		}, types.ErrInvalidReceipts, errLater},
		{"one signed for another member", func(f *fixture) {
			other := *f.msg
			other.Signer = bech(f.by[2].Address())
			f.msg.Receipts = receipts(f.keygen.Id, &other, f.by[:2])
		}, types.ErrInvalidReceipts, errLater},
		{"one signed for another envelope", func(f *fixture) {
			f.msg.Sha256 = types.Held(envelope("other", 100)).Sha256
		}, types.ErrInvalidReceipts, errLater},
		{"one signed for another size", func(f *fixture) { f.msg.Size_++ }, types.ErrInvalidReceipts, errLater},
		{"one has no signature", func(f *fixture) { f.msg.Receipts[1].Signature = nil }, types.ErrInvalidReceipts, errLater},
		{"one has no address", func(f *fixture) { f.msg.Receipts[1].Member = "" }, types.ErrInvalidReceipts, errLater},
		{"the hash is half of one", func(f *fixture) { f.msg.Sha256 = f.msg.Sha256[:16]; again(f) }, types.ErrEnvelopeForm, nil},
		{"there is no hash", func(f *fixture) { f.msg.Sha256 = nil; again(f) }, types.ErrEnvelopeForm, nil},
		{"it has no byte", func(f *fixture) { f.msg.Size_ = 0; again(f) }, types.ErrEnvelopeForm, nil},
		{"it is as large as members hold", func(f *fixture) { f.msg.Size_ = types.MaxHeldEnvelope; again(f) }, nil, nil},
		{"it is larger than members hold", func(f *fixture) { f.msg.Size_ = types.MaxHeldEnvelope + 1; again(f) }, types.ErrEnvelopeForm, nil},
		{"it comes itself", func(f *fixture) { f.msg.KeysharesBackup = sealed }, types.ErrHeldByMembers, nil},
		{"it comes itself alone", func(f *fixture) {
			*f.msg = types.MsgPublishBackup{Signer: f.msg.Signer, Vault: f.msg.Vault, KeysharesBackup: sealed}
		}, types.ErrHeldByMembers, nil},
		{"it is the latest", func(f *fixture) { f.c.mustRun(f.msg) }, types.ErrBackupPresent, nil},
		{"it is published once more", func(f *fixture) {
			f.c.mustRun(f.msg)
			*f.msg = *heldPublication(vault, f.keygen.Id, f.msg.Signer, envelope("second", 100), f.by)
		}, nil, types.ErrBackupPresent},
		{"with a proof", func(f *fixture) {
			own, _ := types.FindMember(f.keygen.Members, mustBytes(f.msg.Signer))
			vote := vault.result(f.keygen.Id, f.msg.Signer, sealed)
			vault.prove(vote, f.keygen.Members, own, 0)
			f.msg.Proof = vote.Proof
		}, nil, nil},
		{"with a false proof", func(f *fixture) { f.msg.Proof = []byte("false") }, types.ErrInvalidProof, errLater},
		{"of a vault whose envelopes are on chain", func(f *fixture) {
			f.c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: splitParams()})
			next := newVault("on chain")
			keygen := f.c.keygen(f.c.startChurn()[0])
			f.c.complete(keygen.Id, next)
			*f.msg = *heldPublication(next, keygen.Id, f.msg.Signer, sealed, f.by)
		}, types.ErrInvalidReceipts, nil},
		{"of a vault whose envelopes are on chain, beside the envelope", func(f *fixture) {
			f.c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: splitParams()})
			next := newVault("on chain")
			f.c.complete(f.c.startChurn()[0], next)
			*f.msg = types.MsgPublishBackup{Signer: f.msg.Signer, Vault: next.name(), KeysharesBackup: sealed, Size_: 1}
		}, types.ErrInvalidReceipts, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			f := &fixture{c: c, keygen: c.keygen(c.startChurn()[0])}
			c.complete(f.keygen.Id, vault)
			at := slices.IndexFunc(f.keygen.Members, func(m types.Member) bool { return !m.Asked })
			missing := bech(f.keygen.Members[at].Address())
			f.by = others(f.keygen.Members, missing)
			f.msg = heldPublication(vault, f.keygen.Id, missing, sealed, f.by[:2])
			if tt.change != nil {
				tt.change(f)
			}
			_, exempt, err := c.k.ExemptVote(c.ctx, f.msg)
			free := tt.free
			if free == nil {
				free = tt.err
			}
			if free == errLater {
				free = nil // found by its message alone
			}
			require.ErrorIs(t, err, free)
			require.Equal(t, free == nil, exempt)
			before := c.dump()
			err = c.run(f.msg)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
				return
			}
			res, err := c.query.Backup(c.ctx, &types.QueryBackupRequest{Vault: f.msg.Vault, Member: f.msg.Signer})
			require.NoError(t, err)
			require.Equal(t, types.CommitmentInfo{
				Sha256: hex.EncodeToString(f.msg.Sha256), Size_: f.msg.Size_, Height: c.ctx.BlockHeight(),
				Cid: res.Latest.Cid, Placement: members,
			}, res.Latest)
			require.Empty(t, c.staged())
			require.Empty(t, c.kept())
		})
	}
}

// errLater stands for a publication that is refused by its message, and not before.
var errLater = fmt.Errorf("later")

// TestReceiptsAreChargedBeforeTheyAreVerified has one with a false receipt run out of gas.
func TestReceiptsAreChargedBeforeTheyAreVerified(t *testing.T) {
	c, _ := startChain(t, heldParams(splitParams()), 4)
	vault := newVault("vault")
	keygen := c.keygen(c.startChurn()[0])
	c.complete(keygen.Id, vault)
	member := bech(keygen.Members[0].Address())
	msg := heldPublication(vault, keygen.Id, member, envelope("new", 100), keygen.Members[1:])
	used := func(msg *types.MsgPublishBackup) uint64 {
		d := *c
		d.ctx, _ = c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).CacheContext()
		_ = d.handle(msg)
		return d.ctx.GasMeter().GasConsumed()
	}
	two := *msg
	two.Receipts = msg.Receipts[:2]
	require.Equal(t, uint64(5000), used(msg)-used(&two))
	msg.Receipts[0].Signature = nil
	require.Greater(t, used(msg), uint64(3*5000))
	c.ctx = c.ctx.WithGasMeter(storetypes.NewGasMeter(used(msg) - 5000))
	require.PanicsWithValue(t, storetypes.ErrorOutOfGas{Descriptor: "receipts"}, func() { _ = c.handle(msg) })
}

// TestGasOfPublicationsWithReceipts has one with the receipts of all others stay within what the ante
// handler allows and a signer asks for, in vaults of all sizes.
func TestGasOfPublicationsWithReceipts(t *testing.T) {
	for _, n := range []int{3, 40, 512} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			params := heldParams(testParams())
			params.MaxVaultMembers = 512
			params.Sample = types.Fraction{Numerator: 2, Denominator: 3}
			c, _ := startChain(t, params, n)
			keygen := c.keygen(c.startChurn()[0])
			vault := newVault("v")
			c.complete(keygen.Id, vault)
			at := slices.IndexFunc(keygen.Members, func(m types.Member) bool { return !m.Asked })
			publisher := bech(keygen.Members[at].Address())
			msg := heldPublication(vault, keygen.Id, publisher, envelope("e", 10), others(keygen.Members, publisher))
			ctx := c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).WithKVGasConfig(storetypes.KVGasConfig())
			e, ok, err := c.k.ExemptVote(ctx, msg)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, c.k.CountAttempt(ctx, e))
			_, err = c.msg.PublishBackup(ctx, msg)
			require.NoError(t, err)
			used := ctx.GasMeter().GasConsumed()
			t.Logf("%d bytes, %d of %d gas", msg.Size(), used, e.MaxGas())
			require.Less(t, used, e.MaxGas())
			require.Less(t, uint64(msg.Size()), e.MaxBytes())
			limit, err := types.SignerGas(msg, n)
			require.NoError(t, err)
			require.Equal(t, e.MaxGas()+10*uint64(msg.Size()), limit)
		})
	}
}

// TestAKeygenKeepsItsPlacement turns it while a keygen is open, and back again, in keygens that are
// tried again too.
func TestAKeygenKeepsItsPlacement(t *testing.T) {
	params := splitParams()
	c, _ := startChain(t, params, 4)
	before := c.keygen(c.startChurn()[0])
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: heldParams(params)})
	c.complete(before.Id, newVault("first"))
	after := c.keygen(c.startChurn()[0])
	require.Equal(t, members, after.Placement)
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	c.complete(after.Id, newVault("second"))
	for v, placement := range map[string]types.Placement{"first": 0, "second": members} {
		res, err := c.query.Vault(c.ctx, &types.QueryVaultRequest{Vault: newVault(v).name()})
		require.NoError(t, err)
		require.Equal(t, placement, res.Vault.Placement)
	}
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// TestGenesisOfEnvelopesThatMembersHold has the rules of them in a genesis. Keygen 1 has made a vault
// whose envelopes are on chain, keygen 2 one whose members hold them, and keygen 3 is open, its
// members hold them too, and it has votes.
func TestGenesisOfEnvelopesThatMembersHold(t *testing.T) {
	c, _ := startChain(t, splitParams(), 4)
	c.complete(c.startChurn()[0], newVault("first"))
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: heldParams(splitParams())})
	c.complete(c.startChurn()[0], newVault("second"))
	keygen := c.keygen(c.startChurn()[0])
	third := newVault("third")
	c.mustRun(third.vote(keygen, keygen.Members[0]))
	c.mustRun(third.vote(keygen, keygen.Members[1]))
	c.endBlock()
	good := c.export()
	require.NoError(t, good.Validate())
	require.Len(t, good.Certificates, 1)
	require.Equal(t, c.dump(), exportInto(t, c).dump())

	backupOf := func(gs *types.GenesisState, epoch uint64) *types.Commitment {
		at := slices.IndexFunc(gs.Backups, func(b types.GenesisBackup) bool { return b.Epoch == epoch })
		return &gs.Backups[at].Backup.First
	}
	certificate := func(gs *types.GenesisState) *types.Certificate { return &gs.Certificates[0].Certificate }
	vaultOf := func(gs *types.GenesisState, epoch uint64) *types.Vault {
		at := slices.IndexFunc(gs.Vaults, func(v types.GenesisVault) bool { return v.Vault.Epoch == epoch })
		return &gs.Vaults[at].Vault
	}
	for name, change := range map[string]func(gs *types.GenesisState){
		"no such placement of the parameters":            func(gs *types.GenesisState) { gs.Params.Placement = 2 },
		"no such placement of a keygen":                  func(gs *types.GenesisState) { gs.Keygens[2].Placement = 2 },
		"a keygen of the other placement":                func(gs *types.GenesisState) { gs.Keygens[2].Placement = 0 },
		"a keygen of the other placement, with a vault":  func(gs *types.GenesisState) { gs.Keygens[0].Placement = members },
		"a vault of the other placement":                 func(gs *types.GenesisState) { vaultOf(gs, 2).Placement = 0 },
		"a vault with members that do not hold them":     func(gs *types.GenesisState) { vaultOf(gs, 1).Placement = members },
		"a backup that is on chain, and is not":          func(gs *types.GenesisState) { backupOf(gs, 2).Placement = 0 },
		"a backup that members hold, and do not":         func(gs *types.GenesisState) { backupOf(gs, 1).Placement = members },
		"a backup larger than members hold":              func(gs *types.GenesisState) { backupOf(gs, 2).Size_ = types.MaxHeldEnvelope + 1 },
		"a vote with another placement":                  func(gs *types.GenesisState) { gs.Votes[0].Vote.Commitment.Placement = 0 },
		"a vote with another envelope":                   func(gs *types.GenesisState) { gs.Votes[0].Vote.Commitment.Sha256[0] ^= 1 },
		"a vote with another size":                       func(gs *types.GenesisState) { gs.Votes[0].Vote.Commitment.Size_++ },
		"a vote with the height of another":              func(gs *types.GenesisState) { gs.Votes[0].Vote.Commitment.Height-- },
		"a vote without a commitment":                    func(gs *types.GenesisState) { gs.Votes[0].Vote.Commitment = nil },
		"a vote that names no list":                      func(gs *types.GenesisState) { gs.Votes[0].Vote.Result.EnvelopesHash = nil },
		"a vote that names another list":                 func(gs *types.GenesisState) { gs.Votes[0].Vote.Result.EnvelopesHash[0] ^= 1 },
		"a certificate without a list":                   func(gs *types.GenesisState) { certificate(gs).Envelopes = nil },
		"a certificate with one envelope less":           func(gs *types.GenesisState) { certificate(gs).Envelopes = certificate(gs).Envelopes[1:] },
		"a certificate with another envelope":            func(gs *types.GenesisState) { certificate(gs).Envelopes[3].Sha256[0] ^= 1 },
		"a certificate with half a hash":                 func(gs *types.GenesisState) { certificate(gs).Envelopes[3].Sha256 = make([]byte, 16) },
		"a certificate with an envelope of no byte":      func(gs *types.GenesisState) { certificate(gs).Envelopes[3].Size_ = 0 },
		"a certificate with an envelope at a height":     func(gs *types.GenesisState) { certificate(gs).Envelopes[3].Height = 1 },
		"a certificate with an envelope on chain":        func(gs *types.GenesisState) { certificate(gs).Envelopes[3].Placement = 0 },
		"a certificate that names no list":               func(gs *types.GenesisState) { certificate(gs).Result.EnvelopesHash = nil },
		"a certificate that names half a list":           func(gs *types.GenesisState) { certificate(gs).Result.EnvelopesHash = make([]byte, 16) },
		"a certificate and votes that name another list": func(gs *types.GenesisState) { renamed(gs) },
	} {
		t.Run(name, func(t *testing.T) {
			bz, err := testCodec.Marshal(good)
			require.NoError(t, err)
			var gs types.GenesisState
			require.NoError(t, testCodec.Unmarshal(bz, &gs))
			change(&gs)
			require.Error(t, gs.Validate())
		})
	}
	// With envelopes on chain there is no list.
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: splitParams()})
	for _, m := range keygen.Members[2:] {
		c.mustRun(third.vote(keygen, m))
	}
	c.endBlock()
	on := c.keygen(c.startChurn()[0])
	c.mustRun(newVault("fourth").vote(on, on.Members[0]))
	c.endBlock()
	gs := c.export()
	require.NoError(t, gs.Validate())
	gs.Certificates[0].Certificate.Envelopes = []types.Commitment{types.Held([]byte("e"))}
	require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
}

// renamed has the certificate and the votes of a genesis name another list of envelopes.
func renamed(gs *types.GenesisState) {
	other := bytes.Repeat([]byte{1}, 32)
	gs.Certificates[0].Certificate.Result.EnvelopesHash = other
	for i := range gs.Votes {
		gs.Votes[i].Vote.Result.EnvelopesHash = other
	}
}

// TestFailedKeygensKeepWhatTheirVotesHeld has a keygen with too few votes fail, and its votes are in
// a genesis without its certificate.
func TestFailedKeygensKeepWhatTheirVotesHeld(t *testing.T) {
	c, _ := startChain(t, heldParams(splitParams()), 4)
	keygen := c.keygen(c.startChurn()[0])
	vault := newVault("v")
	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	c.untilClosed(keygen.Id)
	require.Equal(t, failed, c.keygen(keygen.Id).Status)
	require.Empty(t, c.kept())
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	var msg sdk.Msg = heldPublication(vault, keygen.Id, bech(keygen.Members[0].Address()), envelope("e", 10), keygen.Members[1:])
	require.ErrorIs(t, c.run(msg), types.ErrVaultNotFound)
}

// FuzzHeldMessages has the message server handle votes and publications of any bytes where members
// hold the envelopes: it never panics, and a message that errs changes nothing.
func FuzzHeldMessages(f *testing.F) {
	params := heldParams(splitParams())
	params.MaxVaultMembers = 5
	c, _ := startChain(f, params, 6)
	vault := newVault("v")
	ids := c.startChurn()
	epoch := c.keygen(ids[0])
	for i, id := range ids {
		keygen, of := c.keygen(id), []vaultKeys{vault, newVault("x")}[i]
		for _, m := range keygen.Members {
			c.mustRun(of.vote(keygen, m))
		}
	}
	c.endBlock()
	// Of the keygens that are open, one has a certificate.
	ids = c.startChurn()
	keygen, other := c.keygen(ids[0]), c.keygen(ids[1])
	c.begin(keygen)
	certified := newVault("certified")
	c.mustRun(certified.vote(other, other.Members[0]))
	publisher := bech(epoch.Members[0].Address())
	for i, msg := range []sdk.Msg{
		c.certified(newVault("w").vote(keygen, keygen.Members[0])),
		naming(certified.vote(other, other.Members[1]), other.Members),
		certified.vote(other, other.Members[2]),
		heldPublication(vault, epoch.Id, publisher, envelope("h", 40), epoch.Members[1:]),
	} {
		bz, err := testCodec.Marshal(msg)
		require.NoError(f, err)
		require.NoError(f, func() error { d := *c; d.ctx, _ = c.ctx.CacheContext(); return d.handle(msg) }())
		f.Add(i == 3, bz)
	}
	start := c.ctx
	f.Fuzz(func(t *testing.T, publishes bool, bz []byte) {
		var msg sdk.Msg
		if publishes {
			m := &types.MsgPublishBackup{}
			if testCodec.Unmarshal(bz, m) != nil {
				return
			}
			msg = m
		} else {
			m := &types.MsgTssPool{}
			if testCodec.Unmarshal(bz, m) != nil {
				return
			}
			msg = m
		}
		c.t = t
		c.ctx, _ = start.CacheContext()
		before := c.dump()
		_, _, _ = c.k.ExemptVote(c.ctx, msg)
		if err := c.handle(msg); err != nil {
			require.Equal(t, before, c.dump())
		}
		c.endBlock()
		require.Empty(t, c.ended, "nothing for an archive")
	})
}
