package readme

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/freeport"
)

func TestRecipe(t *testing.T) {
	page := "# A\n```sh\nno\n```\n## B\ntext\n```sh\n# one\ntwo\n```\n```\nno\n```\n```sh\nthree\n```\n### C\n```sh\nno\n```\n"
	blocks, err := Recipe(page, "B")
	require.NoError(t, err)
	require.Equal(t, []string{"# one\ntwo\n", "three\n"}, blocks)
	_, err = Recipe(page, "D")
	require.ErrorContains(t, err, "no commands")
}

// host is a user on a machine of its own: a home, and ports.
type host struct {
	t        *testing.T
	home     string
	env      []string
	rpc, p2p string // host:port of the node
}

func newHost(t *testing.T, bin string) *host {
	// The path of bifrost's socket may have a hundred bytes or so.
	home, err := os.MkdirTemp("", "readme")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	addrs, err := freeport.Addrs(6)
	require.NoError(t, err)
	_, port, _ := strings.Cut(addrs[2], ":")
	h := &host{t: t, home: home, rpc: addrs[0], p2p: addrs[1]}
	// The recipes use the default ports, of which two hosts on one machine have no pair.
	h.env = append(os.Environ(),
		"HOME="+home, "XDG_DATA_HOME=", "PATH="+bin+":"+os.Getenv("PATH"),
		"TSSBACKUPD_NODE=tcp://"+addrs[0], "TSSBACKUPD_RPC_LADDR=tcp://"+addrs[0],
		"TSSBACKUPD_P2P_LADDR=tcp://"+addrs[1], "TSSBACKUPD_RPC_PPROF_LADDR="+addrs[4],
		"TSSBACKUPD_GRPC_ADDRESS="+addrs[5], "TSSBACKUPD_CONSENSUS_TIMEOUT_COMMIT=500ms",
		"BIFROST_NODE=http://"+addrs[0], "BIFROST_P2P_LISTEN=/ip4/127.0.0.1/tcp/"+port,
		"BIFROST_METRICS_LISTEN="+addrs[3],
	)
	return h
}

// paste runs lines in a shell and returns everything that was printed. What they start in the
// background ends with the test.
func (h *host) paste(lines string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	output, err := os.CreateTemp(h.home, "output")
	require.NoError(h.t, err)
	defer output.Close()
	shell := exec.CommandContext(ctx, "bash", "-c", lines)
	shell.Dir, shell.Env, shell.Stdout, shell.Stderr = h.home, h.env, output, output
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(h.t, shell.Start())
	group := -shell.Process.Pid
	h.t.Cleanup(func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	failed := shell.Wait()
	printed, err := os.ReadFile(output.Name())
	require.NoError(h.t, err)
	require.NoError(h.t, failed, "%s\n%s", printed, h.logs())
	return string(printed)
}

func (h *host) logs() string {
	var text strings.Builder
	for _, name := range []string{"node.log", "bifrost.log"} {
		data, _ := os.ReadFile(filepath.Join(h.home, name))
		text.WriteString("== " + name + "\n" + string(data[max(0, len(data)-4000):]) + "\n")
	}
	return text.String()
}

// TestRecipesWorkWhenPasted runs the own lines of docs/try.md on two hosts: the first makes a chain, the
// second joins it. Both end with a registered signer.
func TestRecipesWorkWhenPasted(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "try.md"))
	require.NoError(t, err)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/tssbackupd", "./cmd/bifrost")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	one, two := newHost(t, bin), newHost(t, bin)
	recipe, err := Recipe(string(page), "A chain of one validator")
	require.NoError(t, err)
	require.Len(t, recipe, 1)
	require.Regexp(t, `state +ready`, one.paste(recipe[0]))

	join, err := Recipe(string(page), "Join a chain")
	require.NoError(t, err)
	require.Len(t, join, 2)
	id := strings.TrimSpace(one.paste("tssbackupd comet show-node-id"))
	at := strings.NewReplacer(
		"http://10.0.0.1:26657", "http://"+one.rpc, "NODE_ID@10.0.0.1:26656", id+"@"+one.p2p)
	require.Contains(t, two.paste(at.Replace(join[0])), "chain try-1, SHA-256 ")
	address := strings.TrimSpace(two.paste("tssbackupd keys show operator --address"))
	one.paste("tssbackupd tx bank send operator " + address + " 10000000stake --gas-prices 0.001stake --yes\n" +
		"until tssbackupd query bank balances " + address + " --output json | grep 10000000; do sleep 1; done")
	require.Regexp(t, `state +ready`, two.paste(join[1]))

	// Nobody joins with blocks of another chain, or with another chain's genesis.
	fetch := "tssbackupd genesis fetch http://" + one.rpc
	require.Contains(t, two.paste("! "+fetch), "this node has begun")
	fresh := newHost(t, bin)
	require.Contains(t, fresh.paste("tssbackupd init x --chain-id other > /dev/null 2>&1\n"+
		"tssbackupd config set client chain-id other\n! "+fetch), `client.toml says "other"`)
}
