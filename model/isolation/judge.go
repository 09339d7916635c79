package isolation

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// Input is what the judgement of one network rests on.
type Input struct {
	Network model.Network
	Bridge  plan.Bridge
	// DatapathType is that for new bridges; "netdev" is the userspace one.
	DatapathType string
	// Devices are the devices of vswitchd's namespace; nil where nobody looked.
	Devices *plan.Links
	Host    Host
	// Larger are the interfaces, by name, whose devices have had a larger MTU than
	// the network's since they were plugged in, with that MTU in bytes.
	Larger map[string]int
	// Denied is what members of a strict network were denied of late, by the UUIDs
	// of their interfaces.
	Denied map[string]plan.MemberCounters
	// Former are ifindexes that interfaces had before, by the UUIDs of their rows:
	// Open vSwitch can go on receiving from a device whose name another one got.
	Former map[string][]int
	// Age says for how long something has been unclear. It is nil where all that
	// is unclear began just now.
	Age func(Unclear) time.Duration
	// guarded says that link-local addresses of ports are about to go.
	guarded bool
	// Flows says in words what somebody else changed of the bridge's flows and is
	// there now; "" is nothing.
	Flows string
}

// Host is what of the whole host bears on every network.
type Host struct {
	// Managers counts the OVSDB managers.
	Managers int
	// Restoring says that Open vSwitch waits for flows to be restored.
	Restoring bool
	// Offloads is as in plan.Actual.
	Offloads bool
	// Tunnels are the tunnels of the userspace datapath on bridges that are not
	// isonet's, as "port on bridge". Sorted.
	Tunnels []string
}

// HostOf gathers the facts of a host.
func HostOf(actual *plan.Actual) Host {
	h := Host{Managers: actual.Managers, Restoring: actual.Restoring, Offloads: actual.Offloads}
	for name, b := range actual.Bridges {
		if b.DatapathType != plan.UserspaceDatapath || b.Network != "" {
			continue
		}
		for _, p := range b.Endpoints() {
			for _, i := range p.Interfaces {
				if isTunnel(i.Type) {
					h.Tunnels = append(h.Tunnels, fmt.Sprintf("%s on %s", i.Name, name))
				}
			}
		}
	}
	slices.Sort(h.Tunnels)
	return h
}

// Finding is one thing that is wrong with a network's isolation, or worth
// knowing about it.
type Finding struct {
	Reason Reason
	Bridge string
	// Port and Interface are empty for what concerns the whole bridge.
	Port, Interface string
	// Column is the setting; "" for a port.
	Column string
	// Detail is the evidence in words.
	Detail string
	// Action is what the policy does about it.
	Action Action
	// Quarantined says that the port is cut off.
	Quarantined bool
	// Notice says that it does not break the isolation by itself.
	Notice bool
}

// Subject names what a repair of the finding is about.
func (f Finding) Subject(network model.ID) plan.Subject {
	port := f.Port
	if f.Column != "" {
		port = cmp.Or(f.Interface, f.Port)
	}
	return plan.Subject{Network: network, Port: port, Column: f.Column}
}

// Remedy says what an operator can do.
func (f Finding) Remedy() string {
	e, _ := Find(f.Reason)
	return e.Remedy
}

// Pending is a port of which too little is known yet.
type Pending struct {
	Port string
	// Interface is the UUID of the row that is waited for.
	Interface string
}

// Unclear is an interface for which time runs. It is the same as before if it has
// the same name or the same device: a port that is unplugged and plugged in again
// must not get another grace time.
type Unclear struct {
	Name   string // of the interface
	Device int    // the ifindex of its device; 0 for none
}

// Verdict is the judgement of one network.
type Verdict struct {
	// Findings are sorted: ports and settings in the order of the bridge.
	Findings []Finding
	Pending  []Pending
	// Unclear are the interfaces for which time runs, whatever was decided.
	Unclear []Unclear
	// Accepted are the ports that are the VMs': those that may send and receive
	// on a strict network. An address of the host on one makes it no other's.
	Accepted []plan.Port
	// release are the ports to let out of quarantine.
	release []plan.Port
}

// Isolated says that the network's isolation is shown: nothing breaks it and
// nothing is open.
func (v Verdict) Isolated() bool {
	return len(v.Pending) == 0 && !slices.ContainsFunc(v.Findings, func(f Finding) bool { return !f.Notice })
}

// Judge says what is wrong with a network's bridge. It takes the evidence from
// OVSDB's configuration and from the kernel, never from external_ids.
func Judge(in Input) Verdict {
	var v Verdict
	rules := portRules()
	for _, p := range in.Bridge.Endpoints() {
		in.port(&v, p, rules)
	}
	in.settings(&v)
	in.notices(&v)
	return v
}

// port judges a port by the worst of its interfaces: that which an earlier
// rule matches.
func (in Input) port(v *Verdict, p plan.Port, rules []portRule) {
	worst, detail, name := len(rules), "", ""
	if len(p.Interfaces) == 0 { // Open vSwitch allows none such
		v.Pending = append(v.Pending, Pending{p.Name, p.UUID})
		return
	}
	var decisive facts
	allowed, pending := true, false
	for _, f := range in.facts(p) {
		n, text := match(rules, f)
		if n < worst {
			worst, detail, name, decisive = n, text, f.Name, f
		}
		allowed = allowed && f.allowed()
		decided := n < len(rules) && rules[n].Reason != PortAddress
		if f.waits() || decided && rules[n].Meanwhile != "" {
			v.Unclear = append(v.Unclear, f.unclear())
		}
		if f.waits() && !decided && (!f.waited() || !f.vanished()) {
			pending = true
			if wait := (Pending{p.Name, f.UUID}); !slices.Contains(v.Pending, wait) {
				v.Pending = append(v.Pending, wait)
			}
		}
	}
	if allowed && (worst == len(rules) || rules[worst].Reason == PortAddress) {
		v.Accepted = append(v.Accepted, p)
	}
	if worst == len(rules) {
		if allowed && p.Marked() {
			v.release = append(v.release, p)
		}
		return
	}
	e := rules[worst].Entry
	if e.Meanwhile != "" && !decisive.waited() {
		e.Enforce = e.Meanwhile
	}
	f := Finding{
		Reason: e.Reason, Bridge: in.Bridge.Name, Port: p.Name, Interface: name,
		Detail: detail, Action: e.Under(in.Network.EffectiveIsolation()), Notice: e.Notice,
	}
	if f.Action == Report && e.Reason != UnseenHost && !pending && p.Marked() {
		// Cutting it off was for another reason, or under another policy.
		v.release = append(v.release, p)
	} else {
		f.Quarantined = p.Marked() && p.CutOff()
	}
	v.Findings = append(v.Findings, f)
}

// facts returns what is known of a port, for each of its interfaces and each
// device that this may be.
func (in Input) facts(p plan.Port) []facts {
	var list []facts
	shared := in.Bridge.Seen(in.Devices)
	for _, i := range p.Interfaces {
		f := facts{
			Interface: i, own: i.Name == in.Bridge.Name, shared: shared, userspace: in.DatapathType == plan.UserspaceDatapath,
			known: i.IfIndex != 0 || len(in.Former[i.UUID]) > 0,
		}
		devices := in.devices(f)
		for _, d := range devices {
			f.device, f.seen = d, true
			list = append(list, f.aged(in.Age))
		}
		if len(devices) == 0 {
			list = append(list, f.aged(in.Age))
		}
	}
	return list
}

// devices returns the devices that an interface is: that which Open vSwitch tells
// of and those that it told of before, as far as they are there. Which of them it
// receives from, it does not tell.
func (in Input) devices(f facts) []plan.Device {
	if !f.isDevice() && !f.Internal() { // it has no device, but perhaps the name of one
		return nil
	}
	var devices []plan.Device
	if d, there := in.Devices.Of(f.Interface); there {
		devices = append(devices, d)
	}
	for _, index := range in.Former[f.UUID] {
		d, there := in.Devices.Index(index)
		if there && f.shared && !slices.ContainsFunc(devices, func(other plan.Device) bool { return other.Index == index }) {
			devices = append(devices, d)
		}
	}
	for n := range devices {
		if in.guarded {
			devices[n].Addresses = slices.DeleteFunc(slices.Clone(devices[n].Addresses), func(a netip.Prefix) bool { return a.Addr().IsLinkLocalUnicast() })
		}
		if f.Internal() { // what kind it is, is up to the datapath
			devices[n] = plan.Device{Name: devices[n].Name, Index: devices[n].Index, Addresses: devices[n].Addresses, Up: devices[n].Up}
		}
	}
	return devices
}

func (f facts) unclear() Unclear { return Unclear{f.Name, f.device.Index} }

func (f facts) aged(age func(Unclear) time.Duration) facts {
	if age != nil {
		f.age = age(f.unclear())
	}
	return f
}

// match returns the first rule that matches and its evidence.
func match(rules []portRule, f facts) (int, string) {
	for n, r := range rules {
		if detail := r.match(f); detail != "" {
			return n, detail + f.whichDevice()
		}
	}
	return len(rules), ""
}

// whichDevice says how the device is known where that is not plain.
func (f facts) whichDevice() string {
	switch {
	case f.seen && f.device.Name != f.Name:
		return fmt.Sprintf(" (the device is '%s', ifindex %d)", f.device.Name, f.device.Index)
	case f.seen && f.IfIndex == 0 && f.OFPort > 0:
		return " (known by its name alone: Open vSwitch tells no ifindex)"
	}
	return ""
}

func (in Input) settings(v *Verdict) {
	for _, d := range plan.NewSpec(in.Network, in.DatapathType).Deviations(in.Bridge) {
		f := Finding{Bridge: in.Bridge.Name, Port: cmp.Or(d.Port.Name, in.portOf(d.Interface)), Interface: d.Interface.Name, Column: string(d.Column), Detail: d.Detail, Action: Report}
		for _, s := range settings() {
			if slices.Contains(s.columns, d.Column) {
				f.Reason, f.Action = s.Reason, s.Under(in.Network.EffectiveIsolation())
			}
		}
		if d.Stuck {
			f.Action = Report
		}
		v.Findings = append(v.Findings, f)
	}
	if in.Flows != "" {
		e, _ := Find(ForeignFlows)
		f := Finding{Reason: ForeignFlows, Bridge: in.Bridge.Name, Column: FlowsColumn, Detail: in.Flows, Action: Restore}
		if !in.Network.Strict {
			f.Action = e.Under(in.Network.EffectiveIsolation())
		}
		v.Findings = append(v.Findings, f)
	}
}

// FlowsColumn stands for the flows of a bridge among its settings.
const FlowsColumn = "flows"

func (in Input) portOf(i plan.Interface) string {
	for _, p := range in.Bridge.Ports {
		if slices.ContainsFunc(p.Interfaces, func(other plan.Interface) bool { return other.UUID == i.UUID }) {
			return p.Name
		}
	}
	return ""
}

func (in Input) notices(v *Verdict) {
	add := func(reason Reason, detail string) {
		v.Findings = append(v.Findings, Finding{Reason: reason, Bridge: in.Bridge.Name, Detail: detail, Action: Report, Notice: true})
	}
	if local, _ := in.Devices.Named(in.Bridge.Name); local.Up && in.Bridge.Seen(in.Devices) {
		add(LocalUp, fmt.Sprintf("the device '%s' is up; addresses: %v", local.Name, local.Addresses))
	}
	if in.Host.Managers > 0 {
		add(Manager, fmt.Sprintf("managers of Open vSwitch: %d", in.Host.Managers))
	}
	if in.Host.Restoring {
		add(Restoring, "other_config:flow-restore-wait of Open vSwitch is true")
	}
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			if in.Network.Strict && in.Network.MACLock && i.AttachedMAC() == "" {
				v.Findings = append(v.Findings, Finding{
					Reason: NoMAC, Bridge: in.Bridge.Name, Port: p.Name, Interface: i.Name, Action: Report, Notice: true,
					Detail: fmt.Sprintf("its external_ids:attached-mac is %q", i.ExternalIDs["attached-mac"]),
				})
			}
		}
	}
	if len(in.Host.Tunnels) > 0 && in.DatapathType == plan.UserspaceDatapath {
		add(TunnelNearby, "tunnels on the same datapath: "+strings.Join(in.Host.Tunnels, ", "))
	}
	if detail := in.openChecksums(v.Accepted); detail != "" {
		add(OpenChecksums, detail)
	}
	in.duplicates(v)
	in.denied(v)
	in.larger(v)
}

// Changes returns what the verdict does to ports, in the order of the bridge.
// It leaves out what is done already.
func (v Verdict) Changes(network model.ID, b plan.Bridge) []plan.PortChange {
	var changes []plan.PortChange
	for _, f := range v.Findings {
		p, ok := portNamed(b, f.Port)
		switch {
		case !ok || f.Column != "":
		case f.Action == Remove:
			changes = append(changes, plan.PortChange{Network: network, Bridge: b.UUID, Port: p, Do: plan.RemovePort, Reason: string(f.Reason)})
		case f.Action == Quarantine:
			c := plan.Quarantine(network, b, p, string(f.Reason))
			if !p.CutOff() || p.ExternalIDs[plan.QuarantineKey] != c.Reason || p.ExternalIDs[plan.QuarantineWasKey] != c.VLAN.Text() {
				changes = append(changes, c)
			}
		}
	}
	for _, p := range v.release {
		changes = append(changes, plan.Unquarantine(network, b, p))
	}
	return changes
}

// Strangers returns the ports, by the UUIDs of their rows, that do not belong on
// the bridge.
func (v Verdict) Strangers(b plan.Bridge) []string {
	var uuids []string
	for _, f := range v.Findings {
		if p, ok := portNamed(b, f.Port); ok && f.Column == "" && f.Reason != PortAddress && !f.Notice {
			uuids = append(uuids, p.UUID)
		}
	}
	return uuids
}

func portNamed(b plan.Bridge, name string) (plan.Port, bool) {
	for _, p := range b.Endpoints() {
		if p.Name == name {
			return p, true
		}
	}
	return plan.Port{}, false
}
