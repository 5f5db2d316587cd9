// Demo is the main job on a real network, from the built binaries: four validators and four signers
// as processes of their own, a churn with tss-lib's keygens over libp2p, backups through consensus,
// the loss of one signer's whole home, its recovery from 24 words, and a signature by the recovered
// vault.
//
// With -reshare it is another story: the vault of three members is handed on to the next three, a
// second host takes over from one of them whose host is lost, and the vault signs with the keys
// that it had.
//
// With -watch the public page shows the chain meanwhile, must say what happened, and stays until an
// interrupt when a person looks at a terminal. It leaves .demo/compose.yaml, by which docker
// compose has the same network run again from images.
//
// It exits with 0 when all of it held and with 1 when anything did not. It leaves
// .demo/summary.json; with KEEP=1 the network goes on running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/term"

	"github.com/tssbackup/tssbackup/testutil/processes"
)

func main() {
	reshare := flag.Bool("reshare", false, "tell of a reshare and a fail-over")
	watch := flag.Bool("watch", false, "serve the public page while the story goes")
	bin := flag.String("bin", "build", "folder of the binaries")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *reshare, *watch); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, reshare, watch bool) (err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	dir, err := filepath.Abs(".demo")
	if err != nil {
		return err
	}
	net, err := newNetwork(processes.Config{Bin: bin, Dir: dir, PreParams: 2, Claims: reshare})
	if err != nil {
		return err
	}
	keep := os.Getenv("KEEP") == "1"
	defer func() {
		if keep && err == nil {
			net.invite(os.Stdout)
			return
		}
		net.StopAll()
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintf(os.Stderr, "\nThe logs are in %s\n", net.Dir)
		}
	}()

	story := &story{}
	tale := lossTale
	if reshare {
		tale = reshareTale
	}
	rest, verdict := tale(net)
	steps := append([]step{
		{"four validators make a chain", net.startValidators},
		{"four signers start and are registered", net.startSigners},
		{"governance starts a churn", net.startChurn},
		{"the vault is made, backed up and active", net.waitForVault},
	}, rest...)
	if watch {
		if err := net.findPage(); err != nil {
			return err
		}
		fmt.Printf("The public page is at %s as soon as there is a chain.\n", net.Page)
		steps = slices.Insert(steps, 3, step{"the page shows the keygen", net.seeKeygen})
		steps = slices.Insert(steps, 1, step{"anyone can look at its page", net.startPage})
		steps = append(steps, step{"the page says whether all can be recovered", net.seeRecoverable})
	}
	for i, step := range steps {
		if err := story.tell(ctx, i+1, len(steps), step.title, step.do); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	if err := net.writeSummary(); err != nil {
		return err
	}
	story.print(net)
	fmt.Printf("\nVerdict: "+verdict+"\n", net.vault.Vault[:16])
	fmt.Printf("Summary: %s\n", net.summaryFile())
	if watch {
		if err := net.writeCompose(); err != nil {
			return err
		}
		fmt.Printf("As containers: VERSION=… docker compose -f %s up\n", net.composeFile())
	}
	if watch && !keep && term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Printf("\nThe network and its page %s stay until an interrupt (^C).\n", net.Page)
		<-ctx.Done()
	}
	return nil
}

type step struct {
	title string
	do    func(context.Context) (string, error)
}

// lossTale is the main job, once there is a vault, which the verdict names.
func lossTale(n *network) (steps []step, verdict string) {
	n.holders = n.members
	return []step{
		{"anyone can check the coverage", n.checkCoverage},
		{"one signer loses its whole home", n.loseSigner},
		{"24 words bring its keyshares back", n.recoverSigner},
		{"all sign with the vault again", n.signWithVault},
	}, "recovered. Vault %s… lost a signer and signs again."
}
