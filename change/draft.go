package change

import (
	"context"
	"slices"

	"github.com/isonet/isonet/model"
)

// Draft returns a writer whose writes are checked as those of w are, and are then
// made in a draft of the desired state only.
func (w *Writer) Draft() (*Writer, *Draft) {
	d := &Draft{desired: w.store.Snapshot(), evicted: map[model.ID][]model.ID{}, released: map[model.ID][]model.ID{}}
	look := onlooker{w.hosts.Own, w.host}
	return &Writer{store: d, hosts: w.hosts, waiter: look, host: look, logger: w.logger}, d
}

// Draft is a store that writes nothing. It belongs to one request.
type Draft struct {
	desired *model.Desired
	// evicted and released are the networks that a write has taken from hosts by
	// force, and those whose bridges it has given back, which ends with the write.
	evicted, released map[model.ID][]model.ID
}

// Snapshot returns the desired state with what was written.
func (d *Draft) Snapshot() *model.Desired { return d.desired }

// Update makes a change in the draft.
func (d *Draft) Update(_ context.Context, change func(*model.Desired) error) (int64, error) {
	next := d.desired.Clone()
	if err := change(next); err != nil {
		return 0, err
	}
	if err := next.Validate(); err != nil {
		return 0, err
	}
	next.Revision++
	for id, h := range next.Hosts {
		d.evicted[id] = slices.Concat(d.evicted[id], h.Evicted)
		d.released[id] = slices.Concat(d.released[id], h.Released)
	}
	d.desired = next
	return next.Revision, nil
}

// Leaving returns the draft with how networks have left a host.
func (d *Draft) Leaving(host model.ID) *model.Desired {
	desired := d.desired.Clone()
	desired.Evict(host, d.evicted[host]...)
	desired.GiveBack(host, d.released[host]...)
	return desired
}

// onlooker says what would be done, and does not wait for it.
type onlooker struct {
	status Status
	host   Host
}

func (o onlooker) Former() (model.Host, []model.Attachment, bool) { return o.host.Former() }

func (onlooker) waitOn(context.Context, model.ID, int64, ...model.ID) error { return nil }

func (o onlooker) ReleaseDevice(_ context.Context, device string) error {
	return o.status.Status().Releasable(device)
}

func (o onlooker) Prune(_ context.Context, network model.ID) ([]string, error) {
	return o.status.Status().StalePorts(network), nil
}
