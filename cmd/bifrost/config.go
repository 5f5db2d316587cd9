package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/tss"
)

// checkedConfig is the result of config check.
type checkedConfig struct {
	Path string `json:"path"`
	// Notes are what works, and could be better.
	Notes []string `json:"notes"`
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look after config.toml",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Say whether bifrost can run with config.toml",
		Long: `check reads config.toml as bifrost start does: every key must be known, and every
address one that can be used. It says what works and could be better, such as that
there is no witness. It asks nobody and changes nothing, so it can be run before a
restart. It exits with 0, or with 2 and what is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.checkConfig() },
	})
	return cmd
}

func (a *app) checkConfig() error {
	cfg, err := home.Load(a.home)
	if err == nil {
		err = home.Check(a.home)
	}
	if err != nil {
		return command.Usage(err)
	}
	result := checkedConfig{Path: home.ConfigPath(a.home)}
	if result.Notes, err = examineConfig(cfg); err != nil {
		return command.Usage(fmt.Errorf("%s: %w", result.Path, err))
	}
	return a.Print(result, func(w io.Writer) {
		fmt.Fprintf(w, "bifrost can run with %s.\n", result.Path)
		for _, note := range result.Notes {
			fmt.Fprintln(w, " -", note)
		}
	})
}

// examineConfig errs when bifrost would end at its start with this configuration, and returns what
// could be better.
func examineConfig(cfg home.Config) ([]string, error) {
	notes := []string{}
	own, err := chain.New(cfg.Node, 0)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	clients := []*chain.Client{own}
	for _, address := range cfg.Witnesses {
		w, err := chain.New(address, 0)
		if err != nil {
			return nil, fmt.Errorf("witnesses: %w", err)
		}
		if slices.ContainsFunc(clients, w.Same) {
			notes = append(notes, fmt.Sprintf(
				"witnesses: %s is named twice, or is the own node: it witnesses nothing", w.Name()))
			continue
		}
		clients = append(clients, w)
	}
	if len(clients) == 1 {
		notes = append(notes, "witnesses: there is none, so the own node alone decides what is "+
			"restored, and a fire drill says little")
	}
	if err := keystore.CheckRecipients(cfg.Keystore.Recipients); err != nil {
		return nil, fmt.Errorf("keystore.recipients: %w", err)
	}
	if err := keystore.CheckRecipients(cfg.BackupRecipients()); err != nil {
		return nil, fmt.Errorf("backup.recipients, with those of the keystore: %w", err)
	}
	for _, s := range cfg.Sinks {
		if err := service.CheckSink(s); err != nil {
			return nil, err
		}
	}
	if err := service.CheckNotify(cfg.Notify); err != nil {
		return nil, err
	}
	if err := tss.CheckAddresses(cfg.P2P.Listen, cfg.P2P.Peers, cfg.P2P.Public); err != nil {
		return nil, fmt.Errorf("p2p: %w", err)
	}
	if len(cfg.P2P.Listen) == 0 {
		notes = append(notes, "p2p.listen: there is none, so no other signer reaches this one")
	}
	if len(cfg.P2P.Peers) == 0 {
		notes = append(notes, "p2p.peers: there is none, so only those that know this signer find it")
	}
	if cfg.PreParams == 0 {
		notes = append(notes, "preparams: none is kept ready, so a keygen makes its own, "+
			"which takes minutes")
	}
	if cfg.Metrics.Listen == "" {
		notes = append(notes, "metrics.listen: nothing is served to monitoring")
	}
	return notes, nil
}
