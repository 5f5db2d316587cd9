package tss

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
)

// random is where a ceremony's instance takes its random numbers from. Each read is HKDF over fresh
// randomness of the system, a secret of this member, the session, and how often it was read. So two
// copies of one virtual machine, whose systems give the same randomness once more, do not use a
// nonce twice in two sessions, and a weak source of the system alone shows nothing.
type random struct {
	system io.Reader
	secret []byte
	info   []byte

	mu    sync.Mutex
	reads uint64
}

func newRandom(session hash, protocol string, secret []byte) *random {
	info := append([]byte("tssbackup/tss/random/v1"), session[:]...)
	return &random{system: rand.Reader, secret: secret, info: append(info, protocol...)}
}

// maxExpand is what HKDF with SHA-256 gives at once.
const maxExpand = 255 * sha256.Size

// Read never gives fewer bytes than were asked for without an error. tss-lib reads in several
// goroutines.
func (r *random) Read(p []byte) (int, error) {
	for done := 0; done < len(p); {
		fresh := make([]byte, 2*sha256.Size)
		if _, err := io.ReadFull(r.system, fresh); err != nil {
			return done, err
		}
		r.mu.Lock()
		r.reads++
		info := binary.BigEndian.AppendUint64(append([]byte(nil), r.info...), r.reads)
		r.mu.Unlock()
		out, err := hkdf.Key(
			sha256.New,
			append(fresh, r.secret...),
			nil,
			string(info),
			min(len(p)-done, maxExpand),
		)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], out)
	}
	return len(p), nil
}
