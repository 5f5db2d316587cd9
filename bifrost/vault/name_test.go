package vault

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhichVaultIsMeant(t *testing.T) {
	a, b := "02aaaaaa11"+strings.Repeat("0", 56), "02aaaaaa22"+strings.Repeat("0", 56)
	for name, tc := range map[string]struct {
		digits string
		names  []string
		want   string
		err    string
	}{
		"by its whole name":              {a, []string{a, b}, a, ""},
		"by digits that only one has":    {"02aaaaaa1", []string{a, b}, a, ""},
		"by digits that two have":        {"02aaaaaa", []string{a, b}, "", "begins several vaults: " + a + ", " + b},
		"by digits that none has":        {"02bbbbbb", []string{a}, "", "no active or retiring one begins with 02bbbbbb: there is " + a},
		"where there is no vault at all": {"02bbbbbb", nil, "", "there is no active or retiring one"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, CheckDigits(tc.digits))
			got, err := Pick(tc.digits, tc.names)
			require.Equal(t, tc.want, got)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
			}
		})
	}
	for _, digits := range []string{"", "02aaaaa", "02aaaaag", "02AAAAAA", a + "0", "g" + a[1:]} {
		require.Error(t, CheckDigits(digits), digits)
	}
}
