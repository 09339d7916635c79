package rest

import (
	"time"

	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

// Store tells the desired state. Package store has the real one.
type Store interface {
	// Snapshot returns the newest desired state, which nobody changes.
	Snapshot() *model.Desired
	Freshness
}

// Freshness says how a snapshot and its database are.
type Freshness interface {
	// Ready is closed when the snapshot is what the database has: before, it is empty.
	Ready() <-chan struct{}
	// StaleSince returns since when the snapshot does not follow the database; zero
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

// Backend is what resources show, and by what they write. All of it is required, but for
// the other hosts and the history.
type Backend struct {
	Store  Store
	Loop   change.Status
	Writer *change.Writer
	// Others are the other hosts of the fleet; nil where nothing is known of them.
	Others  change.Others
	Traffic Traffic
	// History has who did what; nil has nothing.
	History *history.Store
}

// Draft returns a backend whose writes are checked as those of b are, and are then
// made in a draft of the desired state.
func (b Backend) Draft() (Backend, *change.Draft) {
	writer, draft := b.Writer.Draft()
	b.Writer = writer
	b.Store = struct {
		Freshness
		*change.Draft
	}{b.Store, draft}
	return b, draft
}

// staleSince returns since when the session to Open vSwitch, if there is a host, or to
// the store's database is lost; zero when it is not.
func (b Backend) staleSince() time.Time {
	since := b.Store.StaleSince()
	if s := b.Loop.Status(); !s.Connected && !s.Nowhere && (since.IsZero() || s.Since.Before(since)) {
		since = s.Since
	}
	return since
}
