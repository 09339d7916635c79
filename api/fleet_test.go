package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// reports are those of the other hosts of a fleet.
type reports struct {
	mu      sync.Mutex
	hosts   map[model.ID]report.Status
	changed chan struct{}
}

func (r *reports) Status(host model.ID) (report.Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.hosts[host]
	return s, known
}

func (r *reports) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *reports) set(s report.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts[host2] = s
	close(r.changed)
	r.changed = make(chan struct{})
}

// newFleet returns a world in which host2 has iso3 by a label, with a port, and reports.
func newFleet(t testing.TB) (*world, *reports) {
	t.Helper()
	r := &reports{hosts: map[model.ID]report.Status{}, changed: make(chan struct{})}
	w := newWorld(t, func(c *api.Config) {
		c.Others = r
		if err := c.Store.(*memory).desired.AddLabel(host2, "lab3"); err != nil {
			t.Fatal(err)
		}
	})
	r.set(reported(report.Up, vmPort("vnet2")))
	return w, r
}

// reported is of host2 with iso3.
func reported(liveness report.Liveness, ports ...plan.Port) report.Status {
	const name = "iso3"
	n := model.Network{ID: iso3, Name: name, VdsmName: name}
	s := report.Status{
		HostID: host2, Connected: true, Since: epoch, Revision: 7, Member: &report.Member{Liveness: liveness, Heard: epoch, Seen: 7, Version: "1.2.3"},
		Host: see(&plan.Actual{Links: plan.NewLinks(), Bridges: map[string]plan.Bridge{
			name: bridge(n, ports), "second-isolated": {Name: "second-isolated"},
		}}),
		Networks: map[model.ID]report.NetworkStatus{iso3: {
			State: report.Active, Since: epoch, Isolation: report.Isolation{Verdict: report.Isolated, Since: epoch},
		}},
	}
	if liveness != report.Up {
		s.Connected = false
		s.Missing = []report.Missing{{Ground: report.OnReport, Since: epoch, Cause: "it does not report", Remedy: "look at it"}}
	}
	return s
}

const host2Path = base + "/hosts/" + string(host2)

// TestAnotherHostIsShown reads what another host reports, as it stands with it.
func TestAnotherHostIsShown(t *testing.T) {
	type shown struct {
		Status    string
		InSync    string `json:"in_sync"`
		Isolation *struct {
			Verdict, Reason string
		}
		Reported struct {
			Of []struct {
				Name   string
				Actual string `json:"actual_value"`
			} `json:"reported_configuration"`
		} `json:"reported_configurations"`
	}
	silent := &struct{ Verdict, Reason string }{string(report.IsolationUnknown), "it does not report: look at it"}
	for name, c := range map[string]struct {
		edit          func(*report.Status)
		status, sync  string
		isolation     *struct{ Verdict, Reason string }
		actual        string
		active        string // hosts of the summary
		clusterStatus string
	}{
		"up":             {func(*report.Status) {}, "up", "true", &struct{ Verdict, Reason string }{"isolated", ""}, "1500 true true", "2", "operational"},
		"non_responsive": {func(s *report.Status) { *s = reported(report.NonResponsive) }, "non_responsive", "", silent, "  ", "1", "operational"},
		"connecting":     {func(s *report.Status) { *s = reported(report.Connecting) }, "connecting", "", silent, "  ", "1", "operational"},
		"in error": {func(s *report.Status) {
			s.Networks = map[model.ID]report.NetworkStatus{iso3: {State: report.Failed, Reason: "no"}}
		}, "up", "false", &struct{ Verdict, Reason string }{"unknown", ""}, "1500 true ", "2", "non_operational"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := newFleet(t)
			s := reported(report.Up, vmPort("vnet2"))
			c.edit(&s)
			r.set(s)
			read := func(path string, into any) {
				t.Helper()
				if err := json.Unmarshal(w.must(http.StatusOK, "GET", path, "", jsonReply).Body.Bytes(), into); err != nil {
					t.Fatal(err)
				}
			}
			var host, attachment, network shown
			read(host2Path, &host)
			read(host2Path+"/networkattachments/"+onHost2(iso3), &attachment)
			read(base+"/clusters/"+cluster+"/networks/"+string(iso3), &network)
			var root struct {
				Summary struct{ Hosts struct{ Active string } }
			}
			read(base, &root)
			var actual []string
			for _, r := range attachment.Reported.Of {
				actual = append(actual, r.Actual)
			}
			got := []string{host.Status, attachment.InSync, strings.Join(actual, " "), root.Summary.Hosts.Active, network.Status}
			if diff := cmp.Diff([]string{c.status, c.sync, c.actual, c.active, c.clusterStatus}, got); diff != "" {
				t.Errorf("status, in_sync, actual values, active hosts, network (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.isolation, attachment.Isolation); diff != "" {
				t.Errorf("isolation (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnotherHostRefuses checks that a change through one host meets the refusals of
// another one, in the engine's words.
func TestAnotherHostRefuses(t *testing.T) {
	removed := `<action><removed_labels><network_label id="lab3"/></removed_labels></action>`
	for name, c := range map[string]struct{ method, path, body, want string }{
		"setupnetworks": {
			"POST", host2Path + "/setupnetworks", removed,
			"[Cannot setup Networks. The following Logical Network: 'iso3' is being used by the following VM(s): '",
		},
		"a label": {
			"DELETE", host2Path + "/networklabels/lab3", "",
			"[Cannot setup Networks. The following Logical Network: 'iso3' is being used by the following VM(s): '",
		},
		"a network": {
			"DELETE", base + "/networks/" + string(iso3), "",
			"[On the host 'host2': Cannot remove Network. This logical network is used by virtual machine: ",
		},
		"a label of a network": {
			"DELETE", base + "/networks/" + string(iso3) + "/networklabels/lab3", "",
			"[On the host 'host2': Cannot setup Networks. The following Logical Network: 'iso3' is being used by",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newFleet(t)
			before := w.store.Snapshot()
			f := readFault(t, w.must(http.StatusConflict, c.method, c.path, c.body).Body.Bytes())
			if !strings.HasPrefix(f.Detail, c.want) {
				t.Errorf("detail %q, want %q…", f.Detail, c.want)
			}
			if diff := sameDesired(before, w.store.Snapshot()); diff != "" {
				t.Errorf("desired state (-before +after):\n%s", diff)
			}
		})
	}
	w, _ := newFleet(t)
	var fault struct{ Refusals []wire.Refusal }
	reply := w.must(http.StatusConflict, "DELETE", base+"/networks/"+string(iso3), "", jsonReply, header{wire.RefusalsHeader: "true"})
	if err := json.Unmarshal(reply.Body.Bytes(), &fault); err != nil || len(fault.Refusals) != 1 || fault.Refusals[0].Host != "host2" ||
		fault.Refusals[0].Code != string(model.RemovedInUse) {
		t.Errorf("refusals %+v (%v)", fault.Refusals, err)
	}
}

// TestAHostThatIsAwayGetsItLater writes for a host that does not report.
func TestAHostThatIsAwayGetsItLater(t *testing.T) {
	w, r := newFleet(t)
	r.set(reported(report.NonResponsive))
	for _, c := range []struct{ method, path, body string }{
		{"POST", host2Path + "/networklabels", `<network_label id="lab4"/>`},
		{"POST", host2Path + "/networkattachments", attachIso2},
		{"POST", host2Path + "/setupnetworks", `<action><removed_labels><network_label id="lab4"/></removed_labels></action>`},
		{"DELETE", host2Path + "/networkattachments/" + onHost2(iso2), ""},
		{"DELETE", host2Path + "/networklabels/lab3", ""},
	} {
		reply := w.do(c.method, c.path, c.body)
		if reply.Code >= 300 {
			t.Errorf("%s %s: %d %s", c.method, c.path, reply.Code, reply.Body)
		}
		if got := reply.Header().Get(wire.WarningHeader); !strings.HasSuffix(got, "get the change when they are back: host2.") {
			t.Errorf("%s %s: warning %q", c.method, c.path, got)
		}
	}
	f := w.must(http.StatusConflict, "POST", host2Path+"/syncallnetworks", "<action/>").Body.String()
	if !strings.Contains(f, "The host &#39;host2&#39; is not: it does not report: look at it") {
		t.Error(f)
	}
}

// TestSyncsAnotherHost waits for the networks of another host.
func TestSyncsAnotherHost(t *testing.T) {
	w, r := newFleet(t)
	waiting := reported(report.Up)
	waiting.Revision = 6
	r.set(waiting)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.must(http.StatusOK, "POST", host2Path+"/syncallnetworks", "<action/>")
	}()
	s := reported(report.Up)
	s.Revision = w.store.Snapshot().Revision
	r.set(s)
	<-done
	failed := reported(report.Up)
	failed.Revision = s.Revision
	failed.Networks = map[model.ID]report.NetworkStatus{iso3: {State: report.Failed, Reason: "no datapath"}}
	r.set(failed)
	if got := w.do("POST", host2Path+"/syncallnetworks", "<action/>").Body.String(); !strings.Contains(got, "no datapath") {
		t.Error(got)
	}
}

// TestHostsAreListed tells how all hosts are, and what became of a change.
func TestHostsAreListed(t *testing.T) {
	w, r := newFleet(t)
	failed := reported(report.Up)
	failed.Networks = map[model.ID]report.NetworkStatus{iso3: {State: report.Failed, Reason: "no datapath"}}
	list := func(query string) map[string]wire.HostOverview {
		t.Helper()
		var got wire.Hosts
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/hosts"+query, "").Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		hosts := map[string]wire.HostOverview{}
		for _, h := range got.Hosts {
			hosts[h.Name] = h
		}
		return hosts
	}
	if got := list(""); got["host1"].Status != "up" || got["host2"].Status != "up" || got["host2"].Version != "1.2.3" || got["host2"].Faulty != 0 || got["host2"].Change != "" {
		t.Errorf("hosts %+v", got)
	}
	for name, c := range map[string]struct {
		status report.Status
		query  string
		want   change.OutcomeState
	}{
		"realised":        {reported(report.Up), "?revision=7&networks=" + string(iso3), change.Realised},
		"all networks":    {reported(report.Up), "?revision=7", change.Realised},
		"pending":         {reported(report.Up), "?revision=8&networks=" + string(iso3), change.Pending},
		"failed":          {failed, "?revision=7&networks=" + string(iso3), change.Failed},
		"unreachable":     {reported(report.NonResponsive), "?revision=7&networks=" + string(iso3), change.Away},
		"without concern": {reported(report.Up), "?revision=7&networks=" + string(iso2), ""},
	} {
		r.set(c.status)
		if got := list(c.query)["host2"]; got.Change != string(c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	r.set(failed)
	if got := list("")["host2"]; got.Faulty != 1 || len(got.Problems) != 1 || got.Problems[0].Name != "iso3" || got.Problems[0].Reason != "no datapath" {
		t.Errorf("problems %+v", got)
	}
	r.set(reported(report.Connecting))
	if got := list("")["host2"]; got.Status != "connecting" || got.Reason == "" || got.Faulty != 0 {
		t.Errorf("%+v", got)
	}
	for _, query := range []string{"?revision=x", "?revision=0", "?revision=1&networks=x", "?revision=1&wait=x"} {
		if got := w.do("GET", base+"/isonet/hosts"+query, "").Code; got != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got)
		}
	}
}

// TestStatusOfAnotherHost reads the status of another host from its report.
func TestStatusOfAnotherHost(t *testing.T) {
	w, r := newFleet(t)
	for reference, want := range map[string]model.ID{"host2": host2, string(host2): host2, "host1": host1} {
		var got wire.Status
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status?host="+reference, "").Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Host.ID != string(want) || len(got.Networks) == 0 || !got.Networks[0].Active() {
			t.Errorf("%s: %+v", reference, got)
		}
	}
	w.must(http.StatusNotFound, "GET", base+"/isonet/status?host=nowhere", "")
	r.mu.Lock()
	delete(r.hosts, host2)
	r.mu.Unlock()
	w.must(http.StatusConflict, "GET", base+"/isonet/status?host=host2", "")
}

// TestAWriteWaitsForAllHosts waits for every host that a write touches.
func TestAWriteWaitsForAllHosts(t *testing.T) {
	w, r := newFleet(t)
	path := base + "/networks/" + string(iso3)
	for name, c := range map[string]struct {
		status report.Status
		want   string
	}{
		"realised":    {func() report.Status { s := reported(report.Up); s.Revision = 1000; return s }(), "realised=2; pending=0; failed=0; unreachable=0"},
		"pending":     {reported(report.Up), "realised=1; pending=1; failed=0; unreachable=0"},
		"unreachable": {reported(report.NonResponsive), "realised=1; pending=0; failed=0; unreachable=1"},
	} {
		r.set(c.status)
		reply := w.must(http.StatusOK, "PUT", path+"?wait=hosts&timeout=1", `{"description":"`+name+`"}`, jsonBody)
		if got := reply.Header().Get(wire.HostsHeader); got != c.want || reply.Header().Get(wire.RevisionHeader) == "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, query := range []string{"?wait=all", "?wait=hosts&timeout=x"} {
		before := w.store.Snapshot()
		w.must(http.StatusBadRequest, "PUT", path+query, `{"description":"x"}`, jsonBody)
		if w.store.Snapshot() != before {
			t.Errorf("%s: it was done", query)
		}
	}
}
