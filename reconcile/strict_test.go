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
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/kernel/guard"
	"github.com/isonet/isonet/kernel/links"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

// site is a host in a network namespace with a real Open vSwitch on the
// userspace datapath, whose isonet can be stopped and started.
type site struct {
	*system
	namespace string
	stateDir  string
	protector reconcile.Protector
	memory    plan.Memory // of the isonet before
	stop      func()
}

func newSite(t *testing.T, protector reconcile.Protector) *site {
	t.Helper()
	namespace := ovstest.Namespace(t)
	s := &site{
		system:    &system{T: t, ovs: ovstest.Start(t, ovstest.InNamespace(namespace)), seen: &results{count: map[string]int{}}},
		namespace: namespace, stateDir: t.TempDir(), protector: protector,
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts isonet, and waits until it has looked at the host.
func (s *site) start() {
	s.Helper()
	log := slog.New(slog.NewTextHandler(s.Output(), nil))
	devices := links.New(log)
	s.store = store.New(store.Config{StateDir: s.stateDir, RunDir: s.ovs.Dir(), Logger: slog.New(slog.DiscardHandler)})
	sw := ovs.New(ovs.Config{
		Endpoints: []string{s.ovs.Endpoint()}, DatapathType: ovstest.Datapath(), Observer: s.seen, Logger: log,
		Devices: devices, RunDir: s.ovs.Dir(),
	})
	s.loop = reconcile.New(s.store, sw, s.seen, log)
	s.loop.Recall(s.memory, "this run of the kernel")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	run := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				s.Errorf("run: %v", err)
			}
		})
	}
	inside := func(part func(context.Context) error) {
		done := ovstest.GoInside(s.namespace, func() error { return part(ctx) })
		run(func() error { return <-done })
	}
	for _, part := range []func(context.Context) error{s.store.Run, sw.Run, s.loop.Run} {
		run(func() error { return part(ctx) })
	}
	inside(devices.Run)
	if g, ok := s.protector.(hostGuard); ok {
		inside(g.Run)
	}
	if s.protector != nil {
		inside(func(ctx context.Context) error { return s.loop.GuardHost(ctx, s.protector) })
	}
	stopped := false
	s.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			running.Wait()
			s.memory = s.loop.Memory()
		}
	}
	s.host = s.until("the host is known", func(st report.Status) bool { return st.Connected && st.HostID != "" }).HostID
}

// attachNetwork makes a network and waits until it is realised.
func (s *site) attachNetwork(n model.Network) model.ID {
	s.Helper()
	var id model.ID
	revision := s.update(func(d *model.Desired) error {
		made, err := d.AddNetwork(n)
		if err != nil {
			return err
		}
		id = made.ID
		_, err = d.Attach(s.host, id, nil)
		return err
	})
	s.realised(revision, id)
	return id
}

// change changes a network and waits until that is realised.
func (s *site) change(id model.ID, change func(*model.Network)) {
	s.Helper()
	revision := s.update(func(d *model.Desired) error {
		n := d.Networks[id]
		change(&n)
		return d.UpdateNetwork(n)
	})
	s.realised(revision, id)
}

// vms makes VMs and plugs them into the bridge red.
func (s *site) vms(names ...string) []*ovstest.VM {
	s.Helper()
	var list []*ovstest.VM
	for i, name := range names {
		vm := s.ovs.NewVM(name, fmt.Sprintf("10.0.0.%d/24", i+1))
		silence(s.T, vm)
		s.ovs.Plug(vm, "red")
		list = append(list, vm)
	}
	return list
}

// silence keeps a VM from sending frames that no test asked for.
func silence(t *testing.T, vm *ovstest.VM) {
	t.Helper()
	if out, err := vm.Command("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1").CombinedOutput(); err != nil {
		t.Fatalf("silence %s: %v\n%s", vm.Device, err, out)
	}
}

func (s *site) ip(args ...string) {
	s.Helper()
	if out, err := exec.CommandContext(s.Context(), "ip", append([]string{"-n", s.namespace}, args...)...).CombinedOutput(); err != nil {
		s.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// reaches waits until a VM reaches another.
func reaches(t *testing.T, from, to *ovstest.VM) {
	t.Helper()
	ovstest.Eventually(t, from.Device+" reaches "+to.Device, func() error {
		if !from.Pings(to.Address) {
			return errors.New("no answer")
		}
		return nil
	})
}

func isApart(t *testing.T, from, to *ovstest.VM) {
	t.Helper()
	if from.Pings(to.Address) {
		t.Errorf("%s reaches %s", from.Device, to.Device)
	}
}

// uplink is a device that isonet judges as none of a VM, since it belongs to a
// Linux bridge too, which the kernel's datapath does not take, or has a VLAN. Its
// other end sees what passes.
func (s *site) uplink(bridge string) *ovstest.VM {
	s.Helper()
	vm := s.ovs.NewVM("outside", "10.0.0.99/24")
	if ovstest.Datapath() == ovstest.Kernel {
		s.ip("link", "add", "link", vm.Device, "name", "vlan7", "type", "vlan", "id", "7")
	} else {
		s.ip("link", "add", "lb0", "type", "bridge")
		s.ip("link", "set", vm.Device, "master", "lb0")
	}
	s.ovs.Vsctl("--no-wait", "add-port", bridge, vm.Device)
	return vm
}

func TestStrictNetwork(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Strict: true, Isolation: model.PolicyReport})
	vms := s.vms("vm-a", "vm-b")
	a, b := vms[0], vms[1]
	reaches(t, a, b)
	if !s.loop.Status().Networks[id].Strict {
		t.Error("the status does not say that the network is strict")
	}

	// Under the policy to report a stranger stays plugged in, and gets nothing.
	out := s.uplink("red")
	s.ovs.OFPort(out.Device)
	s.findings(id, isolation.StackedDevice)
	quiet(t, out, a, b)

	// Nor is isonet needed for that.
	s.stop()
	s.ovs.Vsctl("del-port", "red", out.Device)
	s.ovs.Plug(out, "red")
	s.ovs.OFPort(out.Device)
	quiet(t, out, a, b)
	reaches(t, a, b)

	// vswitchd comes back without flows, and isonet after it.
	s.ovs.StopVSwitchd()
	s.ovs.StartVSwitchd()
	isApart(t, a, b)
	s.start()
	reaches(t, a, b)
	quiet(t, out, a, b)

	// vswitchd alone.
	s.ovs.StopVSwitchd()
	s.ovs.StartVSwitchd()
	reaches(t, a, b)
	quiet(t, out, a, b)

	// A member that is plugged in anew gets another number.
	before := s.ovs.OFPort(b.Device)
	s.ovs.Vsctl("del-port", "red", b.Device)
	s.ovs.Plug(b, "red")
	if after := s.ovs.OFPort(b.Device); after == before {
		t.Errorf("the number %d was given again", after)
	}
	reaches(t, a, b)
	quiet(t, out, a, b)
}

// quiet asserts that a stranger neither gets frames nor reaches anybody, while
// the members go on.
func quiet(t *testing.T, stranger, a, b *ovstest.VM) {
	t.Helper()
	before := stranger.Received()
	isApart(t, stranger, a)
	a.Shout(100)
	reaches(t, a, b)
	if got := stranger.Received() - before; got != 0 {
		t.Errorf("a stranger received %d frames", got)
	}
}

func TestStrictGoesAndComes(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Strict: true, PortIsolation: true})
	vms := s.vms("vm-a", "vm-b")
	a, b := vms[0], vms[1]
	s.until("both are members", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	isApart(t, a, b)
	for range 2 {
		s.change(id, func(n *model.Network) { n.Strict, n.PortIsolation = false, false })
		if mode := s.ovs.Vsctl("get", "bridge", "red", "fail_mode"); mode != "[]" {
			t.Errorf("fail_mode %s of a network that is not strict", mode)
		}
		reaches(t, a, b)
		s.change(id, func(n *model.Network) { n.Strict = true })
		if mode := s.ovs.Vsctl("get", "bridge", "red", "fail_mode"); mode != "secure" {
			t.Errorf("fail_mode %s of a strict network", mode)
		}
		reaches(t, a, b)
	}
	st := s.loop.Status()
	if st.Repairs != 0 || len(st.IsolationRepairs) != 0 {
		t.Errorf("what the operator asked for counts as somebody's change: %d repairs, %v", st.Repairs, st.IsolationRepairs)
	}

	// Somebody else makes the bridge forward by itself.
	s.ovs.Vsctl("--no-wait", "set-fail-mode", "red", "standalone")
	s.repaired(isolation.FailMode, 1)
	s.until("the flows are back", func(st report.Status) bool {
		return st.Networks[id].Strict && st.Networks[id].State == report.Active
	})
	if flows, err := s.ovs.OfctlCommand("dump-flows", "red").CombinedOutput(); err != nil || strings.Contains(string(flows), "NORMAL") {
		t.Errorf("flows: %v\n%s", err, flows)
	}
	reaches(t, a, b)

	// Flows of somebody else are put back at once.
	if out, err := s.ovs.OfctlCommand("add-flow", "red", "priority=9999,actions=flood").CombinedOutput(); err != nil {
		t.Fatalf("add-flow: %v\n%s", err, out)
	}
	s.repaired(isolation.ForeignFlows, 1)
	reaches(t, a, b)
}

func TestMACLock(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Strict: true, MACLock: true})
	a, b := s.ovs.NewVM("vm-a", "10.0.0.1/24"), s.ovs.NewVM("vm-b", "10.0.0.2/24")
	s.ovs.Plug(b, "red", "--", "set", "interface", b.Device, "external_ids:attached-mac="+mac(t, b))
	s.ovs.Plug(a, "red")
	v := s.findings(id, isolation.NoMAC)
	if !v.Isolated() || v.Findings[0].Port != a.Device {
		t.Errorf("verdict %+v", v)
	}
	isApart(t, a, b)
	s.ovs.Vsctl("set", "interface", a.Device, "external_ids:attached-mac="+strings.ToUpper(mac(t, a)))
	s.findings(id)
	reaches(t, a, b)
	if out, err := a.Command("ip", "link", "set", "eth0", "address", "02:00:00:00:00:77").CombinedOutput(); err != nil {
		t.Fatalf("set the address: %v\n%s", err, out)
	}
	isApart(t, a, b)
}

// mac returns the VM's own MAC address.
func mac(t *testing.T, vm *ovstest.VM) string {
	t.Helper()
	out, err := vm.Command("cat", "/sys/class/net/eth0/address").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestPortIsolation(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict %t", strict), func(t *testing.T) {
			s := newSite(t, nil)
			id := s.attachNetwork(model.Network{Name: "red", Strict: strict, PortIsolation: true})
			vms := s.vms("vm-a", "vm-b", "gateway")
			a, b, gateway := vms[0], vms[1], vms[2]
			s.ovs.Vsctl("set", "port", gateway.Device, "external_ids:isonet-isolated=false")
			reaches(t, a, gateway)
			reaches(t, gateway, b)
			isApart(t, a, b)
			before := b.Received()
			a.Shout(100)
			reaches(t, a, gateway) // so what was sent before is through
			// The gateway asks by ARP, which is for all.
			if got := b.Received() - before; got > 10 {
				t.Errorf("%d broadcasts of 100 passed between isolated ports", got)
			}
			s.change(id, func(n *model.Network) { n.PortIsolation = false })
			reaches(t, a, b)
			s.change(id, func(n *model.Network) { n.PortIsolation = true })
			ovstest.Eventually(t, "the ports are isolated again", func() error {
				if a.Pings(b.Address) {
					return errors.New("they reach each other")
				}
				return nil
			})
			reaches(t, a, gateway)
		})
	}
}

func TestBroadcastLimit(t *testing.T) {
	const limit = 5
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red", Strict: true, BroadcastLimit: limit})
	vms := s.vms("vm-a", "vm-b")
	a, b := vms[0], vms[1]
	reaches(t, a, b)
	before, began := b.Received(), time.Now()
	a.Shout(2000)
	reaches(t, a, b) // so what was sent before is through
	// A meter lets the frames of one second pass at once, and on a busy machine the
	// burst takes a while.
	const pings = 16
	most := limit*(2+int(time.Since(began)/time.Second)) + pings
	if got := b.Received() - before; got == 0 || got > most {
		t.Errorf("%d broadcasts passed a limit of %d in a second, want at most %d", got, limit, most)
	}
	s.change(id, func(n *model.Network) { n.BroadcastLimit = 0 })
	before = b.Received()
	a.Shout(200)
	reaches(t, a, b)
	if got := b.Received() - before; got <= 200/2 {
		t.Errorf("%d broadcasts of 200 passed without a limit", got)
	}
}

// hostGuard is the guard as the daemon has it.
type hostGuard struct{ *guard.Guard }

func (g hostGuard) Left(ctx context.Context) ([]report.Device, error) {
	left, err := g.Guard.Left(ctx)
	return protected(left), err
}

func (g hostGuard) Protect(ctx context.Context, devices []report.Device) (report.Protection, error) {
	want := make([]guard.Device, len(devices))
	for i, d := range devices {
		want[i] = guard.Device(d)
	}
	done, err := g.Apply(ctx, want)
	return report.Protection{
		Guarded: protected(done.Guarded), Unavailable: done.Unavailable, Limited: done.Limited, Verified: done.Verified,
	}, err
}

func protected(devices []guard.Device) []report.Device {
	converted := make([]report.Device, len(devices))
	for i, d := range devices {
		converted[i] = report.Device(d)
	}
	return converted
}

// ofctl changes something over OpenFlow, as somebody else would.
func (s *site) ofctl(command string, args ...string) {
	s.Helper()
	if out, err := s.ovs.OfctlCommand(command, "red", args...).CombinedOutput(); err != nil {
		s.Fatalf("%s %s: %v\n%s", command, args, err, out)
	}
}

// TestFlowsOfSomebodyOnAnOrdinaryNetwork sends a VM's frames to a stranger under
// each policy.
func TestFlowsOfSomebodyOnAnOrdinaryNetwork(t *testing.T) {
	s := newSite(t, nil)
	id := s.attachNetwork(model.Network{Name: "red"})
	vms := s.vms("vm-a", "vm-b")
	a, b := vms[0], vms[1]
	reaches(t, a, b)
	const drops = "priority=100,actions=drop"
	for n, policy := range []model.Policy{model.PolicyEnforce, model.PolicyQuarantine} {
		s.change(id, func(n *model.Network) { n.Isolation = policy })
		s.ofctl("add-flow", drops)
		s.repaired(isolation.ForeignFlows, uint64(n+1))
		reaches(t, a, b)
		s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	}

	// Under the policy to report they stay.
	s.change(id, func(n *model.Network) { n.Isolation = model.PolicyReport })
	s.ofctl("add-flow", drops)
	if v := s.findings(id, isolation.ForeignFlows); v.Isolated() || v.Findings[0].Action != isolation.Report {
		t.Errorf("verdict %+v", v)
	}
	isApart(t, a, b)
	s.ofctl("del-flows", "priority=100", "--strict")
	s.findings(id)
	reaches(t, a, b)

	// Who goes on meets a growing delay, and is told of meanwhile.
	s.change(id, func(n *model.Network) { n.Isolation = model.PolicyEnforce })
	s.until("it is contested", func(st report.Status) bool {
		s.ofctl("add-flow", drops)
		v := st.Networks[id].Isolation
		return v.Contested && slices.ContainsFunc(v.Findings, func(f isolation.Finding) bool {
			return f.Reason == isolation.ForeignFlows && f.Action == isolation.Restore
		})
	})
	if v := s.findings(id); !v.Contested { // it is put back in the end
		t.Errorf("verdict %+v", v)
	}
	reaches(t, a, b)
}

// TestANetworkForwardsWhileItIsSecure makes an ordinary network's bridge forget its
// flows.
func TestANetworkForwardsWhileItIsSecure(t *testing.T) {
	s := newSite(t, nil)
	s.attachNetwork(model.Network{Name: "red", Isolation: model.PolicyEnforce})
	vms := s.vms("vm-a", "vm-b")
	s.ovs.Vsctl("set-fail-mode", "red", "secure")
	s.ovs.StopVSwitchd()
	s.ovs.StartVSwitchd()
	reaches(t, vms[0], vms[1])
}
