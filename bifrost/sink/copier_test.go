package sink

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// shelf is a sink in memory.
type shelf struct {
	sync.Mutex
	files map[string]string
	err   error
	// checks counts how often bytes were compared.
	checks int
}

func (s *shelf) List(context.Context) (map[string]int64, error) {
	s.Lock()
	defer s.Unlock()
	sizes := map[string]int64{}
	for name, data := range s.files {
		sizes[name] = int64(len(data))
	}
	return sizes, s.err
}

func (s *shelf) Get(_ context.Context, name string) ([]byte, error) {
	return []byte(s.files[name]), nil
}

func (s *shelf) Put(_ context.Context, name string, data []byte) error {
	s.Lock()
	defer s.Unlock()
	s.files[name] = string(data)
	return s.err
}

func (s *shelf) Check(_ context.Context, name string, data []byte) error {
	s.Lock()
	defer s.Unlock()
	s.checks++
	got, ok := s.files[name]
	if !ok {
		return fs.ErrNotExist
	}
	return same(name, []byte(got), data, nil)
}

// books are a source whose files hold their names.
type books []string

func (b books) Names(context.Context) ([][]string, error) { return [][]string{b}, nil }

func (b books) Read(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }

// broken is a source that gives nothing.
type broken struct{}

func (broken) Names(context.Context) ([][]string, error) { return nil, errors.New("no node answers") }

func (broken) Read(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }

func newCopier(t *testing.T, from ...Source) (c *Copier, to *shelf, copied *int, now *time.Time) {
	to, copied, now = &shelf{files: map[string]string{}}, new(int), new(time.Time)
	*now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c = NewCopier(CopierConfig{
		Name: "nas", URL: "file:///nas", Sink: to, Sources: from, Log: zerolog.Nop(),
		Copied: func(name string) { *copied++; require.Equal(t, "nas", name) },
	})
	c.now = func() time.Time { return *now }
	return c, to, copied, now
}

func TestACopierComparesEverythingDaily(t *testing.T) {
	c, to, copied, now := newCopier(t, books{"a", "b"})
	require.NoError(t, c.copy(t.Context()))
	require.Zero(t, to.checks)
	require.Equal(t, 1, *copied)
	*now = now.Add(23 * time.Hour)
	to.files["a"] = "other bytes"
	require.NoError(t, c.copy(t.Context()), "names alone are looked at")
	*now = now.Add(time.Hour)
	last := c.Status().LastSuccess
	err := c.copy(t.Context())
	require.ErrorIs(t, err, ErrAltered)
	st := c.Status()
	require.Equal(t, []string{"a"}, st.Altered)
	require.Equal(t, last, st.LastSuccess, "that was none")
	require.Contains(t, st.Problems()[0], "sink nas: other bytes are there under this name")
	require.ErrorIs(t, c.copy(t.Context()), ErrAltered, "it is looked at again at once")
	require.Equal(t, "other bytes", to.files["a"])
	to.files["a"] = "a"
	require.NoError(t, c.copy(t.Context()))
	require.Empty(t, c.Status().Problems())
	require.Equal(t, 3, *copied)
}

func TestASinkThatLosesFilesGetsThemAgainAndIsTold(t *testing.T) {
	c, to, _, _ := newCopier(t, books{"a", "b", "c"})
	to.files["c"] = "c" // from before this process
	require.NoError(t, c.copy(t.Context()))
	require.Zero(t, c.Status().Lost)
	delete(to.files, "b")
	delete(to.files, "c")
	require.NoError(t, c.copy(t.Context()))
	require.Equal(t, 2, c.Status().Lost)
	require.Contains(t, c.Status().Problems()[0], "sink nas had lost 2 files")
	require.Equal(t, []string{"a", "b", "c"}, slices.Sorted(maps.Keys(to.files)))
}

func TestASourceThatGivesNothingKeepsNoOtherBack(t *testing.T) {
	c, to, copied, _ := newCopier(t, broken{}, books{"a"})
	require.ErrorContains(t, c.copy(t.Context()), "no node answers")
	require.Equal(t, "a", to.files["a"])
	require.Zero(t, *copied)
	require.Contains(t, c.Status().Error, "no node answers")
}

func TestAServerThatWasGoneGetsWhatIsNew(t *testing.T) {
	c, to, _, _ := newCopier(t, books{"a"})
	to.err = errors.New("connection refused")
	require.Error(t, c.copy(t.Context()))
	require.Contains(t, c.Status().Problems()[0], "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	to.Lock()
	to.err = nil
	to.Unlock()
	require.NoError(t, c.Wait(t.Context()))
	require.Empty(t, c.Status().Problems())
	cancel()
	running.Wait()
	c.Wake()
	to.Lock()
	delete(to.files, "a")
	to.Unlock()
	c.Close(t.Context())
	require.Equal(t, "a", to.files["a"], "what it was woken for is done at the end")
}
