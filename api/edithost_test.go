package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
)

const otherHostPath = base + "/hosts/" + string(host2)

func TestAHostIsRenamed(t *testing.T) {
	w := newWorld(t)
	for _, form := range []header{{"Accept": "application/xml"}, jsonReply} {
		// What was read can be written back and chooses no name.
		body := w.must(http.StatusOK, "GET", hostPath, "", form)
		before := w.store.Snapshot()
		w.must(http.StatusOK, "PUT", hostPath, body.Body.String(), header{"Content-Type": body.Header().Get("Content-Type")})
		if w.store.Snapshot() != before {
			t.Errorf("writing back what was read changed something:\n%s", body.Body)
		}
	}
	want := w.store.Snapshot().Hosts[host1]
	reply := w.must(http.StatusOK, "PUT", hostPath, `<host><name>rack1-a</name><comment>ignored</comment></host>`)
	if !strings.Contains(reply.Body.String(), "<name>rack1-a</name>") {
		t.Errorf("the reply is %s", reply.Body)
	}
	want.Name, want.Named = "rack1-a", true
	if got := w.store.Snapshot().Hosts[host1]; got.Name != want.Name || got.Named != want.Named || len(got.Labels) != len(want.Labels) {
		t.Errorf("the host is %+v, want %+v", got, want)
	}
	for body, refusal := range map[string]struct {
		status int
		says   string
	}{
		`<host><name>host2</name></host>`:                        {http.StatusConflict, "The Host name is already in use"},
		`<host><name>a b</name></host>`:                          {http.StatusBadRequest, "alphanumeric characters"},
		`<host><name></name></host>`:                             {http.StatusBadRequest, "alphanumeric characters"},
		`<host id="` + string(host2) + `"><name>x</name></host>`: {http.StatusConflict, "immutable"},
	} {
		if reply := w.must(refusal.status, "PUT", hostPath, body); !strings.Contains(reply.Body.String(), refusal.says) {
			t.Errorf("%s: %s", body, reply.Body)
		}
	}
	tag := w.tag(hostPath)
	w.must(http.StatusOK, "PUT", hostPath, `<host><name>again</name></host>`, header{"If-Match": tag})
	w.must(http.StatusPreconditionFailed, "PUT", hostPath, `<host><name>late</name></host>`, header{"If-Match": tag})
}

func TestAHostThatIsGoneIsRemoved(t *testing.T) {
	w := newWorld(t)
	for _, query := range []string{"", "?force=true"} {
		if reply := w.must(http.StatusConflict, "DELETE", hostPath+query, ""); !strings.Contains(reply.Body.String(), "Host is operational") {
			t.Errorf("the host of the daemon: %s", reply.Body)
		}
	}
	w.store.desired = w.store.desired.Clone()
	if _, err := w.store.desired.Attach(host2, iso2, nil); err != nil {
		t.Fatal(err)
	}
	if reply := w.must(http.StatusConflict, "DELETE", otherHostPath, ""); !strings.Contains(reply.Body.String(), "still has 1 networks and 0 labels") {
		t.Errorf("a host with networks: %s", reply.Body)
	}
	w.must(http.StatusOK, "DELETE", otherHostPath+"?force=true", "")
	d := w.store.Snapshot()
	if _, there := d.Hosts[host2]; there {
		t.Error("the host is still there")
	}
	if _, there := d.Attachments[model.AttachmentID(host2, iso2)]; there {
		t.Error("its attachment is still there")
	}
	w.must(http.StatusNotFound, "DELETE", otherHostPath, "")
}
