package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

// A CompletedVault is a live vault of a home's signer, and whence its keyshares are.
type CompletedVault struct {
	Vault string
	Epoch uint64
	// Fetched says that the keyshares were not in the home, and came from their envelope.
	Fetched bool
	// Err says why they are not in the home; nil when they are.
	Err error
}

// A Completion is what comparing a home with the chain has shown.
type Completion struct {
	// Height is that of the records that were compared with.
	Height int64
	// Vaults are the live ones of the signer.
	Vaults []CompletedVault
	// Warnings say by what the records are not as well verified as they could be.
	Warnings []string
}

// Complete compares a home in which no bifrost runs with the chain's records of the live vaults of
// its signer, verified from the trusted header of the home on, and restores the keyshares that are
// missing from their envelopes. The first node that answers is asked, and the others witness. Its
// error is that nothing could be compared; one about nodes that do not answer wraps
// [chain.ErrUnreachable].
func Complete(
	ctx context.Context,
	homeDir string, cfg home.Config, mnemonic *sanity.Mnemonic, nodes []string,
) (*Completion, error) {
	unlock, err := home.Lock(homeDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	key, err := signer.Derive(mnemonic, cfg.HDPath)
	if err != nil {
		return nil, fmt.Errorf("%w: hd_path: %w", home.ErrConfig, err)
	}
	defer key.Wipe()
	member := care.Member{
		Address: key.Bech32(cfg.Prefix), PubKey: key.PubKey(), Prefix: cfg.Prefix,
		Mnemonic: mnemonic,
	}
	keys, err := HomeKeys(cfg, mnemonic)
	if err != nil {
		return nil, err
	}
	store, err := keystore.Open(home.KeysharesDir(homeDir), keys)
	if err != nil {
		return nil, err
	}
	if nodes, err = answeringFirst(ctx, nodes); err != nil {
		return nil, err
	}
	c := &Completion{}
	records, err := lookFrom(ctx, homeDir, cfg, member.Raw(), nodes, look{
		store: chain.TrustDir(home.TrustDir(homeDir)), warn: c.warn,
	})
	if err != nil {
		return nil, err
	}
	members, err := FromMembers(cfg, key, records.TermOf)
	if err != nil {
		return nil, err
	}
	source := restore.ByPlacement(records.Envelope, members)
	vaults, err := records.Vaults(ctx, member.Raw())
	if err != nil {
		return nil, err
	}
	c.Height = records.Height()
	for _, v := range vaults {
		one := CompletedVault{Vault: v.Name(), Epoch: v.Epoch}
		err := member.CheckFiles(store, v)
		if errors.Is(err, fs.ErrNotExist) {
			one.Fetched, err = true, fetch(ctx, records, source, store, member, v)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		one.Err = err
		c.Vaults = append(c.Vaults, one)
	}
	return c, nil
}

// answeringFirst puts a node that answers before those that do not: none is more than a witness to
// who restores a home, and the first one of a list may be what was lost with it.
func answeringFirst(ctx context.Context, nodes []string) ([]string, error) {
	for i, address := range nodes {
		node, err := chain.New(address, 0)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
		}
		if _, err := node.Status(ctx); err == nil {
			return slices.Concat(nodes[i:], nodes[:i]), nil
		}
	}
	return nodes, nil // and looking says what each of them lacks
}

func (c *Completion) warn(text string) { c.Warnings = append(c.Warnings, text) }

// look is how records are looked at: where the header is that is trusted, and who is told what
// they are not as well verified by as they could be.
type look struct {
	store chain.TrustStore
	warn  func(text string)
}

// lookFrom verifies the records of a member's vaults, or of all, from the trusted header of a home
// on. The first node is asked, and the others witness.
func lookFrom(
	ctx context.Context,
	homeDir string, cfg home.Config, member []byte, addresses []string, how look,
) (care.Records, error) {
	own, err := chain.New(addresses[0], 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	nodes, err := care.NewNodes(own, addresses[1:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	folder := home.TrustDir(homeDir)
	first := false
	verifier, err := care.NewVerifier(care.VerifierConfig{
		ChainID: cfg.ChainID, Prefix: cfg.Prefix, Trust: cfg.Trust, Member: member,
		Nodes: nodes, Store: how.store, Folder: folder,
		First: func() { first = true },
		Report: func(node string, err error) {
			if node != "" {
				err = fmt.Errorf("%s: %w", node, err)
			}
			how.warn(err.Error())
		},
		Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	records, err := verifier.Look(ctx)
	if first && len(nodes.Witnesses) == 0 {
		how.warn("the chain's records are verified by nothing but the word of " + own.Name() +
			": give a second node, or a backup with a trusted header")
	}
	return records, err
}

// fetch restores the keyshares of one vault from its envelope.
func fetch(
	ctx context.Context,
	records care.Records, source restore.Source, store restore.Store, member care.Member,
	v vault.Vault,
) error {
	results, err := restore.Run(ctx, restore.Config{
		Records: records, Source: source, Group: records.Group, Store: store,
		Mnemonic: member.Mnemonic, Member: member.Address, Vault: v.PubKey,
	})
	if err != nil {
		return err
	}
	return results[0].Err
}
