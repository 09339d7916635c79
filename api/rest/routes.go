package rest

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Route joins a pattern of http.ServeMux, below the base path, to a handler.
type Route struct {
	Pattern string
	Handle  func(*Call) error
	// About finds what conditions of a request are about; nil is all of the desired
	// state.
	About func(*Call, *model.Desired) (any, error)
	// Unplanned says that a write is not one of the desired state.
	Unplanned bool
}

// On returns the route with what conditions of a request are about.
func (r Route) On(about func(*Call, *model.Desired) (any, error)) Route {
	r.About = about
	return r
}

// Answer makes a handler of a function that returns a document. A document of
// a new object gives its Location.
func Answer(status int, f func(*Call) (Document, error)) func(*Call) error {
	return func(c *Call) error {
		d, err := f(c)
		if err != nil {
			return err
		}
		if e, ok := d.(interface{ Location() string }); ok && status == http.StatusCreated {
			c.w.Header().Set("Location", e.Location())
		}
		return c.Send(status, d)
	}
}

// Mux finds the handler of a request.
type Mux struct {
	mux *http.ServeMux
	// unplanned are patterns.
	unplanned map[string]bool
}

// NewMux returns a mux over routes. Its handlers leave an error in the call.
func NewMux(routes ...[]Route) *Mux {
	m := &Mux{http.NewServeMux(), map[string]bool{}}
	for _, route := range slices.Concat(routes...) {
		m.unplanned[route.Pattern] = route.Unplanned
		m.mux.HandleFunc(route.Pattern, func(_ http.ResponseWriter, r *http.Request) {
			c := callOf(r)
			c.r, c.about = r, route.About // r has the path values
			c.err = route.Handle(c)
		})
	}
	return m
}

// dispatch runs the handler that a mux has for the request.
func (c *Call) dispatch(m *Mux) error {
	r, err := c.below(c.r.Context())
	if err != nil {
		return err
	}
	if err := m.unrouted(r); err != nil {
		return err
	}
	m.mux.ServeHTTP(c.w, r)
	return c.err
}

// unrouted returns the error for a request that the mux has no handler for: the
// mux itself would answer with plain text, which oVirt's clients cannot read.
func (m *Mux) unrouted(r *http.Request) error {
	handler, pattern := m.mux.Handler(r)
	if pattern != "" {
		return nil
	}
	probe := &discard{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		return &methodError{method: r.Method, allow: allow}
	}
	return Refuse(ErrNoResource, "There is no resource %s: see the links of the API's root.", r.URL.Path)
}

// Rehearse does another write than the request's own, in JSON, on a mux over a
// draft. The client gets its warnings.
func (c *Call) Rehearse(m *Mux, method, path string, body []byte) error {
	r, err := http.NewRequestWithContext(context.WithoutCancel(c.r.Context()), method, c.base+"/"+strings.TrimPrefix(path, "/"), bytes.NewReader(body))
	if err != nil {
		return Refuse(ErrValue, "The request %s %s cannot be read: its path must be one below the API's.", method, path)
	}
	r.Header.Set("Content-Type", FormatJSON.contentType())
	r.Header.Set("Accept", FormatJSON.contentType())
	r.Header.Set("Correlation-Id", c.correlation)
	reply := &discard{header: http.Header{}}
	write := NewCall(reply, r)
	write.user, write.users, write.dry = c.user, c.users, true
	if !m.plans(write) {
		return Refuse(ErrValue, "The request %s %s cannot be planned: only writes can.", method, path)
	}
	err = write.dispatch(m)
	for _, text := range reply.header.Values(wire.WarningHeader) {
		c.w.Header().Add(wire.WarningHeader, text)
	}
	return err
}

// plans reports whether a request is a write of the desired state, as far as the mux
// has a handler for it.
func (m *Mux) plans(c *Call) bool {
	if bodyless(c.r.Method) && c.r.Method != http.MethodDelete {
		return false
	}
	r, err := c.below(c.r.Context())
	if err != nil {
		return true // which dispatch tells
	}
	_, pattern := m.mux.Handler(r)
	return !m.unplanned[pattern]
}

// discard keeps nothing of a reply but its header.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
