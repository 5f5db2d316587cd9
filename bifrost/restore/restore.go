// Package restore is the way back: from the chain's record of a member's backups to keyshare files
// on its disk.
//
// For each vault it takes the member's commitments, the latest first, and stops at the first one
// whose envelope can be fetched, has the committed hash, opens with the mnemonic, and holds exactly
// the two keyshares that this member has of this vault. Only then is anything written: both files
// or none, and never over a file that differs. The envelope of a split vault holds the member's
// secrets alone: they become the keyshares again with the group part, which is the same for all
// members.
//
// It takes two things in. [Records] say which vaults and backups there are, and are believed:
// whoever hands them over has verified them. A [Source] gets envelopes and a [GroupSource] group
// parts, from anywhere, and neither is ever believed: everything is checked here that follows from
// the records.
package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// The errors of this package to branch on, beside those of the chain, of envelope.Open and
// durable.ErrDifferent, which are passed on wrapped.
var (
	// ErrNoVault means that the member belongs to no vault that could be restored.
	ErrNoVault = errors.New("member of no vault")
	// ErrNoBackup means that the chain holds no backup of the member for a vault.
	ErrNoBackup = errors.New("no backup is published")
	// ErrCommitment means that the bytes are not those that the chain committed to.
	ErrCommitment = errors.New("envelope does not match its commitment")
	// ErrKeyshares means that what the envelope holds is not this member's share of this vault,
	// whole.
	ErrKeyshares = keyfiles.ErrKeyshares
	// ErrGroup means that the group part of a split vault could not be had: the envelope opened,
	// and the secrets in it are a part of the keyshares only.
	ErrGroup = errors.New("the group part is missing")
)

// Records are a chain's records of vaults and backups, verified; chain.State is one.
type Records interface {
	// Vaults returns the active and retiring vaults of a member, by its raw address.
	Vaults(ctx context.Context, member []byte) ([]vault.Vault, error)
	// Vault returns one vault by its compressed secp256k1 key, whatever its status.
	Vault(ctx context.Context, pubKey []byte) (vault.Vault, error)
	// Backup returns the commitments of a member of a vault, the latest first; none when there are
	// none.
	Backup(ctx context.Context, v vault.Vault, member []byte) ([]types.Commitment, error)
}

// Source gets the envelope that a commitment of a member of a vault stands for, from somewhere; the
// method Envelope of chain.State is one. Whatever it returns is compared with the commitment, so it
// need not be trusted.
type Source func(
	ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
) ([]byte, error)

// GroupSource gets the group part of a split vault from somewhere; the method Group of chain.State
// is one. What it returns is held against the hash in the vault's record, and what it makes of the
// secrets against their own hashes, so it need not be trusted.
type GroupSource func(ctx context.Context, v vault.Vault) ([]byte, error)

// Store keeps keyshare files; keystore.Store is one.
type Store interface {
	// Save keeps all files of an epoch or none and never replaces one that differs.
	Save(epoch uint64, files []envelope.File) error
	// Load returns a file of an epoch that is there.
	Load(epoch uint64, name string) ([]byte, error)
}

// Step is a part of the work that takes time.
type Step string

// The steps of one vault, in order. After StepOpen or StepCheck the next may be StepFetch again, of
// the backup before.
const (
	StepRecord Step = "reading the record"
	StepFetch  Step = "fetching the envelope"
	StepOpen   Step = "opening the envelope"
	StepGroup  Step = "fetching the group part" // of a split vault alone
	StepCheck  Step = "checking the keyshares"
	StepWrite  Step = "writing the keyshares"
)

// Event tells that a step begins.
type Event struct {
	Vault string
	Step  Step
	// Commitment is the backup that the step works on; unset in StepRecord.
	Commitment types.Commitment
}

// Config says what to restore, from where and to where.
type Config struct {
	Records Records
	Source  Source
	// Group is asked when an envelope holds secrets alone; nil has none.
	Group    GroupSource
	Store    Store
	Mnemonic *sanity.Mnemonic
	// Member is the bech32 address under which the member stands in its vaults.
	Member string
	// Vault restricts the restore to one vault, named by its compressed secp256k1 key, which may be
	// a retired one; nil means every active and retiring vault of the member.
	Vault []byte
	// Progress is called as steps begin; nil is allowed.
	Progress func(Event)
}

// Result is what became of one vault.
type Result struct {
	Vault vault.Vault
	// Commitment is the backup that was restored; unset when Err is not nil.
	Commitment types.Commitment
	// Files are the names of the keyshare files, the secp256k1 one first.
	Files []string
	// Present tells that all files were there already, and equal.
	Present bool
	// Rejected tells why each later backup than Commitment was passed over.
	Rejected []error
	// Err is nil when the vault's files are in the store. Nothing of this vault was written
	// otherwise.
	Err error
}

// Run restores vault after vault; a failure of one does not keep it from the next. The error says
// why there are no results or fewer than vaults: the records could not be had, there is no vault
// ([ErrNoVault]), or ctx ended.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	_, member, err := bech32.DecodeAndConvert(cfg.Member)
	if err != nil {
		return nil, fmt.Errorf("address %.80q: %w", cfg.Member, err)
	}
	vaults, err := find(ctx, cfg, member)
	if err != nil {
		return nil, err
	}
	results := make([]Result, 0, len(vaults))
	for _, v := range vaults {
		result := Result{Vault: v}
		result.Err = cfg.restore(ctx, member, &result)
		if ctx.Err() != nil && result.Err != nil {
			return results, ctx.Err()
		}
		results = append(results, result)
	}
	return results, nil
}

func find(ctx context.Context, cfg Config, member []byte) ([]vault.Vault, error) {
	if cfg.Vault != nil {
		v, err := cfg.Records.Vault(ctx, cfg.Vault)
		if err != nil {
			return nil, err
		}
		return []vault.Vault{v}, nil
	}
	vaults, err := cfg.Records.Vaults(ctx, member)
	if err != nil {
		return nil, fmt.Errorf("vaults of %s: %w", cfg.Member, err)
	}
	if len(vaults) == 0 {
		return nil, fmt.Errorf("%w: %s is in no active or retiring vault", ErrNoVault, cfg.Member)
	}
	return vaults, nil
}

// restore works on one vault.
func (cfg Config) restore(ctx context.Context, address []byte, result *Result) error {
	v := result.Vault
	member, ok := v.Member(address)
	if !ok {
		return fmt.Errorf(
			"%w: %s is not among its %d members",
			ErrNoVault,
			cfg.Member,
			len(v.Members),
		)
	}
	cfg.progress(Event{Vault: v.Name(), Step: StepRecord})
	commitments, err := cfg.Records.Backup(ctx, v, address)
	if err != nil {
		return err
	}
	if len(commitments) == 0 {
		return ErrNoBackup
	}
	for _, commitment := range commitments {
		files, err := cfg.open(ctx, v, member, commitment)
		if ctx.Err() != nil {
			wipe(files)
			return ctx.Err()
		}
		if err != nil {
			result.Rejected = append(
				result.Rejected,
				fmt.Errorf("backup of block %d: %w", commitment.Height, err),
			)
			continue
		}
		defer wipe(files)
		cfg.progress(Event{v.Name(), StepWrite, commitment})
		if err := cfg.save(files, result); err != nil {
			return err
		}
		result.Commitment = commitment
		return nil
	}
	err = errors.Join(result.Rejected...)
	result.Rejected = nil
	return err
}

// open returns the files of one backup, the secp256k1 keyshare first, once every check has passed.
func (cfg Config) open(
	ctx context.Context, v vault.Vault, member types.Member, commitment types.Commitment,
) ([]envelope.File, error) {
	cfg.progress(Event{v.Name(), StepFetch, commitment})
	sealed, err := cfg.Source(ctx, v, member.Address(), commitment)
	if err != nil {
		return nil, err
	}
	if !commitment.Matches(sealed) {
		return nil, fmt.Errorf("%w: got %d other bytes", ErrCommitment, len(sealed))
	}
	cfg.progress(Event{v.Name(), StepOpen, commitment})
	files, err := envelope.Open(sealed, cfg.Mnemonic)
	if err != nil {
		return nil, err
	}
	if files, err = cfg.whole(ctx, v, commitment, files); err != nil {
		return nil, err
	}
	cfg.progress(Event{v.Name(), StepCheck, commitment})
	keyshares, err := keyfiles.Check(v, files, member.PubKey)
	if err != nil {
		wipe(files)
		return nil, err
	}
	keyshares.Wipe()
	return keyshares.Files, nil
}

// whole makes keyshare files of the secrets in an envelope, which it wipes; those that are whole
// already it returns.
func (cfg Config) whole(
	ctx context.Context, v vault.Vault, commitment types.Commitment, files []envelope.File,
) ([]envelope.File, error) {
	secrets, ok := keyfiles.FindSecrets(files)
	if !ok {
		return files, nil
	}
	defer wipe(files)
	if len(files) > 1 {
		return nil, fmt.Errorf("%w: %d files beside the secrets", ErrKeyshares, len(files)-1)
	}
	cfg.progress(Event{v.Name(), StepGroup, commitment})
	group, err := cfg.group(ctx, v)
	if err != nil {
		return nil, err
	}
	return keyfiles.Join(v, secrets, group)
}

// group gets the group part, as the vault's record names it.
func (cfg Config) group(ctx context.Context, v vault.Vault) ([]byte, error) {
	if cfg.Group == nil {
		return nil, fmt.Errorf("%w: there is nowhere to get it from", ErrGroup)
	}
	group, err := cfg.Group(ctx, v)
	if err == nil {
		err = v.CheckGroup(group)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: the envelope is in order, and the secrets in it need %s: %w",
			ErrGroup, wantedGroup(v), err)
	}
	return group, err
}

// wantedGroup says what a vault's secrets need, for whoever looks for it.
func wantedGroup(v vault.Vault) string {
	hash := v.NamedGroup()
	if hash == nil {
		return fmt.Sprintf("the group part of its epoch %d", v.Epoch)
	}
	return fmt.Sprintf("the group part with the group hash %x", hash)
}

func (cfg Config) save(files []envelope.File, result *Result) error {
	present := true
	for _, f := range files {
		result.Files = append(result.Files, f.Name)
		present = present && cfg.holds(result.Vault.Epoch, f)
	}
	if err := cfg.Store.Save(result.Vault.Epoch, files); err != nil {
		result.Files = nil
		return err
	}
	result.Present = present
	return nil
}

// holds reports whether the store has this file already.
func (cfg Config) holds(epoch uint64, f envelope.File) bool {
	data, err := cfg.Store.Load(epoch, f.Name)
	defer sanity.Wipe(data)
	return err == nil && string(data) == string(f.Data)
}

func (cfg Config) progress(e Event) {
	if cfg.Progress != nil {
		cfg.Progress(e)
	}
}

func wipe(files []envelope.File) {
	for _, f := range files {
		sanity.Wipe(f.Data)
	}
}
