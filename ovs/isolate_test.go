package ovs_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/ovsdb"
)

// ip runs ip(8), and in runs a command in a namespace.
func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// cable is a real Open vSwitch with a network of three VMs, each a namespace
// with eth0 and the address 10.5.0.N.
type cable struct {
	*testing.T
	ovs  *ovstest.OVS
	sw   *ovs.Switch
	want plan.Want
	vms  []string
}

func newCable(t *testing.T) *cable {
	t.Helper()
	host := ovstest.Namespace(t)
	c := &cable{T: t, want: plan.Want{Networks: []model.Network{network("red", 0)}}}
	for n := range 3 {
		vm := ovstest.Namespace(t)
		ip(t, "-n", host, "link", "add", fmt.Sprintf("vm%d", n), "type", "veth", "peer", "name", "eth0", "netns", vm)
		ip(t, "-n", host, "link", "set", fmt.Sprintf("vm%d", n), "up")
		ip(t, "-n", vm, "address", "add", fmt.Sprintf("10.5.0.%d/24", n+1), "dev", "eth0")
		ip(t, "-n", vm, "link", "set", "eth0", "up")
		c.vms = append(c.vms, vm)
	}
	c.ovs, c.sw, _ = startWith(t, ovstest.Datapath(), ovstest.InNamespace(host))
	realise(t, c.sw, c.want)
	for n := range 3 {
		c.ovs.Vsctl("add-port", "red", fmt.Sprintf("vm%d", n))
	}
	waitFor(t, c.sw, "the ports", func(a *plan.Actual) bool { return len(a.Bridges["red"].LivePorts(nil)) == 3 })
	realise(t, c.sw, c.want)
	return c
}

// reaches says whether a broadcast of the first VM is answered by the second.
func (c *cable) reaches() error {
	ip(c.T, "-n", c.vms[0], "neigh", "flush", "dev", "eth0")
	out, err := exec.CommandContext(c.Context(), "ip", "netns", "exec", c.vms[0], "ping", "-c1", "-W1", "10.5.0.2").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// received returns how many frames the third VM has received.
func (c *cable) received() int {
	c.Helper()
	n, err := strconv.Atoi(ip(c.T, "netns", "exec", c.vms[2], "cat", "/sys/class/net/eth0/statistics/rx_packets"))
	if err != nil {
		c.Fatal(err)
	}
	return n
}

// drift makes a change behind isonet's back and puts it right.
func (c *cable) drift(args ...string) {
	c.Helper()
	c.ovs.Vsctl(args...) // waits until vswitchd has applied it
	waitFor(c.T, c.sw, "the drift is seen", func(a *plan.Actual) bool { return !plan.Diff(c.want, a).Empty() })
	c.restore()
}

func (c *cable) restore() {
	c.Helper()
	for {
		actual := waitFor(c.T, c.sw, "vswitchd is ready", func(a *plan.Actual) bool { return a.CurCfg >= a.NextCfg })
		p := plan.Diff(c.want, actual)
		if p.Empty() {
			return
		}
		if _, err := c.sw.Apply(c.Context(), p); err != nil {
			c.Fatalf("apply: %v", err)
		}
	}
}

// Open vSwitch 3.1 floods to nobody when RSTP is disabled again: ARP is dead.
func TestBroadcastsFlowAfterRSTPWasPutBack(t *testing.T) {
	c := newCable(t)
	ovstest.Eventually(t, "before", c.reaches)
	ports := c.ovs.Vsctl("--columns=_uuid,name,interfaces", "list", "port")
	ofports := c.ovs.Vsctl("--columns=name,ofport", "list", "interface")
	c.drift("set", "bridge", "red", "rstp_enable=true")
	ovstest.Eventually(t, "after", c.reaches)
	if got := c.ovs.Vsctl("get", "bridge", "red", "rstp_enable", "datapath_type"); got != "false\n"+ovstest.Datapath() {
		t.Errorf("rstp_enable and datapath_type: %q", got)
	}
	if got := c.ovs.Vsctl("--columns=_uuid,name,interfaces", "list", "port"); got != ports {
		t.Errorf("ports are\n%s\nand were\n%s", got, ports)
	}
	if got := c.ovs.Vsctl("--columns=name,ofport", "list", "interface"); got != ofports {
		t.Errorf("port numbers are\n%s\nand were\n%s", got, ofports)
	}
}

// Open vSwitch 3.1 keeps copying a flow that is in use when its mirror goes.
func TestCopiesEndWithTheMirror(t *testing.T) {
	c := newCable(t)
	ovstest.Eventually(t, "before", c.reaches)
	for range 2 { // what ends the copies has to work every time
		c.ovs.Vsctl("--", "--id=@p", "get", "port", "vm2", "--", "--id=@m", "create", "mirror", "name=m", "select_all=true", "output_port=@p",
			"--", "set", "bridge", "red", "mirrors=@m")
		c.ovs.Appctl("revalidator/purge") // a mirror that comes takes its time too
		stream := exec.CommandContext(t.Context(), "ip", "netns", "exec", c.vms[0], "ping", "-i", "0.001", "-q", "10.5.0.2")
		if err := stream.Start(); err != nil {
			t.Fatal(err)
		}
		before := c.received()
		ovstest.Eventually(t, "copies", func() error {
			if n := c.received() - before; n < 200 {
				return fmt.Errorf("%d frames", n)
			}
			return nil
		})
		waitFor(t, c.sw, "the mirror is seen", func(a *plan.Actual) bool { return a.Bridges["red"].Mirrors == 1 })
		c.restore()
		before = c.received()
		sent := c.sent()
		ovstest.Eventually(t, "the stream goes on", func() error {
			if n := c.sent() - sent; n < 1000 {
				return fmt.Errorf("%d frames", n)
			}
			return nil
		})
		if n := c.received() - before; n > 100 {
			t.Errorf("%d copies after the mirror is gone", n)
		}
		if err := stream.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = stream.Wait() // it was killed
	}
}

// sent returns how many frames the first VM has sent.
func (c *cable) sent() int {
	c.Helper()
	n, err := strconv.Atoi(ip(c.T, "netns", "exec", c.vms[0], "cat", "/sys/class/net/eth0/statistics/tx_packets"))
	if err != nil {
		c.Fatal(err)
	}
	return n
}

// A port in quarantine reaches nobody, and reaches them again after it.
func TestQuarantineCutsAPortOffAndReleaseDoesNot(t *testing.T) {
	c := newCable(t)
	ovstest.Eventually(t, "before", c.reaches)
	change := func(make func(model.ID, plan.Bridge, plan.Port) plan.PortChange) {
		t.Helper()
		actual, _ := c.sw.Actual()
		b := actual.Bridges["red"]
		want := c.want
		want.Ports = []plan.PortChange{make(want.Networks[0].ID, b, port(t, b, "vm1"))}
		n, err := c.sw.Apply(t.Context(), plan.Diff(want, actual))
		if err != nil {
			t.Fatalf("apply: %v", err)
		}
		waitFor(t, c.sw, "applied", func(a *plan.Actual) bool { return a.CurCfg >= n })
	}
	change(func(n model.ID, b plan.Bridge, p plan.Port) plan.PortChange { return plan.Quarantine(n, b, p, "r") })
	for range 3 {
		if c.reaches() == nil {
			t.Fatal("the port in quarantine is reached")
		}
	}
	change(plan.Unquarantine)
	ovstest.Eventually(t, "after", c.reaches)
}

func port(t *testing.T, b plan.Bridge, name string) plan.Port {
	t.Helper()
	for _, p := range b.Ports {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("the bridge has no port %s", name)
	return plan.Port{}
}

// What was judged is not what is there any more: nothing may happen to it.
func TestAChangeOfAPortThatChangedIsStale(t *testing.T) {
	private, sw, _ := start(t)
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	realise(t, sw, want)
	for name, meanwhile := range map[string][]string{
		"plugged in anew":  {"del-port", "vm", "--", "add-port", "red", "vm"},
		"of another type":  {"set", "interface", "vm", "type=internal"},
		"on another VLAN":  {"set", "port", "vm", "tag=5"},
		"with other marks": {"set", "port", "vm", "vlan_mode=trunk", "trunks=4095"},
		"gone":             {"del-port", "vm"},
	} {
		for _, verb := range []plan.PortVerb{plan.RemovePort, plan.QuarantinePort, plan.ReleasePort} {
			private.Vsctl("--if-exists", "del-port", "vm", "--", "add-port", "red", "vm")
			uuid := private.Vsctl("get", "port", "vm", "_uuid")
			actual := waitFor(t, sw, "the port", func(a *plan.Actual) bool {
				e := a.Bridges["red"].Endpoints()
				return len(e) == 1 && e[0].UUID == uuid && len(e[0].Interfaces) == 1
			})
			b := actual.Bridges["red"]
			p := plan.Plan{Ports: []plan.PortChange{{Bridge: b.UUID, Port: port(t, b, "vm"), Do: verb, Reason: "r"}}}
			private.Vsctl(meanwhile...)
			before := private.Vsctl("--columns=name,tag,trunks,external_ids", "list", "port")
			if _, err := sw.Apply(t.Context(), p); !errors.Is(err, ovsdb.ErrStale) {
				t.Errorf("%s: %s: %v, want ErrStale", name, verb, err)
			}
			if after := private.Vsctl("--columns=name,tag,trunks,external_ids", "list", "port"); after != before {
				t.Errorf("%s: %s changed\n%s\nto\n%s", name, verb, before, after)
			}
		}
	}
}
