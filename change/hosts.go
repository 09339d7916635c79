package change

import (
	"context"
	"errors"
	"fmt"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Hosts tells how hosts are: the one that isonetd runs on, and the others of its fleet.
type Hosts struct {
	Own Status
	// Others is nil where nothing is known of other hosts.
	Others Others
}

// Status returns how a host is; false when nothing is known of it.
func (h Hosts) Status(host model.ID) (report.Status, bool) {
	if own := h.Own.Status(); host == own.HostID {
		return own, host != ""
	}
	if h.Others == nil {
		return report.Status{}, false
	}
	return h.Others.Status(host)
}

// Changed returns a channel that is closed when the status of a host is another one.
func (h Hosts) Changed(host model.ID) <-chan struct{} {
	if h.Others == nil || host == h.Own.Status().HostID {
		return h.Own.Changed()
	}
	return h.Others.Changed()
}

// HostError is a refusal of a host that a write is not about.
type HostError struct {
	Host  string // its name
	Cause error
}

// Error returns the host's name and the cause.
func (e *HostError) Error() string {
	return fmt.Sprintf("On the host '%s': %s", e.Host, oneLine(e.Cause))
}

// Unwrap returns the cause.
func (e *HostError) Unwrap() error { return e.Cause }

// onHost says of all refusals which host they are of.
func onHost(name string, err error) error {
	if err == nil {
		return nil
	}
	several, ok := errors.AsType[model.Refusals](err)
	if !ok {
		return &HostError{name, err}
	}
	of := make([]error, len(several))
	for i, refusal := range several {
		of[i] = &HostError{name, refusal}
	}
	return model.Join(of...)
}

// errAway says that a host stopped to report while it was waited for.
var errAway = errors.New("the host does not report any more")

// waiter waits for hosts.
type waiter interface {
	// waitOn is WaitFor of a host. It returns an error that wraps errAway when the host
	// is not heard of any more.
	waitOn(ctx context.Context, host model.ID, revision int64, networks ...model.ID) error
}

// patient waits for the own host by its loop, and for others by what they report.
type patient struct {
	Hosts
	own Waiter
}

func (p patient) waitOn(ctx context.Context, host model.ID, revision int64, networks ...model.ID) error {
	if host == p.Own.Status().HostID {
		return p.own.WaitFor(ctx, revision, networks...)
	}
	for {
		changed := p.Changed(host)
		open, err := p.unsettled(host, revision, networks)
		if err != nil || open == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not realised in time: %s: %w", open, ctx.Err())
		case <-changed:
		}
	}
}

// unsettled is report.Status.Unsettled of another host, with what it cannot do now.
func (h Hosts) unsettled(host model.ID, revision int64, networks []model.ID) (string, error) {
	status, known := h.Status(host)
	if !known || !status.Reports() {
		return "", errAway
	}
	open, err := status.Unsettled(revision, networks)
	if err == nil && open != "" {
		err = status.CannotRealise()
	}
	return open, err
}
