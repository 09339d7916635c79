package packets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/reconcile"
)

// guest is a VM that tries to reach the host, which talks to it as well.
type guest struct {
	*world
	vm *ovstest.VM
	// atVM and atHost are on the two ends of the VM's device.
	atVM, atHost *ovstest.Probe
}

// fromHost are the frames that the host's network stack sent.
const fromHost = "frames of the host"

// newGuest makes a VM on whose device the host talks IPv6, as it does when nobody
// cared.
func (w *world) newGuest(n int) *guest {
	w.Helper()
	g := &guest{world: w, vm: w.ovs.NewVM(w.name("vm"), fmt.Sprintf("10.78.0.%d/24", n))}
	g.sysctl(g.vm.Device, "0")
	g.atVM, g.atHost = g.vm.Probe(), ovstest.NewProbe(w, thisHost(), g.vm.Device)
	mac := g.atHost.MAC
	g.atVM.Watch(fromHost, func(frame []byte) bool {
		return len(frame) > 12 && bytes.Equal(frame[6:12], mac) && !bytes.Contains(frame, ovstest.FrameSource())
	})
	return g
}

// sysctl writes disable_ipv6 of a device.
func (g *guest) sysctl(device, value string) {
	g.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6", []byte(value), 0o600); err != nil {
		g.Fatal(err)
	}
}

// linkLocal is the address that the host gives itself on the device.
func (g *guest) linkLocal() net.IP {
	m := g.atHost.MAC
	return net.IP{0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}
}

// heard returns how many frames of the host the VM has got after all of them have
// tried everything: the VM ARP, a ping and HTTP, the host what it says by itself
// and what a program makes it say.
func (g *guest) heard() int {
	g.Helper()
	inVM := func(script string) { // an answer shows in the frames
		_ = g.vm.Command("sh", "-c", script).Run()
	}
	inVM("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.accept_dad=0")
	inVM("ip neigh flush dev eth0; ping -c1 -W0.2 " + hostAddress)
	inVM(fmt.Sprintf("ping -6 -c1 -W0.2 %s%%eth0", g.linkLocal()))
	inVM(fmt.Sprintf("timeout 0.3 bash -c 'exec 3<>/dev/tcp/%s%%eth0/80'", g.linkLocal()))
	g.talk()
	// The VM's frame comes after all that it has sent, and the host's after its
	// answers.
	first, last := g.name("barrier"), g.name("barrier")
	ovstest.Eventually(g, "frames pass the device both ways", func() error {
		if g.atHost.Count(first) == 0 {
			g.atVM.Broadcast(first, 1)
			return errors.New("none has come to the host")
		}
		if g.atVM.Count(last) == 0 {
			g.atHost.Broadcast(last, 1)
			return errors.New("none has come to the VM")
		}
		return nil
	})
	return g.atVM.Count(fromHost)
}

// talk makes a program of the host send a broadcast and ask by ARP on the device.
func (g *guest) talk() {
	g.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.BindToDevice(int(fd), g.vm.Device))
		})
		return errors.Join(err, failed)
	}}
	for _, to := range []string{"255.255.255.255:9", "198.51.100.7:9"} {
		conn, err := dialer.DialContext(context.Background(), "udp4", to)
		if err == nil {
			_, _ = conn.Write([]byte("from the host")) // whether it may is the question
			err = conn.Close()
		}
		if err != nil {
			g.Logf("the host does not talk to %s: %v", to, err)
		}
	}
}

// hostAddress is an address of the host for which Linux answers on every device.
const hostAddress = "10.78.0.254"

// apart shows that nothing passed between the host and the VM.
func (g *guest) apart(when string) {
	g.Helper()
	before := g.atVM.Count(fromHost)
	if n := g.heard() - before; n != 0 {
		g.Errorf("%s: the VM got %d frames of the host", when, n)
	}
	if got, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + g.vm.Device + "/disable_ipv6"); err != nil || strings.TrimSpace(string(got)) != "1" {
		g.Errorf("%s: disable_ipv6 is %q: %v", when, got, err)
	}
}

func (w *world) nft(command string) {
	w.Helper()
	if out, err := exec.CommandContext(context.Background(), "nft", command).CombinedOutput(); err != nil {
		w.Fatalf("nft %s: %v\n%s", command, err, out)
	}
}

// settled waits until the guard has done what it does about the kernel's events.
func (g *guest) settled(when string) {
	g.Helper()
	ovstest.Eventually(g, when+": the guard is on the device", func() error {
		out, err := exec.CommandContext(context.Background(), "nft", "list", "table", "netdev", "isonet").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		ipv6, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + g.vm.Device + "/disable_ipv6")
		if err != nil {
			return err
		}
		for _, rule := range []string{
			fmt.Sprintf("hook ingress device %q priority -500; policy drop", g.vm.Device), fmt.Sprintf("hook egress device %q priority -500; policy drop", g.vm.Device),
			"meta rtclassid != 4294967295 return", "meta skuid != 4294967295 accept",
		} {
			if !strings.Contains(string(out), rule) {
				return fmt.Errorf("no %q in %s", rule, out)
			}
		}
		if strings.TrimSpace(string(ipv6)) != "1" || bytes.Contains(out, []byte("flags dormant")) {
			return fmt.Errorf("disable_ipv6 is %s, and the rules are %s", ipv6, out)
		}
		return nil
	})
}

// guardRules returns the rules of the guard.
func (w *world) guardRules() string {
	w.Helper()
	out, err := exec.CommandContext(context.Background(), "nft", "list", "tables").CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("netdev isonet")) {
		out, err = exec.CommandContext(context.Background(), "nft", "list", "table", "netdev", "isonet").CombinedOutput()
	}
	if err != nil {
		w.Fatalf("nft: %v\n%s", err, out)
	}
	return string(out)
}

// The host and a VM stay apart whatever happens to the VM's port, to its bridge
// and to the guard itself.
func TestTheHostStaysOut(t *testing.T) {
	w := newWorld(t, 30_000)
	w.ip("address add " + hostAddress + "/32 dev lo")
	w.Cleanup(func() { w.ip("address delete " + hostAddress + "/32 dev lo") })
	control := w.newGuest(1)
	ovstest.Eventually(w, "a host that nobody guards is heard", func() error {
		if control.heard() == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	for _, test := range []struct {
		name string
		do   func(s *side, g *guest)
		// out says that the VM is on no network afterwards.
		out bool
	}{
		{name: "a macvlan is stacked on its device", do: func(s *side, g *guest) {
			s.device(s.name("mv"), "link "+g.vm.Device+" type macvlan")
			s.until("quarantined", quarantined)
		}},
		{name: "a Linux bridge takes its device", do: func(s *side, g *guest) {
			bridge := s.name("br")
			s.device(bridge, "type bridge")
			s.ip("link set " + g.vm.Device + " master " + bridge)
			s.until("quarantined", quarantined)
		}},
		{name: "its port is removed", out: true, do: func(s *side, g *guest) { s.ovs.Vsctl("del-port", g.vm.Device) }},
		{name: "its bridge is removed", do: func(s *side, _ *guest) { s.ovs.Vsctl("del-br", s.bridge) }},
		{name: "its bridge and all others are removed", do: func(s *side, _ *guest) { s.ovs.Vsctl("clear", "Open_vSwitch", ".", "bridges") }},
		{name: "its network is detached by force", out: true, do: func(s *side, _ *guest) {
			s.call("POST", s.host+"/setupnetworks?force=true", fmt.Sprintf(
				`{"removed_network_attachments":{"network_attachment":[{"network":{"id":%q}}]}}`, s.id))
		}},
		{name: "the rules are flushed", do: func(s *side, _ *guest) { s.nft("flush table netdev isonet") }},
		{name: "the ruleset is flushed", do: func(s *side, _ *guest) { s.nft("flush ruleset") }},
		{name: "the table is made dormant", do: func(s *side, _ *guest) { s.nft("add table netdev isonet { flags dormant ; }") }},
		{name: "its MTU is below that of IPv6 for a while", do: func(_ *side, g *guest) {
			for _, mtu := range []string{"1200", "1400"} {
				g.ip("link set " + g.vm.Device + " mtu " + mtu)
			}
		}},
		{name: "IPv6 is switched on for its device", do: func(_ *side, g *guest) { g.sysctl(g.vm.Device, "0") }},
		{name: "IPv6 is switched on for all devices", do: func(_ *side, g *guest) {
			g.sysctl("all", "1")
			g.sysctl("all", "0")
		}},
		{name: "its device is renamed", do: func(_ *side, g *guest) {
			other := g.name("as")
			g.ip("link set " + g.vm.Device + " down")
			g.ip("link set " + g.vm.Device + " name " + other)
			g.ip("link set " + other + " up")
			g.Cleanup(func() { g.ip("link set " + other + " name " + g.vm.Device) })
			renamed := *g.vm
			renamed.Device = other
			g.vm = &renamed
		}, out: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := w.For(t).network()
			g := s.newGuest(2)
			s.ovs.Plug(g.vm, s.bridge)
			s.until("guarded with the guest", func(n api.NetworkStatus, _ []api.IsolationEvent) bool {
				guard := n.Isolation.HostGuard
				return len(n.Ports) == 3 && n.Isolation.Isolated && guard != nil && guard.State == reconcile.Guarded
			})
			g.apart("before")
			test.do(s, g)
			s.applied()
			g.settled("after")
			g.apart("after")
			if !test.out {
				s.until("guarded afterwards", func(n api.NetworkStatus, _ []api.IsolationEvent) bool {
					guard := n.Isolation.HostGuard
					return guard != nil && guard.State == reconcile.Guarded
				})
			}
		})
	}
}

// A device that isonet never lets onto the network is a VM's all the same, unless
// the host uses it itself: a host that is a container has a veth for a NIC.
func TestTheGuardOfDevicesThatAreNoMembers(t *testing.T) {
	w := newWorld(t, 40_000)
	w.ip("address add " + hostAddress + "/32 dev lo")
	w.Cleanup(func() { w.ip("address delete " + hostAddress + "/32 dev lo") })
	s := w.network()
	g := s.newGuest(2)
	if g.heard() == 0 {
		t.Error("a host that nobody guards is not heard")
	}
	s.device(s.name("mv"), "link "+g.vm.Device+" type macvlan")
	s.ovs.Plug(g.vm, s.bridge)
	s.until("quarantined", quarantined)
	g.settled("stacked")
	g.apart("stacked")
	s.ovs.Vsctl("del-port", g.vm.Device)
	s.applied()
	g.settled("unplugged")
	g.apart("unplugged")
	s.call("POST", "/isonet/guard/release", fmt.Sprintf(`{"device":%q}`, g.vm.Device))
	if g.heard() == 0 {
		t.Error("a device that was released is guarded")
	}
	// Another program takes a device: it is guarded no longer.
	third := s.newGuest(3)
	s.ovs.Plug(third.vm, s.bridge)
	third.settled("plugged in")
	s.ovs.Vsctl("del-port", third.vm.Device)
	bridge := s.name("br")
	s.device(bridge, "type bridge")
	s.ip("link set " + third.vm.Device + " master " + bridge)
	// The host's own.
	nic, far := s.name("nic"), s.name("far")
	s.device(nic, "type veth peer name "+far)
	s.up(far)
	s.ip("address add 198.51.100.1/24 dev " + nic)
	s.ovs.Vsctl("add-port", s.bridge, nic)
	s.judged(isolation.VethInHost)
	ovstest.Eventually(t, "neither is guarded", func() error {
		rules := s.guardRules()
		for _, device := range []string{nic, third.vm.Device} {
			if strings.Contains(rules, fmt.Sprintf("device %q", device)) {
				return fmt.Errorf("%s is: %s", device, rules)
			}
		}
		return nil
	})
	if !strings.Contains(s.guardRules(), fmt.Sprintf("device %q", s.a.Device)) {
		t.Errorf("a VM is not guarded: %s", s.guardRules())
	}
}

func quarantined(n api.NetworkStatus, _ []api.IsolationEvent) bool {
	for _, f := range n.Isolation.Findings {
		if f.Quarantined {
			return true
		}
	}
	return false
}
