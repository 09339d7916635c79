package nic

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// namespace is a network namespace with the real kernel's answers. It cannot
// have hardware, so that the veth devices whose names begin with "eth" stand in
// for it.
type namespace struct {
	t testing.TB
	rtnetlink
	name string
	seen *plan.Links
	fail error // of link
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	name := ovstest.Namespace(t)
	ns, err := netns.GetFromName(name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close() //nolint:errcheck // the handle has it now
	handle, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	root := fmt.Sprintf("/proc/%d/root/sys/class/net", resident(t, name))
	return &namespace{t: t, name: name, rtnetlink: rtnetlink{handle, os.DirFS(root)}}
}

// resident starts a process in a namespace, where /sys is that of the
// namespace, and returns its id.
func resident(t testing.TB, name string) int {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "ip", "netns", "exec", name, "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // cat ends
		if err := cmd.Wait(); err != nil {
			t.Errorf("cat: %v", err)
		}
	})
	if _, err := in.Write([]byte("here\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("cat says %q: %v", line, err)
	}
	return cmd.Process.Pid
}

// Links returns the same value as before while nothing changes that it has.
func (n *namespace) Links() *plan.Links {
	n.t.Helper()
	links, err := n.handle.LinkList()
	if err != nil {
		n.t.Fatal(err)
	}
	addresses, err := n.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		n.t.Fatal(err)
	}
	for i, l := range links {
		links[i] = standIn(l)
	}
	now := devicesOf(links, addresses)
	if n.seen == nil || !reflect.DeepEqual(slices.Collect(n.seen.All()), slices.Collect(now.All())) {
		n.seen = now
	}
	return n.seen
}

// Changed is nobody's, since the devices are known from the beginning.
func (n *namespace) Changed() <-chan struct{} { return nil }

func (n *namespace) link(index int) (netlink.Link, error) {
	l, err := n.rtnetlink.link(index)
	if err = errors.Join(n.fail, err); err != nil {
		return nil, err
	}
	return standIn(l), nil
}

func standIn(l netlink.Link) netlink.Link {
	if v, ok := l.(*netlink.Veth); ok && strings.HasPrefix(v.Name, "eth") {
		return &netlink.Device{LinkAttrs: v.LinkAttrs}
	}
	return l
}

// ip runs ip(8) in the namespace.
func (n *namespace) ip(args string) {
	n.t.Helper()
	if err := n.tryIP(args); err != nil {
		n.t.Fatal(err)
	}
}

func (n *namespace) tryIP(args string) error {
	list := append([]string{"-n", n.name}, strings.Fields(args)...)
	out, err := exec.CommandContext(context.Background(), "ip", list...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// nic makes a pair of veth devices that are up, without traffic of their own.
func (n *namespace) nic(name string) {
	n.t.Helper()
	n.ip("link add " + name + " type veth peer name p" + name)
	for _, end := range []string{name, "p" + name} {
		n.ip("link set " + end + " addrgenmode none up")
	}
	n.await(name, netlink.OperUp)
	n.await("p"+name, netlink.OperUp)
}

// await waits for an operational state, which the kernel works out a moment
// after its cause.
func (n *namespace) await(name string, state netlink.LinkOperState) {
	n.t.Helper()
	ovstest.Eventually(n.t, name+" is "+state.String(), func() error {
		l, err := n.handle.LinkByName(name)
		if err == nil && l.Attrs().OperState != state {
			return fmt.Errorf("it is %s", l.Attrs().OperState)
		}
		return err
	})
}

func (n *namespace) sample(tr *tracker, now time.Time) map[string]model.NIC {
	n.t.Helper()
	nics, err := tr.sample(now)
	if err != nil {
		n.t.Fatal(err)
	}
	byName := map[string]model.NIC{}
	for _, nic := range nics {
		byName[nic.Name] = nic
	}
	return byName
}

func names(nics map[string]model.NIC) string {
	var list []string
	for name := range nics {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

var start = time.Unix(1e9, 0)

func TestInterfacesOfANamespace(t *testing.T) {
	n := newNamespace(t)
	n.nic("eth0")
	n.ip("link set eth0 address 52:54:00:00:00:01 mtu 1400")
	n.ip("address add 192.0.2.7/25 dev eth0")
	n.ip("address add 2001:db8::7/48 dev eth0 nodad")
	n.nic("veth0")
	n.ip("link add br0 type bridge")
	n.ip("link set veth0 master br0")
	n.ip("tuntap add tap0 mode tap")
	n.ip("tuntap add tun0 mode tun")
	want := map[string]model.NIC{"eth0": {
		Name: "eth0", MAC: "52:54:00:00:00:01", MTU: 1400, Up: true, Speed: 10e9, // veth(4) has that speed
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/25"), netip.MustParsePrefix("2001:db8::7/48")},
	}}
	// Not every kernel is built with these; what they lead to is tested with
	// values too.
	optional := func(args string) bool {
		err := n.tryIP(args)
		if err != nil {
			t.Logf("left out: %v", err)
		}
		return err == nil
	}
	for _, foreign := range []string{
		"dummy9 type dummy", "vxlan9 type vxlan id 9 dstport 4789", "ifb9 type ifb", "macvlan9 link eth0 type macvlan",
	} {
		optional("link add " + foreign)
	}
	if optional("link add eth0.7 link eth0 address 52:54:00:00:00:02 type vlan id 7") {
		want["eth0.7"] = model.NIC{Name: "eth0.7", MAC: "52:54:00:00:00:02", MTU: 1400, VLAN: &model.VLAN{ID: 7, Base: "eth0"}}
	}
	if optional("link add bond9 address 52:54:00:00:00:03 type bond mode active-backup miimon 100") {
		want["bond9"] = model.NIC{
			Name: "bond9", MAC: "52:54:00:00:00:03", MTU: 1500, Bond: &model.Bond{Mode: 1, LinkMonitoring: 100},
		}
	}
	got := n.sample(&tracker{kernel: n, devices: n}, start)
	for name, nic := range got {
		nic.Total = model.Counters{} // of what the making of a VLAN sends
		got[name] = nic
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}

func TestCountersAreThoseOfThePackets(t *testing.T) {
	n := newNamespace(t)
	n.nic("eth0")
	tr := &tracker{kernel: n, devices: n}
	before := n.sample(tr, start)["eth0"]
	if before.Rate != nil {
		t.Errorf("the first sample has the rate %+v", before.Rate)
	}
	const size = 1000
	n.send("eth0", 3, size)
	n.send("peth0", 20, size)
	got := n.sample(tr, start.Add(10*time.Second))["eth0"]
	want := before.Total
	want.TransmittedPackets += 3
	want.TransmittedBytes += 3 * size
	want.ReceivedPackets += 20
	want.ReceivedBytes += 20 * size
	if diff := cmp.Diff(want, got.Total); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&model.Rate{ReceivedBytes: 2 * size, TransmittedBytes: 0.3 * size}, got.Rate); diff != "" {
		t.Errorf("rate (-want +got):\n%s", diff)
	}
	// The next interval has its own rate.
	if got := n.sample(tr, start.Add(11*time.Second))["eth0"]; got.Rate == nil || *got.Rate != (model.Rate{}) {
		t.Errorf("the rate without traffic is %+v", got.Rate)
	}
}

// send sends frames of a size out of a link of the namespace.
func (n *namespace) send(link string, count, size int) {
	n.t.Helper()
	frame := make([]byte, size)
	copy(frame, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0}) // IPv4, of which the rest is not
	l, err := n.handle.LinkByName(link)
	if err != nil {
		n.t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		result <- func() error {
			ns, err := netns.GetFromName(n.name)
			if err != nil {
				return err
			}
			defer ns.Close() //nolint:errcheck // only read
			if err := netns.Set(ns); err != nil {
				return err
			}
			socket, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
			if err != nil {
				return err
			}
			defer syscall.Close(socket) //nolint:errcheck // nothing is buffered
			for range count {
				if err := syscall.Sendto(socket, frame, 0, &syscall.SockaddrLinklayer{Ifindex: l.Attrs().Index}); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	if err := <-result; err != nil {
		n.t.Fatalf("send on %s: %v", link, err)
	}
}

func TestChangesAreSeen(t *testing.T) {
	n := newNamespace(t)
	n.nic("eth0")
	n.nic("eth1")
	tr := &tracker{kernel: n, devices: n}
	now := start
	next := func() map[string]model.NIC {
		now = now.Add(period)
		return n.sample(tr, now)
	}
	if got := names(next()); got != "eth0 eth1" {
		t.Fatalf("interfaces: %s", got)
	}
	n.ip("link set eth0 mtu 1300")
	if got := next()["eth0"]; got.MTU != 1300 || got.Rate == nil {
		t.Errorf("after a new MTU: %+v", got)
	}
	n.ip("link set eth0 address 52:54:00:00:00:09")
	if got := next()["eth0"].MAC; got != "52:54:00:00:00:09" {
		t.Errorf("MAC is %s", got)
	}
	n.ip("link set peth0 down")
	n.await("eth0", netlink.OperLowerLayerDown)
	if got := next()["eth0"]; got.Up || got.Rate == nil {
		t.Errorf("without carrier: %+v", got)
	}
	n.ip("link set eth1 down")
	n.ip("link set eth1 name eth7")
	if got := names(next()); got != "eth0 eth7" {
		t.Errorf("after a new name: %s", got)
	}
	n.ip("link delete eth7")
	if got := names(next()); got != "eth0" {
		t.Errorf("after a removal: %s", got)
	}

	n.nic("eth2")
	n.ip("address add 192.0.2.1/24 dev eth0")
	if got := next(); names(got) != "eth0 eth2" || len(got["eth0"].Addresses) != 1 || got["eth0"].Rate == nil {
		t.Errorf("after what is new: %+v", got)
	}
}

func TestSamplerPublishes(t *testing.T) {
	n := newNamespace(t)
	n.nic("eth0")
	var log bytes.Buffer
	s := New(n, slog.New(slog.NewTextHandler(&log, nil)))
	if got := s.Snapshot(); len(got) != 0 {
		t.Errorf("before the first sample: %+v", got)
	}
	ticks := make(chan time.Time)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.follow(ctx, n, ticks) }()
	// Whoever's tick is taken has seen the sample before it.
	tick := func() { ticks <- time.Time{} }
	next := func() []model.NIC { tick(); tick(); return s.Snapshot() }
	if got := next(); len(got) != 1 || got[0].Name != "eth0" || got[0].Rate == nil {
		t.Errorf("interfaces: %+v", got)
	}
	cancel()
	<-done

	n.fail = errors.New("the kernel says no")
	ctx, cancel = context.WithCancel(context.Background())
	done = make(chan struct{})
	go func() { defer close(done); s.follow(ctx, n, ticks) }()
	if got := next(); len(got) != 0 {
		t.Errorf("while the kernel says no: %+v", got)
	}
	cancel()
	<-done
	if got := strings.Count(log.String(), "the kernel says no"); got != 1 {
		t.Errorf("the log says it %d times:\n%s", got, log.String())
	}
}

// late are devices that are not known at once.
type late struct {
	known   chan struct{}
	devices *plan.Links
}

func (l late) Changed() <-chan struct{} { return l.known }

func (l late) Links() *plan.Links {
	select {
	case <-l.known:
		return l.devices
	default:
		return nil
	}
}

// Run reads the namespace of the process, in which the loopback device stands in
// for a NIC.
func TestRun(t *testing.T) {
	var log bytes.Buffer
	devices := late{make(chan struct{}), plan.NewLinks(plan.Device{Name: "lo", Index: 1, Ethernet: true})}
	s := New(devices, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	close(devices.known)
	ovstest.Eventually(t, "a first sample", func() error {
		if got := s.Snapshot(); len(got) != 1 || got[0].Name != "lo" {
			return fmt.Errorf("interfaces: %+v", got)
		}
		return nil
	})
	cancel()
	<-done
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
}

func TestSpeed(t *testing.T) {
	k := rtnetlink{sysfs: fstest.MapFS{
		"eth0/speed": {Data: []byte("25000\n")},
		"eth1/speed": {Data: []byte("-1\n")},
		"eth2/speed": {Data: []byte("4294967295\n")}, // -1 of some old drivers
		"eth3/speed": {Data: []byte("fast\n")},
	}}
	for name, want := range map[string]uint64{"eth0": 25e9, "eth1": 0, "eth2": 0, "eth3": 0, "eth4": 0, "..": 0} {
		if got := k.speed(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// A host with 1,000 devices of virtual machines and one interface.
func BenchmarkSample(b *testing.B) {
	n := newNamespace(b)
	var batch strings.Builder
	for i := range 500 {
		fmt.Fprintf(&batch, "link add a%d type veth peer name b%d\nlink set a%d up\nlink set b%d up\n", i, i, i, i)
	}
	cmd := exec.CommandContext(context.Background(), "ip", "-n", n.name, "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	n.nic("eth0")
	tr := &tracker{kernel: n, devices: n}
	now := start
	run := func(prepare func()) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				prepare()
				now = now.Add(period)
				if got := names(n.sample(tr, now)); got != "eth0" {
					b.Fatalf("interfaces: %s", got)
				}
			}
		}
	}
	b.Run("scan", run(func() { tr.seen = nil }))
	b.Run("refresh", run(func() {}))
}
