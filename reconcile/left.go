package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/isonet/isonet/model"
)

const (
	// leftAfter is for how long evictions and releases must be done before the host ends
	// them: a writer that waits for the host does it at once.
	leftAfter = time.Second
	// leftTimeout bounds one try, leftPause is the longest pause between two.
	leftTimeout = 10 * time.Second
	leftPause   = time.Minute
)

// left is the stage that ends evictions and releases when they are done: whoever wrote
// them may have waited for other hosts only, or be gone. That it cannot is no failure of
// the host, which has what it must have.
type left struct {
	silent
	store  Store
	wishes *wishes
	log    *slog.Logger
	wake   func()

	// since is when something was first found to be done; zero is nothing.
	since time.Time
	tries attempts
	// asked is the desired state of the last try, and ended says that it succeeded: the
	// store may show that state for a moment longer.
	asked   *model.Desired
	ended   bool
	answer  chan error // of the try under way, nil if none is
	running sync.WaitGroup
}

func newLeft(store Store, w *wishes, log *slog.Logger, wake func()) *left {
	l := &left{store: store, wishes: w, log: log, wake: wake, tries: newAttempts()}
	l.tries.pause.InitialInterval, l.tries.pause.MaxInterval = leftAfter, leftPause
	l.tries.reset()
	return l
}

// apply ends what is done for a while.
func (l *left) apply(ctx context.Context, p *pass) {
	l.take(ctx)
	if l.answer != nil || p.busy || p.actual.Standby || p.desired.Recalled || l.ended && l.asked == p.desired {
		return
	}
	done := l.done(p)
	if len(done) == 0 {
		l.since = time.Time{}
		return
	}
	if l.since.IsZero() {
		l.since = p.start
	}
	if wait := max(leftAfter-p.start.Sub(l.since), l.tries.wait(p.desired.Revision)); wait > 0 {
		p.after(wait)
		return
	}
	l.asked, l.ended, l.answer = p.desired, false, make(chan error, 1)
	answer, host := l.answer, l.wishes.host.ID
	l.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, leftTimeout)
		defer cancel()
		answer <- l.store.Left(ctx, host, done...)
		l.wake()
	})
}

// take takes the answer of the try under way, if it is there.
func (l *left) take(ctx context.Context) {
	select {
	case err := <-l.answer:
		l.answer = nil
		if l.ended = err == nil; l.ended {
			l.tries.reset()
			l.since = time.Time{}
			return
		}
		l.tries.failed(ctx, l.asked.Revision, fmt.Errorf("tell the store that networks have left the host: %w", err), l.log)
	default:
	}
}

// done returns the networks that are evicted or released, and have no bridge any more, or
// are on the host again.
func (l *left) done(p *pass) []model.ID {
	leaving := slices.Concat(l.wishes.host.Evicted, l.wishes.host.Released)
	if len(leaving) == 0 {
		return nil
	}
	there := map[model.ID]bool{}
	for _, b := range p.actual.Bridges {
		there[b.Network] = true
	}
	for _, n := range l.wishes.networks {
		there[n.ID] = false
	}
	return slices.DeleteFunc(leaving, func(id model.ID) bool { return there[id] })
}

// cease forgets what was done as that host.
func (l *left) cease() { l.since = time.Time{} }
