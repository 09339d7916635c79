package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// bridges is the stage that makes Open vSwitch's database what it must be. It makes a
// plan of what it and the stages before it want, and sends that.
//
// What closes a way out is a transaction of its own, and the loop waits for no
// other: while the rest of a plan is under way, however much that is, it goes on
// looking, and closes what is opened meanwhile.
type bridges struct {
	silent   // what Open vSwitch has stays when another machine is this host
	sw       Switch
	observer Observer
	log      *slog.Logger
	asked    pulse
	board    *board
	ports    *ports
	owners   *owners
	history  *history

	plan plan.Plan // of the pass under way
	// settled is the newest desired revision for which nothing was left to do:
	// a difference that shows up for it later was made by somebody else.
	settled int64
	// closing are the tries to close ways out, sending those of all other
	// transactions, of which flight is the one under way.
	closing, sending attempts
	flight           *flight
	applying         stopwatch // of flight
}

// history is what is known of the changes of the database, by their next_cfg.
type history struct {
	// since is the one that was there first: of changes up to that nobody knows what
	// they were about.
	since int
	// touched holds the last one about a network.
	touched map[model.ID]int
}

func newHistory() *history { return &history{since: -1, touched: map[model.ID]int{}} }

// look takes in what the database has.
func (h *history) look(actual *plan.Actual) {
	if h.since < 0 || h.since > actual.NextCfg { // the first pass, or another database
		h.since = actual.NextCfg
	}
}

// ahead says that vswitchd has not applied the last change about a network yet.
func (h *history) ahead(network model.ID, actual *plan.Actual) bool {
	if h.touched[network] > actual.NextCfg { // the database was replaced
		delete(h.touched, network)
	}
	return h.touched[network] > actual.CurCfg
}

// want makes the plan.
func (b *bridges) want(p *pass) {
	b.plan = plan.Diff(p.want, p.actual)
	if p.desired.Recalled {
		b.plan.Delete, b.plan.Release = nil, nil
	}
}

// apply closes ways out, and sends the rest of the plan on its way.
func (b *bridges) apply(ctx context.Context, p *pass) {
	if !p.actual.Standby {
		first, rest := b.urgent()
		if p.void = b.close(ctx, p, first); p.void {
			return
		}
		b.send(ctx, p, rest)
	}
	p.busy = p.busy || !b.plan.Empty() || b.flight != nil
	p.fail(b.closing.err)
	p.fail(b.sending.err)
}

// verdicts tells of the networks of which Open vSwitch does not report that they are
// as they must be.
func (b *bridges) verdicts(p *pass) {
	applied := p.actual.CurCfg >= p.actual.NextCfg
	for _, c := range b.plan.Conflicts {
		p.lower(c.Network.ID, report.Failed, c.Reason)
		v := p.networks[c.Network.ID]
		v.Conflict = true
		p.networks[c.Network.ID] = v
	}
	for _, problem := range plan.Problems(p.want, p.actual) {
		state := report.Pending
		if problem.Final && applied {
			state = report.Failed
		}
		p.lower(problem.NetworkID, state, problem.Reason)
	}
	for _, n := range p.want.Networks {
		if b.history.ahead(n.ID, p.actual) {
			p.lower(n.ID, report.Pending, fmt.Sprintf("Open vSwitch has not applied the last change of the bridge '%s' yet", n.VdsmName))
		}
	}
	for id := range b.history.touched {
		if _, wanted := p.networks[id]; !wanted {
			delete(b.history.touched, id)
		}
	}
	if !p.busy && p.err() == nil && !p.actual.Standby && !p.want.Open() { // else what differs is not drift
		b.settled = p.desired.Revision
	}
}

// urgent divides the plan into what closes ways out, and the rest.
func (b *bridges) urgent() (first, rest plan.Plan) {
	broken := map[model.ID]bool{}
	for _, r := range b.ports.repairs {
		broken[r.event.NetworkID] = true
	}
	first.Ports, rest = b.plan.Ports, b.plan
	rest.Ports, rest.Repair = nil, nil
	for _, r := range b.plan.Repair {
		if broken[r.Spec.NetworkID] {
			first.Repair = append(first.Repair, r)
		} else {
			rest.Repair = append(rest.Repair, r)
		}
	}
	return first, rest
}

// close closes ways out, and says whether it did.
func (b *bridges) close(ctx context.Context, p *pass, first plan.Plan) bool {
	if !b.closing.due(p, first) {
		return false
	}
	f := b.depart(first, p.desired.Revision)
	var came landing
	err := b.asked.during(func() error {
		came.nextCfg, came.err = b.sw.Apply(ctx, first)
		return came.err
	})
	b.land(f, came)
	if b.closing.err = err; err != nil {
		p.after(b.closing.failed(ctx, f.revision, err, b.log))
		return false
	}
	b.ports.repaired(b.ports.repairs)
	b.observer.ObserveReconcile(time.Since(p.start), "applied")
	return true
}

// send sends the rest of a plan on its way, if nothing is.
func (b *bridges) send(ctx context.Context, p *pass, rest plan.Plan) {
	if b.flight != nil || !b.sending.due(p, rest) {
		return
	}
	f := b.depart(rest, p.desired.Revision)
	b.flight = f
	go func() {
		b.applying.start()
		nextCfg, err := b.sw.Apply(ctx, rest)
		b.applying.stop()
		f.landed <- landing{nextCfg, err}
	}()
	// It goes first: those who are told of the status have more to do, and each of
	// them would be served before it.
	runtime.Gosched()
}

// landed receives what came of the transaction under way; nil if none is.
func (b *bridges) landed() <-chan landing {
	if b.flight == nil {
		return nil
	}
	return b.flight.landed
}

// depart takes down what a transaction is about to do.
func (b *bridges) depart(p plan.Plan, revision int64) *flight {
	f := &flight{plan: p, revision: revision, start: time.Now(), landed: make(chan landing, 1)}
	if b.settled == revision {
		f.drift = len(p.Create) + len(p.Repair) + len(p.Delete) + len(p.Adopt)
		b.logDrift(p)
	}
	b.owners.intend(p)
	return f
}

// arrived ends the flight.
func (b *bridges) arrived(ctx context.Context, came landing) {
	f := b.flight
	b.flight = nil
	b.land(f, came)
	result := "applied"
	if b.sending.err = came.err; came.err != nil {
		result = "error"
		b.sending.failed(ctx, f.revision, came.err, b.log)
	}
	b.observer.ObserveReconcile(time.Since(f.start), result)
}

// land takes down what a transaction has done.
func (b *bridges) land(f *flight, came landing) {
	p := f.plan
	b.ports.keep.tried(p, came.err)
	if came.err != nil {
		return
	}
	b.log.Info("applied", "plan", p.String(), "revision", f.revision, "next_cfg", came.nextCfg)
	for _, s := range p.Create {
		b.history.touched[s.NetworkID] = came.nextCfg
	}
	for _, r := range slices.Concat(p.Repair, p.Adopt) {
		b.history.touched[r.Spec.NetworkID] = came.nextCfg
	}
	for _, r := range p.Adopt {
		b.log.Info("adopted the bridge", "bridge", r.Spec.Name, "network", r.Spec.NetworkID, "columns", r.Columns())
	}
	for _, r := range p.Release {
		b.log.Info("released the bridge; it is isonet's no longer", "bridge", r.Bridge.Name, "network", r.Bridge.Network)
	}
	b.ports.replugged(p)
	if f.drift > 0 {
		b.board.note(drift(p, time.Now()))
		b.board.publish(func(s *standing) { s.Repairs += uint64(f.drift) })
	}
}

// drift are the events of what a plan has put right that does not break the isolation by
// itself.
func drift(p plan.Plan, now time.Time) []report.Event {
	var events []report.Event
	add := func(network model.ID, name, detail string) {
		events = append(events, report.Event{Time: now, NetworkID: network, Network: name, Deed: report.Repaired, Detail: detail})
	}
	for _, s := range p.Create {
		add(s.NetworkID, s.ExternalIDs[plan.NameKey], fmt.Sprintf("the bridge '%s' was gone, and was created again", s.Name))
	}
	for _, r := range slices.Concat(p.Repair, p.Adopt) {
		add(r.Spec.NetworkID, r.Spec.ExternalIDs[plan.NameKey], fmt.Sprintf("somebody changed %v of the bridge '%s', which was put back", r.Columns(), r.Spec.Name))
	}
	for _, surplus := range p.Delete {
		add(surplus.Network, surplus.ExternalIDs[plan.NameKey], fmt.Sprintf("the bridge '%s' of a network that is not on this host appeared, and was removed", surplus.Name))
	}
	return events
}

func (b *bridges) logDrift(p plan.Plan) {
	for _, s := range p.Create {
		b.log.Warn("bridge is gone though nobody asked for that; making it again", "bridge", s.Name)
	}
	for _, r := range slices.Concat(p.Repair, p.Adopt) {
		b.log.Warn("bridge was changed by somebody else; putting it back", "bridge", r.Spec.Name, "columns", r.Columns())
	}
	for _, surplus := range p.Delete {
		b.log.Warn("bridge of a network that is not on this host appeared; removing it", "bridge", surplus.Name)
	}
}

// attempts space the tries of transactions of one kind that fail.
type attempts struct {
	pause    *backoff.ExponentialBackOff
	at       time.Time // of the next one at the earliest
	revision int64     // that the last one failed for
	err      error     // of the last one
}

func newAttempts() attempts {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 2*time.Millisecond, 5*time.Second
	return attempts{pause: pause}
}

// wait returns how long to wait before the next try. A new desired revision does
// not wait.
func (a *attempts) wait(revision int64) time.Duration {
	if a.revision != revision {
		a.reset()
		return 0
	}
	return max(0, time.Until(a.at))
}

// due says that a plan is to be sent now. If it has to wait, the pass says how long.
func (a *attempts) due(p *pass, what plan.Plan) bool {
	if what.Empty() {
		a.reset()
		return false
	}
	wait := a.wait(p.desired.Revision)
	if wait > 0 {
		p.after(wait)
	}
	return wait == 0
}

// failed records a failure and returns how long the next try has to wait.
func (a *attempts) failed(ctx context.Context, revision int64, err error, log *slog.Logger) time.Duration {
	if ctx.Err() != nil {
		return never
	}
	wait := a.pause.NextBackOff()
	a.revision, a.at = revision, time.Now().Add(wait)
	log.Warn("the change was not applied; trying again", "error", err, "in", wait)
	return wait
}

func (a *attempts) reset() {
	a.pause.Reset()
	a.at, a.err = time.Time{}, nil
}

// flight is a transaction under way.
type flight struct {
	plan     plan.Plan
	revision int64
	drift    int // how many bridges it puts back that somebody else changed
	start    time.Time
	landed   chan landing // receives one value
}

// landing is what came of it.
type landing struct {
	nextCfg int
	err     error
}
