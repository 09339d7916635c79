package ovirt

import (
	"errors"
	"net/http"
	"strings"

	"github.com/isonet/isonet/api/rest"
)

// The engine's single sign-on is beside the API.
const (
	ssoPath    = "/ovirt-engine/sso/"
	logoutPath = "/ovirt-engine/services/sso-logout"
)

// isSSO reports whether clients expect JSON at a path, whatever they accept.
func isSSO(path string) bool { return strings.HasPrefix(path, ssoPath) || path == logoutPath }

var errSSO = errors.New("login refused")

// ssoError is a refusal in the terms of RFC 6749 section 5.2, as far as the
// engine uses them.
type ssoError struct{ code, text string }

func (e *ssoError) Error() string { return e.text }

func (*ssoError) Unwrap() error { return errSSO }

// ssoFault is the form of a refusal in which the SDKs find the words.
type ssoFault struct {
	Code string `json:"error_code"`
	Text string `json:"error"`
}

var errForm = &ssoError{"invalid_request", "The form is malformed: encode its values as application/x-www-form-urlencoded."}

// sendSSO writes a refusal for clients of the single sign-on.
func sendSSO(c *rest.Call, status int, err error) {
	f := ssoFault{Code: "invalid_request", Text: err.Error()}
	if status >= http.StatusInternalServerError {
		f.Code = "server_error"
	}
	if e, ok := errors.AsType[*ssoError](err); ok {
		f.Code = e.code
	}
	_ = c.SendJSON(status, f) // two strings always encode
}
