package ovs

import (
	"context"
	"reflect"
	"slices"
	"time"

	isonet "github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovs/counters"
	"github.com/isonet/isonet/ovs/totals"
)

// placeRest is how long the counters wait until they are told what is where. It is
// little beside the interval in which vswitchd counts.
const placeRest = 20 * time.Millisecond

// restore goes on from the totals that were saved before the program ended. The
// function that it returns saves them again.
func (s *Switch) restore() (save func()) {
	if s.cfg.Totals == "" {
		return func() {}
	}
	file := totals.Open(s.cfg.Totals, s.cfg.Logger)
	s.traffic.Restore(file.Load())
	return func() { file.Save(s.traffic.State()) }
}

// every calls do after every interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// count feeds the accumulator until ctx ends. It begins with the first
// topology: what was counted while the program did not run belongs to the
// networks that the ports were in, if they still are.
func (s *Switch) count(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.placed:
	}
	counters.Follow(ctx, counters.Config{Endpoints: s.cfg.Endpoints, Logger: s.cfg.Logger}, s.publishStatistics)
}

func (s *Switch) publishStatistics(u counters.Update) {
	s.traffic.SetInterval(u.Interval)
	if u.Whole {
		s.traffic.Begin(u.Rows)
		return
	}
	s.traffic.Forget(u.Gone...) // first: a device may move to another row
	s.traffic.Publish(time.Now(), u.Rows)
}

// place tells the accumulator which interfaces are on which network, whenever that
// changes, until ctx ends. A network keeps its totals while it has no bridge, if it
// is to get one again. Nothing else waits for it.
func (s *Switch) place(ctx context.Context) {
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-s.placing:
		}
		select { // what is out of place may have to be repaired, and that goes first
		case <-ctx.Done():
			return
		case <-time.After(placeRest):
		}
		actual, _ := s.Actual()
		bridges := make([]traffic.Bridge, 0, len(actual.Bridges))
		for _, b := range actual.Bridges {
			place := counted(b)
			place.Network = s.cfg.Owner(b) // it may have been decided since
			bridges = append(bridges, place)
		}
		s.traffic.Place(time.Now(), append(bridges, s.awaited(actual.SystemID)...))
		if first {
			close(s.placed)
		}
	}
}

// counted returns which interfaces count for a bridge. Of an internal device Linux
// 4.3 and later tell its own counters, and the kernel's datapath passes them on as
// they are.
func counted(b plan.Bridge) traffic.Bridge {
	place := traffic.Bridge{Network: b.Network}
	inKernel := b.DatapathType == "" || b.DatapathType == plan.KernelDatapath
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			place.Endpoints = append(place.Endpoints, i.UUID)
			if inKernel && i.Type == "internal" {
				place.Own = append(place.Own, i.UUID)
			}
		}
	}
	return place
}

// moved reports whether interfaces or networks are elsewhere than before on any of
// these bridges.
func moved(before, after *plan.Actual, bridges []string) bool {
	return before == nil || slices.ContainsFunc(bridges, func(name string) bool {
		old, now := before.Bridges[name], after.Bridges[name]
		return old.UUID != now.UUID || !reflect.DeepEqual(counted(old), counted(now))
	})
}

// awaited returns the networks with totals that are to be on the host, with or
// without a bridge.
func (s *Switch) awaited(systemID string) []traffic.Bridge {
	if s.cfg.Wanted == nil {
		return nil
	}
	var bridges []traffic.Bridge
	wanted, known := s.cfg.Wanted(systemID)
	for id := range s.Traffic() {
		if wanted[id] || !known {
			bridges = append(bridges, traffic.Bridge{Network: id})
		}
	}
	return bridges
}

// Traffic returns the traffic of every network that has a bridge, or had one
// and is to get it again.
func (s *Switch) Traffic() map[isonet.ID]isonet.Traffic {
	return s.traffic.Snapshot(time.Now())
}
