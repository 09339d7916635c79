package faults

import (
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
			return fmt.Sprint(h.Store.Transact(`["Isolated_Networks",{"op":"select","table":"Isolated_Networks","where":[],"columns":["revision"]}]`))
		},
	}
}

func openVSwitch() database {
	return database{
		"Open vSwitch", func(h *hosttest.Host) *hosttest.Wire { return h.ToOVS },
		func(h *hosttest.Host) string { return fmt.Sprint(h.OVS.NextCfg()) },
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

// points are those of a transaction: as many as there are things that isonetd
// and the database can know of each other.
func (d database) points(transaction func(hosttest.Message) bool) []point {
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
		{database: d, name: "has not got the transaction", at: transaction},
		{database: d, name: "gets the transaction afterwards", at: transaction, late: true},
		answered("has made it and not told", false, false),
		answered("has told and not answered", true, false),
		answered("has answered and not told", false, true),
		answered("has told and answered", true, true),
	}
}

// tells says of messages whether they tell of changes and have a text.
func tells(text string) func(hosttest.Message) bool {
	return func(m hosttest.Message) bool { return hosttest.Updates(m) && m.Has(text) }
}

// crash lets isonetd begin a request and kills it at the point. Then it starts
// isonetd again.
func (p point) crash(h *hosttest.Host, stream *hosttest.Stream, request func() <-chan error) {
	h.Helper()
	before := p.revision(h)
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
	stream.Flows(h)
	h.Start()
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
		theStore().points(hosttest.Writes("Attachment")), openVSwitch().points(hosttest.Writes("Bridge")),
		[]point{
			{database: openVSwitch(), name: "has done it and not told", at: tells(`"cur_cfg"`)},
			{database: openVSwitch(), name: "has done it and told", at: tells(`"cur_cfg"`), read: true},
		},
	)
	run(t, all, func(t *testing.T, p point) {
		h := host.For(t)
		red := h.Network("red")
		h.Must("PUT", red, `{"description":"`+p.name+`"}`)
		p.crash(h, stream, func() <-chan error { return h.Go("POST", h.Path()+"/setupnetworks", hosttest.Attaching(blue...)) })
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
		return hosttest.Writes("Host")(m) && !hosttest.Writes("Attachment")(m)
	}
	all := slices.Concat(
		theStore().points(hosttest.Writes("Attachment")), openVSwitch().points(hosttest.Writes("Bridge")), theStore().points(forgetting),
	)
	for i := range all[len(all)-6:] {
		all[len(all)-6+i].name += " that it is over"
	}
	run(t, all, func(t *testing.T, p point) {
		h := host.For(t)
		h.Attach("blue")
		h.OVS.Plug(vm, "blue")
		h.Await("the port is known", func(s hosttest.Status) bool { return s.Ports("blue") == 1 })
		p.crash(h, stream, func() <-chan error { return h.Go("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue")) })
		h.Converges(h.Attached()...)
		if len(h.Attached()) > 1 {
			h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching("blue"))
		}
		h.Converges("red")
		// What was allowed for that write is not for another one.
		h.Attach("blue")
		h.OVS.Plug(vm, "blue")
		h.Await("the port is known", func(s hosttest.Status) bool { return s.Ports("blue") == 1 })
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
	for i, name := range []string{"is not taken back", "is taken back afterwards"} {
		t.Run(name, func(t *testing.T) {
			h := host.For(t)
			h.OVS.SignalVSwitchd(syscall.SIGSTOP)
			p := point{database: theStore(), name: name, at: undo(), late: i == 1}
			body := strings.Replace(hosttest.Attaching(blue...), "{", `{"connectivity_timeout":"1",`, 1)
			gate := p.wire(h).Hold(h, p.name, p.at, nil)
			reply := h.Go("POST", h.Path()+"/setupnetworks", body)
			gate.Await()
			h.Kill()
			if err := <-reply; err == nil {
				t.Error("the write was acknowledged")
			}
			if before := p.revision(h); p.late {
				gate.Pass()
				ovstest.Eventually(t, "the transaction arrives", func() error {
					if p.revision(h) == before {
						return fmt.Errorf("it is still %s", before)
					}
					return nil
				})
			}
			gate.Drop()
			p.wire(h).Spoil(nil)
			h.OVS.SignalVSwitchd(syscall.SIGCONT)
			h.Start()
			want := []string{"red"}
			if !p.late {
				want = append(want, blue...) // nobody was there to take it back
			}
			h.Converges(want...)
			if !p.late {
				h.Must("POST", h.Path()+"/setupnetworks", hosttest.Detaching(blue...))
			}
		})
	}
}

// TestCrashAtEveryPointOfTheFirstStart kills isonetd while it makes the first
// rows of its database and itself known.
func TestCrashAtEveryPointOfTheFirstStart(t *testing.T) {
	t.Parallel()
	root := func(m hosttest.Message) bool {
		return hosttest.Writes("Isolated_Networks")(m) && !hosttest.Writes("Host")(m)
	}
	run(t, slices.Concat(
		theStore().points(root), openVSwitch().points(hosttest.Writes("Open_vSwitch")), theStore().points(hosttest.Writes("Host")),
	), func(t *testing.T, p point) {
		t.Parallel()
		h := newHost(t)
		gate := p.wire(h).Hold(h, p.name, p.at, p.lost)
		h.Launch()
		gate.Await()
		if p.read {
			gate.Pass()
		}
		h.Kill()
		if p.late {
			gate.Pass()
		}
		gate.Drop()
		p.wire(h).Spoil(nil)
		h.Start()
		if hosts, _ := h.Must("GET", "/hosts", "")["host"].([]any); len(hosts) != 1 {
			t.Errorf("the hosts are %v", hosts)
		}
		h.Create("red")
		h.Attach("red")
		h.Converges("red")
	})
}
