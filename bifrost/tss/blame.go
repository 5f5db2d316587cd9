package tss

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A BlameError is the end of a ceremony that failed through the doing, or the silence, of some of its members.
type BlameError struct {
	// Members are the compressed public keys of those to blame, ascending, never empty. Where it cannot be told which of two
	// members failed the other, both are named.
	Members [][]byte
	// Reason tells what they did, or what they did not send.
	Reason string
}

func (e *BlameError) Error() string {
	names := make([]string, len(e.Members))
	for i, m := range e.Members {
		names[i] = hex.EncodeToString(m)
	}
	return fmt.Sprintf("%s (to blame: %s)", e.Reason, strings.Join(names, ", "))
}
