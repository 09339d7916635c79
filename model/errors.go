package model

import (
	"errors"
	"fmt"
)

// The kinds of refusal. Test with errors.Is; the api package holds the one
// table that turns them into HTTP status codes.
var (
	// ErrInvalid says that the request itself is wrong, whatever the state.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound says that something the request names does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the request is sound but the present state forbids it.
	ErrConflict = errors.New("conflict")
)

// Error is a refusal with a text for the person who asked.
type Error struct {
	Kind error // ErrInvalid, ErrNotFound or ErrConflict
	Text string
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Invalidf makes an ErrInvalid with a text.
func Invalidf(format string, args ...any) error {
	return &Error{Kind: ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// NotFoundf makes an ErrNotFound with a text.
func NotFoundf(format string, args ...any) error {
	return &Error{Kind: ErrNotFound, Text: fmt.Sprintf(format, args...)}
}

// Conflictf makes an ErrConflict with a text.
func Conflictf(format string, args ...any) error {
	return &Error{Kind: ErrConflict, Text: fmt.Sprintf(format, args...)}
}
