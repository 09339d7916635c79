package packets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// guest is a VM that tries to reach the host, which talks to it as well.
type guest struct {
	*world
	vm *ovstest.VM
	// atVM and atHost are on the two ends of the VM's device.
	atVM, atHost *ovstest.Probe
}

// fromHost are the frames that the host's network stack sent, from any device that
// was there when the guest was made.
const fromHost = "frames of the host"

// newGuest makes a VM on whose device the host talks IPv6, as it does when nobody
// cared.
func (w *world) newGuest(n int) *guest {
	w.Helper()
	g := &guest{world: w, vm: w.ovs.NewVM(w.name("vm"), fmt.Sprintf("10.78.0.%d/24", n))}
	g.sysctl(g.vm.Device, "0")
	g.atVM, g.atHost = g.vm.Probe(), ovstest.NewProbe(w, thisHost(), g.vm.Device)
	devices, err := net.Interfaces()
	if err != nil {
		w.Fatal(err)
	}
	g.atVM.Watch(fromHost, func(frame []byte) bool {
		host := len(frame) > 12 && slices.ContainsFunc(devices, func(i net.Interface) bool { return bytes.Equal(frame[6:12], i.HardwareAddr) })
		return host && !bytes.Contains(frame, ovstest.FrameSource())
	})
	return g
}

// sysctl writes disable_ipv6 of a device.
func (w *world) sysctl(device, value string) {
	w.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6", []byte(value), 0o600); err != nil {
		w.Fatal(err)
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
	_ = g.vm.Command("sh", "-c", g.attempts()).Run() // an answer shows in the frames
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

// attempts are commands by which the VM tries to reach the host, also in a VLAN.
func (g *guest) attempts() string {
	return "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.accept_dad=0; " +
		"ip link add link eth0 name tagged type vlan id 7 2>/dev/null && ip link set tagged up; " +
		"ip neigh flush dev eth0; ping -c1 -W0.2 " + hostAddress + "; " + pingTagged + "; " +
		fmt.Sprintf("ping -6 -c1 -W0.2 %s%%eth0; timeout 0.3 bash -c 'exec 3<>/dev/tcp/%s%%eth0/80'", g.linkLocal(), g.linkLocal())
}

// pingTagged is what the VM tries in the VLAN.
const pingTagged = "ip neigh flush dev tagged; ping -I tagged -c1 -W0.2 " + hostAddress

// besieged shows that the host stays out of the VM's reach while something happens:
// the VM tries all the time.
func (g *guest) besieged(do func()) {
	g.Helper()
	before := g.atVM.Count(fromHost)
	siege, err := ovstest.StartProcess(g.vm.Command("sh", "-c", "while :; do "+g.attempts()+"; done"))
	if err != nil {
		g.Fatal(err)
	}
	do()
	n := g.heard() - before
	siege.Kill()
	if n != 0 {
		g.Errorf("the VM got %d frames of the host meanwhile", n)
	}
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

// stack stacks a device on another one. The kernel's datapath leaves room for a VLAN
// only, which gets its frames first.
func (w *world) stack(device string) {
	w.Helper()
	kind := map[string]string{ovstest.Userspace: "macvlan", ovstest.Kernel: "vlan id 7"}[ovstest.Datapath()]
	w.device(w.name("on"), "link "+device+" type "+kind)
}

// removeDatapath removes the kernel's datapath, as only an operator does.
func (w *world) removeDatapath() {
	w.Helper()
	if out, err := exec.CommandContext(context.Background(), "ovs-dpctl", "del-dp", "system@ovs-system").CombinedOutput(); err != nil {
		w.Fatalf("ovs-dpctl: %v\n%s", err, out)
	}
}

// settled waits until the guard has done what it does about the kernel's events.
// Closed says that the device is on no network of the kernel's datapath, so that no
// frame at all is to get in.
func (g *guest) settled(when string, closed bool) {
	g.Helper()
	rules := []string{"iif @guarded drop", "oif @guarded drop", fmt.Sprintf("%q", g.vm.Device)}
	if closed || ovstest.Datapath() == ovstest.Userspace {
		rules = append(rules,
			fmt.Sprintf("hook ingress device %q priority -500; policy drop", g.vm.Device), fmt.Sprintf("hook egress device %q priority -500; policy drop", g.vm.Device),
			"meta rtclassid != 4294967295 return", "meta skuid != 4294967295 accept")
	}
	ovstest.Eventually(g, when+": the guard is on the device", func() error {
		out := g.guardRules()
		ipv6, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + g.vm.Device + "/disable_ipv6")
		if err != nil {
			return err
		}
		for _, rule := range rules {
			if !strings.Contains(out, rule) {
				return fmt.Errorf("no %q in %s", rule, out)
			}
		}
		if strings.TrimSpace(string(ipv6)) != "1" || strings.Contains(out, "flags dormant") {
			return fmt.Errorf("disable_ipv6 is %s, and the rules are %s", ipv6, out)
		}
		return nil
	})
}

// guardRules returns the rules of the guard, which are all there are.
func (w *world) guardRules() string {
	w.Helper()
	out, err := exec.CommandContext(context.Background(), "nft", "list", "ruleset").CombinedOutput()
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
	if ovstest.Datapath() == ovstest.Kernel {
		w.stack(control.vm.Device)
		ovstest.Eventually(w, "what nobody guards is heard in a VLAN too", func() error {
			before := control.atVM.Count(fromHost)
			_ = control.vm.Command("sh", "-c", pingTagged).Run() // an answer shows in the frames
			if control.atVM.Count(fromHost) == before {
				return errors.New("it is not")
			}
			return nil
		})
	}
	for _, test := range []struct {
		name string
		do   func(s *side, g *guest)
		// closed says that the VM's device is cut off afterwards, out that it is on no
		// network.
		closed, out bool
		// window says that it takes the guard a moment to put it right.
		window bool
		// userspace says that the kernel's datapath does not allow it.
		userspace bool
	}{
		{name: "something is stacked on its device", closed: true, window: true, do: func(s *side, g *guest) {
			s.stack(g.vm.Device)
			s.until("quarantined", quarantined)
		}},
		{name: "a Linux bridge takes its device", closed: true, window: true, userspace: true, do: func(s *side, g *guest) {
			bridge := s.name("br")
			s.device(bridge, "type bridge")
			s.ip("link set " + g.vm.Device + " master " + bridge)
			s.until("quarantined", quarantined)
		}},
		{name: "its port is removed", closed: true, out: true, do: func(s *side, g *guest) {
			s.ovs.Vsctl("del-port", g.vm.Device)
		}},
		{name: "its bridge is removed", do: func(s *side, _ *guest) { s.ovs.Vsctl("del-br", s.bridge) }},
		{name: "its bridge and all others are removed", do: func(s *side, _ *guest) {
			s.ovs.Vsctl("clear", "Open_vSwitch", ".", "bridges")
		}},
		{name: "its network is detached by force", closed: true, out: true, do: func(s *side, _ *guest) {
			s.call("POST", s.host+"/setupnetworks?force=true", fmt.Sprintf(
				`{"removed_network_attachments":{"network_attachment":[{"network":{"id":%q}}]}}`, s.id))
		}},
		{name: "vswitchd dies, and its datapath is removed", do: func(s *side, g *guest) {
			w.ovs.StopVSwitchd()
			if ovstest.Datapath() == ovstest.Kernel {
				g.apart("while the datapath is there")
				s.removeDatapath()
			}
			g.apart("without vswitchd")
			w.ovs.StartVSwitchd()
		}},
		{name: "the devices of its bridge and its datapath are up", do: func(s *side, _ *guest) {
			for _, device := range []string{s.bridge, "ovs-" + ovstest.Datapath()} {
				s.sysctl(device, "0")
				s.ip("link set " + device + " up")
			}
		}},
		{name: "the rules are flushed", window: true, do: func(s *side, _ *guest) { s.nft("flush table inet isonet") }},
		{name: "the ruleset is flushed", window: true, do: func(s *side, _ *guest) { s.nft("flush ruleset") }},
		{name: "the table is made dormant", window: true, do: func(s *side, _ *guest) { s.nft("add table inet isonet { flags dormant ; }") }},
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
		if test.userspace && ovstest.Datapath() != ovstest.Userspace {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			s := w.For(t).network()
			g := s.newGuest(2)
			s.ovs.Plug(g.vm, s.bridge)
			s.until("guarded with the guest", func(n wire.NetworkStatus, _ []wire.Event) bool {
				guard := n.Isolation.HostGuard
				return len(n.Ports) == 3 && n.Isolation.Isolated && guard != nil && guard.State == string(report.Guarded)
			})
			do := func() {
				test.do(s, g)
				s.applied()
				g.settled("after", test.closed)
			}
			if test.window {
				do()
			} else {
				g.besieged(do)
			}
			g.apart("after")
			if !test.out {
				s.until("guarded afterwards", func(n wire.NetworkStatus, _ []wire.Event) bool {
					guard := n.Isolation.HostGuard
					return guard != nil && guard.State == string(report.Guarded)
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
	s.stack(g.vm.Device)
	s.ovs.Plug(g.vm, s.bridge)
	s.until("quarantined", quarantined)
	g.settled("stacked", true)
	g.apart("stacked")
	s.ovs.Vsctl("del-port", g.vm.Device)
	s.applied()
	g.settled("unplugged", true)
	g.apart("unplugged")
	s.call("POST", "/isonet/guard/release", fmt.Sprintf(`{"device":%q}`, g.vm.Device))
	if g.heard() == 0 {
		t.Error("a device that was released is guarded")
	}
	// Another program takes a device: it is guarded no longer.
	third := s.newGuest(3)
	s.ovs.Plug(third.vm, s.bridge)
	third.settled("plugged in", false)
	s.ovs.Vsctl("del-port", third.vm.Device)
	s.applied()
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
			if strings.Contains(rules, fmt.Sprintf("%q", device)) {
				return fmt.Errorf("%s is: %s", device, rules)
			}
		}
		return nil
	})
	if !strings.Contains(s.guardRules(), fmt.Sprintf("%q", s.a.Device)) {
		t.Errorf("a VM is not guarded: %s", s.guardRules())
	}
}

func quarantined(n wire.NetworkStatus, _ []wire.Event) bool {
	for _, f := range n.Isolation.Findings {
		if f.Quarantined {
			return true
		}
	}
	return false
}
