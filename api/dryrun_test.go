package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/wire"
)

const planPath = base + "/isonet/plan"

func TestADryRunAnswersAsTheWriteAndWritesNothing(t *testing.T) {
	attach := "<action><modified_network_attachments><network_attachment><network><name>second isolated network</name></network></network_attachment></modified_network_attachments></action>"
	for name, test := range map[string]struct {
		method, path, body string
		status             int
	}{
		"create":           {"POST", base + "/networks", "<network><name>new</name></network>", 201},
		"taken name":       {"POST", base + "/networks", "<network><name>iso1</name></network>", 409},
		"update":           {"PUT", iso1Path, "<network><mtu>1300</mtu></network>", 200},
		"in use":           {"DELETE", iso1Path, "", 409},
		"forced":           {"DELETE", iso1Path + "?force=true", "", 200},
		"unknown":          {"DELETE", base + "/networks/" + string(host1), "", 404},
		"setup":            {"POST", setupPath, attach, 200},
		"label":            {"POST", hostPath + "/networklabels", `<network_label id="lab4"/>`, 201},
		"detach":           {"DELETE", attachmentsPath + "/" + attachmentID(iso1), "", 409},
		"condition":        {"PUT", iso1Path, "<network/>", 412},
		"commitnetconfig":  {"POST", hostPath + "/commitnetconfig", "<action/>", 200},
		"malformed":        {"POST", setupPath, "<action", 400},
		"not documented":   {"POST", base + "/nosuch", "", 404},
		"of an unseen one": {"PUT", base + "/networks/" + string(iso2), "<network><name>other</name></network>", 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			headers := header{}
			if test.status == 412 {
				headers["If-Match"] = `"0.0"`
			}
			before, status := w.store.Snapshot(), w.loop.Status()
			path := test.path + "?dry_run=true"
			if strings.Contains(test.path, "?") {
				path = test.path + "&dry_run"
			}
			dry := w.must(test.status, test.method, path, test.body, headers)
			if dry.Header().Get("Isonet-Dry-Run") != "true" {
				t.Error("the reply does not say that nothing was done")
			}
			if w.store.Snapshot() != before || w.loop.waited != nil || w.loop.Status().Revision != status.Revision {
				t.Fatal("a dry run has written")
			}
			real := w.must(test.status, test.method, test.path, test.body, headers)
			if real.Header().Get("Isonet-Dry-Run") != "" {
				t.Error("the reply of a write says that nothing was done")
			}
			if test.status >= 400 || test.method == "DELETE" {
				if diff := cmp.Diff(dry.Body.String(), real.Body.String()); diff != "" {
					t.Errorf("bodies (-dry run +done):\n%s", diff)
				}
			}
		})
	}
}

func TestADryRunMustBeSpelledRight(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot()
	reply := w.must(http.StatusBadRequest, "DELETE", base+"/networks/"+string(iso2)+"?dry_run=ture", "")
	if detail := readFault(t, reply.Body.Bytes()).Detail; !strings.Contains(detail, "Nothing was changed") || w.store.Snapshot() != before {
		t.Errorf("fault %q", detail)
	}
	w.must(http.StatusOK, "DELETE", base+"/networks/"+string(iso2)+"?dry_run=false", "")
	if _, there := w.store.Snapshot().Networks[iso2]; there {
		t.Error("dry_run=false is a dry run")
	}
}

// planned asks for the plan of some writes.
func (w *world) planned(requests string) wire.Plan {
	w.t.Helper()
	var p wire.Plan
	reply := w.must(http.StatusOK, "POST", planPath, `{"requests":[`+requests+`]}`, jsonBody)
	if err := json.Unmarshal(reply.Body.Bytes(), &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	attachNew := `{"method":"POST","path":"/networks","body":{"name":"new","mtu":"9000"}},
		{"method":"POST","path":"/hosts/` + string(host1) + `/setupnetworks","body":{"modified_network_attachments":{"network_attachment":[{"network":{"name":"new"}}]}}}`
	for name, test := range map[string]struct {
		requests string
		want     []wire.Operation
	}{
		"nothing":        {"", []wire.Operation{}},
		"not attached":   {`{"method":"POST","path":"/networks","body":{"name":"new"}}`, []wire.Operation{}},
		"made, attached": {attachNew, []wire.Operation{{Do: wire.CreateBridge, Bridge: "new", MTU: 9000}}},
		"an MTU": {
			`{"method":"PUT","path":"networks/` + string(iso1) + `","body":{"mtu":"1300"}}`,
			[]wire.Operation{
				{Do: wire.RepairBridge, Bridge: "iso1", NetworkID: string(iso1), Columns: []string{"external_ids", "interface:mtu_request"}},
				{Do: wire.SetMTU, Bridge: "iso1", NetworkID: string(iso1), Port: "vnet0", MTU: 1300},
			},
		},
		"a label goes": {
			`{"method":"DELETE","path":"/hosts/` + string(host1) + `/networklabels/lab3"}`,
			[]wire.Operation{{Do: wire.RemoveBridge, Bridge: "iso3", NetworkID: string(iso3)}},
		},
		"by force": {
			`{"method":"DELETE","path":"/networks/` + string(iso1) + `?force=true"}`,
			[]wire.Operation{{Do: wire.RemoveBridge, Bridge: "iso1", NetworkID: string(iso1)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.ports["iso1"][0].Interfaces[0].MTURequest = 1400
			w.loop.ports["iso1"][0].Interfaces[0].Type = "tap"
			w.loop.realise()
			before := w.store.Snapshot()
			got := w.planned(test.requests)
			for i, o := range got.Operations {
				if o.Do == wire.CreateBridge { // its network's id is a new one each time
					if _, ok := model.ParseID(string(o.NetworkID)); !ok {
						t.Errorf("%+v has no network", o)
					}
					got.Operations[i].NetworkID = ""
				}
			}
			if diff := cmp.Diff(test.want, got.Operations); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			if got.Host != (wire.Host{ID: string(host1), Name: "host1"}) || len(got.Held) != 0 {
				t.Errorf("host %v, held %v", got.Host, got.Held)
			}
			if w.store.Snapshot() != before {
				t.Error("a plan has written")
			}
		})
	}
}

func TestAPlanIsRefusedAsItsWritesAre(t *testing.T) {
	w := newWorld(t)
	for requests, status := range map[string]int{
		`{"method":"DELETE","path":"/networks/` + string(iso1) + `"}`:   409,
		`{"method":"DELETE","path":"/networks/` + string(host1) + `"}`:  404,
		`{"method":"GET","path":"/networks"}`:                           400,
		`{"method":"POST","path":"/isonet/plan","body":{}}`:             400,
		`{"method":"POST","path":"//isonet/plan","body":{}}`:            400,
		`{"method":"POST","path":"/nosuch","body":{}}`:                  404,
		`{"method":"POST","path":"/networks","body":{"name":["list"]}}`: 400,
	} {
		w.must(status, "POST", planPath, `{"requests":[`+requests+`]}`, jsonBody)
	}
	w.must(http.StatusUnsupportedMediaType, "POST", planPath, "<plan/>")
	w.must(http.StatusBadRequest, "POST", planPath, `{"requests":[`, jsonBody)
}

func TestThePlanOfTheDesiredStateIsWhatIsLeftToDo(t *testing.T) {
	w := newWorld(t)
	get := func() []wire.Operation {
		t.Helper()
		var p wire.Plan
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", planPath, "").Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		return p.Operations
	}
	w.loop.ports = map[string][]plan.Port{}
	w.loop.realise()
	if got := get(); len(got) != 0 {
		t.Errorf("left to do: %+v", got)
	}
	if _, err := w.store.Update(t.Context(), func(d *model.Desired) error { _, err := d.Attach(host1, iso2, nil); return err }); err != nil {
		t.Fatal(err)
	}
	if got := get(); len(got) != 1 || got[0].Do != wire.CreateBridge || got[0].NetworkID != string(iso2) {
		t.Errorf("left to do: %+v, want the bridge of iso2", got)
	}
}
