package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func (a *app) signCommand() *cobra.Command {
	var req service.SignRequest
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "sign --vault VAULT --message TEXT",
		Short: "Sign a text with a vault, together with its other members",
		Long: `sign has the running bifrost join the signing of a text with both keys of a vault,
to show that the vault can sign. The operators of all members run the same command
within the timeout; when some are away, all of the others name the signers, at
least as many as the threshold.

What is signed is SHA-256("tssbackup/message/v1" || u32 length || text), big-endian,
which is never what a transaction is signed as.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.TimeoutSeconds = int(timeout.Round(time.Second) / time.Second)
			return a.sign(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVar(&req.Vault, "vault", "", "the vault, by its secp256k1 key in hex or its first 8 digits")
	cmd.Flags().StringVar(&req.Message, "message", "", "the text")
	cmd.Flags().
		StringSliceVar(&req.Signers, "signers", nil, "addresses of the members that sign (default: all)")
	cmd.Flags().
		DurationVar(&timeout, "timeout", service.DefaultSignTimeout, "how long to wait for the others")
	return cmd
}

func (a *app) sign(ctx context.Context, req service.SignRequest) error {
	switch {
	case req.Vault == "" || req.Message == "":
		return command.Usage(errors.New("--vault and --message are needed"))
	case req.TimeoutSeconds < 1:
		return command.Usage(errors.New("--timeout is shorter than a second"))
	}
	control := service.NewControl(a.home)
	var err error
	if req.Vault, err = pickVault(ctx, control, req.Vault); err != nil {
		return err
	}
	a.Progress("waiting for the other signers")
	res, err := control.Sign(ctx, req)
	if err != nil {
		return err
	}
	err = a.Print(res, func(w io.Writer) {
		fmt.Fprintf(w, "digest               %s\n", res.Digest)
		fmt.Fprintf(w, "secp256k1 key        %s\n", res.Secp256k1.PubKey)
		fmt.Fprintf(w, "secp256k1 signature  %s\n", res.Secp256k1.Signature)
		fmt.Fprintf(w, "ed25519 key          %s\n", res.Ed25519.PubKey)
		fmt.Fprintf(w, "ed25519 signature    %s\n", res.Ed25519.Signature)
	})
	a.Done(fmt.Sprintf("%d members have signed: the vault can sign", len(res.Signers)),
		"nothing is to be done")
	return err
}

// pickVault finds the vault that a few digits name among those of the running bifrost.
func pickVault(ctx context.Context, control *service.Control, digits string) (string, error) {
	digits = strings.ToLower(digits)
	if err := vault.CheckDigits(digits); err != nil {
		return "", command.Usage(fmt.Errorf("--vault: %w", err))
	}
	if _, err := types.ParseVault(digits); err == nil {
		return digits, nil
	}
	st, err := control.Status(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	if st.Publish != nil {
		for _, v := range st.Publish.Vaults {
			names = append(names, v.Vault)
		}
	}
	name, err := vault.Pick(digits, names)
	if err != nil && !errors.Is(err, vault.ErrUnknown) {
		err = command.Usage(fmt.Errorf("--vault: %w", err))
	}
	return name, err
}
