package homebackup

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// An Owner is whose home it is that is backed up.
type Owner struct {
	Home    string
	ChainID string
	// Prefix is that of the chain's addresses.
	Prefix string
	// Keys open the home; what is backed up is sealed for all of their recipients.
	Keys *keystore.Keys
	Key  *signer.Key
	// Mnemonic is backed up for MnemonicFor alone, who are none of the home; nil for not at all.
	Mnemonic    *sanity.Mnemonic
	MnemonicFor []string
}

func (o Owner) keys() Keys { return Keys{o.Keys, o.Key.PubKey()} }

// Created tells of a backup that was made.
type Created struct {
	// Manifest is the newest of the home, which is this backup unless it is unchanged.
	Manifest  *Manifest
	Unchanged bool
	// First says that the home had no store in the folder before.
	First bool
	// Objects and Bytes are what was written, manifest included.
	Objects int
	Bytes   int64
	// Fork is the id of the store that another process writes to as well, as one with a copy of
	// the home does. It is left to that one, and empty when there is none.
	Fork string
	// Damaged are files that the backup lacks, or has as they were in the one before, and why.
	Damaged []Damage
}

// A Damage is a file that is not as it should be.
type Damage struct {
	Name string
	// Epoch is that of a keyshare.
	Epoch uint64
	// Object is empty when it is a file of a home, or when a manifest is damaged.
	Object string
	Err    error
}

func (d Damage) Error() string { return d.Name + ": " + d.Err.Error() }

// Unwrap returns Err.
func (d Damage) Unwrap() error { return d.Err }

// Create makes a backup of a home in a folder, unless the newest of the home is of the same files.
// A bifrost may run in the home. The error of another backup that is made at the same time wraps
// [ErrBusy]. After an error there is no new backup, or it is whole.
func Create(ctx context.Context, o Owner, dir string, now time.Time) (*Created, error) {
	if err := apart(o.Home, dir); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(home.RestoringPath(o.Home)); err == nil {
		return nil, fmt.Errorf("%w: %s", home.ErrRestoring, o.Home)
	}
	unlock, err := lockState(o.Home)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := &creation{Owner: o, dir: dir, created: &Created{}}
	if err := c.choose(); err != nil {
		return nil, err
	}
	err = c.collect(ctx)
	if err == nil {
		err = c.finish(ctx, now)
	}
	if err != nil {
		c.discard()
		return nil, err
	}
	return c.created, nil
}

// apart errs when a home and the folder of its backups are one within the other.
func apart(homeDir, dir string) error {
	var paths [2]string
	for i, p := range []string{homeDir, dir} {
		abs, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		paths[i] = resolved(abs) + string(filepath.Separator)
	}
	if strings.HasPrefix(paths[0], paths[1]) || strings.HasPrefix(paths[1], paths[0]) {
		return fmt.Errorf("%s and the home are one within the other: choose another folder", dir)
	}
	return nil
}

// resolved is an absolute path without the links on the way to it, of which a part may be missing.
func resolved(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if up := filepath.Dir(path); err != nil && up != path {
		return filepath.Join(resolved(up), filepath.Base(path))
	}
	if err != nil {
		return path
	}
	return real
}

// A creation is one backup on its way.
type creation struct {
	Owner
	dir   string
	store store
	// state is what the home remembers of it, and saved what of that is on the disk.
	state, saved state
	// before is the manifest that this one follows, nil for none.
	before *Manifest
	// files are those of this one, but the trusted headers, which are in headers until it is
	// certain that there is a backup: they never cause one.
	files   []File
	headers []header
	// objects are known ones that all recipients open, by the SHA-256 of what they hold.
	objects map[string]string
	// written are the objects that were added to the store, until a manifest may name them.
	written []string
	created *Created
}

// A header is a file with its contents, which are no secret.
type header struct {
	File
	plain []byte
}

// choose finds the store of this home in the folder, and the manifest that was written last.
func (c *creation) choose() error {
	known, err := states(c.Home)
	if err != nil {
		return err
	}
	for _, s := range known {
		at := store{c.dir, s.id}
		_, err := os.Stat(filepath.Join(c.dir, s.id))
		begun := s.Sequence > 0 || s.Next != ""
		if errors.Is(err, fs.ErrNotExist) && begun {
			continue // its folder is another one
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.saved = s
		fork, before, err := resume(at, &s, c.keys())
		if err != nil {
			return err
		}
		if !fork {
			c.store, c.state, c.before = at, s, before
			return nil
		}
		c.created.Fork = s.id
		if err := durable.Remove(s.path(c.Home)); err != nil {
			return err
		}
	}
	c.created.First = true
	c.state = state{id: newID()}
	c.store = store{c.dir, c.state.id}
	return c.remember()
}

// remember saves the state.
func (c *creation) remember() error {
	if c.state == c.saved {
		return nil
	}
	if err := c.state.save(c.Home); err != nil {
		return err
	}
	c.saved = c.state
	return nil
}

// resume brings the state up to what the store holds. A fork is a manifest that is not older than
// the last one that the home knows to be its own, and that it did not write.
func resume(at store, s *state, keys Keys) (fork bool, before *Manifest, err error) {
	places, err := at.manifests()
	if err != nil {
		return false, nil, err
	}
	if s.Next != "" {
		next := manifestID(s.Sequence+1, s.Next)
		if slices.ContainsFunc(places, func(p place) bool { return p.id() == next }) {
			s.Sequence, s.SHA256 = s.Sequence+1, s.Next
		}
		s.Next = ""
	}
	for _, p := range places {
		m, err := at.open(p, keys)
		if err != nil {
			continue // verify tells
		}
		if p.id() != s.last() && p.sequence >= s.Sequence {
			return true, nil, nil
		}
		if before == nil {
			before = m
		}
		if p.sequence < s.Sequence {
			break
		}
	}
	return false, before, nil
}

// looks is how often a home is looked at in which files move all the while.
const looks = 5

// collect gathers the files of the home, and writes the objects that the store lacks.
func (c *creation) collect(ctx context.Context) error {
	c.objects = map[string]string{}
	if c.before != nil && slices.Equal(c.before.Recipients, c.Keys.Recipients()) {
		for _, f := range c.before.Files {
			if !f.IsMnemonic() {
				c.objects[f.SHA256] = f.Object
			}
		}
	}
	var live map[string]File
	var err error
	for range looks {
		live, c.headers = map[string]File{}, nil
		c.created.Damaged, err = eachLive(c.Home, c.keys(), func(f File, plain []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f.Size, f.SHA256 = int64(len(plain)), sumOf(plain)
			if err := f.checkName(); err != nil {
				return err
			}
			if f.isHeader() {
				c.headers = append(c.headers, header{f, bytes.Clone(plain)})
				return nil
			}
			put, err := c.put(f, plain)
			live[f.Name] = put
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	c.files = []File{}
	for _, f := range live {
		c.files = append(c.files, f)
	}
	if err := c.addMnemonic(); err != nil {
		return fmt.Errorf("%s: %w", mnemonicName, err)
	}
	sortFiles(c.files)
	return c.keep()
}

// addMnemonic adds the mnemonic, if it is to be backed up. Its object does not open here, so one
// that was written before is known by what the manifest before says that it holds, and for whom it
// is sealed. The SHA-256 of 24 words tells nobody the words: there are 2^256 of them.
func (c *creation) addMnemonic() error {
	if c.Mnemonic == nil {
		return nil
	}
	if err := c.Mnemonic.CheckSeal(); err != nil {
		return err
	}
	plain := append(bytes.Clone(c.Mnemonic.Bytes()), '\n')
	defer sanity.Wipe(plain)
	f := File{Name: mnemonicName, Size: int64(len(plain)), SHA256: sumOf(plain)}
	known := ""
	if c.before != nil && slices.Equal(c.before.MnemonicFor, c.MnemonicFor) {
		for _, o := range c.before.Files {
			if o.IsMnemonic() && o.SHA256 == f.SHA256 {
				known = o.Object
			}
		}
	}
	var err error
	f.Object, err = c.putSealed(known, func() ([]byte, error) {
		return c.Keys.SealFor(plain, c.MnemonicFor)
	})
	c.files = append(c.files, f)
	return err
}

// mnemonicFor are those for whom the mnemonic is sealed, if it is to be backed up.
func (c *creation) mnemonicFor() []string {
	if c.Mnemonic == nil {
		return nil
	}
	return c.MnemonicFor
}

// keep adds the keyshares of the backup before that the home has no more, or not whole.
func (c *creation) keep() error {
	if c.before == nil {
		return nil
	}
	for _, f := range c.before.Files {
		count := len(c.files)
		if f.IsKeyshare() {
			c.files = addKeyshare(c.files, f)
		}
		if len(c.files) == count {
			continue
		}
		_, plain, err := c.store.openFile(f, c.keys())
		if err != nil {
			c.created.Damaged = append(c.created.Damaged, Damage{f.Name, f.Epoch, f.Object, err})
			continue
		}
		put, err := c.put(c.files[count], plain)
		sanity.Wipe(plain)
		if err != nil {
			return err
		}
		c.files[count] = put
	}
	sortFiles(c.files)
	return nil
}

// put returns the file with the object that holds these contents: the one that is known, when it is
// in the store as it was written, else a new one.
func (c *creation) put(f File, plain []byte) (File, error) {
	seal := func() ([]byte, error) { return c.Keys.SealForAll(plain) }
	object, err := c.putSealed(c.objects[f.SHA256], seal)
	if err != nil {
		return f, fmt.Errorf("%s: %w", f.Name, err)
	}
	c.objects[f.SHA256], f.Object = object, object
	return f, nil
}

// putSealed returns a known object, or a new one of what seal seals.
func (c *creation) putSealed(
	known string,
	seal func() ([]byte, error),
) (object string, err error) {
	if known != "" {
		if _, err := c.store.object(known); err == nil {
			return known, nil
		}
	}
	sealed, err := seal()
	if err != nil {
		return "", err
	}
	object = sumOf(sealed)
	c.written = append(c.written, object)
	if err := write(c.store.path(objectsDir, object), sealed); err != nil {
		return "", err
	}
	c.created.Objects++
	c.created.Bytes += int64(len(sealed))
	return object, nil
}

// finish writes the manifest, unless the one before says the same and is in the store.
func (c *creation) finish(ctx context.Context, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	recipients := c.Keys.Recipients()
	if b := c.before; b != nil && b.ID() == c.state.last() && b.ChainID == c.ChainID &&
		slices.Equal(b.Recipients, recipients) &&
		slices.Equal(b.MnemonicFor, c.mnemonicFor()) &&
		slices.Equal(withoutHeaders(b.Files), c.files) && c.hasHeaders(b) {
		c.created.Manifest, c.created.Unchanged = b, true
		return c.remember()
	}
	for _, h := range c.headers {
		f, err := c.put(h.File, h.plain)
		if err != nil {
			return err
		}
		c.files = append(c.files, f)
	}
	sortFiles(c.files)
	m := &Manifest{
		Format: format, ChainID: c.ChainID, Signer: c.Key.Bech32(c.Prefix),
		PubKey: hex.EncodeToString(c.Key.PubKey()), Store: c.store.id, Writer: writer,
		Sequence: c.state.Sequence + 1, Previous: c.state.SHA256,
		Time: now.UTC().Truncate(time.Second), Recipients: recipients,
		MnemonicFor: c.mnemonicFor(), Files: c.files,
	}
	plain, err := m.sign(c.Key)
	if err != nil {
		return err
	}
	if _, err := parseManifest(plain); err != nil {
		return fmt.Errorf("the manifest: %w", err)
	}
	sealed, err := c.Keys.SealForAll(plain)
	if err != nil {
		return err
	}
	m.sum = sumOf(sealed)
	// What is remembered first tells, after a crash, that the manifest is this home's.
	c.state.Next = m.sum
	if err := c.remember(); err != nil {
		return err
	}
	if err := c.writeManifest(m, sealed); err != nil {
		return err
	}
	c.state.Sequence, c.state.SHA256, c.state.Next = m.Sequence, m.sum, ""
	if err := c.remember(); err != nil {
		return err
	}
	c.created.Manifest = m
	c.created.Bytes += int64(len(sealed))
	return c.settled(m)
}

// writeManifest writes the manifest. When it is certainly not there after an error, what it names
// is still to be discarded.
func (c *creation) writeManifest(m *Manifest, sealed []byte) error {
	written := c.written
	c.written = nil
	path := c.store.path(manifestsDir, m.ID())
	err := write(path, sealed)
	if err == nil {
		return nil
	}
	folder := durable.SyncFolder(filepath.Dir(path))
	_, file := os.Lstat(path)
	if errors.Is(file, fs.ErrNotExist) && (folder == nil || errors.Is(folder, fs.ErrNotExist)) {
		c.written = written
	}
	return err
}

// discard removes the objects of a backup that failed: on a disk that is almost full the next try
// would add its own to them, until nothing fits.
func (c *creation) discard() {
	for _, object := range c.written {
		_ = durable.Remove(c.store.path(objectsDir, object)) // it does no harm
	}
}

// hasHeaders reports whether the store has the headers that a manifest names. The other objects are
// read when the home's files are.
func (c *creation) hasHeaders(m *Manifest) bool {
	return !slices.ContainsFunc(m.Files, func(f File) bool {
		if !f.isHeader() {
			return false
		}
		_, err := c.store.object(f.Object)
		return err != nil
	})
}

// settled makes sure that nobody has removed an object meanwhile, and looks for a manifest that a
// copy of the home wrote at the same time.
func (c *creation) settled(m *Manifest) error {
	for _, f := range m.Files {
		damaged := func(d Damage) bool { return d.Object == f.Object }
		if slices.ContainsFunc(c.created.Damaged, damaged) {
			continue
		}
		if _, err := os.Stat(c.store.path(objectsDir, f.Object)); err != nil {
			return fmt.Errorf("%w: %s: %w: run the backup again", ErrDamaged, f.Name, err)
		}
	}
	places, err := c.store.manifests()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(places, func(p place) bool {
		if p.id() == m.ID() || p.sequence < m.Sequence {
			return false
		}
		_, err := c.store.open(p, c.keys())
		return err == nil // what is not in order nobody wrote who has the mnemonic; verify tells
	}) {
		c.created.Fork = c.store.id
	}
	return nil
}

func withoutHeaders(files []File) []File {
	return slices.DeleteFunc(slices.Clone(files), File.isHeader)
}

// writer is the id of this process.
var writer = newID()
