package publish

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Chain is what the loop needs of a node.
type Chain interface {
	// Height is the height of the latest block.
	Height(ctx context.Context) (int64, error)
	// Params are the module's parameters.
	Params(ctx context.Context) (types.Params, error)
	// OpenKeygens are the keygens on which members may vote now, of all members.
	OpenKeygens(ctx context.Context) ([]vault.Keygen, error)
	// Keygen is one keygen with its votes, and the block after which it was so. It has no status
	// when state holds none: it never opened, or failed long ago.
	Keygen(ctx context.Context, id uint64) (vault.Keygen, error)
	// Vaults are the active and retiring vaults of a member.
	Vaults(ctx context.Context, member string) ([]vault.Vault, error)
	// Vault is one vault, whatever its status.
	Vault(ctx context.Context, name string) (vault.Vault, error)
	// Backup holds the commitments of a member of a vault, the latest first; none, and no error,
	// when it never published.
	Backup(ctx context.Context, vault, member string) ([]types.Commitment, error)
	// Proof is what state keeps of the proof of a member of a vault. It is without a stored form
	// while none was accepted, and when it takes none.
	Proof(ctx context.Context, vault, member string) (types.Proof, error)
	// Heartbeat is what state knows of the heartbeats of a member of a vault, nil when nothing:
	// none is due on this chain, or of this vault.
	Heartbeat(ctx context.Context, vault, member string) (*types.Heartbeat, error)
	// Beacons are what a heartbeat may sign now, the latest first.
	Beacons(ctx context.Context) ([]types.Beacon, error)
	// Account is the number and the next sequence of the signer's account.
	Account(ctx context.Context, address string) (number, sequence uint64, err error)
	// Broadcast hands a transaction to the node, which checks it. nil means that it is in the
	// mempool. The errors to tell apart are the SDK's: ErrWrongSequence for one that is signed for
	// another sequence than the account's, and ErrTxInMempoolCache for one that the node has
	// already.
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
	// Keygen returns when all members have kept their keyshares. Failures of other members are a
	// [*ceremony.BlameError].
	Keygen(ctx context.Context, req ceremony.KeygenRequest) (*ceremony.KeygenResult, error)
	// Keysign returns a signature of 64 bytes. Failures of other signers are a
	// [*ceremony.BlameError].
	Keysign(ctx context.Context, req ceremony.KeysignRequest) ([]byte, error)
}

// Reshares is what it takes to take part in the reshares of vaults.
type Reshares interface {
	// Present is what a reshare hands on. A member deals its share by this alone, so it has to be
	// verified, and so has the reshare: the error is of one that state has not as it is given.
	Present(ctx context.Context, reshare vault.Keygen) (Present, error)
	// Reshare returns when all members of the next epoch have kept their keyshares, and for who
	// only deals when all have got their shares. Failures are those of [Tss.Keygen].
	Reshare(ctx context.Context, req ceremony.ReshareRequest) (*ceremony.KeygenResult, error)
}

// Present is a vault in the epoch that a reshare hands on, with the public shares of its members.
type Present struct {
	vault.Vault
	Shares types.PublicShares
}

// blame is a [ceremony.BlameError] in the words of the chain.
type blame struct {
	// members are raw addresses.
	members [][]byte
	reason  string
}

// maxReason is the longest reason that the chain takes.
const maxReason = 256

// blameOf finds the members that an error blames. There are none when the failure is not theirs.
func blameOf(err error, me []byte, members []types.Member) *blame {
	var e *ceremony.BlameError
	if !errors.As(err, &e) {
		return nil
	}
	b := &blame{reason: strings.ToValidUTF8(e.Reason, "?")}
	for len(b.reason) > maxReason {
		b.reason = strings.ToValidUTF8(b.reason[:maxReason], "")
	}
	for _, m := range members {
		if !bytes.Equal(m.Address(), me) && contains(e.Members, m.PubKey) {
			b.members = append(b.members, m.Address())
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b
}
