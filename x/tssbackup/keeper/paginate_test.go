package keeper_test

import (
	"testing"

	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// TestPaginate compares pages of a list at hand with what the SDK gives of a collection.
func TestPaginate(t *testing.T) {
	key := func(s string) []byte { return []byte(s) }
	list := []string{"a", "b", "c", "d", "e"}
	tests := []struct {
		name  string
		req   *query.PageRequest
		want  []string
		next  string
		total uint64
	}{
		{"no request is the first page and the total", nil, list, "", 5},
		{"an empty request too", &query.PageRequest{}, list, "", 5},
		{"a limit", &query.PageRequest{Limit: 2}, list[:2], "c", 0},
		{
			"a limit with the total",
			&query.PageRequest{Limit: 2, CountTotal: true}, list[:2], "c", 5,
		},
		{"from a key on", &query.PageRequest{Limit: 2, Key: []byte("c")}, list[2:4], "e", 0},
		{
			"from a key that is gone",
			&query.PageRequest{Limit: 2, Key: []byte("cc")}, list[3:], "", 0,
		},
		{"from a key after all", &query.PageRequest{Key: []byte("f")}, nil, "", 0},
		{"from an offset on", &query.PageRequest{Limit: 2, Offset: 3}, list[3:], "", 0},
		{"from an offset after all", &query.PageRequest{Offset: 9}, nil, "", 5},
		{"reversed", &query.PageRequest{Limit: 2, Reverse: true}, []string{"e", "d"}, "c", 0},
		{
			"reversed from a key on",
			&query.PageRequest{Reverse: true, Key: []byte("c")},
			[]string{"c", "b", "a"},
			"", 0,
		},
		{
			"reversed from a key that is gone",
			&query.PageRequest{Reverse: true, Key: []byte("cc")},
			[]string{"c", "b", "a"},
			"", 0,
		},
		{
			"a limit beyond every number",
			&query.PageRequest{Limit: 1<<64 - 1, Offset: 1}, list[1:], "", 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, page, err := keeper.Paginate(list, key, tt.req)
			require.NoError(t, err)
			require.Equal(t, append([]string{}, tt.want...), append([]string{}, got...))
			require.Equal(t, tt.next, string(page.NextKey))
			require.Equal(t, tt.total, page.Total)
		})
	}
	_, _, err := keeper.Paginate(list, key, &query.PageRequest{Offset: 1, Key: []byte("b")})
	require.Error(t, err)
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, list, "the list stays as it was")
}
