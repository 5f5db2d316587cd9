package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"

	"filippo.io/age"

	"github.com/tssbackup/tssbackup/sanity"
)

// encrypt makes an age file of the stream, with the mnemonic as its passphrase. The copies that age
// takes of the passphrase cannot be wiped.
func encrypt(stream []byte, m *sanity.Mnemonic, workFactor int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(string(m.Bytes()))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(workFactor)
	var envelope bytes.Buffer
	release := scarce(workFactor)
	w, err := age.Encrypt(&envelope, recipient)
	release()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(stream); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return envelope.Bytes(), nil
}

// Decrypt is the first step of Open: it returns what is encrypted in an age file with a passphrase,
// which must not be empty. It has the limits and the errors of Open. The caller wipes the result.
// It serves older formats, whose age files hold something else than an envelope does.
func Decrypt(envelope, passphrase []byte) ([]byte, error) {
	if err := checkForm(envelope); err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(MaxWorkFactor)
	workFactor := workFactorOf(envelope)
	release := scarce(workFactor)
	r, err := age.Decrypt(bytes.NewReader(envelope), identity)
	release()
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		return nil, ErrWrongMnemonic
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// age refuses bytes after the last chunk.
	stream, err := readAll(r, len(envelope), len(envelope))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return stream, nil
}

// collecting is how many runs of scrypt go on, and what the collector's percentage was before them.
var collecting struct {
	sync.Mutex
	runs, percent int
}

// scarce has the process take little memory beside that of a run of scrypt, until what it returns
// is called. What the collector has not looked at yet goes back to the system, before the run and
// after it: the memory that it takes would come on top of it, and on top of that of the run before.
// And the collector, for which a run is reason to let as much again grow beside it, looks after
// each percent. A run that takes little memory is not worth it.
func scarce(workFactor int) (release func()) {
	if workFactor < 14 {
		return func() {}
	}
	c := &collecting
	c.Lock()
	defer c.Unlock()
	if c.runs++; c.runs == 1 {
		debug.FreeOSMemory()
		c.percent = debug.SetGCPercent(1)
	}
	return func() {
		c.Lock()
		defer c.Unlock()
		if c.runs--; c.runs == 0 {
			debug.SetGCPercent(c.percent)
			debug.FreeOSMemory()
		}
	}
}

// workFactorOf reads it from an age file whose form was checked.
func workFactorOf(envelope []byte) (workFactor int) {
	line, _, _ := bytes.Cut(envelope[len(sanity.EnvelopePrefix):], []byte("\n"))
	if i := bytes.LastIndexByte(line, ' '); i >= 0 {
		workFactor, _ = strconv.Atoi(string(line[i+1:]))
	}
	return workFactor
}
