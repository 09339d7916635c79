package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/kernel/guard"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// hostAddress is an address of the host for which Linux answers on every device.
const hostAddress = "10.0.0.254"

// sees says whether the host answers a VM, by ARP.
func (s *site) sees(vm *ovstest.VM) bool {
	s.Helper()
	flush := vm.Command("ip", "neigh", "flush", "dev", "eth0")
	if out, err := flush.CombinedOutput(); err != nil {
		s.Fatalf("flush: %v\n%s", err, out)
	}
	_ = vm.Pings(hostAddress) // the host need not have a way back
	out, err := vm.Command("ip", "neigh", "show", hostAddress).CombinedOutput()
	if err != nil {
		s.Fatalf("neigh: %v\n%s", err, out)
	}
	return strings.Contains(string(out), "lladdr")
}

func (s *site) guarded(id model.ID, state report.GuardState, devices ...string) {
	s.Helper()
	s.until(fmt.Sprintf("host guard %s of %v", state, devices), func(st report.Status) bool {
		var names []string
		for _, d := range st.Devices[id] {
			names = append(names, d.Name)
		}
		guard, known := st.HostGuard(id)
		return known && guard.State == state && slices.Equal(names, devices)
	})
}

// rules returns the guard's rules in the kernel; "" when there are none.
func (s *site) rules() string {
	out, err := exec.CommandContext(s.Context(), "ip", "netns", "exec", s.namespace, "nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		s.Fatalf("nft: %v\n%s", err, out)
	}
	return string(out)
}

func TestTheHostIsOutOfReach(t *testing.T) {
	s := newSite(t, hostGuard{guard.New(slog.New(slog.DiscardHandler))})
	s.ip("address", "add", hostAddress+"/32", "dev", "lo")
	s.sysctl("net.ipv4.conf.all.rp_filter=0")
	id := s.attachNetwork(model.Network{Name: "red"})
	s.guarded(id, report.Guarded)
	bare := s.ovs.NewVM("vm-a", "10.0.0.1/24")
	if !s.sees(bare) {
		t.Fatal("the probe does not notice a host that is in reach")
	}
	// IPv6 as a VM's device has it when nobody cared.
	s.sysctl("net.ipv6.conf.vm-a.disable_ipv6=0")
	s.ovs.Plug(bare, "red")
	other := s.ovs.NewVM("vm-b", "10.0.0.2/24")
	s.ovs.Plug(other, "red")
	s.guarded(id, report.Guarded, "vm-a", "vm-b")
	s.findings(id) // no device has an address
	out := func(when string, vm *ovstest.VM) {
		t.Helper()
		if s.sees(vm) {
			t.Errorf("%s: the VM reaches the host", when)
		}
	}
	out("guarded", bare)
	reaches(t, bare, other)

	s.stop()
	out("while isonet is down", bare)
	s.protector = hostGuard{guard.New(slog.New(slog.DiscardHandler))}
	s.start()
	s.guarded(id, report.Guarded, "vm-a", "vm-b")
	out("after a restart", bare)

	// A firewall that is reloaded flushes everybody's rules.
	if text, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", s.namespace, "nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("nft flush: %v\n%s", err, text)
	}
	ovstest.Eventually(t, "the rules are back", func() error {
		if rules := s.rules(); !strings.Contains(rules, "vm-a") || !strings.Contains(rules, "vm-b") {
			return fmt.Errorf("rules: %s", rules)
		}
		return nil
	})
	out("after a flush", bare)

	// Whoever takes a VM off its network must not give it the host.
	if err := s.loop.ReleaseDevice(t.Context(), "vm-b"); !errors.Is(err, model.ErrConflict) {
		t.Errorf("releasing a device that is plugged in: %v", err)
	}
	s.ovs.Vsctl("del-port", "red", "vm-b")
	s.guarded(id, report.Guarded, "vm-a")
	out("unplugged", other)
	s.stop()
	out("unplugged, while isonet is down", other)
	s.protector = hostGuard{guard.New(slog.New(slog.DiscardHandler))}
	s.start()
	s.guarded(id, report.Guarded, "vm-a")
	out("unplugged, and isonet began anew", other)
	if err := s.loop.ReleaseDevice(t.Context(), "vm-c"); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("releasing a device that is not guarded: %v", err)
	}
	if err := s.loop.ReleaseDevice(t.Context(), "vm-b"); err != nil {
		t.Error(err)
	}
	if rules := s.rules(); strings.Contains(rules, "vm-b") || !strings.Contains(rules, "vm-a") {
		t.Errorf("rules: %s", rules)
	}
	if !s.sees(other) {
		t.Error("a device that was released is guarded")
	}
}

func (s *site) sysctl(setting string) {
	s.Helper()
	if out, err := exec.CommandContext(s.Context(), "ip", "netns", "exec", s.namespace, "sysctl", "-qw", setting).CombinedOutput(); err != nil {
		s.Fatalf("sysctl %s: %v\n%s", setting, err, out)
	}
}

// powerless is a guard without the capability.
type powerless struct{}

func (powerless) Left(context.Context) ([]report.Device, error) { return nil, nil }
func (powerless) Protect(context.Context, []report.Device) (report.Protection, error) {
	return report.Protection{Unavailable: "give it CAP_NET_ADMIN", Verified: time.Now()}, nil
}
func (powerless) Disturbed() <-chan struct{} { return nil }

func TestWithoutTheGuardThatIsTold(t *testing.T) {
	s := newSite(t, powerless{})
	id := s.attachNetwork(model.Network{Name: "red"})
	vm := s.ovs.NewVM("vm-a", "10.0.0.1/24")
	s.sysctl("net.ipv6.conf.vm-a.disable_ipv6=0")
	s.ovs.Plug(vm, "red")
	s.guarded(id, report.GuardUnavailable, "vm-a")
	if g, _ := s.loop.Status().HostGuard(id); g.Reason != "give it CAP_NET_ADMIN" {
		t.Errorf("reason %q", g.Reason)
	}
	s.findings(id, isolation.PortAddress)
}

// broken is a guard that fails each time.
type broken struct {
	loop   *reconcile.Loop
	before <-chan struct{} // of the status at the last call
	// quiet is told when it is called again although the status has not changed.
	quiet chan struct{}
}

func (*broken) Left(context.Context) ([]report.Device, error) { return nil, nil }
func (g *broken) Protect(context.Context, []report.Device) (report.Protection, error) {
	select {
	case <-g.before:
	default:
		if g.before != nil {
			select {
			case g.quiet <- struct{}{}:
			default:
			}
		}
	}
	g.before = g.loop.Changed()
	return report.Protection{}, errors.New("the kernel refuses")
}
func (*broken) Disturbed() <-chan struct{} { return nil }

// TestAGuardThatFailsIsTriedAgainInItsTime: the status that tells of a failure
// wakes the guard, which must not go on for ever without a pause.
func TestAGuardThatFailsIsTriedAgainInItsTime(t *testing.T) {
	s := newSite(t, nil)
	g := &broken{loop: s.loop, quiet: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.loop.GuardHost(ctx, g) }()
	select {
	case <-g.quiet:
	case <-time.After(ovstest.Patience):
		t.Error("it was tried again only when the status had changed")
	}
	id := s.attachNetwork(model.Network{Name: "red"})
	s.guarded(id, report.GuardUnknown)
	if guard, _ := s.loop.Status().HostGuard(id); guard.Reason != "the kernel refuses" {
		t.Errorf("reason %q", guard.Reason)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// slow is a guard that takes as long as somebody holds it.
type slow struct {
	hold chan struct{}
}

func (slow) Left(context.Context) ([]report.Device, error) { return nil, nil }
func (g slow) Protect(ctx context.Context, devices []report.Device) (report.Protection, error) {
	select {
	case <-g.hold:
	case <-ctx.Done():
	}
	return report.Protection{Guarded: devices, Verified: time.Now()}, ctx.Err()
}
func (slow) Disturbed() <-chan struct{} { return nil }

func TestAPortIsNotGuardedBeforeItIs(t *testing.T) {
	g := slow{make(chan struct{}, 2)}
	s := newSite(t, g)
	g.hold <- struct{}{}
	id := s.attachNetwork(model.Network{Name: "red"})
	s.guarded(id, report.Guarded)
	vm := s.ovs.NewVM("vm-a", "10.0.0.1/24")
	s.ovs.Plug(vm, "red")
	s.guarded(id, report.GuardUnavailable, "vm-a")
	g.hold <- struct{}{}
	s.guarded(id, report.Guarded, "vm-a")
}

// recorder is a guard that remembers what it was last put on.
type recorder struct {
	mu      sync.Mutex
	devices []report.Device
}

func (*recorder) Left(context.Context) ([]report.Device, error) { return nil, nil }
func (r *recorder) Protect(_ context.Context, devices []report.Device) (report.Protection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices = devices
	return report.Protection{Guarded: devices, Verified: time.Now()}, nil
}
func (*recorder) Disturbed() <-chan struct{} { return nil }

// The frames of a device must get to the kernel's datapath as long as its port is
// plugged in and not cut off, and it is guarded all the time.
func TestWhatTheKernelsDatapathForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{UUID: "p", Name: "vnet0", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "vnet0", OFPort: 3, MTURequest: 1500}}}, tap("vnet0"))
		w.change(func(a *plan.Actual) {
			b := a.Bridges["red"]
			b.DatapathType, a.DatapathType = plan.KernelDatapath, plan.KernelDatapath
			a.Bridges["red"] = b
		})
		port := func(change func(*plan.Port)) func(*plan.Actual) {
			return func(a *plan.Actual) {
				b := a.Bridges["red"]
				b.Ports = slices.Clone(b.Ports)
				change(&b.Ports[0])
				a.Bridges["red"] = b
			}
		}
		w.after = func(a *plan.Actual, p plan.Plan) {
			port(func(at *plan.Port) {
				at.VLANMode, at.Trunks, at.ExternalIDs = "", nil, nil
				if p.Ports[0].Do == plan.QuarantinePort {
					at.VLANMode, at.Trunks = "trunk", plan.DeadTrunks()
					at.ExternalIDs = map[string]string{plan.QuarantineKey: p.Ports[0].Reason, plan.QuarantineWasKey: p.Ports[0].VLAN.Text()}
				}
			})(a)
		}
		device := func(change func(*plan.Device)) {
			w.change(func(a *plan.Actual) {
				d, _ := a.Links.Named("vnet0")
				change(&d)
				a.Links = a.Links.Change(nil, []plan.Device{d})
			})
		}
		loop, r := w.run(t), &recorder{}
		ctx, cancel := context.WithCancel(t.Context())
		guarding := make(chan error)
		go func() { guarding <- loop.GuardHost(ctx, r) }()
		want := func(when string, inKernel bool, left int) {
			t.Helper()
			synctest.Wait()
			if guard, known := loop.Status().HostGuard(n.ID); !known || guard.State != report.Guarded {
				t.Errorf("%s: the host guard is %+v, known %t", when, guard, known)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.devices) != 1 || r.devices[0].InKernel != inKernel || len(loop.Status().Guard.Left) != left {
				t.Errorf("%s: it is on %+v, with %+v left; want one in the kernel %t, and %d left", when, r.devices, loop.Status().Guard.Left, inKernel, left)
			}
		}
		want("plugged in", true, 0)
		device(func(d *plan.Device) { d.Upper = []plan.Relative{{Index: 9, Name: "vlan7", Kind: "vlan"}} })
		want("cut off", false, 0)
		device(func(d *plan.Device) { d.Upper = nil })
		want("plugged in again", true, 0)
		w.change(func(a *plan.Actual) {
			b := a.Bridges["red"]
			b.Ports = b.Ports[1:]
			a.Bridges["red"] = b
		})
		want("unplugged", false, 1)
		device(func(d *plan.Device) { d.Master = plan.Relative{Index: 8, Name: "virbr0", Kind: "bridge"} })
		synctest.Wait()
		if guard := loop.Status().Guard; len(guard.Devices) != 0 {
			t.Errorf("another program's: it is on %+v", guard.Devices)
		}
		cancel()
		if err := <-guarding; err != nil {
			t.Error(err)
		}
	})
}
