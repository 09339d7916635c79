// Package guard keeps the host's own network stack apart from the devices of
// VMs. Open vSwitch's userspace datapath reads a tap or veth device as a packet
// socket does: the kernel goes on to process every frame that arrives on it,
// and talks IPv6 on it by itself. Without the guard a VM reaches the host's
// services by link-local addresses, gets answers to ARP for any address of the
// host, and is routed by it.
//
// With the kernel's datapath there is nothing to guard, and the guard would do
// harm: there the bridge takes its frames behind the hook that drops them.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attempts bounds how often Apply begins again because devices came or went
// meanwhile.
const attempts = 10

const (
	needsCapability = "isonetd may not use nftables: give it CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN and " +
		"CapabilityBoundingSet=CAP_NET_ADMIN), or set the rules of the table netdev isonet by other means"
	needsNftables = "the kernel has no nftables for the netdev family (CONFIG_NF_TABLES_NETDEV): load nf_tables, or use the kernel's datapath"
	needsEgress   = "the kernel cannot filter what leaves a device by nftables (before Linux 5.16): the host's own ARP and IPv4 frames are not kept from VMs"
	needsSysctl   = "isonetd may not write net.ipv6.conf.*.disable_ipv6: allow it (systemd: ReadWritePaths=/proc/sys/net/ipv6/conf, " +
		"or ProtectKernelTunables=no), or set net.ipv6.conf.default.disable_ipv6=1 on the host"
)

// Guard holds the rules of one network namespace. They are the kernel's: they
// outlive the process.
type Guard struct {
	logger    *slog.Logger
	disturbed chan struct{}

	mu sync.Mutex
	// fresh says that the table, if there is one, is of an earlier process.
	fresh bool
	// egress says that the kernel is not known to lack the egress hook.
	egress bool
	// early says that the kernel is not known to refuse a hook for a device that
	// is not there yet. Linux takes them since 6.16, and hooks the device when
	// it is made.
	early bool
	// switchedOff are the ifindexes of devices whose IPv6 the guard switched off.
	switchedOff map[int]bool
	said        string
}

// Report says what Apply achieved.
type Report struct {
	// Guarded are the devices whose frames are kept out of the host, sorted. On
	// Linux 6.16 and later, devices that are not there yet are among them.
	Guarded []string
	// Unavailable says why nothing is guarded, and what to do about it; "" when
	// the guard works.
	Unavailable string
	// Limited says what the guard cannot do on this host, and what to do about
	// it; "" when it does everything.
	Limited string
}

// member is a device that the guard is on.
type member struct {
	name  string
	index int // 0 for a device that is not there yet
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
// one transaction; rules of an earlier process are replaced. It costs no
// transaction when nothing changed, and puts right what others changed: rules
// that a reload of the firewall flushed, IPv6 that was switched on. Devices
// that do not exist are no error. The loopback device is never guarded.
//
// Devices must be ports of VMs and nothing else: the host hears nothing any
// more of what arrives on them, which would cut it off from a NIC.
//
// A device that is let go gets IPv6 back if the guard switched it off. Whether
// it did is kept with the rules, so a restart does not forget it; who flushes
// the ruleset while isonetd is down leaves IPv6 off.
//
// Without the privilege or without nftables Apply returns no error but a
// Report that says so.
func (g *Guard) Apply(ctx context.Context, names []string) (Report, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var err error
	for attempt := range attempts {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("guard the devices of VMs: %w", err)
		}
		var report Report
		if report, err = g.apply(names); err == nil {
			g.tell(report)
			return report, nil
		}
		if !g.learn(err, attempt) {
			break
		}
	}
	if reason := unavailable(err); reason != "" {
		report := Report{Unavailable: reason}
		g.egress = true // nothing was learnt of the hook
		g.tell(report)
		return report, nil
	}
	return Report{}, fmt.Errorf("guard the devices of VMs by nftables: %w", err)
}

// Clear takes the guard off all devices and removes its table.
func (g *Guard) Clear(ctx context.Context) error {
	report, err := g.Apply(ctx, nil)
	if err == nil && report.Unavailable != "" {
		err = errors.New(report.Unavailable)
	}
	return err
}

// learn takes from an error what the kernel cannot do, and reports whether it is
// worth to try again.
func (g *Guard) learn(err error, attempt int) bool {
	switch {
	case errors.Is(err, unix.ENOENT):
		// A device or a chain went just now; or, if that happens again, the kernel
		// wants a device to be there.
		g.early = g.early && attempt == 0
		return true
	case errors.Is(err, nl.ErrDumpInterrupted):
		return true
	case errors.Is(err, unix.EOPNOTSUPP) && g.egress:
		g.egress = false
		return true
	}
	return false
}

func unavailable(err error) string {
	switch {
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

func (g *Guard) apply(names []string) (Report, error) {
	there, err := devices()
	if err != nil {
		return Report{}, err
	}
	rules, err := open(g.egress)
	if err != nil {
		return Report{}, err
	}
	for _, index := range rules.restoring() {
		g.switchedOff[index] = true
	}
	want := g.want(names, there)
	// IPv6 comes back while the frames are still dropped, and while it is still
	// written down that it has to.
	limited := g.release(want, there)
	changed, err := rules.change(want, g.fresh)
	if err != nil {
		return Report{}, err
	}
	g.fresh = false
	if changed {
		g.logger.Info("guarding the devices of VMs", "devices", len(want))
	}
	limited = errors.Join(limited, g.switchOff(want))
	report := Report{Guarded: slices.Sorted(maps.Keys(want))}
	switch {
	case limited != nil:
		report.Limited = fmt.Sprintf("%s: %v", needsSysctl, limited)
	case !g.egress:
		report.Limited = needsEgress
	}
	return report, nil
}

// want returns the members by name.
func (g *Guard) want(names []string, there []device) map[string]member {
	byName := make(map[string]device, len(there))
	for _, d := range there {
		byName[d.name] = d
	}
	want := make(map[string]member, len(names))
	for _, name := range names {
		d, exists := byName[name]
		switch {
		case exists && !d.loopback:
			want[name] = member{name: name, index: d.index, ipv6: d.ipv6 || g.switchedOff[d.index], on: d.ipv6}
		case !exists && g.early && canBeDevice(name):
			want[name] = member{name: name}
		}
	}
	return want
}

// release gives IPv6 back to devices that are no longer wanted. It returns the
// last failure.
func (g *Guard) release(want map[string]member, there []device) error {
	var failed error
	kept := map[int]bool{}
	for _, d := range there {
		if !g.switchedOff[d.index] {
			continue
		}
		if _, wanted := want[d.name]; wanted {
			kept[d.index] = true
			continue
		}
		if d.ipv6 {
			continue
		}
		if err := writeDisableIPv6(d.name, "0"); err != nil {
			failed = err
			kept[d.index] = true
		}
	}
	g.switchedOff = kept
	return failed
}

// switchOff switches IPv6 off on the members that have it.
func (g *Guard) switchOff(members map[string]member) error {
	var failed error
	for name, m := range members {
		if m.ipv6 {
			g.switchedOff[m.index] = true
		}
		if m.on {
			if err := writeDisableIPv6(name, "1"); err != nil {
				failed = err // one is enough: they fail for one reason
			}
		}
	}
	return failed
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
