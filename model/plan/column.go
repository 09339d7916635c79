package plan

// Column is a column of Open vSwitch's database that a Repair sets, with its key
// if it is a map (ovs-vswitchd.conf.db(5)).
type Column string

// Columns of a bridge.
const (
	DatapathType  Column = "datapath_type"
	FailMode      Column = "fail_mode"
	ExternalIDs   Column = "external_ids" // of the local port, too
	McastSnooping Column = "mcast_snooping_enable"
	Protocols     Column = "protocols"
	FlowTables    Column = "flow_tables"
	Controller    Column = "controller"
	Mirrors       Column = "mirrors"
	NetFlow       Column = "netflow"
	SFlow         Column = "sflow"
	IPFIX         Column = "ipfix"
	AutoAttach    Column = "auto_attach"
	STP           Column = "stp_enable"
	RSTP          Column = "rstp_enable"
	InBand        Column = "other_config:" + disableInBand
	BPDU          Column = "other_config:" + forwardBPDU
	// FlowSamples is the table whose rows refer to the bridge.
	FlowSamples Column = "flow_sample_collector_set"
)

// Columns of ports and interfaces.
const (
	VLANMode   Column = "vlan_mode"
	Trunks     Column = "trunks"
	Tag        Column = "tag"
	Interfaces Column = "interfaces"
	MTURequest Column = "mtu_request"
	LACP       Column = "lacp"
	LLDP       Column = "lldp"
	BFD        Column = "bfd"
	CFM        Column = "cfm_mpid"
)
