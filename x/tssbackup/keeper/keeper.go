// Package keeper is the state machine of the tssbackup module: who the signers are, the life of
// churns and their keygens, the vaults that they make, and the commitments to their backups.
//
// State holds commitments, never envelopes: an envelope travels in a transaction, of which state
// writes down its hash, size and height. Until the block ends the envelope is staged beside them,
// for the node's archive to keep; what is committed does not hold it. Of a proof that an envelope's
// member has encrypted its true shares, state holds what opens them again.
package keeper

import (
	"context"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Keeper keeps the module's state. Its fields are the schema of the store.
//
// Operators, signer addresses and vault keys are raw bytes.
type Keeper struct {
	cdc      codec.BinaryCodec
	accounts types.AccountKeeper
	staking  types.StakingKeeper
	// authority is the bech32 address that may start churns, retire vaults and change parameters.
	authority string
	hooks     *hookList

	Schema collections.Schema
	Params collections.Item[types.Params]
	// Signers are the present signers, by operator.
	Signers collections.Map[[]byte, types.Signer]
	// SignerOwners are the operators of all signers that ever were, by the signer's address, and
	// the latest recipient key of each. An address never changes its owner, and a recipient key's
	// index only rises.
	SignerOwners collections.Map[[]byte, types.SignerOwner]
	// Terms are the latest claims, by the signer's address, and Claims count those that cost no
	// fee.
	Terms  collections.Map[[]byte, types.SignerTerm]
	Claims collections.Map[[]byte, types.Window]
	// SitOuts are what is known of the faults of operators, until they do not count any more.
	SitOuts collections.Map[[]byte, types.SitOut]
	Churns  collections.Map[uint64, types.Churn]
	Keygens collections.Map[uint64, types.Keygen]
	// Votes are kept by keygen and member until the keygen's vault is active.
	Votes collections.Map[collections.Pair[uint64, []byte], types.Vote]
	// Attempts count the exempt transactions of a member for a keygen.
	Attempts collections.Map[collections.Pair[uint64, []byte], uint64]
	// JoinAttempts count the exempt joins and checks.
	JoinAttempts collections.Map[collections.Pair[uint64, []byte], uint64]
	// Joins are the latest of each member, by keygen and member, and Sessions the latest attempts,
	// by keygen, while it is open.
	Joins    collections.Map[collections.Pair[uint64, []byte], types.Join]
	Sessions collections.Map[uint64, types.Session]
	// Certificates show which result the members of a keygen have, until its vault is active.
	Certificates collections.Map[uint64, types.Certificate]
	// Vaults are kept by their secp256k1 key.
	Vaults collections.Map[[]byte, types.Vault]
	// Backups are kept by epoch and member, like votes, public shares and proofs: an epoch is the
	// number of the keygen that gave the members their keyshares.
	Backups    collections.Map[collections.Pair[uint64, []byte], types.Backup]
	LiveVaults collections.Item[types.LiveVaults]
	// OpenChurn is the number of the churn that is open; absent when none is.
	OpenChurn collections.Item[uint64]
	// NextChurnHeight is the first block in which a churn may open by itself; absent when none
	// will.
	NextChurnHeight collections.Item[int64]
	ChurnSequence   collections.Sequence
	KeygenSequence  collections.Sequence
	// RecipientOwners are the addresses of the signers that recipient keys belong to, by the key. A
	// key never changes its owner.
	RecipientOwners collections.Map[[]byte, []byte]
	// PublicShares are kept by keygen and hash: of every result that was voted for while a keygen
	// is open, then of the vault's.
	PublicShares collections.Map[collections.Pair[uint64, []byte], types.PublicShares]
	// Groups are what a vote reads of the group part of a split keygen's result, and
	// GroupParameters the parameters in it, of all members one after the other. They are kept by
	// keygen and hash, for as long as the proofs are.
	Groups          collections.Map[collections.Pair[uint64, []byte], types.Group]
	GroupParameters collections.Map[collections.Pair[uint64, []byte], []byte]
	// Proofs are kept by keygen and member, from the opening of the keygen until it fails or its
	// vault has been retired for long enough.
	Proofs collections.Map[collections.Pair[uint64, []byte], types.Proof]
	// ProofExpiries are the retired vaults whose proofs are deleted at a height, by height and
	// keygen.
	ProofExpiries collections.Map[collections.Pair[uint64, uint64], []byte]
	// KeygensOf are the keygens of a status, by status and number. Its values say nothing, and are
	// there because none in the store is empty.
	KeygensOf collections.Map[collections.Pair[uint32, uint64], bool]
	// Memberships are the epochs that a member ever was in, by member and epoch, whose keygens name
	// the vaults. Its values say nothing.
	Memberships collections.Map[collections.Pair[[]byte, uint64], bool]
	// Retirements are the vaults that were retired at a height, by height and epoch, and those of
	// which a former epoch had no grace any more from then on.
	Retirements collections.Map[collections.Pair[uint64, uint64], []byte]
	// ChurnExpiries are the churns that failed, or that have failed tries, and whose failures are
	// deleted from a height on, by height and number. Its values say nothing.
	ChurnExpiries collections.Map[collections.Pair[uint64, uint64], bool]
	// Heartbeats are kept by epoch and member while the epoch's vault is not retired, and
	// HeartbeatsDue by the height at whose end an interval is missed, the epoch and the member. The
	// latter's values say nothing.
	Heartbeats    collections.Map[collections.Pair[uint64, []byte], types.Heartbeat]
	HeartbeatsDue collections.Map[dueKey, bool]
	// HeartbeatAttempts count the exempt heartbeats of a member in an epoch, in its latest window.
	HeartbeatAttempts collections.Map[collections.Pair[uint64, []byte], types.Window]
	// Beacons are what a heartbeat may sign; absent until there is one.
	Beacons collections.Item[types.Beacons]
	// Pauses is absent while there is no pause and was none.
	Pauses collections.Item[types.Pause]
	// Staged are the envelopes of this block, by their hash. EndBlocker takes them out, so that no
	// committed state holds one.
	Staged collections.Map[[]byte, []byte]

	// verify checks a proof and returns its stored form.
	verify func(verenc.Statement, []byte) ([]byte, error)
}

// NewKeeper returns a keeper of the state behind storeService. authority is the bech32 address that
// may start churns, retire vaults and change parameters.
func NewKeeper(
	cdc codec.BinaryCodec,
	storeService store.KVStoreService,
	accounts types.AccountKeeper,
	staking types.StakingKeeper,
	authority string,
) (*Keeper, error) {
	address, err := accounts.AddressCodec().StringToBytes(authority)
	if err != nil {
		return nil, types.ErrInvalidAuthority.Wrapf("%q: %s", authority, err)
	}
	// In the one form that messages are compared with: bech32 may be upper-case.
	if authority, err = accounts.AddressCodec().BytesToString(address); err != nil {
		return nil, types.ErrInvalidAuthority.Wrapf("%q: %s", authority, err)
	}
	sb := collections.NewSchemaBuilder(storeService)
	k := &Keeper{
		cdc:       cdc,
		accounts:  accounts,
		staking:   staking,
		authority: authority,
		hooks:     new(hookList),
		verify:    verify,

		Params: collections.NewItem(
			sb,
			types.ParamsPrefix,
			"params",
			codec.CollValue[types.Params](cdc),
		),
		Signers: collections.NewMap(
			sb,
			types.SignersPrefix,
			"signers",
			collections.BytesKey,
			codec.CollValue[types.Signer](cdc),
		),
		SignerOwners: collections.NewMap(
			sb,
			types.SignerOwnersPrefix,
			"signer_owners",
			collections.BytesKey,
			codec.CollValue[types.SignerOwner](cdc),
		),
		Terms: collections.NewMap(
			sb,
			types.SignerTermsPrefix,
			"signer_terms",
			collections.BytesKey,
			codec.CollValue[types.SignerTerm](cdc),
		),
		Claims: collections.NewMap(
			sb,
			types.ClaimsPrefix,
			"claims",
			collections.BytesKey,
			codec.CollValue[types.Window](cdc),
		),
		SitOuts: collections.NewMap(
			sb,
			types.SitOutsPrefix,
			"sit_outs",
			collections.BytesKey,
			codec.CollValue[types.SitOut](cdc),
		),
		Churns: collections.NewMap(
			sb,
			types.ChurnsPrefix,
			"churns",
			collections.Uint64Key,
			codec.CollValue[types.Churn](cdc),
		),
		Keygens: collections.NewMap(
			sb,
			types.KeygensPrefix,
			"keygens",
			collections.Uint64Key,
			codec.CollValue[types.Keygen](cdc),
		),
		Votes: collections.NewMap(
			sb,
			types.VotesPrefix,
			"votes",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Vote](cdc),
		),
		Attempts: collections.NewMap(
			sb,
			types.AttemptsPrefix,
			"attempts",
			types.EpochMemberKeyCodec,
			collections.Uint64Value,
		),
		JoinAttempts: collections.NewMap(
			sb,
			types.JoinAttemptsPrefix,
			"join_attempts",
			types.EpochMemberKeyCodec,
			collections.Uint64Value,
		),
		Joins: collections.NewMap(
			sb,
			types.JoinsPrefix,
			"joins",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Join](cdc),
		),
		Sessions: collections.NewMap(
			sb,
			types.SessionsPrefix,
			"sessions",
			collections.Uint64Key,
			codec.CollValue[types.Session](cdc),
		),
		Certificates: collections.NewMap(
			sb,
			types.CertificatesPrefix,
			"certificates",
			collections.Uint64Key,
			codec.CollValue[types.Certificate](cdc),
		),
		Vaults: collections.NewMap(
			sb,
			types.VaultsPrefix,
			"vaults",
			collections.BytesKey,
			codec.CollValue[types.Vault](cdc),
		),
		Backups: collections.NewMap(
			sb,
			types.BackupsPrefix,
			"backups",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Backup](cdc),
		),

		LiveVaults: collections.NewItem(
			sb,
			types.LiveVaultsPrefix,
			"live_vaults",
			codec.CollValue[types.LiveVaults](cdc),
		),
		OpenChurn: collections.NewItem(
			sb,
			types.OpenChurnPrefix,
			"open_churn",
			collections.Uint64Value,
		),
		NextChurnHeight: collections.NewItem(
			sb,
			types.NextChurnHeightPrefix,
			"next_churn_height",
			collections.Int64Value,
		),
		ChurnSequence:  collections.NewSequence(sb, types.ChurnSequencePrefix, "churn_sequence"),
		KeygenSequence: collections.NewSequence(sb, types.KeygenSequencePrefix, "keygen_sequence"),

		RecipientOwners: collections.NewMap(
			sb,
			types.RecipientOwnersPrefix,
			"recipient_owners",
			collections.BytesKey,
			collections.BytesValue,
		),
		PublicShares: collections.NewMap(
			sb,
			types.PublicSharesPrefix,
			"public_shares",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.PublicShares](cdc),
		),
		Groups: collections.NewMap(
			sb,
			types.GroupsPrefix,
			"groups",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Group](cdc),
		),
		GroupParameters: collections.NewMap(
			sb,
			types.GroupParametersPrefix,
			"group_parameters",
			types.EpochMemberKeyCodec,
			collections.BytesValue,
		),
		Proofs: collections.NewMap(
			sb,
			types.ProofsPrefix,
			"proofs",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Proof](cdc),
		),
		ProofExpiries: collections.NewMap(
			sb,
			types.ProofExpiriesPrefix,
			"proof_expiries",
			types.HeightKeyCodec,
			collections.BytesValue,
		),
		KeygensOf: collections.NewMap(
			sb,
			types.KeygensOfPrefix,
			"keygens_of",
			types.StatusKeyCodec,
			collections.BoolValue,
		),
		Memberships: collections.NewMap(
			sb,
			types.MembershipsPrefix,
			"memberships",
			types.MemberEpochKeyCodec,
			collections.BoolValue,
		),
		Retirements: collections.NewMap(
			sb,
			types.RetirementsPrefix,
			"retirements",
			types.HeightKeyCodec,
			collections.BytesValue,
		),
		ChurnExpiries: collections.NewMap(
			sb,
			types.ChurnExpiriesPrefix,
			"churn_expiries",
			types.HeightKeyCodec,
			collections.BoolValue,
		),
		Heartbeats: collections.NewMap(
			sb,
			types.HeartbeatsPrefix,
			"heartbeats",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Heartbeat](cdc),
		),
		HeartbeatsDue: collections.NewMap(
			sb,
			types.HeartbeatsDuePrefix,
			"heartbeats_due",
			types.DueKeyCodec,
			collections.BoolValue,
		),
		HeartbeatAttempts: collections.NewMap(
			sb,
			types.HeartbeatAttemptsPrefix,
			"heartbeat_attempts",
			types.EpochMemberKeyCodec,
			codec.CollValue[types.Window](cdc),
		),
		Beacons: collections.NewItem(
			sb,
			types.BeaconsPrefix,
			"beacons",
			codec.CollValue[types.Beacons](cdc),
		),
		Pauses: collections.NewItem(
			sb,
			types.PausePrefix,
			"pause",
			codec.CollValue[types.Pause](cdc),
		),
		Staged: collections.NewMap(
			sb,
			types.StagedPrefix,
			"staged",
			collections.BytesKey,
			collections.BytesValue,
		),
	}
	schema, err := sb.Build()
	if err != nil {
		return nil, err
	}
	k.Schema = schema
	return k, nil
}

// SetHooks sets what runs when vaults and keygens end or begin, once, in the order given. All
// copies of a keeper have the same hooks.
func (k Keeper) SetHooks(hooks ...types.TssbackupHooks) {
	if k.hooks.list != nil {
		panic("tssbackup hooks are set already")
	}
	k.hooks.list = hooks
}

// hookList is shared by all copies of a keeper: a hook that only one of them knew would be lost.
type hookList struct{ list []types.TssbackupHooks }

// AddressCodec writes and reads the addresses of accounts, which those of members are.
func (k Keeper) AddressCodec() address.Codec { return k.accounts.AddressCodec() }

func (k Keeper) checkAuthority(authority string) error {
	if authority != k.authority {
		return types.ErrInvalidAuthority.Wrapf("%s, not %s", k.authority, authority)
	}
	return nil
}

// operatorOf is the raw operator address of a member.
func (k Keeper) operatorOf(ctx context.Context, address []byte) ([]byte, error) {
	owner, err := k.SignerOwners.Get(ctx, address)
	return owner.Operator, err
}

// votesOf are the votes on a keygen, in ascending order of the members.
func (k Keeper) votesOf(ctx context.Context, keygenID uint64) ([]memberVote, error) {
	iter, err := k.Votes.Iterate(ctx, collections.NewPrefixedPairRange[uint64, []byte](keygenID))
	if err != nil {
		return nil, err
	}
	kvs, err := iter.KeyValues()
	if err != nil {
		return nil, err
	}
	votes := make([]memberVote, len(kvs))
	for i, kv := range kvs {
		votes[i] = memberVote{member: kv.Key.K2(), Vote: kv.Value}
	}
	return votes, nil
}

// memberVote is a vote and the raw address of who cast it.
type memberVote struct {
	member []byte
	types.Vote
}
