package isolation

import (
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// How isonet meets somebody who keeps breaking the same thing.
const (
	// freeRepairs are made at once.
	freeRepairs = 5
	// The delays after that double from firstDelay to maxDelay.
	firstDelay = time.Second
	maxDelay   = time.Minute
	// Quiet is how long nothing must have been repaired for the fight to be
	// forgotten.
	Quiet = 5 * time.Minute
)

// Restraint spaces the repairs of the same thing, so that an operator or a
// program that keeps breaking it meets a growing delay and not an endless
// exchange. Its zero value is ready. It is not safe for concurrent use.
type Restraint struct {
	fights map[plan.Subject]fight
}

type fight struct {
	repairs    int
	last, next time.Time // the last repair, and when the next one may be
}

// Wait returns how long to leave something as it is; 0 is not at all.
func (r *Restraint) Wait(s plan.Subject, now time.Time) time.Duration {
	return max(0, r.fights[s].next.Sub(now))
}

// Repaired records that something was repaired.
func (r *Restraint) Repaired(s plan.Subject, now time.Time) {
	r.forget(now)
	if r.fights == nil {
		r.fights = map[plan.Subject]fight{}
	}
	f := r.fights[s]
	f.repairs++
	f.last, f.next = now, now
	if f.contested() {
		f.next = now.Add(min(maxDelay, firstDelay<<min(f.repairs-freeRepairs, 10)))
	}
	r.fights[s] = f
}

// contested says that the next repair has to wait.
func (f fight) contested() bool { return f.repairs >= freeRepairs }

// Contested reports whether something of a network is contested, and when that
// will be over if nothing happens.
func (r *Restraint) Contested(network model.ID, now time.Time) (contested bool, until time.Time) {
	r.forget(now)
	for s, f := range r.fights {
		if s.Network == network && f.contested() {
			contested = true
			if end := f.last.Add(Quiet); end.After(until) {
				until = end
			}
		}
	}
	return contested, until
}

// forget drops what has been quiet for long enough.
func (r *Restraint) forget(now time.Time) {
	for s, f := range r.fights {
		if !now.Before(f.last.Add(Quiet)) {
			delete(r.fights, s)
		}
	}
}
