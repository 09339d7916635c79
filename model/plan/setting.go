package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
)

// The keys of a bridge's other_config that hold its isolation.
const (
	disableInBand = "disable-in-band"
	forwardBPDU   = "forward-bpdu"
)

// Protocol is the version of OpenFlow that isonet speaks with bridges.
const Protocol = "OpenFlow14"

// True says that vswitchd takes the value of a key that is off by default for
// on (smap_get_bool).
func True(value string) bool { return strings.EqualFold(value, "true") }

// ResetDatapath is a datapath type that does not exist. vswitchd takes a bridge
// of that type down, with all it knew of the ports, and leaves its rows alone.
//
// It is the way out of RSTP: when RSTP is disabled, Open vSwitch 3.1 floods to
// none of the ports that were there, until each is plugged in anew. A bridge
// that gets this type with the transaction that disables RSTP, and its own
// type when vswitchd has applied that, floods again, and its ports keep their
// numbers. Whoever dies in between leaves a bridge with a wrong datapath type,
// which every plan puts right.
const ResetDatapath = "isonet-reset"

// Setting is one setting that holds a network's isolation and is not as it
// must be.
type Setting struct {
	// Column is the column of the Bridge, of the local port (Local), of another
	// Port or of the Interface, with its key if it is a map.
	Column    Column
	Local     bool
	Port      Port      // empty for a setting of the bridge or an interface
	Interface Interface // empty for a setting of the bridge or a port
	// Detail is what the database has, in words.
	Detail string
	// Stuck says that it cannot be put back without harm.
	Stuck bool
}

// Subject names what a repair is about: a port, or with a Column a setting. It
// stays the same when somebody makes the port anew.
type Subject struct {
	Network model.ID
	Port    string // or interface; "" for a setting of the bridge
	Column  string
}

// Subject names the setting of a network's bridge.
func (d Setting) Subject(network model.ID) Subject {
	return Subject{Network: network, Port: cmp.Or(d.Interface.Name, d.Port.Name), Column: string(d.Column)}
}

// Deviations returns the settings that hold the isolation and differ from what
// they must be, in a fixed order. It is the one place that says what they are.
func (s Spec) Deviations(b Bridge) []Setting {
	var list []Setting
	refers := func(column Column, rows int) {
		if rows > 0 {
			list = append(list, Setting{Column: column, Detail: fmt.Sprintf("rows that the bridge's column %s refers to: %d", column, rows)})
		}
	}
	refers(Controller, b.Controllers)
	refers(Mirrors, b.Mirrors)
	refers(NetFlow, b.NetFlow)
	refers(SFlow, b.SFlow)
	refers(IPFIX, b.IPFIX)
	if n := len(b.FlowSamples); n > 0 {
		list = append(list, Setting{Column: FlowSamples, Detail: fmt.Sprintf("rows of Flow_Sample_Collector_Set that refer to the bridge: %d", n)})
	}
	refers(AutoAttach, b.AutoAttach)
	if s.FailMode != "" && b.FailMode != s.FailMode && b.ExternalIDs[RevisionKey] == s.ExternalIDs[RevisionKey] {
		// A bridge of another revision has not become strict yet.
		list = append(list, Setting{Column: FailMode, Detail: fmt.Sprintf("the bridge's fail_mode is %q: Open vSwitch forwards between all its ports", b.FailMode)})
	}
	if !speaks(b) {
		list = append(list, Setting{Column: Protocols, Detail: fmt.Sprintf("the bridge's protocols are %v, without %s: isonet cannot see its flows", b.Protocols, Protocol)})
	}
	if b.FlowTables > 0 {
		list = append(list, Setting{Column: FlowTables, Detail: fmt.Sprintf("the bridge's flow_tables configure %d tables: they can limit and evict flows", b.FlowTables)})
	}
	if b.STP {
		list = append(list, Setting{Column: STP, Detail: "the bridge's stp_enable is true"})
	}
	if b.RSTP {
		list = append(list, rstp(b))
	}
	for _, key := range []string{disableInBand, forwardBPDU} {
		if have := b.OtherConfig[key]; True(have) != True(s.OtherConfig[key]) {
			list = append(list, Setting{Column: "other_config:" + Column(key), Detail: fmt.Sprintf("the bridge's other_config:%s is %q", key, have)})
		}
	}
	return append(append(list, s.localDeviations(b)...), noise(b)...)
}

// speaks says that isonet can speak OpenFlow with the bridge.
func speaks(b Bridge) bool {
	return len(b.Protocols) == 0 || slices.Contains(b.Protocols, Protocol)
}

// rstp is stuck while a port is plugged in that would not come back by itself:
// taking the bridge down would destroy the device of an internal port, perhaps
// inside a container, and the socket that a VM is connected to.
func rstp(b Bridge) Setting {
	d := Setting{Column: RSTP, Detail: "the bridge's rstp_enable is true"}
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			switch i.Type {
			case "internal", "tap", "dpdkvhostuser":
				d.Stuck = true
				d.Detail += fmt.Sprintf("; disabling it would cut off the port '%s' of the type %s for good", i.Name, i.Type)
				return d
			}
		}
	}
	return d
}

func (s Spec) localDeviations(b Bridge) []Setting {
	local, ok := b.Local()
	if !ok {
		return nil
	}
	var list []Setting
	add := func(column Column, detail string) {
		list = append(list, Setting{Column: column, Local: true, Detail: "the local port's " + detail})
	}
	if local.VLANMode != s.VLANMode {
		add(VLANMode, fmt.Sprintf("vlan_mode is %q", local.VLANMode))
	}
	if !slices.Equal(local.Trunks, s.Trunks) {
		add(Trunks, fmt.Sprintf("trunks are %v", local.Trunks))
	}
	if local.Tag >= 0 {
		add(Tag, fmt.Sprintf("tag is %d", local.Tag))
	}
	if strange := strangersIn(b, local); len(strange) > 0 {
		add(Interfaces, "interfaces are not the bridge's own alone: "+strings.Join(strange, ", "))
	}
	return list
}

// strangersIn names the interfaces of the local port that do not belong there, and
// the bridge's own if it is missing.
func strangersIn(b Bridge, local Port) []string {
	var names []string
	own := false
	for _, i := range local.Interfaces {
		if i.Name == b.Name {
			own = true
			continue
		}
		names = append(names, "'"+i.Name+"' is there")
	}
	if !own {
		names = append(names, "'"+b.Name+"' is not")
	}
	return names
}

// noise returns what makes vswitchd send frames of its own out of ports.
func noise(b Bridge) []Setting {
	var list []Setting
	for _, p := range b.Ports {
		// In passive mode it answers whoever speaks LACP to it.
		if p.LACP != "" && p.LACP != "off" {
			list = append(list, Setting{
				Column: LACP, Port: p,
				Detail: fmt.Sprintf("the port '%s' speaks LACP: its column lacp is %s", p.Name, p.LACP),
			})
		}
		for _, i := range p.Interfaces {
			for _, c := range []struct {
				column Column
				on     bool
			}{{LLDP, i.LLDP}, {BFD, i.BFD}, {CFM, i.CFM}} {
				if c.on {
					list = append(list, Setting{
						Column: c.column, Interface: i,
						Detail: fmt.Sprintf("the interface '%s' sends frames of its own: its column %s is set", i.Name, c.column),
					})
				}
			}
		}
	}
	return list
}
