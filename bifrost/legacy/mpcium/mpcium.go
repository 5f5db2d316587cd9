// Package mpcium reads the encrypted incremental backups that mpcium makes of the Badger store in
// which a node keeps its shares. Nothing in this project writes them, and no Badger is needed to
// read them.
//
// A folder of backups holds one file for each increment, "backup-<node>-<local time>-<n>.enc", and
// latest.version, which names the newest one. An increment has every record whose version is above
// its since, up to its next_since, encrypted with AES-GCM. docs/format.md has the bytes.
//
// [Read] says of what it returns whether it is whole. Each of these has been taken for a success
// elsewhere, and is an error here: an increment that is missing at the beginning, in between or at
// the end, a file that is torn or changed, a folder of another node, a folder with nothing in it.
//
// mpcium does not authenticate the header of a file, and latest.version not at all. What can be
// checked is: the bounds of an increment against the versions of its records, its time against the
// name of its file. Who may write to the folder can still take the newest files away together with
// latest.version, or the oldest ones and call the next a first one.
package mpcium

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/sanity"
)

// The errors that callers tell apart.
var (
	// ErrKey means that the key is none, or opens no backup of this node.
	ErrKey = errors.New("wrong backup encryption key")
	// ErrNone means that there is no backup of this node.
	ErrNone = errors.New("no backup")
	// ErrNodes means that the folder holds the backups of several nodes under this key, and the
	// caller has to name one.
	ErrNodes = errors.New("backups of several nodes")
	// ErrIncomplete means that something is missing, or that files contradict each other.
	ErrIncomplete = errors.New("the backups are not complete")
)

// A Key is a node's backup encryption key. It prints as its id alone.
type Key struct {
	bytes []byte
	id    string
}

// NewKey takes the bytes of a key file: a key of 16, 24 or 32 bytes, which may end with one line
// end that is none of it. The caller wipes raw, and the key when it is done.
func NewKey(raw []byte) (*Key, error) {
	key := raw
	if !keySize(len(key)) {
		key = bytes.TrimSuffix(bytes.TrimSuffix(key, []byte("\n")), []byte("\r"))
	}
	if !keySize(len(key)) {
		return nil, fmt.Errorf("%w: it has %d bytes, not 16, 24 or 32", ErrKey, len(raw))
	}
	sum := sha256.Sum256(key)
	return &Key{bytes: slices.Clone(key), id: fmt.Sprintf("%x", sum[:8])}, nil
}

func keySize(n int) bool { return n == 16 || n == 24 || n == 32 }

// ID names the key as mpcium's files do: by the first 16 hex digits of its SHA-256.
func (k *Key) ID() string { return k.id }

// Wipe overwrites the key, which opens nothing afterwards.
func (k *Key) Wipe() { sanity.Wipe(k.bytes) }

// String names the key and shows nothing of it.
func (k *Key) String() string { return "backup encryption key " + k.id }

// Format prints what String returns, for every verb.
func (k *Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalText gives what String returns.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Record is the newest value of one key of the store. It prints without its value.
type Record struct {
	// Key is the text of whoever wrote the backup, and no name for a file.
	Key string
	// Version is Badger's, which grows with each write.
	Version uint64
	// Value is a secret.
	Value []byte

	deleted bool
	expires time.Time
}

// String names the record and shows nothing of its value.
func (r Record) String() string { return fmt.Sprintf("%q version %d", r.Key, r.Version) }

// Format prints what String returns, for every verb.
func (r Record) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, r.String()) }

// MarshalText gives what String returns.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// A Backup is what the files of one node give together.
type Backup struct {
	// Node is the name of the node.
	Node string
	// Version is that of the newest write in the backups: they are complete up to it.
	Version uint64
	// Confirmed says that latest.version names this version. Without it nothing tells whether a
	// newer backup was made.
	Confirmed bool
	// Records are the keys that the store held at that version, sorted.
	Records []Record
	// Notes are what else there is to say, such as the files of other nodes.
	Notes []string
	// Missing says what keeps the backup from being complete.
	Missing []string
}

// Wipe overwrites the values of all records.
func (b *Backup) Wipe() {
	for _, r := range b.Records {
		sanity.Wipe(r.Value)
	}
}

func (b *Backup) note(format string, args ...any) {
	b.Notes = append(b.Notes, fmt.Sprintf(format, args...))
}

func (b *Backup) miss(format string, args ...any) {
	b.Missing = append(b.Missing, fmt.Sprintf(format, args...))
}

// merge gives the records that the store held after the increments, which are in the order of their
// next_since. An increment tells everything of the versions above its since, up to its end: what
// an earlier one has of those versions and this one has not was deleted, and Badger keeps what
// tells of a deletion for a while only. Where the increments are not whole, that is not relied
// upon.
func merge(increments []*increment, now time.Time, whole bool) []Record {
	state := make(map[string]Record)
	for _, inc := range increments {
		for key, r := range state {
			if whole && r.Version > inc.header.Since {
				delete(state, key)
			}
		}
		for _, r := range inc.records {
			if old, there := state[r.Key]; !there || old.Version <= r.Version {
				state[r.Key] = r
			}
		}
	}
	records := make([]Record, 0, len(state))
	for _, r := range state {
		if !r.deleted && (r.expires.IsZero() || now.Before(r.expires)) {
			r.Value = slices.Clone(r.Value)
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return records
}
