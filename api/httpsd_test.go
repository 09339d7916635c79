package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/wire"
)

// TestHostsAsTargets reads the hosts as Prometheus does.
func TestHostsAsTargets(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusOK, "PUT", base+"/hosts/"+string(host2), "<host><name>far.example.com</name></host>")
	for query, want := range map[string][2]string{
		"":                                 {"far.example.com:9475", "host1:9475"},
		"?port=9500&domain=example.org":    {"far.example.com:9500", "host1.example.org:9500"},
		"?domain=.example.org.&port=65535": {"far.example.com:65535", "host1.example.org:65535"},
	} {
		reply := w.must(http.StatusOK, "GET", base+"/isonet/http_sd"+query, "", header{"Accept": "application/json"})
		if kind := reply.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s: the type is %q, which Prometheus refuses", query, kind)
		}
		var got []wire.TargetGroup
		if err := json.Unmarshal(reply.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]wire.TargetGroup{
			{Targets: []string{want[0]}, Labels: map[string]string{wire.TargetHost: "far.example.com", wire.TargetHostID: string(host2)}},
			{Targets: []string{want[1]}, Labels: map[string]string{wire.TargetHost: "host1", wire.TargetHostID: string(host1), wire.TargetHostLabels: ",lab3,"}},
		}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for _, query := range []string{"?port=0", "?port=65536", "?port=http", "?domain=a/b", "?domain=a%20b"} {
		w.must(http.StatusBadRequest, "GET", base+"/isonet/http_sd"+query, "")
	}
}
