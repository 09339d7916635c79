package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/isonet/isonet/model"
)

// The kinds of refusal that come from the protocol and not from the model.
var (
	errSyntax       = errors.New("malformed body")
	errIncomplete   = errors.New("incomplete parameters")
	errValue        = errors.New("invalid value")
	errVersion      = errors.New("unknown API version")
	errUnauthorized = errors.New("no valid credentials")
	errForbidden    = errors.New("not allowed to this user")
	errSSO          = errors.New("login refused")
	errCrossOrigin  = errors.New("cross-origin request")
	errNoResource   = errors.New("no such resource")
	errMethod       = errors.New("method not allowed")
	errTooLarge     = errors.New("body too large")
	errSlow         = errors.New("body too slow")
	errMediaType    = errors.New("unsupported media type")
	errPrecondition = errors.New("precondition failed")
	errImmutable    = errors.New("immutable member")
)

const operationFailed = "Operation Failed"

// answers is the one table from a kind of error to what a client gets. The
// first kind that an error wraps counts; what wraps none is an internal error.
// Statuses and reasons are the oVirt engine's as far as it has the case. A
// timeout is 504: the engine has none, because it does not wait for the host's
// report. So is a write of which nobody knows whether it was made; 503 says of
// one that it was not.
var answers = []struct {
	kind   error
	status int
	reason string
}{
	{errSyntax, http.StatusBadRequest, "Request syntactically incorrect."},
	{errIncomplete, http.StatusBadRequest, "Incomplete parameters"},
	{errValue, http.StatusBadRequest, "Invalid value"},
	{errVersion, http.StatusBadRequest, "Unsupported version"},
	{errUnauthorized, http.StatusUnauthorized, "Unauthorized"},
	{errForbidden, http.StatusForbidden, operationFailed},
	{errSSO, http.StatusBadRequest, operationFailed}, // 401 would hide the body from oVirt's Go SDK
	{errCrossOrigin, http.StatusForbidden, "Forbidden"},
	{errNoResource, http.StatusNotFound, "Not Found"},
	{errMethod, http.StatusMethodNotAllowed, "Method Not Allowed"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "Request Entity Too Large"},
	{errSlow, http.StatusRequestTimeout, "Request Timeout"},
	{errMediaType, http.StatusUnsupportedMediaType, "Unsupported Media Type"},
	{errPrecondition, http.StatusPreconditionFailed, "Precondition Failed"},
	{errImmutable, http.StatusConflict, "Broken immutability constraint"},
	{model.ErrUndecided, http.StatusGatewayTimeout, operationFailed}, // whatever else is wrong
	{model.ErrInvalid, http.StatusBadRequest, operationFailed},
	{model.ErrNotFound, http.StatusNotFound, operationFailed},
	{model.ErrConflict, http.StatusConflict, operationFailed},
	{model.ErrUnavailable, http.StatusServiceUnavailable, operationFailed},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, operationFailed},
}

// refuse makes an error of a kind with a text for the person who asked.
func refuse(kind error, format string, args ...any) error {
	return &model.Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// maxText bounds a text that a client can make long by what it sends, in bytes.
const maxText = 8 << 10

// clip cuts a text that is longer than anybody would read, so that neither a
// reply nor a log line repeats a whole body.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// fault returns the status code and the body for an error. The engine writes
// the texts of failed operations as a list in brackets.
func fault(err error) (int, *faultDTO) {
	status, reason := http.StatusInternalServerError, operationFailed
	for _, a := range answers {
		if errors.Is(err, a.kind) {
			status, reason = a.status, a.reason
			break
		}
	}
	detail := clip(words(err))
	if reason == operationFailed {
		detail = "[" + detail + "]"
	}
	return status, &faultDTO{Detail: detail, Reason: reason}
}

// failedAction is the error of an action that the engine tells within the
// action, with the status code of the error.
type failedAction struct{ cause error }

func (e *failedAction) Error() string { return e.cause.Error() }

func (e *failedAction) Unwrap() error { return e.cause }

// failure returns the status code and the whole body for an error, with its
// refusals one by one for who wants their codes.
func failure(err error, coded bool) (int, document) {
	status, body := fault(err)
	if coded {
		body.Refusals = refusals(err)
	}
	if _, within := errors.AsType[*failedAction](err); within {
		return status, &actionDTO{Fault: body, Status: "failed"}
	}
	return status, body
}
