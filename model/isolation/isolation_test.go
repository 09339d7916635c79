package isolation_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

const networkID = model.ID("11111111-1111-4111-8111-111111111111")

// healthy is what Judge must not object to: a bridge as isonet makes it, whose
// own device the kernel lists.
func healthy() isolation.Input {
	n := model.Network{ID: networkID, Name: "red", VdsmName: "red"}
	s := plan.NewSpec(n, "netdev")
	return isolation.Input{
		Network: n, DatapathType: "netdev",
		Devices: with(nil, "red", tap()),
		Bridge: plan.Bridge{
			UUID: "b", Name: "red", Network: n.ID, DatapathType: "netdev", ExternalIDs: s.ExternalIDs, OtherConfig: s.OtherConfig,
			Ports: []plan.Port{{
				UUID: "l", Name: "red", VLANMode: s.VLANMode, Trunks: s.Trunks, Tag: -1,
				Interfaces: []plan.Interface{{UUID: "li", Name: "red", Type: "internal", OFPort: 65534}},
			}},
		},
	}
}

// plugged adds a port with one interface named p.
func plugged(in isolation.Input, i plan.Interface, devices ...plan.Device) isolation.Input {
	i.UUID, i.Name = "pi", "p"
	in.Bridge.Ports = append(slices.Clone(in.Bridge.Ports), plan.Port{UUID: "p", Name: "p", Tag: -1, Interfaces: []plan.Interface{i}})
	for _, d := range devices {
		in.Devices = with(in.Devices, "p", d)
	}
	return in
}

// with returns links in which a device has a name. A new one gets the next ifindex.
func with(links *plan.Links, name string, d plan.Device) *plan.Links {
	before, known := links.Named(name)
	if d.Name, d.Index = name, before.Index; !known {
		d.Index = links.Len() + 1
	}
	return links.Change(nil, []plan.Device{d})
}

func tap() plan.Device { return plan.Device{Kind: "tun", Tap: true, Ethernet: true, Promiscuous: true} }

func veth(elsewhere bool) plan.Device {
	return plan.Device{Kind: "veth", Ethernet: true, PeerElsewhere: elsewhere, Promiscuous: true}
}

func kind(k string) plan.Device { return plan.Device{Kind: k, Ethernet: true} }

// internal is an internal port of which Open vSwitch tells an ifindex.
func internal(index int) plan.Interface {
	return plan.Interface{Type: "internal", OFPort: 3, IfIndex: index}
}

// renamed adds a tap with the ifindex 7 that does not have the port's name.
func renamed(in isolation.Input) isolation.Input {
	d := tap()
	d.Index, d.Name = 7, "other"
	in.Devices = in.Devices.Change(nil, []plan.Device{d})
	return in
}

// nic adds a NIC with an ifindex.
func nic(in isolation.Input, index int) isolation.Input {
	in.Devices = in.Devices.Change(nil, []plan.Device{{Index: index, Name: "eth7", Ethernet: true}})
	return in
}

// formerly says that the port had another ifindex before.
func formerly(in isolation.Input, index int) isolation.Input {
	in.Former = map[string][]int{"pi": {index}}
	return in
}

// altname gives the port's device another name, and its name as an altname.
func altname(in isolation.Input, name string) isolation.Input {
	d, _ := in.Devices.Named(name)
	d.Name, d.AltNames = "own", []string{name}
	in.Devices = in.Devices.Change(nil, []plan.Device{d})
	return in
}

func addressed(d plan.Device, address string) plan.Device {
	d.Addresses = []netip.Prefix{netip.MustParsePrefix(address)}
	return d
}

// portCase is one kind of port and what it must be judged as.
type portCase struct {
	name    string
	in      isolation.Input
	reason  isolation.Reason // "" for no finding
	pending bool
}

func portCases() []portCase {
	open := plan.Interface{OFPort: 3}
	linked := plan.Interface{OFPort: 3, MTU: 1500, LinkUp: true}
	typed := func(t string) plan.Interface { return plan.Interface{Type: t, OFPort: 3} }
	waited := func(in isolation.Input) isolation.Input {
		in.Age = func(isolation.Unclear) time.Duration { return isolation.Grace }
		return in
	}
	settled := func(in isolation.Input) isolation.Input {
		in.Age = func(isolation.Unclear) time.Duration { return time.Second }
		return in
	}
	blind := func(in isolation.Input) isolation.Input {
		in.Devices = nil
		return in
	}
	kernel := func(in isolation.Input) isolation.Input {
		in.DatapathType = "system"
		in.Bridge.DatapathType = "system"
		return in
	}
	with := func(i plan.Interface, d ...plan.Device) isolation.Input { return plugged(healthy(), i, d...) }
	enslaved, under, ovs, impostor := tap(), tap(), tap(), tap()
	impostor.Master = plan.Relative{Index: 9, Name: "ovs-system", Kind: "bridge"}
	enslaved.Master, under.Upper = plan.Relative{Index: 9, Name: "virbr0", Kind: "bridge"}, []plan.Relative{{Index: 10, Name: "vlan5", Kind: "vlan"}}
	stolen := with(typed("internal"))
	stolen.Bridge.Ports = stolen.Bridge.Ports[1:]
	stolen.Bridge.Ports[0].Interfaces[0].Name = "red"
	raw, closed, up, far := tap(), tap(), tap(), tap()
	raw.Ethernet, closed.Promiscuous, up.Up = false, false, true
	far.Upper = []plan.Relative{{Index: 10, Name: "macvlan5", Kind: "macvlan", Elsewhere: true}}
	cases := []portCase{
		{"tap", with(open, tap()), "", false},
		{"tap of type system", with(typed("system"), tap()), "", false},
		{"tap with AF_XDP", with(typed("afxdp"), tap()), "", false},
		{"tap of the kernel's datapath", with(open, ovs), "", false},
		{"tap before its number", with(plan.Interface{}, tap()), "", false},
		{"veth to another namespace", with(open, veth(true)), "", false},
		{"vhost-user", with(typed("dpdkvhostuserclient")), "", false},
		{"vhost-user server", with(typed("dpdkvhostuser")), "", false},
		{"internal, moved", with(internal(7)), "", false},
		{"internal, moved under its name", with(internal(-1)), "", false},
		{"internal, moved, by what was seen before", formerly(with(typed("internal")), 7), "", false},
		{"internal, renamed", renamed(with(internal(7))), "", true},
		{"internal, renamed for too long", waited(renamed(with(internal(7)))), isolation.HostInternalPort, false},
		{"internal, renamed, its name used and given back", waited(formerly(renamed(with(internal(-1))), 7)), isolation.HostInternalPort, false},
		{"internal of which nothing is known", with(typed("internal")), "", true},
		{"internal of which nothing is known for long", waited(with(typed("internal"))), "", true},
		{"renamed tap", renamed(with(plan.Interface{OFPort: 3, IfIndex: 7})), "", false},
		{"renamed NIC", nic(with(plan.Interface{OFPort: 3, IfIndex: 7}), 7), isolation.PhysicalNIC, false},
		{"NIC whose name is a tap's now", formerly(nic(with(open, tap()), 7), 7), isolation.PhysicalNIC, false},
		{"device that is not open", with(open, closed), "", true},
		{"device that is not open a second later", settled(with(open, closed)), isolation.OtherDevice, false},
		{"device that is not open, kernel", kernel(with(open, closed)), "", false},
		{"NIC by its altname", altname(with(open, kind("")), "p"), isolation.PhysicalNIC, false},
		{"tap by its altname", altname(with(open, tap()), "p"), "", false},
		{"patch", with(typed("patch")), isolation.PatchPort, false},
		{"patch without number", with(plan.Interface{Type: "patch", OFPort: -1, Error: "no peer"}), isolation.PatchPort, false},
		{"dpdk", with(typed("dpdk")), isolation.DPDKPort, false},
		{"unknown type", with(typed("erspan7")), isolation.UnknownType, false},
		{"internal with the host", with(typed("internal"), tap()), "", true},
		{"internal with the host for too long", waited(with(typed("internal"), tap())), isolation.HostInternalPort, false},
		{"type tap with the host for too long", waited(with(typed("tap"), tap())), isolation.HostInternalPort, false},
		{"internal with an address", with(typed("internal"), addressed(tap(), "10.0.0.1/24")), isolation.HostInternalPort, false},
		{"internal that is up", with(typed("internal"), up), isolation.HostInternalPort, false},
		{"NIC", with(open, kind("")), isolation.PhysicalNIC, false},
		{"NIC before its number", with(plan.Interface{}, kind("")), isolation.PhysicalNIC, false},
		{"NIC with AF_XDP", with(typed("afxdp"), kind("")), isolation.PhysicalNIC, false},
		{"the bridge's own device", stolen, isolation.OwnDevice, false},
		{"loopback", with(open, plan.Device{Loopback: true}), isolation.LoopbackDevice, false},
		{"veth in the host", with(open, veth(false)), isolation.VethInHost, false},
		{"veth in the host for too long", waited(with(open, veth(false))), isolation.VethInHost, false},
		{"tun", with(open, plan.Device{Kind: "tun"}), isolation.L3Tun, false},
		{"enslaved", with(open, enslaved), isolation.StackedDevice, false},
		{"below another", with(open, under), isolation.StackedDevice, false},
		{"below another in another namespace", with(open, far), isolation.StackedDevice, false},
		{"enslaved to a bridge of the name of the kernel's datapath", with(open, impostor), isolation.StackedDevice, false},
		{"tap without Ethernet", with(open, raw), isolation.UnknownDevice, false},
		{"ifb", with(open, kind("ifb")), isolation.UnknownDevice, false},
		{"dummy", with(open, kind("dummy")), isolation.UnknownDevice, false},
		{"not opened", with(plan.Interface{}), "", true},
		{"not opened for long", waited(with(plan.Interface{})), "", true},
		{"not seen", with(linked), "", true},
		{"not seen for long", waited(with(linked)), isolation.UnseenDevice, false},
		{"gone", with(open), "", true},
		{"gone for long", waited(with(open)), "", false},
		{"nobody looked", blind(with(open)), "", true},
		{"nobody looked for long", waited(blind(with(open))), isolation.UnseenHost, false},
		{"internal, nobody looked", blind(with(typed("internal"))), "", true},
		{"internal, nobody looked for long", waited(blind(with(typed("internal")))), isolation.UnseenHost, false},
		{"device gone", with(plan.Interface{OFPort: -1, Error: "could not open network device p (No such device)"}), "", false},
		{"link-local, userspace", with(open, addressed(tap(), "fe80::1/64")), isolation.PortAddress, false},
		{"link-local, kernel", kernel(with(open, addressed(ovs, "fe80::1/64"))), "", false},
		{"address, kernel", kernel(with(open, addressed(ovs, "192.0.2.1/24"))), isolation.PortAddress, false},
	}
	for _, t := range []string{"vxlan", "geneve", "gre", "ip6gre", "erspan", "ip6erspan", "stt", "lisp", "gtpu", "bareudp", "srv6"} {
		cases = append(cases, portCase{t, with(typed(t)), isolation.TunnelPort, false})
	}
	for k, reason := range map[string]isolation.Reason{
		"bond": isolation.Bond, "team": isolation.Team, "vlan": isolation.VLANDevice, "bridge": isolation.LinuxBridge,
		"macvlan": isolation.Macvlan, "macvtap": isolation.Macvlan, "ipvlan": isolation.Macvlan,
		"vxlan": isolation.KernelTunnel, "gretap": isolation.KernelTunnel, "wireguard": isolation.KernelTunnel,
	} {
		cases = append(cases, portCase{"kernel " + k, with(open, kind(k)), reason, false})
	}
	return cases
}

func TestPorts(t *testing.T) {
	seen := map[isolation.Reason]bool{}
	for _, c := range portCases() {
		t.Run(c.name, func(t *testing.T) {
			v := isolation.Judge(c.in)
			var found isolation.Reason
			if len(v.Findings) > 0 {
				found = v.Findings[0].Reason
			}
			if found != c.reason || len(v.Findings) > 1 || (len(v.Pending) > 0) != c.pending {
				t.Fatalf("findings %+v, pending %+v; want reason %q, pending %v", v.Findings, v.Pending, c.reason, c.pending)
			}
			if v.Isolated() != (c.reason == "" && !c.pending) {
				t.Errorf("isolated: %v", v.Isolated())
			}
			seen[c.reason] = true
			if c.reason == "" {
				return
			}
			f := v.Findings[0]
			if f.Port != "p" || f.Interface != c.in.Bridge.Ports[len(c.in.Bridge.Ports)-1].Interfaces[0].Name || f.Bridge != "red" || f.Detail == "" || f.Remedy() == "" {
				t.Errorf("finding %+v lacks something", f)
			}
			e, _ := isolation.Find(c.reason)
			for _, p := range model.Policies() {
				c.in.Network.Isolation = p
				if e.Meanwhile != "" && c.in.Age == nil {
					e.Enforce = e.Meanwhile
				}
				if f := isolation.Judge(c.in).Findings[0]; f.Action != e.Under(p) {
					t.Errorf("%s: action %s, want %s", p, f.Action, e.Under(p))
				}
			}
		})
	}
	for _, e := range isolation.Table() {
		if isPort := e.Enforce != isolation.Restore && !e.Notice; isPort && !seen[e.Reason] {
			t.Errorf("no case shows %s", e.Reason)
		}
	}
}

func TestSettings(t *testing.T) {
	seen := map[isolation.Reason]bool{}
	for _, c := range []struct {
		reason isolation.Reason
		spoil  func(b *plan.Bridge)
	}{
		{isolation.Controller, func(b *plan.Bridge) { b.Controllers = 1 }},
		{isolation.Mirror, func(b *plan.Bridge) { b.Mirrors = 2 }},
		{isolation.NetFlow, func(b *plan.Bridge) { b.NetFlow = 1 }},
		{isolation.SFlow, func(b *plan.Bridge) { b.SFlow = 1 }},
		{isolation.IPFIX, func(b *plan.Bridge) { b.IPFIX = 1 }},
		{isolation.FlowSampling, func(b *plan.Bridge) { b.FlowSamples = []string{"u"} }},
		{isolation.AutoAttach, func(b *plan.Bridge) { b.AutoAttach = 1 }},
		{isolation.STP, func(b *plan.Bridge) { b.STP = true }},
		{isolation.RSTP, func(b *plan.Bridge) { b.RSTP = true }},
		{isolation.InBand, func(b *plan.Bridge) { b.OtherConfig = nil }},
		{isolation.ForwardBPDU, func(b *plan.Bridge) {
			b.OtherConfig = map[string]string{"disable-in-band": "true", "forward-bpdu": "true"}
		}},
		{isolation.LocalPort, func(b *plan.Bridge) { b.Ports[0].Trunks = nil }},
		{isolation.LocalPort, func(b *plan.Bridge) { b.Ports[0].VLANMode = "access" }},
		{isolation.LocalPort, func(b *plan.Bridge) { b.Ports[0].Tag = 5 }},
		{isolation.LocalPort, func(b *plan.Bridge) {
			b.Ports[0].Interfaces = append(b.Ports[0].Interfaces, plan.Interface{UUID: "x", Name: "up0", OFPort: 4})
		}},
		{isolation.LocalPort, func(b *plan.Bridge) { b.Ports[0].Interfaces[0].Name = "other" }},
		{isolation.LocalPort, func(b *plan.Bridge) { b.Ports[0].Interfaces = nil }},
		{isolation.Protocols, func(b *plan.Bridge) { b.Protocols = []string{"OpenFlow10", "OpenFlow13"} }},
		{isolation.FlowTables, func(b *plan.Bridge) { b.FlowTables = 1 }},
		{isolation.LACP, func(b *plan.Bridge) { b.Ports[0].LACP = "active" }},
		{isolation.LACP, func(b *plan.Bridge) { b.Ports[0].LACP = "passive" }},
		{isolation.LLDP, func(b *plan.Bridge) { b.Ports[0].Interfaces[0].LLDP = true }},
		{isolation.BFD, func(b *plan.Bridge) { b.Ports[0].Interfaces[0].BFD = true }},
		{isolation.FailMode, func(b *plan.Bridge) { b.FailMode = "standalone" }},
		{isolation.CFM, func(b *plan.Bridge) { b.Ports[0].Interfaces[0].CFM = true }},
	} {
		seen[c.reason] = true
		in := healthy()
		in.Network.Strict = c.reason == isolation.FailMode
		c.spoil(&in.Bridge)
		v := isolation.Judge(in)
		if len(v.Findings) != 1 || v.Findings[0].Reason != c.reason || v.Findings[0].Action != isolation.Restore || v.Findings[0].Detail == "" || v.Isolated() {
			t.Errorf("%s: verdict %+v", c.reason, v)
		}
		in.Network.Isolation = model.PolicyReport
		if v := isolation.Judge(in); len(v.Findings) != 1 || v.Findings[0].Action != underReport(c.reason) || v.Isolated() {
			t.Errorf("%s: verdict under report %+v", c.reason, v)
		}
	}
	for _, e := range isolation.Table() {
		// Flows are not in the database: reconcile's tests show them.
		if e.Enforce == isolation.Restore && !seen[e.Reason] && e.Reason != isolation.ForeignFlows {
			t.Errorf("no case shows %s", e.Reason)
		}
	}
}

// underReport is what is done under the policy to report: what makes a bridge the
// network's is no matter of the policy.
func underReport(r isolation.Reason) isolation.Action {
	switch r {
	case isolation.FailMode, isolation.Protocols, isolation.FlowTables:
		return isolation.Restore
	case isolation.OwnDevice:
		return isolation.Remove
	}
	return isolation.Report
}

// TestFlowsOfOthers judges what vswitchd tells of flows: of a strict network they
// are put back under every policy.
func TestFlowsOfOthers(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, policy := range model.Policies() {
			in := healthy()
			in.Network.Strict, in.Network.Isolation, in.Flows = strict, policy, "flows were added"
			if strict {
				in.Bridge.FailMode = plan.SecureFailMode
			}
			want := isolation.Restore
			if policy == model.PolicyReport && !strict {
				want = isolation.Report
			}
			v := isolation.Judge(in)
			if len(v.Findings) != 1 || v.Findings[0].Reason != isolation.ForeignFlows || v.Findings[0].Action != want || v.Isolated() {
				t.Errorf("strict %t, policy %s: verdict %+v", strict, policy, v)
			}
		}
	}
}

func TestNoticesDoNotBreakIsolation(t *testing.T) {
	in := healthy()
	up := tap()
	up.Up = true
	in.Devices = with(in.Devices, "red", up)
	in.Host = isolation.HostOf(&plan.Actual{Managers: 1, Bridges: map[string]plan.Bridge{
		"br-int": {Name: "br-int", DatapathType: "netdev", Ports: []plan.Port{{Name: "t", Interfaces: []plan.Interface{{Name: "t", Type: "geneve"}}}}},
		"kernel": {Name: "kernel", DatapathType: "system", Ports: []plan.Port{{Name: "u", Interfaces: []plan.Interface{{Name: "u", Type: "geneve"}}}}},
		"red":    in.Bridge,
	}})
	v := isolation.Judge(in)
	var reasons []isolation.Reason
	for _, f := range v.Findings {
		reasons = append(reasons, f.Reason)
		if !f.Notice || f.Action != isolation.Report {
			t.Errorf("%+v is no notice", f)
		}
	}
	if want := []isolation.Reason{isolation.LocalUp, isolation.Manager, isolation.TunnelNearby}; !slices.Equal(reasons, want) || !v.Isolated() {
		t.Errorf("findings %v, isolated %v; want %v", reasons, v.Isolated(), want)
	}
	if d := v.Findings[2].Detail; !strings.HasSuffix(d, ": t on br-int") {
		t.Errorf("tunnels: %q", d)
	}
}

func TestTheTableIsComplete(t *testing.T) {
	seen := map[isolation.Reason]bool{}
	for _, e := range isolation.Table() {
		if e.Reason == "" || e.What == "" || e.Evidence == "" || e.Remedy == "" || e.Enforce == "" || seen[e.Reason] {
			t.Errorf("entry %+v", e)
		}
		seen[e.Reason] = true
		if e.Under(model.PolicyReport) != underReport(e.Reason) || (e.Under(model.PolicyQuarantine) == isolation.Remove) != (e.Reason == isolation.OwnDevice) {
			t.Errorf("%s: actions under the policies", e.Reason)
		}
	}
}

// A port of several interfaces is as bad as the worst of them.
func TestABondIsJudgedByItsWorstInterface(t *testing.T) {
	in := plugged(healthy(), plan.Interface{OFPort: 3}, tap())
	in.Bridge.Ports[1].Interfaces = append(in.Bridge.Ports[1].Interfaces, plan.Interface{UUID: "n", Name: "eth0", OFPort: 4})
	in.Devices = with(in.Devices, "eth0", kind(""))
	v := isolation.Judge(in)
	if len(v.Findings) != 1 || v.Findings[0].Reason != isolation.PhysicalNIC || v.Findings[0].Interface != "eth0" {
		t.Errorf("verdict %+v", v)
	}
	if c := v.Changes(networkID, in.Bridge); len(c) != 1 || c[0].Do != plan.RemovePort || c[0].Port.UUID != "p" {
		t.Errorf("changes %+v", c)
	}
}

func TestAPortWithoutInterfacesIsPending(t *testing.T) {
	in := plugged(healthy(), plan.Interface{OFPort: 3}, tap())
	in.Bridge.Ports[1].Interfaces = nil
	in.Bridge.Ports[1].ExternalIDs = map[string]string{plan.QuarantineKey: "x"}
	v := isolation.Judge(in)
	if len(v.Pending) != 1 || v.Isolated() || len(v.Changes(networkID, in.Bridge)) != 0 {
		t.Errorf("verdict %+v, want the port pending", v)
	}
}

// Nothing that is stuck is about to be restored.
func TestRSTPThatIsStuckIsReported(t *testing.T) {
	in := plugged(healthy(), internal(7))
	in.Bridge.RSTP = true
	v := isolation.Judge(in)
	if len(v.Findings) != 1 || v.Findings[0].Reason != isolation.RSTP || v.Findings[0].Action != isolation.Report || v.Isolated() {
		t.Errorf("verdict %+v", v)
	}
}

// Marks say what to give back, never that there is nothing to object to.
func TestForgedMarksOpenNothing(t *testing.T) {
	marks := []map[string]string{
		nil,
		{plan.QuarantineKey: "unknown_device"},
		{plan.QuarantineKey: "", plan.QuarantineWasKey: "{}"},
		{plan.QuarantineWasKey: `{"trunks":[1]}`},
		{plan.QuarantineKey: "unknown_device", plan.QuarantineWasKey: "garbage"},
		{"owner": "isonet", "isonet-network-id": string(networkID)},
	}
	for _, c := range portCases() {
		for _, m := range marks {
			for _, open := range []bool{true, false} {
				in := c.in
				in.Bridge.Ports = slices.Clone(in.Bridge.Ports)
				p := &in.Bridge.Ports[len(in.Bridge.Ports)-1]
				p.ExternalIDs = m
				if !open {
					p.VLANMode, p.Trunks = "trunk", []int{4095}
				}
				v := isolation.Judge(in)
				for _, change := range v.Changes(networkID, in.Bridge) {
					known := c.reason == "" || c.reason == isolation.PortAddress
					if change.Do == plan.ReleasePort && (!known || c.pending) {
						t.Errorf("%s with the marks %v, open %v, is released", c.name, m, open)
					}
				}
			}
		}
	}
}

// randomPort draws a port and what the kernel says of it.
func randomPort(t *rapid.T, n int, devices **plan.Links) plan.Port {
	name := fmt.Sprintf("p%d", n)
	i := plan.Interface{
		UUID: "i" + name, Name: name,
		Type:   rapid.SampledFrom([]string{"", "system", "internal", "tap", "patch", "vxlan", "dpdk", "dpdkvhostuserclient", "afxdp", "new"}).Draw(t, "type"),
		OFPort: rapid.SampledFrom([]int{-1, 0, 5}).Draw(t, "ofport"),
		MTU:    rapid.SampledFrom([]int{0, 1500}).Draw(t, "mtu"),
		// 100 is nobody's.
		IfIndex: rapid.SampledFrom([]int{-1, 0, 100}).Draw(t, "ifindex"),
		LLDP:    rapid.Bool().Draw(t, "lldp"),
	}
	if rapid.Bool().Draw(t, "seen") {
		d := plan.Device{
			Kind:     rapid.SampledFrom([]string{"", "tun", "veth", "bond", "bridge", "vlan", "ifb", "other"}).Draw(t, "kind"),
			Tap:      rapid.Bool().Draw(t, "tap"),
			Ethernet: rapid.Bool().Draw(t, "ethernet"), PeerElsewhere: rapid.Bool().Draw(t, "elsewhere"),
			Loopback: rapid.Bool().Draw(t, "loopback"), Promiscuous: rapid.Bool().Draw(t, "opened"),
		}
		if rapid.Bool().Draw(t, "enslaved") {
			d.Master = plan.Relative{Index: 100, Name: "ovs-system", Kind: "bridge"}
		}
		*devices = with(*devices, name, d)
	}
	p := plan.Port{UUID: "u" + name, Name: name, Tag: -1, Interfaces: []plan.Interface{i}}
	if rapid.Bool().Draw(t, "cut off") {
		p.VLANMode, p.Trunks = "trunk", []int{4095}
	}
	if rapid.Bool().Draw(t, "marked") {
		p.ExternalIDs = map[string]string{plan.QuarantineKey: "x", plan.QuarantineWasKey: rapid.SampledFrom([]string{"{}", "", `{"tag":3}`}).Draw(t, "was")}
	}
	return p
}

// good is written anew here, so that it can disagree with the table.
func good(p plan.Port, devices *plan.Links) bool {
	i := p.Interfaces[0]
	d, seen := devices.Named(i.Name)
	seen = seen && i.IfIndex != 100
	switch i.Type {
	case "dpdkvhostuserclient":
		return true
	case "internal", "tap":
		return !seen && i.OFPort > 0 && i.IfIndex != 0
	case "", "system", "afxdp":
		frames := d.Kind == "tun" && d.Tap && d.Ethernet || d.Kind == "veth" && d.PeerElsewhere
		return seen && !d.Loopback && frames && d.Master.Index == 0 && (d.Promiscuous || i.OFPort <= 0)
	}
	return false
}

func TestWhatIsNotKnownIsNeverAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := healthy()
		in.Network.Isolation = rapid.SampledFrom(append(model.Policies(), "")).Draw(t, "policy")
		in.Bridge.STP, in.Bridge.RSTP = rapid.Bool().Draw(t, "stp"), rapid.Bool().Draw(t, "rstp")
		in.Bridge.Mirrors = rapid.IntRange(0, 1).Draw(t, "mirrors")
		waited := map[string]bool{}
		for n := range rapid.IntRange(1, 4).Draw(t, "ports") {
			p := randomPort(t, n, &in.Devices)
			in.Bridge.Ports = append(in.Bridge.Ports, p)
			waited[p.Interfaces[0].Name] = rapid.Bool().Draw(t, "waited")
		}
		in.Age = func(u isolation.Unclear) time.Duration {
			if waited[u.Name] {
				return isolation.Grace
			}
			return 0
		}
		v := isolation.Judge(in)
		changes := v.Changes(networkID, in.Bridge)
		named := map[string]bool{}
		for _, f := range v.Findings {
			if f.Column == "" {
				named[f.Port] = true
			}
		}
		for _, p := range v.Pending {
			named[p.Port] = true
		}
		for _, p := range in.Bridge.Endpoints() {
			i := p.Interfaces[0]
			d, seen := in.Devices.Of(i)
			stale := !seen && (i.OFPort < 0 || waited[i.Name] && i.Type != "dpdkvhostuserclient" && i.OFPort > 0 && i.MTU == 0 && !i.LinkUp)
			if !good(p, in.Devices) && !named[p.Name] && !stale {
				t.Fatalf("%+v with the device %+v is allowed", p, d)
			}
			if good(p, in.Devices) && named[p.Name] {
				t.Fatalf("%+v with the device %+v is objected to", p, d)
			}
		}
		report := in.Network.Isolation == model.PolicyReport
		for _, c := range changes {
			switch {
			case report && c.Do != plan.ReleasePort:
				t.Fatalf("the policy is to report, and %s is to be %sd", c.Port.Name, c.Do)
			case c.Do == plan.ReleasePort && c.Port.ExternalIDs[plan.QuarantineKey] == "":
				t.Fatalf("%s is released and bears no mark", c.Port.Name)
			case c.Do == plan.ReleasePort && !report && !good(c.Port, in.Devices):
				t.Fatalf("%+v is released", c.Port)
			case c.Do == plan.RemovePort && in.Network.Isolation == model.PolicyQuarantine:
				t.Fatalf("the policy is to quarantine, and %s is removed", c.Port.Name)
			}
		}
		have := &plan.Actual{DatapathType: "netdev", Bridges: map[string]plan.Bridge{"red": in.Bridge}}
		p := plan.Diff(plan.Want{Networks: []model.Network{in.Network}}, have)
		for _, r := range p.Repair {
			// healthy lacks the marks of the local port and an MTU.
			if report && (len(r.Bridge)+len(r.Silence) > 0 || r.Reset || !slices.Equal(r.Port, []plan.Column{plan.ExternalIDs})) {
				t.Fatalf("the policy is to report, and this is put back: %s", r.Columns())
			}
		}
	})
}

func TestRestraint(t *testing.T) {
	var r isolation.Restraint
	s, now := plan.Subject{Network: networkID, Port: "p"}, time.Unix(0, 0)
	repairs, last := 0, now
	for end := now.Add(time.Hour); now.Before(end); now = now.Add(100 * time.Millisecond) {
		if r.Wait(s, now) == 0 { // it is broken all the time
			r.Repaired(s, now)
			if repairs++; repairs > 5 && now.Sub(last) > time.Minute+100*time.Millisecond {
				t.Fatalf("it was left for %v", now.Sub(last))
			}
			last = now
		}
		if contested, _ := r.Contested(networkID, now); contested != (repairs >= 5) {
			t.Fatalf("after %d repairs contested is %v", repairs, contested)
		}
	}
	if repairs < 60 || repairs > 72 {
		t.Errorf("%d repairs in an hour, want one a minute and those of the beginning", repairs)
	}
	if w := r.Wait(plan.Subject{Network: networkID, Port: "q"}, now); w != 0 {
		t.Errorf("another port waits for %v", w)
	}
	if contested, _ := r.Contested(model.NewID(), now); contested {
		t.Error("another network is contested")
	}
	_, until := r.Contested(networkID, now)
	if until != last.Add(isolation.Quiet) {
		t.Errorf("contested until %v, want %v", until, last.Add(isolation.Quiet))
	}
	if contested, _ := r.Contested(networkID, until); contested || r.Wait(s, until) != 0 {
		t.Error("it is not forgotten after it was quiet")
	}
}
