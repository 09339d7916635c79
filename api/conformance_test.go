package api_test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
)

// The tests of this file are what any server must do so that unmodified oVirt
// clients work with isolated networks. Their numbers are those of that list.

const onlyName = "<network_attachment><network><name>iso4</name></network></network_attachment>"

func setupAction(lists ...string) string { return "<action>" + strings.Join(lists, "") + "</action>" }

func modifiedAttachments(items ...string) string {
	return "<modified_network_attachments>" + strings.Join(items, "") + "</modified_network_attachments>"
}

func removedAttachments(items ...string) string {
	return "<removed_network_attachments>" + strings.Join(items, "") + "</removed_network_attachments>"
}

func attachmentWithID(network model.ID) string {
	return `<network_attachment id="` + attachmentID(network) + `"/>`
}

func TestT3DeleteIsAnActionOnce(t *testing.T) {
	w := newWorld(t)
	w.loop.ports = nil
	w.loop.realise()
	for _, path := range []string{
		base + "/networks/" + string(iso3) + "/networklabels/lab3", hostPath + "/networklabels/lab3",
		attachmentsPath + "/" + attachmentID(iso1), base + "/networks/" + string(iso1),
	} {
		body := w.must(http.StatusOK, "DELETE", path, "").Body.Bytes()
		var action struct {
			XMLName xml.Name `xml:"action"`
			Status  string   `xml:"status"`
		}
		if err := xml.Unmarshal(body, &action); err != nil || action.Status != "complete" {
			t.Errorf("DELETE %s: %v:\n%s", path, err, body)
		}
		readFault(t, w.must(http.StatusNotFound, "DELETE", path, "").Body.Bytes())
	}
}

func TestT4AttachmentWithoutNIC(t *testing.T) {
	w := newWorld(t)
	reply := w.must(http.StatusCreated, "POST", attachmentsPath, onlyName)
	body := reply.Body.String()
	for _, element := range []string{
		`<host href="` + hostPath + `" id="` + string(host1) + `">`, `<network href="` + base + "/networks/" + string(iso4) + `" id="` + string(iso4) + `">`,
	} {
		if !strings.Contains(body, element) {
			t.Errorf("the reply lacks %s:\n%s", element, body)
		}
	}
	if strings.Contains(body, "host_nic") {
		t.Errorf("the reply has a NIC:\n%s", body)
	}
	if got, want := reply.Header().Get("Location"), attachmentsPath+"/"+attachmentID(iso4); got != want {
		t.Errorf("Location is %q, want %q", got, want)
	}
}

func TestT5EmptyElementsMeanNothing(t *testing.T) {
	w := newWorld(t)
	body := setupAction("<commit_on_success>true</commit_on_success>", modifiedAttachments(
		`<network_attachment><host_nic/><ip_address_assignments><ip_address_assignment><assignment_method>none</assignment_method><ip/></ip_address_assignment></ip_address_assignments>
		<properties/><dns_resolver_configuration/><qos></qos><unknown a="b"><deep>text</deep></unknown><network><name>iso4</name></network></network_attachment>`))
	w.must(http.StatusOK, "POST", setupPath, body)
	once := w.store.Snapshot()
	if want := []string{"iso1", "iso3", "iso4"}; !slices.Equal(w.attached(host1), want) {
		t.Errorf("networks are %v, want %v", w.attached(host1), want)
	}
	w.must(http.StatusOK, "POST", setupPath, body)
	if w.store.Snapshot() != once {
		t.Error("the second time changed something")
	}
}

func TestT6AttachedTwice(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusCreated, "POST", attachmentsPath, onlyName)
	f := readFault(t, w.must(http.StatusBadRequest, "POST", attachmentsPath, onlyName).Body.Bytes())
	if want := "Network iso4 is already attached via attachment " + attachmentID(iso4) + ". A new attachment cannot be used for the same network, please reuse the existing one."; !strings.Contains(f.Detail, want) {
		t.Errorf("fault is %q", f.Detail)
	}
}

func TestT7OneUnknownNetworkStopsAll(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot()
	w.must(http.StatusBadRequest, "POST", setupPath, setupAction(modifiedAttachments(onlyName,
		"<network_attachment><network><name>nope</name></network></network_attachment>"), `<modified_labels><network_label id="lab4"/></modified_labels>`))
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
}

func TestT8AddedAndRemoved(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot()
	w.must(http.StatusBadRequest, "POST", setupPath, setupAction(modifiedAttachments(attachmentWithID(iso1)), removedAttachments(attachmentWithID(iso1))))
	if w.store.Snapshot() != before {
		t.Error("the desired state changed")
	}
}

func TestT9LabelsProvision(t *testing.T) {
	network2 := base + "/networks/" + string(iso2) + "/networklabels"
	onNetwork := func(w *world) { w.must(http.StatusCreated, "POST", network2, `<network_label id="new"/>`) }
	onHost := func(w *world) {
		w.must(http.StatusCreated, "POST", hostPath+"/networklabels", `<network_label id="new"/>`)
	}
	attachment := attachmentsPath + "/" + attachmentID(iso2)
	for name, order := range map[string][]func(*world){"network first": {onNetwork, onHost}, "host first": {onHost, onNetwork}} {
		for _, last := range []string{hostPath + "/networklabels/new", network2 + "/new"} {
			t.Run(name+", then "+last, func(t *testing.T) {
				w := newWorld(t)
				order[0](w)
				w.must(http.StatusNotFound, "GET", attachment, "")
				order[1](w)
				w.must(http.StatusOK, "GET", attachment, "")
				w.must(http.StatusConflict, "DELETE", attachment, "")
				w.must(http.StatusOK, "GET", attachment, "")
				w.must(http.StatusOK, "DELETE", last, "")
				w.must(http.StatusNotFound, "GET", attachment, "")
			})
		}
	}
}

func TestT10LabelAddedAndRemoved(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusBadRequest, "POST", setupPath, setupAction(`<modified_labels><network_label id="lab3"/></modified_labels>`, `<removed_labels><network_label id="lab3"/></removed_labels>`))
}

func TestT11LabelWithABlank(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{hostPath + "/networklabels", base + "/networks/" + string(iso2) + "/networklabels"} {
		f := readFault(t, w.must(http.StatusBadRequest, "POST", path, `<network_label id="a b"/>`).Body.Bytes())
		if f.Detail != "[Network label must be formed only from: English letters, numbers, hyphen or underscore.]" {
			t.Errorf("POST %s: fault is %q", path, f.Detail)
		}
	}
}

func TestT12NotForVMsOrWithAVLAN(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusConflict, "POST", base+"/networks", "<network><name>x</name><usages/></network>")
	w.must(http.StatusConflict, "POST", base+"/networks", "<network><name>x</name><usages></usages></network>")
	w.must(http.StatusBadRequest, "POST", base+"/networks", "<network><name>x</name><vlan><id>10</id></vlan></network>")
	w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>x</name><vlan/><usages><usage>vm</usage></usages></network>")
}

func TestT13MTU(t *testing.T) {
	w := newWorld(t)
	network1 := base + "/networks/" + string(iso1)
	w.must(http.StatusBadRequest, "PUT", network1, "<network><mtu>67</mtu></network>")
	for mtu, actual := range map[string]string{"68": "68", "0": "1500", "9000": "9000", "65521": "65521"} {
		w.must(http.StatusOK, "PUT", network1, "<network><mtu>"+mtu+"</mtu></network>")
		body := w.must(http.StatusOK, "GET", attachmentsPath+"/"+attachmentID(iso1), "").Body.String()
		if !strings.Contains(body, "<actual_value>"+actual+"</actual_value>") || strings.Contains(body, "<in_sync>false") {
			t.Errorf("MTU %s:\n%s", mtu, body)
		}
	}
}

func TestT14Names(t *testing.T) {
	w := newWorld(t)
	add := func(status int, name string) {
		t.Helper()
		w.must(status, "POST", base+"/networks", "<network><name>"+name+"</name></network>")
	}
	add(http.StatusBadRequest, "bond1")
	add(http.StatusConflict, "iso1")
	add(http.StatusBadRequest, strings.Repeat("ü", 257))
	longest := strings.Repeat("ü", 256)
	add(http.StatusCreated, longest)
	n, _ := w.store.Snapshot().NetworkByName(longest)
	if want := "on" + strings.ReplaceAll(string(n.ID), "-", "")[:13]; n.VdsmName != want || len(want) != 15 {
		t.Errorf("vdsm_name is %q, want %q", n.VdsmName, want)
	}
}

func TestT24NotWhileAVMIsOnTheNetwork(t *testing.T) {
	attachment := attachmentsPath + "/" + attachmentID(iso1)
	const lab5 = `<network_label id="lab5"/>`
	labelled := func(w *world) {
		w.must(http.StatusCreated, "POST", base+"/networks/"+string(iso1)+"/networklabels", lab5)
		w.must(http.StatusCreated, "POST", hostPath+"/networklabels", lab5)
		_, err := w.store.Update(w.t.Context(), func(d *model.Desired) error {
			delete(d.Attachments, model.AttachmentID(host1, iso1))
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for name, r := range map[string]struct {
		prepare            func(*world)
		method, path, body string
	}{
		"detach":               {nil, "DELETE", attachment, ""},
		"setupnetworks":        {nil, "POST", setupPath, setupAction(removedAttachments(attachmentWithID(iso1)))},
		"setupnetworks, label": {labelled, "POST", setupPath, setupAction(`<removed_labels><network_label id="lab5"/></removed_labels>`)},
		"removal":              {nil, "DELETE", base + "/networks/" + string(iso1), ""},
		"host label":           {labelled, "DELETE", hostPath + "/networklabels/lab5", ""},
		"network label":        {labelled, "DELETE", base + "/networks/" + string(iso1) + "/networklabels/lab5", ""},
		"relabelled network":   {labelled, "PUT", base + "/networks/" + string(iso1), "<network><network_labels/></network>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if r.prepare != nil {
				r.prepare(w)
			}
			before := w.store.Snapshot()
			f := readFault(t, w.must(http.StatusConflict, r.method, r.path, r.body).Body.Bytes())
			if !strings.Contains(f.Detail, "33333333-3333-4333-8333-333333333333") {
				t.Errorf("the fault does not name the VM: %q", f.Detail)
			}
			if w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
			w.loop.ports = nil
			w.loop.realise()
			w.must(http.StatusOK, r.method, r.path, r.body)
			if diff := cmp.Diff([]string{"iso3"}, w.attached(host1)); diff != "" {
				t.Errorf("networks without the VM (-want +got):\n%s", diff)
			}
		})
	}
}
