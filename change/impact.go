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
// a smaller MTU than before. Also are networks that are not touched and that count all
// the same.
type impact struct {
	gained, changed, shrunk, lost []model.Network
	also                          []model.ID
}

func (i impact) with(also []model.ID) impact {
	i.also = also
	return i
}

// impactsOf returns what a change means for each host that it touches. Only what differs
// is looked at: a fleet has a thousand hosts with a hundred networks each.
func impactsOf(before, after *model.Desired) map[model.ID]impact {
	impacts := map[model.ID]impact{}
	for host, networks := range differing(before, after) {
		var i impact
		for network := range networks {
			i.add(host, network, before, after)
		}
		if len(i.ids()) > 0 {
			impacts[host] = i.sorted()
		}
	}
	return impacts
}

// add adds what the change means for a network on the host.
func (i *impact) add(host, network model.ID, before, after *model.Desired) {
	old, n := before.Networks[network], after.Networks[network]
	_, had := before.AttachmentOf(host, network)
	_, has := after.AttachmentOf(host, network)
	switch {
	case had && !has:
		i.lost = append(i.lost, old)
	case has && !had:
		i.gained = append(i.gained, n)
	case has && n != old:
		i.changed = append(i.changed, n)
		if n.EffectiveMTU() < old.EffectiveMTU() {
			i.shrunk = append(i.shrunk, n)
		}
	}
}

func (i impact) sorted() impact {
	for _, list := range [][]model.Network{i.gained, i.changed, i.shrunk, i.lost} {
		slices.SortFunc(list, func(a, b model.Network) int { return strings.Compare(a.Name, b.Name) })
	}
	return i
}

// pairs are networks by hosts.
type pairs map[model.ID]map[model.ID]bool

func (p pairs) add(host model.ID, networks ...model.ID) {
	if p[host] == nil {
		p[host] = map[model.ID]bool{}
	}
	for _, id := range networks {
		p[host][id] = true
	}
}

// differing returns all hosts and networks of which a host may have another network, or
// a network otherwise, after a change.
func differing(before, after *model.Desired) pairs {
	found := pairs{}
	networks := changedKeys(before.Networks, after.Networks, func(a, b model.Network) bool { return a == b })
	hosts := changedKeys(before.Hosts, after.Hosts, func(a, b model.Host) bool {
		return a.Decommissioned == b.Decommissioned && slices.Equal(a.Labels, b.Labels)
	})
	for id := range changedKeys(before.Attachments, after.Attachments, func(model.Attachment, model.Attachment) bool { return true }) {
		a := before.Attachments[id]
		if a.ID == "" {
			a = after.Attachments[id]
		}
		found.add(a.Host, a.Network)
	}
	if len(networks)+len(hosts) == 0 {
		return found
	}
	for _, d := range []*model.Desired{before, after} {
		for _, a := range d.Attachments {
			if networks[a.Network] || hosts[a.Host] {
				found.add(a.Host, a.Network)
			}
		}
		changed, all := map[string][]model.ID{}, map[string][]model.ID{} // by label
		for id, n := range d.Networks {
			if all[n.Label] = append(all[n.Label], id); networks[id] {
				changed[n.Label] = append(changed[n.Label], id)
			}
		}
		for id, h := range d.Hosts {
			of := changed
			if hosts[id] {
				of = all
			}
			for _, label := range h.Labels {
				if list := of[label]; len(list) > 0 {
					found.add(id, list...)
				}
			}
		}
	}
	return found
}

// changedKeys returns the keys of what is in one of two maps only, or is not the same in
// both.
func changedKeys[V any](before, after map[model.ID]V, same func(a, b V) bool) map[model.ID]bool {
	keys := map[model.ID]bool{}
	for id, b := range after {
		if a, had := before[id]; !had || !same(a, b) {
			keys[id] = true
		}
	}
	for id := range before {
		if _, has := after[id]; !has {
			keys[id] = true
		}
	}
	return keys
}

func (i impact) ids() []model.ID {
	return append(idsOf(slices.Concat(i.gained, i.changed, i.lost)), i.also...)
}

func idsOf(networks []model.Network) []model.ID {
	var ids []model.ID
	for _, n := range networks {
		ids = append(ids, n.ID)
	}
	return ids
}

// gains returns a desired state of the host that has the gained networks only, which are
// few where all are many.
func (i impact) gains(after *model.Desired, host model.ID) *model.Desired {
	d := model.NewDesired()
	d.Revision, d.Hosts[host] = after.Revision, after.Hosts[host]
	for _, n := range i.gained {
		d.Networks[n.ID] = n
		id := model.AttachmentID(host, n.ID)
		if a, explicit := after.Attachments[id]; explicit {
			d.Attachments[id] = a
		}
	}
	return d
}

// conflicts refuses gained networks whose bridge cannot be made on the host.
func (i impact) conflicts(after *model.Desired, host model.ID, has report.Host) error {
	if len(i.gained) == 0 {
		return nil
	}
	var reasons []string
	for _, c := range has.Conflicts(i.gains(after, host), host) {
		reasons = append(reasons, fmt.Sprintf("the network '%s': %s", c.Network.Name, c.Reason))
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

// used returns the lost networks that have ports plugged in.
func (i impact) used(has report.Host) []model.Network {
	return slices.DeleteFunc(slices.Clone(i.lost), func(n model.Network) bool {
		ports, _ := users(has, n)
		return len(ports) == 0
	})
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
