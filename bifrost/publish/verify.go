package publish

import (
	"bytes"
	"context"

	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// signatures are a vault's two signatures over the check message.
type signatures struct{ secp256k1, ed25519 []byte }

// verify reports whether both signatures over the digest are the vault's.
func (s signatures) verify(v vault.Vault, digest []byte) bool {
	return types.VerifySecp256k1(v.PubKey, digest, s.secp256k1) &&
		types.VerifyEd25519(v.PubKeyEd25519, digest, s.ed25519)
}

// onChain looks for the vault's signatures in the votes of other members.
func (p *Publisher) onChain(
	ctx context.Context,
	keygen vault.Keygen,
	v vault.Vault,
	digest []byte,
) (signatures, bool) {
	for _, vote := range keygen.Votes {
		if vote.Result == nil || !bytes.Equal(vote.Result.PubKey, v.PubKey) ||
			!bytes.Equal(vote.Result.PubKeyEd25519, v.PubKeyEd25519) {
			continue
		}
		txs, err := p.chain.BlockTxs(ctx, vote.Height)
		if err != nil {
			p.log.Warn().
				Err(err).
				Int64("height", vote.Height).
				Msg("cannot read the block of another member's vote")
			continue
		}
		for _, raw := range txs {
			msg := voteIn(raw)
			if msg == nil || msg.KeygenId != keygen.Id {
				continue
			}
			s := signatures{secp256k1: msg.Signature, ed25519: msg.SignatureEd25519}
			if s.verify(v, digest) {
				return s, true
			}
		}
	}
	return signatures{}, false
}

// voteIn returns the vote that a transaction carries, nil when it carries none.
func voteIn(raw []byte) *types.MsgTssPool {
	var outer tx.TxRaw
	var body tx.TxBody
	if proto.Unmarshal(raw, &outer) != nil || proto.Unmarshal(outer.BodyBytes, &body) != nil {
		return nil
	}
	for _, any := range body.Messages {
		if any.TypeUrl != "/"+proto.MessageName(&types.MsgTssPool{}) {
			continue
		}
		var msg types.MsgTssPool
		if proto.Unmarshal(any.Value, &msg) == nil {
			return &msg
		}
	}
	return nil
}

func contains(list [][]byte, key []byte) bool {
	for _, k := range list {
		if len(key) > 0 && bytes.Equal(k, key) {
			return true
		}
	}
	return false
}
