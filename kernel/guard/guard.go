// Package guard keeps the host's own network stack apart from the devices of
// VMs. Without it the host talks IPv6 on a tap or veth by itself, and a VM reaches
// the host's services by link-local addresses, gets answers to ARP for any address
// of the host, and is routed by it: always on Open vSwitch's userspace datapath,
// which reads a device as a packet socket does, and on the kernel's as soon as the
// device is no longer plugged in.
//
// The host's stack is cut off from all guarded devices where it hands packets to
// IPv4, IPv6 and ARP and takes them, which is a place that no frame of Open vSwitch
// passes. So that nothing else gets them either, such as what is stacked on a
// device, all frames are dropped at the device itself. Only those of the kernel's
// datapath must not be: it takes them behind that.
package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/kernel/links"
	"github.com/isonet/isonet/model/plan"
)

// attempts bounds how often Apply begins again because the kernel is not as it
// was put: devices came or went meanwhile, or somebody changed the rules.
const attempts = 10

const (
	needsCapability = "isonetd may not use nftables: give it CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN and " +
		"CapabilityBoundingSet=CAP_NET_ADMIN), or keep the host from the devices by other means"
	needsNftables = "the kernel has no nftables for the families netdev, inet and arp (CONFIG_NF_TABLES_NETDEV, CONFIG_NF_TABLES_INET, CONFIG_NF_TABLES_ARP): " +
		"load nf_tables, or use a kernel that has them"
	needsSysctl = "isonetd may not write net.ipv6.conf.*.disable_ipv6: allow it (systemd: ReadWritePaths=/proc/sys/net/ipv6/conf, " +
		"or ProtectKernelTunables=no), or set net.ipv6.conf.default.disable_ipv6=1 on the host"
	needsTable = "another program owns a table isonet of nftables: find out which one (nft list ruleset), and end it"
)

// errUnsettled says that the kernel is not as it was put, again and again.
var errUnsettled = errors.New("somebody else changes the tables isonet of nftables or net.ipv6.conf.*.disable_ipv6 as often as isonetd puts them right: " +
	"find out which firewall or network manager does ('nft monitor'), and keep it away from them")

// errOwned says that the table may be read and not changed.
var errOwned = errors.New("the table is not ours to change")

// Guard holds the rules of one network namespace. They are the kernel's: they
// outlive the process.
type Guard struct {
	logger    *slog.Logger
	disturbed chan struct{}
	// doubtful says that the rules may have changed in a way that the kernel's
	// count of changes does not tell.
	doubtful atomic.Bool

	mu sync.Mutex
	// fresh says that the table, if there is one, is of an earlier process.
	fresh bool
	// egress says that the kernel is not known to lack the egress hook, which it has
	// since Linux 5.16. It keeps out what is stacked on a device; the host's stack is
	// kept out without it.
	egress bool
	// early says that the kernel is not known to refuse a hook for a device that
	// is not there yet. Linux takes them since 6.16, and hooks the device when
	// it is made.
	early bool
	// switchedOff are the ifindexes of devices whose IPv6 the guard switched off.
	switchedOff map[int]bool
	// placed are the parts that were put into the kernel.
	placed map[part]bool
	// seen is what the kernel had when it was seen to be as it must be; nil when it
	// is to be looked at.
	seen *kernel
	// watched are the ifindexes of the members, for Run.
	watched atomic.Pointer[map[int]bool]
	said    string
}

// Device is a network device that the guard is to be on.
type Device struct {
	// Index is the device's ifindex: it stays the same device under another name.
	// 0 is the device that has the name, or will have it.
	Index int
	Name  string
	// InKernel says that the kernel's datapath forwards the device's frames: they must
	// get there, and so only the host's stack is kept from them.
	InKernel bool
}

// compareDevices orders by the ifindex and then by the name.
func compareDevices(a, b Device) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.Name, b.Name))
}

// Report says what Apply achieved.
type Report struct {
	// Guarded are the devices that the kernel was seen to keep apart from the host,
	// sorted by ifindex, with the names that they have now. On Linux 6.16 and later,
	// devices that are not there yet (Index 0) are among them.
	Guarded []Device
	// Unavailable says why nothing is guarded, and what to do about it; "" when
	// the guard works.
	Unavailable string
	// Limited says what the guard cannot do on this host, and what to do about
	// it; "" when it does everything.
	Limited string
	// Verified is when the kernel was last seen to have it so.
	Verified time.Time
}

// member is a device that the guard is on.
type member struct {
	Device
	// ipv6 says that the guard switches IPv6 off, which is to be undone.
	ipv6 bool
	on   bool // IPv6 is on now
}

// New returns a Guard of the network namespace that Apply is called in.
func New(logger *slog.Logger) *Guard {
	return &Guard{
		logger: logger, disturbed: make(chan struct{}, 1),
		fresh: true, egress: true, early: true, switchedOff: map[int]bool{},
	}
}

// Apply puts the guard on exactly these devices and takes it off all others, in
// one transaction. It costs little when nothing changed, and puts right what
// others changed: chains, rules or flags of the table, IPv6 that was switched
// on. It returns when it has seen the kernel to have it all. Devices that do not
// exist are no error. The loopback device is never guarded.
//
// Devices must be those of VMs and nothing else: the host hears nothing any
// more of what arrives on them, which would cut it off from a NIC.
//
// A device that is let go gets IPv6 back if the guard switched it off. Whether
// it did is kept with the rules, so a restart does not forget it; who flushes
// the ruleset while isonetd is down leaves IPv6 off.
//
// Without the privilege or without nftables Apply returns no error but a
// Report that says so.
func (g *Guard) Apply(ctx context.Context, want []Device) (Report, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var err error
	for attempt := range attempts {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("guard the devices of VMs: %w", err)
		}
		report, settled, failed := g.apply(want)
		if failed == nil && settled {
			g.tell(report)
			return report, nil
		}
		if err = failed; failed == nil || errors.Is(failed, errInterrupted) {
			err = errUnsettled
		}
		if failed != nil && !g.learn(failed, attempt) {
			break
		}
		g.doubtful.Store(true)
	}
	if reason := unavailable(err); reason != "" {
		report := Report{Unavailable: reason, Verified: time.Now()}
		g.egress = true // nothing was learnt of the hook
		g.tell(report)
		return report, nil
	}
	return Report{}, fmt.Errorf("guard the devices of VMs by nftables: %w", err)
}

// Left returns the devices that an earlier process left guarded and that are
// still there, sorted by ifindex. Without the privilege or without nftables
// there are none.
func (g *Guard) Left(ctx context.Context) ([]Device, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var err error
	for range attempts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var left []Device
		if left, err = leftGuarded(); err == nil {
			return left, nil
		}
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	if unavailable(err) != "" {
		return nil, nil
	}
	return nil, fmt.Errorf("read which devices are guarded: %w", err)
}

func leftGuarded() ([]Device, error) {
	there, err := links.List()
	if err != nil {
		return nil, err
	}
	k, err := readKernel()
	if err != nil {
		return nil, err
	}
	marked := map[int]Device{}
	for _, m := range k.members() {
		marked[m.Index] = m.Device
	}
	var left []Device
	for _, d := range there {
		if m, is := marked[d.Index]; is {
			left = append(left, Device{Index: d.Index, Name: d.Name, InKernel: m.InKernel})
		}
	}
	slices.SortFunc(left, compareDevices)
	return left, nil
}

// Clear takes the guard off all devices and removes its table.
func (g *Guard) Clear(ctx context.Context) error {
	report, err := g.Apply(ctx, nil)
	if err == nil && report.Unavailable != "" {
		err = errors.New(report.Unavailable)
	}
	return err
}

// learn takes from an error what the kernel cannot do, and reports whether to
// try again.
func (g *Guard) learn(err error, attempt int) bool {
	switch {
	// The kernel answers for each part of a transaction. Without a table it has
	// none of its chains either, so that ENOENT stands beside this.
	case errors.Is(err, unix.EOPNOTSUPP):
		had := g.egress
		g.egress = false
		return had
	case errors.Is(err, unix.ENOENT):
		// A device or a chain went just now; or, if that happens again, the kernel
		// wants a device to be there.
		g.early = g.early && attempt == 0
		return true
	}
	return errors.Is(err, errInterrupted)
}

func unavailable(err error) string {
	switch {
	case errors.Is(err, errOwned):
		return needsTable
	case errors.Is(err, os.ErrPermission):
		return needsCapability
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT):
		return needsNftables
	}
	return ""
}

// tell logs what is news.
func (g *Guard) tell(r Report) {
	said := r.Unavailable + r.Limited
	if said != "" && said != g.said {
		g.logger.Warn("the host's network stack is not fully kept apart from VMs", "unavailable", r.Unavailable, "limited", r.Limited)
	}
	g.said = said
}

// apply looks at the kernel once, and does what is to be done. It is settled
// when there was nothing.
func (g *Guard) apply(want []Device) (report Report, settled bool, err error) {
	begin := time.Now()
	doubtful := g.doubtful.Swap(false)
	defer func() {
		if doubtful && err != nil {
			g.doubtful.Store(true)
		}
	}()
	there, err := links.List()
	if err != nil {
		return Report{}, false, err
	}
	rules, err := g.open(doubtful)
	if err != nil {
		return Report{}, false, err
	}
	members := g.members(want, there)
	g.watch(members)
	// IPv6 comes back while the frames are still dropped, and while it is still
	// written down that it has to.
	released, failed := g.release(members, there)
	changed, err := g.change(rules, members)
	if err != nil {
		return Report{}, false, err
	}
	switched, err := g.switchOff(members)
	failed = errors.Join(failed, err)
	report = Report{Guarded: devicesOf(members), Verified: begin}
	if failed != nil {
		report.Limited = fmt.Sprintf("%s: %v", needsSysctl, failed)
	}
	return report, !changed && !switched && !released, nil
}

// open reads the rules, unless they are known to be what they were.
func (g *Guard) open(doubtful bool) (*rules, error) {
	r := &rules{egress: g.egress}
	if !doubtful && g.seen != nil {
		now, err := readGeneration()
		if err != nil {
			return nil, err
		}
		if now == g.seen.generation {
			r.kernel = g.seen
			return r, nil
		}
	}
	var err error
	if r.kernel, err = readKernel(); err != nil {
		return nil, err
	}
	if g.fresh {
		for _, m := range r.kernel.members() {
			if m.ipv6 {
				g.switchedOff[m.Index] = true
			}
		}
		g.fresh = false
	}
	return r, nil
}

func devicesOf(members map[string]member) []Device {
	devices := make([]Device, 0, len(members))
	for _, m := range members {
		devices = append(devices, m.Device)
	}
	slices.SortFunc(devices, compareDevices)
	return devices
}

// watch tells Run which devices matter.
func (g *Guard) watch(members map[string]member) {
	watched := make(map[int]bool, len(members))
	for _, m := range members {
		watched[m.Index] = true
	}
	g.watched.Store(&watched)
}

// members returns the members by name.
func (g *Guard) members(want []Device, there []plan.Device) map[string]member {
	byName, byIndex := make(map[string]plan.Device, len(there)), make(map[int]plan.Device, len(there))
	for _, d := range there {
		byName[d.Name], byIndex[d.Index] = d, d
	}
	members := make(map[string]member, len(want))
	for _, w := range want {
		d, exists := byIndex[w.Index]
		if w.Index == 0 {
			d, exists = byName[w.Name]
		}
		switch {
		case exists && !d.Loopback:
			members[d.Name] = member{
				Device: Device{Index: d.Index, Name: d.Name, InKernel: w.InKernel},
				ipv6:   d.IPv6 || g.switchedOff[d.Index], on: d.IPv6,
			}
		case !exists && w.Index == 0 && g.early && !w.InKernel && canBeDevice(w.Name):
			members[w.Name] = member{Device: w}
		}
	}
	return members
}

// release gives IPv6 back to devices that are no longer wanted. It reports
// whether there was one, and returns the last failure.
func (g *Guard) release(members map[string]member, there []plan.Device) (released bool, failed error) {
	kept := map[int]bool{}
	for _, d := range there {
		if !g.switchedOff[d.Index] {
			continue
		}
		if _, wanted := members[d.Name]; wanted {
			kept[d.Index] = true
			continue
		}
		if d.IPv6 {
			continue
		}
		if err := writeDisableIPv6(d.Name, "0"); err != nil {
			failed = err
			kept[d.Index] = true
		} else {
			released = true
		}
	}
	g.switchedOff = kept
	return released, failed
}

// switchOff switches IPv6 off on the members that have it. It reports whether
// there was one, and returns the last failure.
func (g *Guard) switchOff(members map[string]member) (switched bool, failed error) {
	for name, m := range members {
		if m.ipv6 {
			g.switchedOff[m.Index] = true
		}
		if !m.on {
			continue
		}
		if err := writeDisableIPv6(name, "1"); err != nil {
			failed = err // one is enough: they fail for one reason
		} else {
			switched = true
		}
	}
	return switched, failed
}

// change makes the kernel's table what the members need, and reports whether
// there was anything to do.
func (g *Guard) change(r *rules, members map[string]member) (bool, error) {
	wanted := r.wanted(members)
	if r.kernel == g.seen && sameKeys(wanted, g.placed) {
		return false, nil
	}
	g.seen = nil
	found := r.altered(wanted, g.placed)
	if found != "" {
		g.logger.Warn("somebody else changed the rules of the host guard; putting them back", "found", found)
	}
	changed, err := r.change(wanted, found != "")
	if err != nil {
		return false, err
	}
	g.placed = make(map[part]bool, len(wanted))
	for p := range wanted {
		g.placed[p] = true
	}
	if changed {
		g.logger.Info("guarding the devices of VMs", "devices", len(members))
		return true, nil
	}
	g.seen = r.kernel
	return false, nil
}

// canBeDevice reports whether the kernel would take a name for a device
// (dev_valid_name).
func canBeDevice(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) >= unix.IFNAMSIZ {
		return false
	}
	for _, c := range []byte(name) {
		if c == 0 || c == '/' || c == ':' || c == ' ' || c >= '\t' && c <= '\r' || c == 0xa0 {
			return false
		}
	}
	return true
}
