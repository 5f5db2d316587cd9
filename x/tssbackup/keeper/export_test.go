package keeper

import (
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/tssbackup/tssbackup/verenc"
)

// SetVerify sets what checks proofs.
func (k *Keeper) SetVerify(verify func(verenc.Statement, []byte) ([]byte, error)) { k.verify = verify }

// Paginate is for its test.
func Paginate[T any](list []T, key func(T) []byte, req *query.PageRequest) ([]T, *query.PageResponse, error) {
	return paginate(list, key, req)
}
