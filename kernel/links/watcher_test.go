package links

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a log that tests can look into.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start runs a Watcher in a namespace for as long as the test lasts.
func start(t testing.TB, namespace string, buffer int) (*Watcher, *record) {
	t.Helper()
	log := &record{}
	w := New(slog.New(slog.NewTextHandler(log, nil)))
	w.receiveBuffer = buffer
	if w.Links() != nil {
		t.Fatal("there are devices before the first dump")
	}
	changed := w.Changed()
	ctx, cancel := context.WithCancel(context.Background())
	done := ovstest.GoInside(namespace, func() error { return w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	wait(t, changed)
	return w, log
}

// named returns the devices by their names.
func named(links *plan.Links) map[string]plan.Device {
	devices := map[string]plan.Device{}
	for d := range links.All() {
		devices[d.Name] = d
	}
	return devices
}

func wait(t testing.TB, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(ovstest.Patience):
		t.Fatal("no change in time")
	}
}

// await waits until the devices satisfy the condition.
func await(t testing.TB, w *Watcher, what string, condition func(map[string]plan.Device) bool) map[string]plan.Device {
	t.Helper()
	timeout := time.After(ovstest.Patience)
	for {
		changed := w.Changed()
		links := named(w.Links())
		if condition(links) {
			return links
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s: not in time; there is %+v", what, links)
		}
	}
}

// ip runs ip(8) in a namespace.
func ip(t testing.TB, namespace, args string) {
	t.Helper()
	if out, err := tryIP(namespace, args); err != nil {
		t.Fatalf("ip -n %s %s: %v\n%s", namespace, args, err, out)
	}
}

func tryIP(namespace, args string) (string, error) {
	all := append([]string{"-n", namespace}, strings.Fields(args)...)
	out, err := exec.CommandContext(context.Background(), "ip", all...).CombinedOutput()
	return string(out), err
}

// truth asks ip(8) about all devices, and ethtool(8) about taps.
func truth(t testing.TB, namespace string) map[string]plan.Device {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "ip", "-n", namespace, "-d", "-j", "address").Output()
	if err != nil {
		t.Fatalf("ip address: %v", err)
	}
	var said []struct {
		Name      string   `json:"ifname"`
		Index     int      `json:"ifindex"`
		Flags     []string `json:"flags"`
		MTU       int      `json:"mtu"`
		Type      string   `json:"link_type"`
		AltNames  []string `json:"altnames"`
		Master    string   `json:"master"`
		Link      string   `json:"link"`
		NetNSID   *int     `json:"link_netnsid"`
		Addresses []struct {
			Local netip.Addr `json:"local"`
			Bits  int        `json:"prefixlen"`
		} `json:"addr_info"`
		Info struct {
			Kind string `json:"info_kind"`
			Data struct {
				Type       string `json:"type"`
				VnetHeader bool   `json:"vnet_hdr"`
			} `json:"info_data"`
		} `json:"linkinfo"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("ip address said %s: %v", out, err)
	}
	devices, speaks := map[string]plan.Device{}, speakIPv6(t, namespace)
	for _, s := range said {
		d := plan.Device{
			Name: s.Name, Index: s.Index, MTU: s.MTU, Kind: s.Info.Kind, AltNames: slices.Sorted(slices.Values(s.AltNames)),
			Tap:           s.Info.Kind == "tun" && s.Info.Data.Type == "tap",
			VnetHeader:    s.Info.Data.VnetHeader,
			NoTSO:         s.Info.Data.VnetHeader && !hasTSO(t, namespace, s.Name),
			Ethernet:      s.Type == "ether",
			Loopback:      slices.Contains(s.Flags, "LOOPBACK"),
			Up:            slices.Contains(s.Flags, "UP"),
			Promiscuous:   slices.Contains(s.Flags, "PROMISC"),
			PeerElsewhere: s.NetNSID != nil,
			IPv6:          speaks[s.Name],
		}
		for _, a := range s.Addresses {
			d.Addresses = append(d.Addresses, netip.PrefixFrom(a.Local, a.Bits))
		}
		slices.SortFunc(d.Addresses, netip.Prefix.Compare)
		d.Addresses = slices.Compact(d.Addresses) // ip names the peers too
		devices[s.Name] = d
	}
	relative := func(name string) plan.Relative {
		return plan.Relative{Index: devices[name].Index, Name: name, Kind: devices[name].Kind}
	}
	for _, s := range said {
		if s.Master != "" {
			slave := devices[s.Name]
			slave.Master = relative(s.Master)
			devices[s.Name] = slave
		}
		if s.Link != "" && s.Info.Kind != "veth" {
			lower := devices[s.Link]
			lower.Upper = append(lower.Upper, relative(s.Name))
			slices.SortFunc(lower.Upper, func(a, b plan.Relative) int { return strings.Compare(a.Name, b.Name) })
			devices[s.Link] = lower
		}
	}
	return devices
}

// hasTSO asks ethtool(8) about a device, which may be gone.
func hasTSO(t testing.TB, namespace, device string) bool {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "exec", namespace, "ethtool", "--show-features", device).CombinedOutput()
	if err != nil {
		t.Logf("ethtool: %v\n%s", err, out)
	}
	return strings.Contains(string(out), "tx-tcp-segmentation: on")
}

// speakIPv6 reads the sysctls of the devices.
func speakIPv6(t testing.TB, namespace string) map[string]bool {
	t.Helper()
	script := "grep -s . /proc/sys/net/ipv6/conf/*/disable_ipv6 || true"
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "exec", namespace, "sh", "-c", script).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	speaks := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if path, off, _ := strings.Cut(strings.TrimSpace(line), ":"); off == "0" {
			speaks[strings.Split(path, "/")[6]] = true
		}
	}
	return speaks
}

// here leaves out what ip(8) does not list: devices on top in other namespaces.
func here(links map[string]plan.Device) map[string]plan.Device {
	devices := maps.Clone(links)
	for name, d := range devices {
		d.Upper = slices.DeleteFunc(slices.Clone(d.Upper), func(r plan.Relative) bool { return r.Elsewhere })
		devices[name] = d
	}
	return devices
}

// agree waits until the Watcher says what ip(8) says. The devices must be at
// rest.
func agree(t testing.TB, w *Watcher, namespace string) map[string]plan.Device {
	t.Helper()
	var links map[string]plan.Device
	ovstest.Eventually(t, "the Watcher says what ip says", func() error {
		want := truth(t, namespace)
		links = named(w.Links())
		if diff := cmp.Diff(want, here(links), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(plan.Device{}, "Sockets")); diff != "" {
			return fmt.Errorf("devices (-ip +Watcher):\n%s", diff)
		}
		return nil
	})
	return links
}

func TestTap(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	for _, test := range []struct {
		name       string
		mode       netlink.TuntapMode
		nonPersist bool
	}{
		{"qemu", netlink.TUNTAP_MODE_TAP, true},
		{"persistent", netlink.TUNTAP_MODE_TAP, false},
		{"layer3", netlink.TUNTAP_MODE_TUN, false},
	} {
		tap := &netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: test.name}, Mode: test.mode, NonPersist: test.nonPersist,
			Queues: 1, Flags: netlink.TUNTAP_DEFAULTS,
		}
		ovstest.Inside(t, namespace, func() error { return netlink.LinkAdd(tap) })
		await(t, w, test.name, func(l map[string]plan.Device) bool { _, ok := l[test.name]; return ok })
		device := agree(t, w, namespace)[test.name]
		isTap := test.mode == netlink.TUNTAP_MODE_TAP
		if device.Kind != "tun" || device.Tap != isTap || device.Ethernet != isTap || device.PeerElsewhere {
			t.Errorf("%s is seen as %+v", test.name, device)
		}
		for _, file := range tap.Fds {
			if err := file.Close(); err != nil {
				t.Errorf("close the tap: %v", err)
			}
		}
		if test.nonPersist {
			await(t, w, "the tap goes with its process", func(l map[string]plan.Device) bool { _, ok := l[test.name]; return !ok })
		}
	}
}

// Every kind that the kernel can make is reported as it is; a kind that the
// kernel does not have is refused by it.
func TestEveryKind(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	ip(t, namespace, "link add lower type ifb")
	lacking := 0
	for kind, options := range map[string]string{
		"bridge": "", "bond": "", "dummy": "", "geneve": "id 7 remote 192.0.2.1", "gre": "local 192.0.2.2", "gretap": "local 192.0.2.2",
		"ifb": "", "ipip": "local 192.0.2.2", "ipvlan": "link lower", "ipvtap": "link lower", "macvlan": "link lower", "macvtap": "link lower",
		"sit": "local 192.0.2.2", "team": "", "veth": "", "vlan": "link lower id 7", "vrf": "table 7", "vxlan": "id 7 dstport 4789", "wireguard": "",
	} {
		name := "k-" + kind
		command := "link add " + name + " type " + kind + " " + options
		if lower, rest, stacked := strings.Cut(strings.TrimPrefix(options, "link "), " "); strings.HasPrefix(options, "link ") {
			_ = stacked // an option may follow
			command = "link add " + name + " link " + lower + " type " + kind + " " + rest
		}
		if out, err := tryIP(namespace, command); err != nil {
			if !strings.Contains(out, "Unknown device type") {
				t.Errorf("ip %s: %v: %s", command, err, out)
			}
			t.Logf("this kernel lacks the kind %s", kind)
			lacking++
			continue
		}
		links := agree(t, w, namespace)
		if got := links[name].Kind; got != kind {
			t.Errorf("a %s is seen as %+v", kind, links[name])
		}
		if stacked := slices.ContainsFunc(links["lower"].Upper, func(r plan.Relative) bool { return r.Name == name && r.Kind == kind }); stacked != strings.HasPrefix(options, "link ") {
			t.Errorf("%s is stacked on the lower device: %t", kind, stacked)
		}
		ip(t, namespace, "link del "+name)
		if links = agree(t, w, namespace); len(links["lower"].Upper) != 0 {
			t.Errorf("%s is gone, and the lower device still carries %v", kind, links["lower"].Upper)
		}
	}
	if lacking > 15 {
		t.Errorf("the kernel lacks %d kinds: this tests nothing", lacking)
	}
	lo := named(w.Links())["lo"]
	if !lo.Loopback || lo.Ethernet || lo.Kind != "" {
		t.Errorf("lo is seen as %+v", lo)
	}
}

// Of a veth that is moved, only the end that moves is announced.
func TestVethEnds(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	elsewhere := func(name string, want bool) {
		t.Helper()
		await(t, w, fmt.Sprintf("%s with its peer elsewhere: %t", name, want), func(l map[string]plan.Device) bool {
			device, ok := l[name]
			return ok && device.PeerElsewhere == want
		})
		if device := agree(t, w, host)[name]; len(device.Upper) != 0 {
			t.Errorf("the peer is taken for a device on top: %+v", device)
		}
	}
	ip(t, host, "link add v0 type veth peer name v1")
	elsewhere("v0", false)
	elsewhere("v1", false)
	ip(t, host, "link set v1 netns "+vm)
	elsewhere("v0", true)
	ip(t, vm, "link set v1 netns "+host)
	elsewhere("v0", false)
	elsewhere("v1", false)
	// Both ends are made in one go, by either namespace.
	ip(t, host, "link add w0 type veth peer name eth0 netns "+vm)
	elsewhere("w0", true)
	ip(t, vm, "link add eth1 type veth peer name x0 netns "+host)
	elsewhere("x0", true)
	ip(t, host, "link del w0")
	await(t, w, "w0 is gone", func(l map[string]plan.Device) bool { _, ok := l["w0"]; return !ok })
}

func TestNamespaceVanishes(t *testing.T) {
	host := ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	vm := "vanishing-" + host
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	run("netns", "add", vm)
	ip(t, host, "link add v0 type veth peer name eth0 netns "+vm)
	await(t, w, "v0", func(l map[string]plan.Device) bool { return l["v0"].PeerElsewhere })
	run("netns", "delete", vm)
	await(t, w, "v0 is gone", func(l map[string]plan.Device) bool { _, ok := l["v0"]; return !ok })
	agree(t, w, host)
}

func TestMaster(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	ip(t, namespace, "link add bridge0 type bridge")
	ip(t, namespace, "link add slave type ifb")
	master := func(want string) {
		t.Helper()
		await(t, w, "master "+want, func(l map[string]plan.Device) bool {
			slave, ok := l["slave"]
			return ok && slave.Master.Name == want
		})
		agree(t, w, namespace)
	}
	master("")
	ip(t, namespace, "link set slave master bridge0")
	master("bridge0")
	ip(t, namespace, "link set bridge0 name renamed")
	master("renamed")
	// The bridge says of a port that leaves RTM_DELLINK (AF_BRIDGE); the device
	// stays.
	ip(t, namespace, "link set slave nomaster")
	master("")
	ip(t, namespace, "link set slave master renamed")
	master("renamed")
	ip(t, namespace, "link del renamed")
	master("")
}

func TestAttributesFollow(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	for _, command := range []string{
		"link add v0 type veth peer name w0",
		"link set v0 up", "link set w0 up", "link set v0 mtu 1400",
		"address add 192.0.2.1/24 dev v0", "address add 192.0.2.1/25 dev v0", "address add 192.0.2.9 peer 192.0.2.10 dev v0",
		"address add 192.0.2.9 peer 192.0.2.11 dev v0", "address del 192.0.2.9 peer 192.0.2.10 dev v0", "address add 2001:db8::1/64 dev v0",
		"address del 192.0.2.1/24 dev v0", "link add link v0 name m0 type macvlan", "link add link v0 name n0 type macvlan",
		"link set m0 name m1", "link property add dev v0 altname a-long-name-of-a-device altname b", "link property del dev v0 altname b",
		"link set v0 promisc on", "link set w0 down", "link set v0 down", "link set v0 name c0", "link set w0 name v0", "link del m1",
		"address flush dev c0", "link del v0",
	} {
		ip(t, namespace, command)
		links := agree(t, w, namespace)
		if command == "address add 2001:db8::1/64 dev v0" {
			want := []string{"192.0.2.1/24", "192.0.2.1/25", "192.0.2.9/32", "2001:db8::1/64", "fe80::"}
			if len(links["v0"].Addresses) != len(want) {
				t.Errorf("addresses of v0: %v, want %v", links["v0"].Addresses, want)
			}
		}
	}
}

// Whatever switches IPv6 on or off for a device with carrier is noticed at once: by
// itself, with all others, or because the kernel makes its state anew after a
// small MTU. On another it shows when that gets carrier,
// or when somebody asks.
func TestIPv6OfADevice(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	ip(t, namespace, "link add v0 type veth peer name w0")
	ip(t, namespace, "link set v0 addrgenmode none up") // no address tells
	agree(t, w, namespace)
	sysctl := func(name, value string) {
		t.Helper()
		script := "echo " + value + " >/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
		if out, err := exec.CommandContext(context.Background(), "ip", "netns", "exec", namespace, "sh", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	is := func(on bool) {
		t.Helper()
		await(t, w, fmt.Sprintf("IPv6 of v0: %t", on), func(l map[string]plan.Device) bool { return l["v0"].IPv6 == on })
	}
	is(true)
	v0 := named(w.Links())["v0"]
	for _, value := range []string{"1", "0"} { // without carrier the kernel tells nobody
		sysctl("v0", value)
		w.Doubt(v0.Index)
		is(value == "0")
	}
	ip(t, namespace, "link set w0 up")
	for _, device := range []string{"v0", "all"} {
		sysctl(device, "1")
		is(false)
		sysctl(device, "0")
		is(true)
	}
	sysctl("v0", "1")
	is(false)
	ip(t, namespace, "link set v0 mtu 1200") // below the minimum of IPv6
	ip(t, namespace, "link set v0 mtu 1500")
	is(true)
	ip(t, namespace, "link set v0 down")
	sysctl("v0", "1")
	ip(t, namespace, "link set v0 up")
	is(false)
	agree(t, w, namespace)
}

func TestInternalPort(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	private := ovstest.Start(t, ovstest.InNamespace(host))
	private.Vsctl("add-br", "br", "--", "set", "bridge", "br", "datapath_type="+ovstest.Datapath(),
		"--", "add-port", "br", "int0", "--", "set", "interface", "int0", "type=internal")
	links := await(t, w, "the internal port", func(l map[string]plan.Device) bool { _, ok := l["int0"]; return ok })
	kind := map[string]string{ovstest.Userspace: "tun", ovstest.Kernel: "openvswitch"}[ovstest.Datapath()]
	if d := links["int0"]; d.Kind != kind || d.Tap != (kind == "tun") || !d.Ethernet {
		t.Errorf("the internal port is seen as %+v", d)
	}
	ip(t, host, "link set int0 netns "+vm)
	await(t, w, "the internal port moved away", func(l map[string]plan.Device) bool { _, ok := l["int0"]; return !ok })
	ip(t, vm, "link set int0 netns "+host)
	await(t, w, "the internal port is back", func(l map[string]plan.Device) bool { return l["int0"].Kind == kind })
	agree(t, w, host)
}

// What is no field of a device wakes nobody.
func TestQuiet(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	ip(t, host, "link add v0 type veth peer name eth0 netns "+vm)
	ip(t, host, "address add 192.0.2.1/24 dev v0")
	ip(t, host, "link set v0 addrgenmode none up")
	agree(t, w, host)
	heard := make(chan netlink.LinkUpdate, 1000)
	stop := make(chan struct{})
	defer close(stop)
	ovstest.Inside(t, host, func() error { return netlink.LinkSubscribe(heard, stop) })
	changed, before := w.Changed(), named(w.Links())
	ip(t, vm, "link set eth0 up") // carrier of v0
	for i := range 20 {
		ip(t, host, fmt.Sprintf("link set v0 alias noise%d txqueuelen %d", i, 100+i))
	}
	for carrier, alias := false, false; !carrier || !alias; {
		u := <-heard
		carrier = carrier || u.Flags&unix.IFF_RUNNING != 0
		alias = alias || u.Attrs().Alias == "noise19"
	}
	ip(t, host, "link set v0 mtu 1400")
	wait(t, changed)
	if got := named(w.Links())["v0"].MTU; got != 1400 {
		t.Errorf("something else than the MTU woke: MTU is %d", got)
	}
	if got := before["v0"].MTU; got != 1500 {
		t.Errorf("a map that was returned earlier has changed: MTU is %d", got)
	}
}

// A socket that holds almost nothing loses messages; the Watcher does not.
func TestOverrun(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, log := start(t, namespace, 1)
	ovstest.Eventually(t, "an overrun", func() error {
		var batch strings.Builder
		for i := range 100 {
			fmt.Fprintf(&batch, "link add o%d type ifb\naddress add 192.0.2.%d/32 dev o%d\n", i, i, i)
		}
		for i := range 100 {
			if i != 7 {
				fmt.Fprintf(&batch, "link del o%d\n", i)
			}
		}
		cmd := exec.CommandContext(context.Background(), "ip", "-n", namespace, "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip -batch: %w\n%s", err, out)
		}
		if _, ok := agree(t, w, namespace)["o7"]; !ok {
			return fmt.Errorf("o7 is missing")
		}
		ip(t, namespace, "link del o7")
		agree(t, w, namespace)
		if !strings.Contains(log.String(), "no buffer space") {
			return fmt.Errorf("nothing was lost yet; the log says %q", log)
		}
		return nil
	})
}

// Whatever happens in whatever order, the Watcher ends up with what ip says.
func TestChurn(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	name := func() string { return fmt.Sprintf("d%d", random.IntN(6)) }
	commands := []func() (namespace, command string){
		func() (string, string) { return host, "link add " + name() + " type veth peer name " + name() },
		func() (string, string) {
			return host, "link add " + name() + " type veth peer name " + name() + " netns " + vm
		},
		func() (string, string) {
			return vm, "link add " + name() + " type veth peer name " + name() + " netns " + host
		},
		func() (string, string) { return host, "link add " + name() + " type bridge" },
		func() (string, string) { return host, "link add " + name() + " link " + name() + " type macvlan" },
		func() (string, string) { return host, "link set " + name() + " master " + name() },
		func() (string, string) { return host, "link set " + name() + " nomaster" },
		func() (string, string) { return host, "link set " + name() + " name " + name() },
		func() (string, string) { return host, "link set " + name() + " netns " + vm },
		func() (string, string) { return vm, "link set " + name() + " netns " + host },
		func() (string, string) { return host, "link set " + name() + " up" },
		func() (string, string) { return host, "link set " + name() + " down" },
		func() (string, string) { return host, "address add 192.0.2.1/24 dev " + name() },
		func() (string, string) { return host, "address flush dev " + name() },
		func() (string, string) { return host, "link del " + name() },
		func() (string, string) { return vm, "link del " + name() },
	}
	done := 0
	for range 25 {
		for range 20 {
			if _, err := tryIP(commands[random.IntN(len(commands))]()); err == nil {
				done++ // many are refused, as they should
			}
		}
		agree(t, w, host)
	}
	if done < 50 {
		t.Errorf("only %d of the commands did anything", done)
	}
}

// fill puts n devices into a table.
func fill(n int) *table {
	t := newTable()
	for i := 1; i <= n; i++ {
		t.put(i, link{device: plan.Device{Index: i, Name: fmt.Sprintf("tap%d", i), Kind: "tun", Tap: true, Ethernet: true, MTU: 1500}})
	}
	return t
}

// BenchmarkChange is one change of one of 3,000 devices, which nobody looks at.
func BenchmarkChange(b *testing.B) {
	w, t := New(slog.New(slog.DiscardHandler)), fill(3000)
	w.publish(t)
	for i := 0; b.Loop(); i++ {
		l := t.links[7]
		l.device.MTU = i
		t.put(7, l)
		w.publish(t)
	}
}

// BenchmarkChangeAndLinks is one change of one of 3,000 devices, after which
// somebody looks.
func BenchmarkChangeAndLinks(b *testing.B) {
	w, t := New(slog.New(slog.DiscardHandler)), fill(3000)
	w.publish(t)
	for i := 0; b.Loop(); i++ {
		l := t.links[7]
		l.device.MTU = i
		t.put(7, l)
		w.publish(t)
		if w.Links().Len() != 3000 {
			b.Fatal("not all devices")
		}
	}
}

// BenchmarkDump is what an overrun costs with 1,000 devices.
func BenchmarkDump(b *testing.B) {
	namespace := ovstest.Namespace(b)
	ovstest.Inside(b, namespace, func() error {
		for i := range 1000 {
			if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("tap%d", i)}}); err != nil {
				return err
			}
		}
		for b.Loop() {
			if err := dump(newTable()); err != nil {
				return err
			}
		}
		return nil
	})
}

// A veth that is deleted is announced once more, without its other end: that
// must not look like one whose other end is in the host.
func TestAVethThatGoesHasItsPeerElsewhereToTheEnd(t *testing.T) {
	host, vm := ovstest.Namespace(t), ovstest.Namespace(t)
	w, _ := start(t, host, receiveBuffer)
	for range 30 {
		ip(t, host, "link add v0 up type veth peer name eth0 netns "+vm)
		await(t, w, "v0", func(l map[string]plan.Device) bool { return l["v0"].PeerElsewhere })
		done := make(chan error, 1)
		go func() {
			_, err := tryIP(host, "link del v0")
			done <- err
		}()
		await(t, w, "v0 is gone", func(l map[string]plan.Device) bool {
			device, there := l["v0"]
			if there && !device.PeerElsewhere {
				t.Errorf("on its way out it is seen as %+v", device)
			}
			return !there
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestRemove(t *testing.T) {
	namespace := ovstest.Namespace(t)
	w, _ := start(t, namespace, receiveBuffer)
	var indexes []int
	for i := range 4 {
		name := fmt.Sprintf("tap%d", i)
		ip(t, namespace, "tuntap add "+name+" mode tap")
		links := await(t, w, name, func(l map[string]plan.Device) bool { return l[name].Index != 0 })
		indexes = append(indexes, links[name].Index)
	}
	ip(t, namespace, "link delete tap1") // it is gone already
	remove := func() error { return Remove(indexes[:3]...) }
	ovstest.Inside(t, namespace, remove)
	await(t, w, "only tap3 is left", func(l map[string]plan.Device) bool {
		left := 0
		for name := range l { // a kernel with tunnels makes devices of them everywhere
			if strings.HasPrefix(name, "tap") {
				left++
			}
		}
		return left == 1 && l["tap3"].Index == indexes[3]
	})
	ovstest.Inside(t, namespace, remove) // all are gone already
}
