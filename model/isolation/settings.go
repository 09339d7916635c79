package isolation

import "github.com/isonet/isonet/model/plan"

// setting is an entry for a column of the Bridge, its local port or an
// Interface: see plan.Spec.Deviations.
type setting struct {
	Entry
	columns []plan.Column
}

func settings() []setting {
	restore := func(reason Reason, what, evidence, remedy string, columns ...plan.Column) setting {
		return setting{Entry{Reason: reason, What: what, Evidence: evidence, Remedy: remedy, Enforce: Restore}, columns}
	}
	const whose = "Find out which program sets it, and exclude isonet's bridges (external_ids:owner=isonet) there"
	always := func(reason Reason, what, evidence string, columns ...plan.Column) setting {
		s := restore(reason, what, evidence, whose, columns...)
		s.Always = true
		return s
	}
	return []setting{
		restore(Controller, "An OpenFlow controller: it reads and sends any frame", "Bridge `controller`", whose, plan.Controller),
		restore(Mirror, "A mirror: it copies the frames elsewhere", "Bridge `mirrors`", "Capture inside the VMs, or on a VM's tap device", plan.Mirrors),
		restore(NetFlow, "NetFlow: it reports to a collector who talks to whom", "Bridge `netflow`", whose, plan.NetFlow),
		restore(SFlow, "sFlow: it sends parts of the frames to a collector", "Bridge `sflow`", whose, plan.SFlow),
		restore(IPFIX, "IPFIX: it reports to a collector who talks to whom", "Bridge `ipfix`", whose, plan.IPFIX),
		restore(FlowSampling, "Sampling by flows: it reports to a collector who talks to whom", "Flow_Sample_Collector_Set `bridge`", whose, plan.FlowSamples),
		restore(AutoAttach, "Auto attach: the bridge exchanges frames with what is plugged in", "Bridge `auto_attach`", whose, plan.AutoAttach),
		restore(STP, "STP: the bridge sends frames of its own into VMs and blocks ports", "Bridge `stp_enable`", whose, plan.STP),
		restore(RSTP, "RSTP: the bridge sends frames of its own into VMs and blocks ports", "Bridge `rstp_enable`",
			whose+". While an internal or dpdkvhostuser port is plugged in, RSTP stays on: unplug that port", plan.RSTP),
		restore(InBand, "In-band control: hidden flows above all others", "Bridge `other_config:disable-in-band` other than `true`", whose, plan.InBand),
		restore(ForwardBPDU, "The bridge forwards frames that no bridge is to forward, such as BPDUs", "Bridge `other_config:forward-bpdu`", whose, plan.BPDU),
		restore(LocalPort, "The bridge's local port is open: the host takes part in the network",
			"Port `vlan_mode`, `trunks`, `tag` and `interfaces` of the port with the bridge's name, where only the bridge's own device belongs", whose,
			plan.VLANMode, plan.Trunks, plan.Tag, plan.Interfaces),
		restore(LACP, "LACP: the host sends frames of its own into the VM, or answers the VM's", "Port `lacp` other than `off`", whose, plan.LACP),
		restore(LLDP, "LLDP: the host announces itself to the VM", "Interface `lldp:enable`", whose, plan.LLDP),
		restore(BFD, "BFD: the host sends frames of its own into the VM", "Interface `bfd:enable`", whose, plan.BFD),
		restore(CFM, "CFM: the host sends frames of its own into the VM", "Interface `cfm_mpid`", whose, plan.CFM),
		always(FailMode, "A strict network whose bridge forwards by itself, between whatever is plugged in", "Bridge `fail_mode` other than `secure`", plan.FailMode),
		always(Protocols, "A bridge that does not speak isonet's OpenFlow: isonet cannot see its flows, and a strict network lets no new VM in",
			"Bridge `protocols` without `"+plan.Protocol+"`", plan.Protocols),
		always(FlowTables, "Settings of flow tables: they can cause flows to be refused or evicted", "Bridge `flow_tables`", plan.FlowTables),
		restore(ForeignFlows, "Flows that isonet did not install or that somebody changed, with their meters and groups: they send frames anywhere. isonet repairs those of a strict network under every policy",
			"OpenFlow: what ovs-vswitchd lists on the bridge and reports as it happens. An ordinary network has one flow with the action NORMAL", whose, FlowsColumn),
	}
}

func notices() []Entry {
	return []Entry{{
		Reason: LocalUp, Enforce: Report, Notice: true,
		What: "The device of the bridge's local port is up. The port's VLAN keeps the host out of the network as long as nobody changes that", Evidence: "kernel: the flag IFF_UP",
		Remedy: "Set the device down, and exclude it from the host's network configuration",
	}, {
		Reason: Manager, Enforce: Report, Notice: true,
		What: "An OVSDB manager: anybody who is connected there can change everything", Evidence: "Open_vSwitch `manager_options`",
		Remedy: "Remove the manager if nothing needs it (`ovs-vsctl del-manager`)",
	}, {
		Reason: Restoring, Enforce: Report, Notice: true,
		What:     "Open vSwitch waits for flows to be restored: from its next start it forwards nothing new",
		Evidence: "Open_vSwitch `other_config:flow-restore-wait`",
		Remedy:   "Remove the key (`ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait`), which `ovs-ctl restart` sets for a moment",
	}, {
		Reason: TunnelNearby, Enforce: Report, Notice: true,
		What:     "A tunnel on another bridge of the same userspace datapath: a VM can inject frames into it as soon as a port of its own network has an IP address",
		Evidence: "Interface type of other bridges with `datapath_type=netdev`",
		Remedy:   "Keep ports without IP addresses, see " + "`" + string(PortAddress) + "`",
	}, {
		Reason: NoMAC, Enforce: Report, Notice: true,
		What:     "A port whose MAC address is not known, on a network with the MAC lock: it is cut off",
		Evidence: "Interface `external_ids:attached-mac` is missing or is not a unicast MAC address",
		Remedy:   "Set external_ids:attached-mac of the interface to the VM's MAC address, as libvirt does, or turn the network's MAC lock off",
	}, {
		Reason: OpenChecksums, Enforce: Report, Notice: true,
		What: "VMs on the userspace datapath that leave checksums to their devices. The datapath delivers these checksums as they are: ping works between the VMs, and TCP and UDP do not",
		Evidence: "Bridge `datapath_type=netdev`; Open_vSwitch `other_config:userspace-tso-enable` other than `true`, or kernel: the bridge's own device without IFF_VNET_HDR or tx-tcp-segmentation, " +
			"because vswitchd reads the setting only when it starts; kernel: veths, and taps with IFF_VNET_HDR",
		Remedy: "Run `ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true` and restart ovs-vswitchd; or give the VMs' interfaces " +
			"`<driver name='qemu'><host csum='off'/></driver>` in libvirt, which isonet does not see, and ignore this. `isonet prove` tries it",
	}, {
		Reason: DuplicateMAC, Enforce: Report, Notice: true,
		What: "Two VMs of a network with the same MAC address: each gets what is for the other", Evidence: "Interface `external_ids:attached-mac`",
		Remedy: "Give one of the VMs another MAC address",
	}, {
		Reason: MTULowered, Enforce: Report, Notice: true,
		What:     "A VM that was plugged in with a larger MTU than the network has now. Its guest does not learn of the change by itself, and its larger frames are lost silently",
		Evidence: "isonet's memory of the ports that it accepted: Interface `mtu`, and kernel: the device's MTU",
		Remedy: "Set the MTU in the guest, and for its next start in libvirt, by `<mtu size='…'/>` in the VM's interface. Or make the network's MTU larger. " +
			"The notice ends when the VM is plugged in again",
	}, {
		Reason: PortLost, Enforce: Report, Notice: true,
		What:     "A port that somebody took away with its bridge, and that cannot be plugged in again: its VM is cut off",
		Evidence: "isonet's memory of the ports that it accepted; the kernel: the device is another one, in use by something else, or was destroyed with the bridge",
		Remedy:   "Settle what is in the way, and isonet plugs it in. Or plug it in by the command that the finding names, or forget it with `isonet port prune`",
	}, {
		Reason: ForeignMarks, Enforce: Report, Notice: true,
		What:     "A bridge that isonet did not create has the marks of this network: isonet does not touch it",
		Evidence: "Bridge or Port `external_ids:owner` and `external_ids:isonet-network-id` of a bridge that had none when isonet first saw it, or that has another name than the network's bridge",
		Remedy:   "Remove the marks from the bridge, or the bridge if it is left over",
	}, {
		Reason: WrongMAC, Enforce: Report, Notice: true,
		What:     "A VM on a network with the MAC lock that sent, within the last minute, from another address than its own: these frames are dropped",
		Evidence: "OpenFlow: the frames that the flows of the MAC lock dropped, counted every 10 seconds",
		Remedy: "Find out what in the VM does it: a changed address, a bridge or nested VMs, or somebody who pretends to be another. " +
			"Give the interface the address that the VM uses, or turn the network's MAC lock off",
	}, {
		Reason: OverLimit, Enforce: Report, Notice: true,
		What:     "A VM that sent, within the last minute, more broadcasts and multicasts than the network's broadcast limit: the others are dropped",
		Evidence: "OpenFlow: the frames that the port's meter dropped, counted every 10 seconds",
		Remedy:   "Find out what in the VM sends them, such as a loop between two of its interfaces, or raise the limit",
	}}
}
