// Command tssbackupd runs a node of the smallest chain that embeds the tssbackup module, and is the
// chain's command line: keys, transactions and queries.
package main

import (
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
		os.Exit(1)
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
	return servercmd.Execute(root, envPrefix, home)
}
