package links

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/model/plan"
)

const (
	// datagram is larger than any message that the kernel multicasts, in bytes.
	datagram = 64 << 10
	// burst bounds the datagrams that are read before they are published, so
	// that nobody waits for the end of a storm.
	burst = 4096
	// dumpAttempts bounds how often a dump is repeated that devices came and
	// went during.
	dumpAttempts = 20
	// From linux/rtnetlink.h, linux/if_link.h, linux/ipv6.h and linux/netconf.h.
	skipStatistics    = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	devconfDisable    = 26     // DEVCONF_DISABLE_IPV6
	sizeofDevconfItem = 4
	sizeofNetconfmsg  = 4 // with padding
	netconfaIfindex   = 1 // NETCONFA_IFINDEX
	eventFeatures     = 2 // IFLA_EVENT_FEATURES
)

// subscription is one to the changes of devices and addresses.
type subscription struct {
	conn   *socket.Conn
	buffer []byte
}

func subscribe(buffer int) (*subscription, error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, "rtnetlink", nil)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: does the service's sandbox allow AF_NETLINK? %w", err)
	}
	s := &subscription{conn: conn, buffer: make([]byte, datagram)}
	// Beyond net.core.rmem_max with CAP_NET_ADMIN only.
	if err := errors.Join(conn.SetReadBuffer(buffer), ignoreRoutes(conn), conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups()})); err != nil {
		s.close()
		return nil, fmt.Errorf("subscribe to the changes of network devices: %w", err)
	}
	return s, nil
}

// groups returns what is subscribed to. Nobody tells by itself that IPv6 is on
// or off for a device, but its state is made anew after some changes of the MTU
// (NETCONF), and a device on which it is on has the route of its multicasts.
func groups() uint32 {
	var all uint32
	for _, group := range []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NSID, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_NETCONF, unix.RTNLGRP_IPV6_ROUTE,
	} {
		all |= 1 << (group - 1)
	}
	return all
}

// ignoreRoutes has the kernel keep all routes but those of multicasts to itself:
// a router has millions.
func ignoreRoutes(conn *socket.Conn) error {
	const offsetType, offsetRouteType = 4, unix.SizeofNlMsghdr + 7 // nlmsg_type and rtm_type
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: networkOrder(unix.RTM_NEWROUTE), SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: networkOrder(unix.RTM_DELROUTE), SkipTrue: 3},
		bpf.LoadAbsolute{Off: offsetRouteType, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RTN_MULTICAST, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: math.MaxUint32},
	})
	if err != nil {
		return err
	}
	return conn.SetBPF(program)
}

// networkOrder returns a number of the host's byte order as a filter reads it.
func networkOrder(n uint16) uint32 {
	return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n)))
}

// close may be called more than once, and ends a receive.
func (s *subscription) close() { _ = s.conn.Close() }

// wake ends the receive that waits, or the next one, without messages.
func (s *subscription) wake() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// receive returns all messages that are there. If wait is set and there are
// none, it waits for some, or for a wake.
func (s *subscription) receive(wait bool) ([]message, error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	var messages []message
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		messages, failure = drain(int(fd), s.buffer)
		return !wait || failure != nil || len(messages) > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.conn.SetReadDeadline(time.Time{})
	}
	if err := errors.Join(failure, err); err != nil {
		return nil, fmt.Errorf("receive the changes of network devices: %w", err)
	}
	return messages, nil
}

func drain(fd int, buffer []byte) ([]message, error) {
	var messages []message
	for range burst {
		n, _, err := unix.Recvfrom(fd, buffer, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return messages, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n > len(buffer):
			return nil, fmt.Errorf("a message of %d bytes was cut", n)
		}
		parsed, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, p := range parsed {
			m, err := parse(p.Header.Type, p.Data)
			if err != nil {
				return nil, err
			}
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// message is a change of the table that the kernel reports.
type message struct{ change func(*table) }

// parse reads one message; what is of no interest here changes nothing.
func parse(kind uint16, data []byte) (message, error) {
	ignored := message{change: func(*table) {}}
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		index, l, err := parseLink(data)
		switch {
		case err != nil:
			return ignored, err
		case index == 0:
			return ignored, nil
		case kind == unix.RTM_DELLINK:
			return message{change: func(t *table) {
				if l.moved {
					t.left(l)
				}
				t.drop(index)
			}}, nil
		}
		return message{change: func(t *table) { t.put(index, l) }}, nil
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		index, a, err := parseAddress(data)
		switch {
		case err != nil:
			return ignored, err
		case index == 0:
			return ignored, nil
		case kind == unix.RTM_DELADDR:
			return message{change: func(t *table) { t.dropAddress(index, a) }}, nil
		}
		return message{change: func(t *table) { t.putAddress(index, a) }}, nil
	case unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		return doubting(data, sizeofNetconfmsg, netconfaIfindex)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return doubting(data, unix.SizeofRtMsg, unix.RTA_OIF)
	case unix.RTM_NEWNSID, unix.RTM_DELNSID:
		nsid, err := parseNSID(data)
		return message{change: func(t *table) { t.namespaces[nsid] = struct{}{} }}, err
	}
	return ignored, nil
}

// doubting reads the ifindex of a message that says that the IPv6 of a device may
// have changed.
func doubting(data []byte, header int, attribute uint16) (message, error) {
	index := 0
	if len(data) >= header {
		attributes, err := nl.ParseRouteAttr(data[header:])
		if err != nil {
			return message{}, fmt.Errorf("attributes of IPv6: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type == attribute {
				index = number(a.Value)
			}
		}
	}
	return message{change: func(t *table) { t.doubt(index) }}, nil
}

// parseLink reads an ifinfomsg and its attributes. The ifindex 0 says that the
// message is not about a device as such: bridges tell of their ports by
// messages of the same types (AF_BRIDGE), in which RTM_DELLINK is a port that
// left.
func parseLink(data []byte) (int, link, error) {
	if len(data) < unix.SizeofIfInfomsg {
		return 0, link{}, errors.New("short RTM_NEWLINK")
	}
	info := nl.DeserializeIfInfomsg(data)
	if info.Family != unix.AF_UNSPEC {
		return 0, link{}, nil
	}
	attributes, err := nl.ParseRouteAttr(data[unix.SizeofIfInfomsg:])
	if err != nil {
		return 0, link{}, fmt.Errorf("attributes of a device: %w", err)
	}
	index := int(info.Index)
	l := link{device: plan.Device{
		Index:    index,
		Ethernet: info.Type == unix.ARPHRD_ETHER,
		Loopback: info.Flags&unix.IFF_LOOPBACK != 0,
		Up:       info.Flags&unix.IFF_UP != 0,

		Promiscuous: info.Flags&unix.IFF_PROMISC != 0,
	}}
	joined := false
	for _, a := range attributes {
		switch a.Attr.Type &^ unix.NLA_F_NESTED {
		case unix.IFLA_IFNAME:
			l.device.Name = nl.BytesToString(a.Value)
		case unix.IFLA_MTU:
			l.device.MTU = number(a.Value)
		case unix.IFLA_MASTER:
			l.master = number(a.Value)
		case unix.IFLA_LINK:
			joined, l.parent = true, number(a.Value)
		case unix.IFLA_LINK_NETNSID:
			// Whatever the id is: the kernel sends it for another namespace only.
			l.device.PeerElsewhere, l.lower.nsid = true, signed(a.Value)
		case unix.IFLA_NEW_NETNSID:
			l.moved, l.to.nsid = true, signed(a.Value)
		case unix.IFLA_NEW_IFINDEX:
			l.to.index = number(a.Value)
		case unix.IFLA_EVENT:
			l.features = number(a.Value) == eventFeatures
		case unix.IFLA_PROP_LIST:
			l.device.AltNames = altNames(a.Value)
		case unix.IFLA_AF_SPEC:
			l.device.IPv6 = speaksIPv6(a.Value)
		case unix.IFLA_LINKINFO:
			if err := parseKind(&l.device, a.Value); err != nil {
				return 0, link{}, err
			}
		}
	}
	if l.device.Name == "" { // an event of a wireless driver
		return 0, link{}, nil
	}
	if l.device.PeerElsewhere {
		l.lower.index, l.parent = l.parent, 0
	} else {
		l.unfinished = joined && l.parent == 0
	}
	return index, l, nil
}

// parseKind reads IFLA_LINKINFO.
func parseKind(device *plan.Device, data []byte) error {
	attributes, err := nl.ParseRouteAttr(data)
	if err != nil {
		return fmt.Errorf("the kind of a device: %w", err)
	}
	for _, a := range attributes {
		switch a.Attr.Type &^ unix.NLA_F_NESTED {
		case nl.IFLA_INFO_KIND:
			device.Kind = nl.BytesToString(a.Value)
		case nl.IFLA_INFO_DATA:
			if device.Kind != "tun" {
				continue
			}
			details, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return fmt.Errorf("the type of a tun device: %w", err)
			}
			for _, d := range details {
				switch {
				case len(d.Value) != 1:
				case d.Attr.Type == nl.IFLA_TUN_TYPE:
					device.Tap = d.Value[0] == unix.IFF_TAP
				case d.Attr.Type == nl.IFLA_TUN_VNET_HDR:
					device.VnetHeader = d.Value[0] != 0
				}
			}
		}
	}
	return nil
}

// altNames reads IFLA_PROP_LIST.
func altNames(data []byte) []string {
	var names []string
	for _, value := range find(data, unix.IFLA_ALT_IFNAME) {
		names = append(names, nl.BytesToString(value))
	}
	slices.Sort(names)
	return names
}

// speaksIPv6 reads IFLA_AF_SPEC. A device without IPv6 has none to switch off.
func speaksIPv6(data []byte) bool {
	for _, family := range find(data, unix.AF_INET6) {
		for _, conf := range find(family, unix.IFLA_INET6_CONF) {
			if at := devconfDisable * sizeofDevconfItem; len(conf) >= at+sizeofDevconfItem {
				return number(conf[at:]) == 0
			}
		}
	}
	return false
}

// find returns the values of the attributes of a type. What cannot be read has
// none.
func find(data []byte, kind uint16) [][]byte {
	var values [][]byte
	attributes, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil
	}
	for _, a := range attributes {
		if a.Attr.Type&^unix.NLA_F_NESTED == kind {
			values = append(values, a.Value)
		}
	}
	return values
}

// parseAddress reads an ifaddrmsg and its attributes. The ifindex 0 says that
// it is not an IP address.
func parseAddress(data []byte) (int, address, error) {
	if len(data) < unix.SizeofIfAddrmsg {
		return 0, address{}, errors.New("short RTM_NEWADDR")
	}
	info := nl.DeserializeIfAddrmsg(data)
	if info.Family != unix.AF_INET && info.Family != unix.AF_INET6 {
		return 0, address{}, nil
	}
	attributes, err := nl.ParseRouteAttr(data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return 0, address{}, fmt.Errorf("attributes of an address: %w", err)
	}
	// IFA_ADDRESS is the peer if there is IFA_LOCAL, else the address itself.
	var local, peer netip.Addr
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(a.Value)
		case unix.IFA_ADDRESS:
			peer, _ = netip.AddrFromSlice(a.Value)
		}
	}
	if !local.IsValid() {
		local = peer
	}
	prefix := netip.PrefixFrom(local, int(info.Prefixlen))
	if !prefix.IsValid() {
		return 0, address{}, errors.New("RTM_NEWADDR without an address")
	}
	return int(info.Index), address{prefix: prefix, peer: peer}, nil
}

// number reads a 32-bit number of the host's byte order.
func number(value []byte) int {
	if len(value) < 4 {
		return 0
	}
	return int(nl.NativeEndian().Uint32(value))
}

// dump reads all devices and addresses into the table.
func dump(t *table) error {
	for _, what := range []struct {
		request, answer uint16
		header          nl.NetlinkRequestData
	}{
		{unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC)},
		{unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_UNSPEC)},
	} {
		data, err := dumpOf(what.request, what.answer, what.header)
		if err != nil {
			return err
		}
		for _, d := range data {
			m, err := parse(what.answer, d)
			if err != nil {
				return err
			}
			m.change(t)
		}
	}
	ids, err := namespaces()
	for _, nsid := range ids {
		t.namespaces[nsid] = struct{}{}
	}
	return err
}

func dumpOf(request, answer uint16, header nl.NetlinkRequestData, more ...nl.NetlinkRequestData) ([][]byte, error) {
	data, err := Dump(func() ([][]byte, error) {
		r := nl.NewNetlinkRequest(int(request), unix.NLM_F_DUMP)
		r.AddData(header)
		if request == unix.RTM_GETLINK {
			r.AddData(withoutStatistics())
		}
		for _, attribute := range more {
			r.AddData(attribute)
		}
		return r.Execute(unix.NETLINK_ROUTE, answer)
	})
	if err != nil {
		return nil, fmt.Errorf("read all network devices: %w", err)
	}
	return data, nil
}

// Dump makes a dump of one of the kernel's tables. It repeats one during which
// something came or went: it may lack something else.
func Dump[T any](dump func() ([]T, error)) (all []T, err error) {
	for range dumpAttempts {
		if all, err = dump(); !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// List reads the devices of the thread's network namespace. It does not say what is
// joined to them or stacked on them, and not their addresses: a Watcher does.
func List() ([]plan.Device, error) {
	data, err := dumpOf(unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, err
	}
	devices := make([]plan.Device, len(data))
	for i, d := range data {
		_, l, err := parseLink(d)
		if err != nil {
			return nil, err
		}
		devices[i] = l.device
	}
	return devices, nil
}

// withoutStatistics leaves out the half of an answer that nobody reads.
func withoutStatistics() *nl.RtAttr {
	return nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics))
}

// reread asks the kernel about the devices that may have changed without a
// message.
func reread(t *table) error {
	for len(t.doubtful) > 0 {
		doubtful := t.doubtful
		t.doubtful = map[int]struct{}{}
		for index := range doubtful {
			if err := rereadOne(t, index); err != nil {
				return fmt.Errorf("read network device %d: %w", index, err)
			}
		}
	}
	return nil
}

func rereadOne(t *table, index int) error {
	if _, known := t.links[index]; !known {
		return nil
	}
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	r.AddData(header)
	r.AddData(withoutStatistics())
	data, err := r.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if errors.Is(err, unix.ENODEV) {
		// It went, and the message that says so is on its way. What an earlier one
		// said of it, such as that a veth has no other end any more, is void.
		t.drop(index)
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range data {
		_, l, err := parseLink(d)
		if err != nil {
			return err
		}
		// There are devices that stay as they are, such as tunnels that are bound
		// to no device: asking once is enough.
		l.unfinished = false
		t.put(index, l)
	}
	return nil
}
