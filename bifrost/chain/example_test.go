package chain_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
)

// Whether every vault can be recovered, by two nodes of which neither is believed: from a header
// that is known from elsewhere, by the validators' signatures, to a recent state.
func ExampleNewLight() {
	covered := func(ctx context.Context, height int64, hash []byte) error {
		var nodes []*chain.Client
		for _, address := range []string{"https://one.example.org:26657", "https://two.example.org"} {
			client, err := chain.New(address, 0)
			if err != nil {
				return err
			}
			nodes = append(nodes, client)
		}
		now := time.Now()
		light, err := chain.NewLight(ctx, nodes, "cosmos", chain.Trust{Height: height, Hash: hash}, now)
		if err != nil {
			return err
		}
		state, err := light.Head(ctx, now)
		if err != nil {
			return err
		}
		vaults, err := state.Coverage(ctx, nil)
		if err != nil {
			return err
		}
		for _, v := range vaults {
			fmt.Println(v.Vault, v.Published, "published,", v.Proven, "proven, need", v.Threshold)
		}
		return nil
	}
	_ = covered
}
