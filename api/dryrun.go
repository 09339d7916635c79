package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
)

// dryRunHeader marks the reply of a write that was not done.
const dryRunHeader = "Isonet-Dry-Run"

// dryRun reads the query parameter dry_run. Unlike other flags it must be right:
// who misspells it does not want the write to be done.
func (c *call) dryRun() (bool, error) {
	values, present := c.r.URL.Query()["dry_run"]
	if !present {
		return false, nil
	}
	switch strings.ToLower(values[0]) {
	case "false", "f", "no", "n", "0":
		return false, nil
	}
	if !c.flag("dry_run") {
		return false, refuse(errValue, "The value %q of dry_run is no boolean: use true or false. Nothing was changed.", values[0])
	}
	return true, nil
}

// rehearsal returns the mux for a request: with dry_run one whose writes are
// made in a draft of the desired state only.
func (a *API) rehearsal(c *call) (*http.ServeMux, error) {
	dry, err := c.dryRun()
	if err != nil || !dry || c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return a.mux, err
	}
	c.w.Header().Set(dryRunHeader, "true")
	draft, _ := a.draft()
	return draft.mux, nil
}

// draft returns an API whose writes are checked as those of a are, and are then
// made in a draft of the desired state.
func (a *API) draft() (*API, *draft) {
	d := &draft{
		desired: a.store.Snapshot(), stale: a.store.StaleSince(),
		evicted: map[model.ID][]model.ID{}, released: map[model.ID][]model.ID{},
	}
	dry := *a
	dry.store, dry.loop = d, hastyLoop{a.loop}
	dry.mux = newMux(dry.table())
	return &dry, d
}

// draft is a store that writes nothing. It belongs to one request.
type draft struct {
	desired *model.Desired
	stale   time.Time
	// evicted and released are the networks that a write has taken from hosts by
	// force, and those whose bridges it has given back, which ends with the write.
	evicted, released map[model.ID][]model.ID
}

func (d *draft) Snapshot() *model.Desired { return d.desired }

// Ready is closed: a draft is made of a store that has been read.
func (d *draft) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (d *draft) StaleSince() time.Time { return d.stale }

func (d *draft) Update(_ context.Context, change func(*model.Desired) error) (int64, error) {
	next := d.desired.Clone()
	if err := change(next); err != nil {
		return 0, err
	}
	if err := next.Validate(); err != nil {
		return 0, err
	}
	next.Revision++
	d.remember(next)
	d.desired = next
	return next.Revision, nil
}

func (d *draft) remember(next *model.Desired) {
	for id, h := range next.Hosts {
		d.evicted[id] = slices.Concat(d.evicted[id], h.Evicted)
		d.released[id] = slices.Concat(d.released[id], h.Released)
	}
}

// withLeaving returns the draft with how networks have left a host.
func (d *draft) withLeaving(host model.ID) *model.Desired {
	desired := d.desired.Clone()
	desired.Evict(host, d.evicted[host]...)
	desired.GiveBack(host, d.released[host]...)
	return desired
}

// hastyLoop never waits: Open vSwitch is told nothing that it could realise.
type hastyLoop struct{ Loop }

func (hastyLoop) WaitFor(context.Context, int64, ...model.ID) error { return nil }

// ReleaseDevice says whether that would be done.
func (l hastyLoop) ReleaseDevice(_ context.Context, device string) error {
	return l.Status().Releasable(device)
}

// Prune returns what would be removed.
func (l hastyLoop) Prune(_ context.Context, network model.ID) ([]string, error) {
	var names []string
	for _, p := range l.Status().StalePorts(network) {
		names = append(names, p.Name)
	}
	return names, nil
}
