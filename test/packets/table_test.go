package packets

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/isolation"
)

// way is a way for frames to leave a bridge.
type way struct {
	// open makes the way out on a bridge.
	open func(*side) exit
	// send sends frames that would leave by it; nil for broadcasts of a.
	send func(*side)
	// found is what isonet finds, where it is not the line's own reason: it
	// belongs to a device that stands in for one that not every kernel can make.
	found isolation.Reason
	// beat waits until Open vSwitch has sent frames of its own again on a bridge
	// without isonet, for ways that need nobody to send anything.
	beat func(plain *side, out exit)
	// refused says that Open vSwitch itself does not take the port.
	refused bool
	// userspace says that there is no such way on the kernel's datapath. It has devices
	// and not their names, and vswitchd gives a port's number to the device that has
	// the name: another one that it still has gets no frames.
	userspace bool
	// settings are of isonet's network: members of its resource in JSON.
	settings []string
	// alone shows the way by itself; then nothing else is set but when.
	alone func(*world)
	// when is which ways are shown at the same time.
	when turn
}

// turn says which ways are shown at the same time.
type turn int

const (
	// together: most of it is waiting for others.
	together turn = iota
	// undisturbed ways need Open vSwitch to send LLDP. Its wait for that begins
	// anew with each change of any configuration, so that among all the others it
	// could wait for ever.
	undisturbed
	// single is a way with a second isonetd in the host's namespace: its guard
	// would take the first one's away.
	single
)

// exit is where the frames of a way out arrive.
type exit struct {
	// count returns how many have.
	count func() int
	// knock sends a frame there past the bridge and waits until it was counted,
	// and with it all that came before. It is nil where counting takes no time.
	knock func()
}

// at is an exit where the frames of a side pass a probe.
func at(s *side, p *ovstest.Probe) exit { return watched(s, p, s.mark()) }

// watched is an exit where a probe counts something else than the mark.
func watched(s *side, p *ovstest.Probe, what string) exit {
	return exit{
		count: func() int { return p.Count(what) },
		knock: func() {
			mark := s.name("knock")
			p.Broadcast(mark, 1)
			p.Await(mark)
		},
	}
}

func (w way) shoot(s *side) {
	if w.send != nil {
		w.send(s)
		return
	}
	s.atA.Broadcast(s.mark(), 10)
}

// leaks shows that frames leave a bridge without isonet.
func (w way) leaks(s *side) exit {
	s.Helper()
	out := w.open(s)
	if w.refused {
		return out
	}
	ovstest.Eventually(s, "frames leave the bridge without isonet", func() error {
		if w.beat == nil {
			w.shoot(s)
		}
		if out.count() == 0 {
			return errors.New("none has arrived")
		}
		return nil
	})
	return out
}

// holds shows that frames do not leave isonet's network, once isonet has judged.
func (w way) holds(s, plain *side, reason isolation.Reason, control exit) {
	s.Helper()
	out := w.open(s)
	s.judged(reason)
	arrived := func() int {
		s.barrier() // all that was sent was forwarded,
		if out.knock != nil {
			out.knock() // and counted
		}
		return out.count()
	}
	before := arrived()
	if w.beat != nil {
		w.beat(plain, control)
	} else {
		for range 5 {
			w.shoot(s)
		}
	}
	if leaked := arrived() - before; leaked != 0 {
		s.Errorf("%d frames left the network", leaked)
	}
	s.connected()
}

// noWays are the lines by which no frame can leave: they tell of VMs that do not
// reach each other, and of what was kept out.
func noWays() []isolation.Reason {
	return []isolation.Reason{
		isolation.OpenChecksums, isolation.DuplicateMAC, isolation.MTULowered, isolation.PortLost, isolation.ForeignMarks,
		isolation.WrongMAC, isolation.OverLimit,
	}
}

// Each line of the table has its packets.
func TestNoFrameLeavesByAnyWayOfTheTable(t *testing.T) {
	w := newWorld(t, 10_000)
	w.addCollector()
	all := ways()
	for _, turn := range []turn{single, undisturbed, together} {
		t.Run(fmt.Sprintf("turn %d", turn), func(t *testing.T) {
			for _, e := range isolation.Table() {
				for _, name := range slices.Sorted(maps.Keys(all[e.Reason])) {
					way := all[e.Reason][name]
					if way.when != turn || way.userspace && inKernel() {
						continue
					}
					t.Run(string(e.Reason)+"/"+name, func(t *testing.T) {
						t.Parallel()
						way.show(w.For(t), e.Reason)
					})
				}
			}
		})
	}
	for _, e := range isolation.Table() {
		if len(all[e.Reason]) == 0 && !slices.Contains(noWays(), e.Reason) {
			t.Errorf("no packets show the line %s of the table: add a way to do so", e.Reason)
		}
	}
	for reason := range all {
		if _, known := isolation.Find(reason); !known {
			t.Errorf("the table has no line %s", reason)
		}
	}
}

func (w way) show(world *world, reason isolation.Reason) {
	world.Helper()
	if w.alone != nil {
		w.alone(world)
		return
	}
	if w.found != "" {
		reason = w.found
	}
	plain := world.plain()
	control := w.leaks(plain)
	w.holds(world.network(w.settings...), plain, reason, control)
}
