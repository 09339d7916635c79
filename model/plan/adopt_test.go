package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// foreign is a host with a bridge red that isonet did not make, and a VM on it.
func foreign() *plan.Actual {
	have := empty()
	have.Bridges["red"] = plan.Bridge{
		UUID: "foreign", Name: "red", DatapathType: "netdev", ExternalIDs: map[string]string{"theirs": "1"},
		Ports: []plan.Port{{
			UUID: "l", Name: "red", Tag: -1,
			Interfaces: []plan.Interface{{UUID: "li", Name: "red", Type: "internal", MTU: 1500, OFPort: 65534}},
		}},
	}
	have = plug(have, "red", "vm", "", 1)
	have.Bridges["red"].Ports[1].Interfaces[0].MTU = 1500
	return have
}

func permitted(n model.Network, p plan.Permission) plan.Want {
	return plan.Want{Networks: []model.Network{n}, Adopt: map[model.ID]plan.Permission{n.ID: p}}
}

func TestAdoptionNeedsThePermissionForThisBridge(t *testing.T) {
	red := network("red", 0)
	for name, c := range map[string]struct {
		permission plan.Permission
		conflict   string // "" for an adoption
	}{
		"permitted":      {plan.Permission{Bridge: "foreign"}, ""},
		"another bridge": {plan.Permission{Bridge: "another"}, "somebody created it again since"},
		"objections":     {plan.Permission{Bridge: "foreign", Objections: []string{"an uplink", "a mirror"}}, "cannot be adopted: an uplink; a mirror"},
		"none":           {plan.Permission{}, "somebody created it again since"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan.Diff(permitted(red, c.permission), foreign())
			if c.conflict != "" {
				if len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Reason, c.conflict) || !p.Empty() {
					t.Errorf("plan %+v, want a conflict that says %q", p, c.conflict)
				}
				return
			}
			if len(p.Adopt) != 1 || len(p.Conflicts)+len(p.Create)+len(p.Repair)+len(p.Delete)+len(p.MTU) > 0 {
				t.Fatalf("plan %+v, want one adoption", p)
			}
			const want = "external_ids,other_config:disable-in-band,port:external_ids,port:vlan_mode,port:trunks,interface:mtu_request"
			if got := p.Adopt[0].Columns(); got != want || p.Adopt[0].Reset || p.Adopt[0].AddLocal {
				t.Errorf("it sets %s, want %s", got, want)
			}
		})
	}
	// What bears marks needs no permission, and a permission gives no right to it.
	blue := network("blue", 0)
	blue.VdsmName = "red"
	have := foreign()
	b := have.Bridges["red"]
	b.Network = red.ID
	have.Bridges["red"] = b
	p := plan.Diff(permitted(blue, plan.Permission{Bridge: "foreign"}), have)
	if len(p.Adopt) != 0 || len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Reason, "still belongs to the network") {
		t.Errorf("plan %+v for a bridge of another network", p)
	}
	if p := plan.Diff(permitted(red, plan.Permission{Bridge: "another"}), have); len(p.Adopt) != 0 || len(p.Repair) != 1 {
		t.Errorf("plan %+v for the network's own bridge", p)
	}
}

func TestDisturbances(t *testing.T) {
	network := func(change func(*model.Network)) func(*model.Network, *plan.Bridge) {
		return func(n *model.Network, _ *plan.Bridge) { change(n) }
	}
	bridge := func(change func(*plan.Bridge)) func(*model.Network, *plan.Bridge) {
		return func(_ *model.Network, b *plan.Bridge) { change(b) }
	}
	for name, c := range map[string]struct {
		change func(*model.Network, *plan.Bridge)
		says   []string // what each disturbance says; none for none
	}{
		"nothing":         {bridge(func(*plan.Bridge) {}), nil},
		"standalone":      {bridge(func(b *plan.Bridge) { b.FailMode = "standalone" }), nil},
		"secure":          {bridge(func(b *plan.Bridge) { b.FailMode = "secure" }), []string{"'ovs-vsctl del-fail-mode red'"}},
		"other datapath":  {bridge(func(b *plan.Bridge) { b.DatapathType = "" }), []string{"its datapath_type is system, and the networks of this host have netdev"}},
		"snooping":        {bridge(func(b *plan.Bridge) { b.McastSnooping = true }), []string{"mcast_snooping_enable=false"}},
		"owned":           {bridge(func(b *plan.Bridge) { b.ExternalIDs = map[string]string{"owner": "them"} }), []string{"belongs to 'them'"}},
		"owned by isonet": {bridge(func(b *plan.Bridge) { b.ExternalIDs = map[string]string{"owner": "isonet"} }), nil},
		"owned port":      {bridge(func(b *plan.Bridge) { b.Ports[0].ExternalIDs = map[string]string{"owner": "them"} }), []string{"belongs to 'them'"}},
		"no local port":   {bridge(func(b *plan.Bridge) { b.Ports = b.Ports[1:] }), []string{"it has no port 'red'"}},
		"protected port":  {bridge(func(b *plan.Bridge) { b.Ports[1].Protected = true }), []string{"port 'vm': its column protected is true, and the network's port_isolation is false"}},
		"port isolation":  {network(func(n *model.Network) { n.PortIsolation = true }), []string{"port 'vm': its column protected is false"}},
		"isolated already": {func(n *model.Network, b *plan.Bridge) {
			n.PortIsolation, b.Ports[1].Protected = true, true
		}, nil},
		"MTU":            {network(func(n *model.Network) { n.MTU = 1400 }), []string{"port 'vm': its MTU is 1500 bytes, and the network's is 1400"}},
		"unknown MTU":    {bridge(func(b *plan.Bridge) { b.Ports[1].Interfaces[0].MTU = 0 }), nil},
		"MTU of a patch": {bridge(func(b *plan.Bridge) { b.Ports[1].Interfaces[0].MTU, b.Ports[1].Interfaces[0].Type = 9, "patch" }), nil},
		"marked":         {bridge(func(b *plan.Bridge) { b.Ports[1].ExternalIDs = map[string]string{plan.QuarantineWasKey: "{}"} }), []string{"port 'vm': it has external_ids:isonet-quarantine"}},
		"strict":         {network(func(n *model.Network) { n.Strict = true }), []string{"set strict to false"}},
		"several": {func(n *model.Network, b *plan.Bridge) {
			n.Strict, b.FailMode, b.Ports[1].Protected = true, "secure", true
		}, []string{"is strict", "fail_mode is secure", "protected is true"}},
	} {
		t.Run(name, func(t *testing.T) {
			n, b := theRed(), foreign().Bridges["red"]
			c.change(&n, &b)
			got := plan.Disturbances(n, b, "netdev")
			if !slices.EqualFunc(got, c.says, strings.Contains) {
				t.Errorf("disturbances %q, want %q", got, c.says)
			}
		})
	}
	b := foreign().Bridges["red"]
	b.DatapathType = ""
	if got := plan.Disturbances(theRed(), b, "system"); len(got) > 0 {
		t.Errorf("the kernel's datapath by its other name: %q", got)
	}
}

func theRed() model.Network { return network("red", 0) }

func TestAReleasedBridgeIsNeitherRemovedNorHeld(t *testing.T) {
	red := network("red", 0)
	have := plug(apply(empty(), plan.Diff(plan.Want{Networks: []model.Network{red}}, empty())), "red", "vm", "", 3)
	have.Bridges["red"].Ports[1].ExternalIDs = map[string]string{plan.QuarantineKey: "physical_nic", plan.QuarantineWasKey: `{"tag":7}`}
	have.Bridges["red"].Ports[1].VLANMode, have.Bridges["red"].Ports[1].Trunks = "trunk", plan.DeadTrunks()
	p := plan.Diff(plan.Want{Released: []model.ID{red.ID}}, have)
	if len(p.Release) != 1 || len(p.Held)+len(p.Delete)+len(p.Repair)+len(p.Ports) > 0 {
		t.Fatalf("plan %+v, want a release", p)
	}
	if r := p.Release[0]; r.Bridge.UUID != have.Bridges["red"].UUID || len(r.Ports) != 1 || r.Ports[0].VLAN.Text() != `{"tag":7}` {
		t.Errorf("release %+v", r)
	}
	// A network that is wanted keeps its bridge, whatever was released before.
	if p := plan.Diff(plan.Want{Networks: []model.Network{red}, Released: []model.ID{red.ID}}, have); len(p.Release) != 0 {
		t.Errorf("plan %+v for a wanted network", p)
	}
}

func TestStalePorts(t *testing.T) {
	there := plan.NewLinks(plan.Device{Index: 7, Name: "vm"})
	for name, c := range map[string]struct {
		iface plan.Interface
		links *plan.Links
		want  bool
	}{
		"could not be opened":            {plan.Interface{OFPort: -1, Error: "No such device"}, nil, true},
		"could not be opened, but there": {plan.Interface{OFPort: -1, Error: "Device or resource busy"}, there, false},
		"gone under vswitchd":            {plan.Interface{OFPort: 3}, nil, true},
		"in use":                         {plan.Interface{OFPort: 3, MTU: 1500}, nil, false},
		"in use and seen":                {plan.Interface{OFPort: 3, MTU: 1500, LinkUp: true}, there, false},
		"renamed":                        {plan.Interface{OFPort: 3, IfIndex: 7}, plan.NewLinks(plan.Device{Index: 7, Name: "other"}), false},
		"its name is another's":          {plan.Interface{OFPort: 3, IfIndex: 6}, there, true},
		"just plugged in":                {plan.Interface{}, nil, false},
		"in a container":                 {plan.Interface{Type: "internal", OFPort: 3}, nil, false},
		"internal that failed":           {plan.Interface{Type: "internal", OFPort: -1}, nil, true},
		"patch":                          {plan.Interface{Type: "patch", Error: "no peer"}, nil, false},
		"vhost-user":                     {plan.Interface{Type: "dpdkvhostuserclient", OFPort: 3}, nil, false},
	} {
		c.iface.Name = "vm"
		if got := (plan.Port{Interfaces: []plan.Interface{c.iface}}).Stale(c.links); got != c.want {
			t.Errorf("%s: stale %v, want %v", name, got, c.want)
		}
	}
	b := plan.Bridge{Name: "red", Ports: []plan.Port{
		{Name: "gone", Interfaces: []plan.Interface{{Name: "gone", OFPort: 3, IfIndex: 6}}},
		{Name: "vm", Interfaces: []plan.Interface{{Name: "vm", OFPort: 4, IfIndex: 7}}},
	}}
	if got := b.LivePorts(there); !slices.Equal(got, []string{"vm"}) {
		t.Errorf("live ports %q", got)
	}
	if got := b.LivePorts(nil); len(got) != 2 {
		t.Errorf("where nobody looked, live ports %q", got)
	}
	gone, used := plan.Interface{Name: "a", OFPort: -1}, plan.Interface{Name: "b", OFPort: 3, MTU: 1500}
	if (plan.Port{Interfaces: []plan.Interface{gone, used}}).Stale(nil) {
		t.Error("a bond with one device left is stale")
	}
	if (plan.Port{}).Stale(nil) {
		t.Error("a port without interfaces is stale")
	}
}
