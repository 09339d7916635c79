package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// Store is the desired state.
type Store interface {
	Ready() <-chan struct{}
	// Snapshot is what this host must know of the desired state. Changed is closed when
	// it is another one.
	Snapshot() *model.Desired
	// Recalled returns what the last run remembered, with which the store began; nil if
	// that was nothing.
	Recalled() *model.Desired
	Changed() <-chan struct{}
	// Newest returns Snapshot, the newest revision of the store at which it is right,
	// and a channel that is closed when either is another one.
	Newest() (desired *model.Desired, revision int64, replaced <-chan struct{})
	// Trouble returns since when Snapshot does not follow the store's database, and
	// why; nil when it does.
	Trouble() (since time.Time, err error)
	// Invalid are the rows of the database that cannot count, and why.
	Invalid() map[string]string
	// Register makes the host with a system-id known to the store.
	Register(ctx context.Context, systemID, name string) error
	// Left ends the evictions and releases of networks on a host, which are done.
	Left(ctx context.Context, host model.ID, networks ...model.ID) error
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

	*board
	// asked is whom Alive asks, woken holds a value when the loop is to pass once more.
	asked pulse
	woken chan struct{}
	// alone says that the store is of this machine only, stranger why it is not
	// known which host it is.
	alone    bool
	stranger atomic.Pointer[plan.Sighting]
	tenures  tenures
	// began is when there could have been evidence at the earliest; work times what is
	// made of it.
	began time.Time
	work  stopwatch

	// The rest belongs to Run's goroutine.

	// stages are what a pass goes through, in this order. The others name some of them.
	stages  []stage
	ports   *ports
	bridges *bridges
	guard   *guard
	left    *left
	// systemID is the one that the host was found to have instead of its own.
	systemID string
	// known is the newest desired state that has this host, and held what it goes by
	// since that has it no more.
	known atomic.Pointer[model.Desired]
	held  *model.Desired
	// owners knows whose bridges are.
	owners *owners
	// wishes are those of the newest desired state.
	wishes wishes
	// calm are the networks that a pass leaves out.
	calm calm
}

// New returns a loop; Run runs it.
func New(store Store, sw Switch, observer Observer, log *slog.Logger) *Loop {
	l := &Loop{
		store: store, sw: sw, observer: observer, log: log, board: newBoard(log),
		asked: make(pulse), woken: make(chan struct{}, 1), began: time.Now(),
	}
	keep, history := newKeeper(l.wake), newHistory()
	l.owners = newOwners(store, keep.mark, log)
	l.ports = &ports{board: l.board, store: store, memory: newMemory(), keep: keep}
	flows := &flows{sw: sw, ports: l.ports, history: history, restored: map[string]uint64{}}
	l.bridges = &bridges{
		sw: sw, observer: observer, log: log, asked: l.asked, board: l.board, ports: l.ports, owners: l.owners, history: history,
		settled: -1, closing: newAttempts(), sending: newAttempts(),
	}
	l.guard = newGuard(l.ports)
	// This is the order. What ports are accepted says what flows a bridge must have; the
	// flows are stated before ports change, so that nobody is let in or left in for a
	// moment; the plan of the bridges has what ports and flows want; the guard is on what is
	// plugged in; and what has left is known when nothing is left to do.
	l.left = newLeft(store, &l.wishes, log, l.wake)
	l.stages = []stage{l.ports, flows, l.bridges, l.guard, l.left}
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
	if landed := l.bridges.landed(); landed != nil {
		<-landed // ctx ends it
	}
	l.tenures.running.Wait()
	l.left.running.Wait()
	return nil
}

// never says that only a change needs another pass.
const never = time.Duration(-1)

// pass looks at both sides and goes through the stages once. It returns when to do so
// again at the latest.
func (l *Loop) pass(ctx context.Context) time.Duration {
	actual, connected := l.sw.Actual()
	if actual == nil || !connected {
		l.amend(func(s *standing) bool { return s.setConnected(false) })
		return never
	}
	desired := l.store.Snapshot()
	host, known := l.identify(desired, actual)
	if !known && actual.Standby {
		l.publish(func(s *standing) { s.setConnected(true); s.Standby = true; s.see(actual, nil) })
		return never
	}
	switch {
	case known:
		l.known.Store(desired)
		l.held = nil
	case l.removed():
		if desired, host, known = l.hold(); !known {
			l.publish(func(s *standing) {
				s.setConnected(true)
				s.HostID, s.Standby = l.ports.keep.hostID(), false
				s.see(actual, nil)
			})
			return never
		}
	default:
		return l.register(ctx, actual.SystemID)
	}
	if t := l.claim(ctx, host.ID, actual.Standby); t.answer.Load() != granted {
		l.wait(t, host, desired, actual)
		return never
	}
	p := l.begin(host.ID, desired, actual)
	for _, s := range l.stages {
		s.want(p)
	}
	for _, s := range l.stages {
		if s.apply(ctx, p); p.void {
			return 0 // look at the result
		}
	}
	for _, s := range l.stages {
		s.verdicts(p)
	}
	l.end(host.ID, p)
	return p.until()
}

// begin returns a pass over what changed.
func (l *Loop) begin(host model.ID, desired *model.Desired, actual *plan.Actual) *pass {
	if l.wishes.desired != desired || l.wishes.host.ID != host {
		l.wishes = newWishes(desired, host)
	}
	p := newPass(desired, actual, l.sw.Flows(), &l.calm)
	open := l.calm.wake(l.wishes.networks, actual, p.flows)
	p.actual, p.forged = l.owners.settle(actual, l.calm.bridges)
	p.wants(l.wishes, open)
	return p
}

// end publishes the verdicts, and makes the networks calm of which the pass left
// nothing open.
func (l *Loop) end(host model.ID, p *pass) {
	err := p.err()
	before := l.status.Load()
	revision, judged := before.Revision, before.judged
	if !p.busy || p.actual.Standby || err != nil { // else nobody is to take what there is for the result
		revision, judged = p.desired.Revision, p.desired
	}
	l.conclude(host, revision, judged, p, err)
	switch {
	case err != nil:
		l.observer.ObserveReconcile(time.Since(p.start), "error")
	case !p.busy:
		if !p.actual.Standby {
			former := func(id model.ID) map[string][]int { return l.ports.memory.networks[id].opened }
			l.calm.settle(p.want.Networks, p.actual, p.flows, former, func(n model.Network) bool {
				return p.networks[n.ID].State == report.Active && !p.open[n.ID]
			})
		}
		l.observer.ObserveReconcile(time.Since(p.start), "unchanged")
	}
}

// machineName returns the name of this machine, or what else names it.
func machineName(systemID string) string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return systemID
}

// register makes this host known to the store.
func (l *Loop) register(ctx context.Context, systemID string) time.Duration {
	name := machineName(systemID)
	err := l.asked.during(func() error { return l.store.Register(ctx, systemID, name) })
	if err != nil {
		return l.bridges.sending.failed(ctx, l.store.Snapshot().Revision, fmt.Errorf("register the host in the store: %w", err), l.log)
	}
	l.log.Info("registered this host", "system_id", systemID, "name", name)
	return 0
}

// conclude publishes the verdicts, if they are news.
func (l *Loop) conclude(host model.ID, revision int64, judged *model.Desired, p *pass, err error) {
	now, before := time.Now(), l.status.Load() // the loop alone writes the networks
	var events []report.Event
	for _, n := range p.want.Networks {
		v := p.networks[n.ID]
		if v.Isolation.Verdict == "" {
			v.Isolation = report.Isolation{Verdict: report.IsolationUnknown, Reason: fmt.Sprintf("there is no bridge '%s' to look at: %s", n.VdsmName, cmp.Or(v.Reason, "wait until it is made"))}
		}
		old := before.Networks[n.ID]
		v.Since, v.Isolation.Since = now, now
		if old.State == v.State {
			v.Since = old.Since
		}
		if old.Isolation.Verdict == v.Isolation.Verdict && old.Isolation.Contested == v.Isolation.Contested {
			v.Isolation.Since = old.Isolation.Since
		}
		events = append(events, news(n, old.Isolation, v.Isolation, now)...)
		p.networks[n.ID] = v
	}
	l.tell(events)
	next := report.Status{
		HostID: host, Revision: revision, Standby: p.actual.Standby,
		Networks: merged(p.calm, before.Networks, p.networks), Devices: l.ports.devices, Held: heldOf(l.bridges.plan.Held),
	}
	if err != nil {
		next.LastError = err.Error()
	}
	l.amend(func(s *standing) bool {
		other := s.judged != judged
		s.judged = judged
		return s.take(next, events, p.actual, l.ports.waiting) || other
	})
}

// Status returns what is known now. Its maps and slices are shared: do not
// change them.
func (l *Loop) Status() report.Status { return l.stand().Status }

// stand returns what is known now, and what that is made from.
func (l *Loop) stand() standing {
	s := *l.status.Load()
	if desired, revision, _ := l.store.Newest(); desired == s.judged { // what was written since does not concern this host
		s.Revision = max(s.Revision, revision)
	}
	if verified := l.guard.verified.Load(); s.Guard != nil && verified != nil && verified.After(s.Guard.Verified) {
		guard := *s.Guard
		guard.Verified, s.Guard = *verified, &guard
	}
	return l.fold(s, time.Now())
}
