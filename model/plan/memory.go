package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/isonet/isonet/model"
)

// Memory is what isonet knows of a host beside what Open vSwitch's database and
// the kernel tell now. A Memory never changes.
type Memory struct {
	// Boot names the run of the kernel and the network namespace in which the
	// ifindexes count.
	Boot string
	// NextCfg is the greatest Open_vSwitch next_cfg that was seen when this was
	// saved. A database that has a smaller one is another, or an older copy.
	NextCfg int
	Owners  Owners
	// Host is the id of the host that this machine is in the desired state.
	Host model.ID
	// Networks are the ports of the networks that are or were on the host.
	Networks map[model.ID]Kept
	// Opened are the ifindexes of the devices that the interfaces on the networks'
	// bridges have had, by the UUIDs of their rows: one that left may come back by
	// another name.
	Opened map[model.ID]map[string][]int
}

// Kept are the ports that were accepted on a network's bridge.
type Kept struct {
	// Bridge and Local are the UUIDs of the rows of the bridge and of its local
	// port, with which the ports were seen last.
	Bridge, Local string
	Ports         []KeptPort // sorted by name
}

// KeptPort is all that it takes to plug a port in again.
type KeptPort struct {
	Port
	// Devices are those of the interfaces, in their order.
	Devices []Identity
	// MTUs are the greatest, in bytes, that the devices have had since the port was
	// plugged in, in the order of the interfaces; 0 is unknown.
	MTUs []int
	// Waiting says that the port was taken away with its bridge, or with all that
	// was on it, and not by itself: it is to be plugged in again.
	Waiting bool
}

// Identity tells one network device from another within one run of the kernel.
// Its zero value is that of an interface without a device, such as one of
// vhost-user.
type Identity struct {
	Index int
	Kind  string
}

// maxKept bounds how many ports of one network are kept.
const maxKept = 4096

// Remember returns what to keep of a network whose bridge is there, of what was
// kept before.
//
// A port that is missing on the very bridge that it was on, with the same local
// port, was unplugged by somebody who meant it, and is forgotten. ovs-vsctl cannot
// remove a local port but with its bridge: when another one is there, or none, all
// ports were taken away at once, and those that are missing wait. They wait as well
// when the whole database is another one (replaced).
func (k Kept) Remember(b Bridge, accepted []Port, links *Links, replaced bool) Kept {
	local, _ := b.Local()
	next := Kept{Bridge: b.UUID, Local: local.UUID}
	taken := replaced || k.Bridge != b.UUID || k.Local != local.UUID || local.UUID == ""
	if local.UUID == "" { // the next local port is another one, too
		next.Local = k.Local
	}
	there := map[string]bool{}
	for _, p := range b.Endpoints() {
		there[p.Name] = true
	}
	former := make(map[string]KeptPort, len(k.Ports))
	for _, p := range k.Ports {
		former[p.Name] = p
	}
	known := map[string]bool{}
	for _, p := range accepted {
		if len(next.Ports) < maxKept {
			devices := identities(p, links)
			next.Ports = append(next.Ports, KeptPort{Port: p.kept(), Devices: devices, MTUs: former[p.Name].mtus(p, devices, links)})
			known[p.Name] = true
		}
	}
	for _, p := range k.Ports {
		switch {
		case known[p.Name]:
		case there[p.Name]: // not accepted now, such as in quarantine
			p.Waiting = false
			next.Ports = append(next.Ports, p)
		case taken || p.Waiting:
			p.Waiting = true
			next.Ports = append(next.Ports, p)
		}
	}
	slices.SortFunc(next.Ports, func(a, b KeptPort) int { return cmp.Compare(a.Name, b.Name) })
	return next
}

// Away returns what to keep of a network that has no bridge: all of it waits.
func (k Kept) Away() Kept {
	next := Kept{Ports: slices.Clone(k.Ports)}
	for i := range next.Ports {
		next.Ports[i].Waiting = true
	}
	return next
}

// Without returns what is left without some ports.
func (k Kept) Without(forget func(KeptPort) bool) Kept {
	k.Ports = slices.DeleteFunc(slices.Clone(k.Ports), forget)
	return k
}

// Waits returns the ports that wait.
func (k Kept) Waits() []KeptPort {
	var list []KeptPort
	for _, p := range k.Ports {
		if p.Waiting {
			list = append(list, p)
		}
	}
	return list
}

func identities(p Port, links *Links) []Identity {
	list := make([]Identity, len(p.Interfaces))
	for n, i := range p.Interfaces {
		if d, there := links.Of(i); there && hasDevice(i.Type) {
			list[n] = Identity{d.Index, d.Kind}
		}
	}
	return list
}

// hasDevice says that an interface of a type is a device which was there before.
func hasDevice(interfaceType string) bool {
	return slices.Contains([]string{"", "system", "afxdp", "afxdp-nonpmd"}, interfaceType)
}

// kept is the port without what vswitchd tells of it, and with the VLAN settings
// that it had before its quarantine.
func (p Port) kept() Port {
	p.UUID = ""
	p.Interfaces = slices.Clone(p.Interfaces)
	for n, i := range p.Interfaces {
		p.Interfaces[n] = Interface{Name: i.Name, Type: i.Type, MTURequest: i.MTURequest, ExternalIDs: i.ExternalIDs, Rest: i.Rest}
	}
	if !p.Marked() {
		return p
	}
	if p.CutOff() {
		was, _ := p.remembered()
		p.VLANMode, p.Trunks, p.Tag = was.Mode, was.Trunks, -1
		if was.Tag != nil {
			p.Tag = *was.Tag
		}
	}
	p.ExternalIDs = maps.Clone(p.ExternalIDs)
	delete(p.ExternalIDs, QuarantineKey)
	delete(p.ExternalIDs, QuarantineWasKey)
	return p
}

// Gone says that nothing is left of the port that could be plugged in again by
// anybody: its device was removed, as when a VM ends, or somebody plugged it in
// elsewhere. A device that Open vSwitch made is not gone: it was destroyed with
// its bridge, and whoever needs it may not know.
func (p KeptPort) Gone(links *Links, plugged map[string]bool) bool {
	for n, i := range p.Interfaces {
		if plugged[i.Name] {
			return true
		}
		if hasDevice(i.Type) && !p.Devices[n].there(links) {
			return true
		}
	}
	return plugged[p.Name] || len(p.Interfaces) == 0
}

func (id Identity) there(links *Links) bool {
	d, there := links.Index(id.Index)
	return there && d.Kind == id.Kind
}

// Destroyed returns the interfaces whose devices Open vSwitch had made, and
// removed with the bridge.
func (p KeptPort) Destroyed() []string {
	var names []string
	for _, i := range p.Interfaces {
		if i.Type == "internal" || i.Type == "tap" {
			names = append(names, i.Name)
		}
	}
	return names
}

// Again returns the port as it is to be plugged in again: by the names that its
// devices have now.
func (p KeptPort) Again(links *Links) Port {
	again := p.Port
	again.Interfaces = slices.Clone(p.Interfaces)
	for n, i := range again.Interfaces {
		i.IfIndex = p.Devices[n].Index
		if d, _ := links.Named(i.Name); hasDevice(i.Type) && d.Index != i.IfIndex {
			d, _ = links.Index(i.IfIndex)
			i.Name = d.Name
		}
		again.Interfaces[n] = i
	}
	return again
}

// Valid says that the port can be what was kept, so that a damaged file does no
// harm.
func (p KeptPort) Valid() bool {
	return p.Name != "" && len(p.Interfaces) > 0 && len(p.Devices) == len(p.Interfaces) && p.Tag >= -1 && p.Tag <= 4095
}
