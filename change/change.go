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
	hosts  Hosts
	waiter waiter
	host   Host
	logger *slog.Logger
}

// New returns a writer. Others are the other hosts of the fleet; nil where nothing is
// known of them.
func New(store Store, loop Loop, others Others, logger *slog.Logger) *Writer {
	hosts := Hosts{loop, others}
	return &Writer{store: store, hosts: hosts, waiter: patient{hosts, loop}, host: loop, logger: logger}
}

// own returns how the host is that isonetd runs on.
func (w *Writer) own() report.Status { return w.hosts.Own.Status() }

// Options of a write.
type Options struct {
	// If is the version that the write may overwrite; nil is any.
	If *Condition
	// Force lets bridges go although ports are plugged in.
	Force bool
	// Timeout is how long to wait for Open vSwitch; 0 means the constant Timeout.
	Timeout time.Duration
	// Host is the host that the write is about; "" is none. It is waited for as the one
	// that isonetd runs on is whenever a write touches it.
	Host model.ID
	// Await is how long to wait for all hosts that the write touches, whatever becomes of
	// it there; 0 waits for none.
	Await time.Duration
	// Also names networks of the host to wait for although the write does not change
	// them.
	Also []model.ID
	// Undone completes the undoing of a write that Open vSwitch did not realise.
	Undone func(*model.Desired)
}

// Longest is how long a write takes at the most.
func (o Options) Longest() time.Duration {
	// A commit, one that takes it back, and one that forgets who has left.
	return 3*commitTimeout + o.patience() + settleTimeout + o.Await
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
	// Warnings are what VMs will notice, and which hosts have nothing of the change yet,
	// a sentence for each thing.
	Warnings []string
	// Revision is that of Desired.
	Revision int64
	// Outcomes are what became of it on each host that it touches; nil if nobody waited
	// for that.
	Outcomes map[model.ID]Outcome
}

// change is one change of the desired state on its way.
type change struct {
	before, after *model.Desired
	revision      int64
	// parts are of the hosts that are waited for, touches are the networks that each host
	// gains, loses or has changed.
	parts    []part
	touches  map[model.ID][]model.ID
	warnings []string
	undone   func(*model.Desired)
}

// part is what a change means for a host that is waited for.
type part struct {
	host model.ID
	// touched are the networks that the host gains, loses or has changed; waiting ends
	// when they are realised.
	touched []model.ID
	// leaving are the networks that the host loses with ports plugged in, by force or
	// because their bridges are given back.
	leaving []model.ID
}

// Write is how everything is written. It commits edit's change of the desired
// state, waits until Open vSwitch has it, and takes it back when Open vSwitch
// refuses or takes too long. It waits for the host that isonetd runs on and for the one
// that the write is about, if the change touches them and they can be heard.
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
	if err := w.realised(ctx, o, ch); err != nil {
		return Done{}, w.takeBack(ctx, ch, err)
	}
	w.endLeaving(ctx, ch)
	done := Done{Before: ch.before, Desired: ch.after, Warnings: ch.warnings, Revision: ch.revision}
	if o.Await > 0 {
		ctx, cancel := context.WithTimeout(ctx, o.Await)
		defer cancel()
		done.Outcomes = w.hosts.Await(ctx, ch.revision, ch.touches)
	}
	return done, nil
}

// realised waits for the hosts of a change. One that is not heard of any more gets it
// when it is back, as if it had been away before.
func (w *Writer) realised(ctx context.Context, o Options, ch *change) error {
	ctx, cancel := context.WithTimeout(ctx, o.patience())
	defer cancel()
	for _, p := range ch.parts {
		switch err := w.waiter.waitOn(ctx, p.host, ch.revision, p.touched...); {
		case errors.Is(err, errAway):
			ch.warnings = append(ch.warnings, awayWarning([]string{ch.after.Hosts[p.host].Name}))
		case err != nil:
			return err
		}
	}
	return nil
}

// commit writes the change to the store, unless a host that it touches forbids it.
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
		if err := ch.check(d, w.hosts, o); err != nil {
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

// comesBack reports whether what a write was refused for is over within a moment:
// who starts Open vSwitch and writes at once need not know how isonetd finds out.
func (w *Writer) comesBack(ctx context.Context, refused error) bool {
	if !errors.Is(refused, model.ErrUnavailable) || w.own().Nowhere {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, comebackTimeout)
	defer cancel()
	for {
		changed := w.hosts.Own.Changed()
		if Realisable(w.own()) == nil {
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
		for i, p := range ch.parts {
			ch.parts[i].leaving = released(p.host, ch.before, d)
		}
		return nil
	})
	if err != nil {
		w.logger.Error("cannot take back a change that Open vSwitch did not realise", "networks", ch.touched(), "error", err)
		return unrealised(errors.Join(model.ErrUndecided, cause), cause, "and could not be taken back, so it stays ("+oneLine(err)+")")
	}
	settle, stop := context.WithTimeout(ctx, settleTimeout)
	defer stop()
	// Only for who looks at once; the loop goes on in any case.
	settled := true
	for _, p := range ch.parts {
		switch err := w.waiter.waitOn(settle, p.host, revision, p.touched...); {
		case errors.Is(err, model.ErrUnavailable):
			w.bridgesGone(settle, revision, p)
			settled = false
		case err != nil:
			settled = false
		}
	}
	if settled {
		w.endLeaving(ctx, ch)
	}
	return unrealised(cause, cause, "so it was taken back")
}

// touched are the networks that are waited for, on whatever host.
func (ch *change) touched() []model.ID {
	var ids []model.ID
	for _, p := range ch.parts {
		ids = append(ids, p.touched...)
	}
	return ids
}

// bridgesGone waits until the host has no bridge of a network that a change gave it
// and that was taken back, or until ctx ends. It needs no ovs-vswitchd: a bridge is
// gone with its row.
func (w *Writer) bridgesGone(ctx context.Context, revision int64, p part) {
	desired := w.store.Snapshot()
	for {
		changed := w.hosts.Changed(p.host)
		status, _ := w.hosts.Status(p.host)
		if status.Host == nil || !status.Reports() || status.Missed(report.OnDatabase) != nil {
			return
		}
		left := slices.ContainsFunc(p.touched, func(id model.ID) bool {
			_, attached := desired.AttachmentOf(p.host, id)
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

// endLeaving forgets the evictions and releases of a change that is done, so that who
// gets the answer does not see them any more. One that stays is ended by its host.
func (w *Writer) endLeaving(ctx context.Context, ch *change) {
	if !slices.ContainsFunc(ch.parts, func(p part) bool { return len(p.leaving) > 0 }) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	_, err := w.store.Update(ctx, func(d *model.Desired) error {
		for _, p := range ch.parts {
			d.Left(p.host, p.leaving...)
		}
		return nil
	})
	if err != nil {
		w.logger.Warn("cannot forget that networks have left the host", "networks", ch.touched(), "error", err)
	}
}

// Sync waits until networks of a host are as a desired revision asks, which needs no
// change.
func (w *Writer) Sync(ctx context.Context, host model.ID, revision int64, networks ...model.ID) error {
	status, known := w.hosts.Status(host)
	if !known || !status.Reports() {
		return outOfSync("sync all", errAway)
	}
	if err := Realisable(status); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if err := w.waiter.waitOn(ctx, host, revision, networks...); err != nil {
		return outOfSync("sync all", err)
	}
	return nil
}

// Prune removes the ports of a network whose devices vanished, and returns their
// names. Like a write it goes on when ctx ends.
func (w *Writer) Prune(ctx context.Context, network model.ID) ([]string, error) {
	if err := Here(w.own()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	return w.host.Prune(ctx, network)
}

// ReleaseDevice takes the host guard off a device that has left isonet's bridges.
// Like a write it goes on when ctx ends.
func (w *Writer) ReleaseDevice(ctx context.Context, device string) error {
	if err := Here(w.own()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	return w.host.ReleaseDevice(ctx, device)
}
