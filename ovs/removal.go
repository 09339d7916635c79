package ovs

import (
	"context"
	"slices"

	"github.com/isonet/isonet/model/plan"
)

// Linux waits for all its processors whenever a network device has been removed,
// for some 10 to 30 ms. vswitchd removes the devices of bridges one after the
// other and does nothing else meanwhile, which on the userspace datapath is to
// say that no VM's frames are forwarded (docs/benchmarks.md). So isonet removes
// those that are left all at once when vswitchd has begun.

// removal is what a transaction that removes bridges leaves to vswitchd: the
// ifindexes of the bridges' devices by name.
type removal map[string]int

// devicesOf returns the devices of the bridges that a plan removes, as far as
// vswitchd made them. Those of the kernel's datapath are not of the kind tun.
func devicesOf(p plan.Plan, actual *plan.Actual) removal {
	r := removal{}
	for _, b := range p.Delete {
		local, _ := b.Local()
		device, there := actual.Links.Named(b.Name)
		opened := slices.ContainsFunc(local.Interfaces, func(i plan.Interface) bool { return i.OFPort > 0 && i.Error == "" })
		if there && device.Tap && opened {
			r[b.Name] = device.Index
		}
	}
	return r
}

// keepDevices leaves devices to bridges that are about to be made: vswitchd may
// keep the device of a bridge that it never saw gone, and the snapshot may show
// the new bridge later than vswitchd does. The caller has the lock.
func (s *Switch) keepDevices(bridges []plan.Spec) {
	for _, r := range s.removals {
		for _, b := range bridges {
			delete(r, b.Name)
		}
	}
}

// sweep removes what is left of the devices of a removal, until ctx ends.
func (s *Switch) sweep(ctx context.Context) {
	if s.cfg.Devices == nil || s.cfg.RemoveDevices == nil {
		return
	}
	for ctx.Err() == nil {
		changed := s.cfg.Devices.Changed()
		if left := s.left(s.cfg.Devices.Links()); len(left) > 0 {
			if err := s.cfg.RemoveDevices(left...); err != nil {
				s.cfg.Logger.Warn("Open vSwitch removes the devices of bridges one after the other; meanwhile it may forward nothing", "devices", len(left), "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// left returns the devices that vswitchd is about to remove. When one of a
// transaction has gone, vswitchd has seen the transaction, and removes the others
// too: unless somebody made a bridge of the same name again, which may have been
// early enough to keep the device.
func (s *Switch) left(links *plan.Links) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return nil
	}
	var left []int
	s.removals = slices.DeleteFunc(s.removals, func(r removal) bool {
		var there []int
		begun := false
		for name, index := range r {
			_, again := s.actual.Bridges[name]
			switch device, _ := links.Named(name); {
			case device.Index != index:
				begun = true
			case again:
				delete(r, name)
			default:
				there = append(there, index)
			}
		}
		if begun {
			left = append(left, there...)
		}
		return begun || len(r) == 0
	})
	return left
}
