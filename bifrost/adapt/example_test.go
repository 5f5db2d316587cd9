package adapt_test

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/adapt"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// A signer with ceremonies and a store of its own runs the loop: examples/own-signer has these two.
func Example() {
	run := func(ctx context.Context, m *sanity.Mnemonic, ceremonies publish.Tss, store publish.Store) error {
		key, err := signer.Derive(m, signer.DefaultHDPath)
		if err != nil {
			return err
		}
		defer key.Wipe()
		client, err := chain.New("http://127.0.0.1:26657", 0)
		if err != nil {
			return err
		}
		out, err := adapt.Outbox("/var/lib/signer/outbox", m)
		if err != nil {
			return err
		}
		publisher, err := publish.New(publish.Config{
			ChainID: "chain-1",
			Address: key.Bech32("thor"),
			PubKey:  key.PubKey(),
			Prefix:  "thor",
			Outbox:  out,
			Store:   store,
			Chain:   adapt.Node(client),
			SignTx:  adapt.SignTx("chain-1", key),
			Tss:     ceremonies,
			Seal:    adapt.Seal(m),
			Prove:   adapt.Prove(m),
			Log:     zerolog.Nop(),
		})
		if err != nil {
			return err
		}
		return publisher.Run(ctx)
	}
	_ = run
}
