package plan

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/isonet/isonet/model"
)

// Want is what a host must have.
type Want struct {
	Networks []model.Network
	// Calm are the names of bridges of further networks, of which it is known that
	// they are as they must be.
	Calm map[string]bool
	// Evicted are networks whose bridges go even with live ports.
	Evicted []model.ID
	// Leaving are networks that are not wanted any more and whose bridges are
	// held by ports in use: they stay isolated as long as they are there.
	Leaving []model.Network
	// Released are networks that are not wanted and whose bridges stay, as
	// somebody else's.
	Released []model.ID
	// Adopt are the bridges of others that networks may take over.
	Adopt map[model.ID]Permission
	// Plug are ports to plug in again, by network.
	Plug map[model.ID][]Port
	// Ports are what isolation asks for, of ports on the networks' bridges.
	Ports []PortChange
	// Strangers are ports, by the UUIDs of their rows, that do not belong where
	// they are: the network's MTU is not for them.
	Strangers map[string]bool
	// Spare are settings that hold the isolation and are not to be put back
	// now. Those of networks whose policy is to report never are.
	Spare map[Subject]bool
}

// Diff returns what to change so that have becomes what want asks for. Of the
// bridges that isonet did not make, only those of a permission are in a plan.
func Diff(want Want, have *Actual) Plan {
	var p Plan
	ours := map[model.ID]Bridge{}
	var surplus []Bridge
	wanted := map[model.ID]model.Network{}
	for _, n := range want.Networks {
		wanted[n.ID] = n
	}
	for name, b := range have.Bridges {
		id := b.Network
		switch n, ok := wanted[id]; {
		case id == "" || want.Calm[name]:
		case ok && n.VdsmName == b.Name:
			ours[id] = b
		default:
			surplus = append(surplus, b)
		}
	}
	slices.SortFunc(surplus, func(a, b Bridge) int { return strings.Compare(a.Name, b.Name) })
	for _, b := range surplus {
		id := b.Network
		if slices.Contains(want.Released, id) {
			p.Release = append(p.Release, newRelease(b))
			continue
		}
		if want.Holds(b, have.Links) {
			p.Held = append(p.Held, Held{Bridge: b.Name, NetworkID: id, Ports: b.LivePorts(have.Links)})
			p.isolateHeld(want, b, have)
			continue
		}
		p.Delete = append(p.Delete, b)
	}
	holders := sync.OnceValue(have.holders)
	for _, n := range want.Networks {
		b, exists := ours[n.ID]
		spec := have.spec(n, b)
		if !exists {
			p.create(want, n, spec, have, holders)
			continue
		}
		changes := want.portsOf(b)
		r, differs := spec.repair(b, have.CurCfg >= have.NextCfg, want.spares(n, changes))
		if r.AddLocal {
			r.Elsewhere = slices.DeleteFunc(slices.Clone(holders()[spec.Name]), func(h Holder) bool { return h.Bridge == b.UUID })
		}
		if differs {
			p.Repair = append(p.Repair, r)
		}
		p.Ports = append(p.Ports, changes...)
		p.requestMTU(b, spec.MTU, want.Strangers)
		p.protect(n, b, changes)
		p.plug(want, n, b.UUID, have)
	}
	return p
}

// Holds says that a bridge stays, although its network is not wanted, because
// ports are in use. While it is taken down and up, none looks so.
func (w Want) Holds(b Bridge, links *Links) bool {
	used := len(b.LivePorts(links)) > 0 || b.DatapathType == ResetDatapath && len(b.Endpoints()) > 0
	return used && !slices.Contains(w.Evicted, b.Network)
}

// isolateHeld keeps a held bridge isolated. A reset that it needs ends with its
// own datapath type, as far as anybody knows it.
func (p *Plan) isolateHeld(want Want, b Bridge, have *Actual) {
	for _, n := range want.Leaving {
		if n.ID != b.Network || n.VdsmName != b.Name {
			continue
		}
		changes := want.portsOf(b)
		spec := have.spec(n, b)
		r, differs := spec.isolation(b, want.spares(n, changes))
		if b.DatapathType == ResetDatapath && have.CurCfg >= have.NextCfg {
			r.Bridge, differs = append(r.Bridge, "datapath_type"), true
		}
		if differs {
			p.Repair = append(p.Repair, r)
		}
		p.Ports = append(p.Ports, changes...)
	}
}

// spares returns what says which settings of a network are not put back now.
func (w Want) spares(n model.Network, changes []PortChange) func(Setting) bool {
	return func(d Setting) bool {
		return n.EffectiveIsolation() == model.PolicyReport || w.Spare[d.Subject(n.ID)] || removes(changes, d)
	}
}

// Holder is a port that has a name, or an interface of that name.
type Holder struct {
	Bridge     string // the UUID of its row
	BridgeName string
	Port       Port
}

// holders returns who has which name: Open vSwitch has each name of a port, and
// each of an interface, once.
func (a *Actual) holders() map[string][]Holder {
	all := map[string][]Holder{}
	for _, b := range a.Bridges {
		for _, p := range b.Ports {
			h := Holder{b.UUID, b.Name, p}
			all[p.Name] = append(all[p.Name], h)
			for _, i := range p.Interfaces {
				if i.Name != p.Name {
					all[i.Name] = append(all[i.Name], h)
				}
			}
		}
	}
	return all
}

func (p *Plan) create(want Want, n model.Network, spec Spec, have *Actual, holders func() map[string][]Holder) {
	b, exists := have.Bridges[spec.Name]
	if exists && slices.ContainsFunc(p.Delete, func(going Bridge) bool { return going.Name == b.Name }) {
		return // then there is room
	}
	permission, permitted := want.Adopt[n.ID]
	if reason := have.taken(spec.Name, holders()).Refuses(n, permission, permitted); reason != "" {
		p.Conflicts = append(p.Conflicts, Conflict{n, reason})
		return
	}
	if exists {
		if !permission.Unknown {
			r, _ := spec.repair(b, true, func(Setting) bool { return false })
			p.Adopt = append(p.Adopt, r)
		}
		return
	}
	p.Create = append(p.Create, spec)
	p.plug(want, n, "", have)
}

// plug plugs ports in again, as ports of the network are.
func (p *Plan) plug(want Want, n model.Network, bridge string, have *Actual) {
	for _, port := range want.Plug[n.ID] {
		port.Protected = port.isolated(n)
		port.Interfaces = slices.Clone(port.Interfaces)
		for i := range port.Interfaces {
			if hasMTU(port.Interfaces[i].Type) {
				port.Interfaces[i].MTURequest = n.EffectiveMTU()
			}
		}
		if q := port.QoS; q != nil && !have.QoS[q.UUID] {
			port.QoS = &QoS{Rest: q.Rest, Queues: q.Queues}
		}
		p.Plug = append(p.Plug, Plug{n.ID, n.VdsmName, bridge, port})
	}
}

// portsOf returns what isolation asks for on a bridge.
func (w Want) portsOf(b Bridge) []PortChange {
	var changes []PortChange
	for _, c := range w.Ports {
		if c.Bridge == b.UUID {
			changes = append(changes, c)
		}
	}
	return changes
}

// removes reports whether the port with a setting goes.
func removes(changes []PortChange, d Setting) bool {
	return slices.ContainsFunc(changes, func(c PortChange) bool {
		return c.Do == RemovePort && (c.Port.UUID == d.Port.UUID ||
			slices.ContainsFunc(c.Port.Interfaces, func(other Interface) bool { return other.UUID == d.Interface.UUID }))
	})
}

// requestMTU asks for the network's MTU on what is plugged in and belongs
// there. Tunnels and patch ports have no MTU of their own.
func (p *Plan) requestMTU(b Bridge, mtu int, strangers map[string]bool) {
	for _, port := range b.Endpoints() {
		if strangers[port.UUID] {
			continue
		}
		for _, i := range port.Interfaces {
			if hasMTU(i.Type) && i.MTURequest != mtu {
				p.MTU = append(p.MTU, MTU{Bridge: b.Name, Interface: i, Bytes: mtu})
			}
		}
	}
}

// protect sets Open vSwitch's own port isolation. On a strict network it is in
// force only while somebody has taken the network's flows away.
func (p *Plan) protect(n model.Network, b Bridge, changes []PortChange) {
	for _, port := range b.Endpoints() {
		goes := slices.ContainsFunc(changes, func(c PortChange) bool { return c.Do == RemovePort && c.Port.UUID == port.UUID })
		if on := port.isolated(n); on != port.Protected && !goes {
			p.Protect = append(p.Protect, Protect{Port: port, On: on})
		}
	}
}

func hasMTU(interfaceType string) bool {
	switch interfaceType {
	case "", "system", "internal", "tap", "dummy":
		return true
	}
	return strings.HasPrefix(interfaceType, "dpdk")
}

// Problems returns in what the wanted networks are not realised, by what OVS
// reports of the bridges' local ports. It is empty when vswitchd did all that
// its database asks for.
func Problems(want Want, have *Actual) []Problem {
	var problems []Problem
	for _, n := range want.Networks {
		if p := problemOf(n, have); p.Reason != "" {
			p.NetworkID = n.ID
			problems = append(problems, p)
		}
	}
	return problems
}

func problemOf(n model.Network, have *Actual) Problem {
	name := n.VdsmName
	b, ok := have.Bridges[name]
	if !ok || b.Network != n.ID {
		return Problem{Reason: fmt.Sprintf("the bridge '%s' does not exist", name)}
	}
	local, ok := b.Local()
	if !ok {
		return Problem{Reason: fmt.Sprintf("the bridge '%s' has no local port", name)}
	}
	if b.DatapathType == ResetDatapath {
		return Problem{Reason: fmt.Sprintf("the bridge '%s' is being taken down and up, because somebody had enabled RSTP on it", name)}
	}
	if reason := have.misplaced(b); reason != "" {
		return Problem{Reason: reason, Final: true}
	}
	for _, i := range local.Interfaces {
		switch {
		case i.Error != "":
			return Problem{Reason: fmt.Sprintf("Open vSwitch cannot make the bridge '%s': %s", name, i.Error), Final: true}
		case i.OFPort < 0:
			return Problem{Reason: fmt.Sprintf("Open vSwitch could not open the device of the bridge '%s'; its log says why", name), Final: true}
		case i.OFPort == 0:
			return Problem{Reason: fmt.Sprintf("Open vSwitch has not opened the bridge '%s' yet; if that lasts, the log of ovs-vswitchd says why", name)}
		case i.MTU != 0 && i.MTU != n.EffectiveMTU():
			return Problem{Reason: fmt.Sprintf("the bridge '%s' has an MTU of %d bytes instead of %d", name, i.MTU, n.EffectiveMTU())}
		}
	}
	return Problem{}
}
