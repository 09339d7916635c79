package prove

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/kernel/links"
)

// namePrefix begins the names of the probes' devices on the host.
const namePrefix = "isoprove"

// probe is a member of a network, in a network namespace of its own.
type probe struct {
	station
	// name is that of the port and of the device on the host.
	name    string
	network *Network
	// exempt probes reach the others of a network with port isolation: one of
	// the two has to.
	exempt  bool
	ns      netns.NsHandle
	inside  *netlink.Handle
	capture *capture
}

// newProbe makes up the addresses of the n-th probe.
func newProbe(n int, network *Network, subnet [2]byte) *probe {
	p := &probe{name: fmt.Sprintf("%s%d", namePrefix, n), network: network, exempt: n%2 == 1, ns: netns.None()}
	_, _ = rand.Read(p.mac[:]) // never fails
	// Locally administered and not a group (IEEE 802). Not 0xfe: libvirt and
	// this package give that to the host's ends.
	p.mac[0] = 0x0a
	// For tests between networks (RFC 2544), so that no host has it.
	p.v4 = netip.AddrFrom4([4]byte{198, 18 | subnet[0]&1, subnet[1], byte(n + 1)}) //nolint:gosec // few probes
	link := netip.MustParseAddr("fe80::").As16()
	copy(link[8:], slices.Concat(p.mac[:3], []byte{0xff, 0xfe}, p.mac[3:]))
	p.v6 = netip.AddrFrom16(link)
	return p
}

// hostEnd is the address of a veth's end on the host, as libvirt gives it to a
// VM's tap device.
func (p *probe) hostEnd() mac {
	m := p.mac
	m[0] = 0xfe
	return m
}

// makeVeth makes the device. Its end on the host stays down.
func (p *probe) makeVeth(host *netlink.Handle) error {
	end := p.hostEnd()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = p.name, p.network.MTU, end[:]
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace, veth.PeerHardwareAddr = p.name, netlink.NsFd(p.ns), p.mac[:]
	veth.PeerMTU = uint32(p.network.MTU) //nolint:gosec // an MTU is positive
	if err := host.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the veth device %s: %w", p.name, err)
	}
	return nil
}

// takeInternal moves the device that Open vSwitch made away from the host.
func (p *probe) takeInternal(host *netlink.Handle) error {
	link, err := host.LinkByName(p.name)
	if err != nil {
		return fmt.Errorf("find the internal port %s (does Open vSwitch run in another network namespace?): %w", p.name, err)
	}
	if err := host.LinkSetNsFd(link, int(p.ns)); err != nil {
		return fmt.Errorf("move the internal port %s away from the host: %w", p.name, err)
	}
	return nil
}

// listen makes the device ready and hands what arrives to see. The kernel says
// nothing by itself in the probe's namespace, so that what is heard of the
// probe was sent by this package.
func (p *probe) listen(see func(sighting)) error {
	link, err := p.inside.LinkByName(p.name)
	if err != nil {
		return fmt.Errorf("find %s: %w", p.name, err)
	}
	const noAddress = 1 // IN6_ADDR_GEN_MODE_NONE; a kernel without IPv6 has none anyway
	if err := p.inside.LinkSetIP6AddrGenMode(link, noAddress); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("keep %s without an IPv6 address: %w", p.name, err)
	}
	for _, set := range []func() error{
		func() error { return p.inside.LinkSetARPOff(link) },
		func() error { return p.inside.LinkSetHardwareAddr(link, net.HardwareAddr(p.mac[:])) },
		func() error { return p.inside.LinkSetMTU(link, p.network.MTU) },
		func() error {
			return inNamespace(p.ns, func() (err error) {
				p.capture, err = openCapture(link.Attrs().Index, nil)
				return err
			})
		},
		func() error { p.capture.start(see); return nil },
		func() error { return p.inside.LinkSetUp(link) },
	} {
		if err := set(); err != nil {
			return fmt.Errorf("set up %s: %w", p.name, err)
		}
	}
	return nil
}

// end removes all that is left of the probe, but not its port.
func (p *probe) end(host *netlink.Handle) error {
	var errs []error
	if p.capture != nil {
		errs = append(errs, p.capture.close())
	}
	if p.inside != nil {
		p.inside.Close()
	}
	if p.ns.IsOpen() {
		errs = append(errs, p.ns.Close())
	}
	return errors.Join(append(errs, removeVeth(host, p.name))...)
}

// removeVeth removes a probe's device from the host if it is there. One of
// another kind is Open vSwitch's, or not a probe's.
func removeVeth(host *netlink.Handle, name string) error {
	link, err := host.LinkByName(name)
	if err == nil && link.Type() == "veth" {
		err = host.LinkDel(link)
	}
	var missing netlink.LinkNotFoundError
	if err == nil || errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("remove the device %s: %w", name, err)
}

// removeVeths removes the devices of probes that a killed run left.
func removeVeths(host *netlink.Handle) error {
	all, err := links.Dump(host.LinkList)
	if err != nil {
		return fmt.Errorf("list the devices of the host: %w", err)
	}
	for _, link := range all {
		if name := link.Attrs().Name; strings.HasPrefix(name, namePrefix) {
			if err := removeVeth(host, name); err != nil {
				return err
			}
		}
	}
	return nil
}
