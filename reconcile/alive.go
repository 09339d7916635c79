package reconcile

import (
	"context"
	"fmt"
	"time"
)

// Alive returns nil as soon as Run's goroutine answers: it waits for something
// to do, or for Open vSwitch or the store, however long these take. It returns
// an error when ctx ends before: the goroutine does not run, computes without
// an end, or is stuck.
func (l *Loop) Alive(ctx context.Context) error {
	select {
	case l.asked <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the reconcile loop does not answer: %w", ctx.Err())
	}
}

// await waits for the first of these, for the flight and for ctx, and answers
// Alive meanwhile. A nil channel never comes.
func (l *Loop) await(ctx context.Context, store, sw <-chan struct{}, timer <-chan time.Time) {
	var landed <-chan landing
	if l.flight != nil {
		landed = l.flight.landed
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-store:
			return
		case <-sw:
			return
		case <-timer:
			return
		case <-l.keep.forgot:
			return
		case <-l.tenures.told:
			return
		case came := <-landed:
			l.arrived(ctx, came)
			return
		case <-l.asked:
		}
	}
}

// elsewhere calls what may have to wait for another process, and answers Alive
// until it returns: that others hang is no fault of the loop.
func (l *Loop) elsewhere(call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	for {
		select {
		case err := <-done:
			return err
		case <-l.asked:
		}
	}
}
