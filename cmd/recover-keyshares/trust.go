package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/trust"
)

// Tests ask for no longer, and do not wait before they ask again.
var (
	nodeTimeout = chain.DefaultTimeout
	pause       = chain.Pause
)

func (a *app) nodeFlags(cmd *cobra.Command) { a.trust.AddFlags(cmd) }

// light settles what is trusted, which may ask the user.
func (a *app) light(ctx context.Context) (*chain.Light, error) {
	clients, rules, err := a.trust.Connect(ctx)
	if err != nil {
		return nil, err
	}
	a.clients = clients
	if dir, ok := rules.Store.(chain.TrustDir); ok && a.dryRun {
		rules.Store = keptTrust{dir}
	}
	if err := a.checkNames(); err != nil {
		return nil, err
	}
	light, err := chain.NewLight(ctx, clients, a.prefix, rules, time.Now())
	if a.operator != nil {
		return nil, a.refuseOperator(ctx, light, trust.Advise(err))
	}
	return light, trust.Advise(err)
}

// head verifies the latest header.
func (a *app) head(ctx context.Context, light *chain.Light) (*chain.State, error) {
	state, err := light.Head(ctx, time.Now())
	if err != nil {
		return nil, trust.Advise(err)
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
