package prove

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/kernel/links"
)

// host looks at the host: at what passes its devices, at a UDP socket and at
// the tables of its kernel.
type host struct {
	handle  *netlink.Handle
	capture *capture
	socket  *net.UDPConn
	ended   chan struct{}
	// devices are those of all times that look was called, by index.
	devices map[int]device
	// addresses are those of the host without the loopback ones.
	addresses []netip.Addr
}

// device is a network device of the host.
type device struct {
	name string
	// kind is as in 'ip link': "tuntap", "veth" and so on, or "device" for one
	// of hardware.
	kind string
	mac  mac // zero if it has none
	// up says that it was up once; else it cannot have sent anything.
	up bool
}

// openHost starts to listen in the network namespace of this process.
func openHost(j *journal, outside station) (*host, error) {
	h := &host{devices: map[int]device{}, ended: make(chan struct{})}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	h.handle = handle
	filter, err := hostFilter(j.magic, outside)
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("make the filter: %w", err)
	}
	if h.socket, err = net.ListenUDP("udp", nil); err != nil {
		handle.Close()
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	if h.capture, err = openCapture(0, filter); err != nil {
		handle.Close()
		return nil, errors.Join(err, h.socket.Close())
	}
	h.capture.start(j.atHost)
	go h.receive(j)
	return h, nil
}

func (h *host) receive(j *journal) {
	defer close(h.ended)
	buffer := make([]byte, maxFrame)
	for {
		n, _, err := h.socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			j.atSocket(buffer[:n])
		}
	}
}

func (h *host) close() error {
	err := errors.Join(h.capture.close(), h.socket.Close())
	<-h.ended
	h.handle.Close()
	return err
}

// port is that of the UDP socket.
func (h *host) port() uint16 {
	address, _ := netip.ParseAddrPort(h.socket.LocalAddr().String()) // always one
	return address.Port()
}

// drain returns true when all that had reached the host's sockets before has
// been read: a datagram of the host to itself follows it.
func (h *host) drain(ctx context.Context, j *journal) (bool, error) {
	var sniffed, received int
	j.note(func() { sniffed, received = j.sniffed, j.received })
	self := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), h.port())
	for range attempts {
		if _, err := h.socket.WriteToUDPAddrPort(j.magic.token(j.sentinel), self); err != nil {
			return false, fmt.Errorf("send the host a datagram over its loopback device: %w", err)
		}
		done, err := j.await(ctx, retry, func() bool { return j.sniffed > sniffed && j.received > received })
		if done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// look learns the devices and addresses of the host.
func (h *host) look() error {
	there, err := links.Dump(h.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list the devices of the host: %w", err)
	}
	for _, link := range there {
		a := link.Attrs()
		d := device{name: a.Name, kind: link.Type(), up: a.Flags&net.FlagUp != 0 || h.devices[a.Index].up}
		if len(a.HardwareAddr) == len(d.mac) {
			d.mac = mac(a.HardwareAddr)
		}
		h.devices[a.Index] = d
	}
	addresses, err := links.Dump(func() ([]netlink.Addr, error) { return h.handle.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list the addresses of the host: %w", err)
	}
	for _, a := range addresses {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); ok && !ip.IsLoopback() && !slices.Contains(h.addresses, ip) {
			h.addresses = append(h.addresses, ip)
		}
	}
	return nil
}

// hardwareAddress returns the address of a device, which may not have one.
func (h *host) hardwareAddress(name string) (mac, bool) {
	for _, d := range h.devices {
		if d.name == name {
			return d.mac, d.mac != mac{}
		}
	}
	return mac{}, false
}

// senders are the names of the devices that send from an address.
func (h *host) senders(from mac) []string {
	var names []string
	for _, d := range h.devices {
		if d.up && d.mac == from {
			names = append(names, d.name)
		}
	}
	slices.Sort(names)
	return names
}

// neighbours returns the entries of the host's neighbour tables that are about
// a station, as people write them.
func (h *host) neighbours(stations []*probe) ([]string, error) {
	list, err := links.Dump(func() ([]netlink.Neigh, error) { return h.handle.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the neighbours of the host: %w", err)
	}
	var found []string
	for _, n := range list {
		ip, _ := netip.AddrFromSlice(n.IP)
		learned := len(n.HardwareAddr) == len(mac{})
		if learned && slices.ContainsFunc(stations, func(p *probe) bool {
			return mac(n.HardwareAddr) == p.mac || ip == p.v6 || ip.Unmap() == p.v4
		}) {
			found = append(found, fmt.Sprintf("%s at %s on %s", ip, n.HardwareAddr, h.device(n.LinkIndex)))
		}
	}
	return found, nil
}

// device names a device that look has seen.
func (h *host) device(index int) string {
	if d, known := h.devices[index]; known {
		return d.name
	}
	return fmt.Sprintf("device %d", index)
}

// settled waits until the devices carry frames and the kernel has said all that
// it says by itself when a device comes up: its last words are those of
// duplicate address detection (RFC 4862 section 5.4), which takes seconds.
func (h *host) settled(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := eventually(ctx, "the device "+name+" is up", func() (bool, error) {
			link, err := h.handle.LinkByName(name)
			return err == nil && link.Attrs().OperState == netlink.OperUp, err
		}); err != nil {
			return err
		}
		link, err := h.handle.LinkByName(name)
		if err != nil {
			return err
		}
		// The kernel gives the addresses after it tells that the device is up,
		// but before it takes the next order.
		if err := h.handle.LinkSetUp(link); err != nil {
			return err
		}
		if err := eventually(ctx, "duplicate address detection on "+name+" ends", func() (bool, error) {
			addresses, err := links.Dump(func() ([]netlink.Addr, error) { return h.handle.AddrList(link, netlink.FAMILY_V6) })
			return !slices.ContainsFunc(addresses, func(a netlink.Addr) bool {
				return a.Flags&unix.IFA_F_TENTATIVE != 0 && a.Flags&unix.IFA_F_DADFAILED == 0
			}), err
		}); err != nil {
			return err
		}
	}
	return nil
}

// eventually asks again and again until the answer is yes.
func eventually(ctx context.Context, what string, ask func() (bool, error)) error {
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-limit.C:
			return fmt.Errorf("waited %s in vain until %s", settleTime, what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
