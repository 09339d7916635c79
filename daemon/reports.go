package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/exporter"
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/version"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
)

// fleetIdle is for how long nobody asks for other hosts until this one follows them no
// longer.
const fleetIdle = 5 * time.Minute

// newReporter makes what reports this host to the others; nil without a fleet.
func (h *host) newReporter(cfg Config) *fleet.Reporter {
	if len(cfg.FleetStatus) == 0 {
		return nil
	}
	log := h.log.With("component", "fleet")
	seen := func() int64 {
		_, revision, _ := h.own.Newest()
		return revision
	}
	return fleet.NewReporter(fleet.ReporterConfig{
		Endpoints: cfg.FleetStatus, TLS: cfg.StoreCert.client(cfg.StoreCA, log), Loop: h.loop, SystemID: systemIDs(h.own.Snapshot), Seen: seen,
		// What names no run of the kernel names at least this one of the program.
		Boot: cmp.Or(boot(log), string(model.NewID())), Version: version.Version(), URL: cfg.APIURL, Logger: log,
	})
}

// newReader makes what reads the reports of the others; nil without a fleet. A host
// follows them only while somebody asks.
func (d *Daemon) newReader(cfg Config) *fleet.Reader {
	if len(cfg.FleetStatus) == 0 {
		return nil
	}
	log, idle := d.log.With("component", "fleet"), fleetIdle
	if cfg.APIOnly {
		idle = 0
	}
	return fleet.NewReader(fleet.ReaderConfig{
		Endpoints: cfg.FleetStatus, TLS: cfg.StoreCert.client(cfg.StoreCA, log), SystemID: systemIDs(d.store.Snapshot), Idle: idle, Logger: log,
	})
}

// systemIDs finds the system-ids of hosts in a desired state.
func systemIDs(of func() *model.Desired) func(model.ID) string {
	return func(host model.ID) string { return of().Hosts[host].SystemID }
}

// reports tells the exporter how the reports of this host fare.
func (h *host) reports() []exporter.Reports {
	if h.reporter == nil {
		return nil
	}
	var list []exporter.Reports
	for _, h := range h.reporter.Health() {
		list = append(list, exporter.Reports{Server: h.Endpoint, Connected: h.Connected, Written: h.Reports, Failed: h.Failures})
	}
	return list
}

// others are the other hosts of the fleet, as the API asks for them; nil where none is
// configured.
func (d *Daemon) others() change.Others {
	if d.reader == nil {
		return nil
	}
	return d.reader
}

func (o Options) fleetStatus() ([]string, error) {
	if o.FleetStatus == "" {
		return nil, nil
	}
	if o.Store == "" {
		return nil, errors.New("it is for hosts that share a store, which the key store names")
	}
	return ovsdb.ParseEndpoints(o.FleetStatus)
}

// apiURL returns where other hosts reach the API; "" is nowhere.
func (o Options) apiURL() (string, error) {
	if o.APIURL == "" {
		return o.defaultURL(), nil
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("%q is not of the form https://HOST:PORT", o.APIURL)
	}
	return "https://" + u.Host, nil
}

// defaultURL is that of the listener, by the name of the machine. Without TLS other hosts
// would send passwords in the clear.
func (o Options) defaultURL() string {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil || o.TLSCert == "" || port == "0" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return ""
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return ""
	}
	return "https://" + net.JoinHostPort(name, port)
}
