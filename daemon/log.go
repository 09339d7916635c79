package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf16"
)

// NewLogger returns a logger in the form that the configuration asks for. What
// a client sends can neither begin a line of its own in it nor reach the
// terminal of who reads it as anything but text.
func NewLogger(cfg Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.JSONLog {
		return slog.New(slog.NewJSONHandler(printable{w}, options))
	}
	return slog.New(slog.NewTextHandler(printable{w}, options))
}

// printable escapes what slog's handlers leave as it is and terminals obey. For
// JSON, where an escape means the character, that is DEL, the C1 controls and
// what hides or turns the direction of text. For text it is DEL, which slog
// does not quote; all the rest is quoted.
type printable struct{ w io.Writer }

func (p printable) Write(record []byte) (int, error) {
	var line strings.Builder
	for _, r := range string(record) {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			line.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&line, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&line, "\\u%04x", r)
		}
	}
	if _, err := io.WriteString(p.w, line.String()); err != nil {
		return 0, err
	}
	return len(record), nil
}
