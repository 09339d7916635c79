package rest

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

// Call is one request on its way.
type Call struct {
	w http.ResponseWriter
	r *http.Request
	// base is the path that hrefs begin with: the one that the client used.
	base string
	// path is the request's escaped path below base, without empty segments.
	path string
	// matrix are the parameters that stand in the path.
	matrix url.Values
	// format is the form of the reply.
	format Format
	// correlation is the id that the client finds its request by.
	correlation string
	// user is who sent the request, and users are all whom the listener knows;
	// "" and nil on the unix socket and before the login.
	user  string
	users *Users
	// stays reports whether the user is still let in, and a channel that is closed when
	// that may change; nil where there are no users.
	stays func() (bool, <-chan struct{})
	// claimed is whom the client says to be, by a password.
	claimed string
	// about is that of the route.
	about func(*Call, *model.Desired) (any, error)
	// version is that of what the reply shows, "" if it has none, and made is
	// the desired state that a write made.
	version string
	made    *model.Desired
	// changed says what the write did, in words; dry that it is not to be done.
	changed string
	dry     bool
	// history takes down what the request did; nil takes down nothing.
	history *history.Store
	// status is the reply's status code; 0 before the reply.
	status int
	// err is what the handler returned.
	err error
}

// Context ends with the request.
func (c *Call) Context() context.Context { return c.r.Context() }

// Base is the path that hrefs begin with: the one that the client used. It is ""
// beside the API.
func (c *Call) Base() string { return c.base }

// Path is the request's escaped path below the base, without empty segments.
func (c *Call) Path() string { return c.path }

// User is who sent the request; "" on the unix socket and before the login.
func (c *Call) User() string { return c.user }

// Users are the names of all whom the listener lets in, in order; none on the unix
// socket.
func (c *Call) Users() []string { return c.users.names() }

// Query returns the parameters of the query, and of the path those that the query lacks.
func (c *Call) Query() url.Values {
	query := c.r.URL.Query()
	for name, values := range c.matrix {
		if !query.Has(name) {
			query[name] = values
		}
	}
	return query
}

// Header returns the header of the request.
func (c *Call) Header() http.Header { return c.r.Header }

// PathValue returns a segment of the path by its name in the route's pattern.
func (c *Call) PathValue(name string) string { return c.r.PathValue(name) }

// Client is where the request comes from: an IP address, or on the unix socket the user
// of the peer.
func (c *Call) Client() string {
	if host, _, err := net.SplitHostPort(c.r.RemoteAddr); err == nil {
		return host
	}
	return c.r.RemoteAddr
}

type callKey struct{}

func callOf(r *http.Request) *Call {
	c, _ := r.Context().Value(callKey{}).(*Call)
	return c
}

// NewCall returns the call of a request. An Endpoint makes its own.
func NewCall(w http.ResponseWriter, r *http.Request) *Call {
	c := &Call{w: w, r: r}
	plain, matrix := cutMatrix(r.URL.EscapedPath())
	c.base, c.path = splitPath(plain)
	c.matrix = matrix
	query := c.Query()
	c.format, c.correlation = responseFormat(r.Header, query), correlationID(r.Header, query)
	c.w.Header().Set("Correlation-Id", c.correlation)
	if bodyless(r.Method) && r.ContentLength != 0 {
		// libgovirt announces a body with every GET and does not always send
		// it. Without this net/http would wait for it before the reply.
		c.w.Header().Set("Connection", "close")
	}
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// A proxy before this server may go by a Content-Length that stood
		// beside Transfer-Encoding, and see the end of the body elsewhere. What
		// it takes for the rest of the body must not become a request (RFC 9112
		// section 6.1).
		c.w.Header().Set("Connection", "close")
	}
	return c
}

// bodyless reports whether bodies of a method mean nothing and are not read.
func bodyless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete
}

// cutMatrix takes the matrix parameters out of a path, such as those of '/vms/;max=5':
// ovirt-web-ui sends them, and the engine takes them for parameters of the query. What
// is not readable in one stays as it was sent.
func cutMatrix(escaped string) (plain string, matrix url.Values) {
	if !strings.Contains(escaped, ";") {
		return escaped, nil
	}
	matrix = url.Values{}
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		parts := strings.Split(segment, ";")
		segments[i] = parts[0]
		for _, part := range parts[1:] {
			name, value, _ := strings.Cut(part, "=")
			if name != "" {
				matrix.Add(unescape(name), unescape(value))
			}
		}
	}
	return strings.Join(segments, "/"), matrix
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// splitPath returns the base path of the API and what is below it. A path
// outside of the API has no base. Empty segments count for nothing, because
// clients double slashes and a redirect would lose a POST's method.
func splitPath(escaped string) (base, path string) {
	segments := strings.FieldsFunc(escaped, func(r rune) bool { return r == '/' })
	n := 0
	switch {
	case len(segments) >= 2 && segments[0] == "ovirt-engine" && segments[1] == "api":
		n = 2
	case len(segments) >= 1 && segments[0] == "api":
		n = 1
	default:
		return "", "/" + strings.Join(segments, "/")
	}
	if len(segments) > n && segments[n] == "v4" {
		n++
	}
	return "/" + strings.Join(segments[:n], "/"), "/" + strings.Join(segments[n:], "/")
}

// below returns the request with the path below the base, for the mux.
func (c *Call) below(ctx context.Context) (*http.Request, error) {
	path, err := url.PathUnescape(c.path)
	if err != nil {
		return nil, Refuse(ErrNoResource, "There is no resource %s.", c.base+c.path)
	}
	for segment := range strings.SplitSeq(c.path, "/") {
		if segment == "." || segment == ".." {
			return nil, Refuse(ErrNoResource, "There is no resource %s: do not use '%s' in a path.", c.base+c.path, segment)
		}
	}
	if _, err := url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return nil, Refuse(ErrValue, "The query string cannot be read: %v.", err)
	}
	r := c.r.WithContext(context.WithValue(ctx, callKey{}, c))
	u := *c.r.URL
	u.Path, u.RawPath = path, c.path
	r.URL = &u
	return r, nil
}

// correlationID returns the client's correlation id in the engine's alphabet
// and length, or a new one.
func correlationID(h http.Header, query url.Values) string {
	id := h.Get("Correlation-Id")
	if id == "" {
		id = query.Get("correlation_id")
	}
	id = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') {
			return r
		}
		return -1
	}, id)
	if id == "" {
		return string(model.NewID())
	}
	return id[:min(len(id), 36)]
}

// ID returns the id in the path. What is no id cannot name anything.
func (c *Call) ID(name string) (model.ID, error) {
	text := c.r.PathValue(name)
	id, ok := model.ParseID(text)
	if !ok {
		return "", model.Unknown(text)
	}
	return id, nil
}

// Flag returns a boolean query parameter as the engine reads it: present but
// empty is true, and what is no boolean is ignored.
func (c *Call) Flag(name string) bool {
	values, present := c.Query()[name]
	if !present {
		return false
	}
	switch strings.ToLower(values[0]) {
	case "", "true", "t", "yes", "y", "1":
		return true
	}
	return false
}

// Max returns the query parameter max. What is no number or below zero limits
// nothing.
func (c *Call) Max() (n int, limited bool) {
	n, err := strconv.Atoi(c.Query().Get("max"))
	return n, err == nil && n >= 0
}

// Limit returns at most as many items as the query parameter max says.
func Limit[T any](c *Call, items []T) []T {
	n, limited := c.Max()
	if !limited || n > len(items) {
		return items
	}
	return items[:n]
}
