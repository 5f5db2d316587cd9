package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/trust"
)

const programName = "tssbackup-watch"

// app is one invocation.
type app struct {
	*command.Invocation

	trust             trust.Options
	prefix, operators string
	listen, state     string
	notify            []string
	secret            string
	// ready is told where the page is; tests wait for it.
	ready func(address string)
}

func newRoot(in *command.Invocation) *cobra.Command { return newApp(in).command() }

func newApp(in *command.Invocation) *app {
	return &app{
		Invocation: in, trust: trust.Options{Invocation: in, Program: programName},
		ready: func(string) {},
	}
}

func (a *app) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   programName + " --node URL --node URL",
		Short: "Show everyone whether a chain's vaults could be recovered",
		Long: `tssbackup-watch follows a chain and serves a page that says whether every vault
could be recovered from what its members have published: who was asked, who has
published and proven, what is missing and since when, how keygens go and who sits
out, and how all of that was over time. It needs no secret and has none.

  /                the page
  /coverage.json   the same for programs
  /history.json    coverage over time
  /metrics         the same for Prometheus

The page is for everyone, and has no password; what it shows, the chain shows. It
listens on this machine alone unless --listen says otherwise. Let a web server
stand before it for TLS.

With --notify a URL is told, in JSON that is signed, when a vault is below its
threshold, a backup is missing, a keygen failed, a validator sits out, or the chain
stands still, and when that is over. It is tried again until the receiver takes it.
The file of the secret is yours alone: the signature is that of Standard Webhooks,
HMAC-SHA256.

What was seen is kept in the folder --state, so that the plot goes on after a
restart. One process has the folder at a time. It prunes itself.

` + trust.Help(programName) + `
A daemon asks nobody: without a terminal, the first start needs --trust-height and
--trust-hash, or --trust-first. They are not looked at any more once a later header
is kept, and may stay where they are.

The log goes to standard error. SIGTERM or an interrupt ends it in order.

Exit codes:
  0  told to stop
  1  anything that is not listed here, such as a port that is in use
  2  wrong usage
  7  what the nodes say at the start is not verified: there is no header to trust,
     or they contradict each other`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
	a.trust.AddFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&a.prefix, "prefix", "cosmos", "prefix of the chain's addresses")
	flags.StringVar(&a.operators, "operator-prefix", "",
		"prefix of the addresses of validators' operators (default: the prefix and valoper)")
	flags.StringVar(&a.listen, "listen", "127.0.0.1:8980", "address and port for the page")
	flags.StringSliceVar(&a.notify, "notify", nil,
		"URL that is told of problems; give several, or in the environment where it is secret")
	flags.StringVar(&a.secret, "notify-secret-file", "",
		"file with the secret that signs what is told, or the name of a systemd credential")
	flags.StringVar(&a.state, "state", "",
		"folder for what was seen (default: $XDG_STATE_HOME/"+programName+")")
	return cmd
}

// codeTrust is the exit code of recover-keyshares for the same.
const codeTrust = 7

func codeOf(err error) int {
	if chain.IsUntrusted(err) || errors.Is(err, trust.ErrUntrusted) {
		return codeTrust
	}
	return command.CodeOther
}

func (a *app) run(ctx context.Context) error {
	logger := &log{in: a.Invocation, now: time.Now, said: map[string]time.Time{}}
	a.trust.Say = func(string) {} // it is tried again in a moment anyhow
	a.trust.Report = func(node string, err error) {
		if node == "" {
			node = "the chain"
		}
		logger.problem(node, err.Error())
	}
	clients, rules, err := a.trust.Connect(ctx)
	if err != nil {
		return err
	}
	if a.state == "" {
		if a.state, err = command.StateDir(programName); err != nil {
			return command.Usage(fmt.Errorf("--state is missing, and there is no home folder: %w", err))
		}
	}
	if a.state, err = filepath.Abs(a.state); err != nil {
		return err
	}
	rules.Store, rules.Once = trust.Dir(a.state), true
	db, err := openStore(a.state)
	if err != nil {
		return err
	}
	defer db.Close()
	f := &follower{
		nodes: clients, rules: rules, log: logger, now: time.Now, db: db, patience: slowAfter,
		looker: newLooker(a.prefix, a.operators, len(clients), func(text string) {
			logger.problem("the chain", text)
		}),
	}
	if err := a.tell(f); err != nil {
		return err
	}
	if err := f.start(rules.ChainID); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", a.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	// Whoever starts it learns at once that there is nothing to trust. A node that does not answer
	// may do so later.
	if err := f.once(ctx); err != nil && codeOf(err) == codeTrust {
		return err
	}
	if !a.trust.TrustsFirst() {
		f.rules.Confirm = nil // nobody is there to be asked later
	}
	a.EndInOrder()
	logger.line("the page is at http://" + listener.Addr().String())
	a.ready(listener.Addr().String())
	return a.serve(ctx, listener, f)
}

// tell has others told of problems, if there are any to be told.
func (a *app) tell(f *follower) error {
	if (len(a.notify) > 0) != (a.secret != "") {
		return command.Usage(errors.New("--notify and --notify-secret-file belong together"))
	}
	if len(a.notify) == 0 {
		return nil
	}
	err := process.Credentials(a.secret, func(data []byte) (err error) {
		f.notifier, err = newNotifier(f.db, a.notify, bytes.TrimSpace(data), f.log)
		return err
	})
	if err != nil {
		return command.Usage(fmt.Errorf("--notify: %w", err))
	}
	return nil
}

// serve runs until the context ends.
func (a *app) serve(ctx context.Context, listener net.Listener, f *follower) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := newServer(f, a.Version)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	var working sync.WaitGroup
	working.Go(func() { f.run(ctx) })
	if f.notifier != nil {
		for _, t := range f.notifier.targets {
			working.Go(func() { f.notifier.run(ctx, t) })
		}
	}
	stopped := context.AfterFunc(ctx, func() {
		// Streams end with the context.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stopped()
	err := server.Serve(listener)
	cancel()
	working.Wait()
	f.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdownTimeout is how long answers may take that are under way when it is told to stop.
const shutdownTimeout = 3 * time.Second
