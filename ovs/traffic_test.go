package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
)

// meter is a real Open vSwitch that moves frames between real devices, and the
// kernel's own word for what each network carried.
type meter struct {
	*testing.T
	*ovstest.OVS
	namespace string
	links     *netlink.Handle
	file      string // with the totals

	sw       *ovs.Switch
	networks []model.Network
	wanted   atomic.Pointer[map[model.ID]bool] // the networks, for the Switch
	stop     func()
	devices  map[string]*metered
	gone     map[model.ID]model.Counters // what devices counted that are gone
}

// metered is a device with a port.
type metered struct {
	network model.ID
	index   int
	veth    bool           // the device is the switch's end of a cable
	start   model.Counters // what it had counted when it was plugged in
	seen    model.Counters // what it had counted at the last look
}

func newMeter(t *testing.T, networks ...string) *meter {
	t.Helper()
	t.Parallel() // it mostly waits for vswitchd, which publishes every 5 seconds
	namespace := ovstest.Namespace(t)
	// Nothing but the test may send.
	for _, which := range []string{"all", "default"} {
		command(t, "ip", "netns", "exec", namespace, "sysctl", "-q", "-w", "net.ipv6.conf."+which+".disable_ipv6=1")
	}
	handle, err := netns.GetFromName(namespace)
	if err != nil {
		t.Fatal(err)
	}
	links, err := netlink.NewHandleAt(handle, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { links.Close(); _ = handle.Close() })
	m := &meter{
		T: t, OVS: ovstest.Start(t, ovstest.InNamespace(namespace)), namespace: namespace, links: links,
		file:    filepath.Join(t.TempDir(), "traffic"),
		devices: map[string]*metered{}, gone: map[model.ID]model.Counters{},
	}
	var all []model.Network
	for _, name := range networks {
		all = append(all, network(name, 0))
	}
	m.want(all...)
	m.start()
	m.realise()
	return m
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// start starts a Switch with the totals of the one before.
func (m *meter) start() {
	m.Helper()
	m.sw = ovs.New(ovs.Config{
		Endpoints: []string{m.Endpoint()}, DatapathType: ovstest.Datapath(), Observer: &observer{}, Logger: slog.New(slog.DiscardHandler),
		Totals: m.file,
		Wanted: func(string) (map[model.ID]bool, bool) { return *m.wanted.Load(), true },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.sw.Run(ctx) }()
	stopped := false
	m.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			m.Errorf("Run: %v", err)
		}
	}
	m.Cleanup(m.stop)
	waitFor(m.T, m.sw, "a snapshot", func(a *plan.Actual) bool { return a.SystemID != "" })
	m.AwaitSessions(3) // vswitchd's and both of the Switch
}

// want says which networks there are to be.
func (m *meter) want(networks ...model.Network) {
	m.networks = networks
	wanted := map[model.ID]bool{}
	for _, n := range networks {
		wanted[n.ID] = true
	}
	m.wanted.Store(&wanted)
}

func (m *meter) realise() {
	m.Helper()
	realise(m.T, m.sw, plan.Want{Networks: m.networks})
}

// plug plugs a new internal port into a network.
func (m *meter) plug(name string, n model.Network) {
	m.Helper()
	m.Vsctl("add-port", n.VdsmName, name, "--", "set", "interface", name, "type=internal")
	m.up(name)
	m.devices[name] = &metered{network: n.ID, index: m.link(name).Index}
}

func (m *meter) up(name string) {
	m.Helper()
	command(m.T, "ip", "-n", m.namespace, "link", "set", name, "up")
}

// cable makes a pair of devices, of which one can be plugged in.
func (m *meter) cable(name, other string) {
	m.Helper()
	command(m.T, "ip", "-n", m.namespace, "link", "add", name, "type", "veth", "peer", "name", other)
	m.up(name)
	m.up(other)
}

func (m *meter) plugCable(name string, n model.Network) {
	m.Helper()
	m.Vsctl("add-port", n.VdsmName, name)
	m.devices[name] = &metered{network: n.ID, index: m.link(name).Index, veth: true}
}

func (m *meter) unplug(name string) {
	m.Helper()
	d := m.devices[name]
	m.gone[d.network] = m.gone[d.network].Plus(minus(d.seen, d.start))
	delete(m.devices, name)
	m.Vsctl("del-port", name)
}

func (m *meter) link(name string) *netlink.LinkAttrs {
	m.Helper()
	link, err := m.links.LinkByName(name)
	if err != nil {
		m.Fatalf("%s: %v", name, err)
	}
	return link.Attrs()
}

// send sends frames of 100 bytes to everybody, from a device.
func (m *meter) send(name string, frames int) {
	m.Helper()
	index := m.link(name).Index
	frame := make([]byte, 100)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5") // IEEE Std 802 local experimental
	ovstest.Inside(m, m.namespace, func() error {
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket) //nolint:errcheck // it was written to
		for range frames {
			if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				return fmt.Errorf("send from %s: %w", name, err)
			}
		}
		return nil
	})
}

// reach sends frames until one arrives: Open vSwitch may drop the first ones to a
// device that was just set up.
func (m *meter) reach(from, to string) {
	m.Helper()
	ovstest.Eventually(m, to+" receives", func() error {
		if m.read(to).ReceivedPackets == 0 {
			m.send(from, 1)
			return errors.New("no frame has come")
		}
		return nil
	})
}

// read returns what the kernel counts of a device, as its endpoint sees it, and
// remembers it. Of a cable the switch has the other end.
func (m *meter) read(name string) model.Counters {
	m.Helper()
	s := m.link(name).Statistics
	c := model.Counters{
		ReceivedBytes: s.RxBytes, ReceivedPackets: s.RxPackets,
		TransmittedBytes: s.TxBytes, TransmittedPackets: s.TxPackets,
	}
	if m.devices[name].veth {
		c = model.Counters{
			ReceivedBytes: s.TxBytes, ReceivedPackets: s.TxPackets,
			TransmittedBytes: s.RxBytes, TransmittedPackets: s.RxPackets,
		}
	}
	m.devices[name].seen = c
	return c
}

func minus(c, d model.Counters) model.Counters {
	return model.Counters{
		ReceivedBytes: c.ReceivedBytes - d.ReceivedBytes, ReceivedPackets: c.ReceivedPackets - d.ReceivedPackets,
		TransmittedBytes: c.TransmittedBytes - d.TransmittedBytes, TransmittedPackets: c.TransmittedPackets - d.TransmittedPackets,
	}
}

// truth returns what each network carried by the kernel's counters.
func (m *meter) truth() map[model.ID]model.Counters {
	m.Helper()
	truth := map[model.ID]model.Counters{}
	for _, n := range m.networks {
		truth[n.ID] = m.gone[n.ID]
	}
	for name, d := range m.devices {
		truth[d.network] = truth[d.network].Plus(minus(m.read(name), d.start))
	}
	return truth
}

// check waits until the totals are the truth to the byte. A total that is ever
// too high stays so, because none falls: then the next check fails.
func (m *meter) check(when string) {
	m.Helper()
	ovstest.Eventually(m, when, func() error {
		got := map[model.ID]model.Counters{}
		for id, t := range m.sw.Traffic() {
			t.Total.ReceivedDrops, t.Total.TransmittedDrops = 0, 0 // the kernel's differ by what nobody listens to
			got[id] = t.Total
		}
		if diff := cmp.Diff(m.truth(), got); diff != "" {
			return fmt.Errorf("totals (-kernel +isonet):\n%s", diff)
		}
		for name, d := range m.devices {
			if want := m.datapath(name); want != d.bytes() {
				return fmt.Errorf("the datapath says that %s carried %v bytes, the kernel %v", name, want, d.bytes())
			}
		}
		return nil
	})
}

// datapath returns what vswitchd's datapath counts of a port: the bytes that it
// took from it and gave to it.
func (m *meter) datapath(name string) [2]string {
	m.Helper()
	text := m.Appctl("dpctl/show", "-s")
	found := regexp.MustCompile(`port \d+: ` + name + `\b[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n\s+RX bytes:(\d+)[^\n]*TX bytes:(\d+)`).FindStringSubmatch(text)
	if found == nil {
		m.Fatalf("dpctl/show says nothing of %s:\n%s", name, text)
	}
	return [2]string{found[1], found[2]}
}

// bytes returns what the datapath must have counted: it is the other end of the
// port. Of an internal port the kernel's tells what the device itself counts.
func (d *metered) bytes() [2]string {
	taken, given := fmt.Sprint(d.seen.TransmittedBytes), fmt.Sprint(d.seen.ReceivedBytes)
	if ovstest.Datapath() == ovstest.Kernel && !d.veth {
		return [2]string{given, taken}
	}
	return [2]string{taken, given}
}

// renewed follows devices that vswitchd made anew, whose counters began at zero.
func (m *meter) renewed() {
	m.Helper()
	for name, d := range m.devices {
		index := m.link(name).Index
		if index == d.index {
			continue
		}
		m.gone[d.network] = m.gone[d.network].Plus(minus(d.seen, d.start))
		d.index, d.start = index, model.Counters{}
		m.up(name)
	}
}

func TestTrafficWhilePortsComeAndGo(t *testing.T) {
	m := newMeter(t, "red", "blue")
	red, blue := m.networks[0], m.networks[1]
	m.plug("vm1", red)
	m.plug("vm2", red)
	m.reach("vm1", "vm2")
	m.check("the first frames")
	first := m.sw.Traffic()[red.ID].Total
	m.send("vm1", 10)
	received := uint64(1000)
	if ovstest.Datapath() == ovstest.Kernel { // its internal devices do not count the Ethernet header of what they receive
		received -= 10 * 14
	}
	ovstest.Eventually(t, "10 frames of 100 bytes to one receiver are counted", func() error {
		got := minus(m.sw.Traffic()[red.ID].Total, first)
		if got.TransmittedBytes != 1000 || got.ReceivedBytes != received {
			return fmt.Errorf("the total grew by %+v", got)
		}
		return nil
	})
	m.check("two ports")

	m.unplug("vm2")
	m.plug("vm2", red)
	m.cable("tap3", "vm3")
	m.plugCable("tap3", blue)
	m.send("vm2", 5)
	m.send("vm3", 7)
	m.check("a port has left and come back")

	// As libvirt moves the device of a running VM.
	m.read("tap3")
	m.gone[blue.ID] = m.gone[blue.ID].Plus(m.devices["tap3"].seen)
	m.Vsctl("del-port", "tap3", "--", "add-port", red.VdsmName, "tap3")
	m.devices["tap3"].network, m.devices["tap3"].start = red.ID, m.devices["tap3"].seen
	m.send("vm3", 3)
	m.check("a port has moved with its device")

	// A network of the same name is another network.
	m.unplug("vm1")
	m.unplug("vm2")
	m.unplug("tap3")
	m.want(blue)
	realise(t, m.sw, plan.Want{Networks: m.networks, Evicted: []model.ID{red.ID}})
	again := network("red", 0)
	again.ID = model.DeriveID("another red")
	m.want(blue, again)
	m.realise()
	m.plug("vm4", again)
	m.plug("vm5", again)
	m.send("vm4", 2)
	m.check("a network was made anew")
	m.send("vm5", 1)
	m.check("at last")
}

func TestTrafficWhileOpenVSwitchRestarts(t *testing.T) {
	m := newMeter(t, "red")
	red := m.networks[0]
	m.plug("vm1", red)
	m.plug("vm2", red)
	m.cable("tap3", "vm3")
	m.plugCable("tap3", red)
	m.send("vm1", 10)
	m.check("at first")
	created := m.sw.Traffic()[red.ID].Created

	m.StopServer()
	m.send("vm2", 5) // vswitchd goes on without it
	m.StartServer()
	m.send("vm3", 5)
	m.check("ovsdb-server was killed")

	m.StopVSwitchd()
	m.StartVSwitchd()
	m.renewed()
	m.send("vm1", 4)
	m.send("vm3", 4)
	m.check("vswitchd was killed")

	m.StopVSwitchd()
	m.StopServer()
	m.StartServer()
	m.StartVSwitchd()
	m.renewed()
	m.send("vm3", 6)
	m.check("both were killed")

	// Somebody deletes the bridge behind isonet's back.
	for name, d := range m.devices {
		m.gone[red.ID] = m.gone[red.ID].Plus(minus(d.seen, d.start))
		delete(m.devices, name)
	}
	m.Vsctl("del-br", red.VdsmName)
	waitFor(t, m.sw, "the bridge is gone", func(a *plan.Actual) bool { return len(a.Bridges) == 0 })
	m.check("there is no bridge")
	m.realise()
	m.plug("vm4", red)
	m.plug("vm5", red)
	m.send("vm5", 3)
	m.check("the bridge is back")
	m.send("vm5", 1)
	m.check("at last")
	if got := m.sw.Traffic()[red.ID].Created; !got.Equal(created) {
		t.Errorf("the totals count since %v, not since %v", got, created)
	}
}

func TestTrafficWhileISOnetRestarts(t *testing.T) {
	m := newMeter(t, "red", "blue")
	red, blue := m.networks[0], m.networks[1]
	m.plug("vm1", red)
	m.plug("vm2", red)
	m.plug("vm3", blue)
	m.plug("vm4", blue)
	m.send("vm1", 10)
	m.send("vm3", 20)
	m.check("at first")
	created := m.sw.Traffic()[red.ID].Created

	m.stop()
	early, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	m.send("vm2", 5)
	m.start()
	m.send("vm4", 5)
	m.check("it was stopped")

	// A crash leaves what was saved some time before.
	m.send("vm1", 4)
	m.stop()
	if err := os.WriteFile(m.file, early, 0o600); err != nil {
		t.Fatal(err)
	}
	m.send("vm4", 3)
	m.start()
	m.check("it crashed")

	// And Open vSwitch with it.
	m.stop()
	m.StopVSwitchd()
	m.StopServer()
	m.StartServer()
	m.StartVSwitchd()
	m.renewed()
	m.send("vm2", 9)
	m.start()
	m.check("both were stopped")
	m.send("vm4", 1)
	m.check("at last")
	if got := m.sw.Traffic()[red.ID].Created; !got.Equal(created) {
		t.Errorf("the totals count since %v, not since %v", got, created)
	}
}
