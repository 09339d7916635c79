package traffic_test

import (
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

// device is a network device of the imagined host, with the truth about it.
type device struct {
	network   model.ID // "" is the foreign bridge
	counted   truth    // what the device counts now
	published truth    // what vswitchd last wrote
	visible   bool     // the statistics column is not empty
	baseline  bool     // nothing of it was seen yet and it is not new
	row       bool     // its row is in the table
	port      bool     // its port is in the topology
}

// truth are bytes as the switch counts them.
type truth struct{ rx, tx int }

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

// seen says that the accumulator gets a device's newest statistics, grown by
// delta since it last did.
func (h *host) seen(d *device, delta truth) {
	if d.baseline {
		d.baseline = false
		return
	}
	if _, ours := h.networks[d.network]; !ours {
		return
	}
	t := h.totals[d.network]
	h.totals[d.network] = truth{t.rx + delta.rx, t.tx + delta.tx}
}

func (h *host) publish(uuids ...string) {
	changed := rows{}
	for _, uuid := range uuids {
		d := h.devices[uuid]
		if !d.row {
			continue
		}
		h.seen(d, truth{d.counted.rx - d.published.rx, d.counted.tx - d.published.tx})
		d.published, d.visible = d.counted, true
		changed[uuid] = stats(d.counted.rx, d.counted.tx)
	}
	h.accumulator.Publish(h.tick(), changed)
}

// begin opens a session. What vswitchd published while there was none comes
// with the dump.
func (h *host) begin(cleared bool) {
	table := rows{}
	for uuid, d := range h.devices {
		switch {
		case !d.row:
		case cleared || !d.visible:
			d.visible, table[uuid] = false, traffic.Statistics{}
		default:
			h.seen(d, truth{d.counted.rx - d.published.rx, d.counted.tx - d.published.tx})
			d.published = d.counted
			table[uuid] = stats(d.counted.rx, d.counted.tx)
		}
	}
	h.accumulator.Begin(table)
	h.connected = true
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

func (h *host) actions() map[string]func(*rapid.T) {
	bytes := rapid.IntRange(0, 1000)
	return map[string]func(*rapid.T){
		"": h.check,
		"traffic": func(t *rapid.T) {
			_, d := h.draw(t)
			d.counted.rx += bytes.Draw(t, "rx")
			d.counted.tx += bytes.Draw(t, "tx")
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
			id := rapid.SampledFrom([]model.ID{"red", "green", "blue"}).Draw(t, "network")
			if _, there := h.networks[id]; there {
				t.Skip("the network is there")
			}
			h.networks[id], h.totals[id] = h.tick(), truth{}
			h.place()
		},
		"remove network": func(t *rapid.T) {
			id := rapid.SampledFrom(h.places()).Draw(t, "network")
			if id == "" {
				t.Skip("the foreign bridge stays")
			}
			delete(h.networks, id)
			delete(h.totals, id)
			for _, d := range h.devices {
				if d.network == id {
					d.network = ""
				}
			}
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
			if h.connected {
				t.Skip("a session")
			}
			_, d := h.plug(t)
			d.counted = truth{bytes.Draw(t, "rx"), bytes.Draw(t, "tx")}
			d.row, d.port, d.baseline = true, true, true
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
			d.port, d.network = false, ""
			h.place()
			h.publish(uuid)
			h.accumulator.Forget(uuid)
			delete(h.devices, uuid)
		},
		"unplug without a session": func(t *rapid.T) {
			if h.connected {
				t.Skip("a session")
			}
			uuid, _ := h.draw(t)
			delete(h.devices, uuid)
			h.place()
		},
		"move": func(t *rapid.T) {
			_, d := h.draw(t)
			d.network = rapid.SampledFrom(h.places()).Draw(t, "to")
			h.place()
		},
		"statistics cleared": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.draw(t)
			d.visible = false
			h.accumulator.Publish(h.tick(), rows{uuid: {}})
		},
		"device restarts": func(t *rapid.T) {
			h.needSession(t)
			uuid, d := h.draw(t)
			if !d.row || d.published.rx == 0 || d.published.tx == 0 {
				t.Skip("a restart would not show")
			}
			// What it counted since the last publication is lost. It shows
			// again before it has counted as much as before.
			d.counted = truth{
				rapid.IntRange(0, d.published.rx-1).Draw(t, "rx"),
				rapid.IntRange(0, d.published.tx-1).Draw(t, "tx"),
			}
			if !d.baseline {
				d.published = truth{}
			}
			h.publish(uuid)
		},
		"session lost":           func(*rapid.T) { h.connected = false },
		"session back":           func(*rapid.T) { h.begin(false) },
		"ovsdb-server restarted": func(*rapid.T) { h.begin(true) },
	}
}

func (h *host) plug(t *rapid.T) (string, *device) {
	h.born++
	d := &device{network: rapid.SampledFrom(h.places()).Draw(t, "network")}
	uuid := fmt.Sprintf("port%02d", h.born)
	h.devices[uuid] = d
	return uuid, d
}

func (h *host) insert(uuid string, d *device) {
	d.row = true
	h.accumulator.Publish(h.tick(), rows{uuid: {}})
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
		t.Repeat(h.actions())
	})
}
