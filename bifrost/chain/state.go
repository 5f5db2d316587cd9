package chain

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	rpcclient "github.com/cometbft/cometbft/rpc/client"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// storePath is where a node answers with Merkle proofs.
func storePath(store string) string { return "/store/" + store + "/key" }

// maxBatch is how many requests a node takes at once.
const maxBatch = 10

// State is the module's state at one height, of which every record is verified against one verified
// header, and so is the absence of a record. Whichever node answers does not matter: they are asked
// in turn until an answer is verified. It is not safe for concurrent use.
type State struct {
	header *cmttypes.Header
	nodes  []*Client
	prefix string
	// operators is the prefix of operators' addresses, if it does not follow from prefix.
	operators string
	report    func(node string, err error)
	// known are the verified values of the module's store by key; absent ones are empty.
	known map[string][]byte
}

func newState(
	block *cmttypes.LightBlock,
	nodes []*source,
	prefix string,
	report func(string, error),
) *State {
	s := &State{header: block.Header, prefix: prefix, report: report, known: map[string][]byte{}}
	for _, n := range nodes {
		s.nodes = append(s.nodes, n.Client)
	}
	return s
}

// ShowOperators has the addresses of operators be shown with this prefix. Without it, or when it is
// empty, it is that of accounts followed by valoper.
func (s *State) ShowOperators(prefix string) { s.operators = prefix }

// Height is that of the block after which the records were so: the one before the verified header,
// which holds their root.
func (s *State) Height() int64 { return s.header.Height - 1 }

// Header is the height, the hash and the time of the verified header.
func (s *State) Header() (height int64, hash []byte, at time.Time) {
	return s.header.Height, s.header.Hash(), s.header.Time
}

// Vaults returns the active and retiring vaults of a member, given by its raw address, and without
// one all of them. None is left out: that is verified too.
func (s *State) Vaults(ctx context.Context, member []byte) ([]vault.Vault, error) {
	value, err := s.read(ctx, types.LiveVaultsKey())
	if err != nil {
		return nil, err
	}
	live, err := decodeLiveVaults(value[0])
	if err != nil {
		return nil, err
	}
	// The member's backups are wanted next, and cost no round trip here.
	var keys [][]byte
	for _, v := range live {
		keys = append(keys, types.VaultKey(v.PubKey))
		if member != nil {
			keys = append(keys, types.BackupKey(v.Epoch, member))
		}
	}
	if _, err := s.read(ctx, keys...); err != nil {
		return nil, err
	}
	var vaults []vault.Vault
	for _, l := range live {
		v, err := s.Vault(ctx, l.PubKey)
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%w: vault %x lives and has no record", ErrState, l.PubKey)
		}
		if err != nil {
			return nil, err
		}
		if v.Epoch != l.Epoch {
			return nil, fmt.Errorf("%w: vault %x lives in epochs %d and %d",
				ErrState, l.PubKey, l.Epoch, v.Epoch)
		}
		if _, ok := v.Member(member); ok || member == nil {
			vaults = append(vaults, v)
		}
	}
	return vaults, nil
}

// Vault returns one vault by its compressed secp256k1 key, retired ones included, or [ErrNotFound]
// with the Merkle proof that there is none.
func (s *State) Vault(ctx context.Context, pubKey []byte) (vault.Vault, error) {
	value, err := s.read(ctx, types.VaultKey(pubKey))
	if err != nil {
		return vault.Vault{}, err
	}
	if len(value[0]) == 0 {
		return vault.Vault{}, fmt.Errorf(
			"vault %x: %w: verified at height %d", pubKey, ErrNotFound, s.Height())
	}
	return decodeVault(pubKey, value[0])
}

// SignerOf returns the raw account address of the signer that an operator, given by its raw
// address, has registered last, or nil when it is verified that it has registered none.
func (s *State) SignerOf(ctx context.Context, operator []byte) ([]byte, error) {
	value, err := s.read(ctx, types.SignerKey(operator))
	if err != nil || len(value[0]) == 0 {
		return nil, err
	}
	var signer types.Signer
	if err := proto.Unmarshal(value[0], &signer); err != nil {
		return nil, fmt.Errorf("%w: signer of an operator: %w", ErrState, err)
	}
	return signer.Address, nil
}

// TermOf returns the latest claim of a signer, given by its raw address, or the zeroth when it is
// verified that there is none.
func (s *State) TermOf(ctx context.Context, signer []byte) (types.SignerTerm, error) {
	terms, err := s.TermsOf(ctx, signer)
	if err != nil {
		return types.SignerTerm{}, err
	}
	return terms[0], nil
}

// TermsOf is [State.TermOf] for many, whose records are read together.
func (s *State) TermsOf(
	ctx context.Context, signers ...[]byte,
) (terms []types.SignerTerm, err error) {
	var keys [][]byte
	for _, signer := range signers {
		keys = append(keys, types.SignerTermKey(signer))
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for _, value := range values {
		var term types.SignerTerm
		if err := proto.Unmarshal(value, &term); err != nil { // nothing is the zeroth
			return nil, fmt.Errorf("%w: term of a signer: %w", ErrState, err)
		}
		terms = append(terms, term)
	}
	return terms, nil
}

// FindPrefix finds the prefix with which the chain writes its accounts, which no record holds: from
// how a node shows the members of a vault. It believes only what is one of these members, by the
// verified record of the vault. From then on addresses are shown with it. Without a vault, and when
// no node shows it, the prefix stays as it was.
func (s *State) FindPrefix(ctx context.Context, v vault.Vault) (string, error) {
	prefix, err := s.ShownPrefix(ctx, v)
	s.prefix = prefix
	return prefix, err
}

// ShownPrefix is what [State.FindPrefix] finds, and changes nothing.
func (s *State) ShownPrefix(ctx context.Context, v vault.Vault) (string, error) {
	for _, n := range s.nodes {
		shown, err := n.members(ctx, v.Name())
		if ctx.Err() != nil {
			return s.prefix, ctx.Err()
		}
		if err != nil {
			continue // what is shown is for people, and no reason to end a recovery
		}
		for _, address := range shown {
			prefix, raw, err := bech32.DecodeAndConvert(address)
			if err != nil {
				continue
			}
			if _, ok := v.Member(raw); ok {
				return prefix, nil
			}
		}
	}
	return s.prefix, nil
}

// Backup returns the commitments of a member, given by its raw address, in a vault's present epoch,
// the latest first. There are none, and no error, when it is verified that state holds none. After
// [State.Vaults] of that member it asks no node.
func (s *State) Backup(
	ctx context.Context,
	v vault.Vault,
	member []byte,
) ([]types.Commitment, error) {
	value, err := s.read(ctx, types.BackupKey(v.Epoch, member))
	if err != nil {
		return nil, err
	}
	backup, err := decodeBackup(value[0])
	if err != nil || backup == nil {
		return nil, err
	}
	return backup.Commitments(), nil
}

// Backups is [State.Backup] for all members of a vault, in their order, whose records are read
// together.
func (s *State) Backups(ctx context.Context, v vault.Vault) ([][]types.Commitment, error) {
	keys := make([][]byte, len(v.Members))
	for i, m := range v.Members {
		keys[i] = types.BackupKey(v.Epoch, m.Address())
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	all := make([][]types.Commitment, len(v.Members))
	for i, value := range values {
		backup, err := decodeBackup(value)
		if err != nil {
			return nil, err
		}
		if backup != nil {
			all[i] = backup.Commitments()
		}
	}
	return all, nil
}

// Coverage counts who has published and who has proven, of one vault, given by its compressed
// secp256k1 key, or without one of all that are not retired. It is counted here, from verified
// records of one height.
func (s *State) Coverage(ctx context.Context, pubKey []byte) ([]types.VaultCoverage, error) {
	var vaults []vault.Vault
	var err error
	if pubKey == nil {
		vaults, err = s.Vaults(ctx, nil)
	} else {
		vaults = make([]vault.Vault, 1)
		vaults[0], err = s.Vault(ctx, pubKey)
	}
	if err != nil {
		return nil, err
	}
	covered := make([]types.VaultCoverage, len(vaults))
	for i, v := range vaults {
		if covered[i], err = s.coverage(ctx, v); err != nil {
			return nil, err
		}
	}
	return covered, nil
}

func (s *State) coverage(ctx context.Context, v vault.Vault) (types.VaultCoverage, error) {
	var keys [][]byte
	for _, m := range v.Members {
		raw := m.Address()
		keys = append(
			keys,
			types.BackupKey(v.Epoch, raw),
			types.SignerOwnerKey(raw),
			types.ProofKey(v.Epoch, raw),
		)
	}
	values, err := s.read(ctx, append(keys, types.ParamsKey())...)
	if err != nil {
		return types.VaultCoverage{}, err
	}
	params, err := decodeParams(values[len(keys)])
	if err != nil {
		return types.VaultCoverage{}, err
	}
	beats := make([]*types.Heartbeat, len(v.Members))
	if params.HeartbeatInterval != 0 && v.IsLive() {
		if beats, err = s.heartbeats(ctx, v); err != nil {
			return types.VaultCoverage{}, err
		}
	}
	members := make([]types.MemberRecords, len(v.Members))
	for i, m := range v.Members {
		if members[i], err = s.memberRecords(
			m,
			values[3*i],
			values[3*i+1],
			values[3*i+2],
		); err != nil {
			return types.VaultCoverage{}, err
		}
		members[i].Heartbeat = beats[i]
	}
	return types.Coverage(v.PubKey, v.Vault, members), nil
}

// heartbeats are what state knows of the heartbeats of a vault's members, in their order.
func (s *State) heartbeats(ctx context.Context, v vault.Vault) ([]*types.Heartbeat, error) {
	keys := make([][]byte, len(v.Members))
	for i, m := range v.Members {
		keys[i] = types.HeartbeatKey(v.Epoch, m.Address())
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	beats := make([]*types.Heartbeat, len(keys))
	for i, value := range values {
		if beats[i], err = decodeHeartbeat(value); err != nil {
			return nil, err
		}
	}
	return beats, nil
}

// Slot is what a heartbeat of a member takes: the recipient key that signs it, the beacons that it
// may sign, the latest first, and the heartbeats before, nil where none is due.
type Slot struct {
	Recipient types.Recipient
	Beacons   []types.Beacon
	Before    *types.Heartbeat
}

// Slot returns what a heartbeat takes of a member, given by its raw address, for a vault.
func (s *State) Slot(ctx context.Context, v vault.Vault, member []byte) (slot Slot, err error) {
	values, err := s.read(ctx,
		types.ProofKey(v.Epoch, member), types.BeaconsKey(), types.HeartbeatKey(v.Epoch, member))
	if err != nil {
		return slot, err
	}
	proof, err := decodeProof(values[0])
	if err != nil {
		return slot, err
	}
	slot.Recipient = proof.Recipient
	var beacons types.Beacons
	if err := proto.Unmarshal(values[1], &beacons); err != nil {
		return slot, fmt.Errorf("%w: beacons: %w", ErrState, err)
	}
	slot.Beacons = beacons.List
	slot.Before, err = decodeHeartbeat(values[2])
	return slot, err
}

func (s *State) memberRecords(
	m types.Member,
	backup, owner, proof []byte,
) (r types.MemberRecords, err error) {
	r.Member = m
	if r.Address, err = bech32.ConvertAndEncode(s.prefix, m.Address()); err != nil {
		return r, fmt.Errorf("prefix %q: %w", s.prefix, err)
	}
	if len(owner) > 0 {
		var of types.SignerOwner
		if err := proto.Unmarshal(owner, &of); err != nil {
			return r, fmt.Errorf("%w: owner of a signer: %w", ErrState, err)
		}
		prefix := cmp.Or(s.operators, s.prefix+"valoper")
		if r.Operator, err = bech32.ConvertAndEncode(prefix, of.Operator); err != nil {
			return r, fmt.Errorf("prefix %q: %w", prefix, err)
		}
	}
	if r.Backup, err = decodeBackup(backup); err != nil {
		return r, err
	}
	r.Proof, err = decodeProof(proof)
	return r, err
}

// Proofs are what state knows of the proofs of a vault's members.
type Proofs struct {
	// Members are the members' proofs, in their order.
	Members []types.Proof
	// Shares are the public shares that they are about; of a split vault, those in the group part.
	Shares types.PublicShares
	// Group is, of a split vault, what state keeps of the group part beside the parameters.
	Group types.Group
}

// Proofs returns what state knows of the proofs of a vault's members. It has nothing of public
// shares and proofs where that is verified: of a vault that was made without proofs, or is retired
// for long. The parameters in the group part of a split vault are no part of it: [State.Group]
// has them.
func (s *State) Proofs(ctx context.Context, v vault.Vault) (Proofs, error) {
	var keys [][]byte
	for _, m := range v.Members {
		keys = append(keys, types.ProofKey(v.Epoch, m.Address()))
	}
	switch {
	case len(v.SharesHash) == 0:
	case v.Split:
		keys = append(keys, types.GroupKey(v.Epoch, v.SharesHash))
	default:
		keys = append(keys, types.PublicSharesKey(v.Epoch, v.SharesHash))
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return Proofs{}, err
	}
	p := Proofs{Members: make([]types.Proof, len(v.Members))}
	for i := range p.Members {
		if p.Members[i], err = decodeProof(values[i]); err != nil {
			return Proofs{}, err
		}
	}
	if len(v.SharesHash) == 0 {
		return p, nil
	}
	value := values[len(p.Members)]
	if len(value) == 0 {
		return Proofs{}, fmt.Errorf(
			"%w: vault %s names public shares that are not there", ErrState, v.Name())
	}
	if !v.Split {
		p.Shares, err = decodeShares(value)
		return p, err
	}
	if p.Group, err = decodeGroup(value); err != nil {
		return Proofs{}, err
	}
	if p.Shares, err = p.Group.PublicShares(v.Epoch, v.Members); err != nil {
		return Proofs{}, fmt.Errorf("%w: vault %s: %w", ErrState, v.Name(), err)
	}
	return p, nil
}

// Block shows the transactions of a block as one node after the other holds them, until accept
// returns nil: they are not verified, so accept must find out by itself whether they are what it
// looks for. A node whose view was refused before another's was accepted is reported. The error is
// [ErrNoBlock] alone when no node that answers holds the block any more, and holds every refusal of
// accept, which names its node.
func (s *State) Block(ctx context.Context, height int64, accept func(txs [][]byte) error) error {
	var failed, refused []error
	var refusedNodes []string
	for _, n := range s.nodes {
		txs, err := n.BlockTxs(ctx, height)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", n.Name(), err))
			continue
		}
		if err = accept(txs); err == nil {
			for i, name := range refusedNodes {
				s.report(name, refused[i])
			}
			return nil
		}
		refusedNodes = append(refusedNodes, n.Name())
		refused = append(refused, fmt.Errorf("block %d as %s shows it: %w", height, n.Name(), err))
	}
	if len(refused) > 0 {
		return errors.Join(refused...)
	}
	return errors.Join(failed...)
}

// Envelope fetches the bytes that a commitment stands for: each node is asked for its archive
// first, then for the block that carries them. A node that answers with other bytes is reported.
// After it [State.Group] of a split vault asks no node, where one takes several questions at once.
// The error is [ErrNoEnvelope] when a node showed the block and it was not in it, else why the last
// node had none. Of one that the members hold it is [ErrHeld], and no node is asked.
func (s *State) Envelope(
	ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
) ([]byte, error) {
	if c.IsHeld() {
		return nil, ErrHeld
	}
	address, err := bech32.ConvertAndEncode(s.prefix, member)
	if err != nil {
		return nil, fmt.Errorf("prefix %q: %w", s.prefix, err)
	}
	var failed []error
	for _, n := range s.nodes {
		if envelope := s.envelopeWithGroup(ctx, n, v, address, c); envelope != nil {
			return envelope, nil
		}
		envelope, err := n.ArchivedEnvelope(ctx, v.Name(), address, c)
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, ErrNoEnvelope) {
				s.report(n.Name(), err)
			}
			envelope, err = n.Envelope(ctx, c)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			return envelope, nil
		}
		s.report(n.Name(), err)
		failed = append(failed, fmt.Errorf("%s: %w", n.Name(), err))
	}
	return nil, errors.Join(failed...)
}

// envelopeWithGroup asks a node's archive for an envelope of a split vault, and in the same request
// for the group part, which is wanted next. What is not as it should be is as if it had not been
// asked: it is asked again, by itself, and there is the reason.
func (s *State) envelopeWithGroup(
	ctx context.Context, n *Client, v vault.Vault, address string, c types.Commitment,
) []byte {
	if !v.Split || len(v.SharesHash) == 0 || n.noBatch.Load() {
		return nil
	}
	keys := groupKeys(v)
	if _, ok := s.known[string(keys[0])]; ok {
		return nil
	}
	data, err := proto.Marshal(&types.QueryEnvelopeRequest{
		Vault: v.Name(), Member: address, Sha256: hex.EncodeToString(c.Sha256),
	})
	if err != nil {
		return nil
	}
	batch := n.rpc.NewBatch()
	if _, err := batch.ABCIQuery(ctx, service+"Envelope", data); err != nil {
		return nil
	}
	opts := rpcclient.ABCIQueryOptions{Height: s.Height(), Prove: true}
	for _, key := range keys {
		path := storePath(types.StoreKey)
		if _, err := batch.ABCIQueryWithOptions(ctx, path, key, opts); err != nil {
			return nil
		}
	}
	answers, err := batch.Send(ctx)
	if err != nil || len(answers) != 1+len(keys) {
		return nil
	}
	values, err := verifiedValues(answers[1:], types.StoreKey, s.header.AppHash, keys, s.Height())
	for i := range values {
		s.known[string(keys[i])] = values[i]
	}
	var res types.QueryEnvelopeResponse
	answer, ok := answers[0].(*ctypes.ResultABCIQuery)
	if err != nil || !ok || !answer.Response.IsOK() ||
		proto.Unmarshal(answer.Response.Value, &res) != nil || !c.Matches(res.Envelope) {
		return nil
	}
	return res.Envelope
}

// ArchivedEnvelope asks the node's archive for the bytes that a commitment of a member, given in
// bech32, of a vault stands for. The error is [ErrNoEnvelope] when it answers with other bytes, and
// [ErrHeld], without asking, for an envelope that members hold.
func (c *Client) ArchivedEnvelope(
	ctx context.Context, vault, member string, commitment types.Commitment,
) ([]byte, error) {
	if commitment.IsHeld() {
		return nil, ErrHeld
	}
	var res types.QueryEnvelopeResponse
	wanted := hex.EncodeToString(commitment.Sha256)
	req := &types.QueryEnvelopeRequest{Vault: vault, Member: member, Sha256: wanted}
	if err := c.query(ctx, service+"Envelope", req, &res); err != nil {
		return nil, err
	}
	if !commitment.Matches(res.Envelope) {
		return nil, fmt.Errorf("%w: the archive gives %d other bytes instead of %d with hash %s",
			ErrNoEnvelope, len(res.Envelope), commitment.Size_, wanted)
	}
	return res.Envelope, nil
}

// read returns the verified values of these keys, empty where it is verified that there is none.
func (s *State) read(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	var missing [][]byte
	for _, key := range keys {
		if _, ok := s.known[string(key)]; !ok {
			missing = append(missing, key)
		}
	}
	for batch := range slices.Chunk(missing, maxBatch) {
		values, err := s.readBatch(ctx, types.StoreKey, batch)
		if err != nil {
			return nil, err
		}
		for i, key := range batch {
			s.known[string(key)] = values[i]
		}
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = s.known[string(key)]
	}
	return values, nil
}

// readBatch asks the nodes in turn. One whose answer is not verified is asked last from then on.
func (s *State) readBatch(ctx context.Context, store string, keys [][]byte) ([][]byte, error) {
	var failed []error
	for range s.nodes {
		n := s.nodes[0]
		values, err := n.readVerified(ctx, store, s.Height(), s.header.AppHash, keys)
		if err == nil {
			return values, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.report(n.Name(), err)
		failed = append(failed, fmt.Errorf("%s: %w", n.Name(), err))
		s.nodes = append(s.nodes[1:], n)
	}
	return nil, errors.Join(failed...)
}

// readVerified reads keys of a module's store at a height, in one request where the node takes
// several questions at once, and verifies the answers against the root of that state.
func (c *Client) readVerified(
	ctx context.Context,
	store string,
	height int64,
	appHash []byte,
	keys [][]byte,
) ([][]byte, error) {
	// At height 0 a node would answer for a height whose root no header holds yet, and for an
	// unknown one with nothing and without a Merkle proof.
	opts := rpcclient.ABCIQueryOptions{Height: height, Prove: true}
	if len(keys) > 1 && !c.noBatch.Load() {
		values, err := c.readAll(ctx, store, appHash, keys, opts)
		if err == nil || ctx.Err() != nil {
			return values, err
		}
	}
	// A node, or what stands before it, that takes no batch, or answers it in an order of its own,
	// answers each question by itself.
	values := make([][]byte, len(keys))
	for i := range keys {
		value, err := c.readAll(ctx, store, appHash, keys[i:i+1], opts)
		if err != nil {
			return nil, err
		}
		values[i] = value[0]
	}
	if len(keys) > 1 {
		c.noBatch.Store(true)
	}
	return values, nil
}

// readAll reads keys in one request, once the node has the height.
func (c *Client) readAll(
	ctx context.Context,
	store string,
	appHash []byte,
	keys [][]byte,
	opts rpcclient.ABCIQueryOptions,
) (values [][]byte, err error) {
	err = c.await(ctx, func() error {
		values, err = c.readOnce(ctx, store, appHash, keys, opts)
		return err
	})
	return values, err
}

func (c *Client) readOnce(
	ctx context.Context,
	store string,
	appHash []byte,
	keys [][]byte,
	opts rpcclient.ABCIQueryOptions,
) ([][]byte, error) {
	answers, err := c.ask(ctx, store, keys, opts)
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	if len(answers) != len(keys) {
		return nil, fmt.Errorf(
			"%w: %d answers to %d questions",
			ErrUnreachable,
			len(answers),
			len(keys),
		)
	}
	return verifiedValues(answers, store, appHash, keys, opts.Height)
}

// verifiedValues are those in the answers to questions for keys, verified against the root of the
// state of a height.
func verifiedValues(
	answers []any,
	store string,
	appHash []byte,
	keys [][]byte,
	height int64,
) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, answer := range answers {
		res, ok := answer.(*ctypes.ResultABCIQuery)
		if !ok {
			return nil, fmt.Errorf("%w: it refuses a batch", ErrUnreachable)
		}
		if !res.Response.IsOK() {
			err := &RefusedError{
				res.Response.Codespace, res.Response.Code, printable(res.Response.Log),
			}
			if behind := asBehindState(err); behind != nil {
				return nil, behind
			}
			if strings.Contains(err.Log, "version does not exist") {
				return nil, fmt.Errorf("%w: its state of height %d: %w", ErrNoBlock, height, err)
			}
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if err := verifyIn(
			store,
			appHash,
			keys[i],
			res.Response.Value,
			res.Response.ProofOps,
		); err != nil {
			return nil, err
		}
		values[i] = res.Response.Value
	}
	return values, nil
}

// ask sends the questions in one request. A batch of one is none: a node answers it in another
// form.
func (c *Client) ask(
	ctx context.Context,
	store string,
	keys [][]byte,
	opts rpcclient.ABCIQueryOptions,
) ([]any, error) {
	if len(keys) == 1 {
		res, err := c.rpc.ABCIQueryWithOptions(ctx, storePath(store), keys[0], opts)
		return []any{res}, err
	}
	batch := c.rpc.NewBatch()
	for _, key := range keys {
		if _, err := batch.ABCIQueryWithOptions(ctx, storePath(store), key, opts); err != nil {
			return nil, err
		}
	}
	return batch.Send(ctx)
}
