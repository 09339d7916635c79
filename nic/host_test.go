package nic

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// attrs returns what every link has, as the kernel tells it of an Ethernet
// device that is up.
func attrs(index int, name string, change ...func(*netlink.LinkAttrs)) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Index, a.Name, a.MTU, a.EncapType, a.OperState = index, name, 1500, "ether", netlink.OperUp
	for _, f := range change {
		f(&a)
	}
	return a
}

func in(master int) func(*netlink.LinkAttrs) {
	return func(a *netlink.LinkAttrs) { a.MasterIndex = master }
}

func over(base int) func(*netlink.LinkAttrs) {
	return func(a *netlink.LinkAttrs) { a.ParentIndex = base }
}

func encap(name string) func(*netlink.LinkAttrs) {
	return func(a *netlink.LinkAttrs) { a.EncapType = name }
}

// A host with everything that there is beside the interfaces of a namespace:
// kernels without bonding, VLANs or hardware run this test too.
func TestWhatIsAnInterfaceOfTheHost(t *testing.T) {
	elsewhere := func(a *netlink.LinkAttrs) { a.NetNsID = 0 }
	kind := func(kind string, a netlink.LinkAttrs) netlink.Link {
		return &netlink.GenericLink{LinkAttrs: a, LinkType: kind}
	}
	bond := &netlink.Bond{LinkAttrs: attrs(20, "bond0"), Mode: netlink.BOND_MODE_802_3AD, Miimon: 100}
	backup := &netlink.Bond{LinkAttrs: attrs(21, "bond1"), Mode: netlink.BOND_MODE_ACTIVE_BACKUP, ActiveSlave: 12}
	links := []netlink.Link{
		&netlink.Device{LinkAttrs: attrs(1, "lo", encap("loopback"))},
		&netlink.Device{LinkAttrs: attrs(2, "eth0")},
		&netlink.Device{LinkAttrs: attrs(3, "eth9", in(50))}, // a port of a bridge
		&netlink.Device{LinkAttrs: attrs(4, "can0", encap("can"))},
		&netlink.Device{LinkAttrs: attrs(10, "eth2", in(20))},
		&netlink.Device{LinkAttrs: attrs(11, "eth1", in(20))},
		&netlink.Dummy{LinkAttrs: attrs(12, "dummy1", in(21))}, // a bond for trying
		&netlink.Device{LinkAttrs: attrs(13, "eth3", in(22))},
		bond, backup,
		kind("team", attrs(22, "team0")),
		&netlink.Vlan{LinkAttrs: attrs(30, "bond0.7", over(20)), VlanId: 7},
		&netlink.Vlan{LinkAttrs: attrs(31, "eth0.0", over(2)), VlanId: 0},
		&netlink.Vlan{LinkAttrs: attrs(32, "eth0.0.5", over(31)), VlanId: 5},
		&netlink.Vlan{LinkAttrs: attrs(33, "tap0.8", over(40)), VlanId: 8},
		&netlink.Vlan{LinkAttrs: attrs(34, "moved.9", over(2), elsewhere), VlanId: 9},
		&netlink.Vlan{LinkAttrs: attrs(35, "self.9", over(35), elsewhere), VlanId: 9},
		&netlink.Vlan{LinkAttrs: attrs(36, "lost.9", over(99)), VlanId: 9},
		&netlink.Tuntap{LinkAttrs: attrs(40, "tap0", in(51))},
		&netlink.Veth{LinkAttrs: attrs(41, "veth0")},
		&netlink.Dummy{LinkAttrs: attrs(42, "dummy0")},
		&netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: attrs(43, "macvtap0", over(2))}},
		&netlink.Vxlan{LinkAttrs: attrs(44, "vxlan_sys_4789")},
		&netlink.Bridge{LinkAttrs: attrs(50, "br0")},
		kind("openvswitch", attrs(51, "ovs-system")),
		kind("openvswitch", attrs(52, "iso1")),
		kind("dsa", attrs(53, "lan1")),
	}
	want := map[string]model.NIC{
		"eth0": {}, "eth9": {}, "eth1": {}, "eth2": {}, "eth3": {}, "dummy1": {},
		"bond0":    {Bond: &model.Bond{Mode: 4, LinkMonitoring: 100, Slaves: []string{"eth1", "eth2"}}},
		"bond1":    {Bond: &model.Bond{Mode: 1, Slaves: []string{"dummy1"}, Active: "dummy1"}},
		"team0":    {Bond: &model.Bond{Mode: model.NoBondMode, Slaves: []string{"eth3"}}},
		"bond0.7":  {VLAN: &model.VLAN{ID: 7, Base: "bond0"}},
		"eth0.0":   {VLAN: &model.VLAN{ID: 0, Base: "eth0"}},
		"eth0.0.5": {VLAN: &model.VLAN{ID: 5, Base: "eth0.0"}},
	}
	for name, n := range want {
		n.Name, n.MTU, n.Up = name, 1500, true
		want[name] = n
	}
	byIndex := map[int]netlink.Link{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l
	}
	h := newHost(devicesOf(links, nil))
	got := map[string]model.NIC{}
	last := ""
	for _, d := range h.nics() {
		got[d.Name] = h.describe(d, byIndex[d.Index])
		if d.Name < last {
			t.Errorf("%s comes after %s", d.Name, last)
		}
		last = d.Name
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}

// devicesOf describes links as package kernel/links does.
func devicesOf(links []netlink.Link, addresses []netlink.Addr) *plan.Links {
	devices := map[int]*plan.Device{}
	for _, l := range links {
		a := l.Attrs()
		d := &plan.Device{Name: a.Name, Index: a.Index, Kind: l.Type(), Ethernet: a.EncapType == "ether", Loopback: a.EncapType == "loopback"}
		if d.Kind == "device" {
			d.Kind = ""
		}
		devices[d.Index] = d
	}
	for _, l := range links {
		a := l.Attrs()
		d := devices[a.Index]
		relative := plan.Relative{Index: d.Index, Name: d.Name, Kind: d.Kind}
		if master, there := devices[a.MasterIndex]; there {
			d.Master = plan.Relative{Index: master.Index, Name: master.Name, Kind: master.Kind}
		}
		if base, there := devices[a.ParentIndex]; there && a.NetNsID < 0 && d.Kind != "veth" {
			base.Upper = append(base.Upper, relative)
		}
	}
	for _, a := range addresses {
		ip, _ := netip.AddrFromSlice(a.IP)
		length, _ := a.Mask.Size()
		devices[a.LinkIndex].Addresses = append(devices[a.LinkIndex].Addresses, netip.PrefixFrom(ip.Unmap(), length))
	}
	var all []plan.Device
	for _, d := range devices {
		all = append(all, *d)
	}
	return plan.NewLinks(all...)
}

func TestUp(t *testing.T) {
	for name, test := range map[string]struct {
		state netlink.LinkOperState
		flags net.Flags
		want  bool
	}{
		"up":                       {netlink.OperUp, net.FlagUp | net.FlagRunning, true},
		"no carrier":               {netlink.OperDown, net.FlagUp, false},
		"the base has no carrier":  {netlink.OperLowerLayerDown, net.FlagUp, false},
		"waits for authentication": {netlink.OperDormant, net.FlagUp, false},
		"no state, carrier":        {netlink.OperUnknown, net.FlagUp | net.FlagRunning, true},
		"no state, no carrier":     {netlink.OperUnknown, net.FlagUp, false},
		"no state, switched off":   {netlink.OperUnknown, 0, false},
	} {
		a := attrs(2, "eth0")
		a.OperState, a.Flags = test.state, test.flags
		if got := up(&netlink.Device{LinkAttrs: a}); got != test.want {
			t.Errorf("%s: up is %t", name, got)
		}
	}
}
