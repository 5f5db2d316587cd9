package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// repairRetry is the time between two tries to restore the same vault.
	repairRetry = time.Minute
	// repairInterval is the time between two looks at the chain for what should be
	// here, lookRetry after one that did not work.
	repairInterval = 30 * time.Second
	lookRetry      = 10 * time.Second
)

// identity is who this signer is and what it opens envelopes with.
type identity struct {
	address  string
	pubKey   []byte
	prefix   string
	mnemonic *sanity.Mnemonic
}

// repairer restores the keyshares that this signer should hold and does not.
type repairer struct {
	identity
	// look proves what should be here.
	look  func(context.Context) (records, error)
	store *keystore.Store
	// scrypt is held while an envelope is opened: a run takes 256 MiB.
	scrypt *sync.Mutex
	log    zerolog.Logger
	now    func() time.Time
	// restored and failed count vaults.
	restored, failed func()

	// checked are the vaults whose files were found to be right; retryAt is when
	// the others are tried again. Both belong to the one goroutine that calls run.
	checked map[string]bool
	retryAt map[string]time.Time

	mu       sync.Mutex
	problems map[string]string // by vault
}

// run looks at every live vault of the signer once, and tells after how long to look
// again. What could not be restored stays among the problems until a later run
// restores it or the vault is retired. While the records are not proven nothing is
// touched; look remembers why.
func (r *repairer) run(ctx context.Context) time.Duration {
	proven, err := r.look(ctx)
	if err != nil {
		return lookRetry
	}
	vaults, err := proven.Vaults(ctx, r.address)
	if err != nil {
		return lookRetry
	}
	var live []string
	for _, v := range vaults {
		if !isLive(v) {
			continue
		}
		live = append(live, v.Vault)
		if r.now().Before(r.retryAt[v.Vault]) {
			continue
		}
		err := r.vault(ctx, proven, v)
		if ctx.Err() != nil {
			return lookRetry
		}
		delete(r.retryAt, v.Vault)
		if err != nil {
			r.failed()
			r.retryAt[v.Vault] = r.now().Add(repairRetry)
		}
		r.note(v.Vault, err)
	}
	r.forget(live)
	return repairInterval
}

// isLive tells whether a vault's keyshares are of use.
func isLive(v types.VaultInfo) bool {
	return v.Status == types.VaultStatus_VAULT_STATUS_ACTIVE || v.Status == types.VaultStatus_VAULT_STATUS_RETIRING
}

// vault makes sure that the keyshares of one vault are here.
func (r *repairer) vault(ctx context.Context, proven records, v types.VaultInfo) error {
	complete, err := r.complete(v)
	if complete || err != nil {
		return err
	}
	r.log.Warn().Str("vault", v.Vault).Msg("the keyshares of a live vault are not here; restoring them from the backup")
	gate := gate{mutex: r.scrypt}
	defer gate.open()
	results, err := restore.Run(ctx, restore.Config{
		Chain: liveOnly{proven}, Store: r.store, Mnemonic: r.mnemonic, Member: r.address, Vault: v.Vault, Progress: gate.step,
	})
	if err != nil {
		return err
	}
	for _, result := range results {
		for _, rejected := range result.Rejected {
			r.log.Warn().Err(rejected).Str("vault", v.Vault).Msg("a later backup was passed over")
		}
		if result.Err != nil {
			return result.Err
		}
		r.log.Warn().Str("vault", v.Vault).Int64("height", result.Commitment.Height).Strs("files", result.Files).Msg("keyshares are restored")
	}
	r.checked[v.Vault] = true
	r.restored()
	return nil
}

// complete tells whether both files of a vault are here. The first time it
// reads them: a file that does not hold what it should is an error, and stays as it is.
func (r *repairer) complete(v types.VaultInfo) (bool, error) {
	if r.checked[v.Vault] {
		names, err := r.fileNames(v)
		if err != nil {
			return false, err
		}
		there, err := r.store.List()
		if err != nil {
			return false, err
		}
		return slices.Contains(there, names[0]) && slices.Contains(there, names[1]), nil
	}
	err := r.checkFiles(r.store, v)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	r.checked[v.Vault] = err == nil
	return err == nil, err
}

// checkFiles makes sure that the store holds this member's two keyshares of a
// vault. The error of one that is not there wraps fs.ErrNotExist; a wrong one is
// reported before a missing one.
func (id identity) checkFiles(store *keystore.Store, v types.VaultInfo) error {
	names, err := id.fileNames(v)
	if err != nil {
		return err
	}
	keys := keyshare.VaultKeys{}
	if keys.Secp256k1, err = hex.DecodeString(v.Vault); err != nil {
		return err
	}
	if keys.Ed25519, err = hex.DecodeString(v.PubKeyEd25519); err != nil {
		return err
	}
	var members [][]byte
	for _, m := range v.Members {
		key, err := hex.DecodeString(m.PubKey)
		if err != nil {
			return err
		}
		members = append(members, key)
	}
	var missing error
	for _, name := range names {
		err := id.checkFile(store, name, keys, members)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case err != nil:
			return fmt.Errorf("%s is damaged or another's (move it away to have it restored): %w", name, err)
		}
	}
	return missing
}

func (id identity) checkFile(store *keystore.Store, name string, keys keyshare.VaultKeys, members [][]byte) error {
	data, err := store.Load(name)
	defer sanity.Wipe(data)
	if err != nil {
		return err
	}
	share, err := keyshare.Parse(data)
	if err != nil {
		return err
	}
	defer share.Wipe()
	if share.FileName() != name {
		return fmt.Errorf("it holds the keyshare of %s", share.PubKey)
	}
	return share.Check(keys, id.pubKey, members)
}

// fileNames are the names of a vault's keyshare files: secp256k1, then ed25519.
func (id identity) fileNames(v types.VaultInfo) ([2]string, error) {
	var names [2]string
	for i, key := range []struct {
		hex    string
		encode func(prefix string, raw []byte) (string, error)
	}{{v.Vault, keyshare.EncodeSecp256k1}, {v.PubKeyEd25519, keyshare.EncodeEd25519}} {
		raw, err := hex.DecodeString(key.hex)
		if err != nil {
			return names, err
		}
		text, err := key.encode(id.prefix, raw)
		if err != nil {
			return names, err
		}
		names[i] = keyshare.FileName(text)
	}
	return names, nil
}

// note remembers what is wrong with a vault, and says it when it is new.
func (r *repairer) note(vault string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.problems, vault)
		return
	}
	text := fmt.Sprintf("vault %s: its keyshares are not restored: %v", vault, err)
	if r.problems[vault] != text {
		r.log.Error().Err(err).Str("vault", vault).Msg("KEYSHARES ARE MISSING and could not be restored; trying again")
	}
	r.problems[vault] = text
}

// forget drops what was remembered of vaults that do not live any more.
func (r *repairer) forget(live []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := func(vault string) bool { return !slices.Contains(live, vault) }
	maps.DeleteFunc(r.problems, func(vault, _ string) bool { return gone(vault) })
	maps.DeleteFunc(r.checked, func(vault string, _ bool) bool { return gone(vault) })
	maps.DeleteFunc(r.retryAt, func(vault string, _ time.Time) bool { return gone(vault) })
}

// list are the problems, in the order of the vaults.
func (r *repairer) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, vault := range slices.Sorted(maps.Keys(r.problems)) {
		list = append(list, r.problems[vault])
	}
	return list
}

// liveOnly hides vaults that do not live: package restore would restore a retired
// vault that is named to it.
type liveOnly struct{ restore.Chain }

func (c liveOnly) Vault(ctx context.Context, name string) (types.VaultInfo, error) {
	v, err := c.Chain.Vault(ctx, name)
	if err == nil && !isLive(v) {
		err = fmt.Errorf("%w: it does not live any more", restore.ErrNoVault)
	}
	return v, err
}

// gate holds a mutex while a restore is in the step that runs scrypt.
type gate struct {
	mutex *sync.Mutex
	held  bool
}

func (g *gate) step(e restore.Event) {
	g.open()
	if e.Step == restore.StepOpen {
		g.mutex.Lock()
		g.held = true
	}
}

func (g *gate) open() {
	if g.held {
		g.mutex.Unlock()
	}
	g.held = false
}
