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

// joinFleet makes what reports this host to the others, and reads what they report.
func (d *Daemon) joinFleet(cfg Config) {
	if len(cfg.FleetStatus) == 0 {
		return
	}
	log := d.log.With("component", "fleet")
	tls := cfg.StoreCert.client(cfg.StoreCA, log)
	systemID := func(of func() *model.Desired) func(model.ID) string {
		return func(host model.ID) string { return of().Hosts[host].SystemID }
	}
	seen := func() int64 {
		_, revision, _ := d.own.Newest()
		return revision
	}
	d.reporter = fleet.NewReporter(fleet.ReporterConfig{
		Endpoints: cfg.FleetStatus, TLS: tls, Loop: d.loop, SystemID: systemID(d.own.Snapshot), Seen: seen,
		// What names no run of the kernel names at least this one of the program.
		Boot: cmp.Or(boot(log), string(model.NewID())), Version: version.Version(), URL: cfg.APIURL, Logger: log,
	})
	d.reader = fleet.NewReader(fleet.ReaderConfig{Endpoints: cfg.FleetStatus, TLS: tls, SystemID: systemID(d.store.Snapshot), Idle: fleetIdle, Logger: log})
}

// reports tells the exporter how the reports of this host fare.
func (d *Daemon) reports() []exporter.Reports {
	if d.reporter == nil {
		return nil
	}
	var list []exporter.Reports
	for _, h := range d.reporter.Health() {
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
