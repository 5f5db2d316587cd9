// Command bifrost is the signer beside a validator: it holds the signer's
// mnemonic and keyshares, makes vaults and signatures with the other signers, and
// publishes the encrypted backup of every keyshare.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/tssbackup/tssbackup/bifrost/process"
)

func main() {
	if err := process.DisableCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "bifrost: warning:", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work in order; a second one ends the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes the command and returns its exit code.
func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	cmd := a.rootCommand()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return codeDone
	}
	if !a.started {
		err = usageError{err}
	}
	code := codeOf(err)
	fmt.Fprintln(stderr, "bifrost:", oneLine(err.Error()))
	if code == codeUsage {
		fmt.Fprintln(stderr, "Run 'bifrost --help' for usage.")
	}
	return code
}

// oneLine makes text of a node or a library fit for a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
