package plan_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

func network(name string, mtu int) model.Network {
	id := model.DeriveID(name)
	return model.Network{ID: id, Name: name, MTU: mtu, VdsmName: model.VdsmName(id, name), Revision: 1}
}

func empty() *plan.Actual {
	return &plan.Actual{SystemID: "s", DatapathType: "netdev", Bridges: map[string]plan.Bridge{}}
}

// apply does to have what Open vSwitch would do for p.
func apply(have *plan.Actual, p plan.Plan) *plan.Actual {
	next := *have
	next.Bridges = maps.Clone(have.Bridges)
	for _, s := range p.Create {
		next.Bridges[s.Name] = made(s)
	}
	for _, r := range p.Repair {
		b := made(r.Spec)
		if r.Reset {
			b.DatapathType = plan.ResetDatapath
		}
		b.Ports = append(b.Ports, quiet(r.Have.Endpoints())...)
		for key, v := range r.Have.ExternalIDs {
			if _, ours := b.ExternalIDs[key]; !ours {
				b.ExternalIDs[key] = v
			}
		}
		next.Bridges[b.Name] = b
	}
	for _, m := range p.MTU {
		b := next.Bridges[m.Bridge]
		b.Ports = slices.Clone(b.Ports)
		for i, port := range b.Ports {
			port.Interfaces = slices.Clone(port.Interfaces)
			for j := range port.Interfaces {
				if port.Interfaces[j].UUID == m.Interface.UUID {
					port.Interfaces[j].MTURequest = m.Bytes
				}
			}
			b.Ports[i] = port
		}
		next.Bridges[m.Bridge] = b
	}
	for _, b := range p.Delete {
		delete(next.Bridges, b.Name)
	}
	return &next
}

// quiet stops what vswitchd sends out of ports.
func quiet(ports []plan.Port) []plan.Port {
	for n, p := range ports {
		ports[n].Interfaces = slices.Clone(p.Interfaces)
		for i := range ports[n].Interfaces {
			ports[n].Interfaces[i].LLDP, ports[n].Interfaces[i].BFD, ports[n].Interfaces[i].CFM = false, false, false
		}
	}
	return ports
}

func made(s plan.Spec) plan.Bridge {
	return plan.Bridge{
		UUID: "uuid of " + s.Name, Name: s.Name, Network: s.NetworkID, DatapathType: s.DatapathType,
		ExternalIDs: maps.Clone(s.ExternalIDs), OtherConfig: maps.Clone(s.OtherConfig),
		Ports: []plan.Port{{
			Name: s.Name, VLANMode: s.VLANMode, Tag: -1, Trunks: slices.Clone(s.Trunks), ExternalIDs: s.PortExternalIDs(),
			Interfaces: []plan.Interface{{UUID: "local of " + s.Name, Name: s.Name, Type: "internal", MTURequest: s.MTU, MTU: s.MTU, OFPort: 65534}},
		}},
	}
}

// plug adds a port that somebody made.
func plug(have *plan.Actual, bridge, name, interfaceType string, ofport int) *plan.Actual {
	next := *have
	next.Bridges = maps.Clone(have.Bridges)
	b := next.Bridges[bridge]
	b.Ports = append(slices.Clone(b.Ports), plan.Port{
		UUID: "port " + name, Name: name, Tag: -1,
		Interfaces: []plan.Interface{{UUID: "interface " + name, Name: name, Type: interfaceType, OFPort: ofport}},
	})
	next.Bridges[bridge] = b
	return &next
}

func TestConflictsNameWhatIsInTheWay(t *testing.T) {
	red := network("red", 0)
	want := plan.Want{Networks: []model.Network{red}}
	foreign := empty()
	foreign.Bridges["red"] = plan.Bridge{Name: "red", UUID: "foreign"}
	device := empty()
	device.Links = plan.NewLinks(plan.Device{Index: 2, Name: "eth0", AltNames: []string{"red"}})
	other := empty()
	other.Bridges["red"] = made(plan.NewSpec(model.Network{ID: model.NewID(), Name: "old", VdsmName: "red"}, "netdev"))
	other = plug(other, "red", "vm", "", 3) // so that it stays
	for name, c := range map[string]struct {
		have *plan.Actual
		want string
	}{
		"foreign bridge": {foreign, "a bridge 'red' that isonet did not make"},
		"device":         {device, "a network device 'red' exists"},
		"other network":  {other, "still belongs to the network"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan.Diff(want, c.have)
			if len(p.Create) != 0 || len(p.Conflicts) != 1 || !strings.Contains(p.Conflicts[0].Reason, c.want) {
				t.Errorf("plan %+v, want one conflict that says %q", p, c.want)
			}
		})
	}
}

// TestABridgeThatGoesIsNotInTheWay replaces a network by another one of the same name:
// the bridge of the first goes, and then that of the second is made.
func TestABridgeThatGoesIsNotInTheWay(t *testing.T) {
	old, red := network("red", 0), network("red", 0)
	old.ID = model.NewID()
	have := apply(empty(), plan.Diff(plan.Want{Networks: []model.Network{old}}, empty()))
	for name, had := range map[string]*plan.Actual{"idle": have, "evicted": plug(have, "red", "vm", "", 3)} {
		want := plan.Want{Networks: []model.Network{red}, Evicted: []model.ID{old.ID}}
		p := plan.Diff(want, had)
		if len(p.Delete) != 1 || len(p.Create)+len(p.Conflicts)+len(p.Held) != 0 {
			t.Errorf("%s: plan %+v, want the old bridge deleted and no conflict", name, p)
		}
		if p = plan.Diff(want, apply(had, p)); len(p.Create) != 1 || len(p.Conflicts) != 0 {
			t.Errorf("%s: plan %+v, want a bridge made", name, p)
		}
	}
}

func TestABridgeOfAnUnwantedNetworkGoesUnlessItsPortsAreInUse(t *testing.T) {
	red := network("red", 0)
	have := apply(empty(), plan.Diff(plan.Want{Networks: []model.Network{red}}, empty()))
	for name, c := range map[string]struct {
		have    *plan.Actual
		evicted []model.ID
		gone    bool
	}{
		"no ports":              {have, nil, true},
		"live port":             {plug(have, "red", "vm", "", 3), nil, false},
		"port without device":   {plug(have, "red", "vm", "", -1), nil, true},
		"live port, evicted":    {plug(have, "red", "vm", "", 3), []model.ID{red.ID}, true},
		"live port, other evic": {plug(have, "red", "vm", "", 3), []model.ID{model.NewID()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan.Diff(plan.Want{Evicted: c.evicted}, c.have)
			if gone := len(p.Delete) == 1; gone != c.gone {
				t.Errorf("removed: %v, want %v; plan %+v", gone, c.gone, p)
			}
			if !c.gone && (len(p.Held) != 1 || !slices.Equal(p.Held[0].Ports, []string{"vm"})) {
				t.Errorf("held %+v, want one that names the port", p.Held)
			}
		})
	}
}

func TestMTUIsRequestedFromDevicesOnly(t *testing.T) {
	want := plan.Want{Networks: []model.Network{network("red", 9000)}}
	have := apply(empty(), plan.Diff(want, empty()))
	for interfaceType, wanted := range map[string]bool{
		"": true, "system": true, "internal": true, "tap": true, "dpdk": true, "dpdkvhostuserclient": true,
		"patch": false, "vxlan": false, "geneve": false, "gre": false,
	} {
		p := plan.Diff(want, plug(have, "red", "vm", interfaceType, 3))
		if got := len(p.MTU) == 1; got != wanted {
			t.Errorf("type %q: MTU requested %v, want %v", interfaceType, got, wanted)
		}
	}
}

func TestMarksThatAreLostAreRepaired(t *testing.T) {
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	have := apply(empty(), plan.Diff(want, empty()))
	b := have.Bridges["red"]
	b.ExternalIDs, b.Ports[0].ExternalIDs = nil, nil
	have.Bridges["red"] = b
	p := plan.Diff(want, have)
	if len(p.Repair) != 1 || p.Repair[0].Columns() != "external_ids,port:external_ids" {
		t.Errorf("plan %+v, want the marks repaired", p)
	}
	b.Network = ""
	have.Bridges["red"] = b
	if p := plan.Diff(want, have); len(p.Conflicts) != 1 {
		t.Errorf("plan %+v, want a conflict: the bridge is somebody else's", p)
	}
}

func TestABridgeWithPortsIsTakenDownAndUpToLeaveRSTP(t *testing.T) {
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	made := apply(empty(), plan.Diff(want, empty()))
	enable := func(have *plan.Actual) *plan.Actual {
		b := have.Bridges["red"]
		b.RSTP = true
		have.Bridges["red"] = b
		return have
	}
	p := plan.Diff(want, enable(apply(made, plan.Plan{})))
	if len(p.Repair) != 1 || p.Repair[0].Columns() != "rstp_enable" || p.Repair[0].Reset {
		t.Errorf("without ports: plan %+v, want RSTP disabled and nothing else", p)
	}
	have := enable(plug(made, "red", "vm", "", 3))
	p = plan.Diff(want, have)
	if len(p.Repair) != 1 || p.Repair[0].Columns() != "rstp_enable" || !p.Repair[0].Reset {
		t.Fatalf("with a port: plan %+v, want RSTP disabled and the bridge reset", p)
	}
	have = apply(have, p)
	have.NextCfg = 1
	if rest := plan.Diff(want, have); len(rest.Repair) != 0 {
		t.Errorf("before vswitchd has taken it down: %+v, want nothing", rest.Repair)
	}
	if problems := plan.Problems(want, have); len(problems) != 1 || problems[0].Final {
		t.Errorf("problems %+v, want one that will pass", problems)
	}
	have.CurCfg = 1
	p = plan.Diff(want, have)
	if len(p.Repair) != 1 || p.Repair[0].Columns() != "datapath_type" || p.Repair[0].Reset {
		t.Errorf("afterwards: %+v, want it up again", p.Repair)
	}
	if rest := plan.Diff(want, apply(have, p)); len(rest.Repair) != 0 {
		t.Errorf("left to do: %+v", rest)
	}
}

func TestAPortThatWouldNotComeBackKeepsRSTPOn(t *testing.T) {
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	for kind, stuck := range map[string]bool{"internal": true, "tap": true, "dpdkvhostuser": true, "dpdkvhostuserclient": false, "": false} {
		have := plug(apply(empty(), plan.Diff(want, empty())), "red", "inside", kind, 3)
		b := have.Bridges["red"]
		b.RSTP = true
		have.Bridges["red"] = b
		if p := plan.Diff(want, have); (len(p.Repair) == 0) != stuck {
			t.Errorf("type %q: plan %+v; stuck is %v", kind, p.Repair, stuck)
		}
		d := plan.NewSpec(want.Networks[0], "netdev").Deviations(b)
		if len(d) != 1 || d[0].Stuck != stuck || strings.Contains(d[0].Detail, "'inside'") != stuck {
			t.Errorf("type %q: deviations %+v, want one that names the port if it is stuck", kind, d)
		}
	}
}

// A setting that is spared, or whose network's policy is to report, stays; what
// makes the bridge the network's is put right all the same.
func TestSparedSettingsStay(t *testing.T) {
	red := network("red", 0)
	have := apply(empty(), plan.Diff(plan.Want{Networks: []model.Network{red}}, empty()))
	b := have.Bridges["red"]
	b.Mirrors, b.SFlow, b.STP, b.FailMode, b.OtherConfig = 1, 1, true, "secure", map[string]string{"forward-bpdu": "true"}
	have.Bridges["red"] = b
	have = plug(have, "red", "vm", "", 3)
	have.Bridges["red"].Ports[1].Interfaces[0].LLDP = true
	for name, c := range map[string]struct {
		policy model.Policy
		spare  map[plan.Subject]bool
		want   string
	}{
		"all":          {"", nil, "fail_mode,mirrors,sflow,stp_enable,other_config:disable-in-band,other_config:forward-bpdu,vm:lldp"},
		"quarantine":   {model.PolicyQuarantine, nil, "fail_mode,mirrors,sflow,stp_enable,other_config:disable-in-band,other_config:forward-bpdu,vm:lldp"},
		"report":       {model.PolicyReport, nil, "fail_mode"},
		"spared":       {"", map[plan.Subject]bool{{Network: red.ID, Column: "mirrors"}: true, {Network: red.ID, Port: "vm", Column: "lldp"}: true}, "fail_mode,sflow,stp_enable,other_config:disable-in-band,other_config:forward-bpdu"},
		"of others":    {"", map[plan.Subject]bool{{Network: model.NewID(), Column: "mirrors"}: true}, "fail_mode,mirrors,sflow,stp_enable,other_config:disable-in-band,other_config:forward-bpdu,vm:lldp"},
		"another port": {"", map[plan.Subject]bool{{Network: red.ID, Port: "vm2", Column: "lldp"}: true}, "fail_mode,mirrors,sflow,stp_enable,other_config:disable-in-band,other_config:forward-bpdu,vm:lldp"},
	} {
		t.Run(name, func(t *testing.T) {
			n := red
			n.Isolation = c.policy
			p := plan.Diff(plan.Want{Networks: []model.Network{n}, Spare: c.spare}, have)
			if len(p.Repair) != 1 || p.Repair[0].Columns() != c.want {
				t.Errorf("plan %+v, want %s", p.Repair, c.want)
			}
		})
	}
}

// A bridge that stays only because ports are in use stays isolated, and nothing
// else about it changes.
func TestAHeldBridgeStaysIsolated(t *testing.T) {
	red := network("red", 9000)
	have := plug(apply(empty(), plan.Diff(plan.Want{Networks: []model.Network{red}}, empty())), "red", "vm", "", 3)
	b := have.Bridges["red"]
	b.Mirrors, b.FailMode = 1, "secure"
	have.Bridges["red"] = b
	nic := plan.PortChange{Bridge: b.UUID, Port: b.Ports[1], Do: plan.RemovePort}
	p := plan.Diff(plan.Want{Leaving: []model.Network{red}, Ports: []plan.PortChange{nic}}, have)
	if len(p.Held) != 1 || len(p.Delete) != 0 || len(p.MTU) != 0 {
		t.Errorf("plan %+v, want the bridge held", p)
	}
	if len(p.Repair) != 1 || p.Repair[0].Columns() != "mirrors" || len(p.Ports) != 1 {
		t.Errorf("plan %+v, want the mirror and the port gone", p)
	}
	red.Isolation = model.PolicyReport
	if p := plan.Diff(plan.Want{Leaving: []model.Network{red}}, have); len(p.Repair) != 0 {
		t.Errorf("plan %+v under the policy to report, want nothing", p)
	}
	b.RSTP, b.Mirrors, b.DatapathType = false, 0, plan.ResetDatapath
	b.Ports[1].Interfaces[0].OFPort = 0 // down, it looks unused
	have.Bridges["red"] = b
	red.Isolation = ""
	if p := plan.Diff(plan.Want{Leaving: []model.Network{red}}, have); len(p.Repair) != 1 || p.Repair[0].Columns() != "datapath_type" {
		t.Errorf("plan %+v, want the bridge up again", p)
	}
}

func TestAPortThatGoesIsLeftAlone(t *testing.T) {
	want := plan.Want{Networks: []model.Network{network("red", 0)}}
	have := plug(apply(empty(), plan.Diff(want, empty())), "red", "nic", "", 3)
	b := have.Bridges["red"]
	b.Ports[1].Interfaces[0].LLDP = true
	for verb, writes := range map[plan.PortVerb]bool{plan.RemovePort: false, plan.QuarantinePort: false, plan.ReleasePort: true} {
		want.Strangers = map[string]bool{b.Ports[1].UUID: !writes}
		want.Ports = []plan.PortChange{{Bridge: b.UUID, Port: b.Ports[1], Do: verb}}
		p := plan.Diff(want, have)
		if len(p.Ports) != 1 || (len(p.MTU) == 1) != writes || (len(p.Repair) == 0) != (verb == plan.RemovePort) {
			t.Errorf("%s: plan %+v", verb, p)
		}
	}
	want.Ports[0].Bridge = "another"
	if p := plan.Diff(want, have); len(p.Ports) != 0 {
		t.Errorf("a change of a bridge that is not there: %+v", p.Ports)
	}
}

func TestQuarantineRemembersAndReleaseGivesBack(t *testing.T) {
	tag := 7
	bridge := plan.Bridge{UUID: "b"}
	for name, c := range map[string]struct {
		port       plan.Port
		quarantine string // what is remembered
		release    string // what is given back
	}{
		"plain":                      {plan.Port{Tag: -1}, `{}`, `{}`},
		"access":                     {plan.Port{Tag: tag, VLANMode: "access"}, `{"vlan_mode":"access","tag":7}`, `{"vlan_mode":"access","tag":7}`},
		"cut off, remembered":        {cutOff(`{"tag":7}`), `{"tag":7}`, `{"tag":7}`},
		"cut off, not remembered":    {cutOff(""), `{"vlan_mode":"trunk","trunks":[4095]}`, `{}`},
		"cut off, garbage":           {cutOff(`{"tag":`), `{"vlan_mode":"trunk","trunks":[4095]}`, `{}`},
		"cut off, no such VLAN":      {cutOff(`{"tag":4096}`), `{"vlan_mode":"trunk","trunks":[4095]}`, `{}`},
		"cut off, no such mode":      {cutOff(`{"vlan_mode":"x"}`), `{"vlan_mode":"trunk","trunks":[4095]}`, `{}`},
		"cut off, a VLAN twice":      {cutOff(`{"trunks":[1,1]}`), `{"vlan_mode":"trunk","trunks":[4095]}`, `{}`},
		"opened by somebody":         {plan.Port{Tag: -1, ExternalIDs: map[string]string{plan.QuarantineWasKey: `{"tag":7}`}}, `{"tag":7}`, `{}`},
		"opened, forged to be wider": {plan.Port{Tag: tag, ExternalIDs: map[string]string{plan.QuarantineWasKey: `{}`}}, `{}`, `{"tag":7}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan.Quarantine("n", bridge, c.port, "r").VLAN.Text(); got != c.quarantine {
				t.Errorf("remembered %s, want %s", got, c.quarantine)
			}
			if got := plan.Unquarantine("n", bridge, c.port).VLAN.Text(); got != c.release {
				t.Errorf("given back %s, want %s", got, c.release)
			}
		})
	}
}

func cutOff(was string) plan.Port {
	p := plan.Port{Tag: -1, VLANMode: "trunk", Trunks: []int{4095}, ExternalIDs: map[string]string{}}
	if was != "" {
		p.ExternalIDs[plan.QuarantineWasKey] = was
	}
	return p
}

func TestProblems(t *testing.T) {
	red := network("red", 1400)
	want := plan.Want{Networks: []model.Network{red}}
	healthy := apply(empty(), plan.Diff(want, empty()))
	for name, c := range map[string]struct {
		spoil func(*plan.Interface)
		want  string
		final bool
	}{
		"healthy":       {func(*plan.Interface) {}, "", false},
		"error":         {func(i *plan.Interface) { i.Error = "File exists" }, "cannot make the bridge 'red': File exists", true},
		"not opened":    {func(i *plan.Interface) { i.OFPort = 0 }, "has not opened", false},
		"ofport -1":     {func(i *plan.Interface) { i.OFPort = -1 }, "could not open", true},
		"MTU":           {func(i *plan.Interface) { i.MTU = 1500 }, "1500 bytes instead of 1400", false},
		"MTU not known": {func(i *plan.Interface) { i.MTU = 0 }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := made(plan.NewSpec(red, "netdev"))
			c.spoil(&b.Ports[0].Interfaces[0])
			problems := plan.Problems(want, &plan.Actual{Bridges: map[string]plan.Bridge{"red": b}})
			switch {
			case c.want == "" && len(problems) != 0:
				t.Errorf("problems %+v", problems)
			case c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Reason, c.want) || problems[0].Final != c.final):
				t.Errorf("problems %+v, want one that says %q, final %v", problems, c.want, c.final)
			}
		})
	}
	if problems := plan.Problems(want, empty()); len(problems) != 1 || !strings.Contains(problems[0].Reason, "does not exist") {
		t.Errorf("problems without a bridge: %+v", problems)
	}
	if problems := plan.Problems(want, healthy); len(problems) != 0 {
		t.Errorf("problems of what was applied: %+v", problems)
	}
}

// drift changes one thing of our bridge, as an operator could.
func drift(t *rapid.T, b plan.Bridge) plan.Bridge {
	local := b.Ports[0]
	local.Interfaces = slices.Clone(local.Interfaces)
	b.ExternalIDs = maps.Clone(b.ExternalIDs)
	switch rapid.IntRange(0, 10).Draw(t, "drift") {
	case 0:
		b.DatapathType = "system"
	case 1:
		b.FailMode = "secure"
	case 2:
		b.ExternalIDs[plan.NameKey] = "x"
	case 3:
		b.OtherConfig = nil
	case 4:
		b.Controllers, b.Mirrors, b.SFlow = 1, 2, 1
	case 5:
		b.STP, b.McastSnooping = true, true
	case 6:
		local.Trunks = nil
	case 7:
		local.Tag, local.VLANMode = 5, "access"
	case 8:
		local.Interfaces[0].MTURequest = 1
	case 9:
		local.ExternalIDs = nil
	case 10:
		b.RSTP, b.OtherConfig = true, map[string]string{"forward-bpdu": "true"}
	}
	b.Ports = append([]plan.Port{local}, b.Ports[1:]...)
	return b
}

func TestDiffReachesTheDesiredStateAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) plan.Want {
			var want plan.Want
			for i := range 6 {
				if rapid.Bool().Draw(t, fmt.Sprintf("%s %d", label, i)) {
					want.Networks = append(want.Networks, network(fmt.Sprintf("net%d", i), rapid.SampledFrom([]int{0, 1400}).Draw(t, "mtu")))
				}
			}
			return want
		}
		have := empty()
		foreign := plan.Bridge{Name: "theirs", UUID: "f", STP: true, Controllers: 1, ExternalIDs: map[string]string{"owner": "other"}}
		have.Bridges["theirs"] = foreign
		have = apply(have, plan.Diff(draw("first"), have))
		for _, name := range slices.Sorted(maps.Keys(have.Bridges)) {
			if name == "theirs" {
				continue
			}
			if rapid.Bool().Draw(t, "drift of "+name) {
				have.Bridges[name] = drift(t, have.Bridges[name])
			}
			if rapid.Bool().Draw(t, "port on "+name) {
				have = plug(have, name, "vm-"+name, rapid.SampledFrom([]string{"", "patch"}).Draw(t, "type"), rapid.SampledFrom([]int{-1, 4}).Draw(t, "ofport"))
			}
		}
		want := draw("second")
		p := plan.Diff(want, have)
		if again := plan.Diff(want, apply(have, plan.Plan{})); !reflect.DeepEqual(p, again) {
			t.Fatal("Diff of equal inputs differs")
		}
		after := apply(have, p)
		after = apply(after, plan.Diff(want, after)) // a reset needs two
		rest := plan.Diff(want, after)
		if !rest.Empty() {
			t.Fatalf("left to do after applying: %s %+v", rest, rest)
		}
		if problems := plan.Problems(want, after); len(problems) > 0 {
			t.Fatalf("problems: %+v", problems)
		}
		if !reflect.DeepEqual(after.Bridges["theirs"], foreign) {
			t.Fatal("the foreign bridge was touched")
		}
		for name, b := range have.Bridges {
			if live := b.LivePorts(nil); len(live) > 0 && !slices.Equal(after.Bridges[name].LivePorts(nil), live) {
				t.Fatalf("live ports of %s were %v, are %v", name, live, after.Bridges[name].LivePorts(nil))
			}
		}
	})
}
