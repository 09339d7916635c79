package prove

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/wire"
)

// How long is waited for what must happen. Only a failure takes as long.
const (
	// retry is when a frame is sent again that did not arrive, and attempts how
	// often it is sent.
	retry    = 250 * time.Millisecond
	attempts = 12
	// settleTime bounds what the host and isonetd need for new devices.
	settleTime = 20 * time.Second
	// cleanTime bounds the removal of the probes after an interrupt too.
	cleanTime = 40 * time.Second
)

// batch is how many frames are sent before a marker shows that Open vSwitch has
// taken them: its queues must not overflow.
const batch = 32

// Via is the kind of the probes' ports.
type Via string

// The kinds of ports.
const (
	// Veth has an end on the host, as the tap device of a VM has.
	Veth Via = "veth"
	// Internal is a port of Open vSwitch's own, moved away from the host.
	Internal Via = "internal"
)

// Daemon is what is asked of isonetd.
type Daemon interface {
	Status(ctx context.Context) (wire.Status, error)
}

// Network is one that gets probes.
type Network struct {
	Name   string
	Bridge string
	MTU    int // bytes
	// Ports are the names of the ports that others plugged in.
	Ports []string
}

// Options say what to prove.
type Options struct {
	// OVSDB is the endpoint of the host's Open vSwitch database, as
	// ovs-vsctl(8) takes it.
	OVSDB string
	Via   Via
	// Target is the network to prove isolated.
	Target *Network
	// Others are networks that Target must be isolated from.
	Others []*Network
}

// lab is one run.
type lab struct {
	Options
	daemon  Daemon
	ovs     openvswitch
	journal *journal
	host    *host
	outside station
	// pairs are the two probes of each network, Target's first.
	pairs [][2]*probe
	// plugged says that the probes may have ports.
	plugged bool
	// reached are the outcomes of what must arrive, mute the networks where
	// no marker does.
	reached []Check
	mute    []string
	// talked are the outcomes of what kernels say to each other.
	talked []Check
	// neighbours are the entries of the host's tables that are about probes.
	neighbours []string
	// asked says what was sent for a check of the host.
	asked map[string]string
}

// ErrLeftOver says that probes may still be there.
var ErrLeftOver = errors.New("the probes could not be removed")

// Run proves that a network is isolated, or shows how it is not. An error says
// that it could not be tried. The probes are gone when Run returns; those that
// a killed run left are removed first.
func Run(ctx context.Context, d Daemon, o Options) (report Report, err error) {
	if err := mayRun(); err != nil {
		return Report{}, err
	}
	unlock, err := lock(ctx)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	l, err := newLab(d, o)
	if err != nil {
		return Report{}, err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		if failed := l.end(clean); failed != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w; the next run tries again", ErrLeftOver, failed))
		}
	}()
	if err := l.begin(ctx); err != nil {
		return Report{}, err
	}
	if err := l.send(ctx); err != nil {
		return Report{}, err
	}
	return l.report(ctx)
}

// mayRun checks the capabilities of the process.
func mayRun() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("ask for the capabilities of this process: %w", err)
	}
	var missing []string
	for _, need := range []struct {
		bit  int
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
		if data[0].Effective&(1<<need.bit) == 0 {
			missing = append(missing, need.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the probes are network namespaces and devices: run this as root (missing: %s)", strings.Join(missing, ", "))
	}
	return nil
}

// lock lets one run at a time be on a host, so that probes of another one are
// left-overs. The kernel removes the name with the process.
func lock(ctx context.Context) (unlock func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", "@isonet-prove")
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, errors.New("another 'isonet prove' is at work on this host: wait until it has ended")
	}
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	return func() { _ = listener.Close() }, nil // it has no connection
}

func newLab(d Daemon, o Options) (*lab, error) {
	var m magic
	var subnet [2]byte
	_, _ = rand.Read(m[:])      // never fails
	_, _ = rand.Read(subnet[:]) // never fails
	l := &lab{Options: o, daemon: d, ovs: openvswitch{database: o.OVSDB}, journal: newJournal(m), asked: map[string]string{}}
	// Addresses that nobody has (RFC 2544, RFC 3849).
	l.outside.v4 = netip.AddrFrom4([4]byte{198, 18 | subnet[0]&1, subnet[1] ^ 1, 250})
	v6 := netip.MustParseAddr("2001:db8::").As16()
	copy(v6[8:], m[:])
	l.outside.v6 = netip.AddrFrom16(v6)
	for _, n := range append([]*Network{o.Target}, o.Others...) {
		at := 2 * len(l.pairs)
		l.pairs = append(l.pairs, [2]*probe{newProbe(at, n, subnet), newProbe(at+1, n, subnet)})
	}
	var err error
	l.host, err = openHost(l.journal, l.outside)
	return l, err
}

func (l *lab) probes() []*probe {
	var list []*probe
	for _, pair := range l.pairs {
		list = append(list, pair[0], pair[1])
	}
	return list
}

func (l *lab) names() []string {
	var names []string
	for _, p := range l.probes() {
		names = append(names, p.name)
	}
	return names
}

// begin plugs the probes in, as libvirt does with a VM: the link comes up last.
func (l *lab) begin(ctx context.Context) error {
	left, err := l.ovs.leftOver(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(l.ovs.unplug(ctx, left), removeVeths(l.host.handle)); err != nil {
		return fmt.Errorf("remove the probes of a run that was killed: %w", err)
	}
	for _, p := range l.probes() {
		if p.ns, err = newNamespace(); err != nil {
			return err
		}
		if p.inside, err = netlink.NewHandleAt(p.ns, unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("open a netlink socket in a network namespace: %w", err)
		}
	}
	if l.Via == Veth {
		for _, p := range l.probes() {
			if err := errors.Join(p.makeVeth(l.host.handle), l.listen(p)); err != nil {
				return err
			}
		}
	}
	l.plugged = true
	if err := l.ovs.plug(ctx, l.probes(), l.Via); err != nil {
		return fmt.Errorf("plug the probes in: %w", err)
	}
	if l.Via == Internal {
		for _, p := range l.probes() {
			if err := p.takeInternal(l.host.handle); err != nil {
				return err
			}
			if err := l.listen(p); err != nil {
				return err
			}
		}
	}
	// Whatever guards ports acts on what isonetd sees.
	if err := l.noticed(ctx); err != nil {
		return err
	}
	return l.linkUp(ctx, l.hostEnds())
}

func (l *lab) listen(p *probe) error {
	return p.listen(func(s sighting) { l.journal.atProbe(p, s) })
}

// hostEnds are the names of the probes' devices on the host.
func (l *lab) hostEnds() []string {
	if l.Via == Internal {
		return nil
	}
	return l.names()
}

// noticed waits until isonetd knows all probes, and until its host guard is on those
// that it is still to be put on.
func (l *lab) noticed(ctx context.Context) error {
	return eventually(ctx, "isonetd sees the probes (does it use the database of --ovsdb?) and has put its host guard on them", func() (bool, error) {
		status, err := l.daemon.Status(ctx)
		if err != nil {
			return false, err
		}
		seen := 0
		for _, n := range status.Networks {
			if i := n.Isolation; i != nil && i.HostGuard != nil && strings.Contains(i.HostGuard.Reason, namePrefix) {
				return false, nil // it names the devices that it is still to be put on
			}
			for _, p := range n.Ports {
				if !slices.Contains(l.names(), p.Name) {
					continue
				}
				if p.Error != "" {
					return false, fmt.Errorf("the probe in network '%s' does not work: %s; does ovs-vswitchd run in another network namespace?", n.Name, p.Error)
				}
				seen++
			}
		}
		return seen == len(l.names()), nil
	})
}

// linkUp brings devices of the host up and waits until it has fallen silent.
func (l *lab) linkUp(ctx context.Context, names []string) error {
	for _, name := range names {
		link, err := l.host.handle.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if err := l.host.handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring %s up: %w", name, err)
		}
	}
	return l.host.settled(ctx, names)
}

// end removes the probes, whatever there is of them.
func (l *lab) end(ctx context.Context) error {
	var errs []error
	if l.plugged {
		errs = append(errs, l.ovs.unplug(ctx, l.names()))
	}
	for _, p := range l.probes() {
		errs = append(errs, p.end(l.host.handle))
	}
	return errors.Join(append(errs, l.host.close())...)
}

// build makes a frame that ends with the token.
type build func(token []byte) []byte

// transmit sends a frame and returns its number.
func (l *lab) transmit(from *probe, text string, b build) (uint32, error) {
	seq := l.journal.number(frame{from: from, text: text})
	if err := from.capture.send(b(l.journal.magic.token(seq))); err != nil {
		return 0, fmt.Errorf("send %s from a probe in network '%s': %w", text, from.network.Name, err)
	}
	return seq, nil
}

// deliver sends a frame until it arrives, and tells whether it does.
func (l *lab) deliver(ctx context.Context, from, to *probe, text string, b build) (bool, error) {
	var sent []uint32
	for range attempts {
		seq, err := l.transmit(from, text, b)
		if err != nil {
			return false, err
		}
		sent = append(sent, seq)
		arrived, err := l.journal.await(ctx, retry, func() bool {
			return slices.ContainsFunc(sent, func(seq uint32) bool { return l.journal.arrived[seq][to] })
		})
		if arrived || err != nil {
			return arrived, err
		}
	}
	return false, nil
}

// mark sends markers both ways through a network. When the last one arrives,
// what was sent before it has arrived too, and what the host said to it.
func (l *lab) mark(ctx context.Context, pair [2]*probe) error {
	if slices.Contains(l.mute, pair[0].network.Name) {
		return nil
	}
	for _, way := range [][2]*probe{{pair[0], pair[1]}, {pair[1], pair[0]}} {
		arrived, err := l.deliver(ctx, way[0], way[1], "a marker", func(token []byte) []byte {
			return echo(way[0].station, way[1].mac, way[1].v4, 0, token)
		})
		if err != nil {
			return err
		}
		if !arrived {
			l.mute = append(l.mute, pair[0].network.Name)
			return nil
		}
	}
	return nil
}

// markAll sends markers through all networks, and through the host.
func (l *lab) markAll(ctx context.Context) error {
	for _, pair := range l.pairs {
		if err := l.mark(ctx, pair); err != nil {
			return err
		}
	}
	drained, err := l.host.drain(ctx, l.journal)
	if err == nil && !drained {
		err = errors.New("the host does not receive its own datagrams on 127.0.0.1: is its loopback device up?")
	}
	return err
}

// send sends everything.
func (l *lab) send(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		l.markAll, l.reach, l.tryHost, l.tryOthers, l.markAll, l.lookUp, l.flap, l.markAll, l.talk,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return l.host.look()
}

// lookUp asks the host for the probes that it knows. It forgets those behind a
// link that goes down.
func (l *lab) lookUp(context.Context) (err error) {
	if err := l.host.look(); err != nil {
		return err
	}
	l.neighbours, err = l.host.neighbours(l.probes())
	return err
}

// flap takes the link of a probe down and up again, at which the host may speak.
func (l *lab) flap(ctx context.Context) error {
	if l.Via == Internal {
		return nil
	}
	name := l.pairs[0][0].name
	link, err := l.host.handle.LinkByName(name)
	if err == nil {
		err = l.host.handle.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("take %s down: %w", name, err)
	}
	return l.linkUp(ctx, []string{name})
}
