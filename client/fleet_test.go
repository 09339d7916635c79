package client_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// TestFleet checks what is asked about other hosts, and what writes tell that wait for
// them.
func TestFleet(t *testing.T) {
	var asked []string
	counts := "realised=998; pending=1; failed=2; unreachable=3"
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI()[len("/ovirt-engine/api"):])
		if r.URL.Query().Get("wait") == "hosts" {
			w.Header().Set(wire.RevisionHeader, "7")
			w.Header().Set(wire.HostsHeader, counts)
		}
		says(http.StatusOK, `{"revision": 7, "hosts": [{"id": "x", "name": "host1", "status": "up", "change": "pending"}]}`)(w, r)
	})
	if hosts, err := c.Overview(t.Context()); err != nil || hosts.Revision != 7 || hosts.Hosts[0].Name != "host1" {
		t.Errorf("%+v, %v", hosts, err)
	}
	if hosts, err := c.Outcomes(t.Context(), 7, 1500*time.Millisecond, "a", "b"); err != nil || hosts.Hosts[0].Change != "pending" {
		t.Errorf("%+v, %v", hosts, err)
	}
	if _, err := c.StatusOf(t.Context(), "host 1"); err != nil {
		t.Error(err)
	}
	var told []client.Written
	waiting := c.WaitingForHosts(time.Microsecond, func(w client.Written) { told = append(told, w) })
	if err := waiting.DeleteNetwork(t.Context(), "a", true); err != nil {
		t.Error(err)
	}
	if _, err := waiting.Overview(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.DeleteNetwork(t.Context(), "a", false); err != nil {
		t.Error(err)
	}
	if want := (client.Written{Revision: 7, Realised: 998, Pending: 1, Failed: 2, Unreachable: 3}); !slices.Equal(told, []client.Written{want}) {
		t.Errorf("told %+v", told)
	}
	want := []string{
		"GET /isonet/hosts", "GET /isonet/hosts?networks=a%2Cb&revision=7&wait=1", "GET /isonet/status?host=host+1",
		"DELETE /networks/a?force=true&timeout=1&wait=hosts", "GET /isonet/hosts", "DELETE /networks/a",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	counts = "many"
	if err := waiting.DeleteNetwork(t.Context(), "a", true); err == nil {
		t.Error("counts that are none were taken")
	}
}
