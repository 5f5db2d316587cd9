package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// beaconHeight is the block of the beacon of a chain that has one.
const beaconHeight = 100

// heartbeats due|taken|refused|unsaid|without-beacon has heartbeats be due, which the node takes
// unless it refuses them. taken puts the first member's of all vaults into state first, and unsaid
// has the node take each without saying so.
func cmdHeartbeats(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	s.node.Lock()
	defer s.node.Unlock()
	hash := bytes.Repeat([]byte{7}, 32)
	set := func(key []byte, record proto.Message) {
		value, err := proto.Marshal(record)
		ts.Check(err)
		s.node.Records[string(key)] = value
	}
	params := types.DefaultParams()
	params.HeartbeatInterval = 200
	set(types.ParamsKey(), &params)
	if args[0] != "without-beacon" {
		set(types.BeaconsKey(), &types.Beacons{List: []types.Beacon{{Height: beaconHeight, AppHash: hash}}})
	}
	beats := map[string]*types.Heartbeat{} // of the first member, by vault
	member := types.SignerAddress(s.keys[0])
	for name, v := range s.vaults {
		beat := &types.Heartbeat{Due: 300}
		if args[0] == "taken" {
			beat = &types.Heartbeat{MachineHeight: 90, BeaconHeight: beaconHeight, Due: 300, Missed: 1}
		}
		beats[v.Name()] = beat
		if backup, ok := s.node.Backups[v.Name()][s.infos[0].Address]; ok {
			backup.Heartbeat = nil
			s.node.Backups[v.Name()][s.infos[0].Address] = backup
		}
		set(types.HeartbeatKey(keygens[name], member), beat)
		recipient, err := s.recipient(0)
		ts.Check(err)
		if s.node.Proofs[v.Name()] == nil {
			s.node.Proofs[v.Name()] = map[string]types.Proof{}
		}
		proof := s.node.Proofs[v.Name()][s.infos[0].Address]
		proof.Recipient = types.Recipient{Key: recipient.Public()}
		s.node.Proofs[v.Name()][s.infos[0].Address] = proof
	}
	info := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 1)
	s.node.Answers["/cosmos.auth.v1beta1.Query/AccountInfo"] = func([]byte) abci.ResponseQuery {
		return abci.ResponseQuery{Value: protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), info)}
	}
	s.node.Broadcast = func(raw []byte) (*ctypes.ResultBroadcastTx, error) {
		if args[0] == "refused" {
			return &ctypes.ResultBroadcastTx{Code: 5, Codespace: "sdk", Log: "the mempool is full"}, nil
		}
		msg, timeout, err := heartbeatIn(raw)
		if err != nil {
			return nil, err
		}
		// Of a chain with fast blocks, while ten vaults are opened.
		if late := uint64(s.node.Height) + 50; timeout < late {
			return &ctypes.ResultBroadcastTx{Code: 30, Codespace: "sdk", Log: "tx timeout height"}, nil
		}
		for name, v := range s.vaults {
			if keygens[name] != msg.Epoch {
				continue
			}
			recipient, err := s.recipient(0)
			if err != nil {
				return nil, err
			}
			err = verenc.VerifyBeat(recipient.Public(), verenc.Beat{
				ChainID: s.node.ChainID, Epoch: msg.Epoch, Member: member, Height: msg.BeaconHeight, AppHash: hash,
				Kind: uint32(types.HeartbeatKind_HEARTBEAT_KIND_PAPER),
			}, msg.Signature)
			if err != nil {
				return &ctypes.ResultBroadcastTx{Code: 48, Codespace: types.ModuleName, Log: err.Error()}, nil
			}
			backup := s.node.Backups[v.Name()][s.infos[0].Address]
			if backup.Heartbeat != nil && backup.Heartbeat.BeaconHeight >= msg.BeaconHeight {
				return &ctypes.ResultBroadcastTx{Code: 48, Codespace: types.ModuleName, Log: "signed before"}, nil
			}
			backup.Heartbeat = &types.Heartbeat{PaperHeight: 101, BeaconHeight: msg.BeaconHeight, Due: 321}
			s.node.Backups[v.Name()][s.infos[0].Address] = backup
		}
		if args[0] == "unsaid" {
			return nil, errors.New("the answer is lost")
		}
		return &ctypes.ResultBroadcastTx{}, nil
	}
}

// heartbeatIn is the heartbeat in a transaction, and the last block that may hold it.
func heartbeatIn(raw []byte) (*types.MsgHeartbeat, uint64, error) {
	var outer tx.TxRaw
	var body tx.TxBody
	var msg types.MsgHeartbeat
	if err := errors.Join(proto.Unmarshal(raw, &outer), proto.Unmarshal(outer.BodyBytes, &body)); err != nil {
		return nil, 0, err
	}
	if len(body.Messages) != 1 || body.Messages[0].TypeUrl != "/tssbackup.v1.MsgHeartbeat" {
		return nil, 0, fmt.Errorf("no heartbeat in it")
	}
	return &msg, body.TimeoutHeight, proto.Unmarshal(body.Messages[0].Value, &msg)
}

func TestWhatCoverageSaysOfHeartbeats(t *testing.T) {
	for _, row := range []struct {
		name string
		beat *types.Heartbeat
		says string
	}{
		{"none yet", &types.Heartbeat{Due: 300}, "no heartbeat yet"},
		{"by the signer", &types.Heartbeat{MachineHeight: 90, PaperHeight: 10, Due: 300}, "heartbeat (machine) 10 blocks ago"},
		{"by the words on paper", &types.Heartbeat{PaperHeight: 95, Due: 300}, "heartbeat (paper) 5 blocks ago"},
		{
			"missed since", &types.Heartbeat{MachineHeight: 90, Due: 300, Missed: 2, Overdue: true},
			"heartbeat (machine) 10 blocks ago, 2 missed, OVERDUE",
		},
		{"missed before", &types.Heartbeat{MachineHeight: 90, Due: 300, Missed: 2}, "heartbeat (machine) 10 blocks ago, 2 missed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.says, describeHeartbeat(row.beat).text(100))
		})
	}
	require.Nil(t, describeHeartbeat(nil))
	require.Nil(t, describeHeartbeat(&types.Heartbeat{MachineHeight: 5}), "none is due any more")
}
