package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

const (
	adoptPath   = base + "/isonet/adopt"
	releasePath = base + "/isonet/release"
	prunePath   = base + "/isonet/prune"
	oldUUID     = "bbbbbbbb-0000-4000-8000-000000000001"
)

// newOldWorld is a world whose host has the bridge br-old, which isonet did not
// make, with a VM on it.
func newOldWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) {
		rows(s).Links = plan.NewLinks(
			plan.Device{Index: 2, Name: "br-old", Kind: "openvswitch"},
			plan.Device{Index: 3, Name: "vnet7", Kind: "tun", Tap: true, Ethernet: true},
		)
		rows(s).Bridges["br-old"] = oldBridge()
	})
	return w
}

func oldBridge() plan.Bridge {
	return plan.Bridge{
		UUID: oldUUID, Name: "br-old", DatapathType: "system", ExternalIDs: map[string]string{"theirs": "1"},
		Ports: []plan.Port{
			{Name: "br-old", Tag: -1, Interfaces: []plan.Interface{{UUID: "br-old", Name: "br-old", Type: "internal", MTU: 1400, OFPort: 65534}}},
			vmPort("vnet7"),
		},
	}
}

// asked sends a body in JSON and decodes the reply.
func asked[T any](w *world, path, body string) T {
	w.t.Helper()
	var reply T
	if err := json.Unmarshal(w.must(http.StatusOK, "POST", path, body, jsonBody).Body.Bytes(), &reply); err != nil {
		w.t.Fatal(err)
	}
	return reply
}

// refused sends a body in JSON and returns the detail of the refusal.
func (w *world) refused(status int, path, body string) string {
	w.t.Helper()
	return readFault(w.t, w.must(status, "POST", path, body, jsonBody).Body.Bytes()).Detail
}

func TestAdoptMakesANetwork(t *testing.T) {
	w := newOldWorld(t)
	before := w.store.Snapshot()
	const body = `{"bridge":"br-old","network":"the old one"}`
	rehearsed := asked[wire.Adoption](w, adoptPath+"?dry_run=true", body)
	if w.store.Snapshot() != before || !rehearsed.Created {
		t.Fatalf("a dry run has written, or answers %+v", rehearsed)
	}
	planned := w.planned(`{"method":"POST","path":"/isonet/adopt","body":` + body + `}`)
	want := []wire.Operation{{Do: wire.AdoptBridge, Bridge: "br-old", Columns: []string{
		"datapath_type", "external_ids", "other_config:disable-in-band", "port:external_ids", "port:vlan_mode", "port:trunks", "interface:mtu_request",
	}}}
	i := slices.IndexFunc(planned.Operations, func(o wire.Operation) bool { return o.Do == wire.AdoptBridge })
	if i < 0 {
		t.Fatalf("plan %+v", planned)
	}
	planned.Operations[i].NetworkID = "" // a new one each time
	want[0].Columns = want[0].Columns[1:]
	if diff := cmp.Diff(want, planned.Operations[i:i+1]); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}

	got := asked[wire.Adoption](w, adoptPath, body)
	n, made := w.store.Snapshot().NetworkByName("the old one")
	if !made || n.VdsmName != "br-old" || n.MTU != 1400 {
		t.Fatalf("network %+v", n)
	}
	if want := (wire.Adoption{Bridge: "br-old", Network: wire.NetworkName{ID: string(n.ID), Name: n.Name}, Created: true, MTU: 1400}); got != want {
		t.Errorf("reply %+v, want %+v", got, want)
	}
	a, attached := w.store.Snapshot().AttachmentOf(host1, n.ID)
	if !attached || !a.Explicit || a.Adopts != oldUUID || !slices.Contains(w.loop.waited, n.ID) {
		t.Errorf("attachment %+v, waited for %v", a, w.loop.waited)
	}
}

func TestAdoptAsANetworkThatIsThere(t *testing.T) {
	w := newOldWorld(t)
	var id model.ID
	if _, err := w.store.Update(t.Context(), func(d *model.Desired) error {
		n, err := d.AddNetworkOf(model.Network{Name: "old", MTU: 1400}, "br-old")
		if err != nil {
			return err
		}
		id = n.ID
		_, err = d.Attach(host1, id, nil) // in vain: the name is taken
		return err
	}); err != nil {
		t.Fatal(err)
	}
	got := asked[wire.Adoption](w, adoptPath, `{"bridge":"br-old","network":"`+string(id)+`"}`)
	if got.Created || got.Network.Name != "old" || !slices.Contains(w.loop.waited, id) {
		t.Errorf("reply %+v, waited for %v", got, w.loop.waited)
	}
	if a, _ := w.store.Snapshot().AttachmentOf(host1, id); a.Adopts != oldUUID {
		t.Errorf("attachment %+v", a)
	}
}

func TestAdoptRefusals(t *testing.T) {
	type change func(*report.Status)
	bridge := func(change func(*plan.Bridge)) change {
		return func(s *report.Status) {
			b := oldBridge()
			change(&b)
			rows(s).Bridges[b.Name] = b
		}
	}
	for name, test := range map[string]struct {
		body   string
		change change
		status int
		says   []string
	}{
		"no bridge":         {`{"bridge":"nosuch","network":"new"}`, nil, 404, []string{"has no bridge 'nosuch'"}},
		"no id":             {`{"bridge":"br-old","network":"` + oldUUID + `"}`, nil, 404, []string{"Entity not found"}},
		"nothing":           {`{}`, nil, 400, []string{"needs the name of a bridge and of a network"}},
		"isonet's bridge":   {`{"bridge":"iso1","network":"new"}`, nil, 409, []string{"is isonet's already"}},
		"has a bridge":      {`{"bridge":"br-old","network":"iso1"}`, nil, 409, []string{"has the bridge 'iso1' on this host already"}},
		"other bridge name": {`{"bridge":"br-old","network":"iso4"}`, nil, 409, []string{"has bridges of the name 'iso4'"}},
		"bad network name":  {`{"bridge":"br-old","network":"bond7"}`, nil, 400, []string{"cannot start with 'bond'"}},
		"bad bridge name": {`{"bridge":"br.old","network":"new"}`, bridge(func(b *plan.Bridge) {
			b.Name, b.Ports[0].Name, b.Ports[0].Interfaces[0].Name = "br.old", "br.old", "br.old"
		}), 400, []string{"'br.old' cannot name a bridge"}},
		"taken bridge name": {`{"bridge":"iso4","network":"new"}`, bridge(func(b *plan.Bridge) {
			b.Name, b.Ports[0].Name, b.Ports[0].Interfaces[0].Name = "iso4", "iso4", "iso4"
		}), 400, []string{"already used as an on-host identifier"}},
		"not isolated": {`{"bridge":"br-old","network":"new"}`, bridge(func(b *plan.Bridge) {
			b.Controllers, b.STP, b.FailMode = 1, true, "secure"
			b.Ports[1].Interfaces[0].Type = "patch"
		}), 409, []string{
			"Cannot adopt Bridge. The bridge 'br-old' cannot be adopted: ", "port 'vnet7': its type is patch (patch_port): unplug it", "(controller)", "(stp)", "del-fail-mode",
		}},
		"unequal MTUs": {`{"bridge":"br-old","network":"new"}`, bridge(func(b *plan.Bridge) {
			other := vmPort("vnet8")
			other.Interfaces[0].MTU = 9000
			b.Ports = append(b.Ports, other)
		}), 409, []string{"port 'vnet7': its MTU is 1400 bytes, and the network's is 9000"}},
		"unreachable": {`{"bridge":"br-old","network":"new"}`, func(s *report.Status) { s.Connected = false }, 503, []string{"not reachable"}},
		"standby":     {`{"bridge":"br-old","network":"new"}`, func(s *report.Status) { s.Standby = true }, 503, []string{"another isonetd"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newOldWorld(t)
			if test.change != nil {
				w.loop.publish(test.change)
			}
			before := w.store.Snapshot()
			detail := w.refused(test.status, adoptPath, test.body)
			for _, says := range test.says {
				if !strings.Contains(detail, says) {
					t.Errorf("detail %q does not say %q", detail, says)
				}
			}
			if w.store.Snapshot() != before {
				t.Error("something was written")
			}
		})
	}
}

// TestAnAdoptionIsTakenBack refuses it when it is in the store already.
func TestAnAdoptionIsTakenBack(t *testing.T) {
	w := newOldWorld(t)
	w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{Reason: "somebody gave the bridge flows"}}}
	detail := readFault(t, w.must(http.StatusInternalServerError, "POST", adoptPath, `{"bridge":"br-old","network":"new"}`, jsonBody).Body.Bytes()).Detail
	if !strings.Contains(detail, "so it was taken back: somebody gave the bridge flows") {
		t.Errorf("detail %q", detail)
	}
	d := w.store.Snapshot()
	if _, there := d.NetworkByName("new"); there {
		t.Error("the network is still there")
	}
	// Open vSwitch may have adopted it nevertheless: it must not be removed.
	if len(d.Hosts[host1].Released) != 1 {
		t.Errorf("released %v", d.Hosts[host1].Released)
	}
}

func TestRelease(t *testing.T) {
	w := newWorld(t)
	w.loop.ports["iso1"][0].Protected = true
	w.loop.realise()
	const body = `{"network":"iso1"}`
	want := wire.Released{Bridge: "iso1", Network: wire.NetworkName{ID: string(iso1), Name: "iso1"}, Unquarantined: []string{}, Protected: []string{"vnet0"}}
	before := w.store.Snapshot()
	if got := asked[wire.Released](w, releasePath+"?dry_run=true", body); !cmp.Equal(got, want) || w.store.Snapshot() != before {
		t.Fatalf("a dry run has written, or answers %+v", got)
	}
	planned := w.planned(`{"method":"POST","path":"/isonet/release","body":` + body + `}`)
	if o := planned.Operations; len(o) == 0 || o[len(o)-1].Do != wire.ReleaseBridge || o[len(o)-1].NetworkID != string(iso1) || len(planned.Held) > 0 {
		t.Errorf("plan %+v", planned)
	}
	// A port in use is no obstacle, and force takes it from nobody.
	if got := asked[wire.Released](w, releasePath, `{"network":"iso1","force":true}`); !cmp.Equal(got, want) {
		t.Errorf("reply %+v, want %+v", got, want)
	}
	d := w.store.Snapshot()
	if _, attached := d.AttachmentOf(host1, iso1); attached || d.Networks[iso1].Name != "iso1" || !slices.Contains(w.loop.waited, iso1) {
		t.Errorf("attached %v, waited for %v", attached, w.loop.waited)
	}
	if h := d.Hosts[host1]; len(h.Released)+len(h.Evicted) > 0 {
		t.Errorf("when it is done, released are %v and evicted %v", h.Released, h.Evicted)
	}
}

func TestReleaseRefusals(t *testing.T) {
	cutOff := func(w *world) {
		p := w.loop.ports["iso1"][0]
		p.VLANMode, p.Trunks, p.ExternalIDs = "trunk", plan.DeadTrunks(), map[string]string{plan.QuarantineKey: "physical_nic"}
		w.loop.ports["iso1"][0] = p
		w.loop.realise()
	}
	network := func(id model.ID, change func(*model.Network)) func(*world) {
		return func(w *world) {
			if _, err := w.store.Update(w.t.Context(), func(d *model.Desired) error {
				n := d.Networks[id]
				change(&n)
				return d.UpdateNetwork(n)
			}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		body    string
		prepare func(*world)
		status  int
		says    string
	}{
		"unknown":    {`{"network":"nosuch"}`, nil, 404, "There is no network 'nosuch'; see 'isonet network list'."},
		"nothing":    {`{}`, nil, 400, "needs the name or id of a network"},
		"not here":   {`{"network":"iso4"}`, nil, 409, "It has no bridge on this host that is isonet's"},
		"by a label": {`{"network":"iso3"}`, nil, 409, "attach the network by itself"},
		"strict":     {`{"network":"iso1"}`, network(iso1, func(n *model.Network) { n.Strict = true }), 409, "set strict to false first"},
		"quarantine": {`{"network":"iso1"}`, cutOff, 409, "The port(s) 'vnet0' are in quarantine and would be let out: unplug them, or force it with force=true."},
		"becoming ordinary": {`{"network":"iso1"}`, func(w *world) {
			w.loop.publish(func(s *report.Status) {
				b := rows(s).Bridges["iso1"]
				b.FailMode = plan.SecureFailMode
				rows(s).Bridges["iso1"] = b
			})
		}, 409, "try again"},
		"unreachable": {`{"network":"iso1"}`, func(w *world) { w.loop.publish(func(s *report.Status) { s.Connected = false }) }, 503, "not reachable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.prepare != nil {
				test.prepare(w)
			}
			before := w.store.Snapshot()
			if detail := w.refused(test.status, releasePath, test.body); !strings.Contains(detail, test.says) {
				t.Errorf("detail %q, want %q", detail, test.says)
			}
			if w.store.Snapshot() != before {
				t.Error("something was written")
			}
		})
	}
	w := newWorld(t)
	cutOff(w)
	if got := asked[wire.Released](w, releasePath, `{"network":"iso1","force":true}`); !slices.Equal(got.Unquarantined, []string{"vnet0"}) {
		t.Errorf("by force: %+v", got)
	}
}

// TestAReleaseIsTakenBack makes it fail: the network is to have its bridge again,
// even if Open vSwitch has given it back already.
func TestAReleaseIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) {
		b := rows(s).Bridges["iso1"]
		b.UUID = oldUUID
		rows(s).Bridges["iso1"] = b
	})
	w.loop.refuse = errors.New("no answer")
	w.must(http.StatusInternalServerError, "POST", releasePath, `{"network":"iso1"}`, jsonBody)
	a, attached := w.store.Snapshot().AttachmentOf(host1, iso1)
	if !attached || a.Adopts != oldUUID || a.Properties["purpose"] != "lab" || len(w.store.Snapshot().Hosts[host1].Released) > 0 {
		t.Errorf("attachment %+v, released %v", a, w.store.Snapshot().Hosts[host1].Released)
	}
}

// TestReleaseDevice: the guard comes off a device that left the bridges, and off
// no other one.
func TestReleaseDevice(t *testing.T) {
	const path = base + "/isonet/guard/release"
	w := newWorld(t)
	w.loop.mu.Lock()
	plugged := report.Device{Name: "vnet0", Index: 4}
	left := report.Device{Name: "vnet4", Index: 9}
	w.loop.status.Guard = &report.Guarding{Devices: []report.Device{plugged, left}, Left: []report.Device{left}}
	w.loop.mu.Unlock()
	var status wire.Status
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(status.LeftGuarded, []string{"vnet4"}) {
		t.Errorf("left guarded are %v", status.LeftGuarded)
	}
	for _, query := range []string{"?dry_run=true", ""} {
		if got := asked[wire.DeviceRelease](w, path+query, `{"device":"vnet4"}`); got.Device != "vnet4" {
			t.Errorf("%q: released %+v", query, got)
		}
		w.refused(http.StatusConflict, path+query, `{"device":"vnet0"}`)
		w.refused(http.StatusNotFound, path+query, `{"device":"eth0"}`)
	}
	w.refused(http.StatusBadRequest, path, `{}`)
	w.loop.refuse = report.ErrUnreachable
	w.refused(http.StatusServiceUnavailable, path, `{"device":"vnet4"}`)
}

// TestRegister registers a host that somebody removed: it has what it had, as far as that
// exists, and nobody registers twice.
func TestRegister(t *testing.T) {
	const path = base + "/isonet/register"
	w := newWorld(t)
	w.refused(http.StatusConflict, path, `{}`)
	d := w.store.desired.Clone()
	w.loop.former = d.Hosts[host1]
	for _, a := range d.Attachments {
		if a.Host == host1 {
			w.loop.attached = append(w.loop.attached, a)
		}
	}
	gone := model.NewID()
	w.loop.attached = append(w.loop.attached, model.Attachment{ID: model.AttachmentID(host1, gone), Host: host1, Network: gone, Explicit: true})
	had := d.On(host1)
	if err := d.RemoveHost(host1); err != nil {
		t.Fatal(err)
	}
	w.store.desired = d
	for _, query := range []string{"?dry_run=true", ""} {
		if got := asked[wire.Host](w, path+query, `{}`); got.ID != string(host1) || got.Name != w.loop.former.Name {
			t.Errorf("%q: registered %+v", query, got)
		}
	}
	if diff := cmp.Diff(had, w.store.Snapshot().On(host1)); diff != "" || len(had) == 0 {
		t.Errorf("attachments (-want +got):\n%s", diff)
	}
	w.refused(http.StatusConflict, path, `{}`)
}

// TestRegisterWithoutNetworks registers a host after its networks were lost too: that takes
// force, as their bridges would go.
func TestRegisterWithoutNetworks(t *testing.T) {
	const path = base + "/isonet/register"
	w := newWorld(t)
	d := w.store.desired.Clone()
	w.loop.former = d.Hosts[host1]
	if err := errors.Join(d.RemoveHost(host1), d.RemoveNetwork(iso1)); err != nil {
		t.Fatal(err)
	}
	w.store.desired = d
	if reply := w.must(http.StatusConflict, "POST", path, `{}`, jsonBody); !strings.Contains(reply.Body.String(), "would be removed: iso1.") {
		t.Errorf("refused with %s", reply.Body)
	}
	if got := asked[wire.Host](w, path+"?force=true", `{}`); got.ID != string(host1) {
		t.Errorf("registered %+v", got)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	gone := plan.Port{Name: "vnet9", Tag: -1, Interfaces: []plan.Interface{{UUID: "vnet9", Name: "vnet9", OFPort: -1, Error: "could not open network device vnet9 (No such device)"}}}
	w.loop.ports["iso1"] = append(w.loop.ports["iso1"], gone)
	w.loop.realise()
	var status wire.Status
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	var stale []string
	for _, n := range status.Networks {
		for _, p := range n.Ports {
			if p.Stale {
				stale = append(stale, n.Name+" "+p.Name)
			}
		}
	}
	if got := fmt.Sprint(stale); got != "[iso1 vnet9]" {
		t.Errorf("stale ports %s", got)
	}
	want := wire.Pruned{Network: wire.NetworkName{ID: string(iso1), Name: "iso1"}, Ports: []string{"vnet9"}}
	for _, path := range []string{prunePath + "?dry_run=true", prunePath} {
		if got := asked[wire.Pruned](w, path, `{"network":"iso1"}`); !cmp.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	w.loop.realise()
	if got := asked[wire.Pruned](w, prunePath, `{"network":"iso1"}`); len(got.Ports) != 0 {
		t.Errorf("again: %+v", got)
	}
	w.refused(http.StatusNotFound, prunePath, `{"network":"nosuch"}`)
	w.refused(http.StatusBadRequest, prunePath, `{}`)
	w.loop.refuse = report.ErrUnreachable
	w.refused(http.StatusServiceUnavailable, prunePath, `{"network":"iso1"}`)
}

// What is left of a device that vanished is no VM that uses a network.
func TestAStalePortKeepsNoNetwork(t *testing.T) {
	w := newWorld(t)
	w.loop.ports["iso1"] = []plan.Port{{Name: "vnet9", Tag: -1, Interfaces: []plan.Interface{{UUID: "vnet9", Name: "vnet9", OFPort: 3, IfIndex: 77}}}}
	w.loop.realise()
	w.must(http.StatusOK, "DELETE", attachmentsPath+"/"+attachmentID(iso1), "")
}

// A container's port is in its network namespace, where nobody knows its link.
func TestAPortInAnotherNamespace(t *testing.T) {
	w := newWorld(t)
	w.loop.ports["iso1"] = []plan.Port{{Name: "int0", Tag: -1, Interfaces: []plan.Interface{{UUID: "int0", Name: "int0", Type: "internal", OFPort: 3, IfIndex: 77}}}}
	w.loop.realise()
	var status wire.Status
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if p := status.Networks[0].Ports[0]; !p.Elsewhere || p.Stale {
		t.Errorf("the port is %+v", p)
	}
}
