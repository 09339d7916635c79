package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

const (
	// guardEvery is how often the host guard is looked at although nothing
	// happened, so that what is said of it is never old.
	guardEvery = 2 * time.Second
	// guardRetryMax spaces the tries of a guard that fails.
	guardRetryMax = 30 * time.Second
)

// Protector keeps the host's own network stack apart from devices.
type Protector interface {
	// Left returns the devices that an earlier isonetd left protected and that are
	// still there.
	Left(ctx context.Context) ([]report.Device, error)
	// Protect puts the guard on exactly these devices. It puts right what others
	// changed, and costs little when nothing did.
	Protect(ctx context.Context, devices []report.Device) (report.Protection, error)
	// Disturbed yields when somebody may have changed the guard.
	Disturbed() <-chan struct{}
}

func compareProtected(a, b report.Device) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.Name, b.Name))
}

// guard is the stage that keeps the host's own network stack apart from the devices of
// VMs. It only says which these are: GuardHost, which may have to wait for the kernel,
// does the work beside the loop.
type guard struct {
	silent // the stage of the ports finds the devices, and GuardHost tells how it went
	ports  *ports
	// last is what GuardHost is to guard by; nil while it is to leave all as it is.
	last atomic.Pointer[guarded]
	// news holds a value when last is another one.
	news chan struct{}
	// releases is what GuardHost is asked for, verified when it last saw that all is
	// as Status says.
	releases chan guardRelease
	verified atomic.Pointer[time.Time]
}

// guarded is what GuardHost works by.
type guarded struct {
	actual *plan.Actual
	// devices are those of VMs, by network.
	devices map[model.ID][]report.Device
}

func newGuard(ports *ports) *guard {
	return &guard{ports: ports, news: make(chan struct{}, 1), releases: make(chan guardRelease)}
}

// apply tells GuardHost if something changed. On standby another isonetd has the guard.
func (g *guard) apply(_ context.Context, p *pass) {
	if p.actual.Standby {
		g.cease()
		return
	}
	if last := g.last.Load(); last == nil || last.actual != p.actual || !sameMap(last.devices, g.ports.devices) {
		g.last.Store(&guarded{p.actual, g.ports.devices})
		yield(g.news)
	}
}

// cease leaves what is guarded as it is.
func (g *guard) cease() { g.last.Store(nil) }

// hostGuard is the work of GuardHost.
type hostGuard struct {
	loop      *Loop
	protector Protector
	retry     *backoff.ExponentialBackOff
	// notBefore is when a guard that failed is tried again.
	notBefore time.Time
	// begun says that what an earlier isonetd left is known.
	begun bool
	// kept are the devices that are or were on bridges of isonet's, by ifindex.
	kept map[int]kept
	// last is what came of the last time, known whether that was a success.
	last  report.Guarding
	known bool
}

// kept is a device that stays guarded until it is gone, is another program's, or
// an operator says so.
type kept struct {
	report.Device
	// network and bridge say where it was last plugged in, bridge by the UUID of
	// its row. They are empty if that was before isonetd began.
	network model.ID
	bridge  string
	// plugged says that it still is.
	plugged bool
}

// guardRelease asks to take the guard off a device.
type guardRelease struct {
	device string
	reply  chan error
}

// GuardHost keeps the host's own network stack apart from the VMs' devices that
// the loop has judged, until ctx ends. The guard stays in place after that.
func (l *Loop) GuardHost(ctx context.Context, p Protector) error {
	g := &hostGuard{loop: l, protector: p, retry: backoff.NewExponentialBackOff(), kept: map[int]kept{}}
	g.retry.InitialInterval, g.retry.MaxInterval = 10*time.Millisecond, guardRetryMax
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	look := false // although no device came or went
	for {
		var retry <-chan time.Time
		if wait := g.guard(ctx, look); wait > 0 {
			retry = time.After(wait)
		}
		look = false
		select {
		case <-ctx.Done():
			return nil
		case <-l.guard.news:
		case <-p.Disturbed():
			look = true
		case <-ticker.C:
			look = true
		case <-retry:
		case asked := <-l.guard.releases:
			asked.reply <- g.letGo(ctx, asked.device)
		}
	}
}

// guard puts the guard where it must be and publishes how that went. It returns
// when to try again; 0 is not before something happens.
func (g *hostGuard) guard(ctx context.Context, look bool) time.Duration {
	by := g.loop.guard.last.Load()
	if by == nil {
		return 0
	}
	if wait := time.Until(g.notBefore); wait > 0 {
		return wait
	}
	again := time.Duration(0)
	protection, err := report.Protection{}, g.begin(ctx)
	if err == nil {
		devices, left := g.wanted(by)
		if !look && g.known && slices.Equal(devices, g.last.Devices) && slices.Equal(left, g.last.Left) {
			return again
		}
		g.last.Devices, g.last.Left = devices, left
		protection, err = g.protector.Protect(ctx, devices)
	}
	switch {
	case ctx.Err() != nil:
		return again
	case err != nil:
		again = g.retry.NextBackOff()
		g.notBefore = time.Now().Add(again)
		g.loop.log.Warn("the host guard could not be put on the devices of VMs; trying again", "error", err, "in", again)
		g.last.Protection, g.last.Failed, g.known = report.Protection{Verified: time.Now()}, err.Error(), false
	default:
		g.retry.Reset()
		g.last.Protection, g.last.Failed, g.known = protection, "", true
	}
	g.publish()
	return again
}

// publish tells what came of it. What is published wakes this very loop and all
// who watch: what is not new is not published, and that it was seen again goes
// another way.
func (g *hostGuard) publish() {
	last, before := g.last, g.loop.status.Load().Guard
	if before != nil {
		last.Verified = before.Verified
	}
	if before == nil || !reflect.DeepEqual(*before, last) {
		last.Verified = g.last.Verified
		g.loop.publish(func(s *standing) { s.Guard = &last })
	}
	verified := g.last.Verified // which changes under those who read it
	g.loop.guard.verified.Store(&verified)
}

// begin learns which devices an earlier isonetd left guarded.
func (g *hostGuard) begin(ctx context.Context) error {
	if g.begun {
		return nil
	}
	left, err := g.protector.Left(ctx)
	if err != nil {
		return err
	}
	for _, d := range left {
		g.kept[d.Index] = kept{Device: d, plugged: true}
	}
	g.begun = true
	return nil
}

// wanted returns the devices that the guard must be on, and those of them that
// are on no bridge of isonet's any more. While Open vSwitch is out of reach all
// stays as it was.
func (g *hostGuard) wanted(by *guarded) (devices, left []report.Device) {
	if g.known && !g.loop.Status().Connected {
		return g.last.Devices, g.last.Left
	}
	absent := g.look(by)
	for _, k := range g.kept {
		devices = append(devices, k.Device)
		if !k.plugged {
			left = append(left, k.Device)
		}
	}
	for name := range absent {
		devices = append(devices, report.Device{Name: name})
	}
	slices.SortFunc(devices, compareProtected)
	slices.SortFunc(left, compareProtected)
	return devices, left
}

// look brings kept up to date. It returns the names of guarded devices that are
// gone for the moment while their ports are not, so that where the kernel can do
// that they are guarded from the moment at which they come back.
func (g *hostGuard) look(by *guarded) (absent map[string]bool) {
	absent = map[string]bool{}
	now, taken := map[int]kept{}, map[int]string{}
	for _, b := range by.actual.Bridges {
		ours := g.ours(b)
		for _, p := range b.Endpoints() {
			for _, i := range p.Interfaces {
				d, there := deviceOf(i, by.actual)
				switch {
				case there && !ours:
					taken[d.Index] = "the bridge " + b.Name
				case there && g.guards(by, b, d):
					now[d.Index] = kept{
						Device:  report.Device{Index: d.Index, Name: d.Name, InKernel: inKernel(b, p, g.kept[d.Index])},
						network: networkOf(b, g.kept[d.Index]), bridge: b.UUID, plugged: true,
					}
				case !there && ours && g.was(i.Name):
					absent[i.Name] = true
				}
			}
		}
	}
	for index, k := range g.kept {
		if _, plugged := now[index]; plugged {
			continue
		}
		d, there := by.actual.Links.Index(index)
		if !there {
			continue // and another device that gets the number is another one
		}
		if d.Master != (plan.Relative{}) {
			taken[index] = d.Master.Name
		}
		if by, is := taken[index]; is {
			g.loop.log.Info("a device is no longer guarded: it is another program's", "device", d.Name, "of", by)
			continue
		}
		if k.plugged {
			g.loop.log.Warn("a device is on none of isonet's bridges any more and stays kept apart from the host until it is gone or released "+
				"(isonet guard release)", "device", d.Name)
		}
		k.Name, k.InKernel, k.plugged = d.Name, false, false
		now[index] = k
	}
	g.kept = now
	return absent
}

// ours reports whether a bridge is isonet's. One whose marks somebody took away is
// so still, as long as its network is to be on the host.
func (g *hostGuard) ours(b plan.Bridge) bool {
	if b.Network != "" {
		return true
	}
	wanted := g.loop.status.Load().Networks
	for _, k := range g.kept {
		if _, is := wanted[k.network]; is && k.bridge == b.UUID {
			return true
		}
	}
	return false
}

// inKernel reports whether the kernel's datapath forwards the frames of a device: not
// of a port that is cut off, or what is stacked on its device would go on to get
// them. While its bridge is taken down and up, it stays what it was.
func inKernel(b plan.Bridge, p plan.Port, before kept) bool {
	if b.DatapathType == plan.ResetDatapath {
		return before.InKernel
	}
	return b.DatapathType != plan.UserspaceDatapath && !p.CutOff()
}

func networkOf(b plan.Bridge, before kept) model.ID {
	if id := b.Network; id != "" {
		return id
	}
	return before.network
}

// guards reports whether the guard belongs on a device that is plugged into one
// of isonet's bridges.
func (g *hostGuard) guards(by *guarded, b plan.Bridge, d plan.Device) bool {
	_, is := g.kept[d.Index]
	return is || forVM(d) && !ofHost(d) || slices.ContainsFunc(by.devices[b.Network], func(other report.Device) bool { return other.Index == d.Index })
}

// was reports whether a device of a name was guarded until now.
func (g *hostGuard) was(name string) bool {
	return slices.ContainsFunc(g.last.Devices, func(d report.Device) bool { return d.Name == name && !d.InKernel })
}

// letGo takes the guard off a device that has left isonet's bridges.
func (g *hostGuard) letGo(ctx context.Context, name string) error {
	g.notBefore = time.Time{}
	g.guard(ctx, true)
	status := g.loop.stand()
	if err := status.Releasable(name); err != nil {
		return err
	}
	device, _ := status.seen.actual.Links.Named(name)
	delete(g.kept, device.Index)
	g.guard(ctx, true)
	if failed := cmp.Or(g.last.Failed, g.last.Unavailable); failed != "" {
		return model.Refuse(model.ErrUnavailable, model.GuardFailed, "%s", failed)
	}
	g.loop.log.Info("a device is no longer guarded, as was asked for", "device", name)
	return nil
}

// ReleaseDevice takes the host guard off a device that is on none of isonet's
// bridges any more. It returns a model.ErrNotFound if the guard is not on it, and
// a model.ErrConflict if it is plugged in.
func (l *Loop) ReleaseDevice(ctx context.Context, device string) error {
	asked := guardRelease{device, make(chan error, 1)}
	select {
	case l.guard.releases <- asked:
	case <-ctx.Done():
		return fmt.Errorf("release the device %q: the host guard is busy: %w", device, ctx.Err())
	}
	select {
	case err := <-asked.reply:
		return err
	case <-ctx.Done():
		return fmt.Errorf("release the device %q: %w", device, ctx.Err())
	}
}

// forVM says that a device is of the kinds that VMs and containers have.
func forVM(d plan.Device) bool { return d.Kind == "veth" || d.Kind == "tun" && d.Tap }

// ofHost says that the host uses a device as its own: it has an address that no
// VM can have made it take. A host that is a container has a veth for a NIC.
func ofHost(d plan.Device) bool {
	return slices.ContainsFunc(d.Addresses, func(a netip.Prefix) bool { return a.Addr().Is4() && !a.Addr().IsLinkLocalUnicast() })
}

// devicesOf returns the devices of VMs on a bridge. Those of accepted ports are
// such, whatever they are. A device that Open vSwitch has opened and that the
// kernel has not told yet has the name only.
func devicesOf(b plan.Bridge, accepted []plan.Port, actual *plan.Actual) []report.Device {
	devices, members := []report.Device{}, make(map[string]bool, len(accepted))
	for _, p := range accepted {
		members[p.UUID] = true
	}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			d, there := deviceOf(i, actual)
			switch {
			case there && (members[p.UUID] || forVM(d) && !ofHost(d)):
				devices = append(devices, report.Device{Index: d.Index, Name: d.Name})
			case !there && isDevice(i) && i.OFPort > 0 && !i.Vanished():
				devices = append(devices, report.Device{Name: i.Name})
			}
		}
	}
	return devices
}

func isDevice(i plan.Interface) bool { return i.Type == "" || i.Type == "system" }

// deviceOf returns the device of an interface that was a device before: the one
// that Open vSwitch opened or, when that is gone, the one that has its name and
// will be opened next.
func deviceOf(i plan.Interface, actual *plan.Actual) (plan.Device, bool) {
	if !isDevice(i) {
		return plan.Device{}, false
	}
	if d, there := actual.Links.Of(i); there {
		return d, true
	}
	return actual.Links.Named(i.Name)
}
