package sink_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
)

var credentials = sink.Credentials{User: fakes3.AccessKey, Secret: fakes3.SecretKey}

func open(t testing.TB, url string) sink.Sink {
	s, err := sink.Open(url, credentials)
	require.NoError(t, err)
	return s
}

// files are a source in memory.
type files struct {
	groups [][]string
	data   map[string]string
	unfit  string
}

func source() *files {
	return &files{
		groups: [][]string{{"s/objects/a", "s/objects/b", "s/objects/c"}, {"s/manifests/1"}},
		data:   map[string]string{"s/objects/a": "aa", "s/objects/b": "bbb", "s/objects/c": "", "s/manifests/1": "abc"},
	}
}

func (f *files) Names(context.Context) ([][]string, error) { return f.groups, nil }

func (f *files) Read(_ context.Context, name string) ([]byte, error) {
	if name == f.unfit {
		return nil, fmt.Errorf("%w: %s", sink.ErrUnfit, name)
	}
	return []byte(f.data[name]), nil
}

// each runs a test with a sink of every kind. Spoil puts other bytes under a name behind the sink's
// back, and lose takes a file away.
func each(t *testing.T, test func(t *testing.T, s sink.Sink, spoil func(name, data string), lose func(name string))) {
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
		test(t, open(t, "file://"+dir), func(name, data string) {
			require.NoError(t, os.MkdirAll(filepath.Dir(path(name)), 0o700))
			require.NoError(t, os.WriteFile(path(name), []byte(data), 0o600))
		}, func(name string) { require.NoError(t, os.Remove(path(name))) })
	})
	for _, kind := range []struct {
		name string
		set  func(*fakes3.Server)
	}{
		{"bucket", func(*fakes3.Server) {}},
		{"bucket that passes conditions over", func(s *fakes3.Server) { s.Overwrites = true }},
		{"bucket that knows no conditions", func(s *fakes3.Server) { s.RefuseConditions = true }},
		{"bucket that keeps marks of what was deleted", func(s *fakes3.Server) { s.Marks = true }},
		{"bucket without checksums", func(s *fakes3.Server) { s.NoChecksums = true }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			server, url := fakes3.New(t)
			kind.set(server)
			test(t, open(t, url), func(name, data string) {
				server.Lock()
				defer server.Unlock()
				server.Objects["p/"+name] = []byte(data)
			}, func(name string) {
				server.Lock()
				defer server.Unlock()
				delete(server.Objects, "p/"+name)
			})
		})
	}
}

func TestASinkKeepsFilesAndReplacesNone(t *testing.T) {
	each(t, func(t *testing.T, s sink.Sink, spoil func(name, data string), _ func(string)) {
		ctx := t.Context()
		_, err := s.Get(ctx, "s/objects/a")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorIs(t, s.Check(ctx, "s/objects/a", []byte("aa")), fs.ErrNotExist)
		for name, data := range source().data {
			require.NoError(t, s.Put(ctx, name, []byte(data)))
			require.NoError(t, s.Put(ctx, name, []byte(data)), "again")
			require.NoError(t, s.Check(ctx, name, []byte(data)))
			got, err := s.Get(ctx, name)
			require.NoError(t, err)
			require.Equal(t, data, string(got))
		}
		spoil("s/objects/a", "xx")
		require.ErrorIs(t, s.Check(ctx, "s/objects/a", []byte("aa")), sink.ErrAltered)
		require.ErrorIs(t, s.Put(ctx, "s/objects/a", []byte("aa")), sink.ErrAltered)
		got, err := s.Get(ctx, "s/objects/a")
		require.NoError(t, err)
		require.Equal(t, "xx", string(got), "it is left as it is")
		list, err := s.List(ctx)
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"s/objects/a": 2, "s/objects/b": 3, "s/objects/c": 0, "s/manifests/1": 3}, list)
	})
}

func TestACopyIsTheDifferenceOfNames(t *testing.T) {
	each(t, func(t *testing.T, s sink.Sink, spoil func(name, data string), lose func(string)) {
		ctx, from := t.Context(), source()
		r, err := sink.Copy(ctx, from, s, 0, false)
		require.NoError(t, err)
		require.Equal(t, slices.Concat(from.groups...), r.Copied)
		require.Equal(t, r.Copied, r.Held)
		require.EqualValues(t, 8, r.Bytes)
		r, err = sink.Copy(ctx, from, s, 0, true)
		require.NoError(t, err)
		require.Empty(t, r.Copied)

		lose("s/objects/b")
		r, err = sink.Copy(ctx, from, s, 0, false)
		require.NoError(t, err)
		require.Equal(t, []string{"s/objects/b"}, r.Copied)

		spoil("s/objects/b", "xxx")
		_, err = sink.Copy(ctx, from, s, 0, false)
		require.NoError(t, err, "names alone do not show it")
		from.groups[1] = append(from.groups[1], "s/manifests/2")
		r, err = sink.Copy(ctx, from, s, 0, true)
		require.ErrorIs(t, err, sink.ErrAltered)
		require.Equal(t, []string{"s/objects/b"}, r.Altered)
		require.Equal(t, []string{"s/manifests/2"}, r.Copied, "all else is there")
		got, err := s.Get(ctx, "s/objects/b")
		require.NoError(t, err)
		require.Equal(t, "xxx", string(got))
	})
}

func TestADamagedFileKeepsNoOtherFromBeingCopied(t *testing.T) {
	each(t, func(t *testing.T, s sink.Sink, _ func(name, data string), _ func(string)) {
		from := source()
		from.unfit = "s/objects/a"
		r, err := sink.Copy(t.Context(), from, s, 0, false)
		require.NoError(t, err)
		require.Len(t, r.Copied, 3)
		require.Len(t, r.Unfit, 1)
	})
}

func TestASinkHoldsNoMoreThanItMay(t *testing.T) {
	each(t, func(t *testing.T, s sink.Sink, _ func(name, data string), _ func(string)) {
		_, err := sink.Copy(t.Context(), source(), s, 7, false)
		require.ErrorContains(t, err, "max_bytes, 7")
		list, err := s.List(t.Context())
		require.NoError(t, err)
		require.NotContains(t, list, "s/manifests/1", "manifests are last")
		_, err = sink.Copy(t.Context(), source(), s, 8, false)
		require.NoError(t, err)
	})
}

// TestACopyThatEndsAnywhereGoesOn ends a copy at each of its requests: before the server has it, and
// once it is served.
func TestACopyThatEndsAnywhereGoesOn(t *testing.T) {
	for _, end := range []string{fakes3.HangUp, fakes3.NoAnswer} {
		t.Run(end, func(t *testing.T) { testEnds(t, end) })
	}
}

func testEnds(t *testing.T, end string) {
	const atMost = 100
	for k := range atMost {
		server, url := fakes3.New(t)
		calls := 0
		server.Fault = func(string, string) (int, string) {
			calls++
			// The client asks once more, in vain.
			if calls > k {
				return 0, end
			}
			return 0, ""
		}
		_, err := sink.Copy(t.Context(), source(), open(t, url), 0, true)
		server.Lock()
		server.Fault = nil
		if server.Objects["p/s/manifests/1"] != nil {
			require.Len(t, server.Objects, 4, "a manifest is there after all that it names")
		}
		server.Unlock()
		_, again := sink.Copy(t.Context(), source(), open(t, url), 0, true)
		require.NoError(t, again)
		require.Len(t, server.Puts, 4, "nothing is written twice")
		if err == nil {
			require.Greater(t, k, 12)
			return
		}
	}
	t.Fatal("it never ends")
}

func TestAFolderThatIsFullOrGoneTakesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	for n := 1; ; n++ {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "s")))
		full := disk.FailAt(t, dir, n)
		_, err := sink.Copy(t.Context(), source(), s, 0, true)
		full.Mend()
		reached := full.Reached()
		_, again := sink.Copy(t.Context(), source(), s, 0, true)
		require.NoError(t, again)
		list, err2 := s.List(t.Context())
		require.NoError(t, err2)
		require.Len(t, list, 4, "and what a write left behind is no file")
		if !reached {
			require.NoError(t, err)
			break
		}
	}
	gone := open(t, "file://"+filepath.Join(dir, "not-mounted"))
	require.ErrorIs(t, gone.Put(t.Context(), "a", nil), fs.ErrNotExist)
	require.NoDirExists(t, filepath.Join(dir, "not-mounted"), "it would be on the disk of this host")
}

func TestWhatIsWrongWithABucketIsSaid(t *testing.T) {
	for _, row := range []struct {
		code   string
		status int
		says   string
	}{
		{"InvalidAccessKeyId", 403, "are the credentials in the file those of this server?"},
		{"SignatureDoesNotMatch", 403, "are the credentials in the file those of this server?"},
		{"AccessDenied", 403, "the user must be able to list the bucket"},
		{"RequestTimeTooSkewed", 403, "set the clock of this host"},
		{"NoSuchBucket", 404, "make the bucket"},
		{"SlowDown", 503, "SlowDown"},
	} {
		t.Run(row.code, func(t *testing.T) {
			server, url := fakes3.New(t)
			server.Fault = func(string, string) (int, string) { return row.status, row.code }
			_, err := open(t, url).List(t.Context())
			require.ErrorContains(t, err, row.says)
			err = open(t, url).Put(t.Context(), "a", []byte("x"))
			require.Error(t, err)
			require.NotErrorIs(t, err, fs.ErrNotExist)
			require.NotContains(t, err.Error(), fakes3.SecretKey)
		})
	}
	t.Run("a clock that is ahead", func(t *testing.T) {
		server, url := fakes3.New(t)
		server.Ahead = 20 * time.Minute
		_, err := sink.Copy(t.Context(), source(), open(t, url), 0, false)
		require.ErrorContains(t, err, "set the clock of this host")
		server.Ahead = -10 * time.Minute
		require.NoError(t, open(t, url).Put(t.Context(), "a", []byte("x")))
	})
	t.Run("an authority that nobody knows", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		_, err := open(t, "s3://copies?endpoint="+server.URL).List(t.Context())
		require.ErrorContains(t, err, "trust its authority")
	})
}

func TestAServerThatGivesOtherBytesBackHasStoredNothing(t *testing.T) {
	server, url := fakes3.New(t)
	server.NoChecksums = true
	server.Fault = func(method, key string) (int, string) {
		if method == http.MethodGet && key != "" {
			server.Objects[key] = []byte("lies")
		}
		return 0, ""
	}
	require.ErrorIs(t, open(t, url).Put(t.Context(), "a", []byte("four")), sink.ErrAltered)
}

func TestFetch(t *testing.T) {
	server, url := fakes3.New(t)
	_, err := sink.Copy(t.Context(), source(), open(t, url), 0, false)
	require.NoError(t, err)
	server.Objects["p/../../escape"] = []byte("x")
	server.Objects["elsewhere"] = []byte("x")
	broken := 0
	server.Fault = func(method, key string) (int, string) {
		if broken++; broken == 2 {
			return 503, "SlowDown"
		}
		return 0, ""
	}
	dir := filepath.Join(t.TempDir(), "deep", "down")
	wanted := func(name string) bool { return strings.HasPrefix(name, "s/") }
	require.NoError(t, sink.Fetch(t.Context(), open(t, url), dir, wanted))
	require.Equal(t, source().data, disk.Tree(t, dir))
	require.Greater(t, broken, 4)
	server.Fault = func(string, string) (int, string) { return 403, "AccessDenied" }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, sink.Fetch(ctx, open(t, url), dir, wanted))
}

func TestURLs(t *testing.T) {
	for _, bad := range []string{
		"", "/mnt/nas", "file://nas/dir", "file:relative", "file:///mnt?x=1", "https://x", "s3://", "s3://b?endpoint=ftp://x",
		"s3://b?endpoint=a&endpoint=b", "s3://b?acl=public", "s3://b/a/../c", "s3://b?endpoint=http://h/path", "s3://b#x",
	} {
		_, err := sink.Open(bad, sink.Credentials{})
		require.ErrorIs(t, err, sink.ErrURL, bad)
	}
	for _, leak := range []string{"s3://user:hunter2@bucket", "s3://user:hunter2@%zz"} {
		_, err := sink.Open(leak, sink.Credentials{})
		require.ErrorIs(t, err, sink.ErrURL)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for _, good := range []string{"file:///mnt/nas", "s3://bucket", "s3://bucket/a/b?endpoint=s3.example.org&region=eu-1"} {
		_, err := sink.Open(good, sink.Credentials{})
		require.NoError(t, err, good)
	}
}

func TestCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	read := func(text string) (sink.Credentials, error) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return sink.ReadCredentials(path)
	}
	c, err := read("key\r\nsecret words\n")
	require.NoError(t, err)
	require.Equal(t, sink.Credentials{User: "key", Secret: "secret words"}, c)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", c, c, c, c), "secret")
	for _, bad := range []string{"", "key", "key\n", "\nsecret", "a\nhunter2\nc"} {
		_, err := read(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestCredentialsComeFromAFileOfTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bucket")
	require.NoError(t, os.WriteFile(path, []byte("key\nhunter2\n"), 0o600))
	c, err := sink.ReadCredentials(path)
	require.NoError(t, err)
	require.Equal(t, sink.Credentials{User: "key", Secret: "hunter2"}, c)
	c, err = sink.ReadCredentials("")
	require.NoError(t, err)
	require.Zero(t, c)

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = sink.ReadCredentials(path)
	require.ErrorContains(t, err, "others may read")
	_, err = sink.ReadCredentials("bucket")
	require.ErrorContains(t, err, "systemd hands no credential bucket over")
	require.NoError(t, os.Chmod(path, 0o440))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	c, err = sink.ReadCredentials("bucket")
	require.NoError(t, err, "a group of the service alone may read it there")
	require.Equal(t, "hunter2", c.Secret)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("hunter2\n"), 0o600))
	_, err = sink.ReadCredentials("bucket")
	require.ErrorContains(t, err, "not two lines")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.WriteFile(path, make([]byte, 5000), 0o600))
	_, err = sink.ReadCredentials(path)
	require.ErrorContains(t, err, "is larger than 4096 bytes")
}
