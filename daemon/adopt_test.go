package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// stream is frames with sequence numbers from one VM to another.
type stream struct {
	t        *testing.T
	name     string
	from, to *ovstest.Probe
	newest   atomic.Int64
	cancel   context.CancelFunc
	done     chan error
}

func newStream(t *testing.T, name string, from, to *ovstest.Probe) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{t: t, name: name, from: from, to: to, cancel: cancel, done: make(chan error, 1)}
	go func() {
		_, err := from.Stream(ctx, to.MAC, s.mark, 1000)
		s.done <- err
	}()
	t.Cleanup(cancel)
	return s
}

func (s *stream) mark(number int) string {
	s.newest.Store(int64(number))
	return s.named(number)
}

func (s *stream) named(number int) string { return fmt.Sprintf("%s %d", s.name, number) }

// flow lets some frames flow.
func (s *stream) flow() {
	s.t.Helper()
	from := s.newest.Load()
	ovstest.Eventually(s.t, "frames flow "+s.name, func() error {
		if n := s.newest.Load() - from; n < 300 {
			return fmt.Errorf("%d frames", n)
		}
		return nil
	})
}

// end ends the stream, and returns how many frames there were and which of them
// have not come once.
func (s *stream) end() (sent int, wrong []int) {
	s.t.Helper()
	s.cancel()
	if err := <-s.done; err != nil {
		s.t.Fatal(err)
	}
	last := s.name + " end"
	ovstest.Eventually(s.t, last, func() error {
		s.from.SendTo(s.to.MAC, last, 1) // again and again: it can be lost too
		if s.to.Count(last) == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
	sent = int(s.newest.Load()) + 1
	for n := range sent {
		if s.to.Count(s.named(n)) != 1 {
			wrong = append(wrong, n)
		}
	}
	return sent, wrong
}

// losesNoFrame changes something while two VMs send each other a thousand frames in a
// second, and counts them at the receiver.
//
// A machine that has no time for vswitchd loses frames at vswitchd's sockets. What the
// change loses, it loses every time: one round without any loss shows that it is none.
func losesNoFrame(t *testing.T, what string, a, b *ovstest.Probe, rounds int, change func(round int, flow func())) {
	t.Helper()
	for round := range rounds {
		name := fmt.Sprintf("%s, round %d, ", what, round+1)
		streams := []*stream{newStream(t, name+"a to b", a, b), newStream(t, name+"b to a", b, a)}
		change(round+1, streams[0].flow)
		lost := 0
		for _, s := range streams {
			sent, wrong := s.end()
			t.Logf("%s: of %d frames these have not come once: %v", s.name, sent, wrong)
			lost += len(wrong)
		}
		if lost == 0 {
			return
		}
	}
	t.Fatalf("%s: frames are lost in each of %d rounds", what, rounds)
}

// oldBridge makes an Open vSwitch in a namespace of its own with a bridge that
// isonet did not make and two VMs on it, and starts isonetd.
func (h *host) oldBridge() (namespace string, vms []*ovstest.VM) {
	h.Helper()
	namespace = ovstest.Namespace(h)
	h.ovs = ovstest.Start(h, ovstest.InNamespace(namespace))
	h.ovs.Vsctl("add-br", "br-old", "--", "set", "Bridge", "br-old", "datapath_type="+ovstest.Datapath(), "external_ids:theirs=1")
	for i, name := range []string{"vm-a", "vm-b"} {
		vm := h.ovs.NewVM(name, fmt.Sprintf("10.0.0.%d/24", i+1))
		h.ovs.Plug(vm, "br-old")
		h.ovs.OFPort(name)
		vms = append(vms, vm)
	}
	return namespace, vms
}

// red waits until the network red is as it must be.
func (h *host) red(what string, check func(network map[string]any) error) {
	h.Helper()
	ovstest.Eventually(h, what, func() error {
		networks, _ := h.must("GET", "/isonet/status", "")["networks"].([]any)
		if len(networks) != 1 {
			return fmt.Errorf("networks %v", networks)
		}
		network, _ := networks[0].(map[string]any)
		return check(network)
	})
}

// published waits until Open vSwitch has published that it received so many
// frames from a port.
func (h *host) published(device string, least int) {
	h.Helper()
	ovstest.Eventually(h, "the frames are published", func() error {
		n, err := strconv.Atoi(h.ovs.Vsctl("--no-wait", "get", "Interface", device, "statistics:rx_packets"))
		if err != nil || n < least {
			return fmt.Errorf("%d frames: %w", n, err)
		}
		return nil
	})
}

// unguarded waits until the host guard has let go of a device.
func (h *host) unguarded(namespace, device string) {
	h.Helper()
	ovstest.Eventually(h, "the guard lets go", func() error {
		out, err := exec.CommandContext(h.Context(), "ip", "netns", "exec", namespace, "nft", "list", "ruleset").CombinedOutput()
		if err != nil || strings.Contains(string(out), device) {
			return fmt.Errorf("%w: rules %s", err, out)
		}
		return nil
	})
}

func (h *host) guarded() {
	h.Helper()
	h.red("the network is guarded", func(network map[string]any) error {
		isolation, _ := network["isolation"].(map[string]any)
		guard, _ := isolation["host_guard"].(map[string]any)
		if guard["state"] != "guarded" || isolation["isolated"] != true {
			return fmt.Errorf("isolation %v", isolation)
		}
		return nil
	})
}

// TestAdoptionAndReleaseLoseNoFrame takes a bridge over and gives it back while
// its VMs send each other a thousand frames in a second.
func TestAdoptionAndReleaseLoseNoFrame(t *testing.T) {
	const rounds = 5
	h := newHost(t, nil)
	namespace, vms := h.oldBridge()
	isonetd := program(t)
	stop := h.isonetd(isonetd, namespace)
	losesNoFrame(t, "adoption", vms[0].Probe(), vms[1].Probe(), rounds, func(round int, flow func()) {
		flow()
		adopted := h.must("POST", "/isonet/adopt", `{"bridge":"br-old","network":"red"}`)
		if adopted["created"] != (round == 1) || adopted["mtu"] != float64(1500) {
			t.Errorf("adoption: %v", adopted)
		}
		h.guarded()
		flow()
		if released := h.must("POST", "/isonet/release", `{"network":"red"}`); released["bridge"] != "br-old" {
			t.Errorf("release: %v", released)
		}
		h.unguarded(namespace, "vm-a")
		flow()
	})
	// A restart does not bring the bridge back.
	stop()
	h.isonetd(isonetd, namespace)
	if got := h.ovs.Vsctl("get", "Bridge", "br-old", "external_ids"); got != `{theirs="1"}` {
		t.Errorf("external_ids of the released bridge are %s", got)
	}
	if networks := h.list("/networks", "network"); len(networks) != 1 {
		t.Errorf("networks after the release: %v", networks)
	}
	if status, fault := h.call("POST", "/isonet/release", `{"network":"red"}`); status != http.StatusConflict {
		t.Errorf("a second release: %d %v", status, fault)
	}
}

// TestAnAdoptedBridgeCountsFromZero sends frames before and after the adoption.
func TestAnAdoptedBridgeCountsFromZero(t *testing.T) {
	h := newHost(t, nil)
	namespace, vms := h.oldBridge()
	a, b := vms[0].Probe(), vms[1].Probe()
	h.isonetd(program(t), namespace)
	const before, after = 5000, 7
	b.SendTo(a.MAC, "learn", 1)
	a.Await("learn")
	a.SendTo(b.MAC, "before", before)
	h.published("vm-a", before)
	h.must("POST", "/isonet/adopt", `{"bridge":"br-old","network":"red"}`)
	a.SendTo(b.MAC, "after", after)
	h.red("the frames after the adoption are counted", func(network map[string]any) error {
		traffic, _ := network["traffic"].(map[string]any)
		total, _ := traffic["total"].(map[string]any)
		// The VMs' kernels say something of their own now and then.
		n, _ := total["transmitted_packets"].(float64)
		if n < after {
			return fmt.Errorf("traffic %v", traffic)
		}
		if n >= before {
			t.Errorf("the network counts %.0f frames, the %d before its adoption too", n, before)
		}
		return nil
	})
}

// TestARefusedAdoptionLeavesNothing asks for a bridge with all kinds of things
// on it.
func TestARefusedAdoptionLeavesNothing(t *testing.T) {
	h := newHost(t, nil)
	h.ovs.Vsctl("add-br", "br-old", "--", "set", "Bridge", "br-old", "datapath_type="+ovstest.Datapath(), "stp_enable=true", "mcast_snooping_enable=true", "external_ids:theirs=1",
		"--", "set-controller", "br-old", "ptcp:0:127.0.0.1", "--", "--may-exist", "add-port", "br-old", "patch1",
		"--", "set", "Interface", "patch1", "type=patch", "options:peer=nowhere")
	h.start()
	before := h.ovs.Vsctl("list", "Bridge", "br-old")
	adoption := `{"bridge":"br-old","network":"red"}`
	status, fault := h.call("POST", "/isonet/adopt", adoption)
	detail := fmt.Sprint(fault["detail"])
	for _, says := range []string{
		"port 'patch1': its type is patch (patch_port): unplug it ('ovs-vsctl del-port br-old patch1')", "'ovs-vsctl clear Bridge br-old controller'",
		"'ovs-vsctl set Bridge br-old stp_enable=false'", "'ovs-vsctl set Bridge br-old mcast_snooping_enable=false'",
	} {
		if status != http.StatusConflict || !strings.Contains(detail, says) {
			t.Errorf("%d %s, want 409 with %q", status, detail, says)
		}
	}
	// What only the loop can see makes it take the adoption back.
	h.ovs.Vsctl("del-controller", "br-old", "--", "set", "Bridge", "br-old", "stp_enable=false", "mcast_snooping_enable=false", "--", "del-port", "patch1")
	ovstest.Eventually(t, "the flows are refused", func() error {
		if out, err := h.ovs.OfctlCommand("add-flow", "br-old", "priority=7,actions=LOCAL").CombinedOutput(); err != nil {
			t.Fatalf("add a flow: %v\n%s", err, out)
		}
		status, fault = h.call("POST", "/isonet/adopt", adoption)
		if detail := fmt.Sprint(fault["detail"]); status != http.StatusConflict || !strings.Contains(detail, "flows of its own: flows that isonet did not make or that were changed: 1") {
			return fmt.Errorf("%d %s", status, detail)
		}
		return nil
	})
	if networks := h.list("/networks", "network"); len(networks) > 0 {
		t.Errorf("networks %v", networks)
	}
	if out, err := h.ovs.OfctlCommand("del-flows", "br-old", "priority=7", "--strict").CombinedOutput(); err != nil {
		t.Fatalf("remove the flow: %v\n%s", err, out)
	}
	after := h.ovs.Vsctl("get", "Bridge", "br-old", "external_ids")
	if after != `{theirs="1"}` || !strings.Contains(before, after) {
		t.Errorf("external_ids of the bridge are %s", after)
	}
	h.must("POST", "/isonet/adopt", adoption)
}
