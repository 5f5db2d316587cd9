package keeper

import (
	"context"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/tssbackup/tssbackup/verenc"
)

// SetVerify sets what checks proofs.
func (k *Keeper) SetVerify(verify func(verenc.Statement, []byte) ([]byte, error)) { k.verify = verify }

// Stage stages an envelope.
func (k Keeper) Stage(ctx context.Context, sha256, envelope []byte) error {
	return k.stage(ctx, sha256, envelope)
}

// Paginate is for its test.
func Paginate[T any](list []T, key func(T) []byte, req *query.PageRequest) ([]T, *query.PageResponse, error) {
	return paginate(list, key, req)
}
