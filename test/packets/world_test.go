package packets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// The bridge that connects the host with a collector outside, where flow exports
// and tunnels end.
const (
	underlay         = "under"
	underlayAddress  = "192.0.2.1"
	collectorAddress = "192.0.2.2"
)

// world is a host with an Open vSwitch of its own and isonetd on it.
type world struct {
	*testing.T
	ovs    *ovstest.OVS
	client *http.Client
	host   string // path of the host's resource
	names  *atomic.Int32
	// blind says that isonetd does not see the devices of Open vSwitch.
	blind bool

	collector *ovstest.VM
	outside   *ovstest.Probe // what reaches the collector
}

// newWorld starts both in the namespace of the tests. Devices may outlive their
// world for a while, so each has names of its own, from a number on.
func newWorld(t *testing.T, first int32) *world {
	t.Helper()
	w := &world{T: t, ovs: ovstest.Start(t, ovstest.InNamespace(thisHost()), ovstest.WithDummy()), names: &atomic.Int32{}}
	w.names.Store(first)
	w.startDaemon()
	return w
}

// thisHost is the namespace that the tests run in.
func thisHost() string { return os.Getenv(hostVariable) }

func (w *world) startDaemon() {
	w.Helper()
	options := daemon.DefaultOptions()
	options.OVSDB = w.ovs.Endpoint()
	options.StateDir = w.TempDir()
	options.Socket = filepath.Join(w.ovs.Dir(), "run", "api.sock")
	options.MetricsListen = ""
	options.DatapathType = ovstest.Datapath()
	cfg, err := options.Parse()
	if err != nil {
		w.Fatal(err)
	}
	d, err := daemon.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("Run: %v", err)
		}
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Socket)
	}}
	w.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
	ovstest.Eventually(w, "isonetd knows its host", func() error {
		var hosts struct{ Host []struct{ ID string } }
		text, err := w.ask("GET", "/hosts", "")
		if err == nil {
			err = json.Unmarshal(text, &hosts)
		}
		if err != nil || len(hosts.Host) != 1 {
			return fmt.Errorf("hosts: %v: %w", hosts, err)
		}
		w.host = "/hosts/" + hosts.Host[0].ID
		var status wire.Status
		if w.get("/isonet/status", &status); !status.Connected {
			return errors.New("it has not looked at Open vSwitch yet")
		}
		return nil
	})
}

// call makes a request that has to succeed and returns the answer.
func (w *world) call(method, path, body string) []byte {
	w.Helper()
	reply, err := w.ask(method, path, body)
	if err != nil {
		w.Fatal(err)
	}
	return reply
}

// ask makes a request and returns the answer.
func (w *world) ask(method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	res, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	reply, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: %s", res.Status, reply)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return reply, nil
}

func (w *world) get(path string, reply any) {
	w.Helper()
	if text := w.call("GET", path, ""); json.Unmarshal(text, reply) != nil {
		w.Fatalf("GET %s: %s", path, text)
	}
}

// For returns the same world for a subtest.
func (w *world) For(t *testing.T) *world {
	other := *w
	other.T, other.ovs = t, w.ovs.For(t)
	return &other
}

// name returns a name for a device that nothing else has.
func (w *world) name(prefix string) string { return fmt.Sprintf("%s%d", prefix, w.names.Add(1)) }

// ip runs ip(8) in the host.
func (w *world) ip(command string) {
	w.Helper()
	if out, err := exec.CommandContext(context.Background(), "ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		w.Fatalf("ip %s: %v\n%s", command, err, out)
	}
}

// device makes a device that ends with the test, and sets it up.
func (w *world) device(name, options string) {
	w.Helper()
	w.ip("link add " + name + " " + options)
	w.Cleanup(func() { w.ip("link delete " + name) })
	w.up(name)
}

// up sets a device up. The host says nothing on it by itself.
func (w *world) up(name string) {
	w.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Fatal(err)
	}
	w.ip("link set " + name + " up")
}

// addCollector connects the host with the collector.
func (w *world) addCollector() {
	w.Helper()
	w.ovs.Vsctl("add-br", underlay, "--", "set", "bridge", underlay, "datapath_type="+ovstest.Datapath())
	w.Cleanup(func() { w.ovs.Vsctl("del-br", underlay) }) // its device would outlive vswitchd
	w.collector = w.ovs.NewVM(w.name("collector"), collectorAddress+"/24")
	w.ovs.Plug(w.collector, underlay)
	w.outside = w.collector.Probe()
	w.up(underlay)
	w.ip("address replace " + underlayAddress + "/24 dev " + underlay)
	ovstest.Eventually(w, "the collector reaches the host", func() error {
		if !w.collector.Pings(underlayAddress) {
			return errors.New("no answer")
		}
		return nil
	})
	w.ovs.Appctl("tnl/arp/set", underlay, collectorAddress, w.outside.MAC.String())
}

// applied waits until vswitchd has applied all that is in the database.
func (w *world) applied() {
	w.Helper()
	w.ovs.Vsctl("set", "Open_vSwitch", ".", "external_ids:packets="+w.name("applied"))
}

// side is a bridge with two VMs: a network of isonet, or a bridge of
// somebody else for comparison.
type side struct {
	*world
	bridge string
	id     string // of the network; "" for a bridge without isonet
	a, b   *ovstest.VM
	// The VMs' own devices.
	atA, atB *ovstest.Probe
	// beyond is where the frames of a way in begin.
	beyond *ovstest.Probe
}

// plain makes a bridge as ovs-vsctl does.
func (w *world) plain() *side {
	w.Helper()
	s := &side{world: w, bridge: w.name("plain")}
	w.ovs.Vsctl("add-br", s.bridge, "--", "set", "bridge", s.bridge, "datapath_type="+ovstest.Datapath())
	w.Cleanup(func() { w.ovs.Vsctl("del-br", s.bridge) })
	s.plugVMs()
	return s
}

// network makes a network of isonet. Settings are further members of its
// resource in JSON, such as `"strict":true`.
func (w *world) network(settings ...string) *side {
	w.Helper()
	s := &side{world: w, bridge: w.name("net")}
	members := append([]string{fmt.Sprintf(`"name":%q`, s.bridge), `"data_center":{"name":"Default"}`}, settings...)
	var network struct{ ID string }
	if err := json.Unmarshal(w.call("POST", "/networks", "{"+strings.Join(members, ",")+"}"), &network); err != nil {
		w.Fatal(err)
	}
	s.id = network.ID
	w.call("POST", w.host+"/setupnetworks",
		fmt.Sprintf(`{"modified_network_attachments":{"network_attachment":[{"network":{"name":%q}}]}}`, s.bridge))
	w.Cleanup(func() { w.call("DELETE", "/networks/"+s.id+"?force=true", "") })
	s.plugVMs()
	if !s.blind {
		s.until("isolated and guarded", func(n wire.NetworkStatus, _ []wire.Event) bool {
			guard := n.Isolation.HostGuard
			return n.State == string(report.Active) && len(n.Ports) == 2 && n.Isolation.Isolated && guard != nil && guard.State == string(report.Guarded)
		})
	}
	return s
}

func (s *side) plugVMs() {
	s.Helper()
	s.a, s.atA = s.plugVM(1)
	s.b, s.atB = s.plugVM(2)
	s.connected()
}

// plugVM adds a VM to the bridge, with the address 10.77.0.n.
func (s *side) plugVM(n int) (*ovstest.VM, *ovstest.Probe) {
	s.Helper()
	vm := s.ovs.NewVM(s.name("vm"), fmt.Sprintf("10.77.0.%d/24", n))
	probe := vm.Probe()
	s.ovs.Plug(vm, s.bridge, "--", "set", "interface", vm.Device, fmt.Sprintf(`external_ids:attached-mac="%s"`, probe.MAC))
	return vm, probe
}

// status returns what isonet knows of the network.
func (s *side) status() (wire.NetworkStatus, []wire.Event) {
	s.Helper()
	var status wire.Status
	s.get("/isonet/status", &status)
	var events []wire.Event
	for _, e := range status.Events {
		if string(e.NetworkID) == s.id {
			events = append(events, e)
		}
	}
	i := slices.IndexFunc(status.Networks, func(n wire.NetworkStatus) bool { return n.ID == s.id })
	if i < 0 {
		s.Fatalf("isonet does not know the network: %+v", status)
	}
	return status.Networks[i], events
}

// until waits for something of the network's status.
func (s *side) until(what string, check func(wire.NetworkStatus, []wire.Event) bool) {
	s.Helper()
	ovstest.Eventually(s, "the network "+s.bridge+" is "+what, func() error {
		n, events := s.status()
		if !check(n, events) {
			return fmt.Errorf("it is %+v after %+v", n.Isolation, events)
		}
		return nil
	})
}

// judged waits until isonet has done about a reason what its table says.
func (s *side) judged(reason isolation.Reason) {
	s.Helper()
	entry, ok := isolation.Find(reason)
	if !ok {
		s.Fatalf("no reason %s", reason)
	}
	s.until("judged "+string(reason), func(n wire.NetworkStatus, events []wire.Event) bool {
		found := slices.IndexFunc(n.Isolation.Findings, func(f wire.Finding) bool { return f.Reason == string(reason) })
		told := slices.ContainsFunc(events, func(e wire.Event) bool { return e.Reason == string(reason) })
		action := entry.Enforce
		if entry.Meanwhile != "" { // nothing leaves from then on
			action = entry.Meanwhile
		}
		switch action {
		case isolation.Quarantine:
			return told && found >= 0 && n.Isolation.Findings[found].Quarantined
		case isolation.Report:
			return told && found >= 0
		}
		return told && n.Isolation.Isolated
	})
	s.applied()
}

// connected fails unless the VMs reach each other.
func (s *side) connected() {
	s.Helper()
	ovstest.Eventually(s, "the VMs of "+s.bridge+" reach each other", func() error {
		if !s.a.Pings(s.b.Address) || !s.b.Pings(s.a.Address) {
			return errors.New("no answer")
		}
		return nil
	})
}

// mark is what the frames of this side bear.
func (s *side) mark() string { return s.bridge }

// barrier returns when all that a has sent so far was forwarded: b has got a
// later frame.
func (s *side) barrier() {
	s.Helper()
	mark := s.name("barrier")
	ovstest.Eventually(s, "a frame from a to b on "+s.bridge, func() error {
		if s.atB.Count(mark) == 0 {
			s.atA.Broadcast(mark, 1)
			return errors.New("it has not come")
		}
		return nil
	})
}
