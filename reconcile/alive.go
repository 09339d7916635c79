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

// await waits for the first of these, for the flight, for what wakes the loop and for
// ctx, and answers Alive meanwhile. A nil channel never comes.
func (l *Loop) await(ctx context.Context, store, sw <-chan struct{}, timer <-chan time.Time) {
	landed := l.bridges.landed()
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
		case <-l.woken:
			return
		case came := <-landed:
			l.bridges.arrived(ctx, came)
			return
		case <-l.asked:
		}
	}
}

// wake makes the loop pass once more.
func (l *Loop) wake() { yield(l.woken) }

// pulse receives from those who ask whether the loop is alive.
type pulse chan struct{}

// during calls what may have to wait for another process, and answers Alive
// until it returns: that others hang is no fault of the loop.
func (p pulse) during(call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	for {
		select {
		case err := <-done:
			return err
		case <-p:
		}
	}
}
