package keeper

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/query"
)

// paginate is the page of a list that is at hand, whose items have ascending keys, as
// query.CollectionPaginate would give it of a collection.
func paginate[T any](
	list []T, key func(T) []byte, req *query.PageRequest,
) ([]T, *query.PageResponse, error) {
	if req == nil {
		req = &query.PageRequest{}
	}
	if req.Offset > 0 && len(req.Key) > 0 {
		return nil, nil, errors.New("either an offset or a key, not both")
	}
	order := 1
	if req.Reverse {
		list = slices.Clone(list)
		slices.Reverse(list)
		order = -1
	}
	total := uint64(len(list))
	at := min(req.Offset, total)
	if len(req.Key) > 0 {
		before := func(item T) bool { return order*bytes.Compare(key(item), req.Key) < 0 }
		for at < total && before(list[at]) {
			at++
		}
	}
	limit, count := req.Limit, req.CountTotal
	if limit == 0 {
		limit, count = query.DefaultLimit, true
	}
	res := &query.PageResponse{}
	if count && len(req.Key) == 0 {
		res.Total = total
	}
	list = list[at:]
	if uint64(len(list)) > limit {
		res.NextKey = key(list[limit])
		list = list[:limit]
	}
	return list, res, nil
}
