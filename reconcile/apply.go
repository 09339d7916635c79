package reconcile

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// What closes a way out is a transaction of its own, and the loop waits for no
// other: while the rest of a plan is under way, however much that is, it goes on
// looking, and closes what is opened meanwhile.

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

// failed records a failure and returns how long the next try has to wait.
func (a *attempts) failed(revision int64) time.Duration {
	wait := a.pause.NextBackOff()
	a.revision, a.at = revision, time.Now().Add(wait)
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

// urgent divides a plan into what closes ways out, and the rest.
func (j judgement) urgent(p plan.Plan) (first, rest plan.Plan) {
	broken := map[model.ID]bool{}
	for _, r := range j.repairs {
		broken[r.event.NetworkID] = true
	}
	first.Ports, rest = p.Ports, p
	rest.Ports, rest.Repair = nil, nil
	for _, r := range p.Repair {
		if broken[r.Spec.NetworkID] {
			first.Repair = append(first.Repair, r)
		} else {
			rest.Repair = append(rest.Repair, r)
		}
	}
	return first, rest
}

// close closes ways out. It returns whether it did, and otherwise when to try
// again.
func (l *Loop) close(ctx context.Context, p plan.Plan, judged judgement, revision int64) (done bool, again time.Duration) {
	if p.Empty() {
		l.closing.reset()
		return false, never
	}
	if wait := l.closing.wait(revision); wait > 0 {
		return false, wait
	}
	f := l.depart(p, revision)
	var came landing
	err := l.elsewhere(func() error {
		came.nextCfg, came.err = l.sw.Apply(ctx, p)
		return came.err
	})
	l.land(f, came)
	if l.closing.err = err; err != nil {
		return false, l.failed(ctx, &l.closing, revision, err)
	}
	l.repaired(judged)
	return true, 0
}

// send sends the rest of a plan on its way, if nothing is. It returns when to try
// again.
func (l *Loop) send(ctx context.Context, p plan.Plan, revision int64) time.Duration {
	if l.flight != nil {
		return never
	}
	if p.Empty() {
		l.sending.reset()
		return never
	}
	if wait := l.sending.wait(revision); wait > 0 {
		return wait
	}
	f := l.depart(p, revision)
	l.flight = f
	go func() {
		l.applying.start()
		nextCfg, err := l.sw.Apply(ctx, p)
		l.applying.stop()
		f.landed <- landing{nextCfg, err}
	}()
	// It goes first: those who are told of the status have more to do, and each of
	// them would be served before it.
	runtime.Gosched()
	return never
}

// depart takes down what a transaction is about to do.
func (l *Loop) depart(p plan.Plan, revision int64) *flight {
	f := &flight{plan: p, revision: revision, start: time.Now(), landed: make(chan landing, 1)}
	if l.settled == revision {
		f.drift = len(p.Create) + len(p.Repair) + len(p.Delete) + len(p.Adopt)
		l.logDrift(p)
	}
	l.owners.intend(p)
	return f
}

// arrived ends the flight.
func (l *Loop) arrived(ctx context.Context, came landing) {
	f := l.flight
	l.flight = nil
	l.land(f, came)
	if l.sending.err = came.err; came.err != nil {
		l.observer.ObserveReconcile(time.Since(f.start), "error")
		l.failed(ctx, &l.sending, f.revision, came.err)
		return
	}
	l.observer.ObserveReconcile(time.Since(f.start), "applied")
}

// land takes down what a transaction has done.
func (l *Loop) land(f *flight, came landing) {
	p := f.plan
	l.keep.tried(p, came.err)
	if came.err != nil {
		return
	}
	l.log.Info("applied", "plan", p.String(), "revision", f.revision, "next_cfg", came.nextCfg)
	for _, s := range p.Create {
		l.touched[s.NetworkID] = came.nextCfg
	}
	for _, r := range slices.Concat(p.Repair, p.Adopt) {
		l.touched[r.Spec.NetworkID] = came.nextCfg
	}
	for _, r := range p.Adopt {
		l.log.Info("adopted the bridge", "bridge", r.Spec.Name, "network", r.Spec.NetworkID, "columns", r.Columns())
	}
	for _, r := range p.Release {
		l.log.Info("released the bridge; it is isonet's no longer", "bridge", r.Bridge.Name, "network", r.Bridge.Network)
	}
	l.replugged(p)
	if f.drift > 0 {
		l.publish(func(s *standing) { s.Repairs += uint64(f.drift) })
	}
}

func (l *Loop) logDrift(p plan.Plan) {
	for _, s := range p.Create {
		l.log.Warn("bridge is gone though nobody asked for that; making it again", "bridge", s.Name)
	}
	for _, r := range slices.Concat(p.Repair, p.Adopt) {
		l.log.Warn("bridge was changed by somebody else; putting it back", "bridge", r.Spec.Name, "columns", r.Columns())
	}
	for _, b := range p.Delete {
		l.log.Warn("bridge of a network that is not on this host appeared; removing it", "bridge", b.Name)
	}
}

// failed records that a transaction failed and returns when to try again.
func (l *Loop) failed(ctx context.Context, a *attempts, revision int64, err error) time.Duration {
	if ctx.Err() != nil {
		return never
	}
	wait := a.failed(revision)
	l.log.Warn("the change was not applied; trying again", "error", err, "in", wait)
	return wait
}

// sooner returns the shorter of two times to wait.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}
