// Package doctor examines the signer of a home for people: whether everything is there that a
// recovery and a ceremony will need. It changes nothing, whether a bifrost runs in the home or not.
// One that runs is asked what is on its disk.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// Level is what a row of the doctor's says.
type Level string

// The levels. Skipped is of what could not be looked at: nothing is known of it.
const (
	OK      Level = "ok"
	Warn    Level = "warn"
	Skipped Level = "skipped"
	Fail    Level = "fail"
)

// Finding is one row of the doctor's.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
}

// Options say whom to examine.
type Options struct {
	Home   string
	Config home.Config
	// Mnemonic has passed CheckSeal; without one, MnemonicErr says why. The caller wipes it.
	Mnemonic    *sanity.Mnemonic
	MnemonicErr error
	// MnemonicPath is the file that it came from.
	MnemonicPath string
	// Nodes are the witnesses, and where the fire drill recovers from.
	Nodes []string
}

// examination gathers findings.
type examination struct {
	Options
	findings []Finding
	// found tells that another signer is where its claim says.
	found bool
}

// Examine examines a bifrost that may or may not run, and changes nothing.
func Examine(ctx context.Context, o Options) []Finding {
	d := &examination{Options: o}
	d.files()
	d.process(ctx)
	member := d.identify()
	d.keystore()
	d.backup(ctx)
	d.sinks(ctx)
	node, err := chain.New(o.Config.Node, 0)
	if err != nil {
		d.add("node", Fail, "%v", err)
		d.skip("the node's address is none", onChain...)
	} else if d.node(ctx, node) {
		d.chain(ctx, node, member)
	} else {
		d.skip("the own node cannot be asked", onChain...)
	}
	d.peers(ctx)
	return d.findings
}

func (d *examination) add(check string, level Level, format string, args ...any) {
	d.findings = append(d.findings, Finding{check, level, fmt.Sprintf(format, args...)})
}

// onChain are the checks that need the own node.
var onChain = []string{"clock", "trust", "signer", "recipient", "keyshares", "drill", "addresses"}

// skip names checks that could not be made.
func (d *examination) skip(why string, checks ...string) {
	for _, check := range checks {
		d.add(check, Skipped, "not checked: %s", why)
	}
}

// files looks at who may read what is in the home.
func (d *examination) files() {
	n, bad := 0, 0
	err := filepath.WalkDir(d.Home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running bifrost is done with it
		}
		if err != nil {
			return err
		}
		n++
		if info.Mode()&fs.ModeSymlink == 0 && !durable.Private(info) {
			bad++
			mode := map[bool]string{true: "0700", false: "0600"}[info.IsDir()]
			d.add("files", Fail, "others may use %s (mode %04o): give it mode %s",
				path, info.Mode().Perm(), mode)
		}
		return nil
	})
	switch {
	case err != nil:
		d.add("files", Fail, "%v", err)
	case bad == 0:
		d.add("files", OK, "%d files and folders in %s are their owner's alone", n, d.Home)
	}
}

// keystore looks whether what opens the keyshares lies beside them.
func (d *examination) keystore() {
	if d.MnemonicErr != nil {
		d.skip("there is no mnemonic", "keystore")
		return
	}
	dir := home.KeysharesDir(d.Home)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = d.Home
	}
	same, err := sameFileSystem(d.MnemonicPath, dir)
	switch {
	case err != nil:
		d.add("keystore", Fail, "%v", err)
	case same:
		d.add("keystore", Warn, "the keyshares are sealed, and the mnemonic that opens them is on "+
			"their file system: who has a copy of the disk has both; hand the mnemonic over as a "+
			"credential of systemd or a secret of Kubernetes")
	default:
		d.add("keystore", OK, "the keyshares are sealed, and the mnemonic is on another file system")
	}
}

// backup looks whether the newest backup of the home has all of its keyshares.
func (d *examination) backup(ctx context.Context) {
	dir := d.Config.Backup.Dir
	if dir == "" {
		d.add("backup", Warn, "the home is backed up nowhere, and only the chain brings keyshares back: "+
			"set dir under [backup] in config.toml")
		return
	}
	if d.MnemonicErr != nil {
		d.skip("there is no mnemonic", "backup")
		return
	}
	owner, err := service.BackupOwner(d.Home, d.Config, d.Mnemonic)
	if err != nil {
		d.add("backup", Fail, "%v", err)
		return
	}
	defer owner.Key.Wipe()
	newest, missing, err := homebackup.Newest(ctx, d.Home, dir,
		homebackup.Keys{Home: owner.Keys, PubKey: owner.Key.PubKey()})
	switch {
	case err != nil:
		d.add("backup", Fail, "%v", err)
		return
	case newest == nil:
		d.add("backup", Fail, "no backup of this home is in %s: bifrost backup create makes one", dir)
		return
	case len(missing) > 0:
		d.add("backup", Fail, "the newest backup, %s of %s, lacks %d keyshares of the home, the first "+
			"of which is %s: bifrost backup create", newest.ID(), newest.Time.Format(time.RFC3339),
			len(missing), missing[0])
		return
	}
	text := fmt.Sprintf("the newest backup, %s of %s, has all %d keyshares of the home", newest.ID(),
		newest.Time.Format(time.RFC3339), newest.Keyshares())
	same, err := sameFileSystem(dir, d.Home)
	switch {
	case err != nil:
		d.add("backup", Fail, "%v", err)
	case same:
		d.add("backup", Warn, "%s, and is on its file system: one disk loses both", text)
	default:
		d.add("backup", OK, "%s", text)
	}
}

// sinks looks whether each sink has the names of all that is backed up.
func (d *examination) sinks(ctx context.Context) {
	for _, cfg := range d.Config.Sinks {
		if cfg.IsMail() {
			if err := service.CheckSink(cfg); err != nil {
				d.add("sink", Fail, "%v", err)
			} else {
				d.add("sink", OK, "%s gets mail, of which nobody here can tell whether it is kept", cfg.Name)
			}
			continue
		}
		to, err := service.OpenSink(cfg)
		if err != nil {
			d.add("sink", Fail, "%v", err)
			continue
		}
		there, err := to.List(ctx)
		if err != nil {
			d.add("sink", Fail, "%s: %v", cfg.Name, err)
			continue
		}
		var names []string
		if cfg.HasHome() {
			groups, err := service.HomeSource(d.Config.Backup.Dir).Names(ctx)
			if err != nil {
				d.add("sink", Fail, "%s: %v", cfg.Name, err)
				continue
			}
			names = slices.Concat(groups...)
		}
		missing := slices.DeleteFunc(names, func(name string) bool {
			_, ok := there[name]
			return ok
		})
		if len(missing) > 0 {
			d.add("sink", Fail, "%s lacks %d files of the backups, the first of which is %s: bifrost "+
				"sink sync", cfg.Name, len(missing), missing[0])
			continue
		}
		text := cfg.Name + " answers, and lacks nothing of the backups"
		if u, err := url.Parse(cfg.URL); err == nil && u.Scheme == "file" {
			if same, err := sameFileSystem(u.Path, d.Home); err == nil && same {
				d.add("sink", Warn, "%s, and is on the file system of the home: is it mounted? One disk "+
					"loses both", text)
				continue
			}
		}
		d.add("sink", OK, "%s", text)
	}
}

func sameFileSystem(a, b string) (bool, error) {
	var stats [2]syscall.Stat_t
	for i, path := range []string{a, b} {
		if err := syscall.Stat(path, &stats[i]); err != nil {
			return false, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
	}
	return stats[0].Dev == stats[1].Dev, nil
}

// process asks the bifrost that runs in the home.
func (d *examination) process(ctx context.Context) {
	status, err := service.NewControl(d.Home).Status(ctx)
	switch {
	case errors.Is(err, service.ErrNotRunning):
		d.add("process", Warn, "no bifrost runs in this home")
	case err != nil:
		d.add("process", Fail, "%v", err)
	case len(status.Problems) > 0:
		for _, p := range status.Problems {
			d.add("process", Fail, "%s", p)
		}
	default:
		d.add("process", OK, "bifrost is %s", status.State)
	}
	if err == nil {
		d.envelopes(status.Held)
	}
}

// envelopes tells what a running bifrost holds of the members' envelopes.
func (d *examination) envelopes(st *held.Status) {
	switch {
	case st == nil || st.Named == 0:
	case len(st.Missing) == 0:
		d.add("envelopes", OK, "all %d that the members hold are here", st.Named)
	default:
		for _, m := range st.Missing {
			d.add("envelopes", Warn, "%s of member %s of vault %s is not here, and no other member gave it: %s",
				m.SHA256, m.Member, m.Vault, m.Error)
		}
	}
}

// identify derives who the mnemonic is. It returns nil when there is none.
func (d *examination) identify() *care.Member {
	if d.MnemonicErr != nil {
		d.add("mnemonic", Fail, "%v", d.MnemonicErr)
		return nil
	}
	key, err := signer.Derive(d.Mnemonic, d.Config.HDPath)
	if err != nil {
		d.add("mnemonic", Fail, "hd_path: %v", err)
		return nil
	}
	defer key.Wipe()
	m := &care.Member{
		Address: key.Bech32(d.Config.Prefix), PubKey: key.PubKey(), Prefix: d.Config.Prefix,
		Mnemonic: d.Mnemonic,
	}
	d.add("mnemonic", OK, "%d words pass every check and derive %s", d.Mnemonic.Words(), m.Address)
	return m
}
