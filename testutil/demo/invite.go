package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// invite tells what to paste while the network runs: each line works as it is printed.
func (n *network) invite(w io.Writer) {
	first, second := n.holders[0], n.holders[1]
	node := "--node " + first.NodeURL()
	nodes := "--node " + first.RPC + " --node " + second.RPC
	fmt.Fprintf(w, "\nThe network goes on running. To try things on it, paste:\n\n")
	lines := []string{
		"export PATH=" + quoted(n.Bin) + ":$PATH XDG_STATE_HOME=" +
			quoted(filepath.Join(n.Dir, "state")),
		"ADDRESS=" + first.Address + " VAULT=" + n.vault.Vault,
		"",
		"tssbackupd query tssbackup coverage " + node,
		"tssbackupd query tssbackup vault $VAULT " + node,
		"recover-keyshares coverage --verify --trust-first " + nodes,
		"recover-keyshares list --trust-first --address $ADDRESS " + nodes,
		"bifrost status --home " + quoted(first.SignerHome),
		"bifrost doctor --home " + quoted(first.SignerHome) + " --node " + second.RPC,
		"curl " + first.API + "/tssbackup/v1/coverage",
		"curl http://" + first.Metrics + "/metrics",
	}
	if n.Page != "" {
		lines = append(lines, "curl "+n.Page+"/coverage.json   # or open "+n.Page)
	}
	for _, line := range lines {
		fmt.Fprintln(w, strings.TrimRight("  "+line, " "))
	}
	fmt.Fprintf(w, "\nStop it with:\n\n  kill $(cat %s)\n", quoted(n.pidFile()))
}

// quoted is a path as a shell takes it for one word.
func quoted(path string) string {
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
