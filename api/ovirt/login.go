package ovirt

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/isonet/isonet/api/rest"
)

// apiScope is what a token of the single sign-on must be asked for to be good for the
// API.
const apiScope = "ovirt-app-api"

// loginResource is where clients log in, or learn whom to trust with their password.
type loginResource struct {
	sessions *rest.Sessions
	// ca are the certificates in PEM form by which clients can trust the listener.
	ca func() []byte
}

// OpenRoutes returns what needs no login, beside the API. CA are the certificates in
// PEM form by which clients can trust the listener; it may be empty.
func OpenRoutes(sessions *rest.Sessions, ca func() []byte) []rest.Route {
	r := loginResource{sessions, ca}
	return []rest.Route{
		{Pattern: "POST /ovirt-engine/sso/oauth/token", Handle: r.issueToken},
		{Pattern: "GET /ovirt-engine/sso/oauth/token", Handle: r.issueTokenByQuery},
		{Pattern: "POST /ovirt-engine/sso/oauth/token-http-auth", Handle: r.refuseKerberos},
		{Pattern: "POST /ovirt-engine/sso/oauth/revoke", Handle: r.revokeToken},
		{Pattern: "POST " + logoutPath, Handle: r.revokeToken},
		{Pattern: "GET /ovirt-engine/services/pki-resource", Handle: r.getPKIResource},
		{Pattern: "GET /ovirt-engine/ca.crt", Handle: r.getCA},
		{Pattern: "GET /ca.crt", Handle: r.getCA},
	}
}

// IsOpen reports whether a path is one of those that need no login, or near it.
func IsOpen(path string) bool {
	return isSSO(path) || strings.HasPrefix(path, "/ovirt-engine/services/") || path == "/ovirt-engine/ca.crt" || path == "/ca.crt"
}

// tokenReply is the engine's answer to a login (RFC 6749 section 5.1), with the
// end of the token in milliseconds since 1970.
type tokenReply struct {
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope"`
	Exp         string `json:"exp"`
	TokenType   string `json:"token_type"`
}

// issueToken answers POST sso/oauth/token, the login of oVirt's SDKs.
func (r loginResource) issueToken(c *rest.Call) error {
	form, err := c.ReadForm(errForm)
	if err != nil {
		return err
	}
	return r.login(c, form)
}

// issueTokenByQuery answers GET sso/oauth/token, which the engine has too.
func (r loginResource) issueTokenByQuery(c *rest.Call) error { return r.login(c, c.Query()) }

// login gives out a token for what a form or a query says.
func (r loginResource) login(c *rest.Call, form url.Values) error {
	name, password, err := credentials(form)
	if err != nil {
		return err
	}
	token, end, err := r.sessions.Login(c, name, password)
	if errors.Is(err, rest.ErrUnauthorized) {
		return &ssoError{"access_denied", "Cannot authenticate user '" + name + "': The user name or password is incorrect.."}
	}
	if err != nil {
		return err
	}
	until := int64(math.MaxInt64)
	if !end.IsZero() {
		until = end.UnixMilli()
	}
	return c.SendJSON(http.StatusOK, tokenReply{
		AccessToken: token, Scope: apiScope, Exp: strconv.FormatInt(until, 10), TokenType: "bearer",
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
func (loginResource) refuseKerberos(*rest.Call) error {
	return &ssoError{"unsupported_grant_type", "Kerberos is not supported: log in with the grant type 'password'."}
}

// revokeToken answers the logout. Clients that have no token log out too.
func (r loginResource) revokeToken(c *rest.Call) error {
	form, err := c.ReadForm(errForm)
	if err != nil {
		return err
	}
	r.sessions.Logout(c, form.Get("token"))
	return c.SendJSON(http.StatusOK, struct{}{})
}

// getPKIResource answers GET services/pki-resource, where the engine has its
// CA's certificate.
func (r loginResource) getPKIResource(c *rest.Call) error {
	query := c.Query()
	format := query.Get("format")
	if query.Get("resource") != "ca-certificate" || (format != "" && format != "X509-PEM-CA" && format != "X509-PEM") {
		return rest.Refuse(rest.ErrNoResource, "There is no such resource: ask for resource=ca-certificate and format=X509-PEM-CA.")
	}
	return r.getCA(c)
}

// getCA answers with the certificate by which clients can trust the listener.
func (r loginResource) getCA(c *rest.Call) error {
	ca := r.ca()
	if len(ca) == 0 {
		return rest.Refuse(rest.ErrNoResource, "isonetd was given no CA certificate: its option tls-ca names one.")
	}
	c.SendBytes(http.StatusOK, "application/x-x509-ca-cert", ca)
	return nil
}
