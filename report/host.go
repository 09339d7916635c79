package report

import (
	"cmp"

	"github.com/isonet/isonet/model"
)

// Host answers questions about what Open vSwitch has on this host at the moment of a
// Status. It answers when it is asked: a host has thousands of bridges, and a status
// is made each time that one of them changes. Two that are equal give the same
// answers.
type Host interface {
	// Bridge returns the bridge that a network has under the name of its bridges. A
	// bridge of that name that is not the network's is none.
	Bridge(n model.Network) (Bridge, bool)
	// BridgeOf returns the bridge that is a network's, whatever its name.
	BridgeOf(network model.ID) (Bridge, bool)
	// BridgeNamed returns the bridge of a name, whoever's it is.
	BridgeNamed(name string) (Bridge, bool)
	// Names returns what has which name here, so that no bridge can be made of it.
	Names() map[string]Taken
	// Conflicts returns the networks that a host of a desired state must have and
	// cannot have here.
	Conflicts(desired *model.Desired, host model.ID) []Conflict
	// Leaving returns how many bridges of networks are left that a host of a desired
	// state must not have, with those of which only a device is left.
	Leaving(desired *model.Desired, host model.ID) int
	// Foresee returns what would be changed here so that it becomes what a host of a
	// desired state must have. What is put off, because somebody keeps breaking it, is
	// in it.
	Foresee(desired *model.Desired, host model.ID) Plan
}

// Bridge is a bridge of the host.
type Bridge struct {
	// UUID tells it from another one that had its name.
	UUID, Name string
	// Network is the network whose bridge it is; "" for somebody else's.
	Network model.ID
	// DatapathType is "system", "netdev", or "" for what Open vSwitch takes then.
	DatapathType string
	// Strict says that it forwards by flows of its own and no others.
	Strict bool
	// Made says that ovs-vswitchd has made its device, or says so itself. Frames pass
	// when its network is active.
	Made bool
	// Unsettled says that isonet is taking it down to put it in order.
	Unsettled bool
	// MTU is that of the bridge's own device in bytes; 0 is unknown.
	MTU int
	// Local is the bridge's own port; its name is "" where there is none.
	Local Port
	// Ports are the others, those that libvirt or an operator plugged in, sorted by
	// name.
	Ports []Port
	// More is how many further ports there are of which nothing is told, as another host
	// of a fleet does not report all ports of a bridge that has hundreds.
	More int
}

// Taken is what has a name on a host.
type Taken struct {
	// Bridge is the UUID of a bridge of that name, and Network the network whose bridge
	// it is; "" for somebody else's.
	Bridge  string
	Network model.ID
	// Device says that it is a network device that is no bridge.
	Device bool
	// Port is a port that has the name, or whose interface has it, and On the bridge
	// that it is on.
	Port, On string
}

// CommonMTU returns the MTU in bytes that the bridge's ports have: the greatest, if
// they differ, and that of the bridge itself, if there is none. 0 is unknown.
func (b Bridge) CommonMTU() int {
	mtu := 0
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			mtu = max(mtu, i.MTU)
		}
	}
	for _, i := range b.Local.Interfaces {
		mtu = cmp.Or(mtu, i.MTU)
	}
	return mtu
}

// Userspace says that ovs-vswitchd forwards the bridge's frames itself.
func (b Bridge) Userspace() bool { return b.DatapathType == "netdev" }

// Port is a port of a bridge.
type Port struct {
	Name string
	// VM is the virtual machine whose port it is, in words for an operator; "" is
	// unknown.
	VM string
	// Live says that Open vSwitch has opened it, so that frames can pass. Stale says
	// that it is what is left of devices that vanished.
	Live, Stale bool
	// Quarantined says that isonet has cut it off. Protected says that it reaches only
	// ports that are not.
	Quarantined, Protected bool
	// Interfaces are more than one for a bond. They are sorted by name.
	Interfaces []Interface
}

// Interface is an interface of a port.
type Interface struct {
	// UUID is what its traffic is counted by.
	UUID, Name string
	Type       string // OVS Interface type
	MTU        int    // bytes, as the device has it; 0 is unknown
	LinkUp     bool
	// Failed says that Open vSwitch could not open it, or lost it; Error is what it
	// says of that.
	Failed bool
	Error  string
	// Elsewhere says that its device was moved to another network namespace, so that
	// nobody here knows its link, its MTU or its traffic.
	Elsewhere bool
	// MAC, VMID and IfaceID are what libvirt set: OVS Interface external_ids
	// attached-mac, vm-id and iface-id.
	MAC, VMID, IfaceID string
}

// Held is a bridge that should go and stays because its ports are in use.
type Held struct {
	Bridge    string
	NetworkID model.ID
	Ports     []string
}

// Conflict is a network that cannot be on the host.
type Conflict struct {
	Network model.Network
	Reason  string
}

// Plan is what would be changed in Open vSwitch, in one transaction.
type Plan struct {
	Operations []Operation
	// Held are bridges that should be gone and would be kept by ports in use.
	Held []Held
}

// Verb is what an Operation does.
type Verb string

// The verbs of operations.
const (
	CreateBridge   Verb = "create-bridge"
	PlugPort       Verb = "plug-port"
	RepairBridge   Verb = "repair-bridge"
	RemoveBridge   Verb = "remove-bridge"
	RemovePort     Verb = "remove-port"
	QuarantinePort Verb = "quarantine-port"
	ReleasePort    Verb = "release-port"
	SetMTU         Verb = "set-mtu"
	AdoptBridge    Verb = "adopt-bridge"
	ReleaseBridge  Verb = "release-bridge"
)

// Operation is one change of Open vSwitch.
type Operation struct {
	Do     Verb
	Bridge string
	// Network is the bridge's, which may exist no more.
	Network model.ID
	// Port is "" for an operation on the bridge itself.
	Port string
	// Columns are what a repair sets.
	Columns []string
	// MTU in bytes; 0 for an operation that sets none.
	MTU int
	// Reason is why isolation asks for it.
	Reason string
}

// StalePorts names the ports of a network's bridge that are what is left of devices
// that vanished.
func (s Status) StalePorts(network model.ID) []string {
	if s.Host == nil {
		return nil
	}
	var names []string
	b, _ := s.Host.BridgeOf(network)
	for _, p := range b.Ports {
		if p.Stale {
			names = append(names, p.Name)
		}
	}
	return names
}
