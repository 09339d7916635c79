package traffic_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/traffic"
)

func TestPorts(t *testing.T) {
	a := traffic.New()
	a.Begin(rows{"old": stats(1000, 1000), "foreign": stats(1, 1)})
	a.Place(at(1), []traffic.Bridge{bridge("red", "old", "new", "mover"), bridge("blue"), bridge("", "foreign")})
	a.Publish(at(5), rows{"old": stats(1010, 1020), "new": stats(3, 4), "mover": stats(5, 6), "foreign": stats(7, 7)})
	carried := func(network model.ID, created, updated float64, received, transmitted uint64) model.PortTraffic {
		return model.PortTraffic{Network: network, Traffic: model.Traffic{
			Created: at(created), Updated: at(updated),
			Total: model.Counters{ReceivedBytes: received, TransmittedBytes: transmitted},
		}}
	}
	want := map[string]model.PortTraffic{
		"old": carried("red", 1, 5, 20, 10), "new": carried("red", 5, 5, 4, 3), "mover": carried("red", 5, 5, 6, 5),
	}
	if diff := cmp.Diff(want, a.Ports(at(5))); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}

	a.Forget("old")
	a.Place(at(7), []traffic.Bridge{bridge("red", "new"), bridge("blue", "mover"), bridge("", "foreign")})
	a.Publish(at(10), rows{"new": stats(1, 1), "mover": stats(15, 26)}) // new was reset
	want = map[string]model.PortTraffic{"new": carried("red", 5, 10, 5, 4), "mover": carried("blue", 7, 10, 20, 10)}
	if diff := cmp.Diff(want, a.Ports(at(10))); diff != "" {
		t.Errorf("ports after a move, a reset and an end (-want +got):\n%s", diff)
	}

	a.Place(at(11), []traffic.Bridge{bridge("", "foreign")})
	a.Place(at(12), []traffic.Bridge{bridge("red", "new"), bridge("", "foreign")})
	want = map[string]model.PortTraffic{"new": {Network: "red", Traffic: model.Traffic{Created: at(12)}}}
	if diff := cmp.Diff(want, a.Ports(at(12))); diff != "" {
		t.Errorf("ports after their network was made anew (-want +got):\n%s", diff)
	}
}

// TestPortRate follows the rates of two ports: each has its own, over the same
// intervals as its network.
func TestPortRate(t *testing.T) {
	a := watching()
	rate := func(received, transmitted, interval, until float64) *model.Rate {
		return &model.Rate{
			ReceivedBytes: received, TransmittedBytes: transmitted,
			Interval: time.Duration(interval * float64(time.Second)), Until: at(until),
		}
	}
	for _, step := range []struct {
		name   string
		at     float64
		events func(now time.Time)
		a, b   *model.Rate
	}{
		{"before a publication", 1, func(time.Time) {}, nil, nil},
		{"one publication is no interval", 5, func(now time.Time) {
			a.Publish(now, rows{"a": stats(1100, 1100), "b": stats(2100, 2100)})
		}, nil, nil},
		{"two are one", 10, func(now time.Time) {
			a.Publish(now, rows{"a": stats(1150, 1600), "b": stats(2105, 2110)})
		}, rate(100, 10, 5, 10), rate(2, 1, 5, 10)},
		{"a port without news keeps its rate for two intervals", 16, func(now time.Time) {
			a.Publish(now, rows{"a": stats(1156, 1612)})
		}, rate(2, 1, 6, 16), rate(2, 1, 5, 10)},
		{"and then has none", 21, func(now time.Time) {
			a.Publish(now, rows{"a": stats(1161, 1617)})
		}, rate(1, 1, 5, 21), rate(0, 0, 5, 21)},
		{"its next interval began when it was last missing", 26, func(now time.Time) {
			a.Publish(now, rows{"a": stats(1166, 1622), "b": stats(2155, 2210)})
		}, rate(1, 1, 5, 26), rate(20, 10, 5, 26)},
		{"a port that moves begins anew", 31, func(now time.Time) {
			a.Place(at(27), []traffic.Bridge{bridge("red", "a"), bridge("blue", "b")})
			a.Publish(now, rows{"a": stats(1171, 1627), "b": stats(3000, 3000)})
		}, rate(1, 1, 5, 31), nil},
		{"nobody knows when nothing is published", 60, func(time.Time) {}, nil, nil},
	} {
		step.events(at(step.at))
		ports := a.Ports(at(step.at))
		if diff := cmp.Diff(step.a, ports["a"].Rate); diff != "" {
			t.Errorf("%s: the rate of a (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.b, ports["b"].Rate); diff != "" {
			t.Errorf("%s: the rate of b (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestPortsNeverFall plugs ports in and out, moves and resets them. What a port
// carried never falls unless it began anew, and the ports of a network never
// carried more than the network.
func TestPortsNeverFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := traffic.New()
		a.Begin(rows{"port0": stats(100, 100)})
		places := map[string]string{}
		last := map[string]model.PortTraffic{}
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now := at(float64(step))
			uuid := fmt.Sprintf("port%d", rapid.IntRange(0, 3).Draw(t, "port"))
			switch rapid.IntRange(0, 3).Draw(t, "event") {
			case 0:
				places[uuid] = rapid.SampledFrom([]string{"", "red", "blue"}).Draw(t, "network")
			case 1:
				delete(places, uuid)
				a.Forget(uuid)
			case 2: // the network may lose its bridge
				for port, network := range places {
					if network == "red" {
						delete(places, port)
					}
				}
			case 3:
				a.Publish(now, rows{uuid: stats(rapid.IntRange(0, 1000).Draw(t, "rx"), rapid.IntRange(0, 1000).Draw(t, "tx"))})
			}
			byNetwork := map[string][]string{}
			for port, network := range places {
				byNetwork[network] = append(byNetwork[network], port)
			}
			var bridges []traffic.Bridge
			for network, ports := range byNetwork {
				bridges = append(bridges, bridge(model.ID(network), ports...))
			}
			a.Place(now, bridges)

			ports, networks, sums := a.Ports(now), a.Snapshot(now), map[model.ID]model.Counters{}
			for port, p := range ports {
				sums[p.Network] = sums[p.Network].Plus(p.Total)
				if string(p.Network) != places[port] {
					t.Fatalf("%s is on %q, want %q", port, p.Network, places[port])
				}
				before, known := last[port]
				same := known && before.Network == p.Network && before.Created.Equal(p.Created)
				if same && (p.Total.ReceivedBytes < before.Total.ReceivedBytes || p.Total.TransmittedBytes < before.Total.TransmittedBytes) {
					t.Fatalf("%s fell from %+v to %+v", port, before, p)
				}
			}
			for id, sum := range sums {
				total := networks[id].Total
				if sum.ReceivedBytes > total.ReceivedBytes || sum.TransmittedBytes > total.TransmittedBytes {
					t.Fatalf("the ports of %s carried %+v, the network %+v", id, sum, total)
				}
			}
			last = ports
		}
	})
}
