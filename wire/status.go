package wire

import "time"

// Status is the body of GET isonet/status and each line of isonet/watch: all
// that isonet knows of the host that it runs on. It is JSON with native values;
// members may be added.
type Status struct {
	// WireVersion is the Version that the sender has.
	WireVersion int  `json:"wire_version,omitzero"`
	Host        Host `json:"host"`
	// Connected says that the session to Open vSwitch is live and has a snapshot
	// that can be used. While it is not, all that Open vSwitch reported is of the
	// past.
	Connected bool `json:"connected"`
	// Since is when Connected last changed.
	Since time.Time `json:"since,omitzero"`
	// Missing is what verdicts rest on and is gone or was not seen for too long.
	// Those that rest on it are unknown. The first explains the others.
	Missing []Missing `json:"missing,omitzero"`
	// Standby says that another isonetd manages the host's Open vSwitch. This
	// one refuses to change anything and takes over when the other one ends.
	Standby bool `json:"standby"`
	// Revision is the desired revision that the networks' states are for.
	Revision int64 `json:"revision"`
	// OVSVersion is what ovs-vswitchd calls itself, else what the database says of
	// Open vSwitch; "" is unknown.
	OVSVersion   string `json:"ovs_version"`
	DatapathType string `json:"datapath_type"`
	// Notices are about the host, and break nothing.
	Notices []Notice `json:"notices,omitzero"`
	// Repairs counts the changes that put back what somebody else had changed.
	Repairs   uint64 `json:"repairs"`
	LastError string `json:"last_error"`
	// Held are bridges that should be gone and are kept by ports in use.
	Held []Held `json:"held"`
	// LeftGuarded are devices that were on isonet's bridges and are on none any
	// more: the host guard stays on them until they are gone, are another program's,
	// or isonet/guard/release says so.
	LeftGuarded []string `json:"left_guarded"`
	// Progress is how far Open vSwitch is with the networks.
	Progress Progress `json:"progress"`
	// Networks are sorted by name.
	Networks []NetworkStatus `json:"networks"`
	// Events are the newest events about isolation, the newest last.
	Events []Event `json:"events,omitzero"`
}

// Progress counts what Open vSwitch has done of what the host must have.
type Progress struct {
	// Wanted is how many networks the host must have. Made are those whose bridge
	// ovs-vswitchd has made, and Active those that are ready.
	Wanted int `json:"wanted"`
	Made   int `json:"made"`
	Active int `json:"active"`
	// Leaving is how many bridges the host has that it must not have any more.
	Leaving int `json:"leaving"`
}

// Missing is something that verdicts rest on and that is not there.
type Missing struct {
	// Ground is database, vswitchd, devices, identity, loop, rules or store.
	Ground string `json:"ground"`
	// Since is when it was seen last.
	Since time.Time `json:"since,omitzero"`
	// Cause says what is wrong, Remedy what to do, both in words.
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
	// Busy says that it is at work, so that there is nothing to do but wait.
	Busy bool `json:"busy"`
}

// Notice is something that breaks nothing and is worth knowing.
type Notice struct {
	// Text says what there is, Remedy what to do, both in words.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Host says which host it is. Its ID is empty before Open vSwitch was
// reached for the first time.
type Host struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Held is a bridge of a network that the host should not have any more.
type Held struct {
	Bridge    string   `json:"bridge"`
	NetworkID string   `json:"network_id"`
	Ports     []string `json:"ports"`
}

// NetworkStatus is one network that the host must have.
type NetworkStatus struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Bridge string `json:"bridge"`
	MTU    MTU    `json:"mtu"`
	// State is "pending", "active", "error" or "unknown"; Reason says why it is
	// not active and Since when it became so.
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
	Cause  Cause     `json:"cause"`
	Ports  []Port    `json:"ports"`
	// Isolation says whether the network is isolated, and what is wrong if not.
	Isolation *Isolation `json:"isolation,omitempty"`
	// Traffic is absent as long as nothing is known of it.
	Traffic *Traffic `json:"traffic,omitempty"`
}

// Active says that Open vSwitch has the network as it must be.
func (n NetworkStatus) Active() bool { return n.State == "active" }

// Cause says why a network is on the host: because somebody attached it by
// itself, because the host has its label ("" if not), or both.
type Cause struct {
	Explicit bool   `json:"explicit"`
	Label    string `json:"label"`
}

// MTU compares the MTU in bytes that a network asks for with the one that its
// bridge has; 0 is unknown.
type MTU struct {
	Wanted int `json:"wanted"`
	Actual int `json:"actual"`
}

// Port is one port that somebody plugged into a network.
type Port struct {
	Name   string `json:"name"`
	LinkUp bool   `json:"link_up"`
	// MTU in bytes; 0 is unknown.
	MTU int `json:"mtu"`
	// VMID and IfaceID are the external_ids vm-id and iface-id that libvirt
	// sets on a port.
	VMID    string `json:"vm_id"`
	IfaceID string `json:"iface_id"`
	// Error is what Open vSwitch says is wrong with the port.
	Error string `json:"error"`
	// Stale says that the port's device vanished, so that isonet/prune would
	// remove the port.
	Stale bool `json:"stale"`
	// Elsewhere says that the port's device was moved to another network
	// namespace, such as a container's: LinkUp and MTU are not known, and the
	// userspace datapath does not count its traffic.
	Elsewhere bool `json:"elsewhere"`
	// Denied is absent where nothing is counted.
	Denied *Denied `json:"denied,omitempty"`
	// Traffic counts from when the port was plugged into the network or
	// isonetd began. It is absent as long as nothing is known of it.
	Traffic *Traffic `json:"traffic,omitempty"`
}

// Denied counts frames that a port of a strict network sent and that were
// dropped, since isonetd sees the port.
type Denied struct {
	// WrongMAC are those from other addresses than the MAC lock allows.
	WrongMAC uint64 `json:"wrong_mac"`
	// OverLimit are broadcasts and multicasts over the broadcast limit.
	OverLimit uint64 `json:"over_broadcast_limit"`
}

// Traffic is the traffic of a network as its endpoints see it, or of one
// of them.
type Traffic struct {
	// Since is when Total began to count, Updated when OVS last published it.
	Since   time.Time `json:"since,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	Total   Counters  `json:"total"`
	Rate    *Rate     `json:"rate,omitempty"`
}

// Counters counts traffic since Traffic.Since.
type Counters struct {
	ReceivedBytes      uint64 `json:"received_bytes"`
	ReceivedPackets    uint64 `json:"received_packets"`
	ReceivedDrops      uint64 `json:"received_drops"`
	ReceivedErrors     uint64 `json:"received_errors"`
	TransmittedBytes   uint64 `json:"transmitted_bytes"`
	TransmittedPackets uint64 `json:"transmitted_packets"`
	TransmittedDrops   uint64 `json:"transmitted_drops"`
	TransmittedErrors  uint64 `json:"transmitted_errors"`
}

// Rate is traffic in bytes per second, the average of an interval.
type Rate struct {
	ReceivedBytes    float64 `json:"received_bytes_per_second"`
	TransmittedBytes float64 `json:"transmitted_bytes_per_second"`
	// IntervalSeconds is the length of the interval, Until its end.
	IntervalSeconds float64   `json:"interval_seconds"`
	Until           time.Time `json:"until,omitzero"`
}
