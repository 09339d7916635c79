package api

import (
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The engine's single sign-on is beside the API.
const (
	ssoPath    = "/ovirt-engine/sso/"
	logoutPath = "/ovirt-engine/services/sso-logout"
)

const (
	// maxForm is the most bytes of a form. A user name and a password fit.
	maxForm = 16 << 10
	// apiScope is what a token of the single sign-on must be asked for to be
	// good for the API.
	apiScope = "ovirt-app-api"
)

// openTable has what needs no login, because clients log in there or learn whom
// to trust with their password.
func (e *endpoint) openTable() []route {
	return []route{
		{pattern: "POST /ovirt-engine/sso/oauth/token", handle: e.issueToken},
		{pattern: "POST /ovirt-engine/sso/oauth/token-http-auth", handle: e.refuseKerberos},
		{pattern: "POST /ovirt-engine/sso/oauth/revoke", handle: e.revokeToken},
		{pattern: "POST " + logoutPath, handle: e.revokeToken},
		{pattern: "GET /ovirt-engine/services/pki-resource", handle: e.getPKIResource},
		{pattern: "GET /ovirt-engine/ca.crt", handle: e.getCA},
		{pattern: "GET /ca.crt", handle: e.getCA},
	}
}

// isOpen reports whether a path is one of those that need no login, or near it.
func isOpen(path string) bool {
	return isSSO(path) || strings.HasPrefix(path, "/ovirt-engine/services/") || path == "/ovirt-engine/ca.crt" || path == "/ca.crt"
}

// isSSO reports whether clients expect JSON at a path, whatever they accept.
func isSSO(path string) bool { return strings.HasPrefix(path, ssoPath) || path == logoutPath }

// tokenReply is the engine's answer to a login (RFC 6749 section 5.1), with the
// end of the token in milliseconds since 1970.
type tokenReply struct {
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope"`
	Exp         string `json:"exp"`
	TokenType   string `json:"token_type"`
}

// issueToken answers POST sso/oauth/token, the login of oVirt's SDKs.
func (e *endpoint) issueToken(c *call) error {
	form, err := c.form()
	if err != nil {
		return err
	}
	name, password, err := credentials(form)
	if err != nil {
		return err
	}
	// Whoever may connect to the unix socket may do everything there: any name
	// and token are as good as none, and no token ends.
	text, end := newToken(), int64(math.MaxInt64)
	if e.users != nil {
		user, err := e.users.verify(c.r.Context(), name, password)
		if errors.Is(err, errUnauthorized) {
			return &ssoError{"access_denied", "Cannot authenticate user '" + name + "': The user name or password is incorrect.."}
		}
		if err != nil {
			return err
		}
		c.user = user
		issued, until := e.tokens.issue(user)
		text, end = issued, until.UnixMilli()
	}
	return c.sendJSON(http.StatusOK, tokenReply{
		AccessToken: text, Scope: apiScope, Exp: strconv.FormatInt(end, 10), TokenType: "bearer",
	})
}

// credentials reads the form of a login.
func credentials(form url.Values) (name, password string, err error) {
	if err := require(form, "grant_type"); err != nil {
		return "", "", err
	}
	if form.Get("grant_type") != "password" {
		return "", "", &ssoError{"unsupported_grant_type", "The grant type is not supported: use 'password'."}
	}
	if err := require(form, "username", "password"); err != nil {
		return "", "", err
	}
	// RFC 6749 section 4.3.2: the scope may be left out.
	if scope := form.Get("scope"); scope != "" && !slices.Contains(strings.Fields(scope), apiScope) {
		return "", "", &ssoError{"invalid_scope", "The scope is not supported: use '" + apiScope + "'."}
	}
	return form.Get("username"), form.Get("password"), nil
}

// require refuses a form without one of the parameters.
func require(form url.Values, names ...string) error {
	for _, name := range names {
		if form.Get(name) == "" {
			return &ssoError{"invalid_request", "Missing parameter: '" + name + "'"}
		}
	}
	return nil
}

// refuseKerberos answers POST sso/oauth/token-http-auth.
func (*endpoint) refuseKerberos(*call) error {
	return &ssoError{"unsupported_grant_type", "Kerberos is not supported: log in with the grant type 'password'."}
}

// revokeToken answers the logout. Clients that have no token log out too.
func (e *endpoint) revokeToken(c *call) error {
	form, err := c.form()
	if err != nil {
		return err
	}
	if e.tokens != nil {
		e.tokens.revoke(form.Get("token"))
	}
	return c.sendJSON(http.StatusOK, struct{}{})
}

// form reads a body that is a form. Its errors tell nothing of the content,
// which may be a password.
func (c *call) form() (url.Values, error) {
	contentType := c.r.Header.Get("Content-Type")
	if mediaType, _, err := mime.ParseMediaType(contentType); contentType != "" && (err != nil || mediaType != "application/x-www-form-urlencoded") {
		return nil, refuse(errMediaType, "The content type %q is not supported: use application/x-www-form-urlencoded.", contentType)
	}
	data, err := c.body(maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, &ssoError{"invalid_request", "The form is malformed: encode its values as application/x-www-form-urlencoded."}
	}
	return form, nil
}

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

// failSSO writes a refusal for clients of the single sign-on.
func (c *call) failSSO(status int, err error) {
	f := ssoFault{Code: "invalid_request", Text: err.Error()}
	if status >= http.StatusInternalServerError {
		f.Code = "server_error"
	}
	if e, ok := errors.AsType[*ssoError](err); ok {
		f.Code = e.code
	}
	_ = c.sendJSON(status, f) // two strings always encode
}

func (c *call) sendJSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.sendBytes(status, formatJSON.contentType(), append(body, '\n'))
	return nil
}

// getPKIResource answers GET services/pki-resource, where the engine has its
// CA's certificate.
func (e *endpoint) getPKIResource(c *call) error {
	query := c.r.URL.Query()
	format := query.Get("format")
	if query.Get("resource") != "ca-certificate" || (format != "" && format != "X509-PEM-CA" && format != "X509-PEM") {
		return refuse(errNoResource, "There is no such resource: ask for resource=ca-certificate and format=X509-PEM-CA.")
	}
	return e.getCA(c)
}

// getCA answers with the certificate by which clients can trust the listener.
func (e *endpoint) getCA(c *call) error {
	if len(e.api.ca) == 0 {
		return refuse(errNoResource, "isonetd was given no CA certificate: its option tls-ca names one.")
	}
	c.sendBytes(http.StatusOK, "application/x-x509-ca-cert", e.api.ca)
	return nil
}
