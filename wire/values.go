package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ValueError says in the oVirt engine's words which value a member cannot have.
type ValueError struct{ Text string }

func (e *ValueError) Error() string { return e.Text }

func valueErrorf(format string, args ...any) error { return &ValueError{fmt.Sprintf(format, args...)} }

// Boolean is written "true" or "false" in XML, and as a string in JSON too, as the
// engine does. It is read from a native JSON value as well.
type Boolean bool

// MarshalText writes a Boolean.
func (b Boolean) MarshalText() ([]byte, error) {
	return strconv.AppendBool(nil, bool(b)), nil
}

// UnmarshalText reads a Boolean; its error is a *ValueError.
func (b *Boolean) UnmarshalText(text []byte) error {
	switch strings.TrimSpace(string(text)) {
	case "true", "1":
		*b = true
	case "false", "0":
		*b = false
	default:
		return valueErrorf(`Value "%s" isn't a valid boolean, it should be "true", "false", "0" or "1".`, text)
	}
	return nil
}

// UnmarshalJSON reads a Boolean; its error is a *ValueError.
func (b *Boolean) UnmarshalJSON(data []byte) error { return b.UnmarshalText(Unquote(data)) }

// Integer is a 32-bit integer, written as a string in JSON and read from a
// native JSON value as well.
type Integer int

// MarshalText writes an Integer.
func (i Integer) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(i), 10), nil
}

// UnmarshalText reads an Integer; its error is a *ValueError.
func (i *Integer) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	switch {
	case err != nil:
		return valueErrorf(`Value "%s" isn't a valid integer.`, text)
	case n > math.MaxInt32:
		return valueErrorf("Value %d is greater than maximum integer %d.", n, math.MaxInt32)
	case n < math.MinInt32:
		return valueErrorf("Value %d is less than minimum integer %d.", n, math.MinInt32)
	}
	*i = Integer(n)
	return nil
}

// UnmarshalJSON reads an Integer; its error is a *ValueError.
func (i *Integer) UnmarshalJSON(data []byte) error { return i.UnmarshalText(Unquote(data)) }

// Unquote takes the quotes from a JSON string that holds a number or boolean.
func Unquote(data []byte) []byte {
	if len(data) >= 2 && data[0] == '"' {
		return data[1 : len(data)-1]
	}
	return data
}
