package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// database is one of the two that isonetd writes to.
type database struct {
	name string
	wire func(*hosttest.Host) *hosttest.Wire
	// revision changes with each transaction of isonetd's.
	revision func(*hosttest.Host) string
}

func theStore() database {
	return database{
		"the store", func(h *hosttest.Host) *hosttest.Wire { return h.ToStore },
		func(h *hosttest.Host) string {
			return fmt.Sprint(h.Store.Transact(`["Isolated_Networks",{"op":"select","table":"Isolated_Networks","where":[],"columns":["revision"]},
				{"op":"select","table":"Host","where":[],"columns":["_version"]}]`))
		},
	}
}

func openVSwitch() database {
	return database{
		"Open vSwitch", func(h *hosttest.Host) *hosttest.Wire { return h.ToOVS },
		func(h *hosttest.Host) string { return fmt.Sprint(h.OVS.Versions()["Open_vSwitch"]) },
	}
}

// point is a step of a write at which isonetd dies: a message on one of its
// wires.
type point struct {
	database
	name string
	at   func(hosttest.Message) bool
	// lost are messages before it that never arrive.
	lost func(hosttest.Message) bool
	// late says that the message arrives after isonetd has died.
	late bool
	// read says that it arrives just before.
	read bool
}

// points are those of a transaction, which is what: as many as there are things
// that isonetd and the database can know of each other.
func (d database) points(what string, transaction func(hosttest.Message) bool) []point {
	// answered returns the point of the answer to the transaction.
	answered := func(name string, told, read bool) point {
		begun := false
		p := point{database: d, name: name, read: read, at: func(m hosttest.Message) bool {
			begun = begun || transaction(m)
			return begun && hosttest.Answers(m)
		}}
		if !told {
			p.lost = func(m hosttest.Message) bool { return begun && hosttest.Updates(m) }
		}
		return p
	}
	return []point{
		{database: d, name: "has not got " + what, at: transaction},
		{database: d, name: "gets " + what + " afterwards", at: transaction, late: true},
		answered("has made "+what+" and not told", false, false),
		answered("has told of "+what+" and not answered", true, false),
		answered("has answered to "+what+" and not told", false, true),
		answered("has told of and answered to "+what, true, true),
	}
}

// tells says of messages whether they tell of changes and have a text.
func tells(text string) func(hosttest.Message) bool {
	return func(m hosttest.Message) bool { return hosttest.Updates(m) && m.Has(text) }
}

// die lets isonetd begin a request and kills it at the point.
func (p point) die(h *hosttest.Host, request func() <-chan error) {
	h.Helper()
	gate := p.wire(h).Hold(h, p.name, p.at, p.lost)
	reply := request()
	gate.Await()
	if p.read {
		gate.Pass()
	}
	h.Kill()
	if err := <-reply; err == nil && !p.read {
		h.Error("the write was answered although it was under way")
	}
	if p.late {
		before := p.revision(h)
		gate.Pass()
		ovstest.Eventually(h, "the transaction arrives", func() error {
			if p.revision(h) == before {
				return fmt.Errorf("it is still %s", before)
			}
			return nil
		})
	}
	gate.Drop()
	p.wire(h).Spoil(nil)
}

// run runs a test for each point, in its turn.
func run(t *testing.T, points []point, test func(*testing.T, point)) {
	for _, p := range points {
		t.Run(p.database.name+" "+p.name, func(t *testing.T) { test(t, p) })
	}
}

// TestCrashAtEveryPointOfAnAttach kills isonetd wherever a write can be that
// attaches three networks. Afterwards they are all there or none, what was
// acknowledged before is there, and no frame of another network is lost.
func TestCrashAtEveryPointOfAnAttach(t *testing.T) {
	t.Parallel()
	host, stream := start(t)
	blue := []string{"blue1", "blue2", "blue3"}
	host.Create(blue...)
	all := slices.Concat(
		theStore().points("the change", hosttest.Writes("Attachment")), openVSwitch().points("the change", hosttest.Writes("Bridge")),
		[]point{
			{database: openVSwitch(), name: "has done it and not told", at: tells(`"cur_cfg"`)},
			{database: openVSwitch(), name: "has done it and told", at: tells(`"cur_cfg"`), read: true},
		},
	)
	run(t, all, func(t *testing.T, p point) {
		h := host.For(t)
		red := h.Network("red")
		h.Must("PUT", red, `{"description":"`+p.name+`"}`)
		p.die(h, func() <-chan error { return h.Go("POST", h.Path()+"/setupnetworks", hosttest.Attaching(blue...)) })
		stream.Flows(t)
		h.Start()
		if got := h.Must("GET", red, "")["description"]; got != p.name {
			t.Errorf("an acknowledged description is %v", got)
		}
		want := []string{"red"}
		if len(h.Attached()) > 1 {
			want = append(want, blue...)
		}
		h.Converges(want...)
		// The client that got no answer asks again.
		h.Attach(blue...)
		h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching(blue...))
		h.Converges("red")
	})
	stream.Complete()
}

// TestCrashAtEveryPointOfADetach does so with a write that takes a network away
// whose ports are in use, which also is two transactions of the store.
func TestCrashAtEveryPointOfADetach(t *testing.T) {
	t.Parallel()
	host, stream := start(t)
	vm := host.OVS.NewVM("vm-c", "10.0.1.1/24")
	host.Create("blue")
	forgetting := func(m hosttest.Message) bool {
		return hosttest.Writes("Host")(m) && !m.Has(`"op":"delete","table":"Attachment"`) // it rests on attachments, and has none to remove
	}
	all := slices.Concat(
		theStore().points("the change", hosttest.Writes("Attachment")), openVSwitch().points("the change", hosttest.Writes("Bridge")),
		theStore().points("the end of the force", forgetting),
	)
	run(t, all, func(t *testing.T, p point) {
		h := host.For(t)
		h.Attach("blue")
		h.OVS.Vsctl("--may-exist", "add-port", "blue", vm.Device) // it comes back by itself when it was there before
		h.Await("the port is in use", func(s hosttest.Status) bool { return s.Live("blue") == 1 })
		p.die(h, func() <-chan error { return h.Go("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue")) })
		stream.Flows(t)
		h.Start()
		h.Converges(h.Attached()...)
		if len(h.Attached()) > 1 {
			h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue"))
		}
		h.Converges("red")
		// What was allowed for that write is not for another one.
		h.Attach("blue")
		h.OVS.Vsctl("--may-exist", "add-port", "blue", vm.Device) // it comes back by itself when it was there before
		h.Await("the port is in use", func(s hosttest.Status) bool { return s.Live("blue") == 1 })
		gently := strings.Replace(hosttest.Detaching("blue"), `"force":"true",`, "", 1)
		if reply := h.Answer("POST", h.Path()+"/setupnetworks", gently); reply.Code != 409 {
			t.Errorf("detaching a network in use: %v", reply)
		}
		h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue"))
		h.Converges("red")
	})
	stream.Complete()
}

// TestCrashAtEveryPointOfTakingBack does so with a write that Open vSwitch does
// not realise in its time, because vswitchd hangs.
func TestCrashAtEveryPointOfTakingBack(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	host.Start()
	blue := []string{"blue1", "blue2", "blue3"}
	host.Create("red")
	host.Create(blue...)
	host.Attach("red")
	undo := func() func(hosttest.Message) bool { // the second of the two
		seen := 0
		return func(m hosttest.Message) bool {
			if hosttest.Writes("Attachment")(m) {
				seen++
			}
			return seen > 1 && hosttest.Writes("Attachment")(m)
		}
	}
	run(t, []point{
		{database: theStore(), name: "does not take it back", at: undo()},
		{database: theStore(), name: "takes it back afterwards", at: undo(), late: true},
	}, func(t *testing.T, p point) {
		h := host.For(t)
		h.OVS.SignalVSwitchd(syscall.SIGSTOP)
		body := strings.Replace(hosttest.Attaching(blue...), "{", `{"connectivity_timeout":"1",`, 1)
		p.die(h, func() <-chan error { return h.Go("POST", h.Path()+"/setupnetworks", body) })
		h.OVS.SignalVSwitchd(syscall.SIGCONT)
		h.Start()
		if p.late {
			h.Converges("red")
			return
		}
		h.Converges(append([]string{"red"}, blue...)...) // nobody was there to take it back
		h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching(blue...))
	})
}

// TestCrashAtEveryPointOfTheFirstStart kills isonetd while it makes the first
// rows of its database and itself known.
func TestCrashAtEveryPointOfTheFirstStart(t *testing.T) {
	t.Parallel()
	root := func(m hosttest.Message) bool {
		return hosttest.Writes("Isolated_Networks")(m) && !hosttest.Writes("Host")(m)
	}
	run(t, slices.Concat(
		theStore().points("the first row", root), openVSwitch().points("the system-id", hosttest.Writes("Open_vSwitch")),
		theStore().points("the host", hosttest.Writes("Host")),
	), func(t *testing.T, p point) {
		t.Parallel()
		h := newHost(t)
		h.OVS.Vsctl("remove", "Open_vSwitch", ".", "external_ids", "system-id")
		p.die(h, func() <-chan error {
			h.Launch()
			nobody := make(chan error, 1)
			nobody <- errors.New("nobody asked")
			return nobody
		})
		h.Start()
		if hosts, _ := h.Must("GET", "/hosts", "")["host"].([]any); len(hosts) != 1 {
			t.Errorf("the hosts are %v", hosts)
		}
		h.Create("red")
		h.Attach("red")
		h.Converges("red")
	})
}
