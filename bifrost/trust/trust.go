// Package trust is how a command that believes no node comes by a header to believe: the flags that
// name nodes and say what is trusted, the question to a person, and the advice when no header can
// be trusted.
package trust

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
)

// Help is what a command's help says of the flags. Headers are kept in the program's folder of
// state.
func Help(program string) string {
	return `Whatever a node says is verified or not believed. The validators' signatures lead
from a header that you trust to the latest one, by which each record is verified,
or that there is none. The first --node shows headers, the others witness them.
What to trust at first: --trust-height and --trust-hash of a recent block that you
know from elsewhere; without them, a header on which all nodes agree, which you
are asked to compare with another source. The latest verified header is kept under
$XDG_STATE_HOME/` + program + `, and is trusted the next time.
With one --node and nothing to hold it against, that node could show a chain of its
own making. So one of these is needed then: a second --node as a witness,
--trust-height and --trust-hash, or --trust-first, by which the one node decides.
`
}

// ErrUntrusted means that a first header was not accepted.
var ErrUntrusted = errors.New("the header is not trusted")

// Options are what the flags say. The exported fields are the command's, to be set before
// [Options.AddFlags].
type Options struct {
	*command.Invocation
	// Program names the folder in which headers are kept.
	Program string
	// Timeout is that of a request to a node, 0 for [chain.DefaultTimeout], and Pause waits before
	// it is asked again, [chain.Pause] when it is nil.
	Timeout time.Duration
	Pause   func(context.Context, chain.Retry) error
	// Say tells that a node is asked again, and Report what is wrong with one. They may be called
	// at the same time. Without them it goes to standard error.
	Say    func(text string)
	Report func(node string, err error)

	// Nodes are the addresses that were given.
	Nodes []string

	height  int64
	hash    string
	first   bool
	period  time.Duration
	chainID string

	// saying is held while it is said that a node is asked again.
	saying sync.Mutex
}

// AddFlags gives a command the flags for nodes, for trust, and for a profile.
func (o *Options) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(
		&o.Nodes,
		"node",
		nil,
		"CometBFT RPC address of a node, http://HOST:26657; give several",
	)
	flags.Int64Var(&o.height, "trust-height", 0, "height of a header that you trust")
	flags.StringVar(&o.hash, "trust-hash", "", "hash of that header, 64 hex digits")
	flags.BoolVar(
		&o.first,
		"trust-first",
		false,
		"trust a header on which all nodes agree, or that the only node shows, without asking",
	)
	flags.DurationVar(
		&o.period,
		"trusting-period",
		chain.DefaultTrustingPeriod,
		"how long a verified header is trusted; well under the chain's unbonding time",
	)
	flags.StringVar(
		&o.chainID,
		"chain-id",
		"",
		"the chain (default: the one that all nodes name)",
	)
	o.ChainFlag(cmd)
}

// TrustsFirst reports whether a first header is trusted without asking.
func (o *Options) TrustsFirst() bool { return o.first }

// Connect makes the clients of the nodes, and the trust that the flags describe. A person is asked
// for a first header, within ctx.
func (o *Options) Connect(ctx context.Context) ([]*chain.Client, chain.Trust, error) {
	trust := chain.Trust{
		ChainID: o.chainID,
		Period:  o.period,
		Height:  o.height,
		Report:  o.report,
		Confirm: func(first chain.FirstHeader) error { return o.confirm(ctx, first) },
	}
	if len(o.Nodes) == 0 {
		return nil, trust, command.Usage(errors.New("--node is missing: give two nodes of the " +
			"chain, --node http://HOST:26657 --node http://ANOTHER:26657"))
	}
	clients := make([]*chain.Client, len(o.Nodes))
	for i, address := range o.Nodes {
		var err error
		if clients[i], err = chain.New(address, o.Timeout); err != nil {
			return nil, trust, command.Usage(fmt.Errorf("--node: %w", err))
		}
		clients[i].OnRetry(o.retry)
		if slices.ContainsFunc(clients[:i], clients[i].Same) {
			return nil, trust, command.Usage(
				fmt.Errorf(
					"--node names %s twice: a node is no witness of itself",
					clients[i].Name(),
				),
			)
		}
	}
	if (o.height != 0) != (o.hash != "") {
		return nil, trust, command.Usage(
			errors.New("--trust-height and --trust-hash belong together"),
		)
	}
	if o.height < 0 {
		return nil, trust, command.Usage(errors.New("--trust-height must be positive"))
	}
	if o.period <= 0 {
		return nil, trust, command.Usage(errors.New("--trusting-period must be positive"))
	}
	if o.hash != "" {
		hash, err := hex.DecodeString(o.hash)
		if err != nil || len(hash) != 32 {
			return nil, trust, command.Usage(
				errors.New("--trust-hash must be a block's hash, 64 hex digits"),
			)
		}
		trust.Hash = hash
	}
	state, err := command.StateDir(o.Program)
	if err != nil {
		o.Warn(fmt.Sprintf("the verified header is not kept for the next time: %v: set HOME, or "+
			"XDG_STATE_HOME", err))
		return clients, trust, nil
	}
	trust.Store = Dir(state)
	return clients, trust, nil
}

// Dir is where headers are kept in a program's folder of state.
func Dir(state string) chain.TrustDir { return chain.TrustDir(filepath.Join(state, "trust")) }

// retry says that a node is asked again, and for how long that may go on.
func (o *Options) retry(ctx context.Context, r chain.Retry) error {
	more := ""
	if r.Left > 0 {
		more = fmt.Sprintf(", for %s more at most", max(time.Second, r.Left.Round(time.Second)))
	}
	text := fmt.Sprintf("%s: %s; asking again in %s%s",
		r.Node, command.OneLine(r.Err.Error()), r.Wait.Round(time.Millisecond), more)
	if o.Say != nil {
		o.Say(text)
	} else {
		// Nodes are asked at the same time.
		o.saying.Lock()
		o.Progress("%s", text)
		o.saying.Unlock()
	}
	if o.Pause != nil {
		return o.Pause(ctx, r)
	}
	return chain.Pause(ctx, r)
}

// report tells what is wrong with a node.
func (o *Options) report(node string, err error) {
	if o.Report != nil {
		o.Report(node, err)
		return
	}
	if node != "" {
		err = fmt.Errorf("%s: %w", node, err)
	}
	o.Warn(command.OneLine(err.Error()))
}

// Advise adds to an error of trust which flags would help.
func Advise(err error) error {
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

// confirm asks whether a header on which all nodes agree is the right one. One node alone is not
// asked about: what the user knows from elsewhere, or that this node is to decide, must be said.
func (o *Options) confirm(ctx context.Context, first chain.FirstHeader) error {
	alone := len(first.Nodes) == 1
	options := fmt.Sprintf("--trust-height %d --trust-hash %X", first.Height, first.Hash)
	if alone && !o.first {
		return fmt.Errorf(
			"%w: %s and nobody to contradict it. It could show a chain of its own making, with backups that do not exist, "+
				"and hide those that do. Give a second --node, one that somebody else runs, as a witness; "+
				"or %s, once a source beside this node (a validator, a block explorer) shows the same hash at this height; "+
				"or --trust-first, by which this one node decides what exists",
			ErrUntrusted,
			o.theOne(first),
			options,
		)
	}
	who := "all nodes agree on this header"
	if alone {
		o.Warn(
			fmt.Sprintf(
				"%s and nobody to contradict it: this node decides what exists, and it could show a chain of its own making. "+
					"Compare height %d and hash %X with another source",
				o.theOne(first),
				first.Height,
				first.Hash,
			),
		)
		who = "the node shows this header"
	}
	o.Progress(
		"%s:\n  height %d\n  hash   %X\n  time   %s",
		who,
		first.Height,
		first.Hash,
		first.Time.UTC().Format(time.RFC3339),
	)
	if o.first {
		o.Progress("it is trusted, as --trust-first says")
		return nil
	}
	if !term.IsTerminal(int(o.Stdin.Fd())) {
		return fmt.Errorf("%w: standard input is not a terminal to confirm it on: give %s "+
			"once you have compared them with another source, or --trust-first", ErrUntrusted, options)
	}
	o.Progress(
		"Compare it with a source that is independent of these nodes: a validator, a block explorer.",
	)
	answer, err := o.Answer(ctx, "Is it the same there? [yes/no] ")
	if err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return fmt.Errorf("%w: it was not confirmed", ErrUntrusted)
	}
	return nil
}

// theOne says that there is one node to ask.
func (o *Options) theOne(first chain.FirstHeader) string {
	name := first.Nodes[0]
	switch {
	case len(first.Twins) > 0:
		return fmt.Sprintf("all addresses that answer are those of one node, %s,", name)
	case len(o.Nodes) > 1:
		return fmt.Sprintf("of %d nodes one answers, %s,", len(o.Nodes), name)
	}
	return fmt.Sprintf("there is one node, %s,", name)
}

// NodeNames are the nodes' addresses without passwords.
func (o *Options) NodeNames() []string {
	names := make([]string, 0, len(o.Nodes))
	for _, u := range o.Nodes {
		if c, err := chain.New(u, 0); err == nil {
			names = append(names, c.Name())
		}
	}
	return names
}
