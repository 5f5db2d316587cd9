package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

// recovery is the result of a recovery in JSON.
type recovery struct {
	Nodes   []string `json:"nodes"`
	ChainID string   `json:"chain_id"`
	Height  int64    `json:"height"`
	Address string   `json:"address"`
	Out     string   `json:"out"`
	// Verified tells that the records were verified by the validators' signatures.
	Verified bool `json:"verified"`
	// DryRun tells that nothing was written, with --dry-run.
	DryRun bool             `json:"dry_run"`
	Vaults []recoveredVault `json:"vaults"`
}

type recoveredVault struct {
	Vault  string `json:"vault"`
	Status string `json:"status"`
	// Result is one of the results below.
	Result string `json:"result"`
	// Backup is the one that was restored, null when none was.
	Backup *backup  `json:"backup"`
	Files  []string `json:"files"`
	// Heartbeat is the one that was sent, with drill --heartbeat; null when none was.
	Heartbeat *sentHeartbeat `json:"heartbeat"`
	// Rejected tells why later backups were passed over.
	Rejected []string `json:"rejected"`
	Error    string   `json:"error"`
	// Code is the exit code that this vault alone would give.
	Code int `json:"code"`
}

// The results of a vault: the files were written, would have been without --dry-run, were there
// already and equal, or could not be had.
const (
	resultRestored = "restored"
	resultWould    = "would-restore"
	resultPresent  = "present"
	resultFailed   = "failed"
)

// recover is the command itself.
func (a *app) recover(ctx context.Context) error {
	other, groups, err := a.otherSource()
	if err != nil {
		return command.Usage(err)
	}
	if err := held.CheckPeers(a.peers); err != nil {
		return command.Usage(err)
	}
	dir, release, err := a.takeOut()
	if err != nil {
		return err
	}
	defer release()
	// Whoever types 24 words should not learn only then that no node can be trusted.
	light, err := a.light(ctx)
	if err != nil {
		return err
	}
	var r *recovery
	err = a.withMnemonic(ctx, func(mnemonic *sanity.Mnemonic) (err error) {
		store, err := a.store(ctx, dir, mnemonic)
		if err != nil {
			return err
		}
		r, err = a.restore(ctx, light, other, groups, dir, store, mnemonic)
		return err
	})
	if r == nil {
		return err
	}
	if failed := a.Print(r, r.text); failed != nil {
		return failed
	}
	a.conclude(r)
	return err
}

// otherSource is where envelopes are looked for first, one place after the other, nil for nowhere
// else than with the nodes, and where group parts are that the nodes do not have.
func (a *app) otherSource() (source restore.Source, _ restore.GroupSource, _ error) {
	if len(a.from) == 0 {
		return nil, nil, nil
	}
	if len(a.from) > 1 && a.credentials != "" {
		// They are of one place, and no other may see them.
		return nil, nil, errors.New("--credentials-file goes with one --from")
	}
	var groups []restore.GroupSource
	for _, address := range a.from {
		next, group, err := a.place(address)
		if err != nil {
			return nil, nil, err
		}
		source, groups = a.after(source, next, "next place is"), append(groups, group)
	}
	return source, restore.EitherGroup(groups...), nil
}

// place is one that keeps envelopes and group parts.
func (a *app) place(address string) (restore.Source, restore.GroupSource, error) {
	if !strings.Contains(address, "://") {
		dir, err := filepath.Abs(address)
		if err != nil {
			return nil, nil, err
		}
		address = (&url.URL{Scheme: "file", Path: dir}).String()
	}
	credentials := a.credentials
	if credentials != "" {
		// A path here, and no name of systemd's.
		var err error
		if credentials, err = filepath.Abs(credentials); err != nil {
			return nil, nil, err
		}
	}
	c, err := sink.ReadCredentials(credentials)
	if err != nil {
		return nil, nil, err
	}
	r, err := sink.OpenReader(address, c)
	if err != nil {
		return nil, nil, err
	}
	groups := restore.GroupFiles(r.Get)
	if sink.ByHash(r) {
		groups = restore.GroupsBySum(r.Get)
	}
	return restore.Files(r.Get), groups, nil
}

// after asks a source once another one, if there is one, has not what is wanted.
func (a *app) after(other, source restore.Source, whose string) restore.Source {
	if other == nil {
		return source
	}
	return restore.Either(other, source, func(err error) {
		a.Warn(command.OneLine(err.Error()) + ": the " + whose + " asked for this envelope")
	})
}

// store is where the keyshares go.
func (a *app) store(
	ctx context.Context,
	dir string,
	mnemonic *sanity.Mnemonic,
) (restore.Store, error) {
	if a.dryRun && dir == "" {
		return rehearsal{}, nil
	}
	store, err := a.openStore(dir, mnemonic)
	if err != nil {
		return nil, err
	}
	if a.dryRun {
		return rehearsal{store, dir}, nil
	}
	return saving{a, ctx, store}, nil
}

// intoHome reports whether a folder is the keystore of a home, or will be.
func (a *app) intoHome(dir string) bool { return a.out == "" || home.Of(dir) != "" }

// written is the path of a file that is saved in a store.
func written(store restore.Store, dir string, epoch uint64, name string) string {
	switch s := store.(type) {
	case *keystore.Store:
		return s.Path(epoch, name)
	case saving:
		return written(s.Store, dir, epoch, name)
	case rehearsal:
		return written(s.store, dir, epoch, name)
	}
	return filepath.Join(dir, name)
}

// openStore is the keystore of a home, which this mnemonic seals, or any other folder, in which
// files are kept as they are.
func (a *app) openStore(dir string, mnemonic *sanity.Mnemonic) (restore.Store, error) {
	if !a.intoHome(dir) {
		folder, err := keystore.OpenFolder(dir)
		return keystore.Flat{Folder: folder}, err
	}
	// A home that is yet to be made has no configuration.
	var recipients []string
	if of := home.Of(dir); of != "" {
		cfg, err := home.Load(of)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.Warn(command.OneLine(err.Error()) + ": the keyshares are sealed for the mnemonic " +
				"alone; bifrost keystore reseal does so for others once the configuration is right")
		}
		recipients = cfg.Keystore.Recipients
	}
	identity, err := signer.HomeIdentity(mnemonic)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(identity)
	keys, err := keystore.NewKeys(identity, recipients)
	if err != nil {
		return nil, command.Usage(err)
	}
	return keystore.Open(dir, keys)
}

// conclude says what was done and what is next.
func (a *app) conclude(r *recovery) {
	count := map[string]int{}
	for _, v := range r.Vaults {
		count[v.Result]++
	}
	good := len(r.Vaults) - count[resultFailed]
	switch {
	case len(r.Vaults) == 0:
		return
	case r.DryRun && good > 0:
		a.Done(fmt.Sprintf("rehearsed: these words bring back the keyshares of %d of %d vaults, and "+
			"nothing was written", good, len(r.Vaults)),
			"put the words back where they are kept; a recovery without --dry-run writes the files")
	case r.DryRun:
		a.Done("rehearsed: these words bring nothing back, and nothing was written",
			"each vault above says why; bifrost status on the signer says whether it publishes")
	case good == 0:
		a.Done("nothing was written", "each vault above says why; docs/runbook.md has what to do "+
			"for each exit code")
	case good < len(r.Vaults):
		a.Done(fmt.Sprintf("restored the keyshares of %d of %d vaults in %s",
			good, len(r.Vaults), r.Out),
			"run the same command again, with another --node, for the others: each says above why")
	case home.Of(r.Out) == "":
		a.Done(fmt.Sprintf("the keyshares of %s are in %s", countVaults(good), r.Out),
			"they belong into the folder keyshares of bifrost's home; then bifrost start, and "+
				"bifrost status")
	default:
		a.Done(fmt.Sprintf("the keyshares of %s are in %s", countVaults(good), r.Out),
			"bifrost start, and bifrost status, which names the vaults that it holds")
	}
}

// countVaults counts vaults in words.
func countVaults(n int) string {
	if n == 1 {
		return "1 vault"
	}
	return fmt.Sprintf("%d vaults", n)
}

// saving lets an interruption wait for a save.
type saving struct {
	*app
	ctx context.Context
	restore.Store
}

func (s saving) Save(epoch uint64, files []envelope.File) error {
	return s.Write(s.ctx, func() error { return s.Store.Save(epoch, files) })
}

// restore is a recovery with a mnemonic. Its result is nil when it did not begin.
func (a *app) restore(
	ctx context.Context,
	light *chain.Light,
	other restore.Source,
	groups restore.GroupSource,
	dir string,
	store restore.Store,
	mnemonic *sanity.Mnemonic,
) (*recovery, error) {
	r := &recovery{
		Nodes:   a.trust.NodeNames(),
		ChainID: command.OneLine(light.ChainID()),
		Out:     dir, Verified: true, DryRun: a.dryRun,
		Vaults: []recoveredVault{},
	}
	state, err := a.head(ctx, light)
	if err != nil {
		return nil, err
	}
	if r.Address, err = a.member(mnemonic); err != nil {
		return nil, err
	}
	r.Height = state.Height()

	members, wipe, err := a.fromMembers(state, mnemonic)
	if err != nil {
		return nil, err
	}
	defer wipe()
	source := restore.ByPlacement(a.after(other, state.Envelope, "nodes are"),
		a.after(other, members, "members are"))
	group := []restore.GroupSource{state.Group, groups, state.CarriedGroup}
	results, runErr := restore.Run(ctx, restore.Config{
		Records: state, Source: source, Store: store, Mnemonic: mnemonic,
		Group:  restore.EitherGroup(group...),
		Member: r.Address, Vault: a.vaultKey, Progress: a.step,
	})
	if errors.Is(runErr, restore.ErrNoVault) {
		runErr = fmt.Errorf(
			"%w (if it should be: --hd-path, --prefix and --address say which address to look for)",
			runErr,
		)
	}
	missing := 0
	for _, result := range results {
		r.Vaults = append(r.Vaults, a.describe(result, store, dir))
		if result.Err != nil {
			missing++
		}
	}
	if runErr != nil {
		return r, runErr
	}
	var failed []error
	if missing > 0 {
		what := "not restored"
		if a.dryRun {
			what = "would not be restored"
		}
		failed = append(failed, fmt.Errorf("%d of %d vaults %s", missing, len(results), what))
	}
	var codes []int
	if a.heartbeat {
		err := a.beat(ctx, state, r, results, mnemonic)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if err != nil {
			failed, codes = append(failed, err), append(codes, codeOf(err))
		}
	}
	if len(failed) == 0 {
		return r, nil
	}
	for _, v := range r.Vaults {
		codes = append(codes, v.Code)
	}
	return r, incomplete{errors.Join(failed...), worst(codes), missing < len(results)}
}

// member is the address to recover for.
func (a *app) member(mnemonic *sanity.Mnemonic) (string, error) {
	key, err := signer.Derive(mnemonic, a.hdPath)
	if err != nil {
		return "", command.Usage(fmt.Errorf("--hd-path: %w", err))
	}
	defer key.Wipe()
	derived := key.Bech32(a.prefix)
	if a.address == "" {
		a.Progress("the mnemonic derives %s", derived)
		return derived, nil
	}
	if a.address != derived {
		a.Warn(fmt.Sprintf("the mnemonic derives %s at %s, not %s", derived, a.hdPath, a.address))
	}
	return a.address, nil
}

func (a *app) step(e restore.Event) {
	name := vault.Short(e.Vault)
	switch e.Step {
	case restore.StepRecord:
		a.Progress("vault %s: %s", name, e.Step)
	case restore.StepFetch:
		a.Progress(
			"vault %s: %s of block %d (%d bytes)",
			name,
			e.Step,
			e.Commitment.Height,
			e.Commitment.Size_,
		)
	case restore.StepOpen:
		a.Progress("vault %s: %s, which takes a few seconds", name, e.Step)
	default:
		if e.Step == restore.StepWrite && a.dryRun {
			return
		}
		a.Progress("vault %s: %s", name, e.Step)
	}
}

func (a *app) describe(
	result restore.Result,
	store restore.Store,
	dir string,
) recoveredVault {
	v := recoveredVault{
		Vault: result.Vault.Name(), Status: statusName(result.Vault.Status),
		Result: resultRestored, Files: []string{}, Rejected: []string{},
		Code: codeOf(result.Err),
	}
	for _, err := range result.Rejected {
		v.Rejected = append(v.Rejected, command.OneLine(err.Error()))
	}
	switch {
	case result.Err != nil:
		v.Result, v.Error = resultFailed, command.OneLine(result.Err.Error())
		return v
	case result.Present:
		v.Result = resultPresent
	case a.dryRun:
		v.Result = resultWould
	}
	b := describeBackup(result.Commitment.Info())
	v.Backup = &b
	for _, name := range result.Files {
		v.Files = append(v.Files, written(store, dir, result.Vault.Epoch, name))
	}
	return v
}

func (r *recovery) text(w io.Writer) {
	for _, v := range r.Vaults {
		fmt.Fprintf(w, "vault %s (%s): ", v.Vault, v.Status)
		switch v.Result {
		case resultFailed:
			fmt.Fprintf(w, "failed: %s\n", v.Error)
		case resultPresent:
			fmt.Fprintf(w, "already there, as backed up in block %d\n", v.Backup.Height)
		case resultWould:
			fmt.Fprintf(w, "would be restored from block %d\n", v.Backup.Height)
		default:
			fmt.Fprintf(w, "restored from block %d\n", v.Backup.Height)
		}
		if b := v.Heartbeat; b != nil && b.Sent {
			fmt.Fprintf(w, "  heartbeat: it signs the beacon of block %d, and stands\n", b.BeaconHeight)
		}
		for _, reason := range v.Rejected {
			fmt.Fprintf(w, "  passed over: %s\n", reason)
		}
		for _, file := range v.Files {
			fmt.Fprintf(w, "  %s\n", file)
		}
	}
}

// incomplete is an error that the results explain, with the code that they give.
type incomplete struct {
	error
	code int
	// partly says that some of it was done.
	partly bool
}
