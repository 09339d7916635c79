package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// maxBody is the most bytes of a request's body. Ten thousand attachments in
// one setupnetworks fit.
const maxBody = 1 << 20

// call is one request on its way.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// base is the path that hrefs begin with: the one that the client used.
	base string
	// path is the request's escaped path below base, without empty segments.
	path string
	// format is the form of the reply.
	format format
	// correlation is the id that the client finds its request by.
	correlation string
	// user is who sent the request, and users are all whom the listener knows;
	// "" and nil on the unix socket and before the login.
	user  string
	users *Users
	// about is that of the route.
	about func(*call, *model.Desired) (any, error)
	// version is that of what the reply shows, "" if it has none, and made is
	// the desired state that a write made.
	version string
	made    *model.Desired
	// status is the reply's status code; 0 before the reply.
	status int
	// err is what the handler returned.
	err error
}

type callKey struct{}

func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return c
}

func newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{w: w, r: r, format: responseFormat(r), correlation: correlationID(r)}
	c.base, c.path = splitPath(r.URL.EscapedPath())
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
func (c *call) below(ctx context.Context) (*http.Request, error) {
	path, err := url.PathUnescape(c.path)
	if err != nil {
		return nil, refuse(errNoResource, "There is no resource %s.", c.r.URL.Path)
	}
	for segment := range strings.SplitSeq(c.path, "/") {
		if segment == "." || segment == ".." {
			return nil, refuse(errNoResource, "There is no resource %s: do not use '%s' in a path.", c.r.URL.Path, segment)
		}
	}
	if _, err := url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return nil, refuse(errValue, "The query string cannot be read: %v.", err)
	}
	r := c.r.WithContext(context.WithValue(ctx, callKey{}, c))
	u := *c.r.URL
	u.Path, u.RawPath = path, c.path
	r.URL = &u
	return r, nil
}

// correlationID returns the client's correlation id in the engine's alphabet
// and length, or a new one.
func correlationID(r *http.Request) string {
	id := r.Header.Get("Correlation-Id")
	if id == "" {
		id = r.URL.Query().Get("correlation_id")
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

// read decodes the request's body. For an action an empty body is an empty
// action.
func (c *call) read(into document) error {
	f, err := requestFormat(c.r.Header)
	if err != nil {
		return err
	}
	data, err := c.body(maxBody)
	if err != nil {
		return err
	}
	if _, action := into.(*actionDTO); action && len(data) == 0 {
		return nil
	}
	return f.decode(data, into)
}

// body returns the bytes of the request's body, of which there may be so many.
func (c *call) body(most int64) ([]byte, error) {
	tooLarge := refuse(errTooLarge, "The body is larger than %d bytes: send less at once.", most)
	if c.r.ContentLength > most {
		return nil, tooLarge // without waiting for what was announced
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	if _, more := errors.AsType[*http.MaxBytesError](err); more {
		return nil, tooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, refuse(errSlow, "The body did not arrive in time: send it without pauses.")
	}
	if err != nil {
		return nil, refuse(errSyntax, "The body did not arrive: %v.", err)
	}
	return data, nil
}

// allowReply lets the reply take the given time longer than the server's other
// replies, counted from now.
func (c *call) allowReply(longer time.Duration) {
	server, ok := c.r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || server.WriteTimeout <= 0 {
		return // nothing bounds it
	}
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(server.WriteTimeout + longer)) // the connection is gone, or has it
}

// send writes the reply.
func (c *call) send(status int, d document) error {
	body, err := c.format.encode(d)
	if err != nil {
		return err
	}
	if c.version != "" && status == http.StatusOK {
		tag := entityTag(c.version, body)
		c.w.Header().Set("ETag", tag)
		if c.unchanged(tag) {
			c.sendNotModified()
			return nil
		}
	}
	c.sendBytes(status, c.format.contentType(), body)
	return nil
}

func (c *call) sendBytes(status int, contentType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	c.status = status
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client is gone, or has it
}

// retryAfter is when a client may try again what Open vSwitch's absence stopped.
const retryAfter = 5 * time.Second

// fail writes a fault. It writes nothing when the reply has begun.
func (c *call) fail(err error) {
	if c.status != 0 {
		return
	}
	status, body := failure(err, c.r.Header.Get(wire.RefusalsHeader) != "")
	switch status {
	case http.StatusUnauthorized:
		c.w.Header().Set("WWW-Authenticate", `Basic realm="RESTAPI"`)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		c.w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	case http.StatusMethodNotAllowed:
		if e, ok := errors.AsType[*methodError](err); ok {
			c.w.Header().Set("Allow", e.allow)
		}
	}
	c.w.Header().Del("Location")
	if c.base == "" && isSSO(c.path) {
		c.failSSO(status, err)
		return
	}
	_ = c.send(status, body) // it has nothing but strings, which always encode
}

// id returns the id in the path. What is no id cannot name anything.
func (c *call) id(name string) (model.ID, error) {
	text := c.r.PathValue(name)
	id, ok := model.ParseID(text)
	if !ok {
		return "", model.Unknown(text)
	}
	return id, nil
}

// flag returns a boolean query parameter as the engine reads it: present but
// empty is true, and what is no boolean is ignored.
func (c *call) flag(name string) bool {
	values, present := c.r.URL.Query()[name]
	if !present {
		return false
	}
	switch strings.ToLower(values[0]) {
	case "", "true", "t", "yes", "y", "1":
		return true
	}
	return false
}

// max returns the query parameter max. What is no number or below zero limits
// nothing.
func (c *call) max() (n int, limited bool) {
	n, err := strconv.Atoi(c.r.URL.Query().Get("max"))
	return n, err == nil && n >= 0
}

// limit returns at most as many items as the query parameter max says.
func limit[T any](c *call, items []T) []T {
	n, limited := c.max()
	if !limited || n > len(items) {
		return items
	}
	return items[:n]
}
