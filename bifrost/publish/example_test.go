package publish_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/publish"
)

// A loop needs ceremonies, and all else that [publish.Config] names; package adapt has that for a
// node, the signer's key and its mnemonic. What ceremonies owe the loop is an order: a result is
// kept before this member signs for it, and comes back with the signatures of all.
func Example() {
	keygen := func(ctx context.Context, r ceremony.KeygenRequest) (*ceremony.KeygenResult, error) {
		fmt.Printf("a keygen of %d members, of whom %d sign\n", len(r.Members), r.Threshold)
		result := ceremony.KeygenResult{
			Secp256k1: make([]byte, 33), Ed25519: make([]byte, 32),
			Files: []envelope.File{{Name: "localstate-….json"}, {Name: "localstate-….json"}},
		}
		digest, err := r.Keep(ctx, result)
		if err != nil {
			return nil, err // it is not on the disk, so this member signs nothing
		}
		fmt.Printf("kept; all members sign %d bytes\n", len(digest))
		result.Certificate = make([][]byte, len(r.Members)) // from the members, in their order
		return &result, nil
	}
	sign := func(context.Context, ceremony.KeysignRequest) ([]byte, error) {
		return nil, &ceremony.BlameError{Members: [][]byte{make([]byte, 33)}, Reason: "it was silent"}
	}
	var tss publish.Tss = ceremonies{keygen, sign}

	// What the loop asks.
	_, err := tss.Keygen(context.Background(), ceremony.KeygenRequest{
		Members: make([][]byte, 4), Threshold: 3,
		Keep: func(context.Context, ceremony.KeygenResult) (digest []byte, err error) {
			return make([]byte, 32), nil
		},
	})
	fmt.Println(err)
	_, err = tss.Keysign(context.Background(), ceremony.KeysignRequest{})
	var blame *ceremony.BlameError
	fmt.Println(errors.As(err, &blame), blame.Reason)
	// Output:
	// a keygen of 4 members, of whom 3 sign
	// kept; all members sign 32 bytes
	// <nil>
	// true it was silent
}

// ceremonies are those of a signer that was there before.
type ceremonies struct {
	keygen func(context.Context, ceremony.KeygenRequest) (*ceremony.KeygenResult, error)
	sign   func(context.Context, ceremony.KeysignRequest) ([]byte, error)
}

func (c ceremonies) Keygen(
	ctx context.Context, r ceremony.KeygenRequest,
) (*ceremony.KeygenResult, error) {
	return c.keygen(ctx, r)
}

func (c ceremonies) Keysign(ctx context.Context, r ceremony.KeysignRequest) ([]byte, error) {
	return c.sign(ctx, r)
}
