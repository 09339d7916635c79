package reconcile

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// WaitFor waits until the loop has looked at the desired revision, and each of
// the networks is active, or is not on this host and has no bridge left. It
// returns a *RealiseError when OVS cannot realise one of them or ports keep its
// bridge, ErrStandby when it is not this isonetd's to do, the error of
// Status.CannotRealise when Open vSwitch stops doing anything, and an error that
// wraps ctx's when ctx ends before.
func (l *Loop) WaitFor(ctx context.Context, revision int64, networks ...model.ID) error {
	for {
		changed := l.Changed()
		_, _, replaced := l.store.Newest()
		status := l.stand()
		open, err := status.unsettled(revision, networks)
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

// unsettled says what is still open; "" when nothing is.
func (s standing) unsettled(revision int64, networks []model.ID) (string, error) {
	switch {
	case !s.Connected:
		return report.ErrUnreachable.Error(), nil
	case s.Standby:
		return "", report.ErrStandby
	case s.Revision < revision:
		return "the change has not been looked at", nil
	}
	bridges := sync.OnceValue(func() map[model.ID]string {
		names := map[model.ID]string{}
		for name, b := range s.seen.actual.Bridges {
			names[b.Network] = name
		}
		return names
	})
	var open []string
	failure := &report.RealiseError{}
	for _, id := range networks {
		verdict, wanted := s.Networks[id]
		switch {
		case wanted && verdict.State == report.Failed:
			failure.Problems = append(failure.Problems, report.Problem{NetworkID: id, Reason: verdict.Reason})
			failure.Conflict = failure.Conflict || verdict.Conflict
		case wanted && (verdict.State == report.Pending || verdict.State == report.Unknown):
			open = append(open, verdict.Reason)
		case !wanted && bridges()[id] != "":
			if ports := s.HeldBy(id); ports != nil {
				failure.Problems = append(failure.Problems, report.Problem{NetworkID: id, Reason: fmt.Sprintf(
					"the bridge '%s' is in use by the ports %s: unplug them, or remove it by force", bridges()[id], strings.Join(ports, ", "))})
				failure.Conflict = true
				continue
			}
			open = append(open, fmt.Sprintf("the bridge '%s' is still there", bridges()[id]))
		}
	}
	if len(failure.Problems) > 0 {
		return "", failure
	}
	if len(open) > 0 && s.LastError != "" {
		open = append(open, s.LastError)
	}
	return report.Join(open...), nil
}
