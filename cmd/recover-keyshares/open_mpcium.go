package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/legacy/mpcium"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/sanity"
)

// fromMpcium is what open says of mpcium's backups in JSON.
type fromMpcium struct {
	Node string `json:"node"`
	// Version is that of the newest write in the backups, Complete whether everything up to it is
	// here, and Confirmed whether the folder says that it is the newest.
	Version   uint64        `json:"version"`
	Complete  bool          `json:"complete"`
	Confirmed bool          `json:"confirmed"`
	Shares    []mpciumShare `json:"shares"`
	Missing   []string      `json:"missing"`
}

// mpciumShare is a share that was written.
type mpciumShare struct {
	Key       string `json:"key"`
	Version   uint64 `json:"version"`
	Curve     string `json:"curve"`
	PubKey    string `json:"pub_key"`
	Members   int    `json:"members"`
	Threshold int    `json:"threshold"`
	File      string `json:"file"`
}

// openMpcium writes the shares from a folder of mpcium's backups.
func (o *opening) openMpcium(ctx context.Context, args []string) error {
	switch {
	case len(args) != 1 || o.tx != "" || o.block != "" || o.mnemonicFile != "" || len(o.groups) > 0:
		return command.Usage(errors.New("--format mpcium takes a folder of backups and --key-file"))
	case o.keyFile == "":
		return command.Usage(errors.New("--format mpcium needs --key-file"))
	case o.out == "":
		// They are no keyshare files, and nothing for a bifrost.
		return command.Usage(errors.New("--format mpcium needs --out"))
	}
	dir, release, err := o.takeOut()
	if err != nil {
		return err
	}
	defer release()
	backup, err := o.readMpcium(ctx, args[0])
	if backup != nil {
		defer backup.Wipe()
		for _, note := range backup.Notes {
			o.Warn(command.OneLine(note))
		}
	}
	if err != nil && (backup == nil || !o.salvage) {
		return err
	}
	result := &fromMpcium{
		Node: backup.Node, Version: backup.Version, Complete: err == nil,
		Confirmed: backup.Confirmed, Shares: []mpciumShare{},
		Missing: append([]string{}, backup.Missing...),
	}
	files, err := o.sharesOf(ctx, backup, result, dir)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		err = o.Write(ctx, func() error {
			store, err := keystore.OpenFolder(dir)
			if err != nil {
				return err
			}
			return store.Save(files)
		})
		if err != nil {
			return err
		}
	}
	return o.tellMpcium(result, dir)
}

// readMpcium reads the folder with the key, which does not outlive it.
func (o *opening) readMpcium(ctx context.Context, folder string) (*mpcium.Backup, error) {
	raw, warning, err := process.Secret{Path: o.keyFile, Terminal: o.Terminal()}.Read(ctx)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(raw)
	if warning != "" {
		o.Warn(command.OneLine(o.keyFile) + " may be read by others: give it mode 0600")
	}
	key, err := mpcium.NewKey(raw)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	backup, err := mpcium.Read(os.DirFS(folder), key, o.nodeName, time.Now())
	if errors.Is(err, mpcium.ErrNodes) {
		err = command.Usage(fmt.Errorf("%w with --node-name", err))
	}
	return backup, err
}

// The beginnings of the keys under which mpcium keeps shares and pre-parameters.
var mpciumCurves = map[string]keyshare.Curve{
	"ecdsa": keyshare.Secp256k1, "eddsa": keyshare.Ed25519,
}

const mpciumPreParams = "pre_params_"

// sharesOf are the files for the shares that fit together. Of one that does not it says so in
// missing, or errs when the user wants all or nothing.
func (o *opening) sharesOf(
	ctx context.Context,
	backup *mpcium.Backup,
	result *fromMpcium,
	dir string,
) (files []envelope.File, err error) {
	preParams := 0
	for _, r := range backup.Records {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		kind, wallet, _ := strings.Cut(r.Key, ":")
		curve, isShare := mpciumCurves[kind]
		if !isShare {
			if strings.HasPrefix(r.Key, mpciumPreParams) {
				preParams++
			} else {
				o.Warn(fmt.Sprintf("%q is no key of a share, and was not written", r.Key))
			}
			continue
		}
		data, err := keyshare.CheckLocalData(curve, r.Value)
		if err != nil {
			err = fmt.Errorf("%w: %q: %w", restore.ErrKeyshares, r.Key, err)
			if !o.salvage {
				return nil, err
			}
			result.Complete = false
			result.Missing = append(result.Missing, err.Error())
			continue
		}
		name := mpciumName(kind, wallet)
		files = append(files, envelope.File{Name: name, Data: r.Value})
		result.Shares = append(result.Shares, mpciumShare{
			Key: r.Key, Version: r.Version, Curve: curve.String(),
			PubKey: hex.EncodeToString(data.PubKey), Members: data.Members,
			Threshold: data.Threshold, File: filepath.Join(dir, name),
		})
	}
	if preParams > 0 {
		o.Progress("%d sets of pre-parameters are not written: they are for one keygen each, and "+
			"may have been used since", preParams)
	}
	if len(files) == 0 && len(result.Missing) == 0 {
		return nil, fmt.Errorf("%w: the backups hold no share", mpcium.ErrNone)
	}
	return files, nil
}

// tellMpcium prints what was written, and ends with an error when that is not all.
func (o *opening) tellMpcium(result *fromMpcium, dir string) error {
	all := &opened{Out: dir, Files: []string{}, Mpcium: result}
	for _, s := range result.Shares {
		all.Files = append(all.Files, s.File)
	}
	if !result.Complete && len(result.Shares) > 0 {
		o.Warn("a share that was replaced or deleted in what is missing is here as it was before")
	}
	err := o.Print(all, func(w io.Writer) {
		for _, file := range all.Files {
			fmt.Fprintln(w, file)
		}
	})
	if err == nil && !result.Complete {
		return fmt.Errorf("%w, and %d shares were salvaged: %s", mpcium.ErrIncomplete,
			len(result.Shares), strings.Join(result.Missing, "; "))
	}
	o.Done(fmt.Sprintf("%d shares of the node %q are in %s, complete up to version %d",
		len(result.Shares), result.Node, dir, result.Version),
		"compare the public keys (--output json) with those of your wallets; each file is tss-lib's "+
			"LocalPartySaveData as mpcium kept it")
	return err
}

// mpciumName is the name of the file for a share. The name of the wallet is text of whoever wrote
// the backup: lower-case letters, digits, - and _ stay, every other byte is a dot and its two hex
// digits, so that no two names are the same on any file system and none leads out of a folder. What
// is too long for a file name is named by its hash.
func mpciumName(kind, wallet string) string {
	var name strings.Builder
	for _, c := range []byte(wallet) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			name.WriteByte(c)
		} else {
			fmt.Fprintf(&name, ".%02x", c)
		}
	}
	text := name.String()
	if len(text) > 150 {
		text = fmt.Sprintf(".sha256-%x", sha256.Sum256([]byte(wallet)))
	}
	return "mpcium-" + kind + "-" + text + ".json"
}
