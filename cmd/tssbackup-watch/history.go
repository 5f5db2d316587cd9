package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	// keepFor is how long coverage is remembered, and keepSegments how many stretches of it.
	keepFor      = 400 * 24 * time.Hour
	keepSegments = 20_000
	// joinWithin is how far apart two verified blocks of the same coverage may be so that it is
	// taken to have been the same between them.
	joinWithin = 15 * time.Minute
	// saveEvery is how often what only grew older is written.
	saveEvery = time.Minute
)

// segment is a stretch of the chain's time in which the coverage was the same.
type segment struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Vaults []point   `json:"vaults"`
}

// point is the coverage of a vault.
type point struct {
	Vault     string `json:"vault"`
	Epoch     uint64 `json:"epoch"`
	Members   int    `json:"members"`
	Published int    `json:"published"`
	Proven    int    `json:"proven"`
	Threshold int    `json:"threshold"`
}

func points(r *report) []point {
	all := []point{}
	for _, v := range r.Vaults {
		all = append(all, point{
			v.Vault, v.Epoch, len(v.Members), v.Published, v.Proven, v.Threshold,
		})
	}
	return all
}

// history is what was seen of one chain, on the disk. It is not safe for concurrent use.
type history struct {
	db     *bbolt.DB
	bucket []byte
	// segments do not overlap, and ascend.
	segments []segment
	saved    time.Time
}

// bucketPrefix is before a chain's name in that of its bucket.
const bucketPrefix = "chain/"

// The parts of a chain's bucket.
var (
	segmentsBucket = []byte("segments")
	latestKey      = []byte("latest")
	auditsKey      = []byte("audits")
)

// openStore opens the file in a folder, which it makes if need be. One process has it at a time.
func openStore(dir string) (*bbolt.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "history.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use: another tssbackup-watch runs on it; give --state", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w (move it away to begin anew)", path, err)
	}
	return db, nil
}

// lastFollowed names the chain of which a report was kept last, empty when none can be read.
func lastFollowed(db *bbolt.DB) (chainID string) {
	var latest time.Time
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			of, ok := strings.CutPrefix(string(name), bucketPrefix)
			var r report
			if !ok || json.Unmarshal(b.Get(latestKey), &r) != nil || r.Verified == nil {
				return nil
			}
			if r.Verified.At.After(latest) {
				chainID, latest = of, r.Verified.At
			}
			return nil
		})
	})
	return chainID
}

// of reports whether the history is open, and that of a chain.
func (h *history) of(chainID string) bool {
	return h != nil && string(h.bucket) == bucketPrefix+chainID
}

// openHistory loads what is known of a chain.
func openHistory(
	db *bbolt.DB, chainID string,
) (h *history, latest *report, audits map[string]*audited, err error) {
	h = &history{db: db, bucket: []byte(bucketPrefix + chainID)}
	audits = map[string]*audited{}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(h.bucket)
		if err != nil {
			return err
		}
		all, err := b.CreateBucketIfNotExists(segmentsBucket)
		if err != nil {
			return err
		}
		if data := b.Get(latestKey); data != nil {
			latest = &report{}
			if err := json.Unmarshal(data, latest); err != nil {
				return fmt.Errorf("the latest report: %w", err)
			}
		}
		if data := b.Get(auditsKey); data != nil {
			if err := json.Unmarshal(data, &audits); err != nil {
				return fmt.Errorf("the checks of proofs: %w", err)
			}
		}
		return all.ForEach(func(_, value []byte) error {
			var s segment
			if err := json.Unmarshal(value, &s); err != nil {
				return fmt.Errorf("a stretch of coverage: %w", err)
			}
			h.segments = append(h.segments, s)
			return nil
		})
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s cannot be read: %w (move it away to begin anew)",
			db.Path(), err)
	}
	return h, latest, audits, nil
}

// add takes a report's coverage in, and writes it when it is new, or when the last writing is some
// time ago, or must.
func (h *history) add(r *report, audits map[string]*audited, now time.Time, must bool) error {
	at, seen := r.Verified.BlockTime, points(r)
	fresh := true
	if n := len(h.segments); n > 0 {
		last := &h.segments[n-1]
		switch {
		case at.Before(last.Until):
			return nil // a block before the latest tells nothing new
		case slices.Equal(last.Vaults, seen) && at.Sub(last.Until) <= joinWithin:
			last.Until, fresh = at, false
		case at.Equal(last.From):
			last.Vaults = seen
		case at.Sub(last.Until) <= joinWithin:
			last.Until = at
			if err := h.write(last); err != nil {
				return err
			}
			h.segments = append(h.segments, segment{From: at, Until: at, Vaults: seen})
		default:
			h.segments = append(h.segments, segment{From: at, Until: at, Vaults: seen})
		}
	} else {
		h.segments = append(h.segments, segment{From: at, Until: at, Vaults: seen})
	}
	if !fresh && !must && now.Sub(h.saved) < saveEvery {
		return nil
	}
	h.saved = now
	return h.save(r, audits, now)
}

func (h *history) write(s *segment) error {
	return h.db.Update(func(tx *bbolt.Tx) error {
		return put(tx.Bucket(h.bucket).Bucket(segmentsBucket), key(s), s)
	})
}

// save writes the last segment and the report, and deletes what is too old.
func (h *history) save(r *report, audits map[string]*audited, now time.Time) error {
	return h.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(h.bucket)
		all := b.Bucket(segmentsBucket)
		for len(h.segments) > 1 && (len(h.segments) > keepSegments ||
			now.Sub(h.segments[0].Until) > keepFor) {
			if err := all.Delete(key(&h.segments[0])); err != nil {
				return err
			}
			h.segments = h.segments[1:]
		}
		last := &h.segments[len(h.segments)-1]
		return errors.Join(
			put(all, key(last), last), put(b, latestKey, r), put(b, auditsKey, audits))
	})
}

// key sorts segments by their time.
func key(s *segment) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(s.From.UnixNano()))
}

func put(b *bbolt.Bucket, key []byte, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}
