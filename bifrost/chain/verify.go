package chain

import (
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/crypto/merkle"
	cmtcrypto "github.com/cometbft/cometbft/proto/tendermint/crypto"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrUnverified means that an answer is not verified: it carries no Merkle proof, or one that does
// not fit the question, the answer and the verified header. The node is wrong or lies; another may
// answer the same question.
var ErrUnverified = errors.New("answer is not verified")

// proofRuntime knows the two operations of a Merkle proof by an application of the Cosmos SDK and
// no other, so that no answer can choose how it is looked at.
var proofRuntime = func() *merkle.ProofRuntime {
	prt := merkle.NewProofRuntime()
	prt.RegisterOpDecoder(storetypes.ProofOpIAVLCommitment, decodeOp)
	prt.RegisterOpDecoder(storetypes.ProofOpSimpleMerkleCommitment, decodeOp)
	return prt
}()

// decodeOp accepts the Merkle proof of one key. Batches and their compressed form, which no node
// sends, would be looked into by code that trusts its input more.
func decodeOp(op cmtcrypto.ProofOp) (merkle.ProofOperator, error) {
	decoded, err := storetypes.CommitmentOpDecoder(op)
	if err != nil {
		return nil, err
	}
	commitment, ok := decoded.(storetypes.CommitmentOp)
	if !ok || (commitment.Proof.GetExist() == nil && commitment.Proof.GetNonexist() == nil) {
		return nil, errors.New("it is not the Merkle proof of one key")
	}
	return decoded, nil
}

// VerifyRecord verifies what a node says that the module's store holds under a key. No value in the
// store is empty, so an empty value says that there is none.
//
// For a value, the Merkle proof must show that the store holds exactly this value under exactly
// this key, for an empty one that it holds nothing under the key; in both cases that the
// application whose state has the root appHash holds that store under the module's name. The root
// after block h stands in the header of block h+1. Otherwise the error is [ErrUnverified].
func VerifyRecord(appHash, key, value []byte, proof *cmtcrypto.ProofOps) error {
	return verifyIn(types.StoreKey, appHash, key, value, proof)
}

// verifyIn is [VerifyRecord] for the store of any module that keeps no empty values.
func verifyIn(store string, appHash, key, value []byte, proof *cmtcrypto.ProofOps) error {
	if proof == nil || len(proof.Ops) == 0 {
		return fmt.Errorf("%w: it carries no Merkle proof", ErrUnverified)
	}
	if len(appHash) == 0 || len(key) == 0 {
		return fmt.Errorf("%w: there is no root or no key to hold it against", ErrUnverified)
	}
	// The order matters: each operation reads its proof by other rules, and each must consume its
	// own key.
	if len(proof.Ops) != 2 ||
		proof.Ops[0].Type != storetypes.ProofOpIAVLCommitment || len(proof.Ops[0].Key) == 0 ||
		proof.Ops[1].Type != storetypes.ProofOpSimpleMerkleCommitment ||
		len(proof.Ops[1].Key) == 0 {
		return fmt.Errorf(
			"%w: its Merkle proof is not one of a store in an application",
			ErrUnverified,
		)
	}
	var path merkle.KeyPath
	path = path.AppendKey([]byte(store), merkle.KeyEncodingURL)
	path = path.AppendKey(key, merkle.KeyEncodingHex)
	// The library's errors hold raw keys and values, which say nothing to a reader.
	if len(value) == 0 {
		if proofRuntime.VerifyAbsence(proof, appHash, path.String()) != nil {
			return fmt.Errorf(
				"%w: it says that there is nothing under %x, and does not show it",
				ErrUnverified,
				key,
			)
		}
		return nil
	}
	if proofRuntime.VerifyValue(proof, appHash, path.String(), value) != nil {
		return fmt.Errorf(
			"%w: it does not show that its %d bytes are what is under %x",
			ErrUnverified,
			len(value),
			key,
		)
	}
	return nil
}
