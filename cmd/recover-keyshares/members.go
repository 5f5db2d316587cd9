package main

import (
	"context"
	"strings"
	"sync"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// fromMembers asks the other members of a vault for an envelope that they hold, as the signer whose
// mnemonic it is: first those of --peer, then the others where their claims say that they are. Wipe
// overwrites the signer's key.
func (a *app) fromMembers(
	state *chain.State, mnemonic *sanity.Mnemonic,
) (source restore.Source, wipe func(), err error) {
	key, err := signer.Derive(mnemonic, a.hdPath)
	if err != nil {
		return nil, nil, command.Usage(err)
	}
	defer key.Wipe()
	private := key.Private()
	defer sanity.Wipe(private)
	claims := &claims{of: map[string][]string{}}
	dialer, err := held.NewDialer(private, a.peers, claims.find)
	if err != nil {
		return nil, nil, command.Usage(err)
	}
	ask := (&held.Client{
		Open: dialer.Open, Known: dialer.Known,
		Passed: func(pubKey []byte, err error) {
			// By the name under which the chain knows it, so that its operator can be found.
			member, _ := bech32.ConvertAndEncode(a.prefix, types.SignerAddress(pubKey))
			a.Progress("member %s: %s", member, command.OneLine(err.Error()))
		},
	}).Source(key.PubKey())
	source = func(
		ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
	) ([]byte, error) {
		if err := claims.read(ctx, state, v); err != nil && ctx.Err() == nil {
			a.Warn(command.OneLine(err.Error()) + ": the members are asked that --peer names")
		}
		return ask(ctx, v, member, c)
	}
	return source, dialer.Wipe, nil
}

// claims are where members say that they are reached, by their public keys.
type claims struct {
	mu sync.Mutex
	of map[string][]string
}

// read reads those of a vault's members, together.
func (c *claims) read(ctx context.Context, state *chain.State, v vault.Vault) error {
	members := make([][]byte, len(v.Members))
	for i, m := range v.Members {
		members[i] = m.Address()
	}
	terms, err := state.TermsOf(ctx, members...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range v.Members {
		c.of[string(m.PubKey)] = strings.Fields(terms[i].Addresses)
	}
	return nil
}

func (c *claims) find(_ context.Context, pubKey []byte) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[string(pubKey)], nil
}
