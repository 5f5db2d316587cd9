package audit

import (
	"bytes"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// maxDepth is how deep messages may be nested in others that execute them: as deep as the SDK
// decodes them.
const maxDepth = 10

// carried are the proofs of the vault's members that transactions carry.
func (a *Audit) carried(txs [][]byte) map[*member][][]byte {
	found := map[*member][][]byte{}
	for _, raw := range txs {
		for _, msg := range messages(raw) {
			a.find(msg, maxDepth, found)
		}
	}
	return found
}

// messages are those of a transaction; one that no chain executes has none. Its outermost message
// has one encoding alone. Within, what a chain would refuse, such as a field that it does not know,
// is passed over: a proof stands for itself wherever it was found.
func messages(raw []byte) []*codectypes.Any {
	var outer tx.TxRaw
	if proto.Unmarshal(raw, &outer) != nil {
		return nil
	}
	if again, err := proto.Marshal(&outer); err != nil || !bytes.Equal(again, raw) {
		return nil
	}
	var body tx.TxBody
	if proto.Unmarshal(outer.BodyBytes, &body) != nil {
		return nil
	}
	return body.Messages
}

const (
	urlTssPool       = "/tssbackup.v1.MsgTssPool"
	urlPublishBackup = "/tssbackup.v1.MsgPublishBackup"
	urlExec          = "/cosmos.authz.v1beta1.MsgExec"
)

func (a *Audit) find(msg *codectypes.Any, depth int, found map[*member][][]byte) {
	if msg == nil || depth == 0 {
		return
	}
	switch msg.TypeUrl {
	case urlTssPool:
		var vote types.MsgTssPool
		if proto.Unmarshal(msg.Value, &vote) == nil && vote.KeygenId == a.record.Vault.Epoch {
			a.add(vote.Signer, vote.Proof, found)
		}
	case urlPublishBackup:
		var publication types.MsgPublishBackup
		if proto.Unmarshal(msg.Value, &publication) == nil &&
			publication.Vault == a.record.Vault.Name() {
			a.add(publication.Signer, publication.Proof, found)
		}
	case urlExec:
		for _, inner := range executed(msg.Value) {
			a.find(inner, depth-1, found)
		}
	}
}

func (a *Audit) add(signer string, proof []byte, found map[*member][][]byte) {
	_, raw, err := bech32.DecodeAndConvert(signer)
	if err != nil || len(proof) == 0 {
		return
	}
	if m := a.byRaw[string(raw)]; m != nil {
		found[m] = append(found[m], proof)
	}
}

// executed are the messages in field 2 of a MsgExec, which is not decoded with the SDK's type
// because that brings a whole module with it.
func executed(msg []byte) []*codectypes.Any {
	var all []*codectypes.Any
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		if tag < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(num, typ, msg[tag:])
		if size < 0 {
			return nil
		}
		if num == 2 && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(msg[tag:])
			inner := &codectypes.Any{}
			if proto.Unmarshal(value, inner) == nil {
				all = append(all, inner)
			}
		}
		msg = msg[tag+size:]
	}
	return all
}
