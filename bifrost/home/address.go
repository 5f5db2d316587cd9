package home

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/bech32"
)

// DecodeAddress reads an address that somebody typed. Its error names the address, and says when a
// character of it must be wrong.
func DecodeAddress(text string) (prefix string, raw []byte, err error) {
	prefix, raw, err = bech32.DecodeAndConvert(text)
	switch {
	case err == nil:
		return prefix, raw, nil
	// The library has no error to branch on.
	case strings.Contains(err.Error(), "checksum"):
		return "", nil, fmt.Errorf(
			"%.100q: its checksum does not fit: a character is wrong, missing or too many", text)
	}
	return "", nil, fmt.Errorf("%.100q is no address: %w", text, err)
}

// OperatorAddress returns the raw address of the validator's operator.
func (c Config) OperatorAddress() ([]byte, error) {
	const suffix = "valoper"
	want := cmp.Or(c.OperatorPrefix, c.Prefix+suffix)
	if c.Operator == "" {
		return nil, fmt.Errorf("operator is not set: an address that begins with %s1", want)
	}
	prefix, raw, err := DecodeAddress(c.Operator)
	if err != nil {
		return nil, fmt.Errorf("operator %w; it begins with %s1", err, want)
	}
	account, isOperator := strings.CutSuffix(prefix, suffix)
	switch {
	case prefix == want:
		return raw, nil
	case isOperator && c.OperatorPrefix == "":
		return nil, fmt.Errorf(
			"operator %q is not an address that begins with %s1: either it is another chain's, or "+
				"prefix should be %s", c.Operator, want, account)
	case prefix == c.Prefix:
		same, err := bech32.ConvertAndEncode(want, raw)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("operator %q is an account's address; as that of an operator it is %s",
			c.Operator, same)
	}
	return nil, fmt.Errorf("operator %q is not an address that begins with %s1", c.Operator, want)
}

// OperatorAccount returns the address of the account that is the validator's operator.
func (c Config) OperatorAccount() (string, error) {
	raw, err := c.OperatorAddress()
	if err != nil {
		return "", err
	}
	return bech32.ConvertAndEncode(c.Prefix, raw)
}
