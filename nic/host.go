package nic

import (
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// host tells the interfaces of the host itself from all other devices of its
// network namespace.
type host struct {
	devices *plan.Links
	bases   map[int]int // of what is stacked on another device, by ifindex
}

func newHost(devices *plan.Links) *host {
	h := &host{devices: devices, bases: map[int]int{}}
	for d := range devices.All() {
		for _, upper := range d.Upper {
			if !upper.Elsewhere {
				h.bases[upper.Index] = d.Index
			}
		}
	}
	return h
}

// nics returns the devices that are interfaces of the host itself, in the order
// of their names.
func (h *host) nics() []plan.Device {
	var nics []plan.Device
	for d := range h.devices.All() {
		if h.isNIC(d) {
			nics = append(nics, d)
		}
	}
	slices.SortFunc(nics, func(a, b plan.Device) int { return strings.Compare(a.Name, b.Name) })
	return nics
}

// isNIC tells the interfaces of the host from what its virtual machines,
// containers, tunnels and switches are made of: an Ethernet device has no kind
// when it has a driver for hardware. Bonds and teams count, with whatever is in
// them, and VLANs over what counts, unless that is in another network namespace.
func (h *host) isNIC(d plan.Device) bool {
	if aggregates(d.Master.Kind) || aggregates(d.Kind) {
		return true
	}
	switch d.Kind {
	case "":
		return d.Ethernet && !d.Loopback
	case "vlan":
		base, there := h.devices.Index(h.bases[d.Index])
		return there && h.isNIC(base)
	}
	return false
}

func aggregates(kind string) bool { return kind == "bond" || kind == "team" }

// describe returns what is known of a device and its link, without the speed and
// the counters.
func (h *host) describe(d plan.Device, l netlink.Link) model.NIC {
	a := l.Attrs()
	return model.NIC{
		Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU, Up: up(l),
		Addresses: d.Addresses, VLAN: h.vlan(l), Bond: h.bond(d, l),
	}
}

func (h *host) vlan(l netlink.Link) *model.VLAN {
	vlan, ok := l.(*netlink.Vlan)
	if !ok {
		return nil
	}
	base, _ := h.devices.Index(h.bases[vlan.Index])
	return &model.VLAN{ID: vlan.VlanId, Base: base.Name}
}

func (h *host) bond(d plan.Device, l netlink.Link) *model.Bond {
	if !aggregates(d.Kind) {
		return nil
	}
	b := &model.Bond{Mode: model.NoBondMode}
	for slave := range h.devices.All() {
		if slave.Master.Index == d.Index {
			b.Slaves = append(b.Slaves, slave.Name)
		}
	}
	slices.Sort(b.Slaves)
	if bond, ok := l.(*netlink.Bond); ok {
		b.Mode, b.LinkMonitoring = int(bond.Mode), bond.Miimon
	}
	active, _ := h.devices.Index(activeOf(l))
	b.Active = active.Name
	return b
}

// activeOf returns the index of the slave that a bond sends by; 0 if it has no
// such or is no bond.
func activeOf(l netlink.Link) int {
	if bond, ok := l.(*netlink.Bond); ok {
		return bond.ActiveSlave
	}
	return 0
}

// countersOf returns the counters of a link (struct rtnl_link_stats64).
func countersOf(s *netlink.LinkStatistics) model.Counters {
	if s == nil {
		return model.Counters{}
	}
	return model.Counters{
		ReceivedBytes: s.RxBytes, ReceivedPackets: s.RxPackets, ReceivedDrops: s.RxDropped, ReceivedErrors: s.RxErrors,
		TransmittedBytes: s.TxBytes, TransmittedPackets: s.TxPackets, TransmittedDrops: s.TxDropped, TransmittedErrors: s.TxErrors,
	}
}
