package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/wire"
)

func times() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(0, 3), func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Unix(n, 5).UTC()
	})
}

func drawNetworks(t *rapid.T) []wire.NetworkStatus {
	networks := []wire.NetworkStatus{}
	for _, id := range rapid.SliceOfDistinct(rapid.SampledFrom(strings.Split("abcdefgh", "")), rapid.ID).Draw(t, "ids") {
		n := wire.NetworkStatus{
			ID: id, Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name") + id, Since: times().Draw(t, "since"),
			State: rapid.SampledFrom([]string{"active", "error"}).Draw(t, "state"), Ports: []wire.Port{},
		}
		if rapid.Bool().Draw(t, "traffic") {
			n.Traffic = &wire.Traffic{Total: wire.Counters{ReceivedBytes: rapid.Uint64Max(2).Draw(t, "bytes")}}
			n.Ports = append(n.Ports, wire.Port{Name: "vnet0", Traffic: n.Traffic})
		}
		networks = append(networks, n)
	}
	slices.SortFunc(networks, func(a, b wire.NetworkStatus) int { return strings.Compare(a.Name, b.Name) })
	return networks
}

func drawStatus(t *rapid.T) wire.Status {
	s := wire.Status{
		WireVersion: wire.Version, Host: wire.Host{ID: "id", Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host")},
		Connected: rapid.Bool().Draw(t, "connected"), Since: times().Draw(t, "since"), Revision: rapid.Int64Range(0, 2).Draw(t, "revision"),
		Held: []wire.Held{}, LeftGuarded: []string{}, Networks: drawNetworks(t),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "events") {
		s.Events = append(s.Events, wire.Event{Detail: fmt.Sprint(i), Time: times().Draw(t, "time")})
	}
	if rapid.Bool().Draw(t, "held") {
		s.Held = []wire.Held{{Bridge: "x", Ports: []string{"vnet0"}}}
	}
	return s
}

func text(t interface{ Fatal(...any) }, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func apply(t interface{ Fatal(...any) }, r *wire.Replica, line []byte) wire.Status {
	var d wire.Delta
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatal(err)
	}
	s, err := r.Apply(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDeltasTellTheWhole checks that whoever applies the lines has, after each,
// the same JSON as whoever reads the whole status; that there is no line without
// a change; and that no status changes that was told before.
func TestDeltasTellTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var deltas wire.Deltas
		var replica wire.Replica
		var told []wire.Status
		var want []string
		for range rapid.IntRange(1, 8).Draw(t, "statuses") {
			s := drawStatus(t)
			line, err := deltas.Next(s)
			if err != nil {
				t.Fatal(err)
			}
			if same := len(want) > 0 && want[len(want)-1] == text(t, s); same != (line == nil) {
				t.Fatalf("the status is the same: %v, the line is %s", same, line)
			}
			if line == nil {
				continue
			}
			if rapid.Bool().Draw(t, "begin again") {
				deltas, replica = wire.Deltas{}, wire.Replica{}
				if line, err = deltas.Next(s); err != nil {
					t.Fatal(err)
				}
			}
			told, want = append(told, apply(t, &replica, line)), append(want, text(t, s))
		}
		for i, s := range told {
			if diff := cmp.Diff(want[i], text(t, s)); diff != "" {
				t.Fatalf("status %d (-whole +by deltas):\n%s", i, diff)
			}
		}
	})
}

// TestAGapIsSeen checks that a reader does not go on behind a missing line, and
// that a whole status helps.
func TestAGapIsSeen(t *testing.T) {
	var replica wire.Replica
	if _, err := replica.Apply(wire.Delta{Sequence: 2}); !errors.Is(err, wire.ErrGap) {
		t.Errorf("a stream without a beginning: %v", err)
	}
	if _, err := replica.Apply(wire.Delta{Sequence: 1, Status: &wire.Status{}}); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []int64{1, 3} {
		if _, err := replica.Apply(wire.Delta{Sequence: sequence}); !errors.Is(err, wire.ErrGap) {
			t.Errorf("line %d after line 1: %v", sequence, err)
		}
	}
	if s, err := replica.Apply(wire.Delta{Sequence: 9, Status: &wire.Status{Revision: 3}}); err != nil || s.Revision != 3 {
		t.Errorf("a whole status after a gap: %+v, %v", s, err)
	}
}

// many is a status of networks with two ports each. Round changes the traffic.
func many(networks int, round uint64) wire.Status {
	at := time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC)
	s := wire.Status{WireVersion: wire.Version, Host: wire.Host{ID: "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", Name: "node1"}, Connected: true, Since: at}
	traffic := &wire.Traffic{
		Since: at, Updated: at.Add(time.Duration(round) * time.Second), Total: wire.Counters{ReceivedBytes: 123456789 + round, TransmittedBytes: 987654321 + round},
		Rate: &wire.Rate{ReceivedBytes: 1234.5, TransmittedBytes: 5432.1, IntervalSeconds: 5, Until: at},
	}
	for i := range networks {
		n := wire.NetworkStatus{
			ID: fmt.Sprintf("aaaaaaaa-aaaa-4aaa-8aaa-%012d", i), Name: fmt.Sprintf("network%04d", i), Bridge: fmt.Sprintf("network%04d", i),
			MTU: wire.MTU{Wanted: 1500, Actual: 1500}, State: "active", Since: at, Cause: wire.Cause{Explicit: true}, Traffic: traffic,
			Isolation: &wire.Isolation{
				Policy: "enforce", Strict: true, StrictState: "active", HostGuard: &wire.HostGuard{State: "guarded"}, Isolated: true,
				Verdict: "isolated", Since: at, Findings: []wire.Finding{}, Pending: []string{},
			},
		}
		for p := range 2 {
			n.Ports = append(n.Ports, wire.Port{
				Name: fmt.Sprintf("vnet%d", 2*i+p), LinkUp: true, MTU: 1500, VMID: n.ID, IfaceID: n.ID, Denied: &wire.Denied{}, Traffic: traffic,
			})
		}
		s.Networks = append(s.Networks, n)
	}
	return s
}

// BenchmarkWatch compares, for one changed network of 1,000, the bytes of a line
// and what it costs to make: whole statuses, deltas, and deltas when the traffic of
// all networks has gone on meanwhile.
func BenchmarkWatch(b *testing.B) {
	for _, way := range []struct {
		name string
		busy uint64
		make func(*wire.Deltas, wire.Status) ([]byte, error)
	}{
		{"whole", 0, func(_ *wire.Deltas, s wire.Status) ([]byte, error) { return json.Marshal(s) }},
		{"deltas", 0, (*wire.Deltas).Next},
		{"deltas-and-traffic", 1, (*wire.Deltas).Next},
	} {
		b.Run(way.name, func(b *testing.B) {
			statuses := [2]wire.Status{many(1000, 0), many(1000, way.busy)}
			statuses[1].Networks[7].State = "error"
			var deltas wire.Deltas
			if _, err := way.make(&deltas, statuses[1]); err != nil {
				b.Fatal(err)
			}
			bytes, n := 0, 0
			for b.Loop() {
				line, err := way.make(&deltas, statuses[n%2])
				if err != nil {
					b.Fatal(err)
				}
				bytes, n = bytes+len(line), n+1
			}
			b.ReportMetric(float64(bytes)/float64(n), "B/change")
		})
	}
}
