package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/trust"
)

const programName = "tssbackup-watch"

// app is one invocation.
type app struct {
	*command.Invocation

	trust             trust.Options
	prefix, operators string
	listen, state     string
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
		nodes: clients, rules: rules, log: logger, now: time.Now, db: db,
		looker: newLooker(a.prefix, a.operators, len(clients), func(text string) {
			logger.problem("the chain", text)
		}),
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

// serve runs until the context ends.
func (a *app) serve(ctx context.Context, listener net.Listener, f *follower) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := newServer(f, a.Version)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		f.run(ctx)
	}()
	stopped := context.AfterFunc(ctx, func() {
		// Streams end with the context.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stopped()
	err := server.Serve(listener)
	cancel()
	<-followed
	f.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdownTimeout is how long answers may take that are under way when it is told to stop.
const shutdownTimeout = 3 * time.Second
