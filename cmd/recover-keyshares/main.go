// Command recover-keyshares gets a member's keyshares back from the chain: with a
// node's address and the 24 words, and nothing else.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/tssbackup/tssbackup/bifrost/process"
)

func main() {
	if err := process.DisableCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "recover-keyshares: warning:", err)
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
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "recover-keyshares: interrupted")
	} else {
		fmt.Fprintln(stderr, "recover-keyshares:", oneLine(err.Error()))
	}
	if code == codeUsage {
		fmt.Fprintln(stderr, "Run 'recover-keyshares --help' for usage.")
	}
	return code
}
