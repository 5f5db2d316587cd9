package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// dialer reaches members where no bifrost acts in the home.
func dialer(cfg home.Config, key *signer.Key, claims held.Claims) (*held.Dialer, error) {
	networks, err := cfg.P2P.Prefixes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	private := key.Private()
	defer sanity.Wipe(private)
	d, err := held.NewDialer(private, cfg.P2P.Peers, claims, networks...)
	if err != nil {
		return nil, fmt.Errorf("%w: p2p: %w", home.ErrConfig, err)
	}
	return d, nil
}

// claims asks a node where signers say that they are reached.
func claims(node *chain.Client, prefix string) held.Claims {
	return func(ctx context.Context, pubKey []byte) ([]string, error) {
		address, err := bech32.ConvertAndEncode(prefix, types.SignerAddress(pubKey))
		if err != nil {
			return nil, err
		}
		claim, _, err := node.SignerTerm(ctx, address)
		return strings.Fields(claim.Addresses), err
	}
}

// FromMembers asks the other members for the envelopes that they hold, from outside the bifrost of
// a home. Where they are the configuration says, or the latest claim of each, which termOf returns
// for a raw address, as [care.Records] do.
func FromMembers(
	cfg home.Config, key *signer.Key,
	termOf func(ctx context.Context, signer []byte) (types.SignerTerm, error),
) (restore.Source, error) {
	d, err := dialer(cfg, key, func(ctx context.Context, pubKey []byte) ([]string, error) {
		claim, err := termOf(ctx, types.SignerAddress(pubKey))
		return strings.Fields(claim.Addresses), err
	})
	if err != nil {
		return nil, err
	}
	return (&held.Client{Open: d.Open}).Source(key.PubKey()), nil
}

// newHeld makes what has the envelopes that the members hold, and asks the others for them.
func (s *service) newHeld() error {
	d, err := dialer(s.cfg, s.key, claims(s.chain, s.cfg.Prefix))
	if err != nil {
		return err
	}
	s.envelopes = held.Open(home.EnvelopesDir(s.home))
	s.members = &held.Client{
		Open: func(ctx context.Context, pubKey []byte) (held.Stream, error) {
			s.mu.Lock()
			node := s.tss
			s.mu.Unlock()
			if node == nil {
				return d.Open(ctx, pubKey)
			}
			return node.Open(ctx, pubKey, held.Protocol)
		},
		Passed: func(pubKey []byte, err error) {
			event := s.log.Debug()
			if errors.Is(err, held.ErrOther) {
				event = s.log.Warn()
			}
			event.Err(err).Hex("member", pubKey).Msg("a member did not give an envelope")
		},
	}
	return nil
}

// keptEnvelope is a [restore.Source] of what is in the home.
func (s *service) keptEnvelope(
	_ context.Context, _ vault.Vault, _ []byte, c types.Commitment,
) ([]byte, error) {
	return s.envelopes.Get(c.Sha256)
}

// deposit brings the own envelope of a vault to the other members.
func (s *service) deposit(
	ctx context.Context, v vault.Vault, envelope []byte,
) ([]types.Receipt, error) {
	return s.members.Deposit(ctx, s.cfg.ChainID, s.cfg.Prefix, v, s.key.PubKey(), envelope)
}

// serveEnvelopes has a node serve what is held, and returns what keeps it.
func (s *service) serveEnvelopes(node *tss.Node) *held.Keeper {
	server := held.NewServer(held.ServerConfig{
		Store: s.envelopes,
		Check: func(envelope []byte) error {
			return sanity.CheckEnvelopeForm(envelope, types.HeldRules())
		},
		Sign: func(epoch uint64, publisher, sha256 []byte, size uint64) ([]byte, error) {
			return s.key.SignDigest(types.ReceiptMessage(
				s.cfg.ChainID, epoch, types.SignerAddress(publisher), sha256, size))
		},
		Log: s.log,
	})
	node.Handle(held.Protocol, func(pubKey []byte, st tss.Stream) { server.Serve(pubKey, st) })
	return held.NewKeeper(held.KeeperConfig{
		PubKey: s.key.PubKey(), Store: s.envelopes, Update: server.Update, Admit: node.Admit,
		Look: func(ctx context.Context) (held.Records, error) { return s.verifier.Look(ctx) },
		Open: s.members.Open, Kept: func() { s.wakeSinks(home.Sink.HasEnvelopes) }, Log: s.log,
	})
}

// heldStatus is what is held of what should be; nil while this instance does not act.
func (s *service) heldStatus() (st *held.Status, problems []string) {
	s.mu.Lock()
	keeper := s.keeper
	s.mu.Unlock()
	if keeper == nil {
		return nil, nil
	}
	of := keeper.Status()
	return &of, of.Problems()
}
