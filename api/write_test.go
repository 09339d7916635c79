package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/store"
)

const attachIso2 = `<network_attachment><network id="` + string(iso2) + `"/></network_attachment>`

// sameDesired compares what operators asked for, whatever the revision.
func sameDesired(want, got *model.Desired) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(model.Desired{}, "Revision"), cmpopts.EquateEmpty())
}

func TestAddNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		header header
		want   model.Network
	}{
		"name only": {"<network><name>x</name></network>", nil, model.Network{Name: "x", VdsmName: "x"}},
		"everything": {
			`<network><name>x</name><description>d</description><comment>c</comment><mtu> 9000 </mtu><port_isolation>1</port_isolation>
			<data_center><name>Default</name></data_center><stp>false</stp><vlan/><usages><usage>vm</usage></usages>
			<profile_required>false</profile_required><network_labels><network_label id="new"/></network_labels>
			<vdsm_name>x</vdsm_name><unknown><deep a="b">text</deep></unknown></network>`,
			nil,
			model.Network{Name: "x", Description: "d", Comment: "c", MTU: 9000, PortIsolation: true, Label: "new", VdsmName: "x"},
		},
		"JSON with strings": {
			`{"name":"x","mtu":"9000","port_isolation":"true","usages":{"usage":["vm"]},"network_labels":{"network_label":[{"id":"new"}]},"unknown":[{}]}`,
			jsonBody,
			model.Network{Name: "x", MTU: 9000, PortIsolation: true, Label: "new", VdsmName: "x"},
		},
		"JSON with native values": {
			`{"name":"x","mtu":9000,"port_isolation":true,"comment":null}`,
			header{"Content-Type": "application/json; charset=UTF-8"},
			model.Network{Name: "x", MTU: 9000, PortIsolation: true, VdsmName: "x"},
		},
		"mtu 68":    {"<network><name>x</name><mtu>68</mtu></network>", nil, model.Network{Name: "x", MTU: 68, VdsmName: "x"}},
		"any names": {"<network><name>ä &amp; &lt;b&gt;</name></network>", header{"Content-Type": ""}, model.Network{Name: "ä & <b>"}},
		"length 256": {
			"<network><name>" + strings.Repeat("x", 256) + "</name></network>", nil, model.Network{Name: strings.Repeat("x", 256)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			reply := w.must(http.StatusCreated, "POST", base+"/networks", c.body, c.header)
			n, ok := w.store.Snapshot().NetworkByName(c.want.Name)
			if !ok {
				t.Fatalf("the network is not in the store:\n%s", reply.Body)
			}
			c.want.ID, c.want.Revision = n.ID, 1
			if c.want.VdsmName == "" {
				c.want.VdsmName = model.VdsmName(n.ID, n.Name)
			}
			if diff := cmp.Diff(c.want, n); diff != "" {
				t.Errorf("network (-want +got):\n%s", diff)
			}
			if got, want := reply.Header().Get("Location"), base+"/networks/"+string(n.ID); got != want {
				t.Errorf("Location is %q, want %q", got, want)
			}
			w.must(http.StatusOK, "GET", reply.Header().Get("Location"), "")
		})
	}
}

func TestUpdateNetworkKeepsTheRest(t *testing.T) {
	w := newWorld(t)
	want := w.store.Snapshot().Networks[iso1]
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><description/><name>renamed</name></network>")
	want.Name, want.Description, want.Revision = "renamed", "", 2
	if diff := cmp.Diff(want, w.store.Snapshot().Networks[iso1]); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
	// What was read can be written back unchanged, in both forms.
	for _, form := range []header{{"Accept": "application/xml"}, jsonReply} {
		body := w.must(http.StatusOK, "GET", base+"/networks/"+string(iso1), "", form)
		before := w.store.Snapshot()
		w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), body.Body.String(), header{"Content-Type": body.Header().Get("Content-Type")})
		if w.store.Snapshot() != before {
			t.Errorf("writing back what was read changed something:\n%s", body.Body)
		}
	}
}

func TestLabelsMoveNetworks(t *testing.T) {
	w := newWorld(t)
	steps := []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{"POST", hostPath + "/networklabels", `<network_label id="lab4"/>`, 201, []string{"iso1", "iso3", "iso4"}},
		{"DELETE", hostPath + "/networklabels/lab4", "", 200, []string{"iso1", "iso3"}},
		{"DELETE", base + "/networks/" + string(iso3) + "/networklabels/lab3", "", 200, []string{"iso1"}},
		{"POST", base + "/networks/" + string(iso2) + "/networklabels", `{"id":"lab3"}`, 201, []string{"iso1", "second isolated network"}},
		{"PUT", base + "/networks/" + string(iso2), `{"network_labels":{}}`, 200, []string{"iso1"}},
		{"PUT", base + "/networks/" + string(iso4), `{"network_labels":{"network_label":[{"id":"lab3"}]}}`, 200, []string{"iso1", "iso4"}},
		{"DELETE", base + "/networks/" + string(iso4), "", 200, []string{"iso1"}},
	}
	for _, s := range steps {
		h := header{}
		if strings.HasPrefix(s.body, "{") {
			h = jsonBody
		}
		w.must(s.status, s.method, s.path, s.body, h)
		if diff := cmp.Diff(s.want, w.attached(host1)); diff != "" {
			t.Fatalf("after %s %s (-want +got):\n%s", s.method, s.path, diff)
		}
	}
}

func TestAttachments(t *testing.T) {
	w := newWorld(t)
	created := w.must(http.StatusCreated, "POST", attachmentsPath, attachIso2).Header().Get("Location")
	if want := attachmentsPath + "/" + attachmentID(iso2); created != want {
		t.Errorf("Location is %q, want %q", created, want)
	}
	if !slices.Equal(w.loop.waited, []model.ID{iso2}) {
		t.Errorf("waited for %v", w.loop.waited)
	}
	// Properties are kept until an update brings others.
	properties := func() map[string]string {
		return w.store.Snapshot().Attachments[model.AttachmentID(host1, iso1)].Properties
	}
	path := attachmentsPath + "/" + attachmentID(iso1)
	w.must(http.StatusOK, "PUT", path, `<network_attachment><host_nic/><network><name>iso1</name></network></network_attachment>`)
	if diff := cmp.Diff(map[string]string{"purpose": "lab"}, properties()); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	w.must(http.StatusOK, "PUT", path, `<network_attachment><properties><property><name>a</name><value>ü</value></property></properties></network_attachment>`)
	if diff := cmp.Diff(map[string]string{"a": "ü"}, properties()); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	w.must(http.StatusOK, "PUT", path, `<network_attachment><properties/></network_attachment>`)
	if len(properties()) != 0 {
		t.Errorf("properties are %v", properties())
	}
	// An update alone does not make explicit what a label attaches.
	w.must(http.StatusOK, "PUT", attachmentsPath+"/"+attachmentID(iso3), `<network_attachment><properties/></network_attachment>`)
	if at, _ := w.store.Snapshot().AttachmentOf(host1, iso3); at.Explicit {
		t.Error("the update made the attachment explicit")
	}
	w.must(http.StatusOK, "DELETE", created, "")
	w.must(http.StatusNotFound, "DELETE", created, "")
}

func TestAttachmentOfAnotherHostNeedsNoOVS(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	reply := w.must(http.StatusCreated, "POST", base+"/hosts/"+string(host2)+"/networkattachments", attachIso2)
	if strings.Contains(reply.Body.String(), "<in_sync>") {
		t.Errorf("nobody can say whether it is in sync:\n%s", reply.Body)
	}
	if w.loop.waited != nil {
		t.Errorf("waited for %v", w.loop.waited)
	}
}

func TestWithoutOVS(t *testing.T) {
	for name, unreachable := range map[string]func(*report.Status){
		"disconnected":      func(s *report.Status) { s.Connected, s.LastError = false, "connection refused" },
		"never reached":     func(s *report.Status) { *s = report.Status{LastError: "connection refused"} },
		"without snapshots": func(s *report.Status) { s.Host, s.LastError = nil, "connection refused" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.publish(unreachable)
			before := w.store.Snapshot()
			for _, r := range []struct{ method, path, body string }{
				{"POST", attachmentsPath, attachIso2},
				{"POST", hostPath + "/networklabels", `<network_label id="lab4"/>`},
				{"PUT", base + "/networks/" + string(iso1), "<network><mtu>9000</mtu></network>"},
				{"DELETE", base + "/networks/" + string(iso1), ""},
				{"POST", base + "/networks", `<network><name>x</name><network_labels><network_label id="lab3"/></network_labels></network>`},
			} {
				reply := w.must(http.StatusServiceUnavailable, r.method, r.path, r.body)
				f := readFault(t, reply.Body.Bytes())
				if !strings.Contains(f.Detail, "Open vSwitch is not reachable, so nothing was changed") || !strings.Contains(f.Detail, "connection refused") {
					t.Errorf("fault is %q", f.Detail)
				}
				if reply.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			if w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
			// What touches no host works.
			w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>x</name></network>")
			w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso2), "<network><mtu>9000</mtu></network>")
			w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso2), "")
			w.must(http.StatusCreated, "POST", hostPath+"/networklabels", `<network_label id="unused"/>`)
			// Reading works and tells it.
			if body := w.must(http.StatusOK, "GET", hostPath, "").Body.String(); !strings.Contains(body, "<status>non_responsive</status>") {
				t.Errorf("host:\n%s", body)
			}
			if body := w.must(http.StatusOK, "GET", attachmentsPath+"/"+attachmentID(iso1), "").Body.String(); strings.Contains(body, "<in_sync>") {
				t.Errorf("attachment:\n%s", body)
			}
			w.must(http.StatusOK, "GET", base+"/isonet/status", "")
		})
	}
}

func TestNotInSync(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) {
		b := rows(s).Bridges["iso1"]
		b.Ports[0].Interfaces[0].MTU = 1500
		foreign := rows(s).Bridges["iso3"]
		foreign.Network, foreign.Ports = "", nil
		rows(s).Bridges["iso3"] = foreign
	})
	golden(t, "attachment_wrong_mtu.xml", w.must(200, "GET", attachmentsPath+"/"+attachmentID(iso1), "").Body.Bytes())
	golden(t, "attachment_without_bridge.xml", w.must(200, "GET", attachmentsPath+"/"+attachmentID(iso3), "").Body.Bytes())
}

// TestConflictsOnTheHost takes names that the host has for something else.
func TestConflictsOnTheHost(t *testing.T) {
	for name, reason := range map[string]string{"br-ex": "a bridge 'br-ex' that isonet did not make exists", "eth0": "a network device 'eth0' exists"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>"+name+"</name></network>")
			before := w.store.Snapshot()
			body := "<network_attachment><network><name>" + name + "</name></network></network_attachment>"
			f := readFault(t, w.must(http.StatusConflict, "POST", attachmentsPath, body).Body.Bytes())
			if !strings.Contains(f.Detail, "the network '"+name+"': "+reason) {
				t.Errorf("fault is %q", f.Detail)
			}
			// As part of more it takes the rest with it.
			w.must(http.StatusConflict, "POST", setupPath, "<action><modified_network_attachments>"+body+attachIso2+"</modified_network_attachments></action>")
			if w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
		})
	}
}

func TestForce(t *testing.T) {
	removed := "<removed_network_attachments><network_attachment id=\"" + attachmentID(iso1) + "\"/></removed_network_attachments>"
	for name, r := range map[string]struct{ method, path, body string }{
		"detach":         {"DELETE", attachmentsPath + "/" + attachmentID(iso1) + "?force=true", ""},
		"remove":         {"DELETE", base + "/networks/" + string(iso1) + "?force", ""},
		"setup by query": {"POST", setupPath + "?force=1", "<action>" + removed + "</action>"},
		"setup by body":  {"POST", setupPath, "<action><force>true</force>" + removed + "</action>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var evicted []model.ID
			w.loop.onWait = func() { evicted = w.store.Snapshot().Hosts[host1].Evicted }
			w.must(http.StatusOK, r.method, r.path, r.body)
			if !slices.Equal(evicted, []model.ID{iso1}) {
				t.Errorf("while the bridge goes, evicted is %v", evicted)
			}
			if left := w.store.Snapshot().Hosts[host1].Evicted; len(left) != 0 {
				t.Errorf("evictions stay: %v", left)
			}
			if diff := cmp.Diff([]string{"iso3"}, w.attached(host1)); diff != "" {
				t.Errorf("networks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefusedByOVS has Open vSwitch refuse a change after it was committed.
func TestRefusedByOVS(t *testing.T) {
	problem := &report.RealiseError{Problems: []report.Problem{
		{NetworkID: iso2, Reason: "Open vSwitch cannot make the bridge: no space"}, {NetworkID: iso1, Reason: "nor this one"},
	}}
	for name, c := range map[string]struct {
		cause  error
		status int
	}{
		"failure":  {problem, http.StatusInternalServerError},
		"conflict": {model.Conflictf("no space; nor this one"), http.StatusConflict},
	} {
		for _, r := range []struct{ method, path, body string }{
			{"POST", attachmentsPath, attachIso2},
			{"PUT", base + "/networks/" + string(iso1), "<network><mtu>9000</mtu></network>"},
			{"DELETE", base + "/networks/" + string(iso1) + "?force", ""},
			{"POST", base + "/networks", `<network><name>x</name><network_labels><network_label id="lab3"/></network_labels></network>`},
			{"DELETE", hostPath + "/networklabels/lab3", ""},
			{"POST", setupPath, "<action><modified_network_attachments>" + attachIso2 + `</modified_network_attachments><modified_labels><network_label id="lab4"/></modified_labels></action>`},
		} {
			t.Run(name+" "+r.method+" "+r.path, func(t *testing.T) {
				w := newWorld(t)
				before := w.store.Snapshot()
				w.loop.refuse = c.cause
				f := readFault(t, w.must(c.status, r.method, r.path, r.body).Body.Bytes())
				if f.Reason != "Operation Failed" || !strings.Contains(f.Detail, "so it was taken back") ||
					!strings.Contains(f.Detail, "no space; nor this one") {
					t.Errorf("fault is %q: %q", f.Reason, f.Detail)
				}
				after := w.store.Snapshot()
				if diff := sameDesired(before, after); diff != "" {
					t.Errorf("the change was not taken back (-before +after):\n%s", diff)
				}
				if after.Revision < before.Revision+2 {
					t.Errorf("revision is %d: the change was never written", after.Revision)
				}
			})
		}
	}
}

func TestTimeout(t *testing.T) {
	for name, body := range map[string]string{
		"default": "<action><modified_network_attachments>" + attachIso2 + "</modified_network_attachments></action>",
		"given":   "<action><connectivity_timeout>600</connectivity_timeout><modified_network_attachments>" + attachIso2 + "</modified_network_attachments></action>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				before := w.store.Snapshot()
				w.loop.stuck = true
				f := readFault(t, w.must(http.StatusGatewayTimeout, "POST", setupPath, body).Body.Bytes())
				if !strings.Contains(f.Detail, "not realised in time: Open vSwitch has not applied the last change yet") {
					t.Errorf("fault is %q", f.Detail)
				}
				if diff := sameDesired(before, w.store.Snapshot()); diff != "" {
					t.Errorf("the change was not taken back (-before +after):\n%s", diff)
				}
			})
		})
	}
}

// TestNotTakenBack has the store fail when the change should be undone: the
// client must hear that the change stays.
func TestNotTakenBack(t *testing.T) {
	w := newWorld(t)
	w.loop.refuse = model.Conflictf("no space")
	w.loop.onWait = func() { w.store.fail = errors.New("disk full") }
	f := readFault(t, w.must(http.StatusGatewayTimeout, "POST", attachmentsPath, attachIso2).Body.Bytes())
	if !strings.Contains(f.Detail, "could not be taken back, so it stays (disk full): no space") {
		t.Errorf("fault is %q", f.Detail)
	}
}

func TestStoreFailure(t *testing.T) {
	for status, cause := range map[int]error{
		http.StatusInternalServerError: errors.New("a defect"),
		http.StatusServiceUnavailable:  fmt.Errorf("%w: no space left", store.ErrDisk),
		http.StatusGatewayTimeout:      fmt.Errorf("%w: %w", store.ErrUnknown, store.ErrUnavailable),
		http.StatusForbidden:           fmt.Errorf("%w: RBAC rules prohibit it", store.ErrForbidden),
	} {
		w := newWorld(t)
		w.store.fail = cause
		reply := w.must(status, "POST", base+"/networks", "<network><name>x</name></network>")
		if f := readFault(t, reply.Body.Bytes()); f.Detail != "["+cause.Error()+"]" {
			t.Errorf("fault is %q", f.Detail)
		}
		if again := reply.Header().Get("Retry-After") != ""; again != (status > http.StatusInternalServerError) {
			t.Errorf("%d: Retry-After is there: %t", status, again)
		}
	}
}

// TestSetupNetworks does everything that one action can.
func TestSetupNetworks(t *testing.T) {
	byName := func(name string) string {
		return "<network_attachment><network><name>" + name + "</name></network></network_attachment>"
	}
	const removedLab3 = `<removed_labels><network_label id="lab3"/></removed_labels>`
	for name, c := range map[string]struct {
		body string
		want []string // networks of the host
	}{
		"nothing":     {"<action/>", []string{"iso1", "iso3"}},
		"empty lists": {"<action><modified_network_attachments/><removed_labels/><modified_bonds/></action>", []string{"iso1", "iso3"}},
		"no body":     {"", []string{"iso1", "iso3"}},
		"attach":      {"<action><async>true</async><modified_network_attachments>" + byName("iso4") + attachIso2 + "</modified_network_attachments></action>", []string{"iso1", "iso3", "iso4", "second isolated network"}},
		"update of the attached by id and by name": {
			`<action><modified_network_attachments><network_attachment id="` + attachmentID(iso3) + `"><properties/><network><name>iso3</name></network></network_attachment>` + byName("iso1") + "</modified_network_attachments></action>",
			[]string{"iso1", "iso3"},
		},
		"labels twice the same": {`<action><modified_labels><network_label id="lab3"><host_nic/></network_label><network_label id="lab4"/></modified_labels></action>`, []string{"iso1", "iso3", "iso4"}},
		"label and its network": {`<action>` + removedLab3 + "<removed_network_attachments>" + byName("iso3") + "</removed_network_attachments></action>", []string{"iso1"}},
		"network instead of its label": {
			"<action>" + removedLab3 + "<modified_network_attachments>" + byName("iso3") + "</modified_network_attachments></action>", []string{"iso1", "iso3"},
		},
		"synchronized": {`<action><synchronized_network_attachments><network_attachment id="` + attachmentID(iso1) + `"/></synchronized_network_attachments></action>`, []string{"iso1", "iso3"}},
		"swap": {
			"<action><force>true</force><modified_network_attachments>" + byName("iso4") + `</modified_network_attachments><removed_network_attachments><network_attachment><network id="` + string(iso1) + `"/></network_attachment></removed_network_attachments></action>`,
			[]string{"iso3", "iso4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 2 { // all of it but removals can be repeated
				reply := w.must(http.StatusOK, "POST", setupPath, c.body)
				if !strings.Contains(reply.Body.String(), "<status>complete</status>") {
					t.Errorf("reply:\n%s", reply.Body)
				}
				if diff := cmp.Diff(c.want, w.attached(host1)); diff != "" {
					t.Errorf("networks (-want +got):\n%s", diff)
				}
				if strings.Contains(c.body, "<removed_") && !strings.Contains(c.body, "<removed_labels/>") {
					return
				}
			}
		})
	}
}

func TestSetupIsOneUpdate(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot().Revision
	w.must(http.StatusOK, "POST", setupPath, "<action><modified_network_attachments>"+attachIso2+
		`</modified_network_attachments><modified_labels><network_label id="lab4"/></modified_labels><removed_labels><network_label id="lab3"/></removed_labels></action>`)
	if after := w.store.Snapshot().Revision; after != before+1 {
		t.Errorf("revision went from %d to %d", before, after)
	}
	want := []model.ID{iso2, iso3, iso4}
	got := slices.Sorted(slices.Values(w.loop.waited))
	if !slices.Equal(got, want) {
		t.Errorf("waited for %v, want %v", got, want)
	}
}

// TestRemovedAndLabelledAnew removes an attachment while a new label would
// keep its network.
func TestRemovedAndLabelledAnew(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusOK, "POST", setupPath, `<action><modified_network_attachments><network_attachment><network><name>iso4</name></network></network_attachment></modified_network_attachments></action>`)
	before := w.store.Snapshot()
	f := readFault(t, w.must(http.StatusConflict, "POST", setupPath,
		`<action><removed_network_attachments><network_attachment id="`+attachmentID(iso4)+`"/></removed_network_attachments><modified_labels><network_label id="lab4"/></modified_labels></action>`).Body.Bytes())
	if !strings.Contains(f.Detail, "managed by the label: iso4") {
		t.Errorf("fault is %q", f.Detail)
	}
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
}

func TestHostActions(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusOK, "POST", hostPath+"/commitnetconfig", "<action/>")
	w.must(http.StatusOK, "POST", hostPath+"/commitnetconfig", `{}`, jsonBody)
	w.must(http.StatusOK, "POST", hostPath+"/syncallnetworks", "<action/>")
	if want := []model.ID{iso1, iso3}; !slices.Equal(w.loop.waited, want) {
		t.Errorf("synchronized %v, want %v", w.loop.waited, want)
	}
	w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso1, Reason: "no space"}}}
	w.must(http.StatusInternalServerError, "POST", hostPath+"/syncallnetworks", "<action/>")
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	w.must(http.StatusServiceUnavailable, "POST", hostPath+"/syncallnetworks", "<action/>")
}

func TestClusterNetworks(t *testing.T) {
	w := newWorld(t)
	networks := base + "/clusters/" + cluster + "/networks"
	for _, body := range []string{
		`<network id="` + string(iso4) + `"><name>iso4</name><required>false</required></network>`, `<network><name>iso4</name></network>`,
	} {
		location := w.must(http.StatusCreated, "POST", networks, body).Header().Get("Location")
		if want := networks + "/" + string(iso4); location != want {
			t.Errorf("Location is %q, want %q", location, want)
		}
		w.must(http.StatusOK, "GET", location, "")
	}
	w.must(http.StatusCreated, "POST", base+"/datacenters/"+dataCenter+"/networks", "<network><name>x</name></network>")
}
