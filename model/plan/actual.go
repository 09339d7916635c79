package plan

import (
	"slices"

	"github.com/isonet/isonet/model"
)

// Actual is what Open vSwitch has: an immutable copy of the rows that isonet
// looks at (ovs-vswitchd.conf.db(5)), of one moment.
type Actual struct {
	// SystemID is Open_vSwitch external_ids:system-id.
	SystemID string
	// RunDir is Open_vSwitch external_ids:rundir, where vswitchd says that it makes
	// its sockets; "" is unset.
	RunDir string
	// RootUUID is the UUID of the one row of the Open_vSwitch table.
	RootUUID string
	// NextCfg and CurCfg are Open_vSwitch next_cfg and cur_cfg: vswitchd has
	// applied the configuration up to CurCfg.
	NextCfg, CurCfg int
	// Standby says that another isonetd has the lock without which this one may
	// not write.
	Standby bool
	// OVSVersion and SchemaVersion describe the server; they may be empty.
	OVSVersion, SchemaVersion string
	// Strange are the columns of the database, as "TABLE COLUMN", of which isonet does
	// not know what they do.
	Strange []string
	// DatapathType is the datapath type for new bridges: "system" or "netdev".
	DatapathType string
	// Kept are the datapath types, by the UUIDs of their rows, of the bridges that
	// were in use when isonetd began: they keep them as long as they are.
	Kept map[string]string
	// Bridges holds every bridge of the host by its name, foreign ones too.
	Bridges map[string]Bridge
	// Offloads says that vswitchd is told to fill in what VMs leave to their
	// devices (other_config:userspace-tso-enable). It reads that at its start only.
	Offloads bool
	// QoS are the UUIDs of the rows of the QoS table, which outlive the ports that
	// refer to them.
	QoS map[string]bool
	// Managers counts the OVSDB managers (Open_vSwitch manager_options).
	Managers int
	// Restoring says that Open vSwitch forwards nothing new from its next start
	// until somebody takes other_config:flow-restore-wait away.
	Restoring bool
	// Links are the devices of vswitchd's network namespace. It is nil where
	// nobody looked.
	Links *Links
	// Lingering are the names of devices that are left of bridges that were
	// removed a moment ago.
	Lingering map[string]bool
}

// Foreign says that the host has a device of a name, or of an altname, that no
// bridge accounts for. A new bridge must not take the name.
func (a *Actual) Foreign(name string) bool {
	_, there := a.Links.Named(name)
	_, ours := a.Bridges[name]
	return there && !ours && !a.Lingering[name]
}

// Bridge returns the bridge that a network has under the name of its bridges. A
// bridge of that name that is not the network's is none.
func (a *Actual) Bridge(n model.Network) (Bridge, bool) {
	if b, there := a.Bridges[n.VdsmName]; there && b.Network == n.ID {
		return b, true
	}
	return Bridge{}, false
}

// BridgeOf returns the bridge that is a network's, whatever its name.
func (a *Actual) BridgeOf(network model.ID) (Bridge, bool) {
	for _, b := range a.Bridges {
		if network != "" && b.Network == network { // "" are those of others
			return b, true
		}
	}
	return Bridge{}, false
}

// Bridge is one row of the Bridge table with its ports.
type Bridge struct {
	// Version tells the states of a bridge from each other: two with the same one
	// differ in Network at most. 0 tells nothing.
	Version uint64
	UUID    string
	Name    string
	// Network is the network whose bridge it is, see Owners; "" for somebody
	// else's.
	Network      model.ID
	DatapathType string
	FailMode     string // "" is unset
	ExternalIDs  map[string]string
	OtherConfig  map[string]string
	// How many rows each of these columns refers to; isonet wants none.
	Controllers, Mirrors, NetFlow, SFlow, IPFIX, AutoAttach int
	STP, RSTP, McastSnooping                                bool
	// Protocols are the versions of OpenFlow that the bridge speaks; none is all.
	Protocols []string
	// FlowTables counts the tables that somebody configured; isonet wants none.
	FlowTables int
	// FlowSamples are the UUIDs of the Flow_Sample_Collector_Set rows that
	// refer to the bridge; isonet wants none.
	FlowSamples []string
	Ports       []Port // sorted by name
}

// Port is one row of the Port table with its interfaces.
type Port struct {
	UUID        string
	Name        string
	VLANMode    string // "" is unset
	Tag         int    // -1 is unset
	Trunks      []int
	Protected   bool   // it reaches only ports that are not
	LACP        string // "" is unset
	ExternalIDs map[string]string
	OtherConfig map[string]string
	QoS         *QoS        // nil is none
	Rest        Columns     // what somebody set otherwise
	Interfaces  []Interface // sorted by name
}

// Columns are what isonet passes on as it is: columns that have another value than
// their default, by name, in the notation of RFC 7047 section 5.1 (JSON).
type Columns map[string]string

// QoS is one row of the QoS table with its queues.
type QoS struct {
	UUID   string // "" for one that is to be made
	Rest   Columns
	Queues map[int]Columns
}

// Interface is one row of the Interface table.
type Interface struct {
	UUID       string
	Name       string
	Type       string
	MTURequest int // bytes; 0 is unset
	MTU        int // bytes, as the device has it; 0 is unknown
	OFPort     int // 0 is unknown, -1 says that OVS could not add it
	// IfIndex is the ifindex of the device as OVS sees it; 0 is unknown, -1 says
	// that OVS has looked for the device's name in vain. It stays what it was when
	// the device is renamed, until another device gets the name.
	IfIndex     int
	Error       string
	LinkUp      bool
	ExternalIDs map[string]string
	// LLDP, BFD and CFM say that vswitchd sends frames of these protocols out
	// of the interface (lldp:enable, bfd:enable, cfm_mpid).
	LLDP, BFD, CFM bool
	Rest           Columns // what somebody set otherwise
}

// Failed says that vswitchd could not open the interface, or lost it.
func (i Interface) Failed() bool { return i.OFPort < 0 || i.Error != "" }

// Stale says that the port is what is left of devices that vanished: neither
// vswitchd nor the kernel has any of them, so that nothing can pass. Links are
// those of Actual.
func (p Port) Stale(links *Links) bool {
	for _, i := range p.Interfaces {
		if _, there := links.Of(i); there || !i.Vanished() {
			return false
		}
	}
	return len(p.Interfaces) > 0
}

// Live says that OVS has opened the port. One whose device never appeared is not
// live, nor is what is left of a device that vanished: see Stale. Where nobody
// looked for devices, it may be there.
func (p Port) Live(links *Links) bool {
	opened := func(i Interface) bool { return i.OFPort > 0 && i.Error == "" }
	return slices.ContainsFunc(p.Interfaces, opened) && (links == nil || !p.Stale(links))
}

// Elsewhere says that the interface's device was moved to another network
// namespace, so that nobody here knows its link, its MTU or its traffic. Links
// are those of Actual.
func (i Interface) Elsewhere(links *Links) bool {
	_, here := links.Of(i)
	return links != nil && !here && i.Internal() && !i.Failed() && i.OFPort > 0 && i.IfIndex != 0
}

// Internal says that Open vSwitch made the interface's device.
func (i Interface) Internal() bool { return i.Type == "internal" || i.Type == "tap" }

// Vanished says that vswitchd has no device for an interface. The userspace
// datapath holds on to a device that is gone, and knows no MTU of it any more. Of
// an internal port in another network namespace it does not know the MTU either.
func (i Interface) Vanished() bool {
	switch i.Type {
	case "", "system", "afxdp", "afxdp-nonpmd":
		return i.Failed() || i.OFPort > 0 && i.MTU == 0 && !i.LinkUp
	case "internal", "tap":
		return i.Failed()
	}
	return false
}

// OwnInterface returns the interface of the bridge's own device, the one of the
// bridge's name, whatever port it is in: by the name alone vswitchd knows it.
func (b Bridge) OwnInterface() (Interface, bool) {
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			if i.Name == b.Name {
				return i, true
			}
		}
	}
	return Interface{}, false
}

// Seen says that links are those of vswitchd's network namespace, by the device
// that the bridge itself has: in another namespace the same ifindex is another
// device.
func (b Bridge) Seen(links *Links) bool {
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			if i.Name == b.Name {
				d, there := links.Named(i.Name)
				return there && (i.IfIndex <= 0 || i.IfIndex == d.Index)
			}
		}
	}
	return false
}

// Local returns the bridge's local port: the one of the bridge's own name.
func (b Bridge) Local() (Port, bool) {
	for _, p := range b.Ports {
		if p.Name == b.Name {
			return p, true
		}
	}
	return Port{}, false
}

// LocalMTU returns the MTU of the bridge's own device in bytes; 0 is unknown.
func (b Bridge) LocalMTU() int {
	local, _ := b.Local()
	for _, i := range local.Interfaces {
		return i.MTU
	}
	return 0
}

// Endpoints returns the bridge's other ports: those that libvirt or an
// operator plugged in.
func (b Bridge) Endpoints() []Port {
	ports := make([]Port, 0, len(b.Ports))
	for _, p := range b.Ports {
		if p.Name != b.Name {
			ports = append(ports, p)
		}
	}
	return ports
}

// LivePorts returns the names of the endpoints that are live.
func (b Bridge) LivePorts(links *Links) []string {
	var names []string
	for _, p := range b.Endpoints() {
		if p.Live(links) {
			names = append(names, p.Name)
		}
	}
	return names
}
