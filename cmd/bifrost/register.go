package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

func (a *app) registerCommand() *cobra.Command {
	var index uint32
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Print the transaction that registers the signer or replaces its recipient key",
		Long: `register prints the transaction by which the validator's operator registers the
signer of this home, as init does. The recipient key in it is the one to which this
signer's proofs are made; the mnemonic derives one for each index.

It asks the node in config.toml what the chain knows. Of a signer that is registered
it says so, and prints nothing to sign. Such a one is registered again to replace its
recipient key, which counts for keygens that open later: with --recipient-index, which
asks nobody and must be above the one that the chain knows. When the chain holds a
recipient key that is not the mnemonic's, register takes the next index by itself.

It changes nothing, and can be used while bifrost runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("recipient-index") {
				return a.register(cmd.Context(), &index)
			}
			return a.register(cmd.Context(), nil)
		},
	}
	cmd.Flags().
		Uint32Var(&index, "recipient-index", 0, "index of the recipient key (default: the next one)")
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input")
	return cmd
}

// register prints a registration; index is nil for the next one.
func (a *app) register(ctx context.Context, index *uint32) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	path := a.findMnemonic()
	return a.withSigner(ctx, cfg, path, func(mnemonic *sanity.Mnemonic, key *signer.Key) error {
		asked, registered := index == nil, false
		if asked {
			next, err := registration.NextIndex(ctx, cfg, key.Bech32(cfg.Prefix))
			if err != nil {
				return fmt.Errorf(
					"which recipient key comes next is not known, give --recipient-index: %w",
					err,
				)
			}
			if index = &next; next > 0 {
				known, err := registration.Registered(ctx, cfg, key.Bech32(cfg.Prefix), mnemonic)
				if err != nil {
					return err
				}
				if known {
					next--
				}
				registered = known
			}
		}
		request, err := registration.NewRequest(cfg, key, mnemonic, *index)
		if err != nil {
			return err
		}
		request.Registered = registered
		if asked {
			registration.Price(ctx, cfg, request)
		}
		return a.printRegistration(request)
	})
}

func (a *app) printRegistration(r *registration.Request) error {
	if r.Registered { // nothing is to be signed
		r.Signature, r.Possession, r.Command = "", "", ""
	}
	err := a.Print(r, func(w io.Writer) {
		if r.Registered {
			fmt.Fprintf(w, "Signer:         %s\nPeer id:        %s\n\n"+
				"The chain knows this signer already as that of %s:\nthere is nothing to register. "+
				"Go on with bifrost start.\nTo replace its recipient key, sign anew: "+
				"bifrost register --recipient-index %d\n",
				r.Address, r.PeerID, r.Operator, r.RecipientIndex+1)
			return
		}
		fmt.Fprintf(
			w,
			"Signer:         %s\nPeer id:        %s\nRecipient key:  %s (index %d)\n\nRegister the signer with the operator's key:\n\n  %s\n",
			r.Address,
			r.PeerID,
			r.RecipientKey,
			r.RecipientIndex,
			r.Command,
		)
	})
	if r.Registered {
		a.Done("the signer is registered", "bifrost start, and bifrost status")
	} else {
		a.Done("the registration is signed, and not sent",
			"run it where the operator's key is; then bifrost start, and bifrost status")
	}
	return err
}
