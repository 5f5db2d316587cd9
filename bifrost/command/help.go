package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// suggest has the wrong names of commands and flags answered with the ones that may be meant.
func suggest(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if !errors.As(err, &unknown) {
			return err
		}
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		return fmt.Errorf("%w%s", err, meant("--", similar(unknown.GetSpecifiedName(), flags)))
	})
	suggestCommands(root)
}

func suggestCommands(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		suggestCommands(sub)
	}
	check := cmd.Args
	if check == nil || !cmd.HasSubCommands() {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil || len(args) == 0 {
			return err
		}
		return unknownCommand(cmd, args[0])
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("unknown command %.80q for %q%s",
		name, cmd.CommandPath(), meant("", similar(name, names)))
}

// similar are those of the names that one may have been meant by another, as cobra finds commands.
func similar(name string, names []string) []string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range names {
		all.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	return all.SuggestionsFor(name)
}

func meant(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": did you mean " + prefix + strings.Join(names, ", "+prefix) + "?"
}

// HelpCommand shows the help of a command. It errs, as [IsUsage] tells, when there is none of that
// name.
func HelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		ValidArgsFunction: func(
			cmd *cobra.Command, args []string, _ string,
		) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			of, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) == 0 {
				for _, sub := range of.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil {
				return Usage(err)
			}
			if len(rest) > 0 {
				return Usage(unknownCommand(of, rest[0]))
			}
			of.InitDefaultHelpFlag()
			of.InitDefaultVersionFlag()
			return of.Help()
		},
	}
}

// completeFlags says what shells may complete after the flags that have a few values.
func completeFlags(root *cobra.Command) {
	values := []cobra.Completion{outputText, outputJSON}
	// It fails only for a flag that is not there.
	_ = root.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
