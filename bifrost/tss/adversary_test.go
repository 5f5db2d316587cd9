//go:build adversary

// With the build tag, this package's test binary is a signer that runs bifrost's own code with a
// tampered node: the tests of package processes build it. So neither the tampering nor a way to it
// is in any other binary.
package tss_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
)

// TestMain is the signer, with the arguments of "bifrost start" and the name of its attack in
// ATTACK.
func TestMain(*testing.M) {
	if len(os.Args) != 4 || os.Args[1] != "start" || os.Args[2] != "--home" {
		fmt.Fprintln(os.Stderr, "usage: ATTACK=name adversary start --home DIR")
		os.Exit(2)
	}
	if err := run(os.Args[3], os.Getenv("ATTACK")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, attack string) error {
	if err := tss.Attack(attack); err != nil {
		return err
	}
	cfg, err := home.Load(dir)
	if err != nil {
		return err
	}
	log, err := service.NewLogger(cfg.Log, os.Stderr)
	if err != nil {
		return err
	}
	words, err := os.ReadFile(home.MnemonicPath(dir))
	if err != nil {
		return err
	}
	mnemonic, err := sanity.ParseMnemonic(words)
	if err != nil {
		return err
	}
	return service.Run(context.Background(), service.Options{
		Home: dir, Config: cfg, Mnemonic: mnemonic, Log: log, Version: "adversary",
	})
}
