package fakenode

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/tmhash"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/store/v2/rootmulti"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ledger is the part of the fake that is no fake: the node's records in a real store, and a chain
// of headers over it that its validators have signed.
type ledger struct {
	store               *rootmulti.Store
	key, other, staking *storetypes.KVStoreKey
	// records are those of the module, and of x/staking under names that begin so.
	records map[string][]byte
	blocks  map[int64]*cmttypes.LightBlock
	next    []crypto.PrivKey
}

// NewValidators makes the keys of validators that follow from the name.
func NewValidators(name string, count int) []crypto.PrivKey {
	keys := make([]crypto.PrivKey, count)
	for i := range keys {
		keys[i] = ed25519.GenPrivKeyFromSecret(
			fmt.Appendf(nil, "tssbackup/testutil/fakenode/%s/%d", name, i),
		)
	}
	return keys
}

// Advance appends empty blocks.
func (n *Node) Advance(blocks int) {
	n.Lock()
	defer n.Unlock()
	n.update()
	for range blocks {
		n.append(nil)
	}
}

// update appends a block whenever the node's records have changed since the last one, so that no
// height ever has two states.
func (n *Node) update() {
	records := n.records()
	if n.ledger == nil {
		l := &ledger{
			store:   rootmulti.NewStore(dbm.NewMemDB(), log.NewNopLogger()),
			key:     storetypes.NewKVStoreKey(types.StoreKey),
			other:   storetypes.NewKVStoreKey("bank"),
			staking: storetypes.NewKVStoreKey("staking"),
			blocks:  map[int64]*cmttypes.LightBlock{},
			next:    n.Validators,
		}
		l.store.MountStoreWithDB(l.key, storetypes.StoreTypeIAVL, nil)
		l.store.MountStoreWithDB(l.other, storetypes.StoreTypeIAVL, nil)
		l.store.MountStoreWithDB(l.staking, storetypes.StoreTypeIAVL, nil)
		must(l.store.LoadLatestVersion())
		must(l.store.SetInitialVersion(n.Height - 1))
		l.store.GetKVStore(l.other).Set([]byte("supply"), []byte("1000stake"))
		l.store.GetKVStore(l.staking).Set([]byte("params"), []byte("100"))
		n.ledger = l
		n.Height--
		n.append(records)
		return
	}
	if !maps.EqualFunc(records, n.ledger.records, bytes.Equal) {
		n.append(records)
	}
}

// append commits the records, if they are given, and signs the header of the next block, which has
// the root of them.
func (n *Node) append(records map[string][]byte) {
	l := n.ledger
	if records != nil {
		at := func(key string) (storetypes.KVStore, []byte) {
			if rest, ok := strings.CutPrefix(key, inStaking); ok {
				return l.store.GetKVStore(l.staking), []byte(rest)
			}
			return l.store.GetKVStore(l.key), []byte(key)
		}
		for key := range l.records {
			if _, ok := records[key]; !ok {
				store, key := at(key)
				store.Delete(key)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(records)) {
			store, key := at(name)
			store.Set(key, records[name])
		}
		l.records = records
	}
	commit := l.store.Commit()
	n.Height++
	current := l.next
	l.next = n.Validators
	block := &cmttypes.LightBlock{ValidatorSet: ValidatorSet(current)}
	header := &cmttypes.Header{
		Version:            cmtversion.Consensus{Block: 11},
		ChainID:            n.ChainID,
		Height:             n.Height,
		Time:               n.Start.Add(time.Duration(n.Height) * time.Millisecond).UTC(),
		LastCommitHash:     tmhash.Sum([]byte("last commit")),
		DataHash:           tmhash.Sum(nil),
		ValidatorsHash:     block.ValidatorSet.Hash(),
		NextValidatorsHash: ValidatorSet(l.next).Hash(),
		ConsensusHash:      tmhash.Sum([]byte("consensus")),
		AppHash:            commit.Hash,
		LastResultsHash:    tmhash.Sum([]byte("results")),
		EvidenceHash:       tmhash.Sum(nil),
		ProposerAddress:    block.ValidatorSet.Validators[0].Address,
	}
	if last := l.blocks[n.Height-1]; last != nil {
		header.LastBlockID = last.Commit.BlockID
	}
	block.SignedHeader = Sign(header, current)
	l.blocks[n.Height] = block
}

// Sign makes the commit in which all of these validators sign a header.
func Sign(header *cmttypes.Header, validators []crypto.PrivKey) *cmttypes.SignedHeader {
	id := cmttypes.BlockID{
		Hash:          header.Hash(),
		PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: tmhash.Sum([]byte("parts"))},
	}
	commit := &cmttypes.Commit{Height: header.Height, BlockID: id}
	set := ValidatorSet(validators)
	for i, v := range set.Validators {
		at := slices.IndexFunc(validators, func(key crypto.PrivKey) bool {
			return bytes.Equal(key.PubKey().Address(), v.Address)
		})
		vote := &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: header.Height, BlockID: id,
			Timestamp: header.Time, ValidatorAddress: v.Address, ValidatorIndex: int32(i),
		}
		signature, err := validators[at].Sign(
			cmttypes.VoteSignBytes(header.ChainID, vote.ToProto()),
		)
		must(err)
		commit.Signatures = append(commit.Signatures, cmttypes.CommitSig{
			BlockIDFlag:      cmttypes.BlockIDFlagCommit,
			ValidatorAddress: v.Address,
			Timestamp:        header.Time,
			Signature:        signature,
		})
	}
	return &cmttypes.SignedHeader{Header: header, Commit: commit}
}

// ValidatorSet is the set of these validators, with the same power each.
func ValidatorSet(keys []crypto.PrivKey) *cmttypes.ValidatorSet {
	validators := make([]*cmttypes.Validator, len(keys))
	for i, key := range keys {
		validators[i] = cmttypes.NewValidator(key.PubKey(), 10)
	}
	return cmttypes.NewValidatorSet(validators)
}

// lightBlock answers for a header, the latest for 0.
func (n *Node) lightBlock(height int64) (*cmttypes.LightBlock, error) {
	if height == 0 {
		height = n.Height
	}
	if err := n.available(height); err != nil {
		return nil, err
	}
	block, ok := n.ledger.blocks[height]
	if !ok {
		return nil, fmt.Errorf("height %d is not available, lowest height is %d", height, n.Height)
	}
	return block, nil
}

func (n *Node) commit(height int64) (*ctypes.ResultCommit, error) {
	block, err := n.lightBlock(height)
	if err != nil {
		return nil, err
	}
	return &ctypes.ResultCommit{SignedHeader: *block.SignedHeader, CanonicalCommit: true}, nil
}

func (n *Node) validators(height int64) (*ctypes.ResultValidators, error) {
	block, err := n.lightBlock(height)
	if err != nil {
		return nil, err
	}
	all := block.ValidatorSet.Validators
	return &ctypes.ResultValidators{
		BlockHeight: height,
		Validators:  all,
		Count:       len(all),
		Total:       len(all),
	}, nil
}

// readStore answers from the store, as an application does.
func (n *Node) readStore(path string, key []byte, height int64, prove bool) abci.ResponseQuery {
	req := storetypes.RequestQuery{Path: path, Data: key, Height: height, Prove: prove}
	res, err := n.ledger.store.Query(&req)
	if err != nil {
		return failed(1, err.Error())
	}
	res.Height = height
	return abci.ResponseQuery(*res)
}

// inStaking begins the names of records in the store of x/staking.
const inStaking = "staking/"

// records are the node's vaults, backups and proofs as the module keeps them.
func (n *Node) records() map[string][]byte {
	records := map[string][]byte{}
	put := func(key []byte, value proto.Message) {
		data, err := proto.Marshal(value)
		must(err)
		records[string(key)] = data
	}
	live := &types.LiveVaults{ChurnId: 1}
	epochs := map[string]uint64{}
	for _, v := range n.Vaults {
		name := raw(v.Vault)
		if v.Status != types.VaultStatus_VAULT_STATUS_RETIRED {
			live.Vaults = append(live.Vaults, types.LiveVault{PubKey: name, Epoch: v.Epoch})
		}
		epochs[v.Vault] = v.Epoch
		vault := record(v)
		for _, m := range v.Members {
			if _, address, err := bech32.DecodeAndConvert(m.Address); err == nil {
				put(types.SignerOwnerKey(address), &types.SignerOwner{Operator: address})
				put(types.SignerKey(address), &types.Signer{Address: address})
			}
		}
		put(types.VaultKey(name), &vault)
		if shares, ok := n.Shares[v.Vault]; ok {
			put(types.PublicSharesKey(v.Epoch, vault.SharesHash), &shares)
		}
		if group, ok := n.Groups[v.Vault]; ok {
			part, parameters, err := types.GenesisGroup{Group: group}.Records(len(v.Members))
			must(err)
			put(types.GroupKey(v.Epoch, vault.SharesHash), &part)
			records[string(types.GroupParametersKey(v.Epoch, vault.SharesHash))] = parameters
		}
		for member, proof := range n.Proofs[v.Vault] {
			_, address, err := bech32.DecodeAndConvert(member)
			must(err)
			put(types.ProofKey(v.Epoch, address), &proof)
		}
	}
	slices.SortFunc(
		live.Vaults,
		func(a, b types.LiveVault) int { return bytes.Compare(a.PubKey, b.PubKey) },
	)
	put(types.LiveVaultsKey(), live)
	for vault, members := range n.Backups {
		for member, b := range members {
			_, address, err := bech32.DecodeAndConvert(member)
			if err != nil {
				continue // a test that reads no proofs
			}
			backup := backupOf(b)
			key := types.BackupKey(epochs[vault], address)
			if records[string(key)] != nil {
				panic("two vaults with backups of one epoch")
			}
			put(key, &backup)
		}
	}
	maps.Copy(records, n.Records)
	for operator, moniker := range n.Monikers {
		description := protowire.AppendString(
			protowire.AppendTag(nil, 1, protowire.BytesType), moniker)
		validator := protowire.AppendBytes(
			protowire.AppendTag(nil, 7, protowire.BytesType), description)
		records[inStaking+"\x21"+string(rune(len(operator)))+operator] = validator
	}
	return records
}

// record is a vault as the module keeps it.
func record(v types.VaultInfo) types.Vault {
	vault := types.Vault{
		PubKeyEd25519: raw(v.PubKeyEd25519), Status: v.Status, Epoch: v.Epoch, ChurnId: v.ChurnId,
		Threshold: v.Threshold, Needed: v.Needed, SharesHash: raw(v.SharesHash), Split: v.Split,
		ActiveHeight: v.ActiveHeight, Placement: v.Placement,
		Former: v.Former, EpochHeight: v.EpochHeight, GraceUntil: v.GraceUntil,
	}
	if g := v.Group; g != nil {
		vault.Group = &types.GroupName{Hash: raw(g.Hash), Sha256: raw(g.Sha256), Height: g.Height}
	}
	for _, m := range v.Members {
		vault.Members = append(vault.Members, types.Member{PubKey: raw(m.PubKey), Asked: m.Asked})
	}
	return vault
}

func backupOf(b types.QueryBackupResponse) types.Backup {
	if b.First == nil {
		return types.Backup{First: commitment(b.Latest)}
	}
	return types.Backup{First: commitment(*b.First)}.With(commitment(b.Latest))
}

func commitment(c types.CommitmentInfo) types.Commitment {
	return types.Commitment{
		Sha256: raw(c.Sha256), Size_: c.Size_, Height: c.Height, Placement: c.Placement,
	}
}

// raw is what a key or a hash stands for; a name that is none stands for itself.
func raw(s string) []byte {
	if b, err := hex.DecodeString(s); err == nil {
		return b
	}
	return []byte(s)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
