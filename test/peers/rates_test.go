package peers

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestRatesAreTheGenerators compares the rates that Prometheus makes of the
// counters with what a generator sent.
func TestRatesAreTheGenerators(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.addNetwork()
	vm1, vm2 := h.newVM("vm1", "10.0.0.1/24"), h.newVM("vm2", "10.0.0.2/24")
	h.OVS.Plug(vm1, "red")
	h.OVS.Plug(vm2, "red")
	s := newServer(h, asItIs, "--enable-feature=native-histograms") // which makes it ask for protobuf
	s.settles("before any traffic", nil, vm1, vm2)

	f := flow{perSecond: 500, size: 1000}
	f.frames = 35 * f.perSecond
	start := send(t, vm1, vm2, f)
	s.settles("after the traffic", nil, vm1, vm2)
	// Open vSwitch publishes every five seconds, and later on a busy machine, so a
	// counter is a staircase. Over a time that begins and ends with rest it has all steps.
	at := time.Now()
	window := at.Sub(start).Truncate(time.Second) + 5*time.Second
	sent := float64(f.frames) / window.Seconds()
	for metric, want := range map[string]float64{
		"isonet_network_transmit_packets_total": sent,
		"isonet_network_receive_packets_total":  sent,
		"isonet_network_transmit_bytes_total":   sent * float64(f.size),
		"isonet_network_receive_bytes_total":    sent * float64(f.size),
	} {
		got, err := s.value(fmt.Sprintf("rate(%s{network=\"red\"}[%.0fs])", metric, window.Seconds()), at)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s: %.1f per second, the generator %.1f", metric, got, want)
		if math.Abs(got/want-1) > 0.05 {
			t.Errorf("%s: the rate is %.1f, and the generator sent %.1f", metric, got, want)
		}
	}
}
