package sink_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/testutil/fakeipfs"
)

func cidOf(data []byte) string {
	sum := sha256.Sum256(data)
	return cid.Of(sum[:])
}

// named are files by the names that they have on IPFS.
type named map[string]string

func (n named) add(data string) (name string) {
	name = fmt.Sprintf("envelopes/%x.age", sha256.Sum256([]byte(data)))
	n[name] = data
	return name
}

func (n named) Names(context.Context) ([][]string, error) {
	var names []string
	for name := range n {
		names = append(names, name)
	}
	return [][]string{names}, nil
}

func (n named) Read(_ context.Context, name string) ([]byte, error) { return []byte(n[name]), nil }

// testNode is the test of a node, real or not, and gateway that of its gateway.
func testNode(t *testing.T, url, gateway string) {
	ctx, from := t.Context(), named{}
	s := open(t, url)
	first, second := from.add("sealed"), from.add("sealed again")
	list, err := s.List(ctx)
	require.NoError(t, err)
	require.NotContains(t, list, first)
	_, err = s.Get(ctx, first)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, s.Check(ctx, first, nil), fs.ErrNotExist)
	r, err := sink.Copy(ctx, from, s, 0, true)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first, second}, r.Copied)
	r, err = sink.Copy(ctx, from, s, 0, true)
	require.NoError(t, err)
	require.Empty(t, r.Copied)
	got, err := s.Get(ctx, first)
	require.NoError(t, err)
	require.Equal(t, "sealed", string(got))

	largest := strings.Repeat("x", 2<<20)
	require.NoError(t, s.Put(ctx, from.add(largest), []byte(largest)))
	err = s.Put(ctx, from.add(largest+"x"), []byte(largest+"x"))
	require.ErrorContains(t, err, "over 2MiB")
	require.ErrorContains(t, s.Put(ctx, "7-manifest.age", nil), "not named by its SHA-256")
	require.ErrorIs(t, s.Put(ctx, first, []byte("other bytes")), sink.ErrAltered)

	g, err := sink.OpenReader(gateway, sink.Credentials{})
	require.NoError(t, err)
	got, err = g.Get(ctx, second)
	require.NoError(t, err)
	require.Equal(t, "sealed again", string(got))
}

func TestANodeOfIPFS(t *testing.T) {
	_, url, gateway := fakeipfs.New(t, cidOf)
	testNode(t, url, gateway)
}

// TestACopyToANodeThatEndsAnywhereGoesOn ends a copy at each of its requests: before the node has
// it, and once it is served.
func TestACopyToANodeThatEndsAnywhereGoesOn(t *testing.T) {
	for _, end := range []string{fakeipfs.HangUp, fakeipfs.NoAnswer} {
		t.Run(end, func(t *testing.T) {
			for k := 0; ; k++ {
				n, url, _ := fakeipfs.New(t, cidOf)
				calls := 0
				n.Fault = func(string) string {
					if calls++; calls > k {
						return end
					}
					return ""
				}
				from := named{}
				from.add("sealed")
				from.add("sealed again")
				_, err := sink.Copy(t.Context(), from, open(t, url), 0, true)
				n.Lock()
				n.Fault = nil
				n.Unlock()
				r, again := sink.Copy(t.Context(), from, open(t, url), 0, true)
				require.NoError(t, again)
				require.Len(t, r.Held, 2)
				require.Len(t, n.Blocks, 2)
				if err == nil {
					require.Greater(t, k, 6)
					return
				}
			}
		})
	}
}

func TestANodeThatGivesOtherBytesIsNotBelieved(t *testing.T) {
	n, url, gateway := fakeipfs.New(t, cidOf)
	from := named{}
	name := from.add("sealed")
	g, err := sink.OpenReader(gateway, sink.Credentials{})
	require.NoError(t, err)
	_, err = g.Get(t.Context(), name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	n.Blocks[cidOf([]byte("sealed"))] = []byte("other bytes")
	_, err = g.Get(t.Context(), name)
	require.ErrorIs(t, err, sink.ErrAltered)
	_, err = open(t, url).Get(t.Context(), name)
	require.ErrorIs(t, err, sink.ErrAltered)
	require.ErrorIs(t, open(t, url).Check(t.Context(), name, []byte("sealed")), sink.ErrAltered)

	_, lying, _ := fakeipfs.New(t, func([]byte) string { return "bafkreia" })
	require.ErrorContains(t, open(t, lying).Put(t.Context(), name, []byte("sealed")), `calls it "bafkreia"`)
	for _, bad := range []string{"ipfs://", "ipfs://127.0.0.1", "ipfs://127.0.0.1:5001/x", "ipfs://h:1?pin=no"} {
		_, err := sink.Open(bad, sink.Credentials{})
		require.ErrorIs(t, err, sink.ErrURL, bad)
	}
	_, err = sink.Open(gateway, sink.Credentials{})
	require.ErrorIs(t, err, sink.ErrURL, "nothing can be put there")
}
