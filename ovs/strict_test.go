package ovs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// strictWorld is a bridge in secure mode on the real userspace datapath, with
// three VMs plugged in: two members, and a stranger.
type strictWorld struct {
	*ovstest.OVS
	namespace   string
	sw          *ovs.Switch
	a, b, other *ovstest.VM
}

const strictBridge = "iso1"

func newStrictWorld(t *testing.T) strictWorld {
	t.Helper()
	namespace := ovstest.Namespace(t)
	private := ovstest.Start(t, ovstest.InNamespace(namespace))
	private.Vsctl("add-br", strictBridge, "--", "set", "Bridge", strictBridge, "datapath_type="+ovstest.Datapath(), "fail_mode=secure")
	w := strictWorld{
		OVS: private, namespace: namespace,
		a: private.NewVM("vm-a", "10.0.0.1/24"), b: private.NewVM("vm-b", "10.0.0.2/24"), other: private.NewVM("vm-other", "10.0.0.3/24"),
	}
	for _, vm := range []*ovstest.VM{w.a, w.b, w.other} {
		private.Plug(vm, strictBridge)
		private.OFPort(vm.Device) // wait for it
	}
	w.sw = run(t, private, ovstest.Datapath(), &observer{})
	return w
}

func (w strictWorld) member(vm *ovstest.VM) plan.Member {
	return plan.Member{OFPort: w.OFPort(vm.Device)}
}

func (w strictWorld) enforce(t *testing.T, limit int, members ...plan.Member) {
	t.Helper()
	p := plan.NewPipeline(strictBridge, limit, members...)
	w.sw.Forward(plan.Forwarding{Bridge: strictBridge, Pipeline: &p})
	w.inPlace(t)
}

// inPlace waits until the bridge forwards by what was stated last.
func (w strictWorld) inPlace(t *testing.T) {
	t.Helper()
	ovstest.Eventually(t, "the flows are in place", func() error {
		if f := w.sw.Flows()[strictBridge]; !f.InPlace {
			return fmt.Errorf("flows %+v", f)
		}
		return nil
	})
}

// dump returns what ovs-ofctl prints of the bridge.
func (w strictWorld) dump(t *testing.T, command string) (string, error) {
	t.Helper()
	out, err := w.OfctlCommand(command, strictBridge).CombinedOutput()
	return string(out), err
}

// expect compares who reaches whom with what must be. Flows of the datapath go on
// dropping for a moment after the bridge's were changed.
func expect(t *testing.T, from, to *ovstest.VM, want bool) {
	t.Helper()
	if !want {
		if from.Pings(to.Address) {
			t.Errorf("%s reaches %s", from.Device, to.Device)
		}
		return
	}
	ovstest.Eventually(t, from.Device+" reaches "+to.Device, func() error {
		if !from.Pings(to.Address) {
			return errors.New("no answer")
		}
		return nil
	})
}

func TestStrictMembersOnly(t *testing.T) {
	w := newStrictWorld(t)
	expect(t, w.a, w.b, false) // a secure bridge without flows forwards nothing
	w.enforce(t, 0, w.member(w.a), w.member(w.b))
	expect(t, w.a, w.b, true)
	expect(t, w.other, w.a, false)
	before := w.other.Received()
	w.a.Shout(200)
	expect(t, w.a, w.b, true)
	if got := w.other.Received(); got != before {
		t.Errorf("a port that is no member received %d frames", got-before)
	}
	w.enforce(t, 0, w.member(w.a), w.member(w.b), w.member(w.other))
	expect(t, w.other, w.a, true)
	w.enforce(t, 0, w.member(w.a))
	ovstest.Eventually(t, "the datapath forgets a former member", func() error {
		if w.a.Pings(w.b.Address) {
			return errors.New("it is still reached")
		}
		return nil
	})
}

func TestStrictMACLock(t *testing.T) {
	w := newStrictWorld(t)
	locked := w.member(w.a)
	locked.MACs = []string{"02:00:00:00:00:01"}
	w.enforce(t, 0, locked, w.member(w.b))
	expect(t, w.a, w.b, false)
	if out, err := w.a.Command("ip", "link", "set", "eth0", "address", "02:00:00:00:00:01").CombinedOutput(); err != nil {
		t.Fatalf("set the address: %v\n%s", err, out)
	}
	expect(t, w.a, w.b, true)
}

func TestStrictIsolatedMembers(t *testing.T) {
	w := newStrictWorld(t)
	a, b, gateway := w.member(w.a), w.member(w.b), w.member(w.other)
	a.Isolated, b.Isolated = true, true
	w.enforce(t, 0, a, b, gateway)
	expect(t, w.a, w.other, true)
	expect(t, w.other, w.b, true)
	expect(t, w.a, w.b, false)
}

func TestStrictBroadcastLimit(t *testing.T) {
	w := newStrictWorld(t)
	const limit = 5
	w.enforce(t, limit, w.member(w.a), w.member(w.b))
	before, began := w.b.Received(), time.Now()
	w.a.Shout(2000)
	expect(t, w.a, w.b, true) // so what was sent before is through
	// A meter lets the frames of one second pass at once, and on a busy machine the
	// burst takes a while.
	const pings = 16
	most := limit*(2+int(time.Since(began)/time.Second)) + pings
	if got := w.b.Received() - before; got == 0 || got > most {
		t.Errorf("%d broadcasts passed a limit of %d in a second, want at most %d", got, limit, most)
	}
	w.enforce(t, 0, w.member(w.a), w.member(w.b))
	if meters, err := w.dump(t, "dump-meters"); err != nil || strings.Contains(meters, "meter=") {
		t.Errorf("meters that nobody uses are left: %v\n%s", err, meters)
	}
}

// TestStrictFlowsComeBack removes the flows in each way that is known.
func TestStrictFlowsComeBack(t *testing.T) {
	w := newStrictWorld(t)
	w.enforce(t, 0, w.member(w.a), w.member(w.b))
	for name, fault := range map[string]func(){
		"vswitchd is killed": func() {
			w.StopVSwitchd()
			w.StartVSwitchd()
		},
		"fail_mode is changed": func() {
			w.Vsctl("set-fail-mode", strictBridge, "standalone")
			w.Vsctl("set-fail-mode", strictBridge, "secure")
		},
		"a controller comes and goes": func() {
			w.Vsctl("set-controller", strictBridge, "tcp:127.0.0.1:1")
			w.Vsctl("del-controller", strictBridge)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fault()
			ovstest.Eventually(t, "the flows are back", func() error {
				flows, err := w.dump(t, "dump-flows")
				if strings.Contains(flows, "NORMAL") || !strings.Contains(flows, "learn") {
					return fmt.Errorf("%w, flows:\n%s", err, flows)
				}
				return nil
			})
			w.inPlace(t)
			expect(t, w.a, w.b, true)
			expect(t, w.other, w.a, false)
		})
	}
}
