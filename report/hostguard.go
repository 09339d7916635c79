package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
)

// Device is a network device of a VM that the host's own network stack is kept from,
// or is to be.
type Device struct {
	// Index is its ifindex, 0 for one that is not there and is known by its name.
	Index int
	Name  string
	// InKernel says that the kernel's datapath forwards the device's frames: they must
	// get there, whatever else is kept from them.
	InKernel bool
}

// Protection is what was achieved when the guard was put on devices.
type Protection struct {
	// Guarded are the devices that the guard is on, sorted by ifindex, with the
	// names that they have.
	Guarded []Device
	// Unavailable says why nothing is guarded, Limited what the guard cannot do
	// on this host; both with what to do about it.
	Unavailable, Limited string
	// Verified is when all of this was last seen to be so in the kernel.
	Verified time.Time
}

// Guarding is what came of putting the guard on devices.
type Guarding struct {
	Protection
	// Failed says why it is not known what the guard is on; "" if it is.
	Failed string
	// Devices are those that the guard was to be on, Left those of them that are on
	// no bridge of isonet's any more. Sorted by ifindex.
	Devices, Left []Device
}

// GuardState says how a network's ports and the host's network stack are kept
// apart.
type GuardState string

// The states of the host guard.
const (
	// Guarded: the host's stack sees nothing of the VMs, nor they of it.
	Guarded GuardState = "guarded"
	// GuardLimited: the host cannot do all that it takes.
	GuardLimited GuardState = "limited"
	// GuardUnavailable: VMs can reach the host's stack.
	GuardUnavailable GuardState = "unavailable"
	// GuardUnknown: nobody has looked at the kernel's rules for too long, or what
	// else the verdict rests on is missing.
	GuardUnknown GuardState = "unknown"
)

// HostGuard is the host guard of one network.
type HostGuard struct {
	State GuardState
	// Reason says why the network is not guarded and what to do; "" if it is.
	Reason string
}

// HostGuard says how a network's ports and the host's network stack are kept
// apart, and whether anything can be said: of a network that this host must have
// and that has its bridge, once the guard was looked after. A device that was only
// just plugged in is not guarded yet.
func (s Status) HostGuard(id model.ID) (HostGuard, bool) {
	devices, judged := s.Devices[id]
	_, wanted := s.Networks[id]
	switch {
	case !judged || !wanted || s.Guard == nil:
		return HostGuard{}, false
	case s.Lacks() != nil:
		return HostGuard{GuardUnknown, s.Lacks().String()}, true
	case time.Since(s.Guard.Verified) > Freshness:
		return HostGuard{GuardUnknown, fmt.Sprintf("the kernel was last seen to keep the host from VMs %s ago: see the log of isonetd",
			time.Since(s.Guard.Verified).Round(time.Second))}, true
	}
	return s.Guard.of(devices), true
}

// of returns what the guard means for a network with these devices.
func (g Guarding) of(devices []Device) HostGuard {
	missing := g.Lacking(devices)
	switch {
	case g.Failed != "":
		return HostGuard{GuardUnknown, g.Failed}
	case g.Unavailable != "":
		return HostGuard{GuardUnavailable, g.Unavailable}
	case len(missing) > 0:
		return HostGuard{GuardUnavailable, fmt.Sprintf("these devices are not guarded yet: %s", strings.Join(missing, ", "))}
	case g.Limited != "":
		return HostGuard{GuardLimited, g.Limited}
	}
	return HostGuard{State: Guarded}
}

// Lacking names those of some devices that the guard was not seen to be on.
func (g Guarding) Lacking(devices []Device) []string {
	var names []string
	for _, d := range devices {
		if !g.on(d) {
			names = append(names, d.Name)
		}
	}
	return names
}

// on reports whether the guard was seen to be on this very device.
func (g Guarding) on(d Device) bool {
	_, is := slices.BinarySearchFunc(g.Guarded, d.Index, func(p Device, index int) int { return cmp.Compare(p.Index, index) })
	return d.Index != 0 && is
}

// Releasable returns what speaks against taking the host guard off a device; nil
// if nothing does.
func (s Status) Releasable(device string) error {
	switch {
	case s.Host == nil || !s.Connected:
		return ErrUnreachable
	case s.Idle() != nil:
		return s.Idle()
	}
	var guard Guarding
	if s.Guard != nil {
		guard = *s.Guard
	}
	named := func(d Device) bool { return d.Name == device && d.Index != 0 }
	switch {
	case slices.ContainsFunc(guard.Left, named):
		return nil
	case slices.ContainsFunc(guard.Devices, named):
		return model.Refuse(model.ErrConflict, model.DevicePlugged, "Cannot release the device '%[1]s'. It is plugged into a network: remove its port first ('ovs-vsctl del-port %[1]s').", device)
	}
	return model.Refuse(model.ErrNotFound, model.DeviceUnguarded, "The host guard is on no device '%s' that left the networks; see 'isonet guard list'.", device)
}
