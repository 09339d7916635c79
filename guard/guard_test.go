package guard

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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

// listen opens a packet socket on a device, as a VM or as somebody outside.
func listen(t testing.TB, namespace, device string) *station {
	t.Helper()
	s := &station{name: namespace + "/" + device, mac: mac(t, namespace, device)}
	ovstest.Inside(t, namespace, func() error {
		i, err := net.InterfaceByName(device)
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
		if err == unix.EINTR { //nolint:errorlint // unix.Poll returns it as it is
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
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		t: t, host: ovstest.Namespace(t), vm1: ovstest.Namespace(t), vm2: ovstest.Namespace(t), outsideNS: ovstest.Namespace(t),
		log: &bytes.Buffer{}, memberNames: []string{"h1", "h2"},
	}
	l.guard = New(slog.New(slog.NewTextHandler(l.log, nil)))
	l.private = ovstest.Start(t, ovstest.InNamespace(l.host))
	l.private.Vsctl("add-br", "iso", "--", "set", "bridge", "iso", "datapath_type=netdev")
	run(t, l.host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.default.disable_ipv6=0")
	ip(t, l.host, "link add up0 type veth peer name eth0 netns "+l.outsideNS)
	ip(t, l.host, "link set up0 up")
	ip(t, l.outsideNS, "link set eth0 up")
	ip(t, l.host, "address add "+hostAddress+"/24 dev up0")
	l.outside = listen(t, l.outsideNS, "eth0")
	ip(t, l.host, "neigh replace "+outsideAddress+" dev up0 lladdr "+l.outside.mac.String())
	l.plug("h1", l.vm1)
	l.plug("h2", l.vm2)
	l.vm, l.peer = listen(t, l.vm1, "eth0"), listen(t, l.vm2, "eth0")
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
		report, err = l.guard.Apply(context.Background(), devices)
		return err
	})
	if report.Unavailable != "" || report.Limited != "" {
		l.t.Errorf("the guard is not what it should be here: %+v", report)
	}
	return report
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

func TestKeepsVMsFromTheHost(t *testing.T) {
	l := newLab(t)
	target := linkLocal(t, l.host, "h1")
	l.expect("without the guard", allLeaks(), l.leaks("h1", target))

	report := l.apply("h1", "h2")
	if diff := cmp.Diff([]string{"h1", "h2"}, report.Guarded); diff != "" {
		t.Errorf("guarded (-want +got):\n%s", diff)
	}
	l.expect("with the guard", nil, l.leaks("h1", target))
	if out := run(t, l.host, "ip", "-6", "-o", "address", "show", "dev", "h1"); out != "" {
		t.Errorf("the member has an address: %s", out)
	}
	// The hook keeps frames out even when somebody switches IPv6 on again.
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
		ndp, arp, socket bool // what the VM gets of the host
	}{
		{name: "without the guard", ipv6: true, ndp: true, arp: true, socket: true},
		{name: "with the guard", guarded: true},
		{name: "with IPv6 switched on", guarded: true, ipv6: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
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
// no route leads to.
func talk(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte("to everybody"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{255, 255, 255, 255}}); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	if err := unix.Sendto(fd, []byte("to one"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{198, 51, 100, 7}}); err != nil {
		return fmt.Errorf("datagram: %w", err)
	}
	return nil
}

var _ = filepath.Join
var _ = os.Getenv
