package fleet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	status "github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
)

const (
	// seedVariable chooses whom faults meet and what clients do. faultsVariable chooses
	// the faults: "all" is each of them, and another text those that have it in their
	// names. Else there is one of some kinds each.
	seedVariable   = "ISONET_FLEET_SEED"
	faultsVariable = "ISONET_FLEET_FAULTS"
	allFaults      = "all"
	// defaultSeed makes a failure one of the change that is tested.
	defaultSeed = 1

	// before, meanwhile and afterwards are how many writes have to be acknowledged.
	before, meanwhile, afterwards = 10, 30, 20
)

// fault is something that goes wrong.
type fault struct {
	name string
	// begin returns what ends it.
	begin func(*fleet) func()
	// silent says that nothing can be written meanwhile, and alone that a host has no part
	// in what is.
	silent, alone bool
}

// kinds are all faults. Those of a kind differ in whom they meet.
func kinds() [][]fault {
	return [][]fault{
		ofMembers("dies", func(_ *fleet, m *member) func() {
			m.kill()
			return func() { m.start(); m.awaitMember() }
		}),
		ofMembers("hangs", func(_ *fleet, m *member) func() {
			m.signal(syscall.SIGSTOP)
			return func() { m.signal(syscall.SIGCONT); m.awaitMember() }
		}),
		ofMembers("is cut off", func(f *fleet, m *member) func() {
			f.fabric.isolate(m.node)
			return func() { f.fabric.heal(); m.awaitMember() }
		}),
		ofMembers("is cut off from the other members", func(f *fleet, m *member) func() {
			for _, other := range f.without(m) {
				f.fabric.cut(m.node, other.node)
			}
			return func() { f.fabric.heal(); m.awaitMember() }
		}),
		ofMembers("is lost and replaced", func(f *fleet, m *member) func() {
			m.kill()
			return func() { f.replace(m) }
		}),
		ofMembers("has a full disk", func(f *fleet, m *member) func() {
			m.fillDisk()
			return func() { f.emptyDisk(m) }
		}),
		ofHosts("isonetd of host %d dies", func(_ *fleet, h *host) func() {
			h.Kill()
			return func() { h.Launch(); h.AwaitReady() }
		}),
		ofHosts("isonetd of host %d hangs", func(_ *fleet, h *host) func() {
			h.Process().Signal(h, syscall.SIGSTOP)
			return func() { h.Process().Signal(h, syscall.SIGCONT); h.AwaitReady() }
		}),
		ofHosts("host %d is cut off", func(f *fleet, h *host) func() {
			f.fabric.isolate(h.node)
			return func() { f.fabric.heal(); h.AwaitReady() }
		}),
		ofServer("relay 0", func(f *fleet) *server { return f.relays[0] }, nil),
		ofServer("the status server", func(f *fleet) *server { return f.reports }, func(s *server) {
			s.forget()
			s.createAlone(status.Schema)
		}),
		{silence("the quorum is lost", memberCount/2+1)},
		{silence("all members die", memberCount)},
	}
}

// ofMembers are a fault of each member, and of the one that leads.
func ofMembers(what string, begin func(*fleet, *member) func()) []fault {
	all := []fault{{name: "the leader " + what, begin: func(f *fleet) func() { return begin(f, f.leader()) }}}
	for n := range memberCount {
		all = append(all, fault{name: fmt.Sprintf("member %d %s", n, what), begin: func(f *fleet) func() { return begin(f, f.members[n]) }})
	}
	return all
}

// ofHosts are a fault of a host whose attachments and labels change, and of one whose do
// not.
func ofHosts(what string, begin func(*fleet, *host) func()) []fault {
	var all []fault
	for _, n := range []int{0, hostCount - 1} {
		all = append(all, fault{name: fmt.Sprintf(what, n), alone: true, begin: func(f *fleet) func() { return begin(f, f.hosts[n]) }})
	}
	return all
}

// ofServer are the faults of a server that no write needs. Lose takes its database away;
// nil is for one that has none of its own.
func ofServer(name string, which func(*fleet) *server, lose func(*server)) []fault {
	of := func(what string, begin func(*fleet, *server) func()) fault {
		return fault{name: name + " " + what, begin: func(f *fleet) func() { return begin(f, which(f)) }}
	}
	all := []fault{
		of("dies", func(_ *fleet, s *server) func() {
			s.kill()
			return s.start
		}),
		of("hangs", func(_ *fleet, s *server) func() {
			s.signal(syscall.SIGSTOP)
			return func() { s.signal(syscall.SIGCONT) }
		}),
		of("is cut off", func(f *fleet, s *server) func() {
			f.fabric.isolate(s.node)
			return f.fabric.heal
		}),
	}
	if lose == nil {
		return all
	}
	return append(all, of("is lost", func(_ *fleet, s *server) func() {
		s.kill()
		return func() { lose(s); s.start() }
	}))
}

// silence kills so many members that the others cannot decide anything.
func silence(name string, members int) fault {
	return fault{name: name, silent: true, begin: func(f *fleet) func() {
		dead := f.members[:members]
		for _, m := range dead {
			m.kill()
		}
		return func() {
			for _, m := range dead {
				m.start()
			}
			for _, m := range dead {
				m.awaitMember()
			}
		}
	}}
}

// without returns the other members.
func (f *fleet) without(one *member) []*member {
	return slices.DeleteFunc(slices.Clone(f.members), func(m *member) bool { return m == one })
}

// replace puts a new server with the address of a member that is lost in its place.
func (f *fleet) replace(lost *member) {
	f.Helper()
	f.leader().kick(lost)
	lost.forget()
	lost.join(f.without(lost)...)
}

// emptyDisk lets a member begin anew with room on its disk. Until then it may take part
// in nothing, and Open vSwitch may have damaged its database: then it is replaced.
func (f *fleet) emptyDisk(m *member) {
	f.Helper()
	m.kill()
	m.freeDisk()
	m.start()
	damaged := false
	ovstest.Eventually(f, m.name+" is a member, or ends", func() error {
		select {
		case <-m.process.Ended():
			damaged = true
			return nil
		default:
			return m.isMember()
		}
	})
	if damaged {
		f.Logf("the database of %s is damaged", m.name)
		f.replace(m)
	}
}

// TestFleet lets faults happen one after the other while clients write by the APIs of
// all hosts. No acknowledged write is lost, what the clients were answered has an order
// in which one client alone would be answered the same, all hosts converge, and no
// bridge of a network that nobody changed ever goes away. Meanwhile a label reaches all
// hosts, unless it is a host that is ill or nothing can be written.
func TestFleet(t *testing.T) {
	seed, chosen := choose(t)
	f := newFleet(t)
	h := newHistory(t)
	f.provision()
	bridges := f.bridgesOf("base")
	for n, fault := range chosen {
		begin := time.Now()
		l := &load{fleet: f, history: h, prefix: fmt.Sprint("p", n)}
		l.prepare()
		l.run(seed + uint64(n)) //nolint:gosec // there are few
		l.more(f, before)
		ill, took := time.Now(), time.Duration(0)
		end := fault.begin(f)
		if fault.silent {
			l.refused(f, few)
			ill = time.Now()
		} else {
			l.more(f, meanwhile)
		}
		if !fault.silent && !fault.alone {
			took = l.reachesAll()
		}
		end()
		l.more(f, afterwards)
		gap := h.gap(ill)
		l.end()
		f.converges(l)
		answers := h.counts()
		h.check(fault.name)
		if got := f.bridgesOf("base"); !slices.Equal(got, bridges) {
			t.Errorf("%s: the bridges of base were %v and are %v", fault.name, bridges, got)
		}
		l.cleanUp()
		t.Logf("%-46s longest gap between acknowledged writes %6v, a label reached all hosts in %6v, all of it %7v, answers %v",
			fault.name, gap.Round(time.Millisecond), took.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond), answers)
		if t.Failed() {
			return
		}
	}
}

// unitKinds is of how many kinds of faults a run without a choice has one.
const unitKinds = 6

// choose returns the faults of a run.
func choose(t *testing.T) (seed uint64, chosen []fault) {
	t.Helper()
	seed = defaultSeed
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	which := os.Getenv(faultsVariable)
	t.Logf("%s=%d %s=%q repeats it", seedVariable, seed, faultsVariable, which)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be repeatable
	all := kinds()
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if which == "" {
		all = all[:unitKinds]
	}
	for _, kind := range all {
		for n, pick := 0, random.IntN(len(kind)); n < len(kind); n++ {
			if which == allFaults || which == "" && n == pick || which != "" && strings.Contains(kind[n].name, which) {
				chosen = append(chosen, kind[n])
			}
		}
	}
	if len(chosen) == 0 {
		t.Fatalf("%s: no fault has %q in its name", faultsVariable, which)
	}
	random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return seed, chosen
}
