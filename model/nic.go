package model

import "net/netip"

// NIC is a network interface of a host: a physical one, or a bond, a team or a
// VLAN over such. Isolated networks use none of them; they are shown, not
// managed.
type NIC struct {
	Name string
	// MAC is in lower case with colons; "" if the interface has none.
	MAC string
	// MTU is in bytes.
	MTU int
	// Up is the operational state: whether frames get through.
	Up bool
	// Speed is in bits per second; 0 is unknown.
	Speed uint64
	// Addresses are in the kernel's order, the primary one of a subnet first.
	Addresses []netip.Prefix
	// VLAN is nil, except for a VLAN interface.
	VLAN *VLAN
	// Bond is nil, except for a bond or team.
	Bond *Bond
	// Total counts from when the interface was made or its driver began anew:
	// received is what the interface got from outside.
	Total Counters
	// Rate is the traffic per second since the sample before. It is nil when
	// there was none, and when a counter has gone back since.
	Rate *Rate
}

// VLAN says of a VLAN interface what it is made of.
type VLAN struct {
	ID   int
	Base string // the name of the interface with the tagged frames
}

// NoBondMode is the mode of a team, which has a program in its place.
const NoBondMode = -1

// Bond says of a bond or team what it is made of.
type Bond struct {
	// Mode is IFLA_BOND_MODE, such as 4 for 802.3ad; NoBondMode for a team.
	Mode int
	// LinkMonitoring is the time between two looks at the slaves' links in
	// milliseconds (miimon); 0 is off.
	LinkMonitoring int
	// Slaves are the names of the interfaces in it, in order.
	Slaves []string
	// Active is the slave that a bond sends by; "" if it has no such.
	Active string
}

// NICID returns the id of a host's network interface. It depends on nothing
// else, so that an interface has the same one after it was away.
func NICID(host ID, name string) ID {
	return DeriveID("nic " + string(host) + " " + name)
}
