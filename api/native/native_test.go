package native_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/api/native"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

const (
	host = model.ID("11111111-1111-4111-8111-111111111111")
	red  = model.ID("aaaaaaaa-0000-4000-8000-000000000001")
)

// Whoever reads a list need not ask whether it is there.
func TestListsAreThere(t *testing.T) {
	d := model.NewDesired()
	d.Hosts[host] = model.Host{ID: host, Name: "host"}
	d.Networks[red] = model.Network{ID: red, Name: "red", VdsmName: "red"}
	if _, err := d.Attach(host, red, nil); err != nil {
		t.Fatal(err)
	}
	for name, status := range map[string]report.Status{
		"never reached": {}, "reached": {HostID: host, Connected: true, Host: reconcile.Seen(&plan.Actual{})},
	} {
		data, err := json.Marshal(native.Status(native.Moment{Desired: d, Status: status}))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range []string{"missing", "notices", "held", "left_guarded", "networks", "events"} {
			if !strings.Contains(string(data), `"`+list+`":[`) {
				t.Errorf("%s: no list %s in\n%s", name, list, data)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	d := model.NewDesired()
	d.Hosts[host] = model.Host{ID: host, Name: "host"}
	d.Networks[red] = model.Network{ID: red, Name: "red", VdsmName: "red"}
	if _, err := d.Attach(host, red, nil); err != nil {
		t.Fatal(err)
	}
	got := native.Plan(d, report.Status{HostID: host, Host: reconcile.Seen(&plan.Actual{Bridges: map[string]plan.Bridge{
		"blue": {Name: "blue", Network: "blue", OtherConfig: map[string]string{"disable-in-band": "true"}, Ports: []plan.Port{{Name: "vnet0", Interfaces: []plan.Interface{{Name: "vnet0", OFPort: 1}}}}},
	}})})
	want := wire.Plan{
		Host:       wire.Host{ID: string(host), Name: "host"},
		Operations: []wire.Operation{{Do: wire.CreateBridge, Bridge: "red", NetworkID: string(red), MTU: 1500}},
		Held:       []wire.Held{{Bridge: "blue", NetworkID: "blue", Ports: []string{"vnet0"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}
