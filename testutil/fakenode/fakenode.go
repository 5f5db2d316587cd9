// Package fakenode is a CometBFT RPC endpoint for tests: it answers status, block, commit,
// validators, tx, broadcast_tx_sync and abci_query over JSON-RPC from what the test put into it, in
// the encoding of a real node. Headers are signed and Merkle proofs are genuine: a chain goes on
// behind it, by a block for every change. Nothing else in it checks anything, so a test can make it
// say whatever a wrong node might.
package fakenode

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/p2p"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	rpctypes "github.com/cometbft/cometbft/rpc/jsonrpc/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Node is the fake. Its fields may be changed between requests while Lock is held.
type Node struct {
	sync.Mutex
	ChainID string
	// ID is the node's id, which is empty at first: as if it did not say.
	ID p2p.ID
	// Height is the latest block. It moves on by itself once the first request came.
	Height int64
	// Start is the time from which blocks follow each other by a millisecond.
	Start time.Time
	// Validators sign the block after the next; tests may change them.
	Validators []crypto.PrivKey
	Earliest   int64
	CatchingUp bool
	Vaults     []types.VaultInfo
	// Backups are kept by vault, then by member.
	Backups map[string]map[string]types.QueryBackupResponse
	// Shares are the public shares of vaults, by vault; the vault names their hash.
	Shares map[string]types.PublicShares
	// Groups are the group parts of split vaults, by vault; the vault names their hash.
	Groups map[string][]byte
	// Proofs are what is known of members' proofs, by vault, then by member.
	Proofs map[string]map[string]types.Proof
	// Records are further records of the module's store, by their raw keys.
	Records map[string][]byte
	// Monikers are those of validators, by their operators' raw addresses.
	Monikers map[string]string
	Blocks   map[int64][][]byte
	// Txs are the results of transactions by upper-case hex of their hash.
	Txs map[string]ctypes.ResultTx
	// Answers are the answers to ABCI queries by path, before the fake's own.
	Answers map[string]func(data []byte) abci.ResponseQuery
	// Mempool are the transactions that wait for a block, and Search answers any search; nil finds
	// nothing.
	Mempool [][]byte
	Search  func() (*ctypes.ResultTxSearch, error)
	// Broadcast answers broadcast_tx_sync; nil accepts.
	Broadcast func(tx []byte) (*ctypes.ResultBroadcastTx, error)
	// Archive is whether the node answers from an archive.
	Archive bool
	// Prefix is that of the accounts, where it is another than in Vaults: with it the members of a
	// vault are shown, and the archive is asked.
	Prefix string
	// Requests counts the requests by method, or by path for ABCI queries, and under "" what went
	// over the wire: a batch is one.
	Requests map[string]int

	ledger *ledger
}

// New returns a node of an empty chain and the URL under which it answers until the test ends.
func New(t testing.TB) (*Node, string) {
	n := &Node{
		ChainID: "fake-1",
		Height:  100,
		Start:   time.Now().Add(-time.Minute).Truncate(time.Second).UTC(),

		Validators: NewValidators("first", 4),

		Earliest: 1,
		Backups:  map[string]map[string]types.QueryBackupResponse{},
		Shares:   map[string]types.PublicShares{},
		Groups:   map[string][]byte{},
		Proofs:   map[string]map[string]types.Proof{},
		Records:  map[string][]byte{},
		Monikers: map[string]string{},
		Blocks:   map[int64][][]byte{},
		Txs:      map[string]ctypes.ResultTx{},
		Answers:  map[string]func([]byte) abci.ResponseQuery{},
		Requests: map[string]int{},
	}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	return n, server.URL
}

// txHead is what stands before an envelope in a transaction.
const txHead = "transaction:"

// Publish puts an envelope into a transaction of its own in a block and records it as the latest
// backup of a member of a vault.
func (n *Node) Publish(vault, member string, height int64, envelope []byte) {
	n.Lock()
	defer n.Unlock()
	hash := sha256.Sum256(envelope)
	commitment := types.Commitment{
		Sha256: hash[:], Size_: uint64(len(envelope)), Height: height,
	}.Info()
	if n.Backups[vault] == nil {
		n.Backups[vault] = map[string]types.QueryBackupResponse{}
	}
	record := types.QueryBackupResponse{Latest: commitment}
	if before, ok := n.Backups[vault][member]; ok {
		record.First = before.First
		if record.First == nil {
			record.First = &before.Latest
		}
	}
	n.Backups[vault][member] = record
	n.Blocks[height] = append(n.Blocks[height], append([]byte(txHead), envelope...))
}

// Hold records an envelope that the members of a vault hold, as the latest backup of one of them.
// The node does not have it.
func (n *Node) Hold(vault, member string, height int64, envelope []byte) {
	n.Publish(vault, member, height, envelope)
	n.Lock()
	defer n.Unlock()
	held := n.Backups[vault][member]
	held.Latest.Placement = types.Placement_PLACEMENT_MEMBERS
	n.Backups[vault][member] = held
	txs := n.Blocks[height]
	n.Blocks[height] = txs[:len(txs)-1]
	for i := range n.Vaults {
		if n.Vaults[i].Vault == vault {
			n.Vaults[i].Placement = types.Placement_PLACEMENT_MEMBERS
		}
	}
}

// Put keeps a further record in the module's store.
func (n *Node) Put(key []byte, value proto.Message) {
	data, err := proto.Marshal(value)
	must(err)
	n.Lock()
	defer n.Unlock()
	n.Records[string(key)] = data
}

// PublishTx puts a transaction into a block.
func (n *Node) PublishTx(height int64, tx []byte) {
	n.Lock()
	defer n.Unlock()
	n.Blocks[height] = append(n.Blocks[height], tx)
}

// maxBatch is how many requests a node takes at once.
const maxBatch = 10

// ServeHTTP answers a JSON-RPC request, or a batch of them.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.Lock()
	n.Requests[""]++
	n.update()
	n.Unlock()
	var batch []rpctypes.RPCRequest
	if json.Unmarshal(body, &batch) == nil {
		if len(batch) > maxBatch {
			_ = json.NewEncoder(w).
				Encode(rpctypes.RPCInvalidRequestError(nil, errors.New("batch request exceeds maximum")))
			return
		}
		answers := make([]rpctypes.RPCResponse, len(batch))
		for i, req := range batch {
			answers[i] = n.answer(req)
		}
		if len(answers) == 1 {
			_ = json.NewEncoder(w).Encode(answers[0])
			return
		}
		_ = json.NewEncoder(w).Encode(answers)
		return
	}
	var req rpctypes.RPCRequest
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := n.answer(req)
	if answer.Error != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (n *Node) answer(req rpctypes.RPCRequest) rpctypes.RPCResponse {
	n.Lock()
	result, err := n.call(req.Method, req.Params)
	n.Unlock()
	answer := rpctypes.RPCResponse{JSONRPC: "2.0", ID: req.ID}
	if err == nil {
		answer.Result, err = cmtjson.Marshal(result)
	}
	if err != nil {
		return rpctypes.RPCInternalError(req.ID, err)
	}
	return answer
}

func (n *Node) call(method string, params json.RawMessage) (any, error) {
	var args map[string]json.RawMessage
	if len(params) > 0 {
		if err := json.Unmarshal(params, &args); err != nil {
			return nil, err
		}
	}
	if method != "abci_query" {
		n.Requests[method]++
	}
	switch method {
	case "status":
		return n.status(), nil
	case "block", "commit", "validators":
		var height int64
		if len(args["height"]) > 0 {
			if err := cmtjson.Unmarshal(args["height"], &height); err != nil {
				return nil, err
			}
		}
		switch method {
		case "commit":
			return n.commit(height)
		case "validators":
			return n.validators(height)
		}
		return n.block(height)
	case "tx":
		var hash []byte
		if err := json.Unmarshal(args["hash"], &hash); err != nil {
			return nil, err
		}
		result, ok := n.Txs[fmt.Sprintf("%X", hash)]
		if !ok {
			return nil, fmt.Errorf("tx (%X) not found", hash)
		}
		return &result, nil
	case "unconfirmed_txs":
		res := &ctypes.ResultUnconfirmedTxs{Count: len(n.Mempool), Total: len(n.Mempool)}
		for _, tx := range n.Mempool {
			res.Txs = append(res.Txs, tx)
		}
		return res, nil
	case "tx_search":
		if n.Search == nil {
			return &ctypes.ResultTxSearch{}, nil
		}
		return n.Search()
	case "broadcast_tx_sync":
		var tx []byte
		if err := json.Unmarshal(args["tx"], &tx); err != nil {
			return nil, err
		}
		if n.Broadcast == nil {
			return &ctypes.ResultBroadcastTx{}, nil
		}
		return n.Broadcast(tx)
	case "abci_query":
		var path, data string
		if err := json.Unmarshal(args["path"], &path); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(args["data"], &data); err != nil {
			return nil, err
		}
		raw, err := hex.DecodeString(data)
		if err != nil {
			return nil, err
		}
		n.Requests[path]++
		if store, ok := strings.CutPrefix(path, "/store"); ok {
			var height int64
			var prove bool
			if err := errors.Join(
				cmtjson.Unmarshal(args["height"], &height),
				cmtjson.Unmarshal(args["prove"], &prove),
			); err != nil {
				return nil, err
			}
			return &ctypes.ResultABCIQuery{Response: n.readStore(store, raw, height, prove)}, nil
		}
		return &ctypes.ResultABCIQuery{Response: n.query(path, raw)}, nil
	}
	return nil, fmt.Errorf("method %s not found", method)
}

func (n *Node) status() *ctypes.ResultStatus {
	return &ctypes.ResultStatus{
		NodeInfo: p2p.DefaultNodeInfo{Network: n.ChainID, DefaultNodeID: n.ID},
		SyncInfo: ctypes.SyncInfo{
			LatestBlockHeight:   n.Height,
			LatestBlockHash:     n.ledger.blocks[n.Height].Hash(),
			LatestBlockTime:     n.ledger.blocks[n.Height].Time,
			EarliestBlockHeight: n.Earliest,
			CatchingUp:          n.CatchingUp,
		},
		ValidatorInfo: ctypes.ValidatorInfo{
			PubKey: ed25519.GenPrivKeyFromSecret([]byte("fake")).PubKey(),
		},
	}
}

func (n *Node) block(height int64) (*ctypes.ResultBlock, error) {
	if err := n.available(height); err != nil {
		return nil, err
	}
	txs := make([]cmttypes.Tx, 0, len(n.Blocks[height]))
	for _, tx := range n.Blocks[height] {
		txs = append(txs, tx)
	}
	return &ctypes.ResultBlock{Block: cmttypes.MakeBlock(height, txs, &cmttypes.Commit{}, nil)}, nil
}

func (n *Node) available(height int64) error {
	if height > n.Height {
		return fmt.Errorf(
			"height %d must be less than or equal to the current blockchain height %d",
			height,
			n.Height,
		)
	}
	if height < n.Earliest {
		return fmt.Errorf("height %d is not available, lowest height is %d", height, n.Earliest)
	}
	return nil
}

func (n *Node) query(path string, data []byte) abci.ResponseQuery {
	if answer, ok := n.Answers[path]; ok {
		return answer(data)
	}
	switch path {
	case "/tssbackup.v1.Query/Vaults":
		return Answer(data, &types.QueryVaultsRequest{}, n.vaults)
	case "/tssbackup.v1.Query/Vault":
		return Answer(data, &types.QueryVaultRequest{}, n.vault)
	case "/tssbackup.v1.Query/Backup":
		return Answer(data, &types.QueryBackupRequest{}, n.backup)
	case "/tssbackup.v1.Query/Group":
		return Answer(data, &types.QueryGroupRequest{}, n.group)
	case "/tssbackup.v1.Query/Envelope":
		if n.Archive {
			return Answer(data, &types.QueryEnvelopeRequest{}, n.envelope)
		}
	case "/tssbackup.v1.Query/Coverage":
		return Answer(data, &types.QueryCoverageRequest{}, n.coverage)
	}
	return failed(sdkerrors.ErrUnknownRequest.ABCICode(), "unknown query path")
}

func (n *Node) vaults(req *types.QueryVaultsRequest) (*types.QueryVaultsResponse, bool) {
	res := &types.QueryVaultsResponse{}
	for _, v := range n.Vaults {
		if v.Status != types.VaultStatus_VAULT_STATUS_RETIRED &&
			(req.Member == "" || isMember(v, req.Member)) {
			res.Vaults = append(res.Vaults, v)
		}
	}
	return res, true
}

func (n *Node) vault(req *types.QueryVaultRequest) (*types.QueryVaultResponse, bool) {
	for _, v := range n.Vaults {
		if v.Vault == req.Vault {
			v.Members = slices.Clone(v.Members)
			for i, m := range v.Members {
				_, raw, err := bech32.DecodeAndConvert(m.Address)
				if err == nil && n.Prefix != "" {
					v.Members[i].Address, err = bech32.ConvertAndEncode(n.Prefix, raw)
					must(err)
				}
			}
			return &types.QueryVaultResponse{Vault: v}, true
		}
	}
	return nil, false
}

func (n *Node) group(req *types.QueryGroupRequest) (*types.QueryGroupResponse, bool) {
	group, ok := n.Groups[req.Vault]
	for _, v := range n.Vaults {
		if !ok || v.Vault != req.Vault {
			continue
		}
		sum := sha256.Sum256(group)
		res := &types.QueryGroupResponse{
			Vault: v.Vault, PubKeyEd25519: v.PubKeyEd25519, Epoch: v.Epoch,
			GroupHash: v.SharesHash, Group: group, Sha256: hex.EncodeToString(sum[:]),
		}
		for _, m := range v.Members {
			res.Members = append(res.Members, m.PubKey)
		}
		return res, true
	}
	return nil, false
}

func (n *Node) backup(req *types.QueryBackupRequest) (*types.QueryBackupResponse, bool) {
	record, ok := n.Backups[req.Vault][req.Member]
	return &record, ok
}

func (n *Node) envelope(req *types.QueryEnvelopeRequest) (*types.QueryEnvelopeResponse, bool) {
	if n.Prefix != "" && !strings.HasPrefix(req.Member, n.Prefix+"1") {
		return nil, false
	}
	for _, txs := range n.Blocks {
		for _, tx := range txs {
			envelope := bytes.TrimPrefix(tx, []byte(txHead))
			hash := sha256.Sum256(envelope)
			if hex.EncodeToString(hash[:]) == req.Sha256 {
				return &types.QueryEnvelopeResponse{Envelope: envelope}, true
			}
		}
	}
	return nil, false
}

func (n *Node) coverage(req *types.QueryCoverageRequest) (*types.QueryCoverageResponse, bool) {
	res := &types.QueryCoverageResponse{}
	for _, v := range n.Vaults {
		if req.Vault == "" && v.Status == types.VaultStatus_VAULT_STATUS_RETIRED ||
			req.Vault != "" && v.Vault != req.Vault {
			continue
		}
		var members []types.MemberRecords
		vault := record(v)
		for i, m := range v.Members {
			r := types.MemberRecords{
				Member:   vault.Members[i],
				Proof:    n.Proofs[v.Vault][m.Address],
				Address:  m.Address,
				Operator: m.Operator,
			}
			if b, ok := n.Backups[v.Vault][m.Address]; ok {
				backup := backupOf(b)
				r.Backup = &backup
			}
			members = append(members, r)
		}
		c := types.Coverage(raw(v.Vault), vault, members)
		c.Vault = v.Vault // which may be no key
		res.Vaults = append(res.Vaults, c)
	}
	return res, req.Vault == "" || len(res.Vaults) > 0
}

func isMember(v types.VaultInfo, address string) bool {
	for _, m := range v.Members {
		if m.Address == address {
			return true
		}
	}
	return false
}

// Answer decodes a query, asks serve and encodes its answer; when serve reports false the answer is
// that the key is not found.
func Answer[Req, Res proto.Message](
	data []byte,
	req Req,
	serve func(Req) (Res, bool),
) abci.ResponseQuery {
	if err := proto.Unmarshal(data, req); err != nil {
		return failed(sdkerrors.ErrInvalidRequest.ABCICode(), err.Error())
	}
	res, ok := serve(req)
	if !ok {
		return failed(
			sdkerrors.ErrKeyNotFound.ABCICode(),
			"rpc error: code = NotFound desc = not found: key not found",
		)
	}
	value, err := proto.Marshal(res)
	if err != nil {
		return failed(sdkerrors.ErrInvalidRequest.ABCICode(), err.Error())
	}
	return abci.ResponseQuery{Value: value}
}

func failed(code uint32, log string) abci.ResponseQuery {
	return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: code, Log: log}
}
