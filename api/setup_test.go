package api_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

const synchronizeIso1Form = "<action>%s<synchronized_network_attachments><network_attachment id=\"%s\"/></synchronized_network_attachments></action>"

// failedAction is how an action other than setupnetworks fails.
type failedAction struct {
	XMLName xml.Name `xml:"action"`
	Fault   struct {
		Detail string `xml:"detail"`
		Reason string `xml:"reason"`
	} `xml:"fault"`
	Status string `xml:"status"`
}

func TestSetupEchoesItsParameters(t *testing.T) {
	w := newWorld(t)
	body := w.must(http.StatusOK, "POST", setupPath, `<action><async>true</async><check_connectivity>true</check_connectivity><commit_on_success>false</commit_on_success><connectivity_timeout>60</connectivity_timeout></action>`).Body.String()
	for _, echo := range []string{
		"<async>true</async>", "<check_connectivity>true</check_connectivity>", "<commit_on_success>false</commit_on_success>",
		"<connectivity_timeout>60</connectivity_timeout>", "<status>complete</status>",
	} {
		if !strings.Contains(body, echo) {
			t.Errorf("the reply lacks %s:\n%s", echo, body)
		}
	}
}

func TestSynchronize(t *testing.T) {
	synchronizeIso1 := fmt.Sprintf(synchronizeIso1Form, "", attachmentID(iso1))
	t.Run("waits and writes nothing", func(t *testing.T) {
		w := newWorld(t)
		before := w.store.Snapshot()
		w.must(http.StatusOK, "POST", setupPath, synchronizeIso1)
		if !slices.Equal(w.loop.waited, []model.ID{iso1}) {
			t.Errorf("waited for %v", w.loop.waited)
		}
		if w.store.Snapshot() != before {
			t.Error("synchronizing wrote the desired state")
		}
	})
	t.Run("together with a change", func(t *testing.T) {
		w := newWorld(t)
		w.must(http.StatusOK, "POST", setupPath, fmt.Sprintf(synchronizeIso1Form, modifiedAttachments(onlyName), attachmentID(iso1)))
		if got, want := slices.Sorted(slices.Values(w.loop.waited)), []model.ID{iso1, iso4}; !slices.Equal(got, want) {
			t.Errorf("waited for %v, want %v", got, want)
		}
	})
	t.Run("fails with the reason", func(t *testing.T) {
		w := newWorld(t)
		before := w.store.Snapshot()
		w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso1, Reason: "no space"}}}
		f := readFault(t, w.must(http.StatusInternalServerError, "POST", setupPath, synchronizeIso1).Body.Bytes())
		if f.Detail != "[Cannot setup Networks. Open vSwitch does not have them as they must be: no space]" {
			t.Errorf("fault is %q", f.Detail)
		}
		if w.store.Snapshot() != before {
			t.Error("the desired state changed")
		}
	})
	t.Run("fails after the timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.loop.stuck = true
			f := readFault(t, w.must(http.StatusGatewayTimeout, "POST", setupPath, fmt.Sprintf(synchronizeIso1Form, "<connectivity_timeout>600</connectivity_timeout>", attachmentID(iso1))).Body.Bytes())
			if !strings.Contains(f.Detail, "has not applied the last change yet") {
				t.Errorf("fault is %q", f.Detail)
			}
		})
	})
	t.Run("takes the change back with it", func(t *testing.T) {
		w := newWorld(t)
		before := w.store.Snapshot()
		w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso1, Reason: "no space"}}}
		f := readFault(t, w.must(http.StatusInternalServerError, "POST", setupPath, fmt.Sprintf(synchronizeIso1Form, modifiedAttachments(onlyName), attachmentID(iso1))).Body.Bytes())
		if !strings.Contains(f.Detail, "so it was taken back: no space") {
			t.Errorf("fault is %q", f.Detail)
		}
		if diff := sameDesired(before, w.store.Snapshot()); diff != "" {
			t.Errorf("the change stays (-before +after):\n%s", diff)
		}
	})
	for name, status := range map[string]func(*report.Status){
		"disconnected":  func(s *report.Status) { s.Connected = false },
		"never reached": func(s *report.Status) { *s = report.Status{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.publish(status)
			w.must(http.StatusServiceUnavailable, "POST", setupPath, synchronizeIso1)
		})
	}
	t.Run("unknown ids", func(t *testing.T) {
		w := newWorld(t)
		f := readFault(t, w.must(http.StatusNotFound, "POST", setupPath, fmt.Sprintf(synchronizeIso1Form, "", attachmentID(iso2))).Body.Bytes())
		if f.Detail != "[Entity not found: "+attachmentID(iso2)+"]" {
			t.Errorf("fault is %q", f.Detail)
		}
		f = readFault(t, w.must(http.StatusBadRequest, "POST", setupPath, fmt.Sprintf(synchronizeIso1Form, "", "")).Body.Bytes())
		if f.Reason != "Incomplete parameters" || f.Detail != "NetworkAttachment [id] required for synchronize" {
			t.Errorf("fault is %q: %q", f.Reason, f.Detail)
		}
	})
}

// TestSetupOfAnotherHost is taken as desired state: the host's own isonetd
// makes it so.
func TestSetupOfAnotherHost(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	w.must(http.StatusOK, "POST", base+"/hosts/"+string(host2)+"/setupnetworks",
		setupAction(modifiedAttachments(onlyName), `<modified_labels><network_label id="lab3"/></modified_labels>`))
	if diff := cmp.Diff([]string{"iso3", "iso4"}, w.attached(host2)); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	if w.loop.waited != nil {
		t.Errorf("waited for %v", w.loop.waited)
	}
}

// TestActionsFail has the actions other than setupnetworks fail: as the engine's
// they tell it within the action, with the status code of the fault.
func TestActionsFail(t *testing.T) {
	noSpace := &report.RealiseError{Problems: []report.Problem{{NetworkID: iso1, Reason: "no space"}}}
	for name, c := range map[string]struct {
		prepare func(*world)
		host    model.ID
		status  int
		detail  string
	}{
		"not in sync":  {func(w *world) { w.loop.refuse = noSpace }, host1, 500, "[Cannot sync all Networks. Open vSwitch does not have them as they must be: no space]"},
		"conflict":     {func(w *world) { w.loop.refuse = model.Conflictf("taken") }, host1, 409, "[Cannot sync all Networks. Open vSwitch does not have them as they must be: taken]"},
		"disconnected": {func(w *world) { w.loop.publish(func(s *report.Status) { s.Connected = false }) }, host1, 503, "Open vSwitch is not reachable"},
		"other host":   {func(*world) {}, host2, 409, "Ask the isonetd of the host 'host2'"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			body := w.must(c.status, "POST", base+"/hosts/"+string(c.host)+"/syncallnetworks", "<action/>").Body.Bytes()
			var got failedAction
			if err := xml.Unmarshal(body, &got); err != nil {
				t.Fatalf("the body is no action: %v:\n%s", err, body)
			}
			if got.Status != "failed" || got.Fault.Reason != "Operation Failed" || !strings.Contains(got.Fault.Detail, c.detail) {
				t.Errorf("action is %+v", got)
			}
		})
	}
	w := newWorld(t)
	path := base + "/hosts/" + string(host2) + "/syncallnetworks"
	golden(t, "failed_action.xml", w.must(http.StatusConflict, "POST", path, "<action/>").Body.Bytes())
	golden(t, "failed_action.json", w.must(http.StatusConflict, "POST", path, "<action/>", jsonReply).Body.Bytes())
	// A host that does not exist has no action that could fail.
	for _, action := range []string{"commitnetconfig", "syncallnetworks", "setupnetworks"} {
		readFault(t, w.must(http.StatusNotFound, "POST", base+"/hosts/"+string(iso1)+"/"+action, "<action/>").Body.Bytes())
	}
	// Every change is durable, on any host.
	w.must(http.StatusOK, "POST", base+"/hosts/"+string(host2)+"/commitnetconfig", "<action/>")
}

// TestAttachingWhatALabelAttached: setupnetworks takes an attachment without an
// id as an update of the one that is there, as the engine does. So the label
// stays its only cause. Properties make it one of its own.
func TestAttachingWhatALabelAttached(t *testing.T) {
	byName := func(elements string) string {
		return setupAction(modifiedAttachments("<network_attachment><network><name>iso3</name></network>" + elements + "</network_attachment>"))
	}
	const property = "<properties><property><name>k</name><value>v</value></property></properties>"
	for name, c := range map[string]struct {
		body     string
		explicit bool
	}{
		"by name": {byName(""), false}, "without properties": {byName("<properties/>"), false}, "with properties": {byName(property), true},
		"by id": {setupAction(modifiedAttachments(attachmentWithID(iso3))), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.store.Snapshot()
			w.must(http.StatusOK, "POST", setupPath, c.body)
			if at, _ := w.store.Snapshot().AttachmentOf(host1, iso3); at.Explicit != c.explicit || at.Label != "lab3" {
				t.Errorf("attachment is %+v", at)
			}
			if !c.explicit && w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
			w.must(http.StatusOK, "DELETE", hostPath+"/networklabels/lab3", "")
			if _, stays := w.store.Snapshot().AttachmentOf(host1, iso3); stays != c.explicit {
				t.Errorf("without the label it is attached: %v", stays)
			}
		})
	}
}

// TestWritingBackWhatWasRead sends whole objects back, as the Python SDK does.
func TestWritingBackWhatWasRead(t *testing.T) {
	for _, path := range []string{
		base + "/networks/" + string(iso1), base + "/networks/" + string(iso2),
		base + "/networks/" + string(iso3) + "?follow=network_labels",
		attachmentsPath + "/" + attachmentID(iso1), attachmentsPath + "/" + attachmentID(iso3),
		attachmentsPath + "/" + attachmentID(iso1) + "?follow=network,host,statistics",
	} {
		for _, form := range []header{{"Accept": "application/xml"}, jsonReply} {
			w := newWorld(t)
			body := w.must(http.StatusOK, "GET", path, "", form)
			before := w.store.Snapshot()
			target, _, _ := strings.Cut(path, "?")
			text := strings.ReplaceAll(body.Body.String(), ` href="`+base, ` ignored="`+base)
			w.must(http.StatusOK, "PUT", target, text, header{"Content-Type": body.Header().Get("Content-Type")})
			if w.store.Snapshot() != before {
				t.Errorf("writing back what was read changed something:\n%s", text)
			}
		}
	}
}

// TestInSyncIsHonest has every way in which Open vSwitch can differ.
func TestInSyncIsHonest(t *testing.T) {
	local := func(change func(*plan.Interface)) func(*report.Status) {
		return func(s *report.Status) { change(&rows(s).Bridges["iso1"].Ports[0].Interfaces[0]) }
	}
	verdict := func(state report.State) func(*report.Status) {
		return func(s *report.Status) { s.Networks[iso1] = report.NetworkStatus{State: state, Reason: "x"} }
	}
	const mtuActual, bridgedActual = "<actual_value>1400</actual_value>", "<actual_value>true</actual_value>"
	for name, c := range map[string]struct {
		spoil   func(*report.Status)
		inSync  bool
		shown   []string
		missing []string
	}{
		"healthy":            {func(*report.Status) {}, true, []string{mtuActual, bridgedActual}, nil},
		"no bridge":          {func(s *report.Status) { delete(rows(s).Bridges, "iso1") }, false, []string{"<actual_value>false</actual_value>"}, []string{mtuActual}},
		"MTU of the device":  {local(func(i *plan.Interface) { i.MTU = 1500 }), false, []string{"<actual_value>1500</actual_value>", bridgedActual}, []string{mtuActual}},
		"MTU not known":      {local(func(i *plan.Interface) { i.MTU = 0 }), false, []string{bridgedActual}, []string{mtuActual}},
		"no local port":      {func(s *report.Status) { b := rows(s).Bridges["iso1"]; b.Ports = nil; rows(s).Bridges["iso1"] = b }, false, []string{bridgedActual}, []string{mtuActual}},
		"pending":            {verdict(report.Pending), false, []string{mtuActual, bridgedActual}, nil},
		"failed":             {verdict(report.Failed), false, []string{mtuActual, bridgedActual}, nil},
		"not looked at":      {func(s *report.Status) { delete(s.Networks, iso1) }, false, []string{mtuActual, bridgedActual}, nil},
		"disconnected":       {func(s *report.Status) { s.Connected = false }, false, nil, []string{"<actual_value>"}},
		"without a snapshot": {func(s *report.Status) { s.Host = nil }, false, nil, []string{"<actual_value>"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.publish(c.spoil)
			body := w.must(http.StatusOK, "GET", attachmentsPath+"/"+attachmentID(iso1), "").Body.String()
			var read struct {
				InSync bool `xml:"in_sync"`
			}
			if err := xml.Unmarshal([]byte(body), &read); err != nil || read.InSync != c.inSync {
				t.Errorf("in sync is %v (%v):\n%s", read.InSync, err, body)
			}
			for _, text := range c.shown {
				if !strings.Contains(body, text) {
					t.Errorf("the attachment lacks %s:\n%s", text, body)
				}
			}
			for _, text := range c.missing {
				if strings.Contains(body, text) {
					t.Errorf("the attachment has %s:\n%s", text, body)
				}
			}
		})
	}
}

// element is one member of a list of setupnetworks, and what it asks for when it
// is not refused.
type element struct {
	list, text string
	network    model.ID // "" for a label
	label      string
}

var setupLists = []string{"modified_network_attachments", "removed_network_attachments", "modified_labels", "removed_labels", "synchronized_network_attachments"}

// drawElement returns mostly elements that can be done, because one that cannot
// hides what the others would do.
func drawElement(t *rapid.T) element {
	attach, detach, add, remove, synchronize := setupLists[0], setupLists[1], setupLists[2], setupLists[3], setupLists[4]
	if rapid.IntRange(0, 7).Draw(t, "sound") > 0 {
		return rapid.SampledFrom([]element{
			byNetwork(attach, iso1, ""), byNetwork(attach, iso2, ""), byNetwork(attach, iso4, "<host_nic/>"), byID(attach, iso5),
			byNetwork(attach, iso3, "<properties><property><name>k</name><value>v</value></property></properties>"),
			byID(detach, iso5), byNetwork(detach, iso3, ""), byID(detach, iso1),
			byLabel(add, "lab3"), byLabel(add, "lab4"), byLabel(add, "lab5"), byLabel(remove, "lab3"), byID(synchronize, iso1),
		}).Draw(t, "element")
	}
	return rapid.SampledFrom([]element{
		byNetwork(attach, "99999999-9999-4999-8999-999999999999", ""), byID(attach, iso2), byNetwork(attach, iso2, "<host_nic><name>eth0</name></host_nic>"),
		byID(detach, iso4), byNetwork(detach, iso2, ""), byLabel(add, "a b"), byLabel(remove, "nope"), byLabel(remove, "lab4"), byID(synchronize, iso2),
	}).Draw(t, "unsound element")
}

func byNetwork(list string, network model.ID, inner string) element {
	return element{list: list, network: network, text: `<network_attachment><network id="` + string(network) + `"/>` + inner + "</network_attachment>"}
}

func byID(list string, network model.ID) element {
	return element{list: list, network: network, text: `<network_attachment id="` + attachmentID(network) + `"/>`}
}

func byLabel(list, label string) element {
	return element{list: list, label: label, text: `<network_label id="` + label + `"/>`}
}

const iso5 = model.ID("aaaaaaaa-0000-4000-8000-000000000005") // attached to host1 by itself, without a VM

func setupBody(elements []element, force bool) string {
	texts := map[string]string{}
	for _, e := range elements {
		texts[e.list] += e.text
	}
	body := fmt.Sprintf("<action><force>%t</force>", force)
	for _, list := range setupLists {
		body += "<" + list + ">" + texts[list] + "</" + list + ">"
	}
	return body + "</action>"
}

func newWorldWithIso5(t *testing.T) *world {
	w := newWorld(t)
	_, err := w.store.Update(t.Context(), func(d *model.Desired) error {
		d.Networks[iso5] = model.Network{ID: iso5, Name: "iso5", VdsmName: "iso5", Label: "lab5", Revision: 1}
		_, err := d.Attach(host1, iso5, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.loop.realise()
	return w
}

// TestSetupIsAllOrNothing sends random requests, one after the other: all that
// one asks for is there afterwards and nothing else changed, or nothing changed
// at all. The order of its elements does not matter.
func TestSetupIsAllOrNothing(t *testing.T) {
	accepted, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorldWithIso5(t)
		for range rapid.IntRange(1, 8).Draw(rt, "requests") {
			elements := rapid.SliceOfN(rapid.Custom(drawElement), 0, 6).Draw(rt, "elements")
			if checkSetup(t, rt, w, elements, rapid.Bool().Draw(rt, "force")) {
				accepted++
			} else {
				refused++
			}
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d requests were accepted and %d refused: the test shows nothing", accepted, refused)
	}
}

// checkSetup sends a request, and in other orders to worlds that are as this one
// was. It reports whether the request was accepted.
func checkSetup(t *testing.T, rt *rapid.T, w *world, elements []element, force bool) bool {
	before := w.store.Snapshot()
	reply := w.do("POST", setupPath, setupBody(elements, force))
	after := w.store.Snapshot()
	accepted := reply.Code == http.StatusOK
	switch reply.Code {
	case http.StatusOK:
		checkEffects(rt, elements, before, after)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict:
		if after != before {
			rt.Fatalf("refused, but the desired state changed (-before +after):\n%s", cmp.Diff(before, after))
		}
	default:
		rt.Fatalf("status %d:\n%s", reply.Code, reply.Body)
	}

	shuffled := rapid.Permutation(elements).Draw(rt, "shuffled")
	other := newWorld(t)
	other.store.desired = before
	other.loop.realise()
	again := other.do("POST", setupPath, setupBody(shuffled, force))
	if again.Code != reply.Code || again.Body.String() != reply.Body.String() {
		rt.Fatalf("in another order (-first +second):\n%s", cmp.Diff(reply.Body.String(), again.Body.String()))
	}
	if diff := cmp.Diff(after, other.store.Snapshot()); diff != "" {
		rt.Fatalf("in another order the desired state is (-first +second):\n%s", diff)
	}
	removes := slices.ContainsFunc(elements, func(e element) bool { return strings.HasPrefix(e.list, "removed") })
	if accepted && !removes { // what is gone cannot be removed again
		if again := w.do("POST", setupPath, setupBody(elements, force)); again.Code != http.StatusOK || w.store.Snapshot() != after {
			rt.Fatalf("the second time: status %d, or something changed:\n%s", again.Code, again.Body)
		}
	}
	return accepted
}

// checkEffects checks that an accepted request did all that it asks for and
// nothing else.
func checkEffects(t *rapid.T, elements []element, before, after *model.Desired) {
	wantLabels := map[string]bool{}
	for _, label := range before.Hosts[host1].Labels {
		wantLabels[label] = true
	}
	wantExplicit := map[model.ID]bool{}
	for _, a := range before.Attachments {
		wantExplicit[a.Network] = true
	}
	for _, e := range elements {
		_, attached := after.AttachmentOf(host1, e.network)
		switch e.list {
		case "modified_labels":
			wantLabels[e.label] = true
		case "removed_labels":
			delete(wantLabels, e.label)
		case "modified_network_attachments":
			if !attached {
				t.Fatalf("%s is not attached", e.network)
			}
			delete(wantExplicit, e.network) // either, by what a label does
		case "removed_network_attachments":
			if attached {
				t.Fatalf("%s is still attached", e.network)
			}
			delete(wantExplicit, e.network)
		}
	}
	for _, label := range after.Hosts[host1].Labels {
		if !wantLabels[label] {
			t.Fatalf("label %s is on the host", label)
		}
		delete(wantLabels, label)
	}
	if len(wantLabels) > 0 {
		t.Fatalf("labels %v are not on the host", wantLabels)
	}
	for network := range wantExplicit {
		if at, _ := after.AttachmentOf(host1, network); !at.Explicit {
			t.Fatalf("%s is not attached any more, and nobody asked for that", network)
		}
	}
	for id, a := range after.Attachments {
		_, was := before.Attachments[id]
		named := slices.ContainsFunc(elements, func(e element) bool { return e.network == a.Network })
		if !was && !named {
			t.Fatalf("%s is attached, and nobody asked for that", a.Network)
		}
	}
	if diff := cmp.Diff(before.Networks, after.Networks); diff != "" {
		t.Fatalf("networks changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.Hosts[host2], after.Hosts[host2]); diff != "" {
		t.Fatalf("the other host changed (-before +after):\n%s", diff)
	}
}
