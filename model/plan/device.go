package plan

import "net/netip"

// Device is a network device in the network namespace of vswitchd, as the
// kernel describes it (rtnetlink(7)). It is the evidence of what is plugged
// into a bridge: unlike external_ids nobody can write it.
type Device struct {
	Name  string
	Index int
	// Kind is IFLA_INFO_KIND, such as "veth", "tun" or "vlan". It is "" for a
	// device without one, which is a physical NIC unless it is the loopback
	// device.
	Kind string
	// Tap says that a device of the kind "tun" carries Ethernet frames (IFF_TAP)
	// and not IP packets (IFF_TUN).
	Tap bool
	// Ethernet says that the link type is ARPHRD_ETHER.
	Ethernet bool
	Loopback bool
	// PeerElsewhere says that what the device is joined to (a veth's other end)
	// is in another network namespace: the kernel reports IFLA_LINK_NETNSID.
	PeerElsewhere bool
	// Up says that the device is administratively up.
	Up bool
	// MTU is in bytes.
	MTU int
	// Master is the device that this one is enslaved to; "" for none, and for
	// what only Open vSwitch's kernel datapath holds.
	Master string
	// Upper are devices that are stacked on this one, such as VLANs and
	// macvlans. Sorted.
	Upper []string
	// Addresses are the IP addresses of the device, link-local ones included.
	// Sorted.
	Addresses []netip.Prefix
}
