package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// Store holds the desired state. Package store has the real one.
type Store interface {
	change.Store
	freshness
}

// freshness says how the store's Snapshot and its database are.
type freshness interface {
	// Ready is closed when Snapshot is what the database has: before, it is empty.
	Ready() <-chan struct{}
	// StaleSince returns since when Snapshot does not follow the database; zero
	// when it does.
	StaleSince() time.Time
}

// Traffic knows the traffic of this host's networks and of their ports without
// any I/O.
type Traffic interface {
	Traffic() map[model.ID]model.Traffic
	// Ports returns the ports' traffic by the UUID of their Interface row.
	Ports() map[string]model.PortTraffic
}

// NICs knows the network interfaces of this host without any I/O. Package nic
// has the real one.
type NICs interface {
	// Snapshot returns them in order, which nobody changes.
	Snapshot() []model.NIC
}

// Config is what the API needs. All of it is required, down to the logger.
type Config struct {
	Store   Store
	Loop    change.Loop
	Traffic Traffic
	NICs    NICs
	Logger  *slog.Logger
	// Version is isonet's own version, shown in product_info.
	Version string
	// TokenTimeout is how long a token of Remote lives without being used; 0 is
	// DefaultTokenTimeout.
	TokenTimeout time.Duration
	// CA holds the certificates in PEM form by which clients can trust Remote.
	// Everybody may have it.
	CA []byte
	// StrictDefault says that a new network is strict unless its request says.
	StrictDefault bool
	// Now is the clock by which tokens expire; nil is time.Now.
	Now func() time.Time
}

// API serves requests. It has no state of its own; its handlers keep the tokens
// that they give out.
type API struct {
	store   Store
	loop    change.Status
	writer  *change.Writer
	traffic Traffic
	nics    NICs
	logger  *slog.Logger
	version string
	mux     *http.ServeMux

	tokenTimeout  time.Duration
	strictDefault bool
	ca            []byte
	now           func() time.Time
}

// New returns the API over the given parts.
func New(c Config) (*API, error) {
	if c.Store == nil || c.Loop == nil || c.Traffic == nil || c.NICs == nil || c.Logger == nil {
		return nil, errors.New("the API needs a store, a loop, traffic, network interfaces and a logger")
	}
	a := &API{
		store: c.Store, loop: c.Loop, writer: change.New(c.Store, c.Loop, c.Logger), traffic: c.Traffic, nics: c.NICs, logger: c.Logger, version: c.Version,
		tokenTimeout: c.TokenTimeout, strictDefault: c.StrictDefault, ca: c.CA, now: c.Now,
	}
	if a.tokenTimeout == 0 {
		a.tokenTimeout = DefaultTokenTimeout
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.mux = newMux(a.table())
	return a, nil
}

// Local returns the handler for the unix socket: whoever may connect to the
// socket may use it.
func (a *API) Local() http.Handler {
	e := &endpoint{api: a}
	e.open = newMux(e.openTable())
	return e
}

// Remote returns the handler for TCP: it asks for the password of one of users,
// or for a token that it gave for one, and refuses requests that a browser
// sends on behalf of other sites.
func (a *API) Remote(users *Users) http.Handler {
	e := &endpoint{
		api: a, users: users, tokens: newTokens(a.tokenTimeout, a.now), crossOrigin: http.NewCrossOriginProtection(),
	}
	e.open = newMux(e.openTable())
	return e
}

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	// writeTimeout is for a reply that nothing extends. Writes extend it by the
	// time that they may wait for Open vSwitch, watches by each line.
	writeTimeout   = 60 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// NewServer returns a server for a handler of this package, with bounds on
// everything that a client can make slow or large, except on the number of
// connections, which is the listener's. Its Shutdown ends the streams of
// isonet/watch.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// net/http itself would answer 'OPTIONS *' without asking who it is.
		DisableGeneralOptionsHandler: true,
	}
	server.RegisterOnShutdown(cancel)
	return server
}
