package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

var iso1Path = base + "/networks/" + string(iso1)

// tag reads what a path shows and returns its entity tag.
func (w *world) tag(path string, headers ...header) string {
	w.t.Helper()
	return w.must(http.StatusOK, "GET", path, "", headers...).Header().Get("ETag")
}

func TestAReadThatTheClientHasIsNotModified(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		base, base + "/networks", iso1Path, iso1Path + "/networklabels", hostPath, attachmentsPath,
		attachmentsPath + "/" + attachmentID(iso1), hostPath + "/networklabels", base + "/hosts",
	} {
		asJSON := w.tag(path, jsonReply)
		got := w.must(http.StatusNotModified, "GET", path, "", jsonReply, header{"If-None-Match": `"other", W/` + asJSON})
		if got.Body.Len() != 0 || got.Header().Get("ETag") != asJSON {
			t.Errorf("%s: 304 with the tag %s and the body %q", path, got.Header().Get("ETag"), got.Body)
		}
		w.must(http.StatusOK, "GET", path, "", header{"If-None-Match": asJSON}) // XML is another reply
	}
	tag := w.tag(attachmentsPath)
	w.loop.publish(func(s *report.Status) { s.Networks = map[model.ID]report.NetworkStatus{} })
	if got := w.must(http.StatusOK, "GET", attachmentsPath, "", header{"If-None-Match": tag}).Header().Get("ETag"); got == tag {
		t.Error("attachments that are no longer in sync have the tag of those that are")
	}
}

func TestIfMatch(t *testing.T) {
	const description = "<network><description>mine</description></network>"
	setup := "<action><modified_labels><network_label id=\"new\"/></modified_labels></action>"
	attachment := attachmentsPath + "/" + attachmentID(iso1)
	others := func(change func(*model.Desired) error) func(*world) {
		return func(w *world) {
			if _, err := w.store.Update(w.t.Context(), change); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	renamed := others(func(d *model.Desired) error {
		n := d.Networks[iso1]
		n.Comment = "somebody was here"
		return d.UpdateNetwork(n)
	})
	labelled := others(func(d *model.Desired) error { return d.AddLabel(host1, "theirs") })
	another := others(func(d *model.Desired) error {
		_, err := d.AddNetwork(model.Network{Name: "theirs"})
		return err
	})
	reattached := others(func(d *model.Desired) error {
		_, err := d.Attach(host1, iso1, map[string]string{"purpose": "theirs"})
		return err
	})
	labelOfNetwork := others(func(d *model.Desired) error {
		n := d.Networks[iso1]
		n.Label = "theirs"
		return d.UpdateNetwork(n)
	})
	for name, test := range map[string]struct {
		read, method, path, body string
		status                   int
		by, notBy                func(*world)
	}{
		"update network":        {iso1Path, "PUT", iso1Path, description, 200, renamed, another},
		"remove network":        {iso1Path, "DELETE", iso1Path + "?force=true", "", 200, renamed, another},
		"through the cluster":   {iso1Path, "DELETE", base + "/datacenters/" + dataCenter + "/networks/" + string(iso1) + "?force=true", "", 200, renamed, another},
		"add network":           {base + "/networks", "POST", base + "/networks", "<network><name>mine</name><data_center><name>Default</name></data_center></network>", 201, another, nil},
		"label network":         {iso1Path + "/networklabels", "POST", iso1Path + "/networklabels", `<network_label id="mine"/>`, 201, labelOfNetwork, another},
		"label host":            {hostPath + "/networklabels", "POST", hostPath + "/networklabels", `<network_label id="mine"/>`, 201, labelled, another},
		"remove label of host":  {hostPath + "/networklabels/lab3", "DELETE", hostPath + "/networklabels/lab3", "", 200, labelled, another},
		"setup":                 {hostPath, "POST", setupPath, setup, 200, reattached, another},
		"setup, by attachments": {attachmentsPath, "POST", setupPath, setup, 200, labelled, renamed},
		"update attachment":     {attachment, "PUT", attachment, "<network_attachment/>", 200, reattached, labelled},
		"remove attachment":     {attachment, "DELETE", attachment + "?force=true", "", 200, reattached, labelled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tag := w.tag(test.read, jsonReply)
			test.by(w)
			before := w.store.Snapshot()
			fault := readFault(t, w.must(http.StatusPreconditionFailed, test.method, test.path, test.body, header{"If-Match": tag}).Body.Bytes())
			if fault.Reason != "Precondition Failed" || !strings.Contains(fault.Detail, "read it again") {
				t.Errorf("fault %+v", fault)
			}
			if w.store.Snapshot() != before {
				t.Error("a refused write has changed something")
			}
			w = newWorld(t)
			tag = w.tag(test.read, jsonReply)
			if test.notBy != nil {
				test.notBy(w)
			}
			// What Open vSwitch reports is no reason to refuse.
			w.loop.publish(func(s *report.Status) { s.Networks = map[model.ID]report.NetworkStatus{} })
			w.must(test.status, test.method, test.path, test.body, header{"If-Match": `"0.0", ` + tag})
		})
	}
}

func TestIfMatchOfWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	tag := w.tag(iso1Path)
	w.must(http.StatusOK, "PUT", iso1Path, "<network/>", header{"If-Match": "*"})
	w.must(http.StatusPreconditionFailed, "PUT", iso1Path, "<network/>", header{"If-Match": "W/" + tag}) // weak tags match nothing
	w.must(http.StatusPreconditionFailed, "PUT", iso1Path, "<network/>", header{"If-Match": "nonsense"})
	w.must(http.StatusOK, "DELETE", iso1Path+"?force=true", "", header{"If-Match": tag})
	w.must(http.StatusNotFound, "DELETE", iso1Path, "", header{"If-Match": tag})
}

func TestAWriteAnswersTheTagForTheNextOne(t *testing.T) {
	w := newWorld(t)
	tag := w.tag(iso1Path)
	for i := range 3 {
		body := fmt.Sprintf("<network><description>%d</description></network>", i)
		old := tag
		tag = w.must(http.StatusOK, "PUT", iso1Path, body, header{"If-Match": old}).Header().Get("ETag")
		w.must(http.StatusPreconditionFailed, "PUT", iso1Path, body, header{"If-Match": old})
	}
	if got := w.tag(iso1Path); got != tag {
		t.Errorf("the tag of the last reply is %s, and that of a read %s", tag, got)
	}
}

func TestStaleRepliesSaySo(t *testing.T) {
	w := newWorld(t)
	const statusPath = base + "/isonet/status"
	stale := func() string {
		t.Helper()
		var values []string
		for _, path := range []string{base + "/networks", attachmentsPath, statusPath} {
			values = append(values, w.must(http.StatusOK, "GET", path, "").Header().Get("Isonet-Stale"))
		}
		if values[0] != values[1] || values[0] != values[2] {
			t.Errorf("Isonet-Stale differs: %q", values)
		}
		return values[0]
	}
	if got := stale(); got != "" {
		t.Errorf("stale since %q while all is well", got)
	}
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	if got, want := stale(), "2026-01-02T03:04:05Z"; got != want {
		t.Errorf("stale since %q, want %q: Open vSwitch is gone", got, want)
	}
	w.store.stale = epoch.Add(-time.Hour)
	if got, want := stale(), "2026-01-02T02:04:05Z"; got != want {
		t.Errorf("stale since %q, want %q: the database of the store went first", got, want)
	}
	w.loop.publish(func(s *report.Status) { s.Connected = true })
	if got, want := stale(), "2026-01-02T02:04:05Z"; got != want {
		t.Errorf("stale since %q, want %q: the database of the store is gone", got, want)
	}
}

func TestAStandbyRefusesWrites(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) { s.Standby = true })
	before := w.store.Snapshot()
	w.must(http.StatusOK, "GET", base+"/networks", "")
	for _, path := range []string{setupPath, base + "/networks"} {
		body := map[string]string{setupPath: "<action/>", base + "/networks": "<network><name>x</name></network>"}[path]
		reply := w.must(http.StatusServiceUnavailable, "POST", path, body)
		if reply.Header().Get("Retry-After") == "" || !strings.Contains(readFault(t, reply.Body.Bytes()).Detail, "another isonetd manages") {
			t.Errorf("POST %s: %v %s", path, reply.Header(), reply.Body)
		}
	}
	if w.store.Snapshot() != before {
		t.Error("a standby has written")
	}
}
