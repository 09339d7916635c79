package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMaintenance keeps new networks from a host, and leaves it what it has.
func TestMaintenance(t *testing.T) {
	w := newWorld(t)
	const label = `<modified_labels><network_label id="lab4"/></modified_labels>`
	attach := `<modified_network_attachments>` + attachIso2 + `</modified_network_attachments>`
	for range 2 { // more than once is no error
		w.must(http.StatusOK, "POST", hostPath+"/deactivate", "<action><force>true</force></action>")
	}
	if got := w.must(http.StatusOK, "GET", hostPath, "").Body.String(); !strings.Contains(got, "<status>maintenance</status>") {
		t.Errorf("the host is %s", got)
	}
	const refused = "[Cannot setup Networks. The host 'host1' is in maintenance: activate it first (POST activate of the host).]"
	for _, request := range []struct{ path, body string }{
		{attachmentsPath, attachIso2},
		{hostPath + "/networklabels", `<network_label id="lab4"/>`},
		{setupPath, "<action>" + label + "</action>"},
		{setupPath, "<action>" + attach + "</action>"},
		{setupPath, "<action>" + attach + label + "</action>"},
	} {
		if got := readFault(t, w.must(http.StatusConflict, "POST", request.path, request.body).Body.Bytes()); got.Detail != refused {
			t.Errorf("%s %s: %s", request.path, request.body, got.Detail)
		}
	}
	had := w.attached(host1)
	w.must(http.StatusOK, "PUT", attachmentsPath+"/"+attachmentID(iso1), `<network_attachment><properties><property><name>a</name><value>b</value></property></properties></network_attachment>`)
	w.must(http.StatusOK, "POST", setupPath, `<action><modified_labels><network_label id="lab3"/></modified_labels></action>`)
	w.must(http.StatusCreated, "POST", base+"/networks/"+string(iso2)+"/networklabels", `<network_label id="lab3"/>`)
	if diff := cmp.Diff([]string{"iso1", "iso3", "second isolated network"}, w.attached(host1)); diff != "" {
		t.Errorf("it had %v; then (-want +got)\n%s", had, diff)
	}
	w.must(http.StatusOK, "DELETE", hostPath+"/networklabels/lab3?force=true", "")
	w.must(http.StatusOK, "POST", hostPath+"/activate", "<action/>")
	w.must(http.StatusOK, "POST", setupPath, "<action>"+attach+label+"</action>")
}
