package mpcium

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/sanity"
)

// latestName is the file that names the newest backup.
const latestName = "latest.version"

// nameTime is the local time in the name of a file.
const nameTime = "2006-01-02_15-04-05"

var fileName = regexp.MustCompile(`^backup-(.+)-(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)-(\d{1,19})\.enc$`)

// A file is one file of a folder that is named as a backup.
type file struct {
	name, node string
	time       string
	counter    uint64
	header     header
	// damage says why it cannot be read, nil when its header can; doubt, why the header may have
	// been changed.
	damage, doubt error
}

// An increment is a file that was opened.
type increment struct {
	*file
	records []Record
	plain   []byte
}

// Read returns what a folder of backups holds of a node, by the time now, at which records may have
// expired. With an empty name it is the node whose files the key opens, when there is one.
//
// Its errors are [ErrKey], [ErrNone] and [ErrNodes], without a backup, and [ErrIncomplete], with
// what is there of it; those of fs.FS besides. The caller wipes the backup. No files make it panic.
func Read(folder fs.FS, key *Key, node string, now time.Time) (*Backup, error) {
	b := &Backup{Node: node}
	files, err := list(folder, b)
	if err != nil {
		return nil, err
	}
	if err := b.chooseNode(files, key); err != nil {
		return nil, err
	}
	var own, others []*file
	for _, f := range files {
		if f.node == b.Node {
			own = append(own, f)
		} else {
			others = append(others, f)
			b.note("%s is a backup of the node %q", f.name, f.node)
		}
	}
	increments, damaged, err := b.open(folder, own, key)
	defer func() {
		for _, inc := range increments {
			sanity.Wipe(inc.plain)
		}
	}()
	if err != nil {
		return nil, err
	}
	b.chain(increments)
	b.confirm(folder, others)
	b.judge(increments, damaged)
	b.Records = merge(increments, now, len(b.Missing) == 0)
	if len(b.Missing) > 0 {
		return b, fmt.Errorf("%w: %s", ErrIncomplete, strings.Join(b.Missing, "; "))
	}
	return b, nil
}

// list returns the files that are named as backups, with their headers.
func list(folder fs.FS, b *Backup) (files []*file, err error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() == latestName {
			continue
		}
		f := &file{name: e.Name()}
		parts := fileName.FindStringSubmatch(e.Name())
		if parts != nil {
			f.node, f.time = parts[1], parts[2]
			f.counter, err = strconv.ParseUint(parts[3], 10, 64)
		}
		if parts == nil || err != nil {
			b.note("%q is not named as mpcium names its backups, and was passed over", e.Name())
			continue
		}
		data, err := read(folder, f.name)
		if errors.Is(err, errNoFile) {
			f.damage = err
		} else if err != nil {
			return nil, err
		} else if f.header, _, f.damage = parseHeader(data); f.damage == nil {
			f.doubt = f.checkName()
		}
		files = append(files, f)
	}
	return files, nil
}

// checkName holds the header against the name. mpcium reads the clock once for both, and begins to
// count where it begins with the first version.
func (f *file) checkName() error {
	if f.header.created.Format(nameTime) != f.time {
		return fmt.Errorf(
			"its header says that it was made at %s and its name does not: one of them was changed",
			f.header.CreatedAt)
	}
	if (f.header.Since == 0) != (f.counter == 1) {
		return fmt.Errorf(
			"its header says that it begins above version %d and its name that it is number %d: one "+
				"of them was changed", f.header.Since, f.counter)
	}
	return nil
}

var errNoFile = errors.New("it is no file, or larger than a backup")

func read(folder fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(folder, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, errNoFile
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errNoFile
	}
	return data, err
}

// chooseNode says whose backups are read, if the caller did not.
func (b *Backup) chooseNode(files []*file, key *Key) error {
	nodes, keys := map[string]bool{}, map[string]bool{}
	there := map[string]bool{}
	var unreadable *file
	for _, f := range files {
		there[f.node] = true
		if b.Node != "" && f.node != b.Node {
			continue
		}
		switch {
		case f.damage != nil && f.header.KeyID == "":
			unreadable = f
		case f.header.KeyID == key.id:
			nodes[f.node] = true
		default:
			keys[f.header.KeyID] = true
		}
	}
	switch {
	case len(files) == 0:
		return fmt.Errorf("%w: the folder holds no file that is named as one of mpcium's", ErrNone)
	case b.Node != "" && !there[b.Node]:
		return fmt.Errorf("%w of the node %q: the files are of %s", ErrNone, b.Node, quoted(there))
	case len(nodes) == 0 && len(keys) > 0:
		return fmt.Errorf("%w: its id is %s, and the backups are under %s", ErrKey, key.id,
			quoted(keys))
	case len(nodes) == 0:
		return fmt.Errorf("%w that can be read: %s: %w", ErrNone, unreadable.name, unreadable.damage)
	case len(nodes) > 1:
		return fmt.Errorf("%w under this key, %s: name one of them", ErrNodes, quoted(nodes))
	}
	for name := range nodes {
		b.Node = name
	}
	return nil
}

// quoted lists names in order, as text that is safe to print.
func quoted(names map[string]bool) string {
	var list []string
	for name := range names {
		list = append(list, strconv.Quote(name))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// open opens the node's files. One that is there twice is opened once, under the name that is its
// own.
func (b *Backup) open(
	folder fs.FS,
	own []*file,
	key *Key,
) (increments []*increment, damaged []*file, err error) {
	known := map[[sha256.Size]byte]string{}
	slices.SortStableFunc(own, func(x, y *file) int {
		switch {
		case x.doubt == nil && y.doubt != nil:
			return -1
		case x.doubt != nil && y.doubt == nil:
			return 1
		}
		return 0
	})
	for _, f := range own {
		data, err := read(folder, f.name)
		if err != nil && !errors.Is(err, errNoFile) {
			return increments, nil, err
		}
		sum := sha256.Sum256(data)
		if first, twice := known[sum]; twice && len(data) > 0 {
			b.note("%s is %s once more", f.name, first)
			continue
		}
		if f.damage == nil && f.header.KeyID != key.id {
			f.damage = fmt.Errorf("it is under another key, %q", f.header.KeyID)
		}
		if f.damage != nil {
			damaged = append(damaged, f)
			continue
		}
		known[sum] = f.name
		_, ciphertext, _ := parseHeader(data)
		inc := &increment{file: f}
		if inc.records, inc.plain, f.damage = f.header.open(ciphertext, key); f.damage != nil {
			damaged = append(damaged, f)
			continue
		}
		if f.doubt != nil {
			b.miss("%s: %v", f.name, f.doubt)
		}
		increments = append(increments, inc)
	}
	return increments, damaged, nil
}

// chain puts the increments in the order of what they hold, and finds out up to which version they
// are complete.
func (b *Backup) chain(increments []*increment) {
	slices.SortFunc(increments, func(x, y *increment) int {
		if x.header.NextSince != y.header.NextSince {
			return compare(x.header.NextSince, y.header.NextSince)
		}
		return compare(x.header.Since, y.header.Since)
	})
	for i, inc := range increments {
		if inc.header.Since > b.Version {
			b.miss("there is no backup of the versions %d to %d, before %s",
				b.Version+1, inc.header.Since, inc.name)
		}
		b.Version = inc.header.NextSince
		if i > 0 {
			b.sameHistory(increments[:i], inc)
		}
	}
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sameHistory makes sure that an increment and those before it are of one store: what both tell of
// a version is the same, and the one with the higher versions was not made before the others. A
// store that was made anew in the same folder begins to count again.
func (b *Backup) sameHistory(before []*increment, inc *increment) {
	last := before[len(before)-1]
	if inc.header.created.Before(last.header.created) &&
		inc.header.NextSince > last.header.NextSince {
		b.miss("%s ends at a lower version than %s and was made after it: the store was made anew, "+
			"its versions went back, or the clock did", last.name, inc.name)
	}
	for _, old := range before {
		if old.header.NextSince <= inc.header.Since {
			continue
		}
		byVersion := map[uint64][]Record{}
		for _, r := range old.records {
			byVersion[r.Version] = append(byVersion[r.Version], r)
		}
		for _, r := range inc.records {
			others := byVersion[r.Version]
			if len(others) > 0 && !slices.ContainsFunc(others, func(o Record) bool {
				return o.Key == r.Key && o.deleted == r.deleted && bytes.Equal(o.Value, r.Value)
			}) {
				b.miss("%s and %s tell different things of version %d: they are of two stores",
					old.name, inc.name, r.Version)
				break
			}
		}
	}
}

// confirm compares the newest version with the one that latest.version names. Nodes that share a
// folder share that file, too.
func (b *Backup) confirm(folder fs.FS, others []*file) {
	var latest struct {
		Counter uint64 `json:"version"`
		Since   uint64 `json:"since"`
	}
	data, err := read(folder, latestName)
	if err == nil && (json.Unmarshal(data, &latest) != nil || latest.Since == 0) {
		err = errors.New("it names no version")
	}
	ofAnother := slices.ContainsFunc(others, func(f *file) bool {
		return f.damage == nil && f.header.NextSince == latest.Since && f.counter == latest.Counter
	})
	switch {
	case err != nil && errors.Is(err, fs.ErrNotExist):
		b.note("there is no %s: whether newer backups were made, nothing tells", latestName)
	case err != nil:
		b.note("%s cannot be read: whether newer backups were made, nothing tells: %v", latestName,
			err)
	case latest.Since == b.Version:
		b.Confirmed = true
	case ofAnother:
		b.note("%s is of another node's newest backup: whether newer backups of this node were made, "+
			"nothing tells", latestName)
	case latest.Since > b.Version:
		b.miss("%s says that there is a backup up to version %d, and the files end at %d",
			latestName, latest.Since, b.Version)
	default:
		b.note("%s names version %d, and the files go on to %d", latestName, latest.Since, b.Version)
	}
}

// judge says which of the damaged files matter: those without which the chain is not whole, and
// those that may be newer than it. A backup that failed is made again from the same version on, so
// that a torn file before a good one is made up for.
func (b *Backup) judge(increments []*increment, damaged []*file) {
	whole := len(b.Missing) == 0 && len(increments) > 0
	for _, f := range damaged {
		later := slices.ContainsFunc(increments, func(inc *increment) bool {
			return inc.time > f.time || inc.time == f.time && inc.counter > f.counter
		})
		if whole && (b.Confirmed || later) {
			b.note("%s was passed over, and nothing is missing without it: %v", f.name, f.damage)
		} else {
			b.miss("%s: %v", f.name, f.damage)
		}
	}
	if len(increments) == 0 {
		b.miss("no file of the node %q can be opened", b.Node)
	}
}
