// Package command is what the commands of the project have in common: how an invocation runs and
// ends, where its flags come from beside the command line, how its results and its errors are
// written, and which version it says it is.
//
// Results go to standard output, as text or as JSON; everything else goes to standard error, an
// error in one line after the command's name.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	// An empty Linux has no certificates to hold a node or a store against: these count there, and
	// only there.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/tssbackup/tssbackup/bifrost/process"
)

// The exit codes that mean the same in every command.
const (
	CodeDone  = 0
	CodeOther = 1
	CodeUsage = 2
	// CodeInterrupted is that of Ctrl-C; SIGTERM has one of its own, as shells count.
	CodeInterrupted = 128 + int(syscall.SIGINT)
)

// Program is a command of the project.
type Program struct {
	Name string
	// Version is what the linker has set, empty in what was not built as a release.
	Version string
	// Root makes the command line of one invocation. What every program has is added here: the
	// flags --output and --version, and the subcommands version, help and completion.
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
	// command is the path of the command that runs.
	command string
	// result is what the command has printed, when the output is JSON.
	result any
	// warnings are what was warned of so far.
	warnings []string
	// implied are the flags that the environment or a profile has set.
	implied map[string]bool

	// terminal is where the user is asked; it is made when it is needed.
	terminal *process.Terminal
	once     sync.Once
	interruption
}

// usageError is the user's.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Usage says that an error is the user's, such as a flag that is missing: the program ends with
// [CodeUsage].
func Usage(err error) error { return usageError{err} }

// Main runs the program with the arguments of the process, and ends the process with its exit code.
// A crash leaves no secret on the disk. The first signal ends the work, a second one the process at
// once; the terminal is given back as it was.
func (p Program) Main() {
	if err := process.DisableCoreDumps(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: warning: %v\n", p.Name, err)
	}
	in := &Invocation{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(p.run(in.untilSignal(), os.Args[1:], in))
}

// Command is the whole command line of an invocation, as users see it: for running it, and for
// pages about it.
func (p Program) Command(in *Invocation) *cobra.Command {
	cmd := p.Root(in)
	cmd.SetOut(in.Stdout)
	cmd.SetErr(in.Stderr)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.Version = in.Version
	cmd.Long += "\n\n" + p.environmentHelp()
	cmd.PersistentFlags().
		StringVar(&in.output, "output", outputText, "form of the results: text or json")
	completeFlags(cmd)
	cmd.AddCommand(p.versionCommand(in))
	cmd.SetHelpCommand(HelpCommand())
	cmd.InitDefaultHelpCmd()
	cmd.InitDefaultCompletionCmd()
	suggest(cmd)
	return cmd
}

// run executes the command line and returns its exit code.
func (p Program) run(ctx context.Context, args []string, in *Invocation) int {
	in.Version, in.command = p.version(), p.Name
	cmd := p.Command(in)
	// What fails before the arguments were understood is the user's error.
	started, prepare := false, cmd.PersistentPreRunE
	cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		started, in.command = true, cmd.CommandPath()
		if err := p.complete(in, cmd); err != nil {
			return Usage(err)
		}
		if in.output != outputText && in.output != outputJSON {
			return Usage(errors.New("--output must be text or json"))
		}
		if prepare == nil || isCommon(cmd) {
			return nil
		}
		return prepare(cmd, args)
	}
	cmd.SetArgs(args)
	// What was pasted and is still on its way must not reach the shell.
	defer in.Terminal().Close()
	err := in.execute(ctx, cmd)
	if !started && p.asksForJSON(args) {
		in.output = outputJSON
	}
	code := CodeDone
	switch {
	case err != nil && started:
		code = p.codeOf(err)
	case err != nil:
		code = CodeUsage
	}
	text := ""
	if err != nil {
		text = OneLine(err.Error())
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			text, code = in.interrupted(ctx)
		}
	}
	if failed := in.finish(code, text); failed != nil && err == nil {
		code, text = CodeOther, OneLine(failed.Error())
	}
	if code != CodeDone {
		fmt.Fprintf(in.Stderr, "%s: %s\n", p.Name, text)
	}
	if code == CodeUsage {
		fmt.Fprintf(in.Stderr, "Run '%s --help' for usage.\n", p.Name)
	}
	return code
}

// isCommon reports whether the command is one that every program has.
func isCommon(cmd *cobra.Command) bool {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return slices.Contains(
		[]string{"help", "version", "completion", cobra.ShellCompRequestCmd}, cmd.Name())
}

// Terminal is where the user is asked.
func (in *Invocation) Terminal() *process.Terminal {
	in.once.Do(func() { in.terminal = process.NewTerminal(in.Stdin, in.Stderr) })
	return in.terminal
}

// IsUsage reports whether an error is the user's.
func IsUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}

func (p Program) codeOf(err error) int {
	if IsUsage(err) {
		return CodeUsage
	}
	return p.Code(err)
}
