// Package servers runs the real servers that sinks are tested with, as processes of a test. make
// test-sinks installs them.
package servers

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/freeport"
)

const (
	patience = 2 * time.Minute
	poll     = 10 * time.Millisecond
)

// Address is a free one on this host, as host and port.
func Address(t testing.TB) string {
	t.Helper()
	addrs, err := freeport.Addrs(1)
	require.NoError(t, err)
	return addrs[0]
}

// Await returns once something listens at an address.
func Await(t testing.TB, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, patience, poll, "a server at %s", address)
}

// Serve runs a server, with these settings of the environment beside those of the test, until stop
// or the end of the test, and returns once something listens at the address.
func Serve(t testing.TB, address string, env []string, path string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		require.NoError(t, err, "make test-sinks installs the servers")
	}
	stop = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait()
		t.Logf("%s: %s", filepath.Base(path), out.String())
	})
	t.Cleanup(stop)
	Await(t, address)
	return stop
}

// Versitygw is an S3 gateway over an empty folder, with the user of package fakes3, at an endpoint.
// It runs from start until stop, and may be started again.
func Versitygw(t testing.TB, tools string) (endpoint string, start func() (stop func())) {
	t.Helper()
	at, root := Address(t), t.TempDir()
	data, versions := filepath.Join(root, "data"), filepath.Join(root, "versions")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Mkdir(versions, 0o700))
	return at, func() (stop func()) {
		return Serve(t, at, []string{
			"ROOT_ACCESS_KEY=" + fakes3.AccessKey, "ROOT_SECRET_KEY=" + fakes3.SecretKey,
		}, filepath.Join(tools, "versitygw"), "--port", at, "posix", "--versioning-dir", versions, data)
	}
}

// IPFS runs kubo, which knows no other node: the host and port of its API, and of its gateway.
func IPFS(t testing.TB, tools string) (api, gateway string) {
	t.Helper()
	api, gateway = Address(t), Address(t)
	path, env := filepath.Join(tools, "ipfs"), []string{"IPFS_PATH=" + t.TempDir(), "IPFS_TELEMETRY=off"}
	ipfs := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	ipfs("init", "--profile=test", "--empty-repo")
	for key, at := range map[string]string{"Addresses.API": api, "Addresses.Gateway": gateway} {
		host, port, err := net.SplitHostPort(at)
		require.NoError(t, err)
		ipfs("config", key, "/ip4/"+host+"/tcp/"+port)
	}
	Serve(t, api, env, path, "daemon", "--offline")
	Await(t, gateway)
	return api, gateway
}
