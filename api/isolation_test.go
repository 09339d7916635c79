package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

func TestIsolationPolicyIsWrittenAndRead(t *testing.T) {
	w := newWorld(t)
	path := base + "/networks/" + string(iso1)
	for _, step := range []struct {
		body    string
		headers []header
		want    model.Network
		has     []string
	}{
		{
			"<network><isolation_policy>report</isolation_policy></network>", nil,
			model.Network{Isolation: model.PolicyReport},
			[]string{"<isolation_policy>report</isolation_policy>", "<strict>false</strict>"},
		},
		{
			"<network><strict>true</strict><mac_lock>true</mac_lock></network>", nil,
			model.Network{Isolation: model.PolicyReport, Strict: true, MACLock: true},
			[]string{"<isolation_policy>report</isolation_policy>", "<strict>true</strict>", "<mac_lock>true</mac_lock>"},
		},
		{
			`{"isolation_policy":"quarantine","strict":true,"mac_lock":"false"}`,
			[]header{{"Content-Type": "application/json"}},
			model.Network{Isolation: model.PolicyQuarantine, Strict: true},
			[]string{"<mac_lock>false</mac_lock>"},
		},
		{
			"<network><description>d</description></network>", nil, // leaves it alone
			model.Network{Isolation: model.PolicyQuarantine, Strict: true}, []string{"<isolation_policy>quarantine</isolation_policy>"},
		},
	} {
		answer := w.must(http.StatusOK, "PUT", path, step.body, step.headers...).Body.String()
		for _, want := range step.has {
			if !strings.Contains(answer, want) {
				t.Errorf("%s: the answer lacks %s:\n%s", step.body, want, answer)
			}
		}
		n := w.store.Snapshot().Networks[iso1]
		if n.Isolation != step.want.Isolation || n.Strict != step.want.Strict || n.MACLock != step.want.MACLock {
			t.Errorf("%s: the network is %+v", step.body, n)
		}
	}
	made := w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>new</name></network>").Body.String()
	if !strings.Contains(made, "<isolation_policy>enforce</isolation_policy>") {
		t.Errorf("a new network is %s", made)
	}
}

func TestIsolationPolicyIsRefused(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{
		"<network><isolation_policy>none</isolation_policy></network>": "is not valid: use",
		"<network><mac_lock>true</mac_lock></network>":                 "needs strict isolation",
		"<network><strict>maybe</strict></network>":                    "valid boolean",
	} {
		r := w.do("PUT", base+"/networks/"+string(iso1), body)
		if r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d %s, want a refusal that says %q", body, r.Code, r.Body, want)
		}
	}
}

// broken is a verdict with a finding of every shape.
func broken() report.Isolation {
	return report.Isolation{
		Verdict: report.NotIsolated, Contested: true, Since: epoch,
		Findings: []isolation.Finding{
			{Reason: isolation.PhysicalNIC, Bridge: "iso1", Port: "eth9", Interface: "eth9", Detail: "it is <a> NIC", Action: isolation.Remove},
			{Reason: isolation.UnknownDevice, Bridge: "iso1", Port: "odd", Interface: "odd", Detail: "odd", Action: isolation.Quarantine, Quarantined: true},
			{Reason: isolation.Mirror, Bridge: "iso1", Column: "mirrors", Detail: "a mirror", Action: isolation.Restore},
			{Reason: isolation.Manager, Bridge: "iso1", Detail: "a manager", Action: isolation.Report, Notice: true},
		},
		Pending: []isolation.Pending{{Port: "vnet7", Interface: "u"}},
	}
}

func TestAVerdictIsTold(t *testing.T) {
	w := newWorld(t)
	w.loop.publish(func(s *report.Status) {
		s.Networks = maps.Clone(s.Networks)
		n := s.Networks[iso1]
		n.Isolation = broken()
		s.Networks[iso1] = n
		s.Events = []report.Event{{
			Time: epoch, NetworkID: iso1, Network: "iso1", Reason: isolation.Mirror, Column: "mirrors", Detail: "a mirror", Deed: report.Restored,
		}}
	})
	path := attachmentsPath + "/" + attachmentID(iso1)
	golden(t, "attachment_not_isolated.xml", w.must(http.StatusOK, "GET", path, "").Body.Bytes())
	golden(t, "attachment_not_isolated.json", w.must(http.StatusOK, "GET", path, "", jsonReply).Body.Bytes())

	var status wire.Status
	if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if e := status.Events; len(e) != 1 || e[0].Deed != string(report.Restored) || e[0].Setting != "mirrors" || e[0].NetworkID != string(iso1) {
		t.Errorf("events %+v", e)
	}
	i := status.Networks[0].Isolation
	if i.Isolated || !i.Contested || len(i.Findings) != 4 || len(i.Pending) != 1 || i.Pending[0] != "vnet7" || i.Policy != string(model.PolicyEnforce) {
		t.Errorf("isolation %+v", i)
	}
	if f := i.Findings[2]; f.Setting != "mirrors" || f.Reason != string(isolation.Mirror) || f.Remedy == "" || f.Detail != "a mirror" {
		t.Errorf("finding %+v", f)
	}
}

// An attachment of another host is judged there.
func TestAnotherHostsVerdictIsNotKnown(t *testing.T) {
	w := newWorld(t)
	w.must(http.StatusCreated, "POST", base+"/hosts/"+string(host2)+"/networkattachments", "<network_attachment><network><name>iso1</name></network></network_attachment>")
	body := w.must(http.StatusOK, "GET", base+"/hosts/"+string(host2)+"/networkattachments/"+onHost2(iso1), "").Body.String()
	if strings.Contains(body, "<isolation>") {
		t.Errorf("the attachment of another host has a verdict:\n%s", body)
	}
}
