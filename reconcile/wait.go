package reconcile

import (
	"context"
	"fmt"

	"github.com/isonet/isonet/model"
)

// WaitFor waits until nothing of the networks is unsettled (report.Status.Unsettled), and
// returns its error. It returns the error of Status.CannotRealise when Open vSwitch stops
// doing anything, and an error that wraps ctx's when ctx ends before.
func (l *Loop) WaitFor(ctx context.Context, revision int64, networks ...model.ID) error {
	for {
		changed := l.Changed()
		_, _, replaced := l.store.Newest()
		status := l.Status()
		open, err := status.Unsettled(revision, networks)
		if err != nil || open == "" {
			return err
		}
		if err := status.CannotRealise(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not realised in time: %s: %w", open, ctx.Err())
		case <-changed:
		case <-replaced:
		}
	}
}
