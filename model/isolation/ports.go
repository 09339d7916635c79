package isolation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/isonet/isonet/model/plan"
)

// Grace is how long a port may stay unclear before it is judged by what is known:
// an internal port or the end of a veth with the host, or a device unseen.
const Grace = 10 * time.Second

// settle is how long Open vSwitch and the kernel may differ on whether a device
// is open: they tell of it in two ways.
const settle = time.Second

// Wait returns after which time something that has been unclear for so long may be
// judged otherwise although nothing changes; 0 is never.
func Wait(age time.Duration) time.Duration {
	for _, end := range []time.Duration{settle, Grace} {
		if age < end {
			return end - age
		}
	}
	return 0
}

// facts are what is known of one interface of a port and one of the devices that
// it may be: see Input.devices.
type facts struct {
	plan.Interface
	device plan.Device
	// seen says that the kernel has the device in vswitchd's namespace.
	seen bool
	// known says that the device was seen or that Open vSwitch has told its
	// ifindex: only then does it tell anything that it is not seen.
	known bool
	// shared says that the bridge's own device is seen: only then does a device
	// that is not seen tell anything.
	shared bool
	// own says that it has the name of its bridge.
	own bool
	// age is for how long the port has been unclear.
	age time.Duration
	// userspace says that the datapath is the userspace one, where the host's
	// own stack sees the frames of its devices too.
	userspace bool
}

// portRule is an entry with the evidence in code. Its match returns the
// evidence in words, or "" when it does not apply.
type portRule struct {
	Entry
	match func(facts) string
}

// portRules returns the rules in the order in which they are tried: the first
// that matches wins. What none of them matches, and what is not pending, is
// allowed: see allowed. They are made once, for every judgement needs them.
var portRules = sync.OnceValue(func() []portRule {
	return slices.Concat(typeRules(), kindRules(), deviceRules())
})

// typeRules judge by Interface.type alone.
func typeRules() []portRule {
	return []portRule{{
		Entry{
			Reason: OwnDevice, Enforce: Remove, Always: true,
			What: "The bridge's own device in another port: the host takes part in the network", Evidence: "Interface `name` is that of the bridge",
			Remedy: "Find out who puts it there; it belongs in the port of its own name",
		},
		func(f facts) string { return when(f.own, "it has the bridge's own device") },
	}, {
		Entry{
			Reason: PatchPort, Enforce: Remove,
			What: "A patch port: a cable to another bridge", Evidence: "Interface type `patch`",
			Remedy: "Find out who adds it; join networks by a router VM instead",
		},
		func(f facts) string { return when(f.Type == "patch", "its type is patch") },
	}, {
		Entry{
			Reason: TunnelPort, Enforce: Remove,
			What: "A tunnel port: a cable to another host", Evidence: "Interface type `" + strings.Join(tunnelTypes(), "`, `") + "`",
			Remedy: "Find out who adds it; a network that spans hosts is not an isolated network",
		},
		func(f facts) string { return when(isTunnel(f.Type), "its type is the tunnel type %s", f.Type) },
	}, {
		Entry{
			Reason: DPDKPort, Enforce: Remove,
			What: "A DPDK port: a physical NIC", Evidence: "Interface type `dpdk`",
			Remedy: "Give VMs vhost-user ports; a NIC does not belong on an isolated network",
		},
		func(f facts) string { return when(f.Type == "dpdk", "its type is dpdk") },
	}, {
		Entry{
			Reason: UnknownType, Enforce: Quarantine,
			What: "A port of a type that isonet does not know", Evidence: "Interface type none of those in this table and none of " + allowedTypes(),
			Remedy: "Use a tap, veth, vhost-user or internal port",
		},
		func(f facts) string {
			return when(!f.isDevice() && !f.Internal() && !f.isVhost(), "its type %q is not known", f.Type)
		},
	}, {
		Entry{
			Reason: HostInternalPort, Enforce: Quarantine,
			What:     "An internal port that stayed on the host: it is in use there, or the grace time in which a container tool would have moved it away is over",
			Evidence: "Interface type `internal` or `tap`, whose device is in vswitchd's network namespace, whatever its name is now. A device that is up or has an address gets no grace time",
			Remedy:   "Move the device into the namespace that it is for, or remove the port",
		},
		func(f facts) string {
			used := f.device.Up || len(f.device.Addresses) > 0
			return when(f.Internal() && f.seen && (used || f.waited()), "its device is in the host's network namespace")
		},
	}}
}

// kindRules judge by what kind of device the kernel says it is.
func kindRules() []portRule {
	kind := func(e Entry, kinds ...string) portRule {
		e.Enforce = Remove
		e.Evidence = "kernel: device of the kind `" + strings.Join(kinds, "`, `") + "`"
		return portRule{e, func(f facts) string {
			return when(f.device.Kind != "" && slices.Contains(kinds, f.device.Kind), "the kernel says that its device is of the kind %s", f.device.Kind)
		}}
	}
	return []portRule{
		{
			Entry{
				Reason: PhysicalNIC, Enforce: Remove,
				What: "A physical NIC, a virtual function or a representor of one", Evidence: "kernel: device without a kind that is not the loopback device",
				Remedy: "Find out who adds it: a network with an uplink is not an isolated network",
			},
			func(f facts) string {
				return when(f.seen && f.isDevice() && f.device.Kind == "" && !f.device.Loopback, "the kernel says that its device is a physical NIC (it has no kind)")
			},
		},
		{
			Entry{
				Reason: LoopbackDevice, Enforce: Remove,
				What: "The host's loopback device", Evidence: "kernel: the flag IFF_LOOPBACK",
				Remedy: "Find out who adds it",
			},
			func(f facts) string {
				return when(f.device.Loopback, "the kernel says that its device is the loopback device")
			},
		},
		kind(Entry{Reason: Bond, What: "A bond of NICs", Remedy: "Find out who adds it: a network with an uplink is not an isolated network"}, "bond"),
		kind(Entry{Reason: Team, What: "A team of NICs", Remedy: "Find out who adds it: a network with an uplink is not an isolated network"}, "team"),
		kind(Entry{Reason: VLANDevice, What: "A VLAN of another device", Remedy: "Find out who adds it: a network with an uplink is not an isolated network"}, "vlan"),
		kind(Entry{Reason: Macvlan, What: "A device that shares another device's link", Remedy: "Give the VM a tap of its own"}, "macvlan", "macvtap", "ipvlan", "ipvtap"),
		kind(Entry{Reason: LinuxBridge, What: "A Linux bridge", Remedy: "Plug the VMs into the network itself"}, "bridge"),
		kind(Entry{Reason: KernelTunnel, What: "A tunnel of the kernel", Remedy: "Find out who adds it; a network that spans hosts is not an isolated network"},
			"vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "ip6tnl", "sit", "vti", "vti6", "xfrm", "gtp", "bareudp", "wireguard", "batadv", "hsr", "l2tp"),
	}
}

// deviceRules judge by the rest of what the kernel says.
func deviceRules() []portRule {
	return []portRule{{
		Entry{
			Reason: VethInHost, Enforce: Remove, Meanwhile: Quarantine,
			What: "A veth whose other end is in the host's namespace too", Evidence: "kernel: kind `veth` without IFLA_LINK_NETNSID",
			Remedy: "Move the other end into the namespace that it is for",
		},
		func(f facts) string {
			return when(f.device.Kind == "veth" && !f.device.PeerElsewhere, "both ends of the veth are in the host's network namespace")
		},
	}, {
		Entry{
			Reason: L3Tun, Enforce: Remove,
			What: "A tun device: it carries IP packets of a program on the host", Evidence: "kernel: kind `tun` without IFF_TAP",
			Remedy: "Use a tap device",
		},
		func(f facts) string {
			return when(f.device.Kind == "tun" && !f.device.Tap, "the kernel says that it is a tun device and not a tap device")
		},
	}, {
		Entry{
			Reason: StackedDevice, Enforce: Quarantine,
			What: "A device that something else uses as well", Evidence: "kernel: the device has a master other than Open vSwitch, or devices such as VLANs are stacked on it, here or in another network namespace",
			Remedy: "Remove what is stacked on the device, or take it from its other master",
		},
		func(f facts) string {
			switch {
			case f.device.Master != plan.Relative{}:
				return fmt.Sprintf("its device belongs to the %s '%s' too", f.device.Master.Kind, f.device.Master.Name)
			case len(f.device.Upper) > 0:
				return fmt.Sprintf("these devices are stacked on it: %s", names(f.device.Upper))
			}
			return ""
		},
	}, {
		Entry{
			Reason: UnknownDevice, Enforce: Quarantine,
			What: "A device that isonet does not know", Evidence: "kernel: any device other than a tap with Ethernet frames and a veth with its other end in another namespace",
			Remedy: "Use a tap or a veth",
		},
		func(f facts) string {
			tap := f.device.Kind == "tun" && f.device.Ethernet
			return when(f.seen && f.isDevice() && !tap && f.device.Kind != "veth", "the kernel says that its device is of the kind %q", f.device.Kind)
		},
	}, {
		Entry{
			Reason: OtherDevice, Enforce: Quarantine,
			What:     "A device that Open vSwitch does not receive from: it got the name of another one that was plugged in, was created again while the port stayed plugged in, or left for another network namespace and came back",
			Evidence: "kernel: the flag IFF_PROMISC, which the userspace datapath sets on what it opens, is missing for more than a second; of a device that came back or whose flag was changed: no packet socket receives from it",
			Remedy:   "Unplug the port and plug it in again",
		},
		func(f facts) string {
			return when(f.unopened() && f.age >= settle, "Open vSwitch does not receive from the device that has the name now")
		},
	}, {
		Entry{
			Reason: UnseenDevice, Enforce: Quarantine,
			What:     "A device that Open vSwitch uses and that isonet does not see, past the grace time",
			Evidence: "Open vSwitch has opened the port and knows the MTU or a link of its device; the kernel lists the bridge's own device and not the port's",
			Remedy:   "Plug the port in again",
		},
		func(f facts) string {
			return when(f.isUnseen() && f.waited() && f.shared && !f.vanished(), "Open vSwitch has opened it, but the kernel does not list its device")
		},
	}, {
		Entry{
			Reason: UnseenHost, Enforce: Report,
			What:     "isonet does not see the devices that Open vSwitch uses, past the grace time",
			Evidence: "The kernel does not list the bridge's own device either, or does not answer",
			Remedy:   "Run isonetd in the network namespace of ovs-vswitchd",
		},
		func(f facts) string {
			return when((f.isUnseen() || f.Internal()) && !f.seen && f.waited() && !f.shared, "isonetd does not see the network devices of ovs-vswitchd")
		},
	}, {
		Entry{
			Reason: PortAddress, Enforce: Report,
			What:     "An IP address on a port's device: the host itself is reachable from the network",
			Evidence: "kernel: any address on the userspace datapath, an address that is not link-local on the kernel's",
			Remedy:   "Remove the address and set net.ipv6.conf.DEVICE.disable_ipv6=1, for all devices to come with net.ipv6.conf.default.disable_ipv6=1",
		},
		func(f facts) string {
			var addresses []string
			for _, a := range f.device.Addresses {
				if f.userspace || !a.Addr().IsLinkLocalUnicast() {
					addresses = append(addresses, a.String())
				}
			}
			return when(len(addresses) > 0, "its device has the addresses %s", strings.Join(addresses, ", "))
		},
	}}
}

func names(relatives []plan.Relative) string {
	list := make([]string, len(relatives))
	for i, r := range relatives {
		list[i] = r.Name
		if r.Elsewhere {
			list[i] += " (in another network namespace)"
		}
	}
	return strings.Join(list, ", ")
}

// when returns the text if the condition holds.
func when(holds bool, format string, args ...any) string {
	if !holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func tunnelTypes() []string {
	return []string{
		"vxlan", "geneve", "gre", "ip6gre", "erspan", "ip6erspan", "stt", "lisp", "gtpu", "bareudp", "srv6",
		"gre64", "ipsec_gre", "ipsec_gre64", "capwap",
	}
}

func isTunnel(interfaceType string) bool { return slices.Contains(tunnelTypes(), interfaceType) }

// isDevice says that the interface is a device that was there before.
func (f facts) isDevice() bool {
	return slices.Contains([]string{"", "system", "afxdp", "afxdp-nonpmd"}, f.Type)
}

func (f facts) isVhost() bool { return f.Type == "dpdkvhostuser" || f.Type == "dpdkvhostuserclient" }

func allowedTypes() string {
	return "`system`, `afxdp`, `afxdp-nonpmd`, `internal`, `tap`, `dpdkvhostuser`, `dpdkvhostuserclient`"
}

// isUnseen says that Open vSwitch has a device that the kernel does not list.
func (f facts) isUnseen() bool { return f.isDevice() && !f.seen && f.OFPort > 0 && f.Error == "" }

// allowed says that the evidence is complete: there is nothing to wait for and,
// as no rule matched, nothing to object to.
func (f facts) allowed() bool {
	switch {
	case f.isVhost():
		return true
	case f.Internal():
		return !f.seen && f.known && f.shared && f.OFPort > 0
	}
	return f.seen && !f.unopened()
}

// waits says that the grace time runs: for an internal port to leave the host, for
// a device to be seen, or for vswitchd to open a port.
func (f facts) waits() bool {
	return (f.isDevice() || f.Internal()) && !f.stale() && !f.allowed()
}

// waited says that the grace time is over.
func (f facts) waited() bool { return f.age >= Grace }

// unopened says that the userspace datapath has not opened the device.
func (f facts) unopened() bool {
	if !f.isDevice() || !f.seen || !f.userspace || f.OFPort <= 0 || f.Error != "" {
		return false
	}
	if bySocket := f.Type == "" || f.Type == "system"; bySocket && f.device.Sockets != plan.Unasked {
		return f.device.Sockets == plan.ReceiveNothing
	}
	return !f.device.Promiscuous
}

// vanished says that the device is gone, by what both the kernel and Open vSwitch
// say. The userspace datapath holds on to such a port, which carries nothing.
func (f facts) vanished() bool { return !f.seen && f.shared && f.Vanished() }

// stale says that the port has no device: nothing can pass. What libvirt or a
// crashed VM left behind looks so.
func (f facts) stale() bool { return !f.seen && f.Failed() }
