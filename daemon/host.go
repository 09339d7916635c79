package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/exporter"
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/internal/statefile"
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

// host is the host that isonetd runs on.
type host struct {
	log     *slog.Logger
	history *history.Store
	// own is what this host must know of the desired state; slice is the same of a store
	// that others run, else nil.
	own   own
	slice *store.Slice
	sw    *ovs.Switch
	loop  *reconcile.Loop
	nics  *nic.Sampler
	load  *load.Sampler
	links *links.Watcher
	// reporter is of the fleet; nil where none is configured.
	reporter *fleet.Reporter
	// memory keeps what the loop remembers.
	memory *statefile.File
	// guardOff says that the operator wants no host guard.
	guardOff bool
}

// starter starts a part under a name.
type starter = func(name string, run func(context.Context) error)

// newHost puts the parts of a host together, and its metrics.
func newHost(d *Daemon, sources exporter.Sources) (*host, *exporter.Exporter) {
	cfg, log := d.cfg, d.log
	h := &host{log: log, history: d.history, own: d.store, guardOff: cfg.HostGuardOff}
	if len(cfg.Store) > 0 {
		h.slice = h.newSlice(cfg)
		h.own = h.slice
	}
	h.fill(&sources, cfg)
	metrics := newExporter(sources, log)
	h.links = links.New(log.With("component", "links"))
	h.sw = ovs.New(ovs.Config{
		Endpoints: cfg.OVSDB, RunDir: cfg.OVSRunDir, DatapathType: cfg.DatapathType, Devices: h.links, RemoveDevices: links.Remove,
		Observer: metrics,
		Logger:   log.With("component", "ovs"),
		Totals:   filepath.Join(cfg.StateDir, "traffic"), Wanted: h.wanted,
		Owner: func(b plan.Bridge) model.ID { return h.loop.Owner(b) }, Strange: isolation.Strange,
	})
	h.loop = reconcile.New(h.own, h.sw, metrics, log.With("component", "reconcile"))
	if len(cfg.Store) == 0 {
		h.loop.Alone()
	} else if run := boot(log); run != "" {
		h.loop.Among(func(ctx context.Context, host model.ID, tell func(bool)) error {
			return h.slice.Hold(ctx, host, run, tell)
		})
	}
	h.loop.Observe(h.keep)
	h.memory = memory(cfg.StateDir, log.With("component", "memory"))
	h.nics = nic.New(h.links, log.With("component", "nic"))
	h.load = load.New(log.With("component", "load"))
	h.reporter = h.newReporter(cfg)
	return h, metrics
}

// fill gives the exporter what it has of the host. The loop and the switch report to the
// exporter and come after it.
func (h *host) fill(s *exporter.Sources, cfg Config) {
	s.Desired = h.desired
	s.Status = func() report.Status { return h.loop.Status() }
	s.Traffic = func() map[model.ID]model.Traffic { return h.sw.Traffic() }
	s.Resets = func() uint64 { return h.sw.StatisticsResets() }
	s.Interval = func() time.Duration { return h.sw.StatisticsInterval() }
	s.Ports, s.Reports = h.ports(cfg), h.reports
}

func (h *host) equip(settings *api.Config) {
	settings.Loop, settings.Traffic, settings.NICs, settings.Machine = h.loop, h.sw, h.nics, h.load
}

func (h *host) start(start starter) {
	// What is stopped last starts first: the loop needs both databases.
	save := h.recall(h.memory)
	h.startSlice(start)
	start("links", h.links.Run)
	start("ovs", h.sw.Run)
	start("memory", func(ctx context.Context) error { return h.loop.SaveMemory(ctx, save) })
	start("reconcile", h.loop.Run)
	h.startGuard(start)
	start("verdicts", h.followVerdicts)
	start("name", h.followName)
	start("nic", func(ctx context.Context) error { h.nics.Run(ctx); return nil })
	start("load", func(ctx context.Context) error { h.load.Run(ctx); return nil })
	if h.reporter != nil {
		start("reports of this host", h.reporter.Run)
	}
}

// ports returns which ports get metrics of their own; nil is none.
func (h *host) ports(cfg Config) *exporter.Ports {
	if !cfg.MetricsPorts {
		return nil
	}
	return &exporter.Ports{
		Traffic: func() map[string]model.PortTraffic { return h.sw.Ports() },
		Include: cfg.MetricsInclude, Exclude: cfg.MetricsExclude,
	}
}

func (h *host) host() (id model.ID, name string) {
	id = h.loop.HostID()
	return id, h.own.Snapshot().Hosts[id].Name
}

// desired returns the desired state; nil before it was read.
func (h *host) desired() *model.Desired {
	select {
	case <-h.own.Ready():
		return h.own.Snapshot()
	default:
		return nil
	}
}

// wanted returns the networks that are to be on the host with a system-id, and
// whether that is known yet.
func (h *host) wanted(systemID string) (map[model.ID]bool, bool) {
	select {
	case <-h.own.Ready():
	default:
		return nil, false
	}
	networks := map[model.ID]bool{}
	desired := h.own.Snapshot()
	host := h.loop.HostID()
	if host == "" {
		own, _ := desired.HostOf(systemID)
		host = own.ID
	} else if _, there := desired.Hosts[host]; !there { // somebody removed it, and it keeps what it has
		return nil, false
	}
	for _, n := range desired.HostNetworks(host) {
		networks[n.ID] = true
	}
	return networks, true
}

func (h *host) news() <-chan struct{} { return h.loop.Changed() }

func (h *host) begun() bool { return h.loop.HostID() != "" }

func (h *host) alive(ctx context.Context) error { return h.loop.Alive(ctx) }

func (h *host) status() string {
	var gone []string
	if !h.own.Connected() {
		gone = append(gone, "the store")
	}
	if _, connected := h.sw.Actual(); !connected {
		gone = append(gone, "Open vSwitch")
	}
	missing := strings.Join(gone, " and ")
	s := h.loop.Status()
	switch {
	case s.HostID == "" && missing != "":
		return "Waiting for " + missing
	case s.HostID == "":
		return "Starting"
	case s.Lacks() != nil:
		return fmt.Sprintf("%s; %s", s.Lacks(), count(s))
	case missing != "":
		return "Disconnected from " + missing + "; " + count(s)
	default:
		return count(s)
	}
}

// count says how many networks are how.
func count(s report.Status) string {
	states, isolated := map[report.State]int{}, 0
	for _, n := range s.Networks {
		states[n.State]++
		if n.Isolation.Isolated() {
			isolated++
		}
	}
	text := fmt.Sprintf("networks: %d active, %d pending, %d in error; %d isolated",
		states[report.Active], states[report.Pending], states[report.Failed], isolated)
	if unknown := states[report.Unknown]; unknown > 0 {
		text += fmt.Sprintf(", %d UNKNOWN", unknown)
	}
	return text
}
