package isolation

import "github.com/isonet/isonet/model"

// Reason identifies what is wrong. It never changes its spelling: it is a
// label value of metrics and a member of the API.
type Reason string

// The ways out that a port can be.
const (
	PatchPort        Reason = "patch_port"
	TunnelPort       Reason = "tunnel_port"
	DPDKPort         Reason = "dpdk_port"
	UnknownType      Reason = "unknown_type"
	OwnDevice        Reason = "own_device"
	HostInternalPort Reason = "host_internal_port"
	PhysicalNIC      Reason = "physical_nic"
	LoopbackDevice   Reason = "loopback_device"
	Bond             Reason = "bond"
	Team             Reason = "team"
	VLANDevice       Reason = "vlan"
	Macvlan          Reason = "macvlan"
	LinuxBridge      Reason = "linux_bridge"
	KernelTunnel     Reason = "kernel_tunnel"
	VethInHost       Reason = "veth_in_host"
	L3Tun            Reason = "l3_tun"
	StackedDevice    Reason = "stacked_device"
	UnknownDevice    Reason = "unknown_device"
	OtherDevice      Reason = "other_device"
	UnseenDevice     Reason = "unseen_device"
	UnseenHost       Reason = "unseen_host"
	PortAddress      Reason = "port_address"
)

// The settings that hold the isolation.
const (
	Controller   Reason = "controller"
	Mirror       Reason = "mirror"
	NetFlow      Reason = "netflow"
	SFlow        Reason = "sflow"
	IPFIX        Reason = "ipfix"
	FlowSampling Reason = "flow_sampling"
	AutoAttach   Reason = "auto_attach"
	STP          Reason = "stp"
	RSTP         Reason = "rstp"
	InBand       Reason = "in_band"
	ForwardBPDU  Reason = "forward_bpdu"
	LocalPort    Reason = "local_port"
	LLDP         Reason = "lldp"
	BFD          Reason = "bfd"
	CFM          Reason = "cfm"
	FailMode     Reason = "fail_mode"
	ForeignFlows Reason = "foreign_flows"
	Protocols    Reason = "protocols"
	FlowTables   Reason = "flow_tables"
	LACP         Reason = "lacp"
)

// What is worth knowing though it is no violation.
const (
	LocalUp      Reason = "local_up"
	Manager      Reason = "manager"
	TunnelNearby Reason = "tunnel_nearby"
	NoMAC        Reason = "no_mac"
	PortLost     Reason = "port_lost"
	ForeignMarks Reason = "foreign_marks"
	Restoring    Reason = "flow_restore_wait"
	// What VMs suffer from.
	OpenChecksums Reason = "open_checksums"
	DuplicateMAC  Reason = "duplicate_mac"
	MTULowered    Reason = "mtu_lowered"
	WrongMAC      Reason = "wrong_mac"
	OverLimit     Reason = "over_broadcast_limit"
)

// Action is what is done about a finding.
type Action string

// The actions.
const (
	// Remove takes the port from the bridge.
	Remove Action = "remove"
	// Quarantine cuts the port off and keeps it.
	Quarantine Action = "quarantine"
	// Restore puts the setting back.
	Restore Action = "restore"
	// Report changes nothing.
	Report Action = "report"
)

// Entry is one line of the decision table.
type Entry struct {
	Reason Reason
	// What it is, Evidence where it is seen, and Remedy what an operator can
	// do so that it does not come back. All are sentences without a full stop.
	What, Evidence, Remedy string
	// Enforce is what is done under the policy to enforce.
	Enforce Action
	// Meanwhile is what is done instead as long as the grace time lasts; "" for
	// what has none.
	Meanwhile Action
	// Always says that the policy has no say in it.
	Always bool
	// Notice says that it does not break the isolation by itself.
	Notice bool
}

// Under returns what is done about it under a policy.
func (e Entry) Under(p model.Policy) Action {
	switch {
	case e.Always:
		return e.Enforce
	case p == model.PolicyReport:
		return Report
	case p == model.PolicyQuarantine && e.Enforce == Remove:
		return Quarantine
	}
	return e.Enforce
}

// Table returns the whole decision table: ports in the order in which they are
// judged, then settings, then notices.
func Table() []Entry {
	var table []Entry
	for _, r := range portRules() {
		table = append(table, r.Entry)
	}
	for _, s := range settings() {
		table = append(table, s.Entry)
	}
	return append(table, notices()...)
}

// Find returns the entry of a reason.
func Find(reason Reason) (Entry, bool) {
	for _, e := range Table() {
		if e.Reason == reason {
			return e, true
		}
	}
	return Entry{}, false
}
