package nic

import (
	"bytes"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
)

// scanEvery is after how many samples all links of the host are looked at. In
// between, only the known interfaces are asked for: a host with thousands of
// taps and bridges has a few of them. So a new interface or address shows after
// half a minute at the latest; an interface that goes or changes at once.
const scanEvery = 6

// tracker makes samples.
type tracker struct {
	kernel kernel
	known  []entry
	left   int // samples until all links are looked at
}

// entry is an interface at a moment.
type entry struct {
	link netlink.Link
	nic  model.NIC
	at   time.Time
}

// sample returns the interfaces as they are now.
func (t *tracker) sample(now time.Time) ([]model.NIC, error) {
	if t.left == 0 || !t.refresh(now) {
		if err := t.scan(now); err != nil {
			t.known, t.left = nil, 0
			return nil, err
		}
		t.left = scanEvery
	}
	t.left--
	nics := make([]model.NIC, len(t.known))
	for i, e := range t.known {
		nics[i] = e.nic
	}
	return nics, nil
}

// refresh reads the counters of the known interfaces. It reports false, and
// does nothing, when there is more to read anew than that.
func (t *tracker) refresh(now time.Time) bool {
	fresh := make([]entry, len(t.known))
	for i, before := range t.known {
		link, err := t.kernel.link(before.link.Attrs().Index)
		if err != nil || changed(before.link, link) {
			return false
		}
		fresh[i] = entry{link: link, nic: before.nic, at: now}
		fresh[i].measure(before)
	}
	t.known = fresh
	return true
}

// scan looks at all links.
func (t *tracker) scan(now time.Time) error {
	links, err := t.kernel.links()
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	addresses, err := t.kernel.addresses()
	if err != nil {
		return fmt.Errorf("list the addresses: %w", err)
	}
	before := make(map[int]entry, len(t.known))
	for _, e := range t.known {
		before[e.link.Attrs().Index] = e
	}
	h := newHost(links, addresses)
	t.known = nil
	for _, link := range h.nics() {
		e := entry{link: link, nic: h.describe(link), at: now}
		e.nic.Speed = t.kernel.speed(e.nic.Name)
		e.measure(before[link.Attrs().Index])
		t.known = append(t.known, e)
	}
	return nil
}

// measure reads the counters and compares them with those of an entry before,
// which is zero if there was none.
func (e *entry) measure(before entry) {
	e.nic.Total, e.nic.Rate = countersOf(e.link.Attrs().Statistics), nil
	if !before.at.IsZero() {
		e.nic.Rate = rate(before.nic.Total, e.nic.Total, e.at.Sub(before.at))
	}
}

// changed reports whether there is something new about a link besides its
// counters.
func changed(before, after netlink.Link) bool {
	a, b := before.Attrs(), after.Attrs()
	return a.Name != b.Name || a.MTU != b.MTU || up(before) != up(after) ||
		a.MasterIndex != b.MasterIndex || a.ParentIndex != b.ParentIndex ||
		!bytes.Equal(a.HardwareAddr, b.HardwareAddr) || activeOf(before) != activeOf(after)
}

// up reports whether frames get through: by the operational state (RFC 2863),
// or by what ifconfig(8) shows for drivers that do not keep one.
func up(link netlink.Link) bool {
	a := link.Attrs()
	if a.OperState == netlink.OperUnknown {
		const running = net.FlagUp | net.FlagRunning
		return a.Flags&running == running
	}
	return a.OperState == netlink.OperUp
}
