package nic

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// tracker makes samples.
type tracker struct {
	kernel  kernel
	devices Devices
	seen    *plan.Links // when the interfaces were chosen
	known   []entry
}

// entry is an interface at a moment.
type entry struct {
	link netlink.Link
	nic  model.NIC
	at   time.Time
}

// sample returns the interfaces as they are now. Which they are is chosen anew
// when any device has changed; a host with thousands of taps and bridges has few
// interfaces, and only these are asked for.
func (t *tracker) sample(now time.Time) ([]model.NIC, error) {
	devices := t.devices.Links()
	if devices != t.seen || !t.refresh(now) {
		if err := t.scan(devices, now); err != nil {
			t.known, t.seen = nil, nil
			return nil, err
		}
	}
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

// scan chooses the interfaces among the devices.
func (t *tracker) scan(devices *plan.Links, now time.Time) error {
	before := make(map[int]entry, len(t.known))
	for _, e := range t.known {
		before[e.link.Attrs().Index] = e
	}
	h := newHost(devices)
	var known []entry
	for _, d := range h.nics() {
		link, err := t.kernel.link(d.Index)
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the interface '%s': %w", d.Name, err)
		}
		e := entry{link: link, nic: h.describe(d, link), at: now}
		e.nic.Speed = t.kernel.speed(e.nic.Name)
		e.measure(before[d.Index])
		known = append(known, e)
	}
	t.known, t.seen = known, devices
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
