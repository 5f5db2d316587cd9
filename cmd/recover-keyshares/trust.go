package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
)

const trustHelp = `Whatever a node says is verified or not believed. The validators' signatures lead
from a header that you trust to the latest one, by which each record is verified,
or that there is none. The first --node shows headers, the others witness them.
What to trust at first: --trust-height and --trust-hash of a recent block that you
know from elsewhere; without them, a header on which all nodes agree, which you
are asked to compare with another source. The latest verified header is kept under
$XDG_STATE_HOME/recover-keyshares, and is trusted the next time.
With one --node and nothing to hold it against, that node could show a chain of its
own making. So one of these is needed then: a second --node as a witness,
--trust-height and --trust-hash, or --trust-first, by which the one node decides.
`

// trustFlags say what to believe.
type trustFlags struct {
	height  int64
	hash    string
	first   bool
	period  time.Duration
	chainID string
}

func (a *app) nodeFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(
		&a.nodes,
		"node",
		nil,
		"CometBFT RPC address of a node, http://HOST:26657; give several",
	)
	flags.Int64Var(&a.trust.height, "trust-height", 0, "height of a header that you trust")
	flags.StringVar(&a.trust.hash, "trust-hash", "", "hash of that header, 64 hex digits")
	flags.BoolVar(
		&a.trust.first,
		"trust-first",
		false,
		"trust a header on which all nodes agree, or that the only node shows, without asking",
	)
	flags.DurationVar(
		&a.trust.period,
		"trusting-period",
		chain.DefaultTrustingPeriod,
		"how long a verified header is trusted; well under the chain's unbonding time",
	)
	flags.StringVar(
		&a.trust.chainID,
		"chain-id",
		"",
		"the chain (default: the one that all nodes name)",
	)
	a.ChainFlag(cmd)
}

// Tests ask for no longer, and do not wait before they ask again.
var (
	nodeTimeout = chain.DefaultTimeout
	pause       = chain.Pause
)

// retry says that a node is asked again, and for how long that may go on.
func (a *app) retry(ctx context.Context, r chain.Retry) error {
	more := ""
	if r.Left > 0 {
		more = fmt.Sprintf(", for %s more at most", max(time.Second, r.Left.Round(time.Second)))
	}
	// Nodes are asked at the same time.
	a.retrying.Lock()
	a.Progress("%s: %s; asking again in %s%s",
		r.Node, command.OneLine(r.Err.Error()), r.Wait.Round(time.Millisecond), more)
	a.retrying.Unlock()
	return pause(ctx, r)
}

// connect makes the clients of the nodes, and the trust that the flags describe.
func (a *app) connect() ([]*chain.Client, chain.Trust, error) {
	trust := chain.Trust{
		ChainID: a.trust.chainID,
		Period:  a.trust.period,
		Height:  a.trust.height,
		Report:  a.reportNode,
	}
	if len(a.nodes) == 0 {
		return nil, trust, command.Usage(errors.New("--node is missing"))
	}
	clients := make([]*chain.Client, len(a.nodes))
	for i, address := range a.nodes {
		var err error
		if clients[i], err = chain.New(address, nodeTimeout); err != nil {
			return nil, trust, command.Usage(fmt.Errorf("--node: %w", err))
		}
		clients[i].OnRetry(a.retry)
		if slices.ContainsFunc(clients[:i], clients[i].Same) {
			return nil, trust, command.Usage(
				fmt.Errorf(
					"--node names %s twice: a node is no witness of itself",
					clients[i].Name(),
				),
			)
		}
	}
	if (a.trust.height != 0) != (a.trust.hash != "") {
		return nil, trust, command.Usage(
			errors.New("--trust-height and --trust-hash belong together"),
		)
	}
	if a.trust.height < 0 {
		return nil, trust, command.Usage(errors.New("--trust-height must be positive"))
	}
	if a.trust.period <= 0 {
		return nil, trust, command.Usage(errors.New("--trusting-period must be positive"))
	}
	if a.trust.hash != "" {
		hash, err := hex.DecodeString(a.trust.hash)
		if err != nil || len(hash) != 32 {
			return nil, trust, command.Usage(
				errors.New("--trust-hash must be a block's hash, 64 hex digits"),
			)
		}
		trust.Hash = hash
	}
	dir, err := chain.DefaultTrustDir()
	if err != nil {
		a.Warn(fmt.Sprintf("the verified header is not kept for the next time: %v: set HOME, or "+
			"XDG_STATE_HOME", err))
		return clients, trust, nil
	}
	trust.Store = dir
	if a.dryRun {
		trust.Store = keptTrust{dir}
	}
	return clients, trust, nil
}

// light settles what is trusted, which may ask the user.
func (a *app) light(ctx context.Context) (*chain.Light, error) {
	clients, trust, err := a.connect()
	if err != nil {
		return nil, err
	}
	if err := a.checkNames(); err != nil {
		return nil, err
	}
	trust.Confirm = func(first chain.FirstHeader) error { return a.confirm(ctx, first) }
	light, err := chain.NewLight(ctx, clients, a.prefix, trust, time.Now())
	if a.operator != nil {
		return nil, a.refuseOperator(ctx, light, advise(err))
	}
	return light, advise(err)
}

// advise adds to an error of trust which flags would help.
func advise(err error) error {
	var halted *chain.HaltedError
	if errors.As(err, &halted) {
		return fmt.Errorf(
			"%w (if other sources say so too, and the clock of this machine is right, give "+
				"--trusting-period %s, with --trust-height %d --trust-hash %X when they show that block; "+
				"docs/runbook.md, \"The chain has halted\", says what to look at first)",
			err, hours(halted.Period), halted.Height, halted.Hash,
		)
	}
	for _, advice := range []struct {
		kind error
		text string
	}{
		{chain.ErrPruned, "give a --node that keeps more, or --trust-height and --trust-hash of a newer block that you know from elsewhere"},
		{chain.ErrExpired, "give --trust-height and --trust-hash of a recent block that you know from elsewhere"},
		{chain.ErrNoTrust, "--chain-id says which chain is meant, --trust-height and --trust-hash which block you know from elsewhere"},
	} {
		if errors.Is(err, advice.kind) {
			return fmt.Errorf("%w (%s)", err, advice.text)
		}
	}
	return err
}

// hours writes a duration as a flag is given.
func hours(d time.Duration) string { return fmt.Sprintf("%dh", int(d.Hours())) }

// head verifies the latest header.
func (a *app) head(ctx context.Context, light *chain.Light) (*chain.State, error) {
	state, err := light.Head(ctx, time.Now())
	if err != nil {
		return nil, advise(err)
	}
	height, hash, at := state.Header()
	a.Progress(
		"chain %s: header %d of %s is verified, hash %X",
		command.OneLine(light.ChainID()),
		height,
		at.UTC().Format(time.RFC3339),
		hash,
	)
	return state, a.settle(ctx, state)
}

// confirm asks whether a header on which all nodes agree is the right one. One node alone is not
// asked about: what the user knows from elsewhere, or that this node is to decide, must be said.
func (a *app) confirm(ctx context.Context, first chain.FirstHeader) error {
	alone := len(first.Nodes) == 1
	options := fmt.Sprintf("--trust-height %d --trust-hash %X", first.Height, first.Hash)
	if alone && !a.trust.first {
		return fmt.Errorf(
			"%w: %s and nobody to contradict it. It could show a chain of its own making, with backups that do not exist, "+
				"and hide those that do. Give a second --node, one that somebody else runs, as a witness; "+
				"or %s, once a source beside this node (a validator, a block explorer) shows the same hash at this height; "+
				"or --trust-first, by which this one node decides what exists",
			errUntrusted,
			a.theOne(first),
			options,
		)
	}
	who := "all nodes agree on this header"
	if alone {
		a.Warn(
			fmt.Sprintf(
				"%s and nobody to contradict it: this node decides what exists, and it could show a chain of its own making. "+
					"Compare height %d and hash %X with another source",
				a.theOne(first),
				first.Height,
				first.Hash,
			),
		)
		who = "the node shows this header"
	}
	a.Progress(
		"%s:\n  height %d\n  hash   %X\n  time   %s",
		who,
		first.Height,
		first.Hash,
		first.Time.UTC().Format(time.RFC3339),
	)
	if a.trust.first {
		a.Progress("it is trusted, as --trust-first says")
		return nil
	}
	if !term.IsTerminal(int(a.Stdin.Fd())) {
		return fmt.Errorf("%w: standard input is not a terminal to confirm it on: give %s "+
			"once you have compared them with another source, or --trust-first", errUntrusted, options)
	}
	a.Progress(
		"Compare it with a source that is independent of these nodes: a validator, a block explorer.",
	)
	answer, err := a.ask(ctx, "Is it the same there? [yes/no] ")
	if err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return fmt.Errorf("%w: it was not confirmed", errUntrusted)
	}
	return nil
}

// theOne says that there is one node to ask.
func (a *app) theOne(first chain.FirstHeader) string {
	name := first.Nodes[0]
	switch {
	case len(first.Twins) > 0:
		return fmt.Sprintf("all addresses that answer are those of one node, %s,", name)
	case len(a.nodes) > 1:
		return fmt.Sprintf("of %d nodes one answers, %s,", len(a.nodes), name)
	}
	return fmt.Sprintf("there is one node, %s,", name)
}

// reportNode tells what is wrong with a node.
func (a *app) reportNode(node string, err error) {
	if node != "" {
		err = fmt.Errorf("%s: %w", node, err)
	}
	a.Warn(command.OneLine(err.Error()))
}

// nodeNames are the nodes' addresses without passwords.
func nodeNames(urls []string) []string {
	names := make([]string, 0, len(urls))
	for _, u := range urls {
		if c, err := chain.New(u, 0); err == nil {
			names = append(names, c.Name())
		}
	}
	return names
}
