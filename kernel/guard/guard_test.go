package guard

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for a frame, in seconds.
const patience = 60

// The addresses of the host outside of the isolated network, and of somebody
// whom it reaches there.
const (
	hostAddress    = "192.0.2.1"
	outsideAddress = "192.0.2.2"
)

// barrier is an EtherType that only these tests use (local experimental, IEEE
// 802).
const barrier = 0x88b5

// run runs a command in a namespace.
func run(t testing.TB, namespace string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", namespace}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s in %s: %v\n%s", args, namespace, err, out)
	}
	return string(out)
}

func ip(t testing.TB, namespace, args string) {
	t.Helper()
	run(t, namespace, append([]string{"ip"}, strings.Fields(args)...)...)
}

// mac returns the MAC address of a device.
func mac(t testing.TB, namespace, device string) net.HardwareAddr {
	t.Helper()
	var address net.HardwareAddr
	ovstest.Inside(t, namespace, func() error {
		link, err := netlink.LinkByName(device)
		if err == nil {
			address = link.Attrs().HardwareAddr
		}
		return err
	})
	return address
}

// station sends and receives Ethernet frames.
type station struct {
	name string
	mac  net.HardwareAddr
	fd   int
	tap  bool // fd is a tap's and not a packet socket
}

// listen opens a packet socket on eth0, as a VM or as somebody outside.
func listen(t testing.TB, namespace string) *station {
	t.Helper()
	s := &station{name: namespace, mac: mac(t, namespace, "eth0")}
	ovstest.Inside(t, namespace, func() error {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		protocol := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol)); err != nil {
			return err
		}
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: i.Index})
	})
	s.prepare(t)
	return s
}

// plugTap makes a tap in the host, whose other side is the VM, as QEMU does.
func plugTap(t testing.TB, host, device string) *station {
	t.Helper()
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: device}, Mode: netlink.TUNTAP_MODE_TAP, NonPersist: true,
		Queues: 1, Flags: netlink.TUNTAP_NO_PI,
	}
	ovstest.Inside(t, host, func() error {
		if err := netlink.LinkAdd(tap); err != nil {
			return err
		}
		return netlink.LinkSetUp(tap)
	})
	s := &station{name: device, tap: true, mac: net.HardwareAddr{2, 0, 0, 0, 0, 9}}
	var err error
	if s.fd, err = unix.Dup(int(tap.Fds[0].Fd())); err != nil {
		t.Fatalf("dup: %v", err)
	}
	if err := tap.Fds[0].Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := unix.SetNonblock(s.fd, true); err != nil {
		t.Fatalf("tap: %v", err)
	}
	s.prepare(t)
	return s
}

func (s *station) prepare(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if err := unix.Close(s.fd); err != nil {
			t.Errorf("close %s: %v", s.name, err)
		}
	})
}

// send sends a frame from the station to a MAC address.
func (s *station) send(t testing.TB, to net.HardwareAddr, etherType uint16, payload []byte) {
	t.Helper()
	frame := slices.Concat(to, s.mac, binary.BigEndian.AppendUint16(nil, etherType), payload, make([]byte, 46))
	if _, err := unix.Write(s.fd, frame); err != nil {
		t.Fatalf("%s sends: %v", s.name, err)
	}
}

// receive returns the next frame that came to the station.
func (s *station) receive(t testing.TB) []byte {
	t.Helper()
	for {
		polled := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(polled, patience*1000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("%s receives nothing: %v", s.name, err)
		}
		buffer := make([]byte, 64<<10)
		if s.tap {
			n, err = unix.Read(s.fd, buffer)
		} else {
			var from unix.Sockaddr
			n, from, err = unix.Recvfrom(s.fd, buffer, 0)
			if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
				continue
			}
		}
		if err != nil {
			t.Fatalf("%s receives: %v", s.name, err)
		}
		return buffer[:n]
	}
}

// until returns the frames that come to the station until one does that the
// condition holds for, which is the last.
func (s *station) until(t testing.TB, what string, condition func(frame []byte) bool) [][]byte {
	t.Helper()
	timeout := time.Now().Add(patience * time.Second)
	var frames [][]byte
	for {
		frame := s.receive(t)
		frames = append(frames, frame)
		if condition(frame) {
			return frames
		}
		if time.Now().After(timeout) {
			t.Fatalf("%s: no %s in %d s, but %x", s.name, what, patience, frames)
		}
	}
}

func broadcast() net.HardwareAddr {
	return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
}

// lab is a host with an isolated network on Open vSwitch's userspace datapath,
// and a network outside that the host routes to.
type lab struct {
	t           *testing.T
	host        string
	private     *ovstest.OVS
	vm1, vm2    string // namespaces behind h1 and h2
	outsideNS   string
	vm, peer    *station
	outside     *station
	barriers    byte
	guard       *Guard
	log         *bytes.Buffer
	memberNames []string
	// inKernel says that the devices are guarded as those of the kernel's datapath
	// are. The userspace one gets along with those rules too.
	inKernel bool
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		t: t, host: ovstest.Namespace(t), vm1: ovstest.Namespace(t), vm2: ovstest.Namespace(t), outsideNS: ovstest.Namespace(t),
		log: &bytes.Buffer{}, memberNames: []string{"h1", "h2"},
	}
	l.guard = New(slog.New(slog.NewTextHandler(l.log, nil)))
	l.private = ovstest.Start(t, ovstest.InNamespace(l.host))
	l.private.Vsctl("add-br", "iso", "--", "set", "bridge", "iso", "datapath_type="+ovstest.Datapath())
	run(t, l.host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.default.disable_ipv6=0")
	ip(t, l.host, "link add up0 type veth peer name eth0 netns "+l.outsideNS)
	ip(t, l.host, "link set up0 up")
	ip(t, l.outsideNS, "link set eth0 up")
	ip(t, l.host, "address add "+hostAddress+"/24 dev up0")
	l.outside = listen(t, l.outsideNS)
	ip(t, l.host, "neigh replace "+outsideAddress+" dev up0 lladdr "+l.outside.mac.String())
	l.plug("h1", l.vm1)
	l.plug("h2", l.vm2)
	l.vm, l.peer = listen(t, l.vm1), listen(t, l.vm2)
	l.barrier()
	return l
}

// plug gives a VM a NIC.
func (l *lab) plug(device, vm string) {
	l.t.Helper()
	run(l.t, vm, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1") // a VM that is silent but for the tests
	ip(l.t, l.host, "link add "+device+" type veth peer name eth0 netns "+vm)
	ip(l.t, vm, "link set eth0 up")
	ip(l.t, l.host, "link set "+device+" up")
	l.private.Vsctl("--may-exist", "add-port", "iso", device)
	index := strings.TrimSpace(run(l.t, l.host, "cat", "/sys/class/net/"+device+"/ifindex"))
	ovstest.Eventually(l.t, "Open vSwitch takes the device", func() error {
		if got := l.private.Vsctl("--columns=ifindex,link_state", "--format=csv", "--no-headings", "list", "interface", device); got != index+",up" {
			return fmt.Errorf("it says %q of ifindex %s", got, index)
		}
		return nil
	})
}

// unplug takes a VM's NIC away, port and device.
func (l *lab) unplug(device string) {
	l.t.Helper()
	l.private.Vsctl("del-port", device)
	ip(l.t, l.host, "link del "+device)
}

// barrier sends a frame from the peer to the VM through the bridge, and returns
// what the VM received before it: all that the host answered to what the VM
// sent earlier, since the host answers at once.
func (l *lab) barrier() [][]byte {
	l.t.Helper()
	l.barriers++
	mark := []byte{l.barriers, 'V', 'M'}
	// The other way first: then what the VM sent is through.
	l.vm.send(l.t, broadcast(), barrier, mark)
	is := func(frame []byte) bool { return bytes.HasPrefix(frame[12:], append([]byte{0x88, 0xb5}, mark...)) }
	l.peer.until(l.t, "barrier", is)
	l.peer.send(l.t, l.vm.mac, barrier, mark) // unicast this time
	frames := l.vm.until(l.t, "barrier", is)
	return frames[:len(frames)-1]
}

// from returns the frames of a sender.
func from(sender net.HardwareAddr, frames [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(frames), func(f []byte) bool { return !bytes.Equal(f[6:12], sender) })
}

// askARP makes the VM ask for the MAC address of the host outside.
func askARP(t testing.TB, s *station) {
	t.Helper()
	s.send(t, broadcast(), unix.ETH_P_ARP, slices.Concat(
		[]byte{0, 1, 8, 0, 6, 4, 0, 1}, s.mac, []byte{192, 0, 2, 77}, make([]byte, 6), netip.MustParseAddr(hostAddress).AsSlice()))
}

// ask6 makes the VM solicit a link-local address of the host.
func ask6(t testing.TB, s *station, to net.HardwareAddr, target netip.Addr) {
	t.Helper()
	source := netip.MustParseAddr("fe80::77").AsSlice()
	body := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice(), []byte{1, 1}, s.mac)
	pseudo := slices.Concat(source, target.AsSlice(), []byte{0, 0, 0, byte(len(body)), 0, 0, 0, 58}, body)
	binary.BigEndian.PutUint16(body[2:], checksum(pseudo))
	header := slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(body)), 58, 255}, source, target.AsSlice())
	s.send(t, to, unix.ETH_P_IPV6, append(header, body...))
}

// sendThrough makes the VM send UDP to the outside by way of the host.
func sendThrough(t testing.TB, s *station, host net.HardwareAddr, mark string) {
	t.Helper()
	udp := append([]byte{0x30, 0x39, 0x30, 0x39, 0, byte(8 + len(mark)), 0, 0}, mark...)
	header := slices.Concat([]byte{0x45, 0, 0, byte(20 + len(udp)), 0, 1, 0, 0, 64, 17, 0, 0},
		[]byte{192, 0, 2, 77}, netip.MustParseAddr(outsideAddress).AsSlice())
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	s.send(t, host, unix.ETH_P_IP, append(header, udp...))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(data []byte) uint16 {
	sum := uint32(0)
	for i, b := range data {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// linkLocal returns the address that the host has on a device by itself.
func linkLocal(t testing.TB, host, device string) netip.Addr {
	t.Helper()
	var address netip.Addr
	ovstest.Eventually(t, "a link-local address that is no longer tentative", func() error {
		out := run(t, host, "ip", "-6", "-o", "address", "show", "dev", device, "-tentative")
		fields := strings.Fields(out)
		if len(fields) < 4 {
			return fmt.Errorf("ip address says %q", out)
		}
		address = netip.MustParsePrefix(fields[3]).Addr()
		return nil
	})
	return address
}

// apply guards devices.
func (l *lab) apply(devices ...string) Report {
	l.t.Helper()
	var report Report
	ovstest.Inside(l.t, l.host, func() (err error) {
		report, err = l.guard.Apply(context.Background(), l.named(devices...))
		return err
	})
	if report.Unavailable != "" || report.Limited != "" {
		l.t.Errorf("the guard is not what it should be here: %+v", report)
	}
	return report
}

// named returns devices by their names.
func named(names ...string) []Device {
	devices := make([]Device, len(names))
	for i, name := range names {
		devices[i] = Device{Name: name}
	}
	return devices
}

// named returns devices by their names, as they are guarded here.
func (l *lab) named(names ...string) []Device {
	devices := named(names...)
	for i := range devices {
		devices[i].InKernel = l.inKernel
	}
	return devices
}

// onBoth runs a test for the devices of either datapath.
func onBoth(t *testing.T, test func(t *testing.T, l *lab)) {
	for _, inKernel := range []bool{false, true} {
		t.Run(fmt.Sprintf("in the kernel %t", inKernel), func(t *testing.T) {
			l := newLab(t)
			l.inKernel = inKernel
			test(t, l)
		})
	}
}

// namesOf returns the names of devices, sorted.
func namesOf(devices []Device) []string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Name
	}
	slices.Sort(names)
	return names
}

// leaks makes the VM try everything, and returns what got through.
func (l *lab) leaks(device string, target netip.Addr) []string {
	l.t.Helper()
	end := mac(l.t, l.host, device)
	l.barrier() // what came earlier
	var leaks []string
	askARP(l.t, l.vm)
	if frames := from(end, l.barrier()); len(frames) > 0 {
		leaks = append(leaks, "the host answers ARP for another address")
	}
	ask6(l.t, l.vm, end, target)
	if frames := from(end, l.barrier()); len(frames) > 0 {
		leaks = append(leaks, "the host answers on its link-local address")
	}
	sendThrough(l.t, l.vm, end, "escaped")
	l.barrier()
	// The host sends this after what it routed before.
	run(l.t, l.host, "bash", "-c", "echo -n marker > /dev/udp/"+outsideAddress+"/12345")
	frames := l.outside.until(l.t, "marker", func(f []byte) bool { return bytes.Contains(f, []byte("marker")) })
	if slices.ContainsFunc(frames, func(f []byte) bool { return bytes.Contains(f, []byte("escaped")) }) {
		leaks = append(leaks, "the host routes to the outside")
	}
	return leaks
}

func allLeaks() []string {
	return []string{"the host answers ARP for another address", "the host answers on its link-local address", "the host routes to the outside"}
}

func (l *lab) expect(when string, want, got []string) {
	l.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("%s: what reaches the host (-want +got):\n%s", when, diff)
	}
}

// sysctl reads disable_ipv6 of a device.
func (l *lab) sysctl(device string) string {
	l.t.Helper()
	return strings.TrimSpace(run(l.t, l.host, "cat", "/proc/sys/net/ipv6/conf/"+device+"/disable_ipv6"))
}

func TestKeepsVMsFromTheHost(t *testing.T) { onBoth(t, keepsVMsFromTheHost) }

func keepsVMsFromTheHost(t *testing.T, l *lab) {
	target := linkLocal(t, l.host, "h1")
	l.expect("without the guard", allLeaks(), l.leaks("h1", target))

	report := l.apply("h1", "h2")
	if diff := cmp.Diff([]string{"h1", "h2"}, namesOf(report.Guarded)); diff != "" {
		t.Errorf("guarded (-want +got):\n%s", diff)
	}
	l.expect("with the guard", nil, l.leaks("h1", target))
	// VMs go on to talk to each other, IP as well.
	ask6(t, l.vm, l.peer.mac, target)
	sendThrough(t, l.vm, l.peer.mac, "to the peer")
	got := l.peer.until(t, "IPv4", func(f []byte) bool { return bytes.Contains(f, []byte("to the peer")) })
	if !slices.ContainsFunc(got, func(f []byte) bool { return f[12] == 0x86 && f[13] == 0xdd }) {
		t.Errorf("IPv6 does not get from VM to VM, but %x", got)
	}
	if out := run(t, l.host, "ip", "-6", "-o", "address", "show", "dev", "h1"); out != "" {
		t.Errorf("the member has an address: %s", out)
	}
	// The rules keep frames out even when somebody switches IPv6 on again.
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=0")
	l.expect("with IPv6 switched on", nil, l.leaks("h1", linkLocal(t, l.host, "h1")))
	l.apply("h1", "h2")
	if got := l.sysctl("h1"); got != "1" {
		t.Errorf("IPv6 that was switched on stays: disable_ipv6=%s", got)
	}

	ovstest.Inside(t, l.host, func() error { return l.guard.Clear(context.Background()) })
	if rules := run(t, l.host, "nft", "list", "ruleset"); rules != "" {
		t.Errorf("Clear left %s", rules)
	}
	l.expect("after Clear", allLeaks(), l.leaks("h1", linkLocal(t, l.host, "h1")))
}

func TestKeepsTheHostFromVMs(t *testing.T) {
	for _, test := range []struct {
		name             string
		guarded, ipv6    bool
		inKernel         bool
		ndp, arp, socket bool // what the VM gets of the host
	}{
		{name: "without the guard", ipv6: true, ndp: true, arp: true, socket: true},
		{name: "with the guard", guarded: true},
		{name: "with IPv6 switched on", guarded: true, ipv6: true},
		{name: "with the guard in the kernel", guarded: true, inKernel: true},
		{name: "with IPv6 switched on in the kernel", guarded: true, ipv6: true, inKernel: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.inKernel = test.inKernel
			end := mac(t, l.host, "h1")
			if test.guarded {
				l.apply("h1", "h2")
			}
			l.barrier()
			ip(t, l.host, "link set h1 down")
			if test.guarded && test.ipv6 {
				run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=0")
			}
			ip(t, l.host, "link set h1 up")
			if test.ipv6 {
				linkLocal(t, l.host, "h1") // duplicate address detection has sent what it sends
			}
			var got [][]byte
			ovstest.Eventually(t, "h1 carries frames again", func() error {
				if !strings.Contains(run(t, l.host, "ip", "link", "show", "h1"), "LOWER_UP") {
					return fmt.Errorf("no carrier")
				}
				return nil
			})
			// A process of the host talks on the device: on-link by force.
			ovstest.Inside(t, l.host, func() error { return talk("h1") })
			got = from(end, l.barrier())
			have := func(what string, want bool, is func(f []byte) bool) {
				t.Helper()
				if slices.ContainsFunc(got, is) != want {
					t.Errorf("the VM gets %s: %t, want %t; it got %x", what, !want, want, got)
				}
			}
			have("neighbour discovery or MLD", test.ndp, func(f []byte) bool { return f[12] == 0x86 && f[13] == 0xdd })
			have("ARP", test.arp, func(f []byte) bool { return f[12] == 8 && f[13] == 6 })
			have("an IPv4 broadcast", test.socket, func(f []byte) bool { return bytes.Contains(f, []byte("to everybody")) })
			if test.guarded && len(got) > 0 {
				t.Errorf("the VM got %x", got)
			}
		})
	}
}

// talk sends an IPv4 broadcast and a datagram that needs ARP from a device that
// no route leads to. It is no error that the kernel refuses to.
func talk(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return err
	}
	for text, to := range map[string][4]byte{"to everybody": {255, 255, 255, 255}, "to one": {198, 51, 100, 7}} {
		if err := unix.Sendto(fd, []byte(text), 0, &unix.SockaddrInet4{Port: 9, Addr: to}); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("send %q: %w", text, err)
		}
	}
	return nil
}

// A kernel without the egress hook keeps the host's stack apart all the same.
func TestWithoutEgressHook(t *testing.T) {
	l := newLab(t)
	l.guard.egress = false
	target := linkLocal(t, l.host, "h1")
	l.apply("h1", "h2")
	if rules := l.ruleset(); strings.Contains(rules, "egress") {
		t.Errorf("the rules are %s", rules)
	}
	l.expect("with the ingress hook", nil, l.leaks("h1", target))
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h1.disable_ipv6=0")
	linkLocal(t, l.host, "h1")
	ovstest.Inside(t, l.host, func() error { return talk("h1") })
	if got := from(mac(t, l.host, "h1"), l.barrier()); len(got) > 0 {
		t.Errorf("the VM got %x", got)
	}
}

// A tap is what QEMU has: Open vSwitch sends to it by a packet socket, which
// the guard must let pass, to one VM and to all.
func TestTap(t *testing.T) { onBoth(t, tap) }

func tap(t *testing.T, l *lab) {
	tap := plugTap(t, l.host, "tap0")
	l.private.Vsctl("add-port", "iso", "tap0")
	l.vm = tap
	target := linkLocal(t, l.host, "tap0")
	l.expect("without the guard", allLeaks(), l.leaks("tap0", target))
	l.apply("h1", "h2", "tap0")
	l.expect("with the guard", nil, l.leaks("tap0", target))
	ovstest.Inside(t, l.host, func() error { return talk("tap0") })
	if got := l.barrier(); len(got) > 0 {
		t.Errorf("the VM got %x", got)
	}
}

func TestRestart(t *testing.T) {
	l := newLab(t)
	run(t, l.host, "sysctl", "-qw", "net.ipv6.conf.h2.disable_ipv6=1")
	l.apply("h1", "h2")
	// Another process, and a change of mind.
	restart := func() { l.guard = New(slog.New(slog.DiscardHandler)) }
	restart()
	l.apply("h1", "h2")
	ip(t, l.host, "link set h1 down")
	ip(t, l.host, "link set h1 name h1-renamed")
	ip(t, l.host, "link set h1-renamed up")
	restart()
	l.apply("h1-renamed", "h2")
	if got := l.sysctl("h1-renamed"); got != "1" {
		t.Errorf("IPv6 of a member: disable_ipv6=%s", got)
	}
	restart()
	if report := l.apply("up0-is-not-here"); !slices.Equal(namesOf(report.Guarded), []string{"up0-is-not-here"}) {
		t.Errorf("the report is %+v", report)
	}
	for device, want := range map[string]string{"h1-renamed": "0", "h2": "1", "up0": "0"} {
		if got := l.sysctl(device); got != want {
			t.Errorf("%s was let go: disable_ipv6=%s, want %s as it was", device, got, want)
		}
	}
}

// A device that comes back is guarded again, by this kernel from its first
// frame on.
func TestDeviceComesBack(t *testing.T) {
	l := newLab(t)
	l.apply("h1", "h2")
	l.unplug("h1")
	if report := l.apply("h1", "h2"); !slices.Contains(namesOf(report.Guarded), "h2") {
		t.Errorf("the report is %+v", report)
	}
	early := l.guard.early
	l.plug("h1", l.vm1)
	l.vm = listen(t, l.vm1)
	target := linkLocal(t, l.host, "h1")
	if early {
		l.expect("before Apply", nil, l.leaks("h1", target))
	}
	l.apply("h1", "h2")
	l.expect("after Apply", nil, l.leaks("h1", target))
	if got := l.sysctl("h1"); got != "1" {
		t.Errorf("IPv6 of the device that came back: disable_ipv6=%s", got)
	}
	// What a kernel does that hooks only what is there.
	l.unplug("h1")
	l.guard.early = false
	if report := l.apply("h1", "h2"); !slices.Equal(namesOf(report.Guarded), []string{"h2"}) {
		t.Errorf("the report is %+v", report)
	}
	l.plug("h1", l.vm1)
	l.vm = listen(t, l.vm1)
	target = linkLocal(t, l.host, "h1")
	l.expect("a device without a hook", allLeaks(), l.leaks("h1", target))
	l.apply("h1", "h2")
	l.expect("after Apply", nil, l.leaks("h1", target))
}

// chains lists the guard's chains with their handles, which are new for a chain
// that is made anew.
func (l *lab) chains() string {
	l.t.Helper()
	return run(l.t, l.host, "nft", "-a", "list", "ruleset")
}

func TestSettles(t *testing.T) {
	l := newLab(t)
	l.apply("h1", "h2")
	before := l.chains()
	l.apply("h2", "h1", "h1")
	if after := l.chains(); after != before {
		t.Errorf("nothing changed, and yet the rules are others:\n%s\nbefore:\n%s", after, before)
	}
	l.apply("h1")
	if after := l.chains(); strings.Contains(after, "h2") || !strings.Contains(before, "h2") {
		t.Errorf("h2 was let go:\n%s\nbefore:\n%s", after, before)
	}
	// A firewall that is reloaded begins with a flush.
	target := netip.MustParseAddr("fe80::1")
	run(t, l.host, "nft", "flush", "ruleset")
	l.apply("h1")
	l.expect("after a flush", nil, l.leaks("h1", target))
	l.apply()
	if got := l.sysctl("h1"); got != "0" {
		t.Errorf("a flush of the ruleset made the guard forget IPv6: disable_ipv6=%s", got)
	}
	// What somebody left in a table by this name.
	run(t, l.host, "nft", "table netdev isonet { chain foreign { type filter hook ingress device up0 priority 0; drop; }; }")
	l.guard = New(slog.New(slog.DiscardHandler))
	l.apply("h1")
	if after := l.chains(); strings.Contains(after, "foreign") {
		t.Errorf("the stale table stays:\n%s", after)
	}
}

// With Run, rules that somebody flushes are back at once.
func TestDisturbed(t *testing.T) {
	host := ovstest.Namespace(t)
	ip(t, host, "link add v0 type veth peer name v1")
	g := New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	watching := ovstest.GoInside(host, func() error { return g.Run(ctx) })
	applying := ovstest.GoInside(host, func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-g.Disturbed():
				if _, err := g.Apply(ctx, named("v0")); err != nil && ctx.Err() == nil {
					return err
				}
			}
		}
	})
	for range 3 {
		ovstest.Eventually(t, "the guard is there", func() error {
			if rules := run(t, host, "nft", "list", "ruleset"); !strings.Contains(rules, `ingress device "v0"`) {
				return fmt.Errorf("the rules are %q", rules)
			}
			return nil
		})
		run(t, host, "nft", "flush", "ruleset")
	}
	cancel()
	for _, done := range []<-chan error{watching, applying} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The kernel takes nearly any name for a device.
func TestOddNames(t *testing.T) {
	host := ovstest.Namespace(t)
	names := []string{"abcdefghijklmno", "tap*", "a$b{};,#", "-dash", "_5f", "_", "b\"q\\", "\xc3\xa4", "\xff", "a.b", "egress-1-x"}
	g := New(slog.New(slog.DiscardHandler))
	ovstest.Inside(t, host, func() error {
		for _, name := range append(names, "tapestry") {
			if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
				return fmt.Errorf("add %q: %w", name, err)
			}
		}
		all := append(slices.Clone(names), "lo", "all", "default", "", "..", "a/b", "a b", "seventeen-letters", "nul\x00")
		report, err := g.Apply(context.Background(), named(all...))
		if err != nil {
			return err
		}
		// Devices by these names can not be, but the kernel takes a hook for them.
		want := slices.Sorted(slices.Values(append(slices.Clone(names), "all", "default")))
		if diff := cmp.Diff(want, namesOf(report.Guarded)); diff != "" || report.Limited != "" {
			t.Errorf("guarded (-want +got):\n%s limited: %s", diff, report.Limited)
		}
		before := run(t, host, "nft", "-a", "list", "ruleset")
		if _, err := g.Apply(context.Background(), named(all...)); err != nil {
			return err
		}
		if after := run(t, host, "nft", "-a", "list", "ruleset"); after != before {
			t.Errorf("the guard does not settle:\n%s\nbefore:\n%s", after, before)
		}
		return nil
	})
	for file, want := range map[string]string{"all": "0", "default": "0", "tap*": "1", "abcdefghijklmno": "1", "tapestry": "0", "lo": "0"} {
		if got := strings.TrimSpace(run(t, host, "cat", "/proc/sys/net/ipv6/conf/"+file+"/disable_ipv6")); got != want {
			t.Errorf("disable_ipv6 of %s is %s, want %s", file, got, want)
		}
	}
	ovstest.Inside(t, host, func() error { return g.Clear(context.Background()) })
}

// TestWithoutCapability runs itself without any capability.
func TestWithoutCapability(t *testing.T) {
	const child = "ISONET_TEST_GUARD_CHILD"
	if os.Getenv(child) != "" {
		var log bytes.Buffer
		g := New(slog.New(slog.NewTextHandler(&log, nil)))
		for range 2 {
			report, err := g.Apply(context.Background(), named("v0"))
			if err != nil || report.Unavailable != needsCapability || len(report.Guarded) != 0 {
				t.Errorf("Apply: %+v, %v", report, err)
			}
		}
		if n := strings.Count(log.String(), "CAP_NET_ADMIN (systemd"); n != 1 {
			t.Errorf("logged %d times, want once: %s", n, log.String())
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := g.Clear(context.Background()); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("Clear: %v", err)
		}
		return
	}
	host := ovstest.Namespace(t)
	ip(t, host, "link add v0 type veth peer name v1")
	out := run(t, host, "env", child+"=1", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
		os.Args[0], "-test.run=^TestWithoutCapability$", "-test.v")
	if !strings.Contains(out, "--- PASS: TestWithoutCapability") {
		t.Errorf("the child tested nothing: %s", out)
	}
	if got := strings.TrimSpace(run(t, host, "cat", "/proc/sys/net/ipv6/conf/v0/disable_ipv6")); got != "0" {
		t.Errorf("disable_ipv6 is %s", got)
	}
}

// A sandbox can make the sysctls read-only and leave nftables.
func TestReadOnlySysctl(t *testing.T) {
	l := newLab(t)
	target := linkLocal(t, l.host, "h1")
	var report Report
	ovstest.Inside(t, l.host, func() error {
		// The mounts of this thread only, which ends with this function.
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		for _, m := range []struct {
			source, target string
			flags          uintptr
		}{
			{"none", "/", unix.MS_REC | unix.MS_PRIVATE},
			{"/proc/sys", "/proc/sys", unix.MS_BIND},
			{"none", "/proc/sys", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
		} {
			if err := unix.Mount(m.source, m.target, "", m.flags, ""); err != nil {
				return fmt.Errorf("mount %s: %w", m.target, err)
			}
		}
		var err error
		report, err = l.guard.Apply(context.Background(), named(l.memberNames...))
		return err
	})
	if !strings.HasPrefix(report.Limited, needsSysctl) || report.Unavailable != "" || len(report.Guarded) != 2 {
		t.Errorf("the report is %+v", report)
	}
	if got := l.sysctl("h1"); got != "0" {
		t.Errorf("disable_ipv6 is %s", got)
	}
	l.expect("with IPv6 still on", nil, l.leaks("h1", target))
}

// What a kernel answers that can do less than this one.
func TestLearnsFromErrors(t *testing.T) {
	for _, test := range []struct {
		err           error
		attempt       int
		again         bool
		early, egress bool
		unavailable   string
	}{
		{err: unix.ENOENT, again: true, early: true, egress: true},
		{err: unix.ENOENT, attempt: 1, again: true, egress: true},
		{err: unix.EOPNOTSUPP, again: true, early: true, unavailable: needsNftables},
		{err: errors.Join(unix.EOPNOTSUPP, unix.ENOENT), again: true, early: true, unavailable: needsNftables},
		{err: errInterrupted, again: true, early: true, egress: true},
		{err: unix.EPERM, early: true, egress: true, unavailable: needsCapability},
		{err: unix.EPROTONOSUPPORT, early: true, egress: true, unavailable: needsNftables},
		{err: unix.ENOMEM, early: true, egress: true},
	} {
		g := New(slog.New(slog.DiscardHandler))
		wrapped := fmt.Errorf("change the rules: %w", test.err)
		if again := g.learn(wrapped, test.attempt); again != test.again || g.early != test.early || g.egress != test.egress {
			t.Errorf("%v, attempt %d: again %t, early %t, egress %t", test.err, test.attempt, again, g.early, g.egress)
		}
		if got := unavailable(wrapped); got != test.unavailable {
			t.Errorf("%v: %q, want %q", test.err, got, test.unavailable)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := New(slog.New(slog.DiscardHandler)).Apply(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
}

// benchmarked makes a host with 1,000 devices.
func benchmarked(b *testing.B) (host string, names []string) {
	b.Helper()
	host = ovstest.Namespace(b)
	ovstest.Inside(b, host, func() error {
		for i := range 1000 {
			names = append(names, fmt.Sprintf("tap%d", i))
			if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: names[i]}}); err != nil {
				return err
			}
		}
		return nil
	})
	return host, names
}

func BenchmarkApplyNothingNew(b *testing.B) {
	host, names := benchmarked(b)
	g := New(slog.New(slog.DiscardHandler))
	ovstest.Inside(b, host, func() error {
		if _, err := g.Apply(context.Background(), named(names...)); err != nil {
			return err
		}
		for b.Loop() {
			if _, err := g.Apply(context.Background(), named(names...)); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkApplyOneOfThousand(b *testing.B) {
	host, names := benchmarked(b)
	g := New(slog.New(slog.DiscardHandler))
	ovstest.Inside(b, host, func() error {
		for i := 0; b.Loop(); i++ {
			if _, err := g.Apply(context.Background(), named(names[i%2:]...)); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkApplyThousand(b *testing.B) {
	host, names := benchmarked(b)
	ovstest.Inside(b, host, func() error {
		for b.Loop() {
			if _, err := New(slog.New(slog.DiscardHandler)).Apply(context.Background(), named(names...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkHostsOwnPackets shows what the guard costs packets that have nothing to
// do with VMs: each passes a rule when it leaves and one when it arrives.
func BenchmarkHostsOwnPackets(b *testing.B) {
	host, names := benchmarked(b)
	ip(b, host, "link set lo up")
	for _, guarded := range []int{0, 1, len(names)} {
		b.Run(fmt.Sprintf("%d devices", guarded), func(b *testing.B) {
			ovstest.Inside(b, host, func() error {
				if _, err := New(slog.New(slog.DiscardHandler)).Apply(context.Background(), named(names[:guarded]...)); err != nil {
					return err
				}
				socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					return err
				}
				defer func() { _ = socket.Close() }()
				packet := make([]byte, 64)
				for b.Loop() {
					if _, err := socket.WriteTo(packet, socket.LocalAddr()); err != nil {
						return err
					}
					if _, _, err := socket.ReadFrom(packet); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}
