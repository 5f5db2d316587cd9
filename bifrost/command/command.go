// Package command is what bifrost and recover-keyshares have in common as commands: how an
// invocation runs and ends, how its results and its errors are written, and which version it says
// it is.
//
// Results go to standard output, as text or as JSON; everything else goes to standard error, an
// error in one line after the command's name.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/process"
)

// The exit codes that mean the same in every command.
const (
	CodeDone  = 0
	CodeOther = 1
	CodeUsage = 2
)

// Program is a command of the project.
type Program struct {
	Name string
	// Version is what the linker has set, empty in what was not built as a release.
	Version string
	// Root makes the command line of one invocation. It gets the flag --output and a subcommand
	// version here.
	Root func(*Invocation) *cobra.Command
	// Code returns the exit code of an error that is not the user's.
	Code func(error) int
}

// Invocation is one run of a program, and where it reads and writes.
type Invocation struct {
	Stdin          *os.File
	Stdout, Stderr io.Writer
	// Version is what the program says it is.
	Version string

	// output is text or json.
	output string
}

// usageError is the user's.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Usage says that an error is the user's, such as a flag that is missing: the program ends with
// [CodeUsage].
func Usage(err error) error { return usageError{err} }

// Main runs the program with the arguments of the process, and ends the process with its exit code.
// A crash leaves no secret on the disk. The first signal ends the work in order, a second one the
// process.
func (p Program) Main() {
	if err := process.DisableCoreDumps(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: warning: %v\n", p.Name, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(
		p.run(ctx, os.Args[1:], &Invocation{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}),
	)
}

// run executes the command line and returns its exit code.
func (p Program) run(ctx context.Context, args []string, in *Invocation) int {
	in.Version = p.version()
	cmd := p.Root(in)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.PersistentFlags().
		StringVar(&in.output, "output", "text", "form of the results: text or json")
	cmd.AddCommand(p.versionCommand(in))
	// What fails before the arguments were understood is the user's error.
	started, prepare := false, cmd.PersistentPreRunE
	cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		started = true
		if in.output != "text" && in.output != "json" {
			return Usage(errors.New("--output must be text or json"))
		}
		if prepare == nil {
			return nil
		}
		return prepare(cmd, args)
	}
	cmd.SetArgs(args)
	cmd.SetOut(in.Stdout)
	cmd.SetErr(in.Stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return CodeDone
	}
	code := CodeUsage
	if started {
		code = p.codeOf(err)
	}
	text := OneLine(err.Error())
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	fmt.Fprintf(in.Stderr, "%s: %s\n", p.Name, text)
	if code == CodeUsage {
		fmt.Fprintf(in.Stderr, "Run '%s --help' for usage.\n", p.Name)
	}
	return code
}

func (p Program) codeOf(err error) int {
	if usage := (usageError{}); errors.As(err, &usage) {
		return CodeUsage
	}
	return p.Code(err)
}

func (p Program) versionCommand(in *Invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(in.Stdout, p.Name, in.Version)
			return err
		},
	}
}

func (p Program) version() string {
	if p.Version != "" {
		return p.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// Print writes the results at once: the value as JSON when the user asked for that, else what text
// writes.
func (in *Invocation) Print(value any, text func(w io.Writer)) error {
	var b strings.Builder
	if in.output == "json" {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(value); err != nil {
			return err
		}
	} else {
		text(&b)
	}
	_, err := io.WriteString(in.Stdout, b.String())
	return err
}

// Progress says on standard error, in a line, what goes on.
func (in *Invocation) Progress(format string, args ...any) {
	fmt.Fprintf(in.Stderr, format+"\n", args...)
}

// OneLine makes text of a node or a library fit for a terminal: one line without control
// characters.
func OneLine(s string) string {
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
