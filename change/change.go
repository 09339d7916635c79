package change

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

const (
	// Timeout is how long a write waits for Open vSwitch, unless its options say
	// otherwise.
	Timeout = 30 * time.Second
	// commitTimeout bounds one transaction of the store.
	commitTimeout = 30 * time.Second
	// comebackTimeout is how long a write waits for Open vSwitch before it begins.
	comebackTimeout = time.Second
	// settleTimeout is how long a refused write waits until Open vSwitch is as
	// it was before.
	settleTimeout = 5 * time.Second
)

// Store holds the desired state. Package store has the real one.
type Store interface {
	// Snapshot returns the newest desired state, which nobody changes.
	Snapshot() *model.Desired
	// Update runs change on a copy of the newest desired state and commits the
	// difference, all or nothing. It runs change anew when someone else was
	// faster. An error of change is returned unchanged and nothing is written.
	Update(ctx context.Context, change func(*model.Desired) error) (revision int64, err error)
}

// Status tells how far the desired state is realised on this host. Package
// reconcile has the real one of this and of the other two.
type Status interface {
	Status() report.Status
	// Changed returns a channel that is closed when Status is another one.
	Changed() <-chan struct{}
}

// Waiter waits for Open vSwitch.
type Waiter interface {
	// WaitFor returns when each of the networks is as the desired revision
	// asks. It returns a *report.RealiseError when one cannot be, and an
	// error that wraps ctx.Err() at the end of ctx.
	WaitFor(ctx context.Context, revision int64, networks ...model.ID) error
}

// Host does what an operator asks of this host beside the desired state.
type Host interface {
	// Prune removes the ports of a network whose devices vanished, and returns
	// their names.
	Prune(ctx context.Context, network model.ID) ([]string, error)
	// ReleaseDevice takes the host guard off a device that has left isonet's
	// bridges.
	ReleaseDevice(ctx context.Context, device string) error
	// Former returns the host that this machine was last, with the attachments that it
	// had as far as they are known; false if it was none yet.
	Former() (host model.Host, attachments []model.Attachment, known bool)
}

// Loop is the three of them in one.
type Loop interface {
	Status
	Waiter
	Host
}

// Writer writes the desired state.
type Writer struct {
	store  Store
	status Status
	waiter Waiter
	host   Host
	logger *slog.Logger
}

// New returns a writer.
func New(store Store, loop Loop, logger *slog.Logger) *Writer {
	return &Writer{store: store, status: loop, waiter: loop, host: loop, logger: logger}
}

// Options of a write.
type Options struct {
	// If is the version that the write may overwrite; nil is any.
	If *Condition
	// Force lets bridges go although ports are plugged in.
	Force bool
	// Timeout is how long to wait for Open vSwitch; 0 means the constant Timeout.
	Timeout time.Duration
	// Also names networks to wait for although the write does not change them.
	Also []model.ID
	// Undone completes the undoing of a write that Open vSwitch did not realise.
	Undone func(*model.Desired)
}

// Longest is how long a write takes at the most.
func (o Options) Longest() time.Duration {
	// A commit, one that takes it back, and one that forgets who has left.
	return 3*commitTimeout + o.patience() + settleTimeout
}

func (o Options) patience() time.Duration {
	if o.Timeout == 0 {
		return Timeout
	}
	return o.Timeout
}

// Done is what a write has made.
type Done struct {
	// Before is the desired state that it was made of, and Desired is the one
	// that it made. Both are nil for a write that failed.
	Before, Desired *model.Desired
	// Warnings are what VMs of this host will notice, a sentence for each thing.
	Warnings []string
}

// change is one change of the desired state on its way.
type change struct {
	before, after *model.Desired
	revision      int64
	// touched are the networks that the local host gains, loses or has
	// changed; waiting ends when they are realised.
	touched []model.ID
	// leaving are the networks that the local host loses with ports plugged in,
	// by force or because their bridges are given back.
	leaving  []model.ID
	warnings []string
	host     model.ID
	undone   func(*model.Desired)
}

// Write is how everything is written. It commits edit's change of the desired
// state, waits until Open vSwitch has it, and takes it back when Open vSwitch
// refuses or takes too long. A change that does not touch this host waits for
// nothing.
//
// The end of ctx does not end a write, because whoever asked for it could not know
// what became of it.
func (w *Writer) Write(ctx context.Context, o Options, edit func(*model.Desired) error) (Done, error) {
	ctx = context.WithoutCancel(ctx)
	ch, err := w.commit(ctx, o, edit)
	if w.comesBack(ctx, err) {
		ch, err = w.commit(ctx, o, edit)
	}
	if err != nil {
		return Done{}, err
	}
	if len(ch.touched) == 0 {
		return Done{Before: ch.before, Desired: ch.after}, nil
	}
	wait, cancel := context.WithTimeout(ctx, o.patience())
	defer cancel()
	if err := w.waiter.WaitFor(wait, ch.revision, ch.touched...); err != nil {
		return Done{}, w.takeBack(ctx, ch, err)
	}
	w.endLeaving(ctx, ch)
	return Done{ch.before, ch.after, ch.warnings}, nil
}

// commit writes the change to the store, unless the local host forbids it.
func (w *Writer) commit(ctx context.Context, o Options, edit func(*model.Desired) error) (*change, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var ch *change
	revision, err := w.store.Update(ctx, func(d *model.Desired) error {
		ch = &change{before: d.Clone(), undone: o.Undone} // afresh, because Update may run it again
		if err := o.If.check(d); err != nil {
			return err
		}
		if err := edit(d); err != nil {
			return err
		}
		if err := d.ValidateSince(ch.before); err != nil {
			return err
		}
		if err := ch.check(d, w.status.Status(), o.Also, o.Force); err != nil {
			return err
		}
		ch.after = d.Clone()
		return nil
	})
	if err != nil {
		return nil, err
	}
	ch.revision = revision
	return ch, nil
}

// check finds what the change means for the local host, and refuses what its
// Open vSwitch would refuse. With force it evicts the lost networks.
func (ch *change) check(d *model.Desired, status report.Status, also []model.ID, force bool) error {
	if err := status.Idle(); err != nil {
		return err
	}
	if status.HostID == "" {
		return ch.checkUnknownHost(d, status)
	}
	ch.host = status.HostID
	i := impactOn(status.HostID, ch.before, d)
	ch.touched = append(i.ids(), also...)
	if len(ch.touched) == 0 {
		return nil
	}
	if err := Realisable(status); err != nil {
		return err
	}
	ch.warnings = i.cutMTUs(status.Host)
	ch.leaving = released(ch.host, ch.before, d)
	i.lost = slices.DeleteFunc(i.lost, func(n model.Network) bool { return slices.Contains(ch.leaving, n.ID) })
	conflicts := i.conflicts(d, ch.host, status.Host)
	if !force {
		return model.Join(conflicts, i.inUse(d, status.Host))
	}
	if conflicts != nil {
		return conflicts
	}
	for _, n := range i.lost {
		d.Evict(ch.host, n.ID)
		ch.leaving = append(ch.leaving, n.ID)
	}
	return nil
}

// released returns the networks whose bridges a change gives back on a host.
func released(host model.ID, before, after *model.Desired) []model.ID {
	return slices.DeleteFunc(slices.Clone(after.Hosts[host].Released), func(id model.ID) bool {
		return slices.Contains(before.Hosts[host].Released, id)
	})
}

// checkUnknownHost refuses changes of any host as long as it is not known which
// of them is the local one.
func (ch *change) checkUnknownHost(d *model.Desired, status report.Status) error {
	for host := range ch.before.Hosts {
		if len(impactOn(host, ch.before, d).ids()) > 0 {
			return Unreachable(status)
		}
	}
	return nil
}

// comesBack reports whether what a write was refused for is over within a moment:
// who starts Open vSwitch and writes at once need not know how isonetd finds out.
func (w *Writer) comesBack(ctx context.Context, refused error) bool {
	if !errors.Is(refused, model.ErrUnavailable) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, comebackTimeout)
	defer cancel()
	for {
		changed := w.status.Changed()
		if Realisable(w.status.Status()) == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// takeBack undoes a committed change that Open vSwitch did not realise, and
// returns what to tell who asked for it.
func (w *Writer) takeBack(ctx context.Context, ch *change, cause error) error {
	if reflect.DeepEqual(ch.before, ch.after) { // it was only asked to be in sync
		return outOfSync("setup", cause)
	}
	undo, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	revision, err := w.store.Update(undo, func(d *model.Desired) error {
		d.Undo(ch.before, ch.after)
		if ch.undone != nil {
			ch.undone(d)
		}
		ch.leaving = released(ch.host, ch.before, d)
		return nil
	})
	if err != nil {
		w.logger.Error("cannot take back a change that Open vSwitch did not realise", "networks", ch.touched, "error", err)
		return unrealised(errors.Join(model.ErrUndecided, cause), cause, "and could not be taken back, so it stays ("+oneLine(err)+")")
	}
	settle, stop := context.WithTimeout(ctx, settleTimeout)
	defer stop()
	// Only for who looks at once; the loop goes on in any case.
	switch err := w.waiter.WaitFor(settle, revision, ch.touched...); {
	case err == nil:
		w.endLeaving(ctx, ch)
	case errors.Is(err, model.ErrUnavailable):
		w.bridgesGone(settle, revision, ch)
	}
	return unrealised(cause, cause, "so it was taken back")
}

// bridgesGone waits until the host has no bridge of a network that a change gave it
// and that was taken back, or until ctx ends. It needs no ovs-vswitchd: a bridge is
// gone with its row.
func (w *Writer) bridgesGone(ctx context.Context, revision int64, ch *change) {
	desired := w.store.Snapshot()
	for {
		changed, status := w.status.Changed(), w.status.Status()
		if status.Host == nil || status.Missed(report.OnDatabase) != nil {
			return
		}
		left := slices.ContainsFunc(ch.touched, func(id model.ID) bool {
			_, attached := desired.AttachmentOf(ch.host, id)
			_, has := status.Host.BridgeOf(id)
			return has && !attached
		})
		if status.Revision >= revision && !left {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// endLeaving forgets the evictions and releases of a change that is done. One
// that stays does no harm: it ends when its network is attached again.
func (w *Writer) endLeaving(ctx context.Context, ch *change) {
	if len(ch.leaving) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	_, err := w.store.Update(ctx, func(d *model.Desired) error {
		d.Left(ch.host, ch.leaving...)
		return nil
	})
	if err != nil {
		w.logger.Warn("cannot forget that networks have left the host", "networks", ch.leaving, "error", err)
	}
}

// Sync waits until networks of this host are as a desired revision asks, which
// needs no change.
func (w *Writer) Sync(ctx context.Context, revision int64, networks ...model.ID) error {
	if err := Realisable(w.status.Status()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if err := w.waiter.WaitFor(ctx, revision, networks...); err != nil {
		return outOfSync("sync all", err)
	}
	return nil
}

// Prune removes the ports of a network whose devices vanished, and returns their
// names. Like a write it goes on when ctx ends.
func (w *Writer) Prune(ctx context.Context, network model.ID) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	return w.host.Prune(ctx, network)
}

// ReleaseDevice takes the host guard off a device that has left isonet's bridges.
// Like a write it goes on when ctx ends.
func (w *Writer) ReleaseDevice(ctx context.Context, device string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	return w.host.ReleaseDevice(ctx, device)
}
