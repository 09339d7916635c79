package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
)

// endpoint is the handler of one listener.
type endpoint struct {
	api *API
	// open serves what needs no login.
	open *http.ServeMux
	// users and tokens are nil on the unix socket.
	users  *Users
	tokens *tokens
	// crossOrigin is nil on the unix socket, which no browser reaches.
	crossOrigin *http.CrossOriginProtection
}

// ServeHTTP answers each request with a document or a fault, whatever happens.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	c := newCall(w, r)
	defer e.log(c, started)
	defer e.rescue(c)
	if err := e.serve(c); err != nil {
		c.err = err
		c.fail(err)
	}
}

func (e *endpoint) serve(c *call) error {
	if e.crossOrigin != nil {
		if err := e.crossOrigin.Check(c.r); err != nil {
			return refuse(errCrossOrigin, "The request comes from another site: %v.", err)
		}
	}
	if c.base == "" && isOpen(c.path) {
		return c.dispatch(e.open)
	}
	if err := e.admit(c); err != nil {
		return err
	}
	if c.base == "" {
		return refuse(errNoResource, "There is no resource %s: the API is at /ovirt-engine/api.", c.r.URL.Path)
	}
	if v := c.r.Header.Get("Version"); v != "" && v != "4" {
		return refuse(errVersion, "The API version %q is not supported: send the header 'Version: 4' or none.", v)
	}
	if err := e.api.begun(c.r.Context()); err != nil {
		return err
	}
	mux, err := e.api.rehearsal(c)
	if err != nil {
		return err
	}
	return c.dispatch(mux)
}

// beginTimeout is how long a request waits for the first look at the store. Who
// starts isonetd and asks at once need not ask again, as a rule.
const beginTimeout = time.Second

// begun refuses what is asked before the store was read: there is nothing to see
// in it, which is not the same as that nothing is there.
func (a *API) begun(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	select {
	case <-a.store.Ready():
		return nil
	default:
	}
	select {
	case <-a.store.Ready():
		return nil
	case <-ctx.Done():
		return refuse(model.ErrUnavailable, "isonetd has not read its store yet: try again in a moment, and look at the log of isonetd if that does not end.")
	}
}

// dispatch runs the handler that a mux has for the request.
func (c *call) dispatch(mux *http.ServeMux) error {
	r, err := c.below(c.r.Context())
	if err != nil {
		return err
	}
	if err := unrouted(mux, r); err != nil {
		return err
	}
	mux.ServeHTTP(c.w, r)
	return c.err
}

// admit refuses who may not use the API through this listener.
func (e *endpoint) admit(c *call) error {
	if e.users == nil {
		return nil
	}
	user, err := e.authenticate(c.r)
	if err != nil {
		return err
	}
	c.users, c.user = e.users, user
	if e.users.readers[user] && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return refuse(errForbidden, "User is not authorized to perform this action.")
	}
	return nil
}

// authenticate returns who sent a request, by a token (RFC 6750) or by a
// password (RFC 7617).
func (e *endpoint) authenticate(r *http.Request) (user string, err error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		user, valid := e.tokens.use(strings.TrimSpace(text))
		if !valid {
			return "", refuse(errUnauthorized, "The token is unknown or has expired: log in again.")
		}
		return user, nil
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return "", refuse(errUnauthorized, "The request has no credentials: send a user and password by HTTP Basic authentication, or a token.")
	}
	return e.users.verify(r.Context(), name, password)
}

// rescue turns a panic of a handler into a fault, so that a defect costs one
// request and not the daemon.
func (e *endpoint) rescue(c *call) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	e.api.logger.Error("panic while serving a request", "method", c.r.Method, "path", clip(c.base+c.path),
		"correlation_id", c.correlation, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.err = errors.New("internal error: see the log of isonetd for the correlation id " + c.correlation)
	c.fail(c.err)
}

// log writes one line per request: writes, what is forbidden and the daemon's
// own errors are of interest, reads are not.
func (e *endpoint) log(c *call, started time.Time) {
	level := slog.LevelInfo
	switch {
	case c.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case c.status == http.StatusForbidden:
		level = slog.LevelWarn
	case bodyless(c.r.Method) && c.r.Method != http.MethodDelete:
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", c.r.Method), slog.String("path", clip(c.base+c.path)), slog.Int("status", c.status),
		slog.String("correlation_id", c.correlation), slog.Duration("took", time.Since(started)),
	}
	if c.user != "" {
		attrs = append(attrs, slog.String("user", c.user))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("error", clip(c.err.Error())))
	}
	e.api.logger.LogAttrs(context.WithoutCancel(c.r.Context()), level, "request", attrs...)
}
