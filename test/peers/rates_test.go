package peers

import (
	"fmt"
	"math"
	"testing"
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

	// Open vSwitch publishes every five seconds, so a counter is a staircase.
	// The average over four steps of rates over two is that of the generator.
	const window = "avg_over_time(rate(%s{network=\"red\"}[10s])[20s:1s])"
	f := flow{perSecond: 500, size: 1000}
	f.frames = 35 * f.perSecond
	start, end := send(t, vm1, vm2, f)
	sent := float64(f.frames) / end.Sub(start).Seconds()
	s.settles("after the traffic", nil, vm1, vm2)
	for metric, want := range map[string]float64{
		"isonet_network_transmit_packets_total": sent,
		"isonet_network_receive_packets_total":  sent,
		"isonet_network_transmit_bytes_total":   sent * float64(f.size),
		"isonet_network_receive_bytes_total":    sent * float64(f.size),
	} {
		got, err := s.value(fmt.Sprintf(window, metric), end)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s: %.1f per second, the generator %.1f", metric, got, want)
		// On a busy machine a step of the staircase comes late.
		if math.Abs(got/want-1) > 0.15 {
			t.Errorf("%s: the rate is %.1f, and the generator sent %.1f", metric, got, want)
		}
	}
}
