package held

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/recurring"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// lookPeriod is the time between two looks at which envelopes should be here. After one that
	// failed, or left some missing, the next is sooner at first.
	lookPeriod = time.Minute
	lookRetry  = 10 * time.Second
	// readPeriod is the time between two readings of an envelope that is here: the disk may have
	// made something else of it.
	readPeriod = time.Hour
)

// Records are the chain's records of one height, each of them verified; chain.State is one.
type Records interface {
	// Vaults returns the active and retiring vaults of a member, by its raw address.
	Vaults(ctx context.Context, member []byte) ([]vault.Vault, error)
	// Vault returns one vault, whatever its status.
	Vault(ctx context.Context, pubKey []byte) (vault.Vault, error)
	// Backups returns the commitments of each member of a vault, in the order of the members.
	Backups(ctx context.Context, v vault.Vault) ([][]types.Commitment, error)
	// Keygen returns a keygen or a reshare, without a status when there is none.
	Keygen(ctx context.Context, id uint64) (vault.Keygen, error)
}

// KeeperConfig says for whom a [Keeper] keeps envelopes, and whom it tells.
type KeeperConfig struct {
	// PubKey is the signer's compressed public key.
	PubKey []byte
	Look   func(context.Context) (Records, error)
	Store  *Store
	// Update is told the epochs that live whenever they were looked at, and Admit the compressed
	// public keys of the other members in them; [Server.Update] and tss.Node.Admit are such.
	Update func(epochs []Epoch)
	Admit  func(pubKeys [][]byte) error
	// Open is that of a [Client].
	Open func(ctx context.Context, pubKey []byte) (Stream, error)
	// Kept is called when all that should be here is, and was not at the look before; nil is
	// allowed.
	Kept func()
	Log  zerolog.Logger
}

// A Keeper sees to it that every envelope that the members hold is here as well: it fetches those
// that are not, as after the loss of a disk, and removes those of epochs that are over.
type Keeper struct {
	cfg KeeperConfig
	job *recurring.Job
	now func() time.Time

	// read is when an envelope was last found to be what its name says, by SHA-256. The job alone
	// uses it.
	read map[string]time.Time

	mu     sync.Mutex
	status Status
}

// Status is which envelopes are here of those that the chain names as held by the members.
type Status struct {
	// Named is how many there are, and Held how many of them are here.
	Named int `json:"named"`
	Held  int `json:"held"`
	// Missing are the others.
	Missing []Missing `json:"missing"`
	// Error is why the latest look failed, empty when it did not.
	Error string `json:"error"`
}

// Missing is an envelope that should be here.
type Missing struct {
	Vault string `json:"vault"`
	Epoch uint64 `json:"epoch"`
	// Member is the compressed public key, in hex, of whose envelope it is.
	Member string `json:"member"`
	SHA256 string `json:"sha256"`
	// Error is why no other member gave it.
	Error string `json:"error"`
}

// Problems are what keeps the envelopes from being here.
func (st Status) Problems() (problems []string) {
	if n := len(st.Missing); n > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d envelopes that the members hold are not here, "+
			"and no other member gave them: %s", n, st.Named, st.Missing[0].Error))
	}
	return problems
}

// NewKeeper looks at nothing yet.
func NewKeeper(c KeeperConfig) *Keeper {
	k := &Keeper{
		cfg: c, now: time.Now, read: map[string]time.Time{}, status: Status{Missing: []Missing{}},
	}
	k.job = recurring.New(lookPeriod, lookRetry, lookPeriod, k.look)
	return k
}

// Run keeps the envelopes until the context ends.
func (k *Keeper) Run(ctx context.Context) { k.job.Run(ctx) }

// Status is what the latest look found.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := k.status
	st.Missing = slices.Clone(st.Missing)
	return st
}

// errMissing is the end of a look that left some envelopes missing.
var errMissing = errors.New("some envelopes are missing")

func (k *Keeper) look(ctx context.Context) error {
	st, err := k.keep(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if k.status.Error != err.Error() {
			k.cfg.Log.Warn().Err(err).Msg("which envelopes the members hold is not known; trying again")
		}
		k.status.Error = err.Error()
		return err
	}
	if n := len(st.Missing); n > 0 && n != len(k.status.Missing) {
		k.cfg.Log.Warn().Int("missing", n).Int("of", st.Named).Str("of_the_first", st.Missing[0].Error).
			Msg("ENVELOPES THAT THE MEMBERS HOLD ARE NOT HERE; trying again")
	}
	news := st.Held != k.status.Held
	k.status = st
	if len(st.Missing) > 0 {
		return errMissing
	}
	if news && k.cfg.Kept != nil {
		k.cfg.Kept()
	}
	return nil
}

// wanted is an envelope that should be here.
type wanted struct {
	vault      vault.Vault
	member     []byte
	commitment types.Commitment
}

// keep looks once, and does what is to be done.
func (k *Keeper) keep(ctx context.Context) (st Status, err error) {
	st.Missing = []Missing{}
	records, err := k.cfg.Look(ctx)
	if err != nil {
		return st, err
	}
	vaults, err := records.Vaults(ctx, types.SignerAddress(k.cfg.PubKey))
	if err != nil {
		return st, err
	}
	var epochs []Epoch
	var all []wanted
	for _, v := range vaults {
		if !v.IsLive() || !v.IsHeld() {
			continue
		}
		of, err := held(ctx, records, v)
		if err != nil {
			return st, err
		}
		epoch := Epoch{Number: v.Epoch, Members: v.MemberKeys()}
		for _, w := range of {
			epoch.Named = append(epoch.Named, Named{w.member, w.commitment.Sha256})
		}
		epochs, all = append(epochs, epoch), append(all, of...)
	}
	k.cfg.Update(epochs)
	if err := k.cfg.Admit(k.others(epochs)); err != nil {
		return st, err
	}
	if err := k.prune(ctx, records, vaults); err != nil {
		return st, err
	}
	st.Named = len(all)
	st.Missing, err = k.fetch(ctx, all)
	st.Held = st.Named - len(st.Missing)
	return st, err
}

// held are the envelopes of a vault that its members hold.
func held(ctx context.Context, records Records, v vault.Vault) (all []wanted, err error) {
	backups, err := records.Backups(ctx, v)
	if err != nil {
		return nil, err
	}
	for i, m := range v.Members {
		for _, c := range backups[i] {
			if c.IsHeld() {
				all = append(all, wanted{v, m.PubKey, c})
			}
		}
	}
	return all, nil
}

// others are all members but the own one, each once.
func (k *Keeper) others(epochs []Epoch) (keys [][]byte) {
	known := map[string]bool{string(k.cfg.PubKey): true}
	for _, e := range epochs {
		for _, m := range e.Members {
			if !known[string(m)] {
				keys = append(keys, m)
			}
			known[string(m)] = true
		}
	}
	return keys
}

// prune removes the envelopes of epochs that are over.
func (k *Keeper) prune(ctx context.Context, records Records, vaults []vault.Vault) error {
	epochs, err := k.cfg.Store.Epochs()
	if err != nil {
		return err
	}
	kept := map[uint64]bool{}
	latest := uint64(0)
	for _, v := range vaults {
		kept[v.Epoch], kept[v.GraceEpoch()] = true, true
		latest = max(latest, v.Epoch)
	}
	over := map[uint64]bool{}
	for _, epoch := range epochs {
		if kept[epoch] {
			continue
		}
		if over[epoch], err = isOver(ctx, records, epoch, latest); err != nil {
			return err
		}
	}
	for epoch, is := range over {
		if is {
			k.cfg.Log.Info().Uint64("epoch", epoch).Msg("the held envelopes of an epoch that is over go")
		}
	}
	return k.cfg.Store.Prune(func(epoch uint64) bool { return !over[epoch] })
}

// isOver reports whether an epoch does not live and never will: its keygen failed, or its vault has
// retired or is in a later epoch. One that the records do not know of yet is not; one that they do
// not know of any more, because a later one lives, failed so long ago that it was deleted.
func isOver(ctx context.Context, records Records, epoch, latest uint64) (bool, error) {
	keygen, err := records.Keygen(ctx, epoch)
	switch {
	case err != nil:
		return false, err
	case keygen.Status == types.KeygenStatus_KEYGEN_STATUS_FAILED:
		return true, nil
	case keygen.Status == types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED:
		return epoch < latest, nil
	case keygen.Status != types.KeygenStatus_KEYGEN_STATUS_READY || len(keygen.Vault) == 0:
		return false, nil
	}
	v, err := records.Vault(ctx, keygen.Vault)
	if err != nil {
		return false, err
	}
	return !v.IsLive() || v.Epoch != epoch && v.GraceEpoch() != epoch, nil
}

// fetch gets those envelopes from the other members that are not here, and returns which could not
// be had.
func (k *Keeper) fetch(ctx context.Context, all []wanted) ([]Missing, error) {
	missing := []Missing{}
	idle := map[string]bool{} // members that are of no use in this look
	var mu sync.Mutex
	client := &Client{Open: k.cfg.Open, Passed: func(pubKey []byte, err error) {
		if errors.Is(err, ErrNotHeld) {
			return
		}
		mu.Lock()
		idle[string(pubKey)] = true
		mu.Unlock()
		k.cfg.Log.Warn().Err(err).Hex("member", pubKey).
			Msg("a member that should hold an envelope was passed over")
	}}
	read := map[string]time.Time{}
	for _, w := range all {
		sum := w.commitment.Sha256
		at, err := k.here(sum)
		if err != nil {
			return missing, err
		}
		if at.IsZero() {
			members := slices.DeleteFunc(w.vault.MemberKeys(), func(m []byte) bool {
				mu.Lock()
				defer mu.Unlock()
				return idle[string(m)] || bytes.Equal(m, k.cfg.PubKey)
			})
			rand.Shuffle(len(members), func(i, j int) {
				members[i], members[j] = members[j], members[i]
			})
			envelope, err := client.Get(ctx, members, sum)
			if ctx.Err() != nil {
				return missing, ctx.Err()
			}
			if err != nil {
				missing = append(missing, w.missing(err))
				continue
			}
			if err := k.cfg.Store.Put(w.vault.Epoch, [][]byte{envelope}); err != nil {
				return missing, err
			}
			k.cfg.Log.Info().Str("vault", w.vault.Name()).Hex("member", w.member).Hex("sha256", sum).
				Msg("an envelope that the members hold was not here, and is again")
			at = k.now()
		}
		read[string(sum)] = at
	}
	k.read = read
	return missing, nil
}

// here tells when an envelope was last found to be here, which is now and then read; the zero time
// when it is not.
func (k *Keeper) here(sum []byte) (time.Time, error) {
	if at := k.read[string(sum)]; k.now().Sub(at) < readPeriod && k.cfg.Store.Has(sum) {
		return at, nil
	}
	_, err := k.cfg.Store.Get(sum)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	return k.now(), nil
}

func (w wanted) missing(err error) Missing {
	return Missing{
		Vault: w.vault.Name(), Epoch: w.vault.Epoch, Member: fmt.Sprintf("%x", w.member),
		SHA256: fmt.Sprintf("%x", w.commitment.Sha256), Error: err.Error(),
	}
}
