package vault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrUnknown means that no vault has the name, or begins with the digits, that somebody gave.
var ErrUnknown = errors.New("no such vault")

// MinDigits is how many digits of its name at least name a vault for people.
const MinDigits = 8

// CheckDigits errs unless a text is a vault's name, or the beginning of one that is long enough.
// The text is in lower case.
func CheckDigits(digits string) error {
	switch {
	case len(digits) == 2*types.PubKeySize:
		if _, err := types.ParseVault(digits); err == nil {
			return nil
		}
	case len(digits) >= MinDigits && len(digits) < 2*types.PubKeySize &&
		strings.Trim(digits, "0123456789abcdef") == "":
		return nil
	}
	return fmt.Errorf("a vault is named by its compressed secp256k1 key, 66 hex digits, "+
		"or by the first of these, %d at least", MinDigits)
}

// Pick finds the one among vaults, given by their names, that digits name: the whole name or its
// beginning. When none begins so, the error wraps [ErrUnknown]; when several do, it is
// the user's, who gave too few. Both name the candidates.
func Pick(digits string, names []string) (string, error) {
	var found []string
	for _, name := range names {
		if strings.HasPrefix(name, digits) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if len(names) == 0 {
			return "", fmt.Errorf("%w: there is no active or retiring one", ErrUnknown)
		}
		return "", fmt.Errorf("%w: no active or retiring one begins with %s: there is %s "+
			"(one that is retired is named by all of its digits)",
			ErrUnknown, digits, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("%s begins several vaults: %s", digits, strings.Join(found, ", "))
}

// Short is the beginning of a vault's name, for tables and progress: enough to name it by.
func Short(name string) string {
	const digits = 12
	if len(name) <= digits {
		return name
	}
	return name[:digits] + "…"
}
