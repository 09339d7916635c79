package isolation

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Treatment is what isonet does about a column of Open vSwitch's database.
type Treatment string

// The treatments.
const (
	// Kept columns make a bridge the network's: they are put right under any
	// policy.
	Kept Treatment = "kept"
	// Restored columns are put back as the policy says.
	Restored Treatment = "restored"
	// Judged columns are evidence about a port, which is removed or cut off as
	// the policy says.
	Judged Treatment = "judged"
	// Reported columns are told of and left alone.
	Reported Treatment = "reported"
	// Read columns are what Open vSwitch says, or who it is.
	Read Treatment = "read"
	// Free columns have no bearing on the isolation.
	Free Treatment = "no bearing"
)

// Column says what isonet does about columns of a table of
// ovs-vswitchd.conf.db(5), or about keys of its maps.
type Column struct {
	Table string
	// Names are columns, or columns with a key as "column:key". A "*" stands for
	// any text. A map's column without a key stands for the keys that no other
	// entry of the table names.
	Names []string
	Does  Treatment
	// Reasons are the lines of the decision table that rest on it.
	Reasons []Reason
	// Why is a sentence without a full stop.
	Why string
}

// Matches says that the entry names a column, or a column with a key.
func (c Column) Matches(name string) bool {
	return slices.ContainsFunc(c.Names, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return matched && err == nil
	})
}

// Tables returns the tables of Columns, in their order.
func Tables() []string {
	var tables []string
	for _, c := range Columns() {
		if !slices.Contains(tables, c.Table) {
			tables = append(tables, c.Table)
		}
	}
	return tables
}

// Strange returns the columns of a database, which are given by table, that
// Columns does not name: of a later Open vSwitch than isonet was made for. They
// have the form "TABLE COLUMN".
func Strange(database map[string][]string) []string {
	known := Columns()
	var strange []string
	for _, table := range slices.Sorted(maps.Keys(database)) {
		for _, column := range database[table] {
			if !slices.ContainsFunc(known, func(c Column) bool { return c.Table == table && c.Matches(column) }) {
				strange = append(strange, table+" "+column)
			}
		}
	}
	return strange
}

// Columns returns what isonet does about each column of the Open_vSwitch
// database, as far as plan.Newest has them. How each value is read follows
// vswitchd/bridge.c.
func Columns() []Column {
	return slices.Concat(rootColumns(), bridgeColumns(), portColumns(), interfaceColumns(), otherColumns())
}

// column returns an entry for columns, which are separated by spaces.
func column(table, names string, does Treatment, why string, reasons ...Reason) Column {
	return Column{Table: table, Names: strings.Fields(names), Does: does, Why: why, Reasons: reasons}
}

const (
	told     = "What Open vSwitch reports"
	speed    = "It changes how fast frames are forwarded, not where to"
	comments = "Comments"
)

func rootColumns() []Column {
	const table = "Open_vSwitch"
	return []Column{
		column(table, "bridges", Kept, "They include the networks' bridges. isonet leaves those of others as they are"),
		column(table, "manager_options", Reported, "Anybody who is connected there can change everything", Manager),
		column(table, "next_cfg cur_cfg", Read, "How isonet knows that Open vSwitch has done what the database says"),
		column(table, "external_ids:system-id", Read, "Which host this is"),
		column(table, "external_ids:rundir", Read, "Where vswitchd creates its sockets, if neither an option nor a socket of the database says so"),
		column(table, "external_ids:hostname external_ids:xs-system-uuid external_ids", Free, comments),
		column(table, "ovs_version db_version", Read, told),
		column(table, "statistics system_type system_version datapath_types iface_types dpdk_initialized dpdk_version", Free, told),
		column(table, "ssl", Free, "The key for connections to managers and controllers. isonet reports managers and removes controllers"),
		column(table, "datapaths", Free, "Timeouts of the connection tracker, which no flow of isonet's uses"),
		column(table, "other_config:flow-restore-wait", Reported, "Open vSwitch that starts with it forwards nothing new: nothing leaves, but VMs do not reach each other either", Restoring),
		column(table, "other_config:vlan-limit", Free, "How many VLAN headers Open vSwitch looks at. The outermost one decides where a frame goes, and Open vSwitch always looks at it"),
		column(table, "other_config:hw-offload other_config:hw-offload-priority other_config:tc-policy other_config:n-offload-threads other_config:offload-rebalance other_config:offloaded-stats-delay", Free,
			"NICs forward what Open vSwitch has decided"),
		column(table, "other_config:flow-limit other_config:max-idle other_config:max-revalidator other_config:min-revalidate-pps other_config:n-handler-threads other_config:n-revalidator-threads", Free,
			"How many decisions are cached and for how long. After a change of flows or ports Open vSwitch revalidates all of them at once"),
		column(table, "other_config:bundle-idle-timeout", Free, "isonet sends each bundle as a whole"),
		column(table, "other_config:userspace-tso-enable", Reported, "It affects the checksums and sizes of frames, not where they go. Without it VMs have no TCP", OpenChecksums),
		column(table, "other_config:explicit-sampled-drops", Free, "It concerns sampling, and isonet removes what samples"),
		column(table, "other_config:enable-statistics other_config:stats-update-interval", Free, "How often Open vSwitch writes counters"),
		column(table, "other_config:dpdk-* other_config:pmd-* other_config:emc-* other_config:smc-enable other_config:tx-flush-interval other_config:per-port-memory other_config:shared-mempool-config", Free, speed),
		column(table, "other_config:vhost-*", Free, "How Open vSwitch and QEMU share memory"),
		column(table, "other_config:ipsec_skb_mark other_config:private_key other_config:certificate other_config:ca_cert", Free, "IPsec of tunnels. isonet removes a tunnel on a network's bridge"),
		column(table, "other_config", Free, "Open vSwitch has no other key that this version of isonet knows"),
	}
}

func bridgeColumns() []Column {
	const table = "Bridge"
	return []Column{
		column(table, "name", Read, "isonet finds the network's bridge by it. It cannot be changed"),
		column(table, "ports", Judged, "isonet judges each port, and creates the bridge's own port again if it is missing"),
		column(table, "external_ids:owner external_ids:isonet-*", Kept, "isonet's marks"),
		column(table, "external_ids:bridge-id external_ids:xs-network-uuids external_ids", Free, comments),
		column(table, "datapath_type", Kept, "Bridges of one type share a datapath, and its frames"),
		column(table, "fail_mode", Kept, "A bridge that is not secure forwards by itself between all its ports", FailMode),
		column(table, "protocols", Kept, "Without OpenFlow 1.4 isonet cannot see the flows of the bridge", Protocols),
		column(table, "flow_tables", Kept, "A limit or an eviction policy removes flows that keep VMs apart", FlowTables),
		column(table, "mcast_snooping_enable", Kept, "Multicast reaches the whole network, as an Ethernet does without a querier"),
		column(table, "controller", Restored, "It reads and sends any frame", Controller),
		column(table, "mirrors", Restored, "It copies frames elsewhere", Mirror),
		column(table, "netflow", Restored, "It reports who talks to whom", NetFlow),
		column(table, "sflow", Restored, "It sends parts of frames to a collector", SFlow),
		column(table, "ipfix", Restored, "It reports who talks to whom", IPFIX),
		column(table, "auto_attach", Restored, "The bridge exchanges frames with what is plugged in", AutoAttach),
		column(table, "stp_enable", Restored, "The bridge sends frames of its own", STP),
		column(table, "rstp_enable", Restored, "The bridge sends frames of its own", RSTP),
		column(table, "other_config:disable-in-band", Restored, "In-band control adds hidden flows above all others", InBand),
		column(table, "other_config:forward-bpdu", Restored, "The bridge would forward frames that no bridge is to forward", ForwardBPDU),
		column(table, "flood_vlans", Free, "Frames of a VLAN are flooded, as any VM of the network can cause by itself. They stay in the network"),
		column(table, "other_config:mac-aging-time other_config:mac-table-size", Free, "How soon frames are flooded. They stay in the network"),
		column(table, "other_config:mcast-snooping-*", Free, "isonet keeps multicast snooping off"),
		column(table, "other_config:stp-* other_config:rstp-*", Free, "isonet keeps spanning tree off"),
		column(table, "other_config:in-band-queue other_config:controller-queue-size", Free, "They concern controllers, and there is none"),
		column(table, "other_config:hwaddr other_config:datapath-id other_config:dp-desc other_config:dp-sn", Free,
			"Identifiers of the bridge. Its device, the local port, carries no frames whatever its address is"),
		column(table, "other_config", Free, "Open vSwitch has no other key that this version of isonet knows"),
		column(table, "datapath_id datapath_version status rstp_status", Free, told),
	}
}

func portColumns() []Column {
	const table = "Port"
	return []Column{
		column(table, "name", Read, "The bridge's own port is the one with its name. It cannot be changed"),
		column(table, "interfaces", Restored, "Only the bridge's own device belongs in its own port. A port of VMs is judged by the worst of its interfaces", LocalPort, OwnDevice),
		column(table, "vlan_mode trunks tag", Restored,
			"The bridge's own port carries no VLAN that the host could use. These columns of a VM's port belong to its owner. On a port that is cut off isonet keeps them", LocalPort),
		column(table, "lacp", Restored, "The host sends LACP to the VM, in passive mode when the VM sends it", LACP),
		column(table, "protected", Kept, "Port isolation between the VMs of a network"),
		column(table, "external_ids:owner external_ids:isonet-*", Kept, "isonet's marks, on the bridge's own port and on ports in quarantine"),
		column(table, "external_ids:fake-bridge-* external_ids", Free, comments),
		column(table, "fake_bridge", Free, "It gives the port's device an address of its own. The device is judged"),
		column(table, "bond_fake_iface", Free, "Open vSwitch 3.1 ignores it, and isonet judges the bond by its interfaces"),
		column(table, "cvlans other_config:qinq-ethtype", Free, "They concern ports that tunnel VLANs. isonet restores the bridge's own port from that mode"),
		column(table, "other_config:priority-tags", Free, "Whether frames have a tag of VLAN 0. isonet changes it on the bridge's own port when a mirror goes"),
		column(table, "bond_mode bond_updelay bond_downdelay bond_active_slave mac other_config:bond-* other_config:all-members-active other_config:lb-output-action", Free,
			"Which of a port's own interfaces frames take. isonet judges each of them"),
		column(table, "other_config:lacp-*", Free, "isonet keeps LACP off"),
		column(table, "other_config:stp-* other_config:rstp-* other_config:mcast-snooping-*", Free, "Spanning tree and multicast snooping are off on the bridge"),
		column(table, "qos", Free, "How fast and in which order frames leave"),
		column(table, "other_config:transient other_config", Free, "No other key that this version of isonet knows affects forwarding"),
		column(table, "statistics status rstp_status rstp_statistics", Free, told),
	}
}

func interfaceColumns() []Column {
	const table = "Interface"
	return []Column{
		column(table, "name", Judged, "The device. The kernel says what it is"),
		column(table, "type", Judged, "Tunnels, patch ports, NICs, and what isonet does not know",
			PatchPort, TunnelPort, DPDKPort, UnknownType, HostInternalPort),
		column(table, "ofport error ifindex link_state mtu", Read, "Whether Open vSwitch has the device, and which"),
		column(table, "mtu_request", Kept, "The network's MTU"),
		column(table, "ofport_request", Free,
			"The port's number, which isonet reads as it is. Another port that takes a member's number in one transaction is a window in the threat model"),
		column(table, "lldp:enable", Restored, "The host announces itself to the VM", LLDP),
		column(table, "bfd:enable", Restored, "The host sends frames of its own", BFD),
		column(table, "cfm_mpid", Restored, "The host sends frames of its own", CFM),
		column(table, "lldp bfd other_config:cfm_*", Free, "They concern LLDP, BFD and CFM, which isonet keeps off"),
		column(table, "external_ids:attached-mac", Judged, "The address that the MAC lock holds a VM to", NoMAC),
		column(table, "external_ids:iface-id external_ids:iface-status external_ids:vm-id external_ids:xs-* external_ids", Free,
			"Comments of the programs that plug VMs in. isonet shows them and does not judge by them"),
		column(table, "mac", Free, "The address of an internal device. isonet judges the device"),
		column(table, "options:peer options:remote_* options:local_ip options:*key options:dst_port options:tos options:ttl options:df_default options:csum options:exts options:egress_pkt_mark options:packet_type "+
			"options:payload_type options:psk options:seq options:erspan_* options:srv6_* options:dpdk-*", Free,
			"They concern patch ports, tunnels and NICs. isonet removes these, whatever their options are"),
		column(table, "options:vhost-server-path", Free, "Where the VM of a vhost-user port is. Open vSwitch cannot tell whose socket it is, and neither can isonet"),
		column(table, "options:n_* options:*flow-ctrl* options:rx-steering options:tx-retries-max options:use-need-wakeup options:vhost-max-queue-pairs options:xdp-mode options", Free, speed),
		column(table, "ingress_policing_*", Free, "How fast a VM may send"),
		column(table, "other_config:lacp-*", Free, "isonet keeps LACP off"),
		column(table, "other_config:emc-enable other_config:pmd-rxq-affinity other_config:tx-steering other_config:hw-offload-priority other_config", Free, speed),
		column(table, "admin_state bfd_status cfm_fault cfm_fault_status cfm_flap_count cfm_health cfm_remote_mpids cfm_remote_opstate duplex lacp_current link_resets link_speed mac_in_use status", Free, told),
		column(table, "statistics", Read, "The counters of frames"),
	}
}

func otherColumns() []Column {
	return []Column{
		column("Flow_Table", "*", Free, "No bridge of isonet's keeps such a row, see Bridge `flow_tables`"),
		column("Controller", "*", Free, "No bridge of isonet's keeps such a row, see Bridge `controller`"),
		column("Flow_Sample_Collector_Set", "bridge id", Restored, "isonet removes a row that names a network's bridge", FlowSampling),
		column("Flow_Sample_Collector_Set", "external_ids ipfix local_group_id", Free, "They belong to a row that isonet removes"),
		column("Mirror", "*", Free, "No bridge of isonet's keeps such a row, and a mirror of another bridge has no ports of this one"),
		column("NetFlow", "*", Free, "No bridge of isonet's keeps such a row"),
		column("sFlow", "*", Free, "No bridge of isonet's keeps such a row"),
		column("IPFIX", "*", Free, "No bridge of isonet's keeps such a row, nor a row of Flow_Sample_Collector_Set"),
		column("AutoAttach", "*", Free, "No bridge of isonet's keeps such a row"),
		column("QoS", "*", Free, "How fast and in which order frames leave"),
		column("Queue", "*", Free, "How fast and in which order frames leave"),
		column("Datapath", "*", Free, "Timeouts and limits of the connection tracker, which no flow of isonet's uses"),
		column("CT_Zone", "*", Free, "They concern the connection tracker, which no flow of isonet's uses"),
		column("CT_Timeout_Policy", "*", Free, "They concern the connection tracker, which no flow of isonet's uses"),
		column("Manager", "*", Free, "isonet reports that there is one, see Open_vSwitch `manager_options`"),
		column("SSL", "*", Free, "See Open_vSwitch `ssl`"),
	}
}
