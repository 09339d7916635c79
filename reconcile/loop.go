package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// Store is the desired state.
type Store interface {
	Ready() <-chan struct{}
	Snapshot() *model.Desired
	Changed() <-chan struct{}
	// Trouble returns since when Snapshot does not follow the store's database, and
	// why; nil when it does.
	Trouble() (since time.Time, err error)
	Update(ctx context.Context, change func(*model.Desired) error) (int64, error)
}

// Switch is the host's Open vSwitch.
type Switch interface {
	// Actual returns the newest snapshot, nil before the first, and whether
	// the session is live.
	Actual() (actual *plan.Actual, connected bool)
	// Changed is closed when the answer of Actual or of Flows changes.
	Changed() <-chan struct{}
	// Apply commits the plan as one transaction and returns its next_cfg when
	// Actual shows it.
	Apply(ctx context.Context, p plan.Plan) (nextCfg int, err error)
	// Forward states what bridges must forward by, and returns at once. Those
	// that are not among them are left alone.
	Forward(want ...plan.Forwarding)
	// Flows returns what is known of the flows of these bridges, by their names.
	Flows() map[string]plan.Flows
	// Evidence returns what was seen of the host, and when. It is asked whenever
	// somebody reads a verdict, from any goroutine, and must not wait.
	Evidence() plan.Evidence
}

// Observer is told what the loop did; for metrics.
type Observer interface {
	// ObserveReconcile is called after each pass. Result is "unchanged",
	// "applied" or "error".
	ObserveReconcile(took time.Duration, result string)
}

// Loop makes Open vSwitch what the desired state asks for, and keeps it so.
type Loop struct {
	store    Store
	sw       Switch
	observer Observer
	log      *slog.Logger

	// status is read without the lock: a scrape of the metrics waits for nobody.
	status  atomic.Pointer[standing]
	mu      sync.Mutex // of those who change the status
	changed chan struct{}
	// asked is whom Alive asks.
	asked chan struct{}
	// alone says that the store is of this machine only, stranger why it is not
	// known which host it is.
	alone    bool
	stranger atomic.Pointer[plan.Sighting]
	tenures  tenures
	// began is when there could have been evidence at the earliest; work and
	// applying time what is made of it.
	began          time.Time
	work, applying stopwatch
	// guardReleases is what GuardHost is asked for, guardVerified when it last saw
	// that all is as Status says.
	guardReleases chan guardRelease
	guardVerified atomic.Pointer[time.Time]

	// The rest belongs to Run's goroutine.

	// settled is the newest desired revision for which nothing was left to do:
	// a difference that shows up for it later was made by somebody else.
	settled int64
	// systemID is the one that the host was found to have instead of its own.
	systemID string
	// touched holds the next_cfg of the last transaction about a network.
	touched map[model.ID]int
	// owners knows whose bridges are.
	owners *owners
	// keep remembers the ports.
	keep *keeper
	// guardian judges isolation.
	guardian guardian
	// wishes are those of the newest desired state.
	wishes wishes
	// stated is what was last stated of bridges' flows, by their names.
	stated map[string]plan.Forwarding
	// closing are the tries to close ways out, sending those of all other
	// transactions, of which flight is the one under way.
	closing, sending attempts
	flight           *flight
	// since is the next_cfg that was there first: of changes up to that nobody
	// knows what they were about.
	since int
	// restored is how often flows were put back, as far as that was told, by
	// bridge.
	restored map[string]uint64
}

// New returns a loop; Run runs it.
func New(store Store, sw Switch, observer Observer, log *slog.Logger) *Loop {
	l := &Loop{
		store: store, sw: sw, observer: observer, log: log,
		changed: make(chan struct{}), began: time.Now(),
		asked: make(chan struct{}), guardReleases: make(chan guardRelease),
		settled: -1,
		touched: map[model.ID]int{},
		closing: newAttempts(), sending: newAttempts(),
		since: -1, restored: map[string]uint64{},
		keep:     newKeeper(),
		guardian: guardian{memory: newMemory()},
		tenures:  tenures{told: make(chan struct{}, 1)},
	}
	l.guardian.kept = l.keep.of
	l.owners = newOwners(store, l.keep.mark, log)
	l.status.Store(&standing{Status: report.Status{
		Networks: map[model.ID]report.NetworkStatus{}, Since: time.Now(),
		IsolationRepairs: map[isolation.Reason]uint64{},
	}})
	return l
}

// Owner returns the network whose bridge b is, "" for somebody else's.
func (l *Loop) Owner(b plan.Bridge) model.ID { return l.owners.Of(b) }

// Run works until ctx ends. Whatever woke it, it always does the same: look at
// both sides and apply the difference.
func (l *Loop) Run(ctx context.Context) error {
	aging, stop := context.WithCancel(ctx)
	defer stop()
	go l.age(aging)
	// Without the desired state every bridge would look like a left-over.
	l.await(ctx, l.store.Ready(), nil, nil)
	for ctx.Err() == nil {
		storeChanged, switchChanged := l.store.Changed(), l.sw.Changed()
		l.work.start()
		again := l.pass(ctx)
		l.work.stop()
		var timer <-chan time.Time
		if again >= 0 {
			timer = time.After(again)
		}
		l.await(ctx, storeChanged, switchChanged, timer)
	}
	if l.flight != nil {
		<-l.flight.landed // ctx ends it
	}
	l.tenures.running.Wait()
	return nil
}

// never says that only a change needs another pass.
const never = time.Duration(-1)

// pass compares and applies once. It returns when to do so again at the latest.
func (l *Loop) pass(ctx context.Context) time.Duration {
	actual, connected := l.sw.Actual()
	if actual == nil || !connected {
		l.publish(func(s *standing) { s.setConnected(false) })
		return never
	}
	start := time.Now()
	desired := l.store.Snapshot()
	host, known := l.identify(desired, actual)
	if !known && actual.Standby {
		l.publish(func(s *standing) { s.setConnected(true); s.Standby = true; s.see(actual, nil) })
		return never
	}
	if !known {
		return l.register(ctx, actual.SystemID)
	}
	if t := l.claim(ctx, host.ID, actual.Standby); t.answer.Load() != granted {
		l.wait(t, host, desired, actual)
		return never
	}
	if l.wishes.desired != desired || l.wishes.host.ID != host.ID {
		l.wishes = newWishes(desired, host.ID)
	}
	flows, calm := l.sw.Flows(), &l.guardian.calm
	open := calm.wake(l.wishes.networks, actual, flows)
	actual = l.owners.settle(actual, calm.bridges)
	want := l.wishes.want(open, calm.bridges, actual)
	judged := l.guardian.judge(&want, actual, flows, start)
	l.keep.look(&want, desired, actual, &l.guardian, &judged)
	l.forward(want, actual, &judged)
	p := plan.Diff(want, actual)
	again := never
	if !actual.Standby {
		first, rest := judged.urgent(p)
		done, closing := l.close(ctx, first, judged, desired.Revision)
		if done {
			l.observer.ObserveReconcile(time.Since(start), "applied")
			return 0 // look at the result
		}
		again = sooner(closing, l.send(ctx, rest, desired.Revision))
	}
	err := errors.Join(l.closing.err, l.sending.err)
	seen := l.status.Load().Revision
	settled := p.Empty() && l.flight == nil
	if settled || actual.Standby || err != nil { // else nobody is to take what there is for the result
		seen = desired.Revision
	}
	l.judge(host.ID, seen, want, p, actual, judged, err)
	switch {
	case err != nil:
		l.observer.ObserveReconcile(time.Since(start), "error")
	case settled:
		if !actual.Standby {
			l.rest(want, actual, flows, judged)
		}
		l.observer.ObserveReconcile(time.Since(start), "unchanged")
		if !actual.Standby && !want.Open() { // else what differs is not drift
			l.settled = desired.Revision
		}
	}
	return judged.until(again)
}

// rest makes the networks calm of which a pass has left nothing open.
func (l *Loop) rest(want plan.Want, actual *plan.Actual, flows map[string]plan.Flows, judged judgement) {
	networks := l.status.Load().Networks
	former := func(id model.ID) map[string][]int { return l.guardian.memory.networks[id].opened }
	l.guardian.calm.settle(want.Networks, actual, flows, former, func(n model.Network) bool {
		return networks[n.ID].State == report.Active && !judged.restless[n.ID]
	})
}

// register makes this host known to the store.
func (l *Loop) register(ctx context.Context, systemID string) time.Duration {
	name, err := os.Hostname()
	if err != nil {
		name = systemID
	}
	err = l.elsewhere(func() error {
		_, err := l.store.Update(ctx, func(d *model.Desired) error {
			id := model.HostID(systemID)
			if _, known := d.HostOf(systemID); known {
				return nil
			}
			if _, taken := d.Hosts[id]; taken { // by one whose system-id has changed
				id = model.NewID()
			}
			d.Hosts[id] = model.Host{ID: id, SystemID: systemID, Name: name}
			return nil
		})
		return err
	})
	if err != nil {
		return l.failed(ctx, &l.sending, l.store.Snapshot().Revision, fmt.Errorf("register the host in the store: %w", err))
	}
	l.log.Info("registered this host", "system_id", systemID, "name", name)
	return 0
}

// judge publishes the verdicts on the wanted networks.
func (l *Loop) judge(host model.ID, revision int64, want plan.Want, p plan.Plan, actual *plan.Actual, judged judgement, err error) {
	calm := &l.guardian.calm
	verdicts := l.verdicts(want, p, actual)
	for id, reason := range judged.late {
		if v, wanted := verdicts[id]; wanted && v.State != report.Failed {
			verdicts[id] = report.NetworkStatus{State: report.Pending, Reason: reason}
		}
	}
	now := time.Now()
	before := l.status.Load().Networks // the loop alone writes it
	var events []report.Event
	for _, n := range want.Networks {
		v := verdicts[n.ID]
		v.Since, v.Strict, v.Isolation = now, judged.strict[n.ID], judged.verdicts[n.ID]
		if v.Isolation.Verdict == "" {
			v.Isolation = report.Isolation{Verdict: report.IsolationUnknown, Reason: fmt.Sprintf("there is no bridge '%s' to look at: %s", n.VdsmName, cmp.Or(v.Reason, "wait until it is made"))}
		}
		v.Isolation.Since = now
		old, known := before[n.ID]
		if known && old.State == v.State {
			v.Since = old.Since
		}
		if known && old.Isolation.Verdict == v.Isolation.Verdict && old.Isolation.Contested == v.Isolation.Contested {
			v.Isolation.Since = old.Isolation.Since
		}
		events = append(events, news(n, old.Isolation, v.Isolation, now)...)
		verdicts[n.ID] = v
	}
	l.tell(events)
	networks, devices := merged(calm, before, verdicts), merged(calm, l.status.Load().Devices, judged.devices)
	l.publish(func(s *standing) {
		s.remember(events)
		s.setConnected(true)
		s.Standby, s.Occupied = actual.Standby, false
		s.see(actual, judged.waiting)
		s.HostID, s.Revision, s.Networks, s.Held, s.Devices = host, revision, networks, heldOf(p.Held), devices
		s.LastError = ""
		if err != nil {
			s.LastError = err.Error()
		}
	})
}

func (l *Loop) verdicts(want plan.Want, p plan.Plan, actual *plan.Actual) map[model.ID]report.NetworkStatus {
	verdicts := make(map[model.ID]report.NetworkStatus, len(want.Networks))
	applied := actual.CurCfg >= actual.NextCfg
	for _, n := range want.Networks {
		verdicts[n.ID] = report.NetworkStatus{State: report.Active}
		if l.touched[n.ID] > actual.NextCfg { // the database was replaced
			delete(l.touched, n.ID)
		}
		if l.touched[n.ID] > actual.CurCfg {
			verdicts[n.ID] = report.NetworkStatus{State: report.Pending, Reason: fmt.Sprintf("Open vSwitch has not applied the last change of the bridge '%s' yet", n.VdsmName)}
		}
	}
	for _, problem := range plan.Problems(want, actual) {
		state := report.Pending
		if problem.Final && applied {
			state = report.Failed
		}
		verdicts[problem.NetworkID] = report.NetworkStatus{State: state, Reason: problem.Reason}
	}
	for _, c := range p.Conflicts {
		verdicts[c.Network.ID] = report.NetworkStatus{State: report.Failed, Reason: c.Reason, Conflict: true}
	}
	for id := range l.touched {
		if _, wanted := verdicts[id]; !wanted {
			delete(l.touched, id)
		}
	}
	return verdicts
}

func (l *Loop) publish(change func(*standing)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.status.Load()
	change(&next)
	l.status.Store(&next)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Status returns what is known now. Its maps and slices are shared: do not
// change them.
func (l *Loop) Status() report.Status { return l.stand().Status }

// stand returns what is known now, and what that is made from.
func (l *Loop) stand() standing {
	s := *l.status.Load()
	if verified := l.guardVerified.Load(); s.Guard != nil && verified != nil && verified.After(s.Guard.Verified) {
		guard := *s.Guard
		guard.Verified, s.Guard = *verified, &guard
	}
	return l.fold(s, time.Now())
}

// Changed returns a channel that is closed when Status changes.
func (l *Loop) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
