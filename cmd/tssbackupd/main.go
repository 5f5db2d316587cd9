// Command tssbackupd runs a node of the smallest chain that embeds the tssbackup module, and is the
// chain's command line: keys, transactions and queries.
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	servercmd "github.com/cosmos/cosmos-sdk/server/cmd"
	"github.com/cosmos/cosmos-sdk/version"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/bifrost/command"
)

// envPrefix begins the environment variables that stand for flags and settings.
const envPrefix = "TSSBACKUPD"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if command.IsUsage(err) {
			os.Exit(command.CodeUsage)
		}
		os.Exit(command.CodeOther)
	}
}

func run() error {
	userHome, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("find the home directory: %w", err)
	}
	version.Name, version.AppName = "tssbackup", app.Name
	built, commit := command.Build(version.Version)
	version.Version = built
	if version.Commit == "" {
		version.Commit = commit
	}
	home := filepath.Join(userHome, ".tssbackupd")
	root, err := newRootCmd(home)
	if err != nil {
		return err
	}
	root.Version = cmp.Or(built, commit, "unknown")
	root.SetHelpCommand(command.HelpCommand())
	return servercmd.Execute(root, envPrefix, home)
}
