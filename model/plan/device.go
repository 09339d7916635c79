package plan

import (
	"iter"
	"net/netip"
)

// Device is a network device in the network namespace of vswitchd, as the
// kernel describes it (rtnetlink(7)). It is the evidence of what is plugged
// into a bridge: unlike external_ids nobody can write it.
type Device struct {
	Name string
	// Index is the ifindex, which a rename does not change.
	Index int
	// AltNames are further names of the device (ip-link(8), property). Sorted.
	AltNames []string
	// Kind is IFLA_INFO_KIND, such as "veth", "tun" or "vlan". It is "" for a
	// device without one, which is a physical NIC unless it is the loopback
	// device.
	Kind string
	// Tap says that a device of the kind "tun" carries Ethernet frames (IFF_TAP)
	// and not IP packets (IFF_TUN).
	Tap bool
	// VnetHeader says that frames go through a device of the kind "tun" with a
	// header that tells what was left open: checksums, and the cutting of
	// segments (IFF_VNET_HDR).
	VnetHeader bool
	// NoTSO says that whoever holds a device with such a header gets segments and not
	// what is to be cut into them (ethtool(8), tx-tcp-segmentation). Where nobody
	// could ask, it is false.
	NoTSO bool
	// Ethernet says that the link type is ARPHRD_ETHER.
	Ethernet bool
	Loopback bool
	// PeerElsewhere says that what the device is joined to (a veth's other end)
	// is in another network namespace: the kernel reports IFLA_LINK_NETNSID.
	PeerElsewhere bool
	// Up says that the device is administratively up.
	Up bool
	// Promiscuous says that somebody set IFF_PROMISC, as Open vSwitch's userspace
	// datapath does with what it opens.
	Promiscuous bool
	// Sockets says whether packet sockets receive from the device, where the flag is
	// in doubt.
	Sockets Sockets
	// IPv6 says that the kernel talks IPv6 on the device: it knows the protocol,
	// and disable_ipv6 is 0.
	IPv6 bool
	// MTU is in bytes.
	MTU int
	// Master is the device that this one is enslaved to; its zero value for none,
	// and for what only Open vSwitch's kernel datapath holds.
	Master Relative
	// Upper are devices that are stacked on this one, such as VLANs and
	// macvlans. Sorted.
	Upper []Relative
	// Addresses are the IP addresses of the device, link-local ones included.
	// Sorted.
	Addresses []netip.Prefix
}

// Sockets is whether packet sockets (packet(7)) receive every frame of a device. Open
// vSwitch's userspace datapath receives by them from the devices that others made,
// but not from its internal ports and by AF_XDP.
type Sockets int

// What is known of sockets.
const (
	Unasked Sockets = iota
	Receive
	ReceiveNothing
)

// Relative is a device that another one is stacked on or enslaved to, or the
// other way round.
type Relative struct {
	Index int // 0 is none
	Name  string
	Kind  string // as in Device
	// Elsewhere says that it is in another network namespace, where it has the
	// index and the name that it had last in this one.
	Elsewhere bool
}

// names yields all names that the kernel knows a device by.
func (d Device) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(d.Name) {
			return
		}
		for _, name := range d.AltNames {
			if !yield(name) {
				return
			}
		}
	}
}
