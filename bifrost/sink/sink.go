// Package sink keeps copies of files where an operator wants them: in a folder, in a bucket of
// S3, on a node of IPFS. It knows nothing of what the files hold.
//
// A file's name says what its bytes are, so it is written once and never again: nothing here
// replaces or removes a file in a sink, and other bytes under a name are an alarm. What a sink
// lacks is found by comparing names, not remembered, so a sink that lost files gets them again.
package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/process"
)

var (
	// ErrAltered means that a file is there under the name, with other bytes. It was not touched.
	ErrAltered = errors.New("other bytes are there under this name")
	// ErrURL means that a URL is not that of a sink.
	ErrURL = errors.New("not the URL of a sink")
)

const (
	// maxFile bounds what is read from a sink, and maxFiles how many names are listed.
	maxFile  = 80 << 20
	maxFiles = 1 << 20
	// fileTimeout is how long one file may take on a network, listTimeout a list of all.
	fileTimeout = 2 * time.Minute
	listTimeout = 10 * time.Minute
)

// A Reader has files by name. A name has slashes in it, and no element of it is a dot or two.
type Reader interface {
	// Get returns a file. The error of one that is not there wraps [fs.ErrNotExist].
	Get(ctx context.Context, name string) ([]byte, error)
}

// A Sink keeps files by name.
type Sink interface {
	Reader
	// List returns the sizes of the files that are there, by name.
	List(ctx context.Context) (map[string]int64, error)
	// Put adds a file, and returns nil once the sink was seen to hold it: it was read back. The
	// error of a name under which other bytes are wraps [ErrAltered]. What is there is not
	// replaced.
	Put(ctx context.Context, name string, data []byte) error
	// Check errs unless the sink holds these bytes under the name, by its own SHA-256 of them
	// where it has one. Its error wraps [ErrAltered] or [fs.ErrNotExist].
	Check(ctx context.Context, name string, data []byte) error
}

// Credentials are what a server asks for; the zero value is for one that asks for nothing. They
// are in no URL, error or log.
type Credentials struct {
	User, Secret string
}

// String redacts the credentials.
func (c Credentials) String() string { return "credentials" }

// GoString redacts the credentials.
func (c Credentials) GoString() string { return "credentials" }

// ReadCredentials reads those in a file, or in the credential of systemd of this name, unless the
// name is empty: the user in the first line, such as the id of an access key, and the secret in the
// second. It refuses a file that others may read. Its error shows nothing of what is in it.
func ReadCredentials(name string) (c Credentials, err error) {
	if name == "" {
		return c, nil
	}
	err = process.Credentials(name, func(data []byte) (err error) {
		c, err = parseCredentials(data)
		return err
	})
	return c, err
}

func parseCredentials(data []byte) (c Credentials, err error) {
	user, rest, _ := bytes.Cut(bytes.TrimRight(data, "\r\n"), []byte("\n"))
	user, rest = bytes.TrimSpace(user), bytes.TrimSpace(rest)
	if len(user) == 0 || len(rest) == 0 || bytes.ContainsAny(rest, "\r\n") {
		return c, errors.New("not two lines: the user, or the id of the access key, and the secret")
	}
	return Credentials{string(user), string(rest)}, nil
}

// Open returns the sink of a URL: file:///mnt/nas/bifrost,
// s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1, or ipfs://127.0.0.1:5001, which
// keeps only what is named by its SHA-256. It asks nobody yet. Its error wraps [ErrURL].
func Open(address string, c Credentials) (Sink, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "file":
		return newFolder(u)
	case "s3":
		return newBucket(u, c)
	case "ipfs":
		return newNode(u, c)
	}
	return nil, fmt.Errorf("%w: %s: its scheme is none of file, s3, ipfs", ErrURL, address)
}

// OpenReader returns the sink of a URL, or a gateway of IPFS, such as https://ipfs.example.org,
// from which files can be had that are named by their SHA-256.
func OpenReader(address string, c Credentials) (Reader, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		return newGateway(u, c)
	}
	return Open(address, c)
}

// ByHash reports whether a place knows files by their SHA-256 alone, as IPFS does: a name stands
// for what has the hash in it.
func ByHash(r Reader) bool {
	switch r.(type) {
	case *node, *gateway:
		return true
	}
	return false
}

// parse reads a URL that has no credentials in it.
func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// The error of url.Parse shows all of what may hold a password.
		return nil, fmt.Errorf("%w: it cannot be read as one", ErrURL)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it has credentials in it, which belong into a file of their own",
			ErrURL)
	case u.Fragment != "":
		return nil, fmt.Errorf("%w: %s: it has a #", ErrURL, address)
	}
	return u, nil
}

// options are the parameters of a URL, each once and none but the known ones.
func options(u *url.URL, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: what follows the ? cannot be read", ErrURL, u)
	}
	got := map[string]string{}
	for _, name := range known {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("%w: %s: %s is there twice", ErrURL, u, name)
		}
		got[name] = values.Get(name)
		delete(values, name)
	}
	for name := range values {
		return nil, fmt.Errorf("%w: %s: %q is unknown", ErrURL, u, name)
	}
	return got, nil
}

// same errs unless what a sink gave back under a name is what it should be.
func same(name string, got, want []byte, err error) error {
	switch {
	case err != nil:
		return err
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return nil
}

func missing(name string) error { return fmt.Errorf("%s: %w", name, fs.ErrNotExist) }
