package types_test

import (
	"fmt"
	"math/big"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/verenc"
)

// TestChancesOfTheTable compares the table of docs/embedding.md with what it says it is: the chance
// that some vault of a churn has more malicious members than it bears.
func TestChancesOfTheTable(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/embedding.md")
	require.NoError(t, err)
	header := regexp.MustCompile(`(?m)^\| validators \| vaults of at most \|((?: \d+ % \|)+)$`).FindStringSubmatch(string(doc))
	require.NotNil(t, header, "the table's header")
	var shares []int
	for _, s := range regexp.MustCompile(`\d+`).FindAllString(header[1], -1) {
		share, err := strconv.Atoi(s)
		require.NoError(t, err)
		shares = append(shares, share)
	}
	_, rows, _ := strings.Cut(string(doc), header[0])
	rows, _, _ = strings.Cut(rows, "\n\n")
	count := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \|.*$`).FindAllStringSubmatch(rows, -1) {
		n, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		size, err := strconv.Atoi(row[2])
		require.NoError(t, err)
		want := fmt.Sprintf("| %d | %d |", n, size)
		for _, share := range shares {
			want += " " + percent(tooMany(n, size, n*share/100)) + " |"
		}
		require.Equal(t, want, row[0])
		count++
	}
	require.Greater(t, count, 5, "rows")
}

// tooMany is the chance that of n validators, parted at random into as few vaults of at most size as
// can be, whose sizes differ by at most one, some vault has more malicious ones than n - threshold
// of its own n.
func tooMany(n, size, malicious int) *big.Rat {
	// good[m] counts the ways to choose m malicious validators so that no vault so far has too many.
	good := []*big.Int{big.NewInt(1)}
	for vaults, left := (n+size-1)/size, n; vaults > 0; vaults-- {
		members := left / vaults
		left -= members
		bears := members - verenc.Threshold(members)
		next := make([]*big.Int, len(good)+bears)
		for m := range next {
			next[m] = new(big.Int)
			for here := max(0, m-len(good)+1); here <= min(m, bears); here++ {
				ways := new(big.Int).Binomial(int64(members), int64(here))
				next[m].Add(next[m], ways.Mul(ways, good[m-here]))
			}
		}
		good = next
	}
	if malicious >= len(good) {
		return big.NewRat(1, 1)
	}
	all := new(big.Int).Binomial(int64(n), int64(malicious))
	bad := new(big.Int).Sub(all, good[malicious])
	return new(big.Rat).SetFrac(bad, all)
}

// percent writes a chance as the table does.
func percent(p *big.Rat) string {
	switch {
	case p.Sign() == 0:
		return "0"
	case p.Cmp(big.NewRat(1, 1)) == 0:
		return "always"
	case p.Cmp(big.NewRat(1, 1000)) < 0:
		return "< 0.1 %"
	case p.Cmp(big.NewRat(999, 1000)) > 0:
		return "> 99.9 %"
	}
	return new(big.Rat).Mul(p, big.NewRat(100, 1)).FloatString(1) + " %"
}
