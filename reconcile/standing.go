package reconcile

import (
	"cmp"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// standing is how the host stands: what is told of it, and what that was made from.
type standing struct {
	report.Status
	// seen is Host; nil before the first snapshot.
	seen *seen
	// judged is the desired state of Revision; nil before the first.
	judged *model.Desired
}

// see takes what Open vSwitch has, and the ports that are to be plugged in again.
// It says whether that is news.
func (s *standing) see(actual *plan.Actual, waiting map[model.ID][]plan.KeptPort) bool {
	if s.seen != nil && s.seen.actual == actual && reflect.DeepEqual(s.seen.waiting, waiting) {
		return false
	}
	s.seen = &seen{actual, waiting}
	s.Host, s.Switch = s.seen, SwitchOf(actual)
	return true
}

// take takes what a pass has found, and says whether it is news.
func (s *standing) take(found report.Status, events []report.Event, actual *plan.Actual, waiting map[model.ID][]plan.KeptPort) bool {
	seen := s.see(actual, waiting)
	same := s.Connected && s.HostID == found.HostID && s.Revision == found.Revision && s.Standby == found.Standby && !s.Occupied &&
		sameMap(s.Networks, found.Networks) && sameMap(s.Devices, found.Devices) && reflect.DeepEqual(s.Held, found.Held) && s.LastError == found.LastError
	if !seen && same && len(events) == 0 {
		return false
	}
	s.setConnected(true)
	s.HostID, s.Revision, s.Standby, s.Occupied = found.HostID, found.Revision, found.Standby, false
	s.Networks, s.Devices, s.Held, s.LastError = found.Networks, found.Devices, found.Held, found.LastError
	s.remember(events)
	return true
}

// setConnected says whether it is news that the session is live, or is not.
func (s *standing) setConnected(connected bool) bool {
	if s.Connected == connected {
		return false
	}
	s.Connected, s.Since = connected, time.Now()
	if connected && s.seen != nil { // of an earlier session
		s.Reconnects++
	}
	return true
}

// notice tells of the ovs-vswitchd that calls itself by a version, "" is unknown, and of
// invalid rows of the store.
func (s *standing) notice(version string, invalid map[string]string) {
	recorded := s.Switch.Version
	s.Switch.Version = cmp.Or(version, recorded)
	notices := plan.VersionNotices(version, recorded)
	if s.seen != nil {
		notices = append(notices, plan.ColumnNotices(s.seen.actual.Strange)...)
	}
	for _, n := range append(notices, plan.RowNotices(invalid)...) {
		s.Notices = append(s.Notices, report.Notice(n))
	}
}

// SwitchOf returns what Open vSwitch's database says of it.
func SwitchOf(actual *plan.Actual) report.Switch {
	return report.Switch{
		Version: actual.OVSVersion, SchemaVersion: actual.SchemaVersion, DatapathType: actual.DatapathType, Behind: actual.NextCfg - actual.CurCfg,
	}
}

// board is where it stands how the host stands.
type board struct {
	log *slog.Logger
	// status is read without the lock: a scrape of the metrics waits for nobody.
	status  atomic.Pointer[standing]
	mu      sync.Mutex // of those who change the status
	changed chan struct{}
	// observe is told of each event; nil if nobody is.
	observe func(report.Event)
}

// sameMap says that two maps are one and the same.
func sameMap[V any](a, b map[model.ID]V) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

func newBoard(log *slog.Logger) *board {
	b := &board{log: log, changed: make(chan struct{})}
	b.status.Store(&standing{Status: report.Status{
		Networks: map[model.ID]report.NetworkStatus{}, Since: time.Now(),
		IsolationRepairs: map[isolation.Reason]uint64{},
	}})
	return b
}

// publish changes the status.
func (b *board) publish(change func(*standing)) {
	b.amend(func(s *standing) bool { change(s); return true })
}

// amend changes the status, and wakes those who wait for that if change says that
// there is something new.
func (b *board) amend(change func(*standing) (news bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := *b.status.Load()
	if !change(&next) {
		return
	}
	b.status.Store(&next)
	close(b.changed)
	b.changed = make(chan struct{})
}

// Changed returns a channel that is closed when Status changes.
func (b *board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// maxEvents is how many events are remembered.
const maxEvents = 100

// remember keeps the newest events.
func (s *standing) remember(events []report.Event) {
	all := append(s.Events[:len(s.Events):len(s.Events)], events...)
	s.Events = all[max(0, len(all)-maxEvents):]
}

// tell logs events.
func (b *board) tell(events []report.Event) {
	for _, e := range events {
		b.log.Warn("isolation", "network", e.Network, "did", e.Deed, "reason", e.Reason, "port", e.Port, "column", e.Column, "evidence", e.Detail)
	}
	b.note(events)
}

// note tells who observes of events that have a line of their own in the log.
func (b *board) note(events []report.Event) {
	for _, e := range events {
		if b.observe != nil {
			b.observe(e)
		}
	}
}

// Observe has a function told of each thing that the loop does or finds by itself. It
// must not wait. Call it before Run.
func (l *Loop) Observe(f func(report.Event)) { l.observe = f }
