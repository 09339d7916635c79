package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
)

const (
	// realiseTimeout is how long a write waits for Open vSwitch, unless the
	// client says otherwise.
	realiseTimeout = 30 * time.Second
	// commitTimeout bounds one transaction of the store.
	commitTimeout = 30 * time.Second
	// comebackTimeout is how long a write waits for Open vSwitch before it begins.
	comebackTimeout = time.Second
	// settleTimeout is how long a refused write waits until Open vSwitch is as
	// it was before.
	settleTimeout = 5 * time.Second
)

// options of a write.
type options struct {
	// force lets bridges go although ports are plugged in.
	force bool
	// timeout is how long to wait for Open vSwitch; 0 means realiseTimeout.
	timeout time.Duration
	// also names networks to wait for although the write does not change them.
	also []model.ID
	// undone completes the undoing of a write that Open vSwitch did not realise.
	undone func(*model.Desired)
}

// change is one write of the desired state on its way.
type change struct {
	before, after *model.Desired
	revision      int64
	// touched are the networks that the local host gains, loses or has
	// changed; waiting ends when they are realised.
	touched []model.ID
	// leaving are the networks that the local host loses with ports plugged in,
	// by force or because their bridges are given back.
	leaving []model.ID
	// warnings are what VMs of the local host will notice.
	warnings []string
	host     model.ID
	undone   func(*model.Desired)
}

// write is how everything is written. It commits edit's change of the desired
// state, waits until Open vSwitch has it, and takes it back when Open vSwitch
// refuses or takes too long. It returns the desired state that it made. A
// change that does not touch this host waits for nothing.
//
// A client that goes away does not end a write, because it could not know what
// became of it.
func (a *API) write(c *call, o options, edit func(*model.Desired) error) (*model.Desired, error) {
	if o.timeout == 0 {
		o.timeout = realiseTimeout
	}
	edit = c.conditional(edit)
	ctx := context.WithoutCancel(c.r.Context())
	// A commit, one that takes it back, and one that forgets who has left.
	c.allowReply(3*commitTimeout + o.timeout + settleTimeout)

	ch, err := a.commit(ctx, o, edit)
	if a.comesBack(ctx, err) {
		ch, err = a.commit(ctx, o, edit)
	}
	if err != nil {
		return nil, err
	}
	c.made = ch.after
	if len(ch.touched) == 0 {
		return ch.after, nil
	}
	wait, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := a.loop.WaitFor(wait, ch.revision, ch.touched...); err != nil {
		return nil, a.takeBack(ctx, ch, err)
	}
	a.endLeaving(ctx, ch)
	c.warn(ch.warnings)
	return ch.after, nil
}

// commit writes the change to the store, unless the local host forbids it.
func (a *API) commit(ctx context.Context, o options, edit func(*model.Desired) error) (*change, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var ch *change
	revision, err := a.store.Update(ctx, func(d *model.Desired) error {
		ch = &change{before: d.Clone(), undone: o.undone} // afresh, because Update may run it again
		if err := edit(d); err != nil {
			return err
		}
		if err := d.Validate(); err != nil {
			return err
		}
		if err := ch.check(d, a.loop.Status(), o); err != nil {
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
func (ch *change) check(d *model.Desired, status reconcile.Status, o options) error {
	if err := status.Idle(); err != nil {
		return err
	}
	if status.HostID == "" {
		return ch.checkUnknownHost(d, status)
	}
	ch.host = status.HostID
	i := impactOn(status.HostID, ch.before, d)
	ch.touched = append(i.ids(), o.also...)
	if len(ch.touched) == 0 {
		return nil
	}
	if err := realisable(status); err != nil {
		return err
	}
	ch.warnings = i.cutMTUs(status.Actual)
	ch.leaving = released(ch.host, ch.before, d)
	i.lost = slices.DeleteFunc(i.lost, func(n model.Network) bool { return slices.Contains(ch.leaving, n.ID) })
	conflicts := i.conflicts(d, ch.host, status.Actual)
	if !o.force {
		return model.Join(conflicts, i.inUse(d, status.Actual))
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
func (ch *change) checkUnknownHost(d *model.Desired, status reconcile.Status) error {
	for host := range ch.before.Hosts {
		if len(impactOn(host, ch.before, d).ids()) > 0 {
			return unreachable(status)
		}
	}
	return nil
}

// comesBack reports whether what a write was refused for is over within a moment:
// who starts Open vSwitch and writes at once need not know how isonetd finds out.
func (a *API) comesBack(ctx context.Context, refused error) bool {
	if !errors.Is(refused, model.ErrUnavailable) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, comebackTimeout)
	defer cancel()
	for {
		changed := a.loop.Changed()
		if realisable(a.loop.Status()) == nil {
			return true
		}
		if !waitChange(ctx, changed) {
			return false
		}
	}
}

// realisable refuses to begin what Open vSwitch will not do.
func realisable(status reconcile.Status) error {
	if !status.Connected || status.Actual == nil {
		return unreachable(status)
	}
	if err := status.CannotRealise(); err != nil {
		return refuse(model.ErrUnavailable, "Nothing was changed. %s.", err)
	}
	return nil
}

func unreachable(status reconcile.Status) error {
	if err := status.CannotRealise(); err != nil {
		return refuse(model.ErrUnavailable, "Open vSwitch is not reachable, so nothing was changed. %s.", err)
	}
	advice := "check that ovsdb-server runs and that isonetd may use its socket"
	if status.LastError != "" {
		advice += " (" + status.LastError + ")"
	}
	return refuse(model.ErrUnavailable, "Open vSwitch is not reachable, so nothing was changed: %s.", advice)
}

// impact is what a change means for one host. What is shrunk is changed, and has
// a smaller MTU than before.
type impact struct{ gained, changed, shrunk, lost []model.Network }

func impactOn(host model.ID, before, after *model.Desired) impact {
	was := map[model.ID]model.Network{}
	for _, n := range before.HostNetworks(host) {
		was[n.ID] = n
	}
	var i impact
	for _, n := range after.HostNetworks(host) {
		old, had := was[n.ID]
		delete(was, n.ID)
		switch {
		case !had:
			i.gained = append(i.gained, n)
		case n != old:
			i.changed = append(i.changed, n)
		}
		if had && n.EffectiveMTU() < old.EffectiveMTU() {
			i.shrunk = append(i.shrunk, n)
		}
	}
	for _, n := range before.HostNetworks(host) {
		if _, lost := was[n.ID]; lost {
			i.lost = append(i.lost, n)
		}
	}
	return i
}

func (i impact) ids() []model.ID {
	var ids []model.ID
	for _, n := range slices.Concat(i.gained, i.changed, i.lost) {
		ids = append(ids, n.ID)
	}
	return ids
}

// conflicts refuses gained networks whose bridge cannot be made on the host.
func (i impact) conflicts(after *model.Desired, host model.ID, actual *plan.Actual) error {
	if len(i.gained) == 0 {
		return nil
	}
	var reasons []string
	for _, c := range reconcile.Conflicts(after, host, actual) {
		if slices.ContainsFunc(i.gained, func(n model.Network) bool { return n.ID == c.Network.ID }) {
			reasons = append(reasons, fmt.Sprintf("the network '%s': %s", c.Network.Name, c.Reason))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return model.Conflictf("Cannot setup Networks. The host cannot have %s.", strings.Join(reasons, "; "))
}

// inUse refuses to take networks from the host while ports are plugged in.
func (i impact) inUse(after *model.Desired, actual *plan.Actual) error {
	var used []error
	for _, n := range i.lost {
		bridge, _ := actual.Bridge(n)
		ports := bridge.LivePorts(actual.Links)
		if len(ports) == 0 {
			continue
		}
		advice := fmt.Sprintf("Or unplug the port(s) '%s', or force it with force=true.", strings.Join(ports, ","))
		vms := users(bridge, ports)
		if _, stays := after.Networks[n.ID]; stays {
			used = append(used, model.Conflictf("Cannot setup Networks. The following Logical Network: '%s' is being used by the following VM(s): '%s' . Please stop the VM(s) and try again. %s",
				n.Name, strings.Join(vms, ","), advice))
		} else {
			used = append(used, model.Conflictf("Cannot remove Network. %s\n - %s", usedBy(vms), advice))
		}
	}
	return model.Join(used...)
}

// usedBy says in the oVirt engine's words which VMs keep a network from being
// removed.
func usedBy(vms []string) string {
	if len(vms) == 1 {
		return fmt.Sprintf("This logical network is used by virtual machine: %s\n - Please remove it from this virtual machine and try again.", vms[0])
	}
	return fmt.Sprintf("This logical network is used by virtual machines: (%d): %s\n - Please detach virtual machines using this logical network and try again.",
		len(vms), strings.Join(vms, ", "))
}

// users names the VMs whose ports are given, by what libvirt or an operator
// wrote on the ports, else by the ports.
func users(b plan.Bridge, ports []string) []string {
	var vms []string
	for _, p := range b.Endpoints() {
		if slices.Contains(ports, p.Name) {
			vms = append(vms, userOf(p))
		}
	}
	slices.Sort(vms)
	return slices.Compact(vms)
}

func userOf(p plan.Port) string { return cmp.Or(p.VM(), p.Name) }

// takeBack undoes a committed change that Open vSwitch did not realise, and
// returns what to tell the client.
func (a *API) takeBack(ctx context.Context, ch *change, cause error) error {
	if reflect.DeepEqual(ch.before, ch.after) { // it was only asked to be in sync
		return &outOfSync{"setup", cause}
	}
	undo, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	revision, err := a.store.Update(undo, func(d *model.Desired) error {
		d.Undo(ch.before, ch.after)
		if ch.undone != nil {
			ch.undone(d)
		}
		ch.leaving = released(ch.host, ch.before, d)
		return nil
	})
	if err != nil {
		a.logger.Error("cannot take back a change that Open vSwitch did not realise", "networks", ch.touched, "error", err)
		return &unrealised{[]error{model.ErrUndecided, cause}, "and could not be taken back, so it stays (" + oneLine(err) + ")"}
	}
	settle, stop := context.WithTimeout(ctx, settleTimeout)
	defer stop()
	// Only for a client that looks at once; the loop goes on in any case. It needs
	// no vswitchd: a bridge is gone with its row.
	if a.loop.WaitFor(settle, revision, ch.touched...) == nil {
		a.endLeaving(ctx, ch)
	}
	return &unrealised{[]error{cause}, "so it was taken back"}
}

// unrealised says why Open vSwitch does not have a change, and what became of
// the change.
type unrealised struct {
	// kinds decide the status; the last one is the cause.
	kinds   []error
	outcome string
}

func (e *unrealised) Error() string {
	return "Cannot setup Networks. Open vSwitch did not realise the change, " + e.outcome + ": " + oneLine(e.kinds[len(e.kinds)-1])
}

func (e *unrealised) Unwrap() []error { return e.kinds }

// outOfSync says why networks that nobody changed are not as they must be.
type outOfSync struct {
	action string
	cause  error
}

func (e *outOfSync) Error() string {
	return "Cannot " + e.action + " Networks. Open vSwitch does not have them as they must be: " + oneLine(e.cause)
}

func (e *outOfSync) Unwrap() error { return e.cause }

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// endLeaving forgets the evictions and releases of a change that is done. One
// that stays does no harm: it ends when its network is attached again.
func (a *API) endLeaving(ctx context.Context, ch *change) {
	if len(ch.leaving) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	_, err := a.store.Update(ctx, func(d *model.Desired) error {
		d.Left(ch.host, ch.leaving...)
		return nil
	})
	if err != nil {
		a.logger.Warn("cannot forget that networks have left the host", "networks", ch.leaving, "error", err)
	}
}
