package reconcile_test

import (
	"context"
	"log/slog"
	"maps"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/kernel/links"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// The kernel's own word on real devices, in a namespace with a real Open
// vSwitch.
func TestRealDevices(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ip("-n", host, "tuntap", "add", "tap0", "mode", "tap")
	ip("-n", host, "tuntap", "add", "tun0", "mode", "tun")
	ip("-n", host, "link", "add", "both0", "type", "veth", "peer", "name", "both1")
	ip("-n", host, "link", "add", "vm0", "type", "veth", "peer", "name", "eth0", "netns", vm)
	ip("-n", host, "link", "add", "lb0", "type", "bridge")
	watcher := links.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	watching := ovstest.GoInside(host, func() error { return watcher.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := <-watching; err != nil {
			t.Error(err)
		}
	})
	s := startWith(t, watcher, ovstest.Datapath(), ovstest.InNamespace(host))
	id := s.under("red", "")
	s.ovs.Vsctl("add-port", "red", "tap0", "--", "add-port", "red", "vm0")
	s.until("both are known", func(st report.Status) bool {
		return st.Networks[id].Isolation.Isolated() && len(bridge(st, "red").Ports) == 2
	})
	for name, reason := range map[string]isolation.Reason{
		"tun0": isolation.L3Tun, "both0": isolation.VethInHost, "lb0": isolation.LinuxBridge,
	} {
		s.ovs.Vsctl("--no-wait", "add-port", "red", name)
		s.repaired(reason, 1)
	}
	s.until("isolated", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })

	// An address makes the host reachable; nobody but people can take it away.
	ip("-n", host, "address", "add", "192.0.2.1/24", "dev", "tap0")
	if v := s.findings(id, isolation.PortAddress); v.Isolated() || !strings.Contains(v.Findings[0].Detail, "192.0.2.1/24") {
		t.Errorf("verdict %+v", v)
	}
	ip("-n", host, "address", "del", "192.0.2.1/24", "dev", "tap0")
	s.findings(id)

	// A container's port is the host's until it is moved.
	s.ovs.Vsctl("add-port", "red", "inside", "--", "set", "interface", "inside", "type=internal")
	s.until("pending", func(st report.Status) bool {
		p := st.Networks[id].Isolation.Pending
		return len(p) == 1 && p[0].Port == "inside"
	})
	ip("-n", host, "link", "set", "inside", "netns", vm)
	s.until("moved", func(st report.Status) bool { return st.Networks[id].Isolation.Isolated() })
	if got := strings.Fields(s.ports()); len(got) != 3 {
		t.Errorf("ports %v", got)
	}
}

// world is a store and a switch in memory, for tests of time: it passes in a
// bubble of testing/synctest, where nobody really sleeps.
type world struct {
	mu      sync.Mutex
	desired *model.Desired
	actual  *plan.Actual
	changed chan struct{}
	applied []plan.Plan
	lost    time.Time // since when the store is away, for the reason of trouble
	trouble error
	after   func(*plan.Actual, plan.Plan)
}

func (w *world) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}
func (w *world) Recalled() *model.Desired { return nil }
func (w *world) Snapshot() *model.Desired { return w.desired }

func (w *world) Trouble() (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost, w.trouble
}

func (w *world) Invalid() map[string]string { return nil }

func (w *world) Register(context.Context, string, string) error { return nil }

func (w *world) Left(context.Context, model.ID, ...model.ID) error { return nil }

func (w *world) Newest() (*model.Desired, int64, <-chan struct{}) {
	return w.desired, w.desired.Revision, w.Changed()
}

func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *world) Actual() (*plan.Actual, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.actual, true
}

func (w *world) Apply(_ context.Context, p plan.Plan) (int, error) {
	w.change(func(a *plan.Actual) {
		w.applied = append(w.applied, p)
		a.NextCfg++
		a.CurCfg = a.NextCfg
		w.after(a, p)
	})
	return 0, nil
}

func (w *world) Evidence() plan.Evidence {
	seen := plan.Sighting{Seen: time.Now()}
	return plan.Evidence{Database: seen, VSwitchd: seen, Devices: seen}
}

func (w *world) Forward(...plan.Forwarding) {}

func (w *world) Flows() map[string]plan.Flows { return nil }

func (w *world) change(change func(*plan.Actual)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.actual
	next.Bridges = maps.Clone(next.Bridges)
	change(&next)
	w.actual = &next
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.applied)
}

// newWorld has one network that is as it must be, with a port.
func newWorld(t *testing.T, port plan.Port, devices ...plan.Device) (*world, model.Network) {
	t.Helper()
	w := &world{desired: model.NewDesired(), changed: make(chan struct{}), after: func(*plan.Actual, plan.Plan) {}}
	host := model.HostID("host")
	w.desired.Hosts[host] = model.Host{ID: host, SystemID: "host"}
	n, err := w.desired.AddNetwork(model.Network{Name: "red"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.desired.Attach(host, n.ID, nil); err != nil {
		t.Fatal(err)
	}
	s := plan.NewSpec(n, "netdev")
	w.actual = &plan.Actual{
		SystemID: "host", DatapathType: "netdev", Links: named(nil, append(devices, tap("red"))...),
		Bridges: map[string]plan.Bridge{"red": {
			UUID: "b", Name: "red", DatapathType: "netdev", ExternalIDs: s.ExternalIDs, OtherConfig: s.OtherConfig,
			Ports: []plan.Port{port, {
				UUID: "l", Name: "red", VLANMode: s.VLANMode, Trunks: s.Trunks, Tag: -1, ExternalIDs: s.PortExternalIDs(),
				Interfaces: []plan.Interface{{UUID: "li", Name: "red", Type: "internal", OFPort: 65534, MTURequest: s.MTU, MTU: s.MTU}},
			}},
		}},
	}
	return w, n
}

func (w *world) run(t *testing.T) *reconcile.Loop {
	loop := reconcile.New(w, w, &results{count: map[string]int{}}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- loop.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return loop
}

func TestAnInternalPortHasAGraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{
			UUID: "p", Name: "inside", Tag: -1,
			Interfaces: []plan.Interface{{UUID: "i", Name: "inside", Type: "internal", OFPort: 3, MTURequest: 1500}},
		}, tap("inside"))
		w.after = func(a *plan.Actual, p plan.Plan) {
			b := a.Bridges["red"]
			port := p.Ports[0].Port
			port.VLANMode, port.Trunks = "trunk", []int{4095}
			port.ExternalIDs = map[string]string{plan.QuarantineKey: p.Ports[0].Reason, plan.QuarantineWasKey: p.Ports[0].VLAN.Text()}
			b.Ports = []plan.Port{port, b.Ports[1]}
			a.Bridges["red"] = b
		}
		loop := w.run(t)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if v := loop.Status().Networks[n.ID].Isolation; w.count() != 0 || len(v.Pending) != 1 || v.Isolated() {
			t.Fatalf("within the grace time: %d plans, verdict %+v", w.count(), v)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		v := loop.Status().Networks[n.ID].Isolation
		if w.count() != 1 || len(v.Findings) != 1 || v.Findings[0].Reason != isolation.HostInternalPort || !v.Findings[0].Quarantined || len(v.Pending) != 0 {
			t.Fatalf("after the grace time: %d plans, verdict %+v", w.count(), v)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.count() != 1 {
			t.Errorf("%d plans in the hour after; want none", w.count()-1)
		}
	})
}

func TestAFightEndsWhenItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{
			UUID: "p", Name: "eth9", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "eth9", OFPort: 3}},
		}, uplink())
		loop := w.run(t) // after does nothing: the port is back at once
		time.Sleep(time.Hour)
		synctest.Wait()
		repairs := w.count()
		if v := loop.Status().Networks[n.ID].Isolation; repairs < 60 || repairs > 72 || !v.Contested || v.Isolated() {
			t.Fatalf("%d repairs in an hour, verdict %+v; want about one a minute and a contested state", repairs, v)
		}
		if got := loop.Status().IsolationRepairs[isolation.PhysicalNIC]; got != uint64(repairs) {
			t.Errorf("%d repairs are counted, %d were made", got, repairs)
		}
		if n := len(loop.Status().Events); n > 100 {
			t.Errorf("%d events are remembered", n)
		}
		w.change(func(a *plan.Actual) {
			b := a.Bridges["red"]
			b.Ports = b.Ports[1:]
			a.Bridges["red"] = b
		})
		synctest.Wait()
		if v := loop.Status().Networks[n.ID].Isolation; !v.Contested || !v.Isolated() {
			t.Errorf("just after: verdict %+v", v)
		}
		time.Sleep(isolation.Quiet + time.Second)
		synctest.Wait()
		status := loop.Status()
		if v := status.Networks[n.ID].Isolation; v.Contested || !v.Isolated() {
			t.Errorf("after it was quiet: verdict %+v", v)
		}
		if last := status.Events[len(status.Events)-1]; last.Deed != report.Settled {
			t.Errorf("the last event is %+v", last)
		}
	})
}
