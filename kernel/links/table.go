package links

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/isonet/isonet/model/plan"
)

// link is what one RTM_NEWLINK says.
type link struct {
	// device lacks Master, Upper and Addresses, which are said elsewhere.
	device plan.Device
	// parent is the ifindex of the device in this namespace that this one is
	// stacked on or joined to; 0 for none.
	parent int
	// master is the ifindex of the device that this one is enslaved to; 0 for
	// none.
	master int
	// unfinished says that the kernel names no parent where one belongs: the
	// first end of a veth is announced before it has its other end, and not
	// again when it has.
	unfinished bool
	// lower is the parent if that is in another namespace than the device.
	lower far
	// moved says that the device has left for another namespace, to where it is
	// now.
	moved bool
	to    far
	// features says that the message was sent because features of the device changed,
	// which it does not name.
	features bool
}

// address is one IP address of a device. Addresses that differ in the peer only
// are two addresses to the kernel.
type address struct {
	prefix netip.Prefix
	peer   netip.Addr
}

// set is a set of ifindexes for an ifindex.
type set map[int]map[int]struct{}

func (s set) add(key, member int) {
	if s[key] == nil {
		s[key] = map[int]struct{}{}
	}
	s[key][member] = struct{}{}
}

func (s set) remove(key, member int) {
	delete(s[key], member)
	if len(s[key]) == 0 {
		delete(s, key)
	}
}

// table is what the kernel has said so far, by ifindex.
type table struct {
	links     map[int]link
	addresses map[int]map[address]struct{}
	children  set // by parent
	slaves    set // by master
	touched   map[int]struct{}
	// doubtful are devices that may have changed without a message.
	doubtful map[int]struct{}
	// stranded are devices whose lower device is in another namespace. The ends of a veth
	// are none: they name each other.
	stranded map[int]struct{}
	above    above
	// namespaces are other ones, by the ids that this one has for them, in which
	// something may have changed.
	namespaces map[int]struct{}
	doubts     *doubts
	// featured are devices whose features are to be asked for.
	featured map[int]struct{}
}

func newTable() *table {
	return &table{
		links: map[int]link{}, addresses: map[int]map[address]struct{}{},
		children: set{}, slaves: set{}, touched: map[int]struct{}{}, doubtful: map[int]struct{}{}, stranded: map[int]struct{}{},
		above: above{}, namespaces: map[int]struct{}{}, doubts: newDoubts(), featured: map[int]struct{}{},
	}
}

// touch says that a device may differ from what was published.
func (t *table) touch(index int) { t.touched[index] = struct{}{} }

func (t *table) doubt(index int) { t.doubtful[index] = struct{}{} }

// put takes a device that is new or changed.
func (t *table) put(index int, l link) {
	before, known := t.links[index]
	if known {
		t.unhook(index, before)
	}
	l.device.NoTSO = before.device.NoTSO && l.device.VnetHeader
	// With another name too: the question is by the name, and may have found none.
	if l.device.VnetHeader && (l.features || !before.device.VnetHeader || before.device.Name != l.device.Name) {
		t.featured[index] = struct{}{}
	}
	t.links[index] = l
	if before.device.Promiscuous != l.device.Promiscuous { // no new device has the flag
		t.doubts.add(index)
	}
	t.hook(index, l)
	t.returned(index, l)
	if l.unfinished {
		t.doubt(index)
	}
	if !known { // it may have come back, of which what is stacked on it says nothing
		for above := range t.stranded {
			t.doubt(above)
		}
	}
	// A veth's other end came back from another namespace. Only the end that
	// moved is announced.
	if parent := l.parent; parent != before.parent && t.links[parent].device.PeerElsewhere {
		t.doubt(parent)
	}
	if before.device.Name != l.device.Name {
		t.touchSlaves(index)
	}
}

// drop takes away a device that is gone from this namespace.
func (t *table) drop(index int) {
	gone, known := t.links[index]
	if !known {
		return
	}
	// It may have moved to another namespace, which changes the end of a veth
	// that stays.
	for child := range t.children[index] {
		t.doubt(child)
	}
	t.unhook(index, gone)
	delete(t.links, index)
	delete(t.addresses, index)
	delete(t.above, index)
	t.touchSlaves(index)
}

func (t *table) hook(index int, l link) {
	t.touch(index)
	if l.parent != 0 {
		t.children.add(l.parent, index)
		t.touch(l.parent)
	}
	if l.master != 0 {
		t.slaves.add(l.master, index)
	}
	if l.device.PeerElsewhere && l.device.Kind != "veth" {
		t.stranded[index] = struct{}{}
	}
}

func (t *table) unhook(index int, l link) {
	t.touch(index)
	if l.parent != 0 {
		t.children.remove(l.parent, index)
		t.touch(l.parent)
	}
	if l.master != 0 {
		t.slaves.remove(l.master, index)
	}
	delete(t.stranded, index)
}

func (t *table) touchSlaves(index int) {
	for slave := range t.slaves[index] {
		t.touch(slave)
	}
}

func (t *table) putAddress(index int, a address) {
	if t.addresses[index] == nil {
		t.addresses[index] = map[address]struct{}{}
	}
	t.addresses[index][a] = struct{}{}
	t.touch(index)
}

func (t *table) dropAddress(index int, a address) {
	delete(t.addresses[index], a)
	t.touch(index)
}

// relative describes a device to those that are joined to it.
func (t *table) relative(index int) plan.Relative {
	d := t.links[index].device
	return plan.Relative{Index: index, Name: d.Name, Kind: d.Kind}
}

// device puts together what is known of a device.
func (t *table) device(index int) (plan.Device, bool) {
	l, ok := t.links[index]
	if !ok {
		return plan.Device{}, false
	}
	device := l.device
	device.Sockets = t.doubts.devices[index]
	if master := t.relative(l.master); master.Kind != "openvswitch" {
		device.Master = master
	}
	for child := range t.children[index] {
		// The two ends of a veth are each other's parent: neither is stacked on
		// the other.
		if child != l.parent {
			device.Upper = append(device.Upper, t.relative(child))
		}
	}
	for _, r := range t.above[index] {
		device.Upper = append(device.Upper, r)
	}
	slices.SortFunc(device.Upper, func(a, b plan.Relative) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.Index-b.Index) })
	for a := range t.addresses[index] {
		device.Addresses = append(device.Addresses, a.prefix)
	}
	slices.SortFunc(device.Addresses, netip.Prefix.Compare)
	device.Addresses = slices.Compact(device.Addresses)
	return device, true
}
