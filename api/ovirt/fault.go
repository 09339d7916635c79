package ovirt

import (
	"context"
	"errors"
	"net/http"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
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
	{rest.ErrSyntax, http.StatusBadRequest, "Request syntactically incorrect."},
	{rest.ErrIncomplete, http.StatusBadRequest, "Incomplete parameters"},
	{rest.ErrValue, http.StatusBadRequest, "Invalid value"},
	{rest.ErrVersion, http.StatusBadRequest, "Unsupported version"},
	{rest.ErrUnauthorized, http.StatusUnauthorized, "Unauthorized"},
	{rest.ErrTooMany, http.StatusTooManyRequests, "Too Many Requests"},
	{rest.ErrForbidden, http.StatusForbidden, operationFailed},
	{errSSO, http.StatusBadRequest, operationFailed}, // 401 would hide the body from oVirt's Go SDK
	{rest.ErrCrossOrigin, http.StatusForbidden, "Forbidden"},
	{rest.ErrNoResource, http.StatusNotFound, "Not Found"},
	{rest.ErrMethod, http.StatusMethodNotAllowed, "Method Not Allowed"},
	{rest.ErrTooLarge, http.StatusRequestEntityTooLarge, "Request Entity Too Large"},
	{rest.ErrSlow, http.StatusRequestTimeout, "Request Timeout"},
	{rest.ErrMediaType, http.StatusUnsupportedMediaType, "Unsupported Media Type"},
	{rest.ErrPrecondition, http.StatusPreconditionFailed, "Precondition Failed"},
	{rest.ErrImmutable, http.StatusConflict, "Broken immutability constraint"},
	{model.ErrUndecided, http.StatusGatewayTimeout, operationFailed}, // whatever else is wrong
	{model.ErrInvalid, http.StatusBadRequest, operationFailed},
	{model.ErrNotFound, http.StatusNotFound, operationFailed},
	{model.ErrConflict, http.StatusConflict, operationFailed},
	{model.ErrForbidden, http.StatusForbidden, operationFailed},
	{model.ErrUnavailable, http.StatusServiceUnavailable, operationFailed},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, operationFailed},
}

// Faults says errors as the oVirt engine does.
type Faults struct{}

// Status is the status code for an error.
func (Faults) Status(err error) int {
	status, _ := answer(err)
	return status
}

// Send writes a fault, or a refusal to log in, with the refusals one by one for a
// client that wants their codes.
func (Faults) Send(c *rest.Call, status int, err error) {
	if c.Base() == "" && isSSO(c.Path()) {
		sendSSO(c, status, err)
		return
	}
	body := fault(err)
	if c.Header().Get(wire.RefusalsHeader) != "" {
		body.Refusals = refusals(err)
	}
	var d rest.Document = body
	if _, within := errors.AsType[*failedAction](err); within {
		d = &actionDTO{Fault: body, Status: "failed"}
	}
	_ = c.Send(status, d) // it has nothing but strings, which always encode
}

func answer(err error) (status int, reason string) {
	for _, a := range answers {
		if errors.Is(err, a.kind) {
			return a.status, a.reason
		}
	}
	return http.StatusInternalServerError, operationFailed
}

// fault returns the body for an error. The engine writes the texts of failed
// operations as a list in brackets.
func fault(err error) *faultDTO {
	_, reason := answer(err)
	detail := rest.Clip(words(err))
	if reason == operationFailed {
		detail = "[" + detail + "]"
	}
	return &faultDTO{Detail: detail, Reason: reason}
}

// failedAction is the error of an action that the engine tells within the
// action, with the status code of the error.
type failedAction struct{ cause error }

func (e *failedAction) Error() string { return e.cause.Error() }

func (e *failedAction) Unwrap() error { return e.cause }
