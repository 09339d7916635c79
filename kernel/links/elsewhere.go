package links

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/model/plan"
)

// A device that is stacked on one of this namespace, such as a macvlan, can be
// moved to another namespace or be made there. The lower device does not tell.
// What tells is the device that leaves, as long as somebody looks, and the other
// namespace, if this one has an id for it (ip-netns(8)): it has one as soon as a
// device was moved there or a veth joins the two. Looking there takes
// CAP_NET_ADMIN, to be told of what happens there CAP_NET_BROADCAST, both in the
// user namespace of the other network namespace.

const (
	// From linux/net_namespace.h.
	netnsaNSID     = 1 // NETNSA_NSID
	netnsaFD       = 3 // NETNSA_FD
	sizeofRtgenmsg = 4 // with padding
)

// far is a device in another namespace: the id that this one has for it, and its
// ifindex there.
type far struct{ nsid, index int }

// above are devices of other namespaces that are stacked on those of this one, by
// the ifindex of the lower device.
type above map[int]map[far]plan.Relative

func (a above) put(lower int, f far, r plan.Relative) {
	if a[lower] == nil {
		a[lower] = map[far]plan.Relative{}
	}
	r.Index, r.Elsewhere = f.index, true
	a[lower][f] = r
}

// under returns the lower device of one that is known already; 0 for none.
func (a above) under(f far, kind string) int {
	for lower, stacked := range a {
		if stacked[f].Kind == kind && kind != "" {
			return lower
		}
	}
	return 0
}

// left takes a device that has moved to another namespace, as the kernel's last
// word on it here has it: the table may have dropped it already.
func (t *table) left(l link) {
	if l.parent == 0 || l.device.Kind == "veth" { // the ends of a veth are not stacked
		return
	}
	t.above.put(l.parent, l.to, plan.Relative{Name: l.device.Name, Kind: l.device.Kind})
	t.touch(l.parent)
}

// returned takes a device that is here: it may have come back.
func (t *table) returned(index int, l link) {
	for f, r := range t.above[l.parent] {
		if f.index == index && r.Kind == l.device.Kind {
			delete(t.above[l.parent], f)
		}
	}
}

// replaceFar makes the devices of a namespace those that are there now.
func (t *table) replaceFar(nsid int, now above) {
	for lower, stacked := range t.above {
		for f := range stacked {
			if f.nsid == nsid {
				delete(stacked, f)
				t.touch(lower)
			}
		}
		if len(stacked) == 0 {
			delete(t.above, lower)
		}
	}
	for lower, stacked := range now {
		for f, r := range stacked {
			t.above.put(lower, f, r)
		}
		t.touch(lower)
	}
}

// forgetAbove forgets what was stacked on devices that are gone.
func (t *table) forgetAbove() {
	for lower := range t.above {
		if _, there := t.links[lower]; !there {
			delete(t.above, lower)
		}
	}
}

// lookElsewhere looks into the namespaces in which something may have changed.
func (t *table) lookElsewhere() error {
	for nsid := range t.namespaces {
		now, err := stackedIn(nsid, t.above)
		switch {
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EOPNOTSUPP):
			// What was seen to leave is all there is to know.
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			t.replaceFar(nsid, nil) // the namespace is gone
		case err != nil:
			return err
		default:
			t.replaceFar(nsid, now)
		}
		delete(t.namespaces, nsid)
	}
	return nil
}

// stackedIn returns the devices of another namespace that are stacked on devices
// of this one. The kernel tells where the lower devices are by the ids that this
// namespace has, of which one is its own. Of some kinds (ipvtap) it does not: those
// are where they were known to be.
func stackedIn(nsid int, known above) (above, error) {
	id := nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(nsid)))
	data, err := dumpOf(unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC), id)
	if err != nil {
		return nil, err
	}
	us, err := ownID() // the dump may have given one
	if err != nil {
		return nil, err
	}
	stacked := above{}
	for _, d := range data {
		index, l, err := parseLink(d)
		if err != nil {
			return nil, err
		}
		f, lower := far{nsid, index}, l.lower.index
		switch {
		case !l.device.PeerElsewhere:
			lower = known.under(f, l.device.Kind)
		case l.device.Kind == "veth" || l.lower.nsid != us:
			lower = 0
		}
		if lower != 0 {
			stacked.put(lower, f, plan.Relative{Name: l.device.Name, Kind: l.device.Kind})
		}
	}
	return stacked, nil
}

// ownID returns the id that this namespace has for itself; -1 if it has none.
func ownID() (int, error) {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return 0, err
	}
	defer own.Close() //nolint:errcheck // it was only read
	r := nl.NewNetlinkRequest(unix.RTM_GETNSID, 0)
	r.AddData(rtgenmsg{})
	r.AddData(nl.NewRtAttr(netnsaFD, nl.Uint32Attr(uint32(own.Fd()))))
	data, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNSID)
	if err != nil || len(data) != 1 {
		return -1, err
	}
	return parseNSID(data[0])
}

// namespaces returns the ids of all namespaces that this one has an id for.
func namespaces() ([]int, error) {
	data, err := dumpOf(unix.RTM_GETNSID, unix.RTM_NEWNSID, rtgenmsg{})
	if err != nil {
		return nil, err
	}
	ids := make([]int, len(data))
	for i, d := range data {
		if ids[i], err = parseNSID(d); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// parseNSID reads an RTM_NEWNSID.
func parseNSID(data []byte) (int, error) {
	if len(data) < sizeofRtgenmsg {
		return 0, errors.New("short RTM_NEWNSID")
	}
	for _, value := range find(data[sizeofRtgenmsg:], netnsaNSID) {
		return signed(value), nil
	}
	return -1, nil
}

// signed reads a 32-bit number that may be negative.
func signed(value []byte) int { return int(int32(uint32(number(value)))) } //nolint:gosec // that is how it is meant

// rtgenmsg is the header of messages about namespaces.
type rtgenmsg struct{}

// Len is in bytes.
func (rtgenmsg) Len() int { return sizeofRtgenmsg }

// Serialize returns the header for all families.
func (rtgenmsg) Serialize() []byte { return make([]byte, sizeofRtgenmsg) }

// subscribeElsewhere returns a subscription to the devices of all namespaces that
// this one has an id for. Without the capability the kernel tells of none.
func subscribeElsewhere() (*socket.Conn, error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, "rtnetlink of other namespaces", nil)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := errors.Join(
		conn.SetsockoptInt(unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1),
		conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_LINK - 1)}),
	); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen to other network namespaces: %w", err)
	}
	return conn, nil
}

// listenElsewhere tells of namespaces in which a device came, went or changed that
// may be stacked on one of this one, until ctx ends or the subscription fails.
func listenElsewhere(ctx context.Context, conn *socket.Conn, tell func(nsid int)) error {
	buffer, control := make([]byte, datagram), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := conn.Recvmsg(ctx, buffer, control, 0)
		if err != nil {
			return err
		}
		if nsid, other := namespaceOf(control[:oobn]); other && mayBeStacked(buffer[:n]) {
			tell(nsid)
		}
	}
}

// namespaceOf reads from which other namespace a message is.
func namespaceOf(control []byte) (int, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID {
			return signed(m.Data), true
		}
	}
	return 0, false
}

// mayBeStacked says that messages are about a device with a lower one, which may be
// elsewhere though the kernel does not say that. What cannot be read may be, too.
func mayBeStacked(data []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return true
	}
	for _, m := range messages {
		_, l, err := parseLink(m.Data)
		if stacked := l.device.PeerElsewhere || l.parent != 0; err != nil || stacked && l.device.Kind != "veth" {
			return true
		}
	}
	return false
}
