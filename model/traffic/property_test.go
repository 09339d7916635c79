package traffic_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/traffic"
)

// device is a network device of the imagined host with its row, and the truth
// about it.
type device struct {
	network   model.ID // "" is the foreign bridge
	number    int64    // the kernel's
	counted   truth    // what the device counts now
	published truth    // what the accumulator knows of that
	visible   bool     // the statistics column is not empty
	sampled   bool     // it was not, at some time that somebody watched
	port      bool     // its port is in the topology
	unseen    bool     // it came while nobody watched
	baseline  bool     // what it counted until it is seen is not traffic
	restored  bool     // the daemon was restarted, and has not seen it since
}

// truth are bytes as the switch counts them.
type truth struct{ rx, tx int }

// minus returns what counters counted since they were last seen.
func (t truth) minus(last truth) truth {
	since := func(now, last int) int {
		if now < last { // they began anew
			return now
		}
		return now - last
	}
	return truth{since(t.rx, last.rx), since(t.tx, last.tx)}
}

func (t truth) plus(o truth) truth { return truth{t.rx + o.rx, t.tx + o.tx} }

// host is an imagined host that knows what its networks carried.
type host struct {
	accumulator *traffic.Accumulator
	clock       time.Time
	connected   bool
	devices     map[string]*device
	born        int
	networks    map[model.ID]time.Time // when each was made
	totals      map[model.ID]truth
	last        map[model.ID]model.Traffic
	missed      []string // rows that went while nobody watched
	fresh       bool     // the daemon has not had a session yet
	saved       saved
}

// saved is what the file has, and what was true then.
type saved struct {
	state    []byte
	devices  map[string]device
	networks map[model.ID]time.Time
	totals   map[model.ID]truth
}

func (h *host) tick() time.Time {
	h.clock = h.clock.Add(5 * time.Second)
	return h.clock
}

// place tells the topology.
func (h *host) place() {
	bridges := map[model.ID]*traffic.Bridge{"": {}}
	for id := range h.networks {
		bridges[id] = &traffic.Bridge{Network: id}
	}
	for uuid, d := range h.devices {
		if d.port {
			bridges[d.network].Endpoints = append(bridges[d.network].Endpoints, uuid)
		}
	}
	var list []traffic.Bridge
	for _, b := range bridges {
		list = append(list, *b)
	}
	h.accumulator.Place(h.clock, list)
}

// seen says that the accumulator gets a device's newest statistics.
func (h *host) seen(d *device) {
	grown := d.counted.minus(d.published)
	d.published, d.visible, d.sampled = d.counted, true, true
	if d.baseline {
		d.baseline = false
		return
	}
	if _, ours := h.networks[d.network]; ours {
		h.totals[d.network] = h.totals[d.network].plus(grown)
	}
}

func (d *device) row() traffic.Statistics {
	if !d.visible {
		return on(d.number, traffic.Statistics{})
	}
	return on(d.number, stats(d.counted.rx, d.counted.tx))
}

func (h *host) publish(uuids ...string) {
	changed := rows{}
	for _, uuid := range uuids {
		d := h.devices[uuid]
		h.seen(d)
		changed[uuid] = d.row()
	}
	h.accumulator.Publish(h.tick(), changed)
}

// begin opens a session. What vswitchd published while there was none comes
// with the dump.
func (h *host) begin(cleared bool) {
	table := rows{}
	for uuid, d := range h.devices {
		d.visible = d.visible && !cleared
		d.baseline = d.baseline || d.unseen
		d.unseen, d.restored = false, false
		if d.visible {
			h.seen(d)
		}
		table[uuid] = d.row()
	}
	h.accumulator.Begin(table)
	h.connected, h.fresh, h.missed = true, false, nil
}

// resume opens a session with a server that knows what was told last.
func (h *host) resume() {
	changed := rows{}
	for uuid, d := range h.devices {
		d.unseen = false
		if d.visible {
			h.seen(d)
		}
		changed[uuid] = d.row()
	}
	h.accumulator.Forget(h.missed...)
	h.accumulator.Publish(h.tick(), changed)
	h.connected, h.missed = true, nil
}

func (h *host) save() {
	state, err := json.Marshal(h.accumulator.State())
	if err != nil {
		panic(err)
	}
	h.saved = saved{state, map[string]device{}, maps.Clone(h.networks), maps.Clone(h.totals)}
	for uuid, d := range h.devices {
		h.saved.devices[uuid] = *d
	}
}

// restart replaces the daemon by one that knows what was saved last.
func (h *host) restart(rebooted bool) {
	var state traffic.State
	if err := json.Unmarshal(h.saved.state, &state); err != nil {
		panic(err)
	}
	h.accumulator = traffic.New()
	h.accumulator.Restore(state, rebooted)
	h.connected, h.fresh, h.last = false, true, map[model.ID]model.Traffic{}
	for id := range h.networks {
		created, kept := h.saved.networks[id]
		if !kept {
			created = h.clock
		}
		h.networks[id], h.totals[id] = created, h.saved.totals[id]
	}
	for uuid, d := range h.devices {
		was, known := h.saved.devices[uuid]
		if !known || was.network == "" || !was.sampled {
			d.unseen, d.restored, d.sampled, d.published = true, false, false, truth{}
			continue
		}
		d.unseen, d.restored, d.sampled = false, true, true
		d.published, d.baseline = was.published, was.baseline || was.network != d.network
		if rebooted || was.number != d.number {
			d.published = truth{}
		}
	}
	h.place()
}

// move puts a device on another bridge, or none.
func (d *device) move(to model.ID) {
	d.baseline = d.baseline || d.restored && to != d.network
	d.network = to
}

func (h *host) names() []string { return slices.Sorted(maps.Keys(h.devices)) }

func (h *host) places() []model.ID {
	return append([]model.ID{""}, slices.Sorted(maps.Keys(h.networks))...)
}

// draw picks a device, or skips the action when there is none.
func (h *host) draw(t *rapid.T) (string, *device) {
	if len(h.devices) == 0 {
		t.Skip("no device")
	}
	uuid := rapid.SampledFrom(h.names()).Draw(t, "device")
	return uuid, h.devices[uuid]
}

func (h *host) needSession(t *rapid.T) {
	if !h.connected {
		t.Skip("no session")
	}
}

func (h *host) needNoSession(t *rapid.T) {
	if h.connected {
		t.Skip("a session")
	}
}

// number returns a number that no device had.
func (h *host) number() int64 {
	h.born++
	return int64(h.born)
}

func (h *host) actions() map[string]func(*rapid.T) {
	bytes := rapid.IntRange(0, 1000)
	return map[string]func(*rapid.T){
		"": h.check,
		"traffic": func(t *rapid.T) {
			_, d := h.draw(t)
			d.counted = d.counted.plus(truth{bytes.Draw(t, "rx"), bytes.Draw(t, "tx")})
		},
		"publish all": func(t *rapid.T) {
			h.needSession(t)
			h.publish(h.names()...)
		},
		"publish one": func(t *rapid.T) {
			h.needSession(t)
			uuid, _ := h.draw(t)
			h.publish(uuid)
		},
		"make network": func(t *rapid.T) {
			if len(h.networks) == 3 {
				t.Skip("networks enough")
			}
			id := model.ID(fmt.Sprintf("network%02d", h.number()))
			h.networks[id], h.totals[id] = h.tick(), truth{}
			h.place()
		},
		"remove network": func(t *rapid.T) {
			id := rapid.SampledFrom(h.places()).Draw(t, "network")
			if id == "" {
				t.Skip("the foreign bridge stays")
			}
			for _, d := range h.devices {
				if d.network == id {
					d.move("")
				}
			}
			delete(h.networks, id)
			delete(h.totals, id)
			h.place()
		},
		"plug, row first": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.plug(t)
			h.insert(uuid, d)
			h.publish(uuid)
			d.port = true
			h.place()
		},
		"plug, port first": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.plug(t)
			d.port = true
			h.place()
			h.insert(uuid, d)
		},
		"plug without a session": func(t *rapid.T) {
			h.needNoSession(t)
			_, d := h.plug(t)
			d.counted = truth{bytes.Draw(t, "rx"), bytes.Draw(t, "tx")}
			d.port, d.unseen = true, true
			d.visible = rapid.Bool().Draw(t, "visible")
			h.place()
		},
		"unplug, row first": func(t *rapid.T) {
			h.needSession(t)
			uuid, _ := h.draw(t)
			h.accumulator.Forget(uuid)
			delete(h.devices, uuid)
			h.place()
		},
		"unplug, port first": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.draw(t)
			d.port = false
			d.move("")
			h.place()
			h.publish(uuid)
			h.accumulator.Forget(uuid)
			delete(h.devices, uuid)
		},
		"unplug without a session": func(t *rapid.T) {
			h.needNoSession(t)
			uuid, _ := h.draw(t)
			h.missed = append(h.missed, uuid)
			delete(h.devices, uuid)
			h.place()
		},
		"move": func(t *rapid.T) {
			_, d := h.draw(t)
			d.move(rapid.SampledFrom(h.places()).Draw(t, "to"))
			h.place()
		},
		"move with another row": func(t *rapid.T) {
			old, d := h.draw(t)
			if d.unseen || d.restored {
				t.Skip("nobody knows the device")
			}
			delete(h.devices, old)
			uuid, moved := h.plug(t)
			moved.number, moved.counted, moved.port, moved.baseline = d.number, d.counted, true, true
			if h.connected {
				h.accumulator.Forget(old)
				h.insert(uuid, moved)
			} else {
				h.missed = append(h.missed, old)
			}
			h.place()
		},
		"statistics cleared": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.draw(t)
			// The server tells a pair that is removed with its last value.
			s := on(d.number, traffic.Statistics{})
			if d.visible {
				s = on(d.number, stats(d.published.rx, d.published.tx))
			}
			d.visible = false
			h.accumulator.Publish(h.tick(), rows{uuid: s})
		},
		"device restarts": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.draw(t)
			if d.published.rx == 0 || d.published.tx == 0 {
				t.Skip("a restart would not show")
			}
			// What it counted since the last publication is lost. It shows
			// again before it has counted as much as before.
			d.counted = truth{
				rapid.IntRange(0, d.published.rx-1).Draw(t, "rx"),
				rapid.IntRange(0, d.published.tx-1).Draw(t, "tx"),
			}
			d.number = h.number()
			h.publish(uuid)
		},
		"device restarts without a session": func(t *rapid.T) {
			h.needNoSession(t)
			_, d := h.draw(t)
			d.counted, d.published = truth{bytes.Draw(t, "rx"), bytes.Draw(t, "tx")}, truth{}
			d.number = h.number()
		},
		"session lost":           func(*rapid.T) { h.connected = false },
		"session back":           func(*rapid.T) { h.begin(false) },
		"ovsdb-server restarted": func(*rapid.T) { h.begin(true) },
		"session back, found": func(t *rapid.T) {
			h.needNoSession(t)
			if h.fresh {
				t.Skip("the daemon knows no transaction")
			}
			for _, d := range h.devices {
				if d.number > 0 && d.published == (truth{}) && d.counted != (truth{}) && !d.unseen {
					t.Skip("a device restarted, which only shows by lower counters")
				}
			}
			h.resume()
		},
		"saved":          func(*rapid.T) { h.save() },
		"daemon stopped": func(*rapid.T) { h.save(); h.restart(false) },
		"daemon crashed": func(*rapid.T) { h.restart(false) },
		"host rebooted": func(t *rapid.T) {
			for _, d := range h.devices {
				d.counted, d.number, d.visible = truth{bytes.Draw(t, "rx"), bytes.Draw(t, "tx")}, h.number(), true
			}
			h.restart(true)
		},
	}
}

func (h *host) plug(t *rapid.T) (string, *device) {
	d := &device{network: rapid.SampledFrom(h.places()).Draw(t, "network"), number: h.number()}
	uuid := fmt.Sprintf("port%03d", d.number)
	if h.devices[uuid] != nil {
		panic("the row is there")
	}
	h.devices[uuid] = d
	return uuid, d
}

func (h *host) insert(uuid string, d *device) {
	h.accumulator.Publish(h.tick(), rows{uuid: d.row()})
}

// check compares every network's totals with the truth, and with what was told
// before.
func (h *host) check(t *rapid.T) {
	now := h.accumulator.Snapshot(h.clock)
	want := map[model.ID]model.Counters{}
	for id, total := range h.totals {
		want[id] = model.Counters{ReceivedBytes: uint64(total.tx), TransmittedBytes: uint64(total.rx)}
	}
	got := map[model.ID]model.Counters{}
	for id, n := range now {
		got[id] = n.Total
		if !n.Created.Equal(h.networks[id]) {
			t.Errorf("%s was created at %s, want %s", id, n.Created, h.networks[id])
		}
		if n.Rate != nil && (n.Rate.ReceivedBytes < 0 || n.Rate.TransmittedBytes < 0) {
			t.Errorf("%s has the rate %+v", id, *n.Rate)
		}
		before, there := h.last[id]
		if there && before.Created.Equal(n.Created) &&
			(n.Total.ReceivedBytes < before.Total.ReceivedBytes || n.Total.TransmittedBytes < before.Total.TransmittedBytes) {
			t.Errorf("the totals of %s fell from %+v to %+v", id, before.Total, n.Total)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("totals (-truth +got):\n%s", diff)
	}
	h.last = now
}

// TestTotalsAreTheTruth drives an Accumulator through random lives of a host.
func TestTotalsAreTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &host{
			accumulator: traffic.New(),
			clock:       epoch,
			devices:     map[string]*device{},
			networks:    map[model.ID]time.Time{},
			totals:      map[model.ID]truth{},
		}
		h.begin(false)
		h.save()
		t.Repeat(h.actions())
	})
}
