package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/api/native"
	"github.com/isonet/isonet/api/ovirt"
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

// Store holds the desired state. Package store has the real one.
type Store interface {
	change.Store
	rest.Freshness
}

// Config is what the API needs. All of it is required, down to the logger, but for the
// other hosts.
type Config struct {
	Store Store
	Loop  change.Loop
	// Others are the other hosts of the fleet; nil where nothing is known of them.
	Others  change.Others
	Traffic rest.Traffic
	NICs    ovirt.NICs
	Machine ovirt.Machine
	Logger  *slog.Logger
	// Version is isonet's own version, shown in product_info.
	Version string
	Settings
	// History keeps who did what; nil keeps nothing.
	History *history.Store
	// Issuer lets machines into a fleet; nil lets none in.
	Issuer native.Issuer
	// Now is the clock by which tokens expire; nil is time.Now.
	Now func() time.Time
}

// Settings are what can change while the API serves.
type Settings struct {
	// TokenTimeout is how long a token of Remote lives without being used; 0 is
	// rest.DefaultTokenTimeout.
	TokenTimeout time.Duration
	// CA holds the certificates in PEM form by which clients can trust Remote.
	// Everybody may have it.
	CA []byte
	// StrictDefault says that a new network is strict unless its request says.
	StrictDefault bool
}

// API serves requests. It has no state of its own; its handlers keep the tokens
// that they give out.
type API struct {
	backend rest.Backend
	config  Config
	mux     *rest.Mux
	// settings are those of now.
	settings atomic.Pointer[Settings]
	// remote is nil without Remote.
	remote *rest.Sessions
	// compress is for what goes over a network.
	compress func(http.Handler) http.HandlerFunc
}

// New returns the API over the given parts.
func New(c Config) (*API, error) {
	if c.Store == nil || c.Loop == nil || c.Traffic == nil || c.NICs == nil || c.Machine == nil || c.Logger == nil {
		return nil, errors.New("the API needs a store, a loop, traffic, network interfaces, a machine and a logger")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &API{
		backend: rest.Backend{
			Store: c.Store, Loop: c.Loop, Others: c.Others, Writer: change.New(c.Store, c.Loop, c.Others, c.Logger), Traffic: c.Traffic, History: c.History,
		},
		config: c,
	}
	var err error
	if a.compress, err = rest.Compression(); err != nil {
		return nil, err
	}
	a.settings.Store(&c.Settings)
	a.mux = rest.NewMux(a.routes(a.backend)...)
	return a, nil
}

func (a *API) routes(b rest.Backend) [][]rest.Route {
	o := ovirt.Options{NICs: a.config.NICs, Machine: a.config.Machine, Version: a.config.Version, StrictDefault: func() bool { return a.settings.Load().StrictDefault }}
	return [][]rest.Route{ovirt.Routes(b, o), native.Routes(b, a.config.Issuer, a.draft)}
}

// draft returns the API whose writes are checked as those of a are, and are then
// made in a draft of the desired state.
func (a *API) draft() (*rest.Mux, *change.Draft) {
	backend, draft := a.backend.Draft()
	return rest.NewMux(a.routes(backend)...), draft
}

// Local returns the handler for the unix socket: whoever may connect to the
// socket may use it.
func (a *API) Local() http.Handler { return a.endpoint(nil) }

// Remote returns the handler for TCP: it asks for the password of one of users,
// or for a token that it gave for one, and refuses requests that a browser
// sends on behalf of other sites.
func (a *API) Remote(users *rest.Users) http.Handler {
	a.remote = rest.NewSessions(users, a.settings.Load().TokenTimeout, a.config.Now)
	return a.compress(a.endpoint(a.remote))
}

// Reload makes other settings and users be in force, for requests that come from now
// on. A user who is gone or has another password is logged out. The users are nil
// where there is no Remote.
func (a *API) Reload(s Settings, users *rest.Users) {
	a.settings.Store(&s)
	if a.remote != nil {
		a.remote.Reload(users, s.TokenTimeout)
	}
}

// openRoutes need no login.
func (a *API) openRoutes(sessions *rest.Sessions) [][]rest.Route {
	return [][]rest.Route{
		ovirt.OpenRoutes(sessions, func() []byte { return a.settings.Load().CA }),
		native.OpenRoutes(sessions, a.config.Issuer),
	}
}

func (a *API) endpoint(sessions *rest.Sessions) http.Handler {
	return &rest.Endpoint{
		Open: rest.NewMux(a.openRoutes(sessions)...), IsOpen: func(path string) bool { return ovirt.IsOpen(path) || native.IsOpen(path) },
		Sessions: sessions, Mux: a.muxFor, Faults: ovirt.Faults{}, History: a.config.History, Logger: a.config.Logger,
	}
}

// muxFor returns the handlers for a request: with dry_run those whose writes are made
// in a draft only.
func (a *API) muxFor(c *rest.Call) (*rest.Mux, error) {
	if err := a.begun(c.Context()); err != nil {
		return nil, err
	}
	dry, err := c.DryRun()
	if err != nil || !dry {
		return a.mux, err
	}
	mux, _ := a.draft()
	return mux, nil
}

// beginTimeout is how long a request waits for the first look at the store. Who
// starts isonetd and asks at once need not ask again, as a rule.
const beginTimeout = time.Second

// begun refuses what is asked before the store was read: there is nothing to see
// in it, which is not the same as that nothing is there.
func (a *API) begun(ctx context.Context) error {
	ready := a.config.Store.Ready()
	select {
	case <-ready:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return rest.Refuse(model.ErrUnavailable, "isonetd has not read its store yet: try again in a moment, and look at the log of isonetd if that does not end.")
	}
}
