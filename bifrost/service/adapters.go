package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// node is the chain as publish sees it.
type node struct{ *chain.Client }

func (n node) Height(ctx context.Context) (int64, error) {
	status, err := n.Status(ctx)
	if err != nil {
		return 0, err
	}
	if status.CatchingUp {
		return 0, fmt.Errorf("the node is catching up, at block %d", status.Height)
	}
	return status.Height, nil
}

func (n node) Keygen(ctx context.Context, id uint64) (types.KeygenInfo, error) {
	k, err := n.Client.Keygen(ctx, id)
	return k, translate(err)
}

func (n node) Backup(ctx context.Context, vault, member string) ([]types.CommitmentInfo, error) {
	c, err := n.Client.Backup(ctx, vault, member)
	return c, translate(err)
}

func (n node) Proof(ctx context.Context, vault, member string) (types.ProofInfo, error) {
	p, err := n.Client.Proof(ctx, vault, member)
	return p, translate(err)
}

func (n node) Account(ctx context.Context, address string) (uint64, uint64, error) {
	number, sequence, err := n.Client.Account(ctx, address)
	return number, sequence, translate(err)
}

func (n node) Broadcast(ctx context.Context, tx []byte) error {
	return translate(n.Client.Broadcast(ctx, tx))
}

// translate gives an error the names that publish knows.
func translate(err error) error {
	for from, to := range map[error]error{
		chain.ErrNotFound:  publish.ErrNotFound,
		chain.ErrSequence:  publish.ErrSequence,
		chain.ErrInMempool: publish.ErrInMempool,
	} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %w", to, err)
		}
	}
	return err
}

func signTx(chainID string, key *signer.Key) publish.SignTx {
	return func(msg proto.Message, p publish.TxParams) ([]byte, error) {
		return chain.SignTx(msg, chain.TxParams{
			ChainID:       chainID,
			AccountNumber: p.AccountNumber,
			Sequence:      p.Sequence,
			Gas:           p.Gas,
			TimeoutHeight: p.TimeoutHeight,
		}, key)
	}
}

// prove proves with the recipient key of the mnemonic.
func prove(mnemonic *sanity.Mnemonic) func(verenc.Statement, uint32, []verenc.Share) ([]byte, error) {
	return func(st verenc.Statement, index uint32, shares []verenc.Share) ([]byte, error) {
		key, err := signer.DeriveRecipient(mnemonic, index)
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		if !bytes.Equal(key.Public(), st.Recipient) {
			return nil, fmt.Errorf("%w: it holds %x, and the mnemonic derives %x at index %d", publish.ErrRecipient, st.Recipient, key.Public(), index)
		}
		return verenc.Prove(key, st, shares)
	}
}

// ceremonies are the node of package tss with its pre-parameters, as publish sees
// them.
type ceremonies struct {
	node      *tss.Node
	preParams *tss.PreParams
	prefix    string
	log       zerolog.Logger

	// held is the set of the keygen that is being tried. Its attempts share it,
	// because at most one of them makes a vault.
	mu     sync.Mutex
	heldBy string
	held   *eckeygen.LocalPreParams
}

func (c *ceremonies) Keygen(ctx context.Context, req publish.KeygenRequest) (*publish.KeygenResult, error) {
	preParams, err := c.take(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	res, err := c.node.Keygen(ctx, tss.KeygenRequest{
		ID: req.ID, Members: req.Members, Threshold: req.Threshold, PreParams: preParams, Bech32Prefix: c.prefix,
	})
	if err != nil {
		return nil, blamed(err)
	}
	c.drop()
	out := &publish.KeygenResult{PubKey: res.ECDSAKey, PubKeyEd25519: res.EdDSAKey, Files: map[string][]byte{}}
	for _, f := range res.Files {
		out.Files[f.Name] = f.Data
	}
	return out, nil
}

func (c *ceremonies) Keysign(ctx context.Context, req publish.KeysignRequest) ([]byte, error) {
	signature, err := c.node.Keysign(ctx, tss.KeysignRequest{
		ID: req.ID, Keyshare: req.Keyshare, Signers: req.Signers, Message: req.Digest,
	})
	return signature, blamed(err)
}

func blamed(err error) error {
	var blame *tss.BlameError
	if errors.As(err, &blame) {
		return &publish.BlameError{Members: blame.Members, Reason: blame.Reason}
	}
	return err
}

// take returns the pre-parameters for a keygen, and waits for a set to be made
// when there is none.
func (c *ceremonies) take(ctx context.Context, id string) (*eckeygen.LocalPreParams, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heldBy == id {
		return c.held, nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for said := false; ; said = true {
		set, err := c.preParams.Take()
		if err == nil {
			c.heldBy, c.held = id, set
			return set, nil
		}
		if !errors.Is(err, tss.ErrNoPreParams) {
			return nil, err
		}
		if !said {
			c.log.Error().Msg("a keygen waits for pre-parameters, which are being made; import some with bifrost init --preparams")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w before the keygen's deadline", err)
		case <-tick.C:
		}
	}
}

func (c *ceremonies) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heldBy, c.held = "", nil
}
