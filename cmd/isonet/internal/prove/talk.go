package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// checkTalk is that of what VMs say to each other by their kernels.
const checkTalk = "kernels talk"

const (
	// talkTime bounds what the kernels of two probes say to each other by one
	// protocol: time for a few segments of TCP that are sent again, on a busy host.
	talkTime = 12 * time.Second
	// volume is how much goes each way by TCP, in bytes: enough for segments
	// that are left to the device to be cut up.
	volume = 256 << 10
)

const remedyChecksums = "TCP and UDP of VMs do not pass although ping does: checksums that the sender leaves to its device are delivered as they are by Open vSwitch's userspace datapath. " +
	"Run 'ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true' and restart ovs-vswitchd, or give the VMs' interfaces <driver name='qemu'><host csum='off'/></driver> in libvirt"

// leastIPv6 is the least MTU with which a kernel speaks IPv6 (RFC 8200 section 5).
const leastIPv6 = 1280

const remedyTalk = "look whether a device between the probes has a smaller MTU than the network ('isonet status'), and in the log of ovs-vswitchd for what it dropped"

// talk has the kernels of the network's probes speak TCP and UDP with each
// other, as VMs do: with the addresses, the offloads and the segments that a
// kernel chooses by itself. The frames that this package makes have checksums.
func (l *lab) talk(ctx context.Context) error {
	pair := l.pairs[0]
	if slices.Contains(l.mute, l.Target.Name) {
		l.talked = append(l.talked, Check{
			Name: checkTalk, Sent: "nothing", Result: Failed, Remedy: remedyMute, Seen: "the probes do not reach each other",
		})
		return nil
	}
	for _, family := range []struct {
		name string
		of   func(p *probe) netip.Addr
		bits int
	}{
		{"IPv4", func(p *probe) netip.Addr { return p.v4 }, 24},
		{"IPv6", (*probe).routed, 64},
	} {
		here, there := family.of(pair[0]), family.of(pair[1])
		if here.Is6() && l.mtuInside() < leastIPv6 {
			continue
		}
		err := errors.Join(pair[0].settle(l.mtuInside(), here, family.bits, pair[1], there), pair[1].settle(l.mtuInside(), there, family.bits, pair[0], here))
		if here.Is6() && errors.Is(err, errNoIPv6) {
			continue
		}
		if err != nil {
			return err
		}
		largest := l.payload(here)
		for _, way := range []struct {
			text string
			say  func(context.Context, *probe, *probe, netip.Addr) (missed string, err error)
		}{
			{fmt.Sprintf("TCP over %s, %d KiB each way", family.name, volume>>10), speakTCP},
			{fmt.Sprintf("UDP over %s, up to %d bytes", family.name, largest), func(ctx context.Context, from, to *probe, at netip.Addr) (string, error) {
				return speakUDP(ctx, from, to, at, largest)
			}},
		} {
			check, err := l.say(ctx, way.text, func(ctx context.Context) (string, error) { return way.say(ctx, pair[0], pair[1], there) })
			if err != nil {
				return err
			}
			l.talked = append(l.talked, check)
		}
	}
	return nil
}

// say makes the check of one protocol, of which speak tells what it missed.
func (l *lab) say(ctx context.Context, text string, speak func(context.Context) (string, error)) (Check, error) {
	check := Check{Name: checkTalk, Sent: text + ", by the probes' own kernels", Result: OK, Seen: "arrived"}
	before, err := l.wrongChecksums()
	if err != nil {
		return Check{}, err
	}
	limited, cancel := context.WithTimeout(ctx, talkTime)
	var watching sync.WaitGroup
	defer watching.Wait() // it looks into the probes, which may be gone soon
	defer cancel()
	watching.Go(func() { l.giveUp(limited, cancel, before) })
	missed, err := speak(limited)
	if err := errors.Join(err, ctx.Err()); err != nil || missed == "" {
		return check, err
	}
	after, err := l.wrongChecksums()
	if err != nil {
		return Check{}, err
	}
	check.Result, check.Seen, check.Remedy = Impaired, missed, remedyTalk
	if wrong := after - before; wrong > 0 {
		check.Seen += fmt.Sprintf(": %s with a wrong checksum", count(wrong, "packet arrived", "packets arrived"))
		check.Remedy = remedyChecksums
	}
	return check, nil
}

// giveUp ends a talk in which wrong checksums arrive: they do not get better.
func (l *lab) giveUp(ctx context.Context, end context.CancelFunc, before int) {
	again := time.NewTicker(retry)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			if now, err := l.wrongChecksums(); err == nil && now > before {
				end()
			}
		}
	}
}

// payload is how much of a UDP datagram fits into one frame of the network, in
// bytes.
func (l *lab) payload(to netip.Addr) int {
	header := ipv4Length
	if to.Is6() {
		header = ipv6Length
	}
	return l.mtuInside() - header - udpLength
}

// mtuInside is that of the probes' devices when their kernels talk. Of a device
// that was moved away the userspace datapath takes frames of 1500 bytes.
func (l *lab) mtuInside() int {
	if l.Via == Internal {
		return min(l.Target.MTU, 1500)
	}
	return l.Target.MTU
}

// speakTCP connects, and sends some data there and back.
func speakTCP(ctx context.Context, from, to *probe, at netip.Addr) (missed string, err error) {
	var server *net.TCPListener
	if err := inNamespace(to.ns, func() (err error) {
		server, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		return err
	}); err != nil {
		return "", fmt.Errorf("listen in a probe: %w", err)
	}
	defer server.Close() //nolint:errcheck // nothing was written to it
	go echoTCP(ctx, server)
	var conn net.Conn
	if inNamespace(from.ns, func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", server.Addr().String())
		return err
	}) != nil {
		return "no connection", nil
	}
	defer conn.Close() //nolint:errcheck // all was read that counts
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	data := bytes.Repeat([]byte("isonet prove "), volume/13+1)[:volume]
	go func() { _, _ = conn.Write(data) }() // what is missing shows at the reader
	back := make([]byte, volume)
	n, _ := io.ReadFull(conn, back) // how much came says it
	if n < volume || !bytes.Equal(back, data) {
		return fmt.Sprintf("a connection, but only %d of %d bytes came back", n, volume), nil
	}
	return "", nil
}

// echoTCP sends what one client says back to it, until ctx ends.
func echoTCP(ctx context.Context, server *net.TCPListener) {
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	conn, err := server.AcceptTCP()
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // the client counts what comes
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, _ = io.Copy(conn, conn) // the client counts what comes
}

// speakUDP sends a small and the largest datagram, and again until it comes
// back.
func speakUDP(ctx context.Context, from, to *probe, at netip.Addr, largest int) (missed string, err error) {
	var server, client *net.UDPConn
	defer func() {
		for _, c := range []*net.UDPConn{server, client} {
			if c != nil {
				_ = c.Close() // what counts was read
			}
		}
	}()
	if err := inNamespace(to.ns, func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		return err
	}); err != nil {
		return "", fmt.Errorf("listen in a probe: %w", err)
	}
	if err := inNamespace(from.ns, func() (err error) {
		remote, err := netip.ParseAddrPort(server.LocalAddr().String())
		if err == nil {
			client, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
		}
		return err
	}); err != nil {
		return "", fmt.Errorf("open a socket in a probe: %w", err)
	}
	go echoUDP(server)
	for _, size := range []int{64, largest} {
		if !answered(ctx, client, size) {
			return fmt.Sprintf("no datagram of %d bytes came back", size), nil
		}
	}
	return "", nil
}

func echoUDP(server *net.UDPConn) {
	buffer := make([]byte, maxFrame)
	for {
		n, from, err := server.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = server.WriteToUDPAddrPort(buffer[:n], from) // it is sent again
		}
	}
}

// answered says that a datagram of this size came back in time.
func answered(ctx context.Context, client *net.UDPConn, size int) bool {
	buffer := make([]byte, maxFrame)
	for ctx.Err() == nil {
		_, _ = client.Write(make([]byte, size)) // it is sent again
		_ = client.SetReadDeadline(time.Now().Add(retry))
		for {
			n, err := client.Read(buffer)
			if err != nil {
				break
			}
			if n == size {
				return true
			}
		}
	}
	return false
}

var errNoIPv6 = errors.New("no IPv6")

// routed is the probe's IPv6 address when its kernel talks: a link-local one
// would need the device's number with it (RFC 3849).
func (p *probe) routed() netip.Addr {
	a, link := netip.MustParseAddr("2001:db8:1::").As16(), p.v6.As16()
	copy(a[8:], link[8:])
	return netip.AddrFrom16(a)
}

// settle gives the probe's kernel an address and tells it where the other one
// is, so that nothing is asked for.
func (p *probe) settle(mtu int, own netip.Addr, bits int, other *probe, at netip.Addr) error {
	link, err := p.inside.LinkByName(p.name)
	if err != nil {
		return fmt.Errorf("find %s: %w", p.name, err)
	}
	if err := p.inside.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("give %s an MTU of %d bytes: %w", p.name, mtu, err)
	}
	address := &netlink.Addr{
		IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(bits, own.BitLen())},
		Flags: unix.IFA_F_NODAD,
	}
	if err := p.inside.AddrAdd(link, address); err != nil {
		if own.Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT)) {
			return errNoIPv6
		}
		return fmt.Errorf("give %s the address %s: %w", p.name, own, err)
	}
	neighbour := &netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: at.AsSlice(), HardwareAddr: other.mac[:],
	}
	if err := p.inside.NeighSet(neighbour); err != nil {
		return fmt.Errorf("tell %s where %s is: %w", p.name, at, err)
	}
	return nil
}

// wrongChecksums counts the packets that the kernels of the network's probes
// refused for their checksums.
func (l *lab) wrongChecksums() (int, error) {
	sum := 0
	for _, p := range l.pairs[0] {
		err := inNamespace(p.ns, func() error {
			for _, file := range []string{"snmp", "snmp6"} {
				text, err := os.ReadFile("/proc/thread-self/net/" + file)
				if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has no snmp6
					return err
				}
				sum += checksumErrors(string(text))
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("read the counters of a probe: %w", err)
		}
	}
	return sum, nil
}

// checksumErrors adds up the counters InCsumErrors of TCP and UDP in the form of
// /proc/net/snmp, a line of names before one of numbers, or of /proc/net/snmp6, a
// name and a number in each line.
func checksumErrors(text string) int {
	sum := 0
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "Udp6InCsumErrors":
			sum += number(fields[1])
		case len(fields) == 0 || fields[0] != "Tcp:" && fields[0] != "Udp:":
		case len(names) != len(fields) || names[0] != fields[0]:
			names = fields
		default:
			if i := slices.Index(names, "InCsumErrors"); i > 0 {
				sum += number(fields[i])
			}
		}
	}
	return sum
}

// number is 0 for what is none.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
