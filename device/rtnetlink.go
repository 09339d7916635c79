package device

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink/nl"
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
	// skipStatistics is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h.
	skipStatistics = 1 << 3
)

// socket is a subscription to the changes of devices and addresses.
type socket struct {
	file   *os.File
	buffer []byte
}

func subscribe(buffer int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: does the service's sandbox allow AF_NETLINK? %w", err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), "rtnetlink"), buffer: make([]byte, datagram)}
	groups := uint32(1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1))
	// Beyond net.core.rmem_max with CAP_NET_ADMIN only.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err := errors.Join(
		err,
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}),
	); err != nil {
		s.close()
		return nil, fmt.Errorf("subscribe to the changes of network devices: %w", err)
	}
	return s, nil
}

// close may be called more than once, and ends a receive.
func (s *socket) close() { _ = s.file.Close() }

// receive returns all messages that are there. If wait is set and there are
// none, it waits for some.
func (s *socket) receive(wait bool) ([]message, error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	var messages []message
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		messages, failure = drain(int(fd), s.buffer)
		return !wait || failure != nil || len(messages) > 0
	})
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
			return message{change: func(t *table) { t.drop(index) }}, nil
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
	}
	return ignored, nil
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
			l.device.PeerElsewhere = true
		case unix.IFLA_LINKINFO:
			if l.device.Kind, l.device.Tap, err = parseKind(a.Value); err != nil {
				return 0, link{}, err
			}
		}
	}
	if l.device.Name == "" { // an event of a wireless driver
		return 0, link{}, nil
	}
	if l.device.PeerElsewhere {
		l.parent = 0 // an ifindex of the other namespace
	} else {
		l.unfinished = joined && l.parent == 0
	}
	return index, l, nil
}

// parseKind reads IFLA_LINKINFO.
func parseKind(data []byte) (kind string, tap bool, err error) {
	attributes, err := nl.ParseRouteAttr(data)
	if err != nil {
		return "", false, fmt.Errorf("the kind of a device: %w", err)
	}
	for _, a := range attributes {
		switch a.Attr.Type &^ unix.NLA_F_NESTED {
		case nl.IFLA_INFO_KIND:
			kind = nl.BytesToString(a.Value)
		case nl.IFLA_INFO_DATA:
			if kind != "tun" {
				continue
			}
			details, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return "", false, fmt.Errorf("the type of a tun device: %w", err)
			}
			for _, d := range details {
				if d.Attr.Type == nl.IFLA_TUN_TYPE && len(d.Value) == 1 {
					tap = d.Value[0] == unix.IFF_TAP
				}
			}
		}
	}
	return kind, tap, nil
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
	return nil
}

func dumpOf(request, answer uint16, header nl.NetlinkRequestData) ([][]byte, error) {
	var data [][]byte
	var err error
	for range dumpAttempts {
		r := nl.NewNetlinkRequest(int(request), unix.NLM_F_DUMP)
		r.AddData(header)
		if request == unix.RTM_GETLINK {
			r.AddData(withoutStatistics())
		}
		// A dump during which a device came or went may lack another one.
		if data, err = r.Execute(unix.NETLINK_ROUTE, answer); !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read all network devices: %w", err)
	}
	return data, nil
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
