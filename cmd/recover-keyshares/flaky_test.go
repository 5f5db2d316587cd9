package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/trust"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/flaky"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// rig is a chain of its own, with a network before its node, and a mnemonic to recover with.
type rig struct {
	chainID    string
	node       string
	network    *flaky.Proxy
	words, dir string
	want       map[string]string
}

func newRig(t *testing.T, m *members, i int) *rig {
	node, url := fakenode.New(t)
	node.ChainID = fmt.Sprint("fake-", i)
	r := &rig{chainID: node.ChainID, node: url, network: flaky.New(t, url), dir: t.TempDir(), want: map[string]string{}}
	s := &scene{members: m}
	v := m.vaults["active"]
	node.Vaults = append(node.Vaults, m.vaultInfo("active", types.VaultStatus_VAULT_STATUS_ACTIVE))
	sealed, err := s.seal("active", "good")
	require.NoError(t, err)
	node.Publish(v.Name(), m.infos[0].Address, 10, sealed)
	node.Advance(20)
	for _, f := range v.Files[0] {
		r.want[f.Name] = string(f.Data)
	}
	r.words = filepath.Join(r.dir, "words")
	require.NoError(t, os.WriteFile(r.words, []byte(mnemonics[0]), 0o600))
	return r
}

// nodes are those that the rig's network is one of.
func (r *rig) nodes(arrangement string) []string {
	switch arrangement {
	case "the only node":
		return []string{r.network.URL}
	case "the first of two":
		return []string{r.network.URL, r.node}
	}
	return []string{r.node, r.network.URL}
}

// recover runs a recovery from nothing, and returns its exit code. It errs when anything but whole
// keyshares is there afterwards.
func (r *rig) recover(ctx context.Context, nodes []string) (code int, err error) {
	state, err := command.StateDir("recover-keyshares")
	if err != nil {
		return 0, err
	}
	out := filepath.Join(r.dir, "keyshares")
	if err := errors.Join(os.RemoveAll(trust.Dir(state).Path(r.chainID)), os.RemoveAll(out)); err != nil {
		return 0, err
	}
	var stdout, stderr bytes.Buffer
	cmd := newRoot(&command.Invocation{Stdin: os.Stdin, Stdout: &stdout, Stderr: &stderr})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	args := []string{"--trust-first", "--mnemonic-file", r.words, "--out", out}
	for _, node := range nodes {
		args = append(args, "--node", node)
	}
	cmd.SetArgs(args)
	failure := cmd.ExecuteContext(ctx)
	code = codeOf(failure)

	files, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return code, err
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(out, f.Name()))
		if err != nil || r.want[f.Name()] != string(data) {
			return code, fmt.Errorf("%s is not what it should be: %w", f.Name(), err)
		}
	}
	if complete := len(files) == len(r.want); len(files) > 0 && !complete || complete != (code == codeDone) {
		return code, fmt.Errorf("%d files and exit code %d: %w\n%s", len(files), code, failure, &stderr)
	}
	return code, nil
}

// TestRecoveryThroughABadNetwork has each request of a whole recovery fail in each way, once and
// from there on for good. The recovery works, or ends with the code of what could not be reached.
// It never says that something is wrong about trust, and leaves no half of anything.
func TestRecoveryThroughABadNetwork(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	pause = func(ctx context.Context, _ chain.Retry) error { return ctx.Err() }
	t.Cleanup(func() { pause, nodeTimeout = chain.Pause, chain.DefaultTimeout })
	m := makeMembers(t)
	const side = 16
	rigs := make(chan *rig, side)
	for i := range side {
		rigs <- newRig(t, m, i)
	}
	silent := func(f flaky.Fault) bool { return strings.HasPrefix(f.Name, "silence") }

	requests := map[string]int{}
	arrangements := []string{"the only node", "the first of two", "the second of two"}
	for _, arrangement := range arrangements {
		r := <-rigs
		r.network.Fail(flaky.Fault{}, 0, 0)
		code, err := r.recover(t.Context(), r.nodes(arrangement))
		require.NoError(t, err)
		require.Equal(t, codeDone, code)
		requests[arrangement] = r.network.Requests()
		require.Greater(t, requests[arrangement], 2)
		rigs <- r
	}
	run := func(faults []flaky.Fault, counts ...int) {
		var group errgroup.Group
		group.SetLimit(side)
		for _, arrangement := range arrangements {
			for _, fault := range faults {
				for k := 1; k <= requests[arrangement]; k++ {
					for _, count := range counts {
						group.Go(func() error {
							r := <-rigs
							defer func() { rigs <- r }()
							nodes := r.nodes(arrangement)
							r.network.Fail(fault, k, count)
							code, err := r.recover(t.Context(), nodes)
							works := len(nodes) > 1 || fault.Passes && count < flaky.Always
							if code != codeDone && (works || code != codeUnreachable) {
								err = errors.Join(err, fmt.Errorf("exit code %d", code))
							}
							if err != nil {
								t.Errorf("%s, %s, from request %d on %d times: %v", arrangement, fault.Name, k, count, err)
							}
							return nil
						})
					}
				}
			}
		}
		require.NoError(t, group.Wait())
	}
	run(slices.DeleteFunc(slices.Clone(flaky.Faults), silent), 1, flaky.Always)
	nodeTimeout = 4 * time.Second // half of which a silent node has
	run(slices.DeleteFunc(slices.Clone(flaky.Faults), func(f flaky.Fault) bool { return !silent(f) }), 1)
}
