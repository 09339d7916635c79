package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errAsleep says that nobody needs the store.
var errAsleep = errors.New("nobody has asked for a while")

// rest knows when somebody last needed the store.
type rest struct {
	asked atomic.Int64 // in Unix nanoseconds
	woken chan struct{}
}

// ask says that somebody needs the store.
func (r *rest) ask() {
	r.asked.Store(time.Now().UnixNano())
	select {
	case r.woken <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// whileAsked calls run again and again until ctx ends, each time from when somebody asks
// until nobody has for Config.Idle.
func (s *Store) whileAsked(ctx context.Context, run func(ctx context.Context)) {
	if s.cfg.Idle == 0 {
		run(ctx)
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.rest.woken:
		}
		awake, sleep := context.WithCancel(ctx)
		go func() {
			defer sleep()
			s.rest.await(awake, s.cfg.Idle)
		}()
		run(awake)
		s.sleep()
	}
}

// await returns when nobody has asked for so long, or when ctx ends.
func (r *rest) await(ctx context.Context, idle time.Duration) {
	for {
		left := idle - time.Since(time.Unix(0, r.asked.Load()))
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// sleep says that what is known is not followed any more: who asks waits for what is
// newer.
func (s *Store) sleep() {
	now := *s.newest.Load()
	if now.session != nil {
		now.lost = time.Now()
	}
	now.session, now.err, now.ready = nil, errAsleep, make(chan struct{})
	s.replace(now)
	select {
	case <-s.rest.woken: // by who asked while it was awake
	default:
	}
	if time.Since(time.Unix(0, s.rest.asked.Load())) < s.cfg.Idle { // just now
		s.rest.ask()
	}
}
