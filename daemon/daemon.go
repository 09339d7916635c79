package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/exporter"
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/internal/version"
	"github.com/isonet/isonet/kernel/links"
	"github.com/isonet/isonet/kernel/load"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/nic"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
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
	// store is all of the desired state, for the API. Own is what this host must know
	// of it; slice is the same of a store that others run, else nil.
	store *store.Store
	own   own
	slice *store.Slice
	sw    *ovs.Switch
	loop  *reconcile.Loop
	nics  *nic.Sampler
	load  *load.Sampler
	links *links.Watcher
	// reporter and reader are of the fleet; nil where none is configured.
	reporter *fleet.Reporter
	reader   *fleet.Reader
	// history keeps who did what.
	history *history.Store
	// memory keeps what the loop remembers.
	memory *statefile.File
	// notify tells the service manager.
	notify *notifier
	// guardOff says that the operator wants no host guard.
	guardOff bool

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
	d := &Daemon{log: log, cfg: cfg, failed: make(chan error, 8), guardOff: cfg.HostGuardOff}
	d.openStore(cfg)
	metrics := exporter.New(exporter.Sources{
		Desired: d.desired,
		// The loop and the switch report to the exporter and come after it.
		Status:      func() report.Status { return d.loop.Status() },
		Traffic:     func() map[model.ID]model.Traffic { return d.sw.Traffic() },
		Resets:      func() uint64 { return d.sw.StatisticsResets() },
		Interval:    func() time.Duration { return d.sw.StatisticsInterval() },
		HistoryLost: func() uint64 { return d.history.Health().Lost },
		Certificates: func() map[string]time.Time {
			return expiries(map[string]*Certificate{"api": cfg.TLS, "store": cfg.StoreCert}, log)
		},
		Ports:       d.ports(cfg),
		HistorySize: func() int64 { return d.history.Health().Size },
		Reports:     d.reports,
	}, exporter.BuildInfo{Version: version.Version(), Revision: version.Commit()}, log.With("component", "exporter"))
	d.links = links.New(log.With("component", "links"))
	d.sw = ovs.New(ovs.Config{
		Endpoints: cfg.OVSDB, RunDir: cfg.OVSRunDir, DatapathType: cfg.DatapathType, Devices: d.links, RemoveDevices: links.Remove,
		Observer: metrics,
		Logger:   log.With("component", "ovs"),
		Totals:   filepath.Join(cfg.StateDir, "traffic"), Wanted: d.wanted,
		Owner: func(b plan.Bridge) model.ID { return d.loop.Owner(b) }, Strange: isolation.Strange,
	})
	d.loop = reconcile.New(d.own, d.sw, metrics, log.With("component", "reconcile"))
	if len(cfg.Store) == 0 {
		d.loop.Alone()
	} else if run := boot(d.log); run != "" {
		d.loop.Among(func(ctx context.Context, host model.ID, tell func(bool)) error {
			return d.slice.Hold(ctx, host, run, tell)
		})
	}
	d.memory = memory(cfg.StateDir, log.With("component", "memory"))
	d.nics = nic.New(d.links, log.With("component", "nic"))
	d.load = load.New(log.With("component", "load"))
	d.notify = &notifier{store: d.own, sw: d.sw, loop: d.loop, log: log.With("component", "notify")}
	d.history = history.New(history.Config{Dir: cfg.StateDir, Bounds: cfg.History, Log: log.With("component", "history"), Host: d.host})
	d.loop.Observe(d.keep)
	d.joinFleet(cfg)
	apiLog := log.With("component", "api")
	var err error
	d.api, err = api.New(api.Config{
		Store: d.store, Loop: d.loop, Traffic: d.sw, NICs: d.nics, Machine: d.load, Logger: apiLog, Version: version.Version(),
		Settings: cfg.api(), History: d.history, Others: d.others(), Issuer: d.entrance(cfg, apiLog),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}
	if err := d.listen(cfg, metrics.Handler(), apiLog); err != nil {
		d.closeListeners()
		return nil, err
	}
	return d, nil
}

// ports returns which ports get metrics of their own; nil is none.
func (d *Daemon) ports(cfg Config) *exporter.Ports {
	if !cfg.MetricsPorts {
		return nil
	}
	return &exporter.Ports{
		Traffic: func() map[string]model.PortTraffic { return d.sw.Ports() },
		Include: cfg.MetricsInclude, Exclude: cfg.MetricsExclude,
	}
}

// host returns this host, as far as it is known.
func (d *Daemon) host() (id model.ID, name string) {
	id = d.loop.HostID()
	return id, d.own.Snapshot().Hosts[id].Name
}

// desired returns the desired state; nil before it was read.
func (d *Daemon) desired() *model.Desired {
	select {
	case <-d.own.Ready():
		return d.own.Snapshot()
	default:
		return nil
	}
}

// wanted returns the networks that are to be on the host with a system-id, and
// whether that is known yet.
func (d *Daemon) wanted(systemID string) (map[model.ID]bool, bool) {
	select {
	case <-d.own.Ready():
	default:
		return nil, false
	}
	networks := map[model.ID]bool{}
	desired := d.own.Snapshot()
	host := d.loop.HostID()
	if host == "" {
		h, _ := desired.HostOf(systemID)
		host = h.ID
	} else if _, there := desired.Hosts[host]; !there { // somebody removed it, and it keeps what it has
		return nil, false
	}
	for _, n := range desired.HostNetworks(host) {
		networks[n.ID] = true
	}
	return networks, true
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
	save := d.recall(d.memory)
	d.start("store", d.store.Run)
	d.startSlice()
	d.start("links", d.links.Run)
	d.start("ovs", d.sw.Run)
	d.start("memory", func(ctx context.Context) error { return d.loop.SaveMemory(ctx, save) })
	d.start("reconcile", d.loop.Run)
	d.startGuard()
	d.start("verdicts", d.followVerdicts)
	d.start("name", d.followName)
	d.start("nic", func(ctx context.Context) error { d.nics.Run(ctx); return nil })
	d.start("load", func(ctx context.Context) error { d.load.Run(ctx); return nil })
	if d.reporter != nil {
		d.start("reports of this host", d.reporter.Run)
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
