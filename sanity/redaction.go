package sanity

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// redaction is embedded in what must not show itself: in every formatting verb, in JSON, as text
// and in structured logs it is a constant.
type redaction struct{}

// String returns a constant.
func (redaction) String() string { return redacted }

// GoString returns a constant.
func (redaction) GoString() string { return redacted }

// Format writes a constant, whatever the verb.
func (redaction) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns a constant.
func (redaction) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns a constant.
func (redaction) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a constant.
func (redaction) LogValue() slog.Value { return slog.StringValue(redacted) }
