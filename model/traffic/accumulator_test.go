package traffic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/traffic"
)

// epoch is when the tests begin; at says a number of seconds later.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// rows and stats keep the tests short: stats(rx, tx) are bytes as the switch
// counts them.
type rows = map[string]traffic.Statistics

func stats(rx, tx int) traffic.Statistics {
	return keys{"rx_bytes": rx, "tx_bytes": tx}.statistics()
}

// on are the same statistics, of a certain device.
func on(device int64, s traffic.Statistics) traffic.Statistics {
	s.Device = device
	return s
}

// keys are the pairs of the column.
type keys map[string]int

func (k keys) statistics() traffic.Statistics {
	var s traffic.Statistics
	for key, value := range k {
		s.Set(key, int64(value))
	}
	return s
}

func bridge(network model.ID, endpoints ...string) traffic.Bridge {
	return traffic.Bridge{Network: network, Endpoints: endpoints}
}

// watching returns an Accumulator in the middle of a session in which the
// network red has the ports a and b, with 1000 and 2000 bytes before the
// session.
func watching() *traffic.Accumulator {
	a := traffic.New()
	a.Place(at(0), []traffic.Bridge{bridge("red", "a", "b"), bridge("blue"), bridge("", "uplink")})
	a.Begin(rows{"a": stats(1000, 1000), "b": stats(2000, 2000), "red-local": stats(7, 7), "uplink": stats(9000, 9000)})
	return a
}

func TestTotals(t *testing.T) {
	type totals map[model.ID]model.Counters
	bytes := func(received, transmitted uint64) model.Counters {
		return model.Counters{ReceivedBytes: received, TransmittedBytes: transmitted}
	}
	for _, test := range []struct {
		name   string
		events func(a *traffic.Accumulator)
		want   totals
		resets uint64
	}{{
		name:   "what was counted before the session is not traffic",
		events: func(*traffic.Accumulator) {},
		want:   totals{"red": {}, "blue": {}},
	}, {
		name: "the switch's tx is received and its rx is transmitted",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1200)})
		},
		want: totals{"red": bytes(200, 10), "blue": {}},
	}, {
		name: "a device that tells its own counters receives its rx",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{{Network: "red", Endpoints: []string{"a", "b"}, Own: []string{"b"}}, bridge("blue")})
			a.Publish(at(5), rows{"b": stats(2010, 2200)})
			a.Publish(at(6), rows{"b": stats(2011, 2205), "a": stats(1100, 1000)})
		},
		want: totals{"red": bytes(11, 305), "blue": {}},
	}, {
		name: "every counter has its key",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "new")})
			a.Publish(at(5), rows{"new": keys{
				"tx_bytes": 1, "tx_packets": 2, "tx_dropped": 3, "tx_errors": 4,
				"rx_bytes": 5, "rx_packets": 6, "rx_dropped": 7, "rx_errors": 8, "rx_crc_err": 9,
			}.statistics()})
		},
		want: totals{"red": {
			ReceivedBytes: 1, ReceivedPackets: 2, ReceivedDrops: 3, ReceivedErrors: 4,
			TransmittedBytes: 5, TransmittedPackets: 6, TransmittedDrops: 7, TransmittedErrors: 8,
		}},
	}, {
		name: "empty statistics are no sample",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1010)})
			a.Publish(at(10), rows{"a": {}, "b": {}})
			a.Publish(at(15), rows{"a": stats(1030, 1030)})
		},
		want: totals{"red": bytes(30, 30), "blue": {}},
	}, {
		name: "a missing key is no sample of that counter",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": keys{"rx_bytes": 1010}.statistics()})
			a.Publish(at(10), rows{"a": stats(1020, 1500)})
		},
		want: totals{"red": bytes(500, 20), "blue": {}},
	}, {
		name: "a key that an old port shows only later starts there",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": keys{"rx_packets": 300}.statistics()})
			a.Publish(at(10), rows{"a": keys{"rx_packets": 310}.statistics()})
		},
		want: totals{"red": {TransmittedPackets: 10}, "blue": {}},
	}, {
		name: "a negative value is no sample",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(-1, -1)})
			a.Publish(at(10), rows{"a": stats(1001, 1001)})
		},
		want: totals{"red": bytes(1, 1), "blue": {}},
	}, {
		name: "an old port without statistics starts at its first ones",
		events: func(a *traffic.Accumulator) {
			a.Begin(rows{"a": stats(1000, 1000), "b": stats(2000, 2000), "c": {}})
			a.Place(at(1), []traffic.Bridge{bridge("red", "a", "b", "c")})
			a.Publish(at(5), rows{"c": stats(500, 500)})
			a.Publish(at(10), rows{"c": stats(501, 502)})
		},
		want: totals{"red": bytes(2, 1)},
	}, {
		name: "a lower value is a reset",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Publish(at(10), rows{"a": stats(3, 4)})
			a.Publish(at(15), rows{"a": stats(5, 5)})
		},
		want:   totals{"red": bytes(25, 15), "blue": {}},
		resets: 1,
	}, {
		name: "one counter that wraps does not restart the others",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(7, 1020)})
		},
		want:   totals{"red": bytes(20, 7), "blue": {}},
		resets: 1,
	}, {
		name: "a later port counts from zero",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "a", "b", "c"), bridge("blue")})
			a.Publish(at(1), rows{"c": {}})
			a.Publish(at(5), rows{"c": stats(70, 80)})
		},
		want: totals{"red": bytes(80, 70), "blue": {}},
	}, {
		name: "a later port counts from zero though its statistics come before its place",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"c": stats(70, 80)})
			a.Publish(at(10), rows{"c": stats(71, 82)})
			a.Place(at(11), []traffic.Bridge{bridge("red", "a", "b", "c"), bridge("blue")})
			a.Publish(at(15), rows{"c": stats(72, 83)})
		},
		want: totals{"red": bytes(83, 72), "blue": {}},
	}, {
		name: "a port that is gone keeps its share",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020), "b": stats(2001, 2002)})
			a.Forget("a")
			a.Place(at(6), []traffic.Bridge{bridge("red", "b"), bridge("blue")})
			a.Publish(at(10), rows{"b": stats(2002, 2004)})
		},
		want: totals{"red": bytes(24, 12), "blue": {}},
	}, {
		name: "a port that left its bridge counts no more",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "b"), bridge("blue")})
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Place(at(6), []traffic.Bridge{bridge("red", "b"), bridge("blue", "a")})
			a.Publish(at(10), rows{"a": stats(1011, 1022)})
		},
		want: totals{"red": {}, "blue": bytes(2, 1)},
	}, {
		name: "a port that moves starts anew in the other network",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Place(at(6), []traffic.Bridge{bridge("red", "b"), bridge("blue", "a")})
			a.Publish(at(10), rows{"a": stats(1015, 1021)})
		},
		want: totals{"red": bytes(20, 10), "blue": bytes(1, 5)},
	}, {
		name: "a device that moves with another row starts anew in the other network",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": on(7, stats(1010, 1020))})
			a.Forget("a")
			a.Publish(at(6), rows{"a2": {}})
			a.Place(at(6), []traffic.Bridge{bridge("red", "b"), bridge("blue", "a2")})
			a.Publish(at(7), rows{"a2": on(7, stats(1012, 1021))})
			a.Publish(at(10), rows{"a2": on(7, stats(1015, 1025))})
		},
		want: totals{"red": bytes(20, 10), "blue": bytes(4, 3)},
	}, {
		name: "a new device of the same name is no device that moves",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": on(7, stats(1010, 1020))})
			a.Forget("a")
			a.Place(at(6), []traffic.Bridge{bridge("red", "b"), bridge("blue", "a2")})
			a.Publish(at(7), rows{"a2": on(8, stats(2000, 3000))})
		},
		want: totals{"red": bytes(20, 10), "blue": bytes(3000, 2000)},
	}, {
		name: "a row whose device is another after a lost session counts from zero",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": on(7, stats(1010, 1020))})
			a.Begin(rows{"a": on(8, stats(5000, 6000)), "b": {}})
			a.Publish(at(10), rows{"a": on(8, stats(5001, 6002))})
		},
		want:   totals{"red": bytes(6022, 5011), "blue": {}},
		resets: 1,
	}, {
		name: "a port that comes from a foreign bridge brings nothing along",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"uplink": stats(9500, 9500)})
			a.Place(at(6), []traffic.Bridge{bridge("red", "a", "b", "uplink"), bridge("blue")})
			a.Publish(at(10), rows{"uplink": stats(9501, 9502)})
		},
		want: totals{"red": bytes(2, 1), "blue": {}},
	}, {
		name: "the local port and foreign bridges never count",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"red-local": stats(5000, 5000), "uplink": stats(10000, 10000)})
			a.Publish(at(10), rows{"red-local": stats(6000, 6000), "uplink": stats(11000, 11000)})
		},
		want: totals{"red": {}, "blue": {}},
	}, {
		name: "a network that is removed is forgotten, and starts from zero when it is back",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Place(at(6), []traffic.Bridge{bridge("blue")})
			a.Publish(at(10), rows{"a": stats(1011, 1021)})
			a.Place(at(11), []traffic.Bridge{bridge("blue"), bridge("red", "a")})
			a.Publish(at(15), rows{"a": stats(1014, 1024)})
		},
		want: totals{"red": bytes(3, 3), "blue": {}},
	}, {
		name: "two bridges of one network count together",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "a"), bridge("red", "b")})
			a.Publish(at(5), rows{"a": stats(1001, 1001), "b": stats(2001, 2001)})
		},
		want: totals{"red": bytes(2, 2)},
	}, {
		name: "a new session continues known ports and starts unknown ones where they are",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Place(at(20), []traffic.Bridge{bridge("red", "a", "c"), bridge("blue")})
			a.Begin(rows{"a": stats(1011, 1021), "c": stats(600, 600)})
			a.Publish(at(25), rows{"a": stats(1012, 1022), "c": stats(601, 601)})
		},
		want: totals{"red": bytes(23, 13), "blue": {}},
	}, {
		name: "a port that a new session no longer shows is forgotten",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1010, 1020)})
			a.Begin(rows{"b": stats(2000, 2000)})
			a.Begin(rows{"a": stats(5000, 5000), "b": stats(2000, 2000)})
		},
		want: totals{"red": bytes(20, 10), "blue": {}},
	}, {
		name: "an unplaced old port is counted from the start of the session",
		events: func(a *traffic.Accumulator) {
			a.Begin(rows{"late": stats(100, 100)})
			a.Publish(at(5), rows{"late": stats(101, 102)})
			a.Place(at(6), []traffic.Bridge{bridge("red", "late")})
		},
		want: totals{"red": bytes(2, 1)},
	}} {
		t.Run(test.name, func(t *testing.T) {
			a := watching()
			test.events(a)
			got := totals{}
			for id, traffic := range a.Snapshot(at(30)) {
				got[id] = traffic.Total
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
			if a.Resets() != test.resets {
				t.Errorf("%d resets, want %d", a.Resets(), test.resets)
			}
		})
	}
}

// TestLifeCycle follows one network through all that happens to a host, and
// looks after each step: no total may fall or take the same bytes twice.
func TestLifeCycle(t *testing.T) {
	a := traffic.New()
	second := 0.0
	want := func(step string, received, transmitted uint64) {
		t.Helper()
		total := a.Snapshot(at(second))["red"].Total
		if total.ReceivedBytes != received || total.TransmittedBytes != transmitted {
			t.Errorf("%s: received %d and transmitted %d bytes, want %d and %d",
				step, total.ReceivedBytes, total.TransmittedBytes, received, transmitted)
		}
	}
	place := func(endpoints ...string) {
		second++
		a.Place(at(second), []traffic.Bridge{bridge("red", endpoints...)})
	}
	publish := func(r rows) {
		second += 5
		a.Publish(at(second), r)
	}

	place("vnet0", "vnet1")
	a.Begin(rows{"vnet0": stats(427200, 1000), "vnet1": stats(142400, 1000)})
	want("the daemon starts on a busy host", 0, 0)

	publish(rows{"vnet0": stats(430000, 1500), "vnet1": stats(142500, 1500)})
	want("traffic", 1000, 2900)

	a.Forget("vnet1")
	want("a busy port's row is deleted", 1000, 2900)
	place("vnet0")
	want("a busy port is deleted", 1000, 2900)

	a.Begin(rows{"vnet0": {}})
	want("ovsdb-server restarts: the ephemeral statistics are empty", 1000, 2900)
	publish(rows{"vnet0": stats(430100, 1500)})
	want("vswitchd publishes after the restart of ovsdb-server", 1000, 3000)

	publish(rows{"vnet0": {}})
	want("vswitchd restarts: it clears what it published", 1000, 3000)
	publish(rows{"vnet0": stats(430200, 1510)})
	want("vswitchd restarts: the taps persist", 1010, 3100)

	publish(rows{"vnet0": stats(0, 0)})
	want("vswitchd restarts: the devices are new", 1010, 3100)
	publish(rows{"vnet0": stats(50, 60)})
	want("traffic on the new devices", 1070, 3150)

	a.Begin(rows{"vnet0": stats(50, 60)})
	want("the session reconnects", 1070, 3150)

	a = traffic.New()
	place("vnet0")
	a.Begin(rows{"vnet0": stats(50, 60)})
	want("the daemon restarts", 0, 0)
}

// TestUpdatedBeforeThePlace publishes the only counters of a port before the
// topology shows it, as it happens with one that is plugged in.
func TestUpdatedBeforeThePlace(t *testing.T) {
	a := watching()
	a.Publish(at(5), rows{"early": stats(3, 4), "elsewhere": stats(1, 1)})
	a.Place(at(6), []traffic.Bridge{bridge("red", "a", "b", "early"), bridge("blue"), bridge("", "uplink", "elsewhere")})
	updated := func(now time.Time) map[model.ID]time.Time {
		times := map[model.ID]time.Time{}
		for id, n := range a.Snapshot(now) {
			times[id] = n.Updated
		}
		return times
	}
	if diff := cmp.Diff(map[model.ID]time.Time{"red": at(6), "blue": {}}, updated(at(6))); diff != "" {
		t.Errorf("the networks' last updates (-want +got):\n%s", diff)
	}
	if got := a.Ports(at(6))["early"].Updated; !got.Equal(at(6)) {
		t.Errorf("the port's last update was %s, want %s", got, at(6))
	}
	// Nothing is published of a port that moves.
	a.Place(at(7), []traffic.Bridge{bridge("red", "a", "b"), bridge("blue", "early", "elsewhere"), bridge("", "uplink")})
	if diff := cmp.Diff(map[model.ID]time.Time{"red": at(6), "blue": {}}, updated(at(7))); diff != "" {
		t.Errorf("the last updates after a move (-want +got):\n%s", diff)
	}
}

func TestCreatedAndUpdated(t *testing.T) {
	a := traffic.New()
	a.Place(at(1), []traffic.Bridge{bridge("red", "a")})
	a.Begin(rows{"a": stats(10, 10)})
	a.Publish(at(5), rows{"a": stats(20, 20), "other": stats(1, 1)})
	a.Publish(at(6), rows{"other": stats(2, 2)})
	a.Place(at(7), []traffic.Bridge{bridge("red", "a"), bridge("blue")})
	want := map[model.ID]model.Traffic{
		"red":  {Created: at(1), Updated: at(5), Total: model.Counters{ReceivedBytes: 10, TransmittedBytes: 10}},
		"blue": {Created: at(7)},
	}
	if diff := cmp.Diff(want, a.Snapshot(at(8))); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}

	a.Place(at(8), []traffic.Bridge{bridge("blue")})
	a.Place(at(9), []traffic.Bridge{bridge("blue"), bridge("red")})
	if got := a.Snapshot(at(9))["red"]; got != (model.Traffic{Created: at(9)}) {
		t.Errorf("the network that is back has %+v", got)
	}
}

func TestRate(t *testing.T) {
	for _, test := range []struct {
		name   string
		events func(a *traffic.Accumulator)
		now    float64
		want   *model.Rate
	}{{
		name:   "unknown before a publication",
		events: func(*traffic.Accumulator) {},
		now:    60,
	}, {
		name: "unknown after one publication",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
		},
		now: 6,
	}, {
		name: "over the last two publications",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
			a.Publish(at(20), rows{"a": stats(2010, 2520), "b": stats(2010, 2030)})
		},
		now:  21,
		want: &model.Rate{ReceivedBytes: 5, TransmittedBytes: 2, Interval: 10 * time.Second, Until: at(20)},
	}, {
		name: "still known after two intervals",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
		},
		now:  20,
		want: &model.Rate{ReceivedBytes: 200, TransmittedBytes: 100, Interval: 5 * time.Second, Until: at(10)},
	}, {
		name: "unknown when nothing at all was published for longer",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
		},
		now: 20.1,
	}, {
		name: "zero when only others changed for longer",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
			a.Publish(at(15), rows{"uplink": stats(9999, 9999)})
		},
		now:  20.1,
		want: &model.Rate{Interval: 5 * time.Second, Until: at(15)},
	}, {
		name: "zero no longer when the session is another",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
			a.Publish(at(15), rows{"uplink": stats(9999, 9999)})
			a.Begin(rows{"a": stats(2000, 2500)})
		},
		now: 20.1,
	}, {
		name: "values that are the same are not news",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"a": stats(2000, 2500)})
			a.Publish(at(15), rows{"a": stats(2000, 2500), "uplink": stats(9000, 9000)})
		},
		now: 20.1,
	}, {
		name: "over the last interval of the host after a pause",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(50), rows{"uplink": stats(9999, 9999)})
			a.Publish(at(55), rows{"a": stats(2000, 2500)})
		},
		now:  56,
		want: &model.Rate{ReceivedBytes: 200, TransmittedBytes: 100, Interval: 5 * time.Second, Until: at(55)},
	}, {
		name: "known for longer when vswitchd publishes less often",
		events: func(a *traffic.Accumulator) {
			a.SetInterval(30 * time.Second)
			a.Publish(at(30), rows{"a": stats(1500, 1500)})
			a.Publish(at(60), rows{"a": stats(1800, 2100)})
		},
		now:  119,
		want: &model.Rate{ReceivedBytes: 20, TransmittedBytes: 10, Interval: 30 * time.Second, Until: at(60)},
	}, {
		name: "another network's publication does not count",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "a"), bridge("blue", "b")})
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(10), rows{"b": stats(3000, 3000)})
		},
		now: 11,
	}, {
		name: "a new port's first statistics are no interval of the others",
		events: func(a *traffic.Accumulator) {
			a.Place(at(1), []traffic.Bridge{bridge("red", "a", "c")})
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(9.9), rows{"c": stats(0, 0)})
			a.Publish(at(10), rows{"a": stats(2000, 2000), "c": stats(500, 0)})
		},
		now:  11,
		want: &model.Rate{ReceivedBytes: 100, TransmittedBytes: 200, Interval: 5 * time.Second, Until: at(10)},
	}, {
		name: "a lost session widens the interval",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Begin(rows{"a": stats(1600, 1600), "b": {}})
			a.Publish(at(25), rows{"a": stats(1700, 1700)})
		},
		now:  26,
		want: &model.Rate{ReceivedBytes: 10, TransmittedBytes: 10, Interval: 20 * time.Second, Until: at(25)},
	}, {
		name: "no interval without time",
		events: func(a *traffic.Accumulator) {
			a.Publish(at(5), rows{"a": stats(1500, 1500)})
			a.Publish(at(5), rows{"a": stats(1600, 1600)})
		},
		now: 6,
	}} {
		t.Run(test.name, func(t *testing.T) {
			a := watching()
			test.events(a)
			if diff := cmp.Diff(test.want, a.Snapshot(at(test.now))["red"].Rate); diff != "" {
				t.Errorf("rate (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSnapshotIsTheCallers(t *testing.T) {
	a := watching()
	a.Publish(at(5), rows{"a": stats(1500, 1500)})
	a.Publish(at(10), rows{"a": stats(2000, 2000)})
	before := a.Snapshot(at(10))
	a.Publish(at(15), rows{"a": stats(9000, 9000)})
	want := model.Rate{ReceivedBytes: 100, TransmittedBytes: 100, Interval: 5 * time.Second, Until: at(10)}
	if got := before["red"]; got.Total.ReceivedBytes != 1000 || *got.Rate != want {
		t.Errorf("an older snapshot changed: %+v, rate %+v", got, *got.Rate)
	}
	delete(before, "red")
	if _, ok := a.Snapshot(at(15))["red"]; !ok {
		t.Error("deleting from a snapshot deleted from the accumulator")
	}
}

// TestRestart stops the program in the middle of a session, with 10 and 20
// bytes counted for red, and goes on with what it had saved.
func TestRestart(t *testing.T) {
	usual := []traffic.Bridge{bridge("red", "a", "b"), bridge("blue")}
	for _, test := range []struct {
		name     string
		rebooted bool
		events   func(a *traffic.Accumulator)
		want     map[model.ID]model.Counters
	}{{
		name: "what the ports carried meanwhile is counted",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), usual)
			a.Begin(rows{"a": on(7, stats(1500, 2500)), "b": on(9, stats(2001, 2001))})
			a.Publish(at(65), rows{"a": on(7, stats(1501, 2502))})
		},
		want: map[model.ID]model.Counters{
			"red": {ReceivedBytes: 20 + 1482 + 1, TransmittedBytes: 10 + 491 + 1}, "blue": {},
		},
	}, {
		name: "also when the session shows the ports before their places",
		events: func(a *traffic.Accumulator) {
			a.Begin(rows{"a": on(7, stats(1500, 2500))})
			a.Place(at(60), usual)
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 1480, TransmittedBytes: 10 + 490}, "blue": {}},
	}, {
		name: "a port that came meanwhile starts where it is",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), []traffic.Bridge{bridge("red", "a", "b", "c"), bridge("blue")})
			a.Begin(rows{"a": on(7, stats(1010, 1020)), "b": on(9, stats(2000, 2000)), "c": on(10, stats(700, 800))})
			a.Publish(at(65), rows{"c": on(10, stats(701, 802))})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 2, TransmittedBytes: 10 + 1}, "blue": {}},
	}, {
		name: "a port that went meanwhile keeps its share",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), []traffic.Bridge{bridge("red", "b"), bridge("blue")})
			a.Begin(rows{"b": on(9, stats(2000, 2000))})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20, TransmittedBytes: 10}, "blue": {}},
	}, {
		name: "what a port carried that moved meanwhile belongs to nobody",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), []traffic.Bridge{bridge("red", "b"), bridge("blue", "a")})
			a.Begin(rows{"a": on(7, stats(1500, 2500)), "b": on(9, stats(2000, 2000))})
			a.Publish(at(65), rows{"a": on(7, stats(1501, 2502))})
		},
		want: map[model.ID]model.Counters{
			"red": {ReceivedBytes: 20, TransmittedBytes: 10}, "blue": {ReceivedBytes: 2, TransmittedBytes: 1},
		},
	}, {
		name: "lower counters began anew",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), usual)
			a.Begin(rows{"a": stats(5, 6), "b": stats(2000, 2000)})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 6, TransmittedBytes: 10 + 5}, "blue": {}},
	}, {
		name: "counters of another device began anew though they are higher",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), usual)
			a.Begin(rows{"a": on(8, stats(5000, 6000)), "b": on(9, stats(2000, 2000))})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 6000, TransmittedBytes: 10 + 5000}, "blue": {}},
	}, {
		name:     "all counters began anew when the host was started anew",
		rebooted: true,
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), usual)
			a.Begin(rows{"a": on(7, stats(5000, 6000)), "b": on(9, stats(1, 2))})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 6002, TransmittedBytes: 10 + 5001}, "blue": {}},
	}, {
		name: "statistics that are empty until vswitchd publishes lose nothing",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), usual)
			a.Begin(rows{"a": {}, "b": {}})
			a.Publish(at(65), rows{"a": on(7, stats(1500, 2500)), "b": on(9, stats(2000, 2000))})
		},
		want: map[model.ID]model.Counters{"red": {ReceivedBytes: 20 + 1480, TransmittedBytes: 10 + 490}, "blue": {}},
	}, {
		name: "a network that is gone is forgotten",
		events: func(a *traffic.Accumulator) {
			a.Place(at(60), []traffic.Bridge{bridge("blue")})
			a.Place(at(61), usual)
		},
		want: map[model.ID]model.Counters{"red": {}, "blue": {}},
	}} {
		t.Run(test.name, func(t *testing.T) {
			before := watching()
			before.Publish(at(5), rows{"a": on(7, stats(1010, 1020)), "b": on(9, stats(2000, 2000))})
			a := traffic.New()
			a.Restore(before.State(), test.rebooted)
			test.events(a)
			got := map[model.ID]model.Counters{}
			for id, traffic := range a.Snapshot(at(70)) {
				got[id] = traffic.Total
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRestoredTimes(t *testing.T) {
	before := watching()
	before.Publish(at(5), rows{"a": stats(1010, 1020)})
	a := traffic.New()
	a.Restore(before.State(), false)
	a.Place(at(60), []traffic.Bridge{bridge("red", "a"), bridge("new")})
	want := map[model.ID]model.Traffic{
		"red": {Created: at(0), Updated: at(5), Total: model.Counters{ReceivedBytes: 20, TransmittedBytes: 10}},
		"new": {Created: at(60)},
	}
	if diff := cmp.Diff(want, a.Snapshot(at(61))); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

// TestTheWallClockIsSet: the times that rates are made of keep their monotonic reading,
// which nobody sets and which package time subtracts by.
func TestTheWallClockIsSet(t *testing.T) {
	a, begin := traffic.New(), time.Now()
	a.Place(begin, []traffic.Bridge{bridge("red", "a")})
	a.Begin(rows{"a": stats(1000, 1000)})
	a.Publish(begin.Add(5*time.Second), rows{"a": stats(1500, 1500)})
	a.Publish(begin.Add(10*time.Second), rows{"a": stats(2000, 2500)})
	got := a.Snapshot(begin.Add(11 * time.Second))["red"]
	for name, at := range map[string]time.Time{"updated": got.Updated, "end of the rate": got.Rate.Until} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%s: %s has no monotonic reading", name, at)
		}
	}
}
