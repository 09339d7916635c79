package native_test

import (
	"encoding/json"
	"fmt"
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

// TestProgress checks what counts as made, and what is still to go.
func TestProgress(t *testing.T) {
	d := model.NewDesired()
	d.Hosts[host] = model.Host{ID: host, Name: "host"}
	for i, name := range []string{"active", "device", "row", "nothing"} {
		id := model.ID(fmt.Sprintf("aaaaaaaa-0000-4000-8000-00000000000%d", i))
		d.Networks[id] = model.Network{ID: id, Name: name, VdsmName: name}
		if _, err := d.Attach(host, id, nil); err != nil {
			t.Fatal(err)
		}
	}
	bridge := func(name string, id model.ID, port int) plan.Bridge {
		return plan.Bridge{Name: name, Network: id, Ports: []plan.Port{{Name: name, Interfaces: []plan.Interface{{Name: name, Type: "internal", OFPort: port}}}}}
	}
	actual := &plan.Actual{
		Links: new(plan.Links).Change(nil, []plan.Device{{Index: 7, Name: "device"}}), Lingering: map[string]bool{"gone": true},
		Bridges: map[string]plan.Bridge{
			"active": bridge("active", "aaaaaaaa-0000-4000-8000-000000000000", 65534), "device": bridge("device", "aaaaaaaa-0000-4000-8000-000000000001", 0),
			"row": bridge("row", "aaaaaaaa-0000-4000-8000-000000000002", 0), "old": bridge("old", "bbbbbbbb-0000-4000-8000-000000000000", 65534), "of others": bridge("of others", "", 65534),
		},
	}
	status := report.Status{HostID: host, Connected: true, Host: reconcile.Seen(actual), Networks: map[model.ID]report.NetworkStatus{
		"aaaaaaaa-0000-4000-8000-000000000000": {State: report.Active},
	}}
	want := wire.Progress{Wanted: 4, Made: 2, Active: 1, Leaving: 2}
	if got := native.Status(native.Moment{Desired: d, Status: status}).Progress; got != want {
		t.Errorf("the progress is %+v, want %+v", got, want)
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
