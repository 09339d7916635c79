package reconcile

import (
	"context"
	"fmt"
	"maps"
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
	// devices are those that the guard was put on last.
	devices []plan.Device
	// last is what came of it, known whether there was a last time.
	last  Protection
	known bool
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
	if look || !g.known || !slices.EqualFunc(devices, g.devices, sameDevice) {
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
			g.last, g.known = Protection{Unavailable: err.Error()}, false
		default:
			g.retry.Reset()
			g.last, g.known, g.devices = protection, true, devices
		}
	}
	g.publish(s)
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
	for _, d := range g.devices {
		if _, there := s.Actual.Links[d.Name]; !there && plugged[d.Name] {
			want[d.Name] = plan.Device{Name: d.Name}
		}
	}
	return slices.SortedFunc(maps.Values(want), func(a, b plan.Device) int { return strings.Compare(a.Name, b.Name) })
}

func (g *hostGuard) publish(s Status) {
	guards := make(map[model.ID]HostGuard, len(s.Networks))
	for _, b := range s.Actual.Bridges {
		if id := plan.NetworkOf(b); id != "" {
			guards[id] = HostGuard{State: GuardNotNeeded}
		}
	}
	for id, devices := range s.Devices {
		guards[id] = g.last.of(devices)
	}
	maps.DeleteFunc(guards, func(id model.ID, _ HostGuard) bool { _, wanted := s.Networks[id]; return !wanted })
	if !maps.Equal(guards, s.HostGuards) {
		g.loop.publish(func(s *Status) { s.HostGuards = guards })
	}
}

// of returns what a protection means for a network with these devices.
func (p Protection) of(devices []plan.Device) HostGuard {
	var missing []string
	for _, d := range devices {
		if _, guarded := slices.BinarySearch(p.Guarded, d.Name); !guarded {
			missing = append(missing, d.Name)
		}
	}
	switch {
	case p.Unavailable != "":
		return HostGuard{GuardUnavailable, p.Unavailable}
	case len(missing) > 0:
		return HostGuard{GuardUnavailable, fmt.Sprintf("these devices are not guarded yet: %s", strings.Join(missing, ", "))}
	case p.Limited != "":
		return HostGuard{GuardLimited, p.Limited}
	}
	return HostGuard{State: Guarded}
}

// devicesOf returns the network devices of ports.
func devicesOf(ports []plan.Port, actual *plan.Actual) []plan.Device {
	devices := []plan.Device{}
	for _, p := range ports {
		for _, i := range p.Interfaces {
			d, there := actual.Links[i.Name]
			if there && (i.Type == "" || i.Type == "system") {
				devices = append(devices, d)
			}
		}
	}
	return devices
}
