package reconcile

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// userspace is the datapath type with which the host's own network stack sees
// the frames of VMs as well.
const userspace = "netdev"

// guardEvery is how often the host guard is looked after although nothing
// happened: nobody tells when somebody switches IPv6 on for a device.
const guardEvery = 30 * time.Second

// Protector keeps the host's own network stack apart from devices.
type Protector interface {
	// Protect puts the guard on exactly these devices. It puts right what others
	// changed, and costs little when nothing did.
	Protect(ctx context.Context, devices []string) (Protection, error)
	// Disturbed yields when somebody may have changed the guard.
	Disturbed() <-chan struct{}
}

// Protection is what a Protector achieved.
type Protection struct {
	// Guarded are the devices that the guard is on, sorted.
	Guarded []string
	// Unavailable says why nothing is guarded, Limited what the guard cannot do
	// on this host; both with what to do about it.
	Unavailable, Limited string
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
	// GuardNotNeeded: the datapath keeps them apart.
	GuardNotNeeded GuardState = "not_needed"
)

// HostGuard is the host guard of one network.
type HostGuard struct {
	State GuardState
	// Reason says why the network is not guarded and what to do; "" if it is.
	Reason string
}

// hostGuard is the work of GuardHost.
type hostGuard struct {
	loop      *Loop
	protector Protector
	retry     *backoff.ExponentialBackOff
	// last is what came of the last time, known whether that was a success.
	last  Guarding
	known bool
}

// Guarding is what came of putting the guard on devices.
type Guarding struct {
	Protection
	Devices []plan.Device // sorted by name
}

// GuardHost keeps the host's own network stack apart from the VMs' devices that
// the loop has judged, until ctx ends. The guard stays in place after that.
func (l *Loop) GuardHost(ctx context.Context, p Protector) error {
	g := &hostGuard{loop: l, protector: p, retry: backoff.NewExponentialBackOff()}
	g.retry.InitialInterval, g.retry.MaxInterval = 10*time.Millisecond, guardEvery
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	look := false // although no device came or went
	for {
		changed := l.Changed()
		var retry <-chan time.Time
		if status := l.Status(); status.Actual != nil && !status.Standby {
			if wait := g.guard(ctx, status, look); wait > 0 {
				retry = time.After(wait)
			}
		}
		look = false
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-p.Disturbed():
			look = true
		case <-ticker.C:
			look = true
		case <-retry:
		}
	}
}

// guard puts the guard where it must be and publishes how that went. It returns
// when to try again; 0 is not before something happens.
func (g *hostGuard) guard(ctx context.Context, s Status, look bool) time.Duration {
	devices := g.wanted(s)
	again := time.Duration(0)
	if look || !g.known || !slices.EqualFunc(devices, g.last.Devices, sameDevice) {
		names := make([]string, len(devices))
		for i, d := range devices {
			names[i] = d.Name
		}
		protection, err := g.protector.Protect(ctx, names)
		switch {
		case ctx.Err() != nil:
			return again
		case err != nil:
			again = g.retry.NextBackOff()
			g.loop.log.Warn("the host guard could not be put on the devices of VMs; trying again", "error", err, "in", again)
			g.last.Protection, g.known = Protection{Unavailable: err.Error()}, false
		default:
			g.retry.Reset()
			g.last, g.known = Guarding{protection, devices}, true
		}
		// What is published wakes this very loop, and a failure is tried again when
		// it is woken: the same failure must not be published twice.
		if last := g.last; !reflect.DeepEqual(s.Guard, &last) {
			g.loop.publish(func(s *Status) { s.Guard = &last })
		}
	}
	return again
}

// sameDevice compares what the guard depends on. A device that was made anew has
// another index.
func sameDevice(a, b plan.Device) bool { return a.Name == b.Name && a.Index == b.Index }

// wanted returns the devices of VMs by name. One that is gone for the moment
// stays as long as its port does, so that where the kernel can do that it is
// guarded from the moment at which it comes back.
func (g *hostGuard) wanted(s Status) []plan.Device {
	want := map[string]plan.Device{}
	for _, devices := range s.Devices {
		for _, d := range devices {
			want[d.Name] = d
		}
	}
	plugged := map[string]bool{}
	for _, b := range s.Actual.Bridges {
		if plan.NetworkOf(b) == "" {
			continue
		}
		for _, p := range b.Endpoints() {
			for _, i := range p.Interfaces {
				plugged[i.Name] = true
			}
		}
	}
	for _, d := range g.last.Devices {
		if _, there := s.Actual.Links.Named(d.Name); !there && plugged[d.Name] {
			want[d.Name] = plan.Device{Name: d.Name}
		}
	}
	return slices.SortedFunc(maps.Values(want), func(a, b plan.Device) int { return strings.Compare(a.Name, b.Name) })
}

// HostGuard says how a network's ports and the host's network stack are kept
// apart, and whether that is known: of a network that this host must have and
// that has its bridge, once the guard was looked after. A device that was only
// just plugged in is not guarded yet.
func (s Status) HostGuard(id model.ID) (HostGuard, bool) {
	devices, judged := s.Devices[id]
	_, wanted := s.Networks[id]
	switch {
	case !judged || !wanted || s.Guard == nil:
		return HostGuard{}, false
	case devices == nil:
		return HostGuard{State: GuardNotNeeded}, true
	}
	return s.Guard.of(devices), true
}

// of returns what the guard means for a network with these devices.
func (g Guarding) of(devices []plan.Device) HostGuard {
	var missing []string
	for _, d := range devices {
		if !g.on(d) {
			missing = append(missing, d.Name)
		}
	}
	switch {
	case g.Unavailable != "":
		return HostGuard{GuardUnavailable, g.Unavailable}
	case len(missing) > 0:
		return HostGuard{GuardUnavailable, fmt.Sprintf("these devices are not guarded yet: %s", strings.Join(missing, ", "))}
	case g.Limited != "":
		return HostGuard{GuardLimited, g.Limited}
	}
	return HostGuard{State: Guarded}
}

// on reports whether the guard was put on this very device.
func (g Guarding) on(d plan.Device) bool {
	i, asked := slices.BinarySearchFunc(g.Devices, d.Name, func(d plan.Device, name string) int { return strings.Compare(d.Name, name) })
	_, done := slices.BinarySearch(g.Guarded, d.Name)
	return asked && done && sameDevice(g.Devices[i], d)
}

// devicesOf returns the network devices of ports.
func devicesOf(ports []plan.Port, actual *plan.Actual) []plan.Device {
	devices := []plan.Device{}
	for _, p := range ports {
		for _, i := range p.Interfaces {
			d, there := actual.Links.Of(i)
			if there && (i.Type == "" || i.Type == "system") {
				devices = append(devices, d)
			}
		}
	}
	return devices
}
