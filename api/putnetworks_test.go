package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

const putNetworksPath = base + "/isonet/networks"

// mixed changes iso1 by its id, iso3 by its name and iso2 not at all, and makes
// two networks, one of which the label of host1 attaches.
const mixed = `{"network":[
	{"name":"new","mtu":"1400","data_center":{"name":"Default"},"network_labels":{"network_label":[{"id":"lab3"}]}},
	{"id":"` + string(iso1) + `","name":"renamed","description":"changed"},
	{"name":"iso3","mtu":9000},
	{"name":"a name too long for a bridge"},
	{"name":"second isolated network","comment":"nothing yet"}]}`

// counted is a store that counts its transactions.
type counted struct {
	*memory
	updates int
}

func (s *counted) Update(ctx context.Context, change func(*model.Desired) error) (int64, error) {
	s.updates++
	return s.memory.Update(ctx, change)
}

func TestPutNetworks(t *testing.T) {
	store := &counted{}
	w := newWorld(t, func(c *api.Config) {
		store.memory = c.Store.(*memory)
		c.Store = store
	})
	before := w.store.Snapshot()
	rehearsed := asked[wire.PutNetworks](w, putNetworksPath+"?dry_run=true", mixed)
	planned := w.planned(`{"method":"POST","path":"/isonet/networks","body":` + mixed + `}`)
	if w.store.Snapshot() != before || store.updates != 0 {
		t.Fatal("a dry run or a plan has written")
	}
	var bridges []string
	for _, o := range planned.Operations {
		if o.Port == "" {
			bridges = append(bridges, string(o.Do)+" "+o.Bridge)
		}
	}
	slices.Sort(bridges)
	if want := []string{"create-bridge new", "repair-bridge iso1", "repair-bridge iso3"}; !slices.Equal(bridges, want) {
		t.Errorf("plan %v, want %v", bridges, want)
	}

	got := asked[wire.PutNetworks](w, putNetworksPath, mixed)
	after := w.store.Snapshot()
	if store.updates != 1 || after.Revision != before.Revision+1 {
		t.Errorf("%d transactions, revision %d after %d", store.updates, after.Revision, before.Revision)
	}
	id := func(name string) model.ID {
		n, _ := after.NetworkByName(name)
		return n.ID
	}
	put := func(name string, outcome wire.Outcome) wire.PutNetwork {
		return wire.PutNetwork{NetworkName: wire.NetworkName{ID: string(id(name)), Name: name}, Outcome: outcome}
	}
	want := wire.PutNetworks{Networks: []wire.PutNetwork{
		put("new", wire.Created), put("renamed", wire.Changed), put("iso3", wire.Changed),
		put("a name too long for a bridge", wire.Created), put("second isolated network", wire.Unchanged),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	for i, n := range rehearsed.Networks {
		if n.Name != want.Networks[i].Name || n.Outcome != want.Networks[i].Outcome {
			t.Errorf("the dry run answers %+v, the write %+v", n, want.Networks[i])
		}
	}
	networks := newDesired().Networks
	change := func(id model.ID, change func(*model.Network)) {
		n := networks[id]
		n.Revision++
		change(&n)
		networks[id] = n
	}
	change(iso1, func(n *model.Network) { n.Name, n.Description = "renamed", "changed" })
	change(iso3, func(n *model.Network) { n.MTU = 9000 })
	networks[id("new")] = model.Network{ID: id("new"), Name: "new", MTU: 1400, Label: "lab3", VdsmName: "new", Revision: 1}
	long := id("a name too long for a bridge")
	networks[long] = model.Network{ID: long, Name: "a name too long for a bridge", VdsmName: model.VdsmName(long, "a name too long for a bridge"), Revision: 1}
	if diff := cmp.Diff(networks, after.Networks); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	if waited := w.loop.waited; len(waited) != 3 || !slices.Contains(waited, id("new")) || !slices.Contains(waited, iso1) || !slices.Contains(waited, iso3) {
		t.Errorf("waited for %v", waited)
	}
}

// TestNetworksThatWereReadCanBeSent sends back what GET networks replies.
func TestNetworksThatWereReadCanBeSent(t *testing.T) {
	for _, query := range []string{"", "?follow=networklabels,vnicprofiles,datacenter"} {
		w := newWorld(t)
		before := w.store.Snapshot()
		networks := w.must(http.StatusOK, "GET", base+"/networks"+query, "", jsonReply).Body.String()
		got := asked[wire.PutNetworks](w, putNetworksPath, networks)
		if len(got.Networks) != len(before.Networks) || w.store.Snapshot() != before {
			t.Errorf("reply %+v", got)
		}
		for _, n := range got.Networks {
			if n.Outcome != wire.Unchanged {
				t.Errorf("network %+v", n)
			}
		}
	}
}

func TestPutNetworksCanSwapNames(t *testing.T) {
	w := newWorld(t)
	other := asked[wire.PutNetworks](w, putNetworksPath, `{"network":[{"name":"another isolated network"}]}`).Networks[0].ID
	asked[wire.PutNetworks](w, putNetworksPath, `{"network":[
		{"id":"`+string(iso2)+`","name":"another isolated network"},{"id":"`+other+`","name":"second isolated network"}]}`)
	d := w.store.Snapshot()
	if d.Networks[iso2].Name != "another isolated network" || d.Networks[model.ID(other)].Name != "second isolated network" {
		t.Errorf("networks %+v", d.Networks)
	}
}

func TestPutNetworksRefusals(t *testing.T) {
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name":"n%d"}`, i)
	}
	const twice = "The network is in the request more than once: name each network once."
	for name, test := range map[string]struct {
		entries string
		status  int
		says    []string
	}{
		"one bad":      {`{"name":"ok"},{"name":"iso3","mtu":70000}`, 400, []string{"Network 'iso3': MTU 70000 is not valid"}},
		"without name": {`{"name":"ok"},{"mtu":1400}`, 400, []string{"Network 2 of the request: Network [name] required for add"}},
		"unknown":      {`{"name":"ok"},{"id":"` + string(host1) + `"}`, 404, []string{"Network " + string(host1) + ": Entity not found"}},
		"no id":        {`{"id":"nosuch","name":"ok"}`, 404, []string{"Network 'ok': Entity not found: nosuch"}},
		"other bridge": {`{"name":"ok"},{"name":"iso3","vdsm_name":"br0"}`, 400, []string{"cannot be set"}},
		"twice new":    {`{"name":"ok"},{"name":"ok"}`, 400, []string{"Network 'ok': " + twice}},
		"twice by id":  {`{"id":"` + string(iso1) + `"},{"id":"` + strings.ToUpper(string(iso1)) + `"}`, 400, []string{"Network " + strings.ToUpper(string(iso1)) + ": " + twice}},
		"twice":        {`{"id":"` + string(iso1) + `"},{"name":"iso1"}`, 400, []string{"Network 'iso1': " + twice}},
		"name taken": {
			`{"id":"` + string(iso1) + `","name":"second isolated network"},{"name":"ok"}`, 409,
			[]string{"The name of the logical network 'second isolated network' is already used"},
		},
		"name taken by another entry": {`{"id":"` + string(iso1) + `","name":"ok"},{"name":"ok"}`, 409, []string{"The name of the logical network 'ok' is already used"}},
		"name of a bridge":            {`{"name":"ok"},{"id":"` + string(iso1) + `","name":"iso3"},{"id":"` + string(iso3) + `","name":"iso1"}`, 400, []string{"on-host identifier"}},
		"bridge of another": {
			`{"name":"ok","network_labels":{"network_label":[{"id":"lab3"}]}},{"name":"br-ex","network_labels":{"network_label":[{"id":"lab3"}]}}`, 409,
			[]string{"The host cannot have the network 'br-ex'"},
		},
		"in use": {`{"name":"ok"},{"name":"iso3","network_labels":{"network_label":[]}}`, 409, []string{"is being used by"}},
		"form":   {`{"name":"ok","usages":{"usage":["nosuch"]}},{"name":"b","network_labels":{"network_label":[{}]}}`, 400, []string{"Network 'ok': Value 'nosuch'", "Network 'b': NetworkLabel [id] required"}},
		"all at once": {
			`{"name":"a","mtu":5},{"name":"b","mtu":5,"vlan":{"id":"7"}},{"id":"nosuch"},{"name":"c"},{"name":"c"},{"id":"` + string(iso1) + `","name":"iso4"}`, 400,
			[]string{
				"Network 'a': MTU 5", "Network 'b': MTU 5", "Network 'b': The isolated network 'b' cannot have the VLAN 7",
				"Network nosuch: Entity not found", "Network 'c': " + twice, "The name of the logical network 'iso4' is already used",
			},
		},
		"too many": {strings.Join(many, ","), 400, []string{"The request has 1001 networks; the limit is 1000"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.ports["iso3"] = []plan.Port{vmPort("vnet3")}
			w.loop.realise()
			before := w.store.Snapshot()
			detail := w.refused(test.status, putNetworksPath, `{"network":[`+test.entries+`]}`)
			for _, text := range test.says {
				if !strings.Contains(detail, text) {
					t.Errorf("detail %q lacks %q", detail, text)
				}
			}
			if w.store.Snapshot() != before {
				t.Error("something was written")
			}
		})
	}
	w := newWorld(t)
	for body, status := range map[string]int{
		`{"network":{}}`: 400, `{"network":[null]}`: 400, `{"network":[{"name":["x"]}]}`: 400, `{"connectivity_timeout":4000}`: 400, `[]`: 400,
	} {
		w.refused(status, putNetworksPath, body)
	}
	w.must(http.StatusUnsupportedMediaType, "POST", putNetworksPath, "<networks/>")
	if got := asked[wire.PutNetworks](w, putNetworksPath, `{}`); got.Networks == nil || len(got.Networks) != 0 {
		t.Errorf("nothing is answered with %+v", got)
	}
}

func TestPutNetworksIsForAdmins(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"})
	before := w.store.Snapshot()
	w.must(http.StatusForbidden, "POST", putNetworksPath, mixed, jsonBody, header{"Authorization": basic("bob@lab", "b:ob")})
	if w.store.Snapshot() != before {
		t.Error("a reader has written")
	}
	w.must(http.StatusOK, "POST", putNetworksPath, mixed, jsonBody, header{"Authorization": basic("admin", "s3cr&t")})
}

// TestPutNetworksIsTakenBackAsAWhole lets Open vSwitch fail one of the networks.
func TestPutNetworksIsTakenBackAsAWhole(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot()
	w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso3, Reason: "no such MTU"}}}
	detail := w.refused(http.StatusInternalServerError, putNetworksPath, mixed)
	if !strings.Contains(detail, "so it was taken back: no such MTU") {
		t.Errorf("detail %q", detail)
	}
	after := w.store.Snapshot()
	if diff := cmp.Diff(before.Networks, after.Networks); diff != "" {
		t.Errorf("networks (-before +after):\n%s", diff)
	}
}

// everything makes, changes and removes networks and changes a host that has some of
// them.
const everything = `{"network":[{"name":"new"},{"name":"iso1","mtu":9000}],
	"removed_networks":{"network":[{"name":"iso3"},{"id":"` + string(iso2) + `"}]},
	"setup_networks":{"host":{"id":"` + string(host1) + `"},
		"modified_network_attachments":{"network_attachment":[{"network":{"name":"new"}}]},
		"removed_network_attachments":{"network_attachment":[{"network":{"name":"iso1"}}]},
		"modified_labels":{"network_label":[{"id":"web"}]}}}`

// TestEverythingAtOnce makes one write of changes of networks and of a host.
func TestEverythingAtOnce(t *testing.T) {
	store := &counted{}
	w := newWorld(t, func(c *api.Config) {
		store.memory = c.Store.(*memory)
		c.Store = store
	})
	w.loop.ports["iso1"] = nil
	w.loop.realise()
	before := w.store.Snapshot()
	planned := w.planned(`{"method":"POST","path":"/isonet/networks","body":` + everything + `}`)
	if w.store.Snapshot() != before || store.updates != 0 {
		t.Fatal("a plan has written")
	}
	var operations []string
	for _, o := range planned.Operations {
		operations = append(operations, string(o.Do)+" "+o.Bridge)
	}
	slices.Sort(operations)
	if want := []string{"create-bridge new", "remove-bridge iso1", "remove-bridge iso3"}; !slices.Equal(slices.Compact(operations), want) {
		t.Errorf("plan %v, want %v", operations, want)
	}
	got := asked[wire.PutNetworks](w, putNetworksPath, everything)
	after := w.store.Snapshot()
	var outcomes []string
	for _, n := range got.Networks {
		outcomes = append(outcomes, n.Name+" "+string(n.Outcome))
	}
	if want := []string{"new created", "iso1 changed", "iso3 removed", "second isolated network removed"}; !slices.Equal(outcomes, want) {
		t.Errorf("reply %v, want %v", outcomes, want)
	}
	if store.updates != 1 || after.Revision != before.Revision+1 {
		t.Errorf("%d transactions, revision %d after %d", store.updates, after.Revision, before.Revision)
	}
	var has []string
	for _, n := range after.HostNetworks(host1) {
		has = append(has, n.Name)
	}
	if slices.Contains(has, "iso1") || !slices.Contains(has, "new") || after.Networks[iso1].MTU != 9000 || len(after.Networks) != len(before.Networks)-1 ||
		!slices.Contains(after.Hosts[host1].Labels, "web") {
		t.Errorf("host1 has %v, networks %+v", has, after.Networks)
	}
}

// TestEverythingOrNothing refuses all for one part, and takes all back.
func TestEverythingOrNothing(t *testing.T) {
	host := `"setup_networks":{"host":{"id":"` + string(host1) + `"},`
	for name, test := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"an unknown name":       {`{"network":[{"name":"ok"}],"removed_networks":{"network":[{"name":"nosuch"},{"name":"iso1"}]}}`, 404, "Network 'nosuch': There is no network 'nosuch'."},
		"an unknown id":         {`{"removed_networks":{"network":[{"id":"` + string(host1) + `"},{"name":"iso1"}]}}`, 404, "Entity not found"},
		"nothing named":         {`{"removed_networks":{"network":[{"name":"iso1"},{}]}}`, 400, "Network 2 of the request: Network [name] required"},
		"removed twice":         {`{"removed_networks":{"network":[{"name":"iso1"},{"id":"` + string(iso1) + `"}]}}`, 400, "name each network once"},
		"changed and removed":   {`{"network":[{"name":"iso1","mtu":1400}],"removed_networks":{"network":[{"name":"iso1"}]}}`, 400, "name each network once"},
		"in use":                {`{"removed_networks":{"network":[{"name":"iso1"},{"name":"iso3"}]}}`, 409, "unplug the port(s) 'vnet0', or force it with force=true., Cannot remove Network."},
		"in use, detached":      {`{"network":[{"name":"ok"}],` + host + `"removed_network_attachments":{"network_attachment":[{"network":{"name":"iso3"}}]}}}`, 409, "iso3"},
		"an unknown host":       {`{"network":[{"name":"ok"}],"setup_networks":{"host":{"id":"` + string(iso1) + `"}}}`, 404, "Entity not found"},
		"no host":               {`{"network":[{"name":"ok"}],"setup_networks":{}}`, 400, "Host [id] required"},
		"an unknown attachment": {`{"network":[{"name":"ok"}],` + host + `"modified_network_attachments":{"network_attachment":[{"network":{"name":"nosuch"}}]}}}`, 400, "Logical Network (name 'nosuch') doesn't exist."},
		"a label without id":    {`{"network":[{"name":"ok"}],` + host + `"modified_labels":{"network_label":[{}]}}}`, 400, "NetworkLabel [id] required"},
		"synchronized":          {`{` + host + `"synchronized_network_attachments":{"network_attachment":[{"id":"x"}]}}}`, 400, "cannot have synchronized_network_attachments"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.ports["iso3"] = []plan.Port{vmPort("vnet3")}
			w.loop.realise()
			before := w.store.Snapshot()
			if detail := w.refused(test.status, putNetworksPath, test.body); !strings.Contains(detail, test.says) {
				t.Errorf("detail %q lacks %q", detail, test.says)
			}
			if w.store.Snapshot() != before {
				t.Error("something was written")
			}
		})
	}
	w := newWorld(t)
	w.loop.ports["iso1"] = nil
	w.loop.realise()
	before := w.store.Snapshot()
	w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso3, Reason: "no"}}}
	w.refused(http.StatusInternalServerError, putNetworksPath, everything)
	after := w.store.Snapshot()
	if diff := cmp.Diff(before.Networks, after.Networks); diff != "" || len(after.Attachments) != len(before.Attachments) {
		t.Errorf("networks (-before +after):\n%s", diff)
	}
}

// TestRemovingByForce removes a network whose ports are in use, if that is said.
func TestRemovingByForce(t *testing.T) {
	for _, request := range []struct{ path, body string }{
		{putNetworksPath, `{"force":"true","removed_networks":{"network":[{"name":"iso3"}]}}`},
		{putNetworksPath + "?force=true", `{"removed_networks":{"network":[{"name":"iso3"}]}}`},
		{putNetworksPath, `{"removed_networks":{"network":[{"name":"iso3"}]},"setup_networks":{"host":{"id":"` + string(host1) + `"},"force":true}}`},
	} {
		w := newWorld(t)
		w.loop.ports["iso3"] = []plan.Port{vmPort("vnet3")}
		w.loop.realise()
		asked[wire.PutNetworks](w, request.path, request.body)
		if _, still := w.store.Snapshot().Networks[iso3]; still {
			t.Errorf("%+v: it is still there", request)
		}
	}
}

// TestABodyOfAllThereIs checks that a write of many networks with long texts is not too
// large, planned or not.
func TestABodyOfAllThereIs(t *testing.T) {
	w := newWorld(t)
	entries := make([]map[string]any, 1000)
	for i := range entries {
		entries[i] = map[string]any{"name": fmt.Sprintf("many%d", i), "description": strings.Repeat("x", 4000), "comment": strings.Repeat("é", 1500)}
	}
	body, err := json.Marshal(map[string]any{"network": entries})
	if err != nil || len(body) < 5<<20 {
		t.Fatal(len(body), err)
	}
	w.planned(`{"method":"POST","path":"/isonet/networks","body":` + string(body) + `}`)
	if got := asked[wire.PutNetworks](w, putNetworksPath, string(body)); len(got.Networks) != 1000 {
		t.Errorf("%d networks", len(got.Networks))
	}
}

func TestAThousandNetworksAtOnce(t *testing.T) {
	w := newWorld(t)
	entries := make([]map[string]any, 1000)
	for i := range entries {
		entries[i] = map[string]any{"name": fmt.Sprintf("many%d", i)}
	}
	for _, outcome := range []wire.Outcome{wire.Created, wire.Changed} {
		body, err := json.Marshal(map[string]any{"network": entries})
		if err != nil {
			t.Fatal(err)
		}
		got := asked[wire.PutNetworks](w, putNetworksPath, string(body))
		for i, n := range got.Networks {
			if n.Outcome != outcome || n.Name != entries[i]["name"] {
				t.Fatalf("entry %d is %+v, want %s", i, n, outcome)
			}
			entries[i]["mtu"] = 1400
		}
	}
	for name, n := range w.store.Snapshot().Networks {
		if strings.HasPrefix(n.Name, "many") && n.MTU != 1400 {
			t.Fatalf("%s: %+v", name, n)
		}
	}
}
