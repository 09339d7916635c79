package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/exporter"
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/internal/version"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// stopTimeout bounds how long requests under way may delay the end.
const stopTimeout = 10 * time.Second

// Daemon is one isonetd.
type Daemon struct {
	log *slog.Logger
	// cfg is what the daemon was started with, but for what has been reloaded.
	cfg Config
	api *api.API
	// store is all of the desired state, for the API.
	store *store.Store
	// here is the host that this isonetd runs on, or that there is none.
	here place
	// reader is of the fleet; nil where none is configured.
	reader *fleet.Reader
	// history keeps who did what.
	history *history.Store
	// notify tells the service manager.
	notify *notifier

	listeners []listener
	running   sync.WaitGroup
	failed    chan error
	stops     []func() // the last first
}

// listener is a server and where it listens.
type listener struct {
	name     string
	server   *http.Server
	listener net.Listener
	serve    func() error
}

// New puts a daemon together and opens its listeners, so that whoever starts
// it learns at once of an address that is taken. Call Run or Stop afterwards.
func New(cfg Config, log *slog.Logger) (*Daemon, error) {
	d := &Daemon{log: log, cfg: cfg, failed: make(chan error, 8)}
	d.store = store.New(storeConfig(cfg, log))
	d.history = history.New(history.Config{
		Dir: cfg.StateDir, Bounds: cfg.History, Log: log.With("component", "history"), Host: func() (model.ID, string) { return d.here.host() },
	})
	d.reader = d.newReader(cfg)
	var metrics *exporter.Exporter
	if cfg.APIOnly {
		d.here, metrics = newNowhere(d, d.sources(cfg))
	} else {
		d.here, metrics = newHost(d, d.sources(cfg))
	}
	d.notify = &notifier{subject: d.here, log: log.With("component", "notify")}
	apiLog := log.With("component", "api")
	settings := api.Config{
		Store: d.store, Logger: apiLog, Version: version.Version(),
		Settings: cfg.api(), History: d.history, Others: d.others(), Issuer: d.entrance(cfg, apiLog),
	}
	d.here.equip(&settings)
	var err error
	d.api, err = api.New(settings)
	if err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}
	if err := d.listen(cfg, metrics.Handler(), apiLog); err != nil {
		d.closeListeners()
		return nil, err
	}
	return d, nil
}

// place is where isonetd runs: on a host, or where there is none.
type place interface {
	subject
	// host returns which host it is, as far as it is known.
	host() (id model.ID, name string)
	// equip gives the API what it has to know of the host.
	equip(settings *api.Config)
	// start starts all parts.
	start(start func(name string, run func(context.Context) error))
}

// sources are what the exporter has of an isonetd, whether it runs on a host or not.
func (d *Daemon) sources(cfg Config) exporter.Sources {
	return exporter.Sources{
		HistoryLost: func() uint64 { return d.history.Health().Lost },
		HistorySize: func() int64 { return d.history.Health().Size },
		Certificates: func() map[string]time.Time {
			return expiries(map[string]*Certificate{"api": cfg.TLS, "store": cfg.StoreCert}, d.log)
		},
	}
}

func newExporter(sources exporter.Sources, log *slog.Logger) *exporter.Exporter {
	return exporter.New(sources, exporter.BuildInfo{Version: version.Version(), Revision: version.Commit()}, log.With("component", "exporter"))
}

// Addr returns where the named listener ("socket", "listen" or "metrics")
// listens; nil when it is off.
func (d *Daemon) Addr(name string) net.Addr {
	for _, l := range d.listeners {
		if l.name == name {
			return l.listener.Addr()
		}
	}
	return nil
}

// Run starts the daemon, and stops it when ctx ends or when a part fails.
func (d *Daemon) Run(ctx context.Context) error {
	d.Start()
	var err error
	select {
	case <-ctx.Done():
	case err = <-d.failed:
	}
	d.notify.stopping()
	return errors.Join(err, d.Stop())
}

// Start starts every part. A part's failure ends Run.
func (d *Daemon) Start() {
	// What is stopped last starts first: a request under way needs the loop,
	// and the loop needs both databases.
	d.start("history", d.history.Run)
	d.start("store", d.store.Run)
	d.here.start(d.start)
	if d.reader != nil {
		d.start("reports of other hosts", d.reader.Run)
	}
	d.start("notify", d.notify.run)
	if d.cfg.FleetDir != "" {
		d.start("renewal", d.renew)
	}
	for _, l := range d.listeners {
		d.log.Info("listening", "for", l.name, "address", l.listener.Addr().String())
		d.running.Go(func() {
			if err := l.serve(); !errors.Is(err, http.ErrServerClosed) {
				d.failed <- fmt.Errorf("serve %s: %w", l.name, err)
			}
		})
	}
}

// start runs a part until Stop.
func (d *Daemon) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	d.running.Go(func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			d.failed <- fmt.Errorf("%s: %w", name, err)
		}
	})
	d.stops = append(d.stops, func() { cancel(); <-ended })
}

// Stop ends every part and waits for them. Bridges and traffic stay as they
// are.
func (d *Daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, l := range d.listeners {
		if err := l.server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop serving %s: %w", l.name, err), l.server.Close())
		}
	}
	d.closeListeners() // those that never served
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
	d.running.Wait()
	return errors.Join(errs...)
}

func (d *Daemon) closeListeners() {
	for _, l := range d.listeners {
		_ = l.listener.Close() // it may be closed already
	}
}
