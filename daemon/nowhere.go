package daemon

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/exporter"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

// nowhere is where isonetd runs on no host, and serves the API for those of the store.
type nowhere struct{ store *store.Store }

// newNowhere returns it, and its metrics, which are of the fleet.
func newNowhere(d *Daemon, sources exporter.Sources) (nowhere, *exporter.Exporter) {
	n := nowhere{d.store}
	sources.Desired, sources.Status, sources.Traffic = n.desired, n.Status, n.Traffic
	sources.Resets, sources.Interval = func() uint64 { return 0 }, func() time.Duration { return 0 }
	if d.reader != nil {
		sources.Members = d.reader.Member
	}
	return n, newExporter(sources, d.log)
}

func (o Options) apiOnly() (bool, error) {
	only, err := strconv.ParseBool(o.APIOnly)
	switch {
	case err != nil:
		return false, fmt.Errorf("%q is not true or false", o.APIOnly)
	case only && o.Store == "":
		return false, errors.New("it is for the hosts of a store that others run, which the key store names")
	}
	return only, nil
}

func (nowhere) host() (id model.ID, name string) { return "", "" }

func (n nowhere) equip(settings *api.Config) {
	settings.Loop, settings.Traffic, settings.NICs, settings.Machine = n, n, noNICs{}, noMachine{}
}

func (nowhere) start(func(string, func(context.Context) error)) {}

func (n nowhere) desired() *model.Desired {
	if !n.begun() {
		return nil
	}
	return n.store.Snapshot()
}

// Status says that there is no host, and whether the store is followed.
func (n nowhere) Status() report.Status {
	s := report.Status{Nowhere: true}
	if since, err := n.store.Trouble(); err != nil && time.Since(since) > report.Freshness {
		s.Missing = []report.Missing{{
			Ground: report.OnStore, Since: since, Cause: fmt.Sprintf("isonetd cannot read or write the desired state (%v)", err),
			Remedy: "check that the servers of the store run, and see the log of isonetd",
		}}
	}
	return s
}

// Changed never yields.
func (nowhere) Changed() <-chan struct{} { return nil }

// WaitFor refuses.
func (n nowhere) WaitFor(context.Context, int64, ...model.ID) error { return change.Here(n.Status()) }

// Prune refuses.
func (n nowhere) Prune(context.Context, model.ID) ([]string, error) {
	return nil, change.Here(n.Status())
}

// ReleaseDevice refuses.
func (n nowhere) ReleaseDevice(context.Context, string) error { return change.Here(n.Status()) }

// Former knows none.
func (nowhere) Former() (host model.Host, attachments []model.Attachment, known bool) {
	return model.Host{}, nil, false
}

// Traffic is that of no network.
func (nowhere) Traffic() map[model.ID]model.Traffic { return nil }

// Ports are none.
func (nowhere) Ports() map[string]model.PortTraffic { return nil }

type noNICs struct{}

// Snapshot has none.
func (noNICs) Snapshot() []model.NIC { return nil }

type noMachine struct{}

// Snapshot knows nothing.
func (noMachine) Snapshot() model.Machine { return model.Machine{} }

func (n nowhere) news() <-chan struct{} { return n.store.Changed() }

func (n nowhere) begun() bool {
	select {
	case <-n.store.Ready():
		return true
	default:
		return false
	}
}

// alive needs no sign: there is no loop that could be stuck.
func (nowhere) alive(context.Context) error { return nil }

func (n nowhere) status() string {
	d := n.store.Snapshot()
	serves := fmt.Sprintf("the API of %d hosts and %d networks", len(d.Hosts), len(d.Networks))
	switch {
	case !n.begun():
		return "Waiting for the store"
	case !n.store.Connected():
		return "Disconnected from the store; serves " + serves
	}
	return "Serves " + serves
}
