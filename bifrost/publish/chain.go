package publish

import (
	"context"
	"errors"
	"strings"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrNotFound is what a [Chain] returns for what is not in state.
	ErrNotFound = errors.New("not found")
	// ErrSequence is what a [Chain] returns for a transaction that is signed for
	// another sequence than the account's.
	ErrSequence = errors.New("account sequence mismatch")
	// ErrInMempool is what a [Chain] returns for a transaction that the node has
	// already.
	ErrInMempool = errors.New("transaction is in the mempool")
)

// Chain is what the loop needs of a node.
type Chain interface {
	// Height is the height of the latest block.
	Height(ctx context.Context) (int64, error)
	// Params are the module's parameters.
	Params(ctx context.Context) (types.Params, error)
	// OpenKeygens are the keygens on which members may vote now, of all members.
	OpenKeygens(ctx context.Context) ([]types.KeygenInfo, error)
	// Keygen is one keygen with its votes, or ErrNotFound.
	Keygen(ctx context.Context, id uint64) (types.KeygenInfo, error)
	// Vaults are the active and retiring vaults of a member.
	Vaults(ctx context.Context, member string) ([]types.VaultInfo, error)
	// Vault is one vault, whatever its status.
	Vault(ctx context.Context, vault string) (types.VaultInfo, error)
	// Backup holds the commitments of a member of a vault, the latest first, or
	// ErrNotFound.
	Backup(ctx context.Context, vault, member string) ([]types.CommitmentInfo, error)
	// Proof is what state keeps of the proof of a member of a vault, or ErrNotFound
	// when it takes none. It is without a stored form while none was accepted.
	Proof(ctx context.Context, vault, member string) (types.ProofInfo, error)
	// BlockTxs are the transactions of a block.
	BlockTxs(ctx context.Context, height int64) ([][]byte, error)
	// Account is the number and the next sequence of the signer's account.
	Account(ctx context.Context, address string) (number, sequence uint64, err error)
	// Broadcast hands a transaction to the node, which checks it. nil means that
	// it is in the mempool. The errors to tell apart are ErrSequence and
	// ErrInMempool.
	Broadcast(ctx context.Context, tx []byte) error
}

// TxParams is what a transaction says beside its message.
type TxParams struct {
	AccountNumber, Sequence uint64
	Gas                     uint64
	TimeoutHeight           uint64
}

// SignTx signs a transaction with the signer's key.
type SignTx func(msg proto.Message, params TxParams) ([]byte, error)

// Tss runs ceremonies with the other members.
type Tss interface {
	// Keygen returns when all members have a keyshare. Failures of other members
	// are a [BlameError].
	Keygen(ctx context.Context, req KeygenRequest) (*KeygenResult, error)
	// Keysign returns a signature of 64 bytes. Failures of other signers are a
	// [BlameError].
	Keysign(ctx context.Context, req KeysignRequest) ([]byte, error)
}

// KeygenRequest describes a keygen; it is the same for all of its members.
type KeygenRequest struct {
	// ID is the same in every attempt.
	ID string
	// Members are compressed public keys.
	Members   [][]byte
	Threshold int
}

// KeygenResult is a member's result of a keygen.
type KeygenResult struct {
	PubKey        []byte // compressed secp256k1, 33 bytes
	PubKeyEd25519 []byte // 32 bytes
	// Files are the keyshare files by their names.
	Files map[string][]byte
}

// KeysignRequest describes a signing; all but Keyshare is the same for all of
// its signers.
type KeysignRequest struct {
	ID       string
	Keyshare []byte
	Signers  [][]byte
	// Digest is what is signed: the hash for secp256k1, the message for ed25519.
	Digest []byte
}

// BlameError says that a ceremony failed because of other members.
type BlameError struct {
	// Members are the compressed public keys of those at fault.
	Members [][]byte
	Reason  string
}

func (e *BlameError) Error() string { return "ceremony failed: " + e.Reason }

// blame is a BlameError in the words of the chain.
type blame struct {
	members []string
	reason  string
}

// maxReason is the longest reason that the chain takes.
const maxReason = 256

// blameOf finds the members that an error blames. There are none when the failure
// is not theirs.
func blameOf(err error, me string, members []types.MemberInfo) *blame {
	var e *BlameError
	if !errors.As(err, &e) {
		return nil
	}
	b := &blame{reason: strings.ToValidUTF8(e.Reason, "?")}
	for len(b.reason) > maxReason {
		b.reason = strings.ToValidUTF8(b.reason[:maxReason], "")
	}
	for _, m := range members {
		if m.Address != me && contains(e.Members, unhex(m.PubKey)) {
			b.members = append(b.members, m.Address)
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b
}
