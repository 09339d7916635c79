package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// portTraffic is the traffic of a host's ports, by UUID.
type portTraffic map[string]model.PortTraffic

func (portTraffic) Traffic() map[model.ID]model.Traffic { return nil }

func (t portTraffic) Ports() map[string]model.PortTraffic { return t }

// TestPortTraffic checks that a port has its own traffic in the network that it
// is in, and none from the network that it was in before.
func TestPortTraffic(t *testing.T) {
	carried := model.Traffic{
		Created: epoch, Updated: epoch.Add(time.Second), Total: model.Counters{ReceivedBytes: 7, TransmittedDrops: 8},
		Rate: &model.Rate{ReceivedBytes: 1.5, TransmittedBytes: 2, Interval: 5 * time.Second, Until: epoch.Add(time.Second)},
	}
	for name, test := range map[string]struct {
		ports portTraffic
		want  *wire.Traffic
	}{
		"not known": {portTraffic{"another": {Network: iso1, Traffic: carried}}, nil},
		"moved":     {portTraffic{"vnet0": {Network: iso3, Traffic: carried}}, nil},
		"without a rate": {
			portTraffic{"vnet0": {Network: iso1, Traffic: model.Traffic{Created: epoch}}},
			&wire.Traffic{Since: epoch},
		},
		"in all numbers": {
			portTraffic{"vnet0": {Network: iso1, Traffic: carried}},
			&wire.Traffic{
				Since: epoch, Updated: epoch.Add(time.Second), Total: wire.Counters{ReceivedBytes: 7, TransmittedDrops: 8},
				Rate: &wire.Rate{ReceivedBytes: 1.5, TransmittedBytes: 2, IntervalSeconds: 5, Until: epoch.Add(time.Second)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *api.Config) { c.Traffic = test.ports })
			var status wire.Status
			body := w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes()
			if err := json.Unmarshal(body, &status); err != nil {
				t.Fatal(err)
			}
			if got := status.Networks[0]; got.ID != string(iso1) || len(got.Ports) != 1 || got.Traffic != nil {
				t.Fatalf("the network is %+v, want iso1 with one port and no traffic", got)
			}
			if diff := cmp.Diff(test.want, status.Networks[0].Ports[0].Traffic); diff != "" {
				t.Errorf("the port's traffic (-want +got):\n%s", diff)
			}
		})
	}
}

// What a port was denied is told where something is counted, and no 0 where
// nothing is.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	told := func() *wire.Denied {
		var status wire.Status
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes(), &status); err != nil {
			t.Fatal(err)
		}
		return status.Networks[0].Ports[0].Denied
	}
	if got := told(); got != nil {
		t.Errorf("nothing is counted, and %+v is told", got)
	}
	w.loop.publish(func(s *report.Status) {
		n := s.Networks[iso1]
		n.Isolation.Denied.Ports = map[string]report.Drops{"vnet0": {WrongMAC: 1, OverLimit: 2}}
		s.Networks[iso1] = n
	})
	if diff := cmp.Diff(&wire.Denied{WrongMAC: 1, OverLimit: 2}, told()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
