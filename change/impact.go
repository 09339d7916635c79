package change

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// impact is what a change means for one host. What is shrunk is changed, and has
// a smaller MTU than before.
type impact struct{ gained, changed, shrunk, lost []model.Network }

func impactOn(host model.ID, before, after *model.Desired) impact {
	was := map[model.ID]model.Network{}
	for _, n := range before.HostNetworks(host) {
		was[n.ID] = n
	}
	var i impact
	for _, n := range after.HostNetworks(host) {
		old, had := was[n.ID]
		delete(was, n.ID)
		switch {
		case !had:
			i.gained = append(i.gained, n)
		case n != old:
			i.changed = append(i.changed, n)
		}
		if had && n.EffectiveMTU() < old.EffectiveMTU() {
			i.shrunk = append(i.shrunk, n)
		}
	}
	for _, n := range before.HostNetworks(host) {
		if _, lost := was[n.ID]; lost {
			i.lost = append(i.lost, n)
		}
	}
	return i
}

func (i impact) ids() []model.ID {
	var ids []model.ID
	for _, n := range slices.Concat(i.gained, i.changed, i.lost) {
		ids = append(ids, n.ID)
	}
	return ids
}

// conflicts refuses gained networks whose bridge cannot be made on the host.
func (i impact) conflicts(after *model.Desired, host model.ID, has report.Host) error {
	if len(i.gained) == 0 {
		return nil
	}
	var reasons []string
	for _, c := range has.Conflicts(after, host) {
		if slices.ContainsFunc(i.gained, func(n model.Network) bool { return n.ID == c.Network.ID }) {
			reasons = append(reasons, fmt.Sprintf("the network '%s': %s", c.Network.Name, c.Reason))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return model.Refuse(model.ErrConflict, model.HostConflict, "The host cannot have %s.", strings.Join(reasons, "; "))
}

// inUse refuses to take networks from the host while ports are plugged in.
func (i impact) inUse(after *model.Desired, has report.Host) error {
	var used []error
	for _, n := range i.lost {
		ports, vms := users(has, n)
		if len(ports) == 0 {
			continue
		}
		_, stays := after.Networks[n.ID]
		used = append(used, inUse(n, stays, strings.Join(ports, ","), vms))
	}
	return model.Join(used...)
}

func inUse(n model.Network, stays bool, ports string, vms []string) error {
	const text = "The network '%[1]s' is used by %[3]s: stop them, or unplug the port(s) '%[2]s', or force it."
	switch {
	case stays:
		return model.Refuse(model.ErrConflict, model.InUse, text, n.Name, ports, strings.Join(vms, ","))
	case len(vms) == 1:
		return model.Refuse(model.ErrConflict, model.RemovedInUse, text, n.Name, ports, vms[0])
	}
	return model.Refuse(model.ErrConflict, model.RemovedInUseByMany, text, n.Name, ports, strings.Join(vms, ", "), len(vms))
}

// users names the live ports of a network's bridge, and the VMs whose they are, by
// what libvirt or an operator wrote on the ports, else by the ports.
func users(has report.Host, n model.Network) (ports, vms []string) {
	b, _ := has.Bridge(n)
	for _, p := range b.Ports {
		if p.Live {
			ports, vms = append(ports, p.Name), append(vms, cmp.Or(p.VM, p.Name))
		}
	}
	slices.Sort(vms)
	return ports, slices.Compact(vms)
}

// warnedPorts is how many ports a warning names.
const warnedPorts = 8

// cutMTUs warns of networks whose MTU gets smaller than that of the devices that
// are plugged in. Their guests are told nothing, and what they send
// in larger frames gets lost without a word.
func (i impact) cutMTUs(has report.Host) []string {
	var warnings []string
	for _, n := range i.shrunk {
		b, _ := has.Bridge(n)
		if users := largerThan(b, n.EffectiveMTU()); len(users) > 0 {
			warnings = append(warnings, mtuWarning(n, users))
		}
	}
	return warnings
}

func mtuWarning(n model.Network, users []string) string {
	more := ""
	if len(users) > warnedPorts {
		more = fmt.Sprintf(" and %d more", len(users)-warnedPorts)
		users = users[:warnedPorts]
	}
	mtu := n.EffectiveMTU()
	return fmt.Sprintf("The MTU of the network '%s' is smaller than before, %d bytes, and these guests do not learn of it: %s%s. "+
		"Larger frames of theirs get lost. Set the MTU in the guests, or give their interfaces <mtu size='%d'/> and start them anew.",
		n.Name, mtu, strings.Join(users, ", "), more, mtu)
}

// largerThan names the ports whose devices have a larger MTU, each with its VM.
func largerThan(b report.Bridge, mtu int) []string {
	var names []string
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			switch vm := p.VM; {
			case i.MTU <= mtu || i.Failed:
			case vm == "":
				names = append(names, i.Name)
			default:
				names = append(names, fmt.Sprintf("%s (VM %s)", i.Name, vm))
			}
		}
	}
	return names
}
