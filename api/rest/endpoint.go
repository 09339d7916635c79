package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/isonet/isonet/history"
)

// Endpoint is the handler of one listener. All of it is required, but for the sessions
// and the history.
type Endpoint struct {
	// Open serves what needs no login, at the paths that IsOpen tells of.
	Open   *Mux
	IsOpen func(path string) bool
	// Sessions tells who may come in.
	Sessions *Sessions
	// Mux returns the handlers for a request that was let in.
	Mux    func(*Call) (*Mux, error)
	Faults Faults
	// History takes down who did what; nil takes down nothing.
	History *history.Store
	Logger  *slog.Logger
}

// ServeHTTP answers each request with a document or a fault, whatever happens.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	c := NewCall(w, r)
	c.history = e.History
	defer e.log(c, started)
	defer e.rescue(c)
	if err := e.serve(c); err != nil {
		c.err = err
		c.fail(e.Faults, err)
	}
}

func (e *Endpoint) serve(c *Call) error {
	if err := e.Sessions.sameSite(c.r); err != nil {
		return err
	}
	if c.base == "" && e.IsOpen(c.path) {
		return c.dispatch(e.Open)
	}
	if err := e.Sessions.admit(c); err != nil {
		return err
	}
	if c.base == "" {
		return Refuse(ErrNoResource, "There is no resource %s: the API is at /ovirt-engine/api.", c.path)
	}
	if err := c.refuseVersion(); err != nil {
		return err
	}
	mux, err := e.Mux(c)
	if err != nil {
		return err
	}
	return c.dispatch(mux)
}

// versionPath is how a path below the base begins that names another version than 4.
var versionPath = regexp.MustCompile(`^/v([0-9]+)(/|$)`)

// refuseVersion refuses another version of the API, by the header or by the path.
func (c *Call) refuseVersion() error {
	v := c.r.Header.Get("Version")
	if found := versionPath.FindStringSubmatch(c.path); found != nil {
		v = found[1]
	}
	switch v {
	case "", "4":
		return nil
	case "3":
		return Refuse(ErrVersion, "Version 3 of the API is not supported: its representations are other ones. Use a program for version 4, or set it to that version: it sends the header 'Version: 4' or none.")
	}
	return Refuse(ErrVersion, "The API version %q is not supported: send the header 'Version: 4' or none.", v)
}

// rescue turns a panic of a handler into a fault, so that a defect costs one
// request and not the daemon.
func (e *Endpoint) rescue(c *Call) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	e.Logger.Error("panic while serving a request", "method", c.r.Method, "path", Clip(c.base+c.path),
		"correlation_id", c.correlation, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.err = errors.New("internal error: see the log of isonetd for the correlation id " + c.correlation)
	c.fail(e.Faults, c.err)
}

// log writes one line per request: writes, what is forbidden and the daemon's
// own errors are of interest, reads are not.
func (e *Endpoint) log(c *Call, started time.Time) {
	level := slog.LevelInfo
	switch {
	case c.r.Context().Err() != nil && c.status != http.StatusOK:
		level = slog.LevelDebug // the client is gone, and what is wrong is that
	case c.status == http.StatusTooManyRequests:
		level = slog.LevelDebug // a guesser must not fill the log: the passwords that were checked are in it
	case c.claimed != "" && c.user == "" && c.status == http.StatusUnauthorized:
		level = slog.LevelWarn // somebody guesses, or has forgotten
	case c.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case c.status == http.StatusForbidden:
		level = slog.LevelWarn
	case bodyless(c.r.Method) && c.r.Method != http.MethodDelete:
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", c.r.Method), slog.String("path", Clip(c.base+c.path)), slog.Int("status", c.status),
		slog.String("correlation_id", c.correlation), slog.Duration("took", time.Since(started)), slog.String("client", c.Client()),
	}
	switch {
	case c.user != "":
		attrs = append(attrs, slog.String("user", c.user))
	case c.claimed != "":
		attrs = append(attrs, slog.String("claimed_user", Clip(c.claimed)))
	}
	if c.changed != "" {
		attrs = append(attrs, slog.String("changed", c.changed))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("error", Clip(c.err.Error())))
	}
	e.Logger.LogAttrs(context.WithoutCancel(c.r.Context()), level, "request", attrs...)
}
