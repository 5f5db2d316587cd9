package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// No flag takes a secret, so that each may come from the environment. What is given on the command
// line counts more than that, and that more than a chain's profile.

func (p Program) environmentHelp() string {
	return fmt.Sprintf(`Each flag can be given in the environment as well, such as --output as
%s. What the command line says counts more.`, p.variable("output"))
}

// variable is the name of a flag in the environment.
func (p Program) variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(p.Name+"_"+flag, "-", "_"))
}

// complete sets the flags that the command line did not.
func (p Program) complete(in *Invocation, cmd *cobra.Command) error {
	in.implied = map[string]bool{}
	var failed []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(p.variable(f.Name))
		if f.Changed || value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		if err := in.imply(cmd, f.Name, value); err != nil {
			failed = append(failed, fmt.Errorf("%s in the environment: %w", p.variable(f.Name), err))
		}
	})
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return in.applyProfile(cmd)
}

// imply sets a flag that the command line did not set.
func (in *Invocation) imply(cmd *cobra.Command, flag, value string) error {
	in.implied[flag] = true
	return cmd.Flags().Set(flag, value)
}

// Implied reports whether a flag was set by the environment or a profile, and not for this
// invocation.
func (in *Invocation) Implied(flag string) bool { return in.implied[flag] }

// asksForJSON finds out whether JSON is wanted when the command line could not be understood.
func (p Program) asksForJSON(args []string) bool {
	if i := slices.Index(args, "--output"); i >= 0 && i+1 < len(args) {
		return args[i+1] == outputJSON
	}
	return slices.Contains(args, "--output="+outputJSON) ||
		os.Getenv(p.variable("output")) == outputJSON
}
