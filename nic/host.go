package nic

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
)

// host holds the links of a network namespace at one moment.
type host struct {
	links     map[int]netlink.Link // by index
	addresses map[int][]netip.Prefix
}

func newHost(links []netlink.Link, addresses []netlink.Addr) *host {
	h := &host{links: make(map[int]netlink.Link, len(links)), addresses: map[int][]netip.Prefix{}}
	for _, l := range links {
		h.links[l.Attrs().Index] = l
	}
	for _, a := range addresses {
		if prefix, ok := prefixOf(a); ok {
			h.addresses[a.LinkIndex] = append(h.addresses[a.LinkIndex], prefix)
		}
	}
	return h
}

// prefixOf returns an address with the length of its subnet's prefix. Of a
// point-to-point address that is the local end.
func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	if a.IPNet == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	length, bits := a.Mask.Size()
	if bits == 32 {
		ip = ip.Unmap() // net.IP holds IPv4 in two ways
	}
	return netip.PrefixFrom(ip, length), ok
}

// nics returns the links that are interfaces of the host itself, in the order
// of their names.
func (h *host) nics() []netlink.Link {
	var nics []netlink.Link
	for _, l := range h.links {
		if h.isNIC(l) {
			nics = append(nics, l)
		}
	}
	slices.SortFunc(nics, func(a, b netlink.Link) int { return strings.Compare(a.Attrs().Name, b.Attrs().Name) })
	return nics
}

// isNIC tells the interfaces of the host from what its virtual machines,
// containers, tunnels and switches are made of: an Ethernet device has no kind
// when it has a driver for hardware. Bonds and teams count, with whatever is in
// them, and VLANs over what counts.
func (h *host) isNIC(l netlink.Link) bool {
	a := l.Attrs()
	if aggregates(h.links[a.MasterIndex]) || aggregates(l) {
		return true
	}
	switch l.Type() {
	case "device":
		return a.EncapType == "ether"
	case "vlan":
		base := h.baseOf(l)
		return base != nil && h.isNIC(base)
	}
	return false
}

func aggregates(l netlink.Link) bool {
	return l != nil && (l.Type() == "bond" || l.Type() == "team")
}

// baseOf returns the link that a VLAN is over; nil if that is in another
// network namespace.
func (h *host) baseOf(vlan netlink.Link) netlink.Link {
	if vlan.Attrs().NetNsID >= 0 {
		return nil
	}
	return h.links[vlan.Attrs().ParentIndex]
}

// describe returns what is known of a link, without its speed and counters.
func (h *host) describe(l netlink.Link) model.NIC {
	a := l.Attrs()
	return model.NIC{
		Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU, Up: up(l),
		Addresses: h.addresses[a.Index], VLAN: h.vlan(l), Bond: h.bond(l),
	}
}

func (h *host) vlan(l netlink.Link) *model.VLAN {
	vlan, ok := l.(*netlink.Vlan)
	if !ok {
		return nil
	}
	d := &model.VLAN{ID: vlan.VlanId}
	if base := h.baseOf(l); base != nil {
		d.Base = base.Attrs().Name
	}
	return d
}

func (h *host) bond(l netlink.Link) *model.Bond {
	if !aggregates(l) {
		return nil
	}
	d := &model.Bond{Mode: model.NoBondMode}
	for _, slave := range h.links {
		if slave.Attrs().MasterIndex == l.Attrs().Index {
			d.Slaves = append(d.Slaves, slave.Attrs().Name)
		}
	}
	slices.Sort(d.Slaves)
	if bond, ok := l.(*netlink.Bond); ok {
		d.Mode, d.LinkMonitoring = int(bond.Mode), bond.Miimon
	}
	if active := h.links[activeOf(l)]; active != nil {
		d.Active = active.Attrs().Name
	}
	return d
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
