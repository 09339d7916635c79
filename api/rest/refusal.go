package rest

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/isonet/isonet/model"
)

// The kinds of refusal that come from the protocol and not from the model.
var (
	ErrSyntax       = errors.New("malformed body")
	ErrIncomplete   = errors.New("incomplete parameters")
	ErrValue        = errors.New("invalid value")
	ErrVersion      = errors.New("unknown API version")
	ErrUnauthorized = errors.New("no valid credentials")
	ErrTooMany      = errors.New("too many wrong passwords")
	ErrForbidden    = errors.New("not allowed to this user")
	ErrCrossOrigin  = errors.New("cross-origin request")
	ErrNoResource   = errors.New("no such resource")
	ErrMethod       = errors.New("method not allowed")
	ErrTooLarge     = errors.New("body too large")
	ErrSlow         = errors.New("body too slow")
	ErrMediaType    = errors.New("unsupported media type")
	ErrPrecondition = errors.New("precondition failed")
	ErrImmutable    = errors.New("immutable member")
)

// Refuse makes an error of a kind with a text for the person who asked.
func Refuse(kind error, format string, args ...any) error {
	return &model.Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// MaxText bounds a text that a client can make long by what it sends, in bytes.
const MaxText = 8 << 10

// Clip cuts a text that is longer than anybody would read, so that neither a
// reply nor a log line repeats a whole body.
func Clip(text string) string {
	if len(text) <= MaxText {
		return text
	}
	end := MaxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// methodError says which methods a resource has.
type methodError struct{ method, allow string }

func (e *methodError) Error() string {
	return "The resource has no method " + e.method + ": use one of " + e.allow + "."
}

func (e *methodError) Unwrap() error { return ErrMethod }
