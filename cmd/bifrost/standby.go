package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/service"
)

func (a *app) standbyCommand() *cobra.Command {
	var former bool
	b := &backups{}
	cmd := &cobra.Command{
		Use:   "standby --from DIR|URL",
		Short: "Run a signer that waits to act in place of the one that does",
		Long: `standby runs as start does, on another host and with the same mnemonic, but acts in
nothing until bifrost promote has it: it sends nothing to the chain and has no port
for the other signers. Until then it keeps its home up to date: by the backups that
the acting one makes of its home, in a folder or in a sink such as
s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1, and by the chain, as
a signer that lost keyshares does. /livez is 200, and /readyz 503 with the state
standby; bifrost status names the newest backup that is here.

The home is made by bifrost init with the mnemonic, or by bifrost backup restore.
Promoted, it acts, and goes on so after a restart of the same command. When another
instance is promoted it stands by again. So both hosts can run it, each from where
the other's backups are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.start(cmd.Context(), former, func(cfg home.Config) (*service.Follow, error) {
				return follow(b, cfg)
			})
		},
	}
	cmd.Flags().StringVar(&b.dir, "from", "", "folder of the other's backups, or URL of a sink")
	cmd.Flags().StringVar(&b.credentials, "credentials-file", "",
		"file with the user and the secret for the URL, in two lines (default: that of the sink in config.toml)")
	a.startFlags(cmd, &former)
	return cmd
}

// follow is whose backups the flags say to follow.
func follow(b *backups, cfg home.Config) (*service.Follow, error) {
	f := &service.Follow{From: b.dir, Check: checkKeyshare}
	if b.dir == "" {
		return nil, command.Usage(errors.New("--from is missing: the folder or the URL of the backups"))
	}
	var err error
	if isURL(b.dir) {
		f.Sink, err = b.openSink(cfg)
		return f, err
	}
	if info, statErr := os.Stat(b.dir); statErr == nil && !info.IsDir() {
		return nil, command.Usage(errors.New("--from names a file: what is followed is a folder"))
	}
	f.From, err = filepath.Abs(b.dir)
	return f, err
}
