package isolation_test

import (
	"slices"
	"testing"

	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

// The table of columns and the decision table are of one mind.
func TestColumnsAndReasons(t *testing.T) {
	rests := map[isolation.Reason]bool{}
	for _, c := range isolation.Columns() {
		for _, reason := range c.Reasons {
			e, known := isolation.Find(reason)
			rests[reason] = true
			switch {
			case !known:
				t.Errorf("%s %v: the decision table has no line %s", c.Table, c.Names, reason)
			case c.Does == isolation.Free || c.Does == isolation.Read:
				t.Errorf("%s %v: it has the reason %s, and no bearing", c.Table, c.Names, reason)
			case c.Does == isolation.Kept && !e.Always:
				t.Errorf("%s %v is kept, and %s depends on the policy", c.Table, c.Names, reason)
			case c.Does == isolation.Reported && e.Enforce != isolation.Report:
				t.Errorf("%s %v is only reported, and %s is not", c.Table, c.Names, reason)
			}
		}
	}
	for _, e := range isolation.Table() {
		if e.Enforce == isolation.Restore && e.Reason != isolation.ForeignFlows && !rests[e.Reason] {
			t.Errorf("no column says %s", e.Reason)
		}
	}
}

// What Open vSwitch takes for on is judged as on, and nothing else is.
func TestTrue(t *testing.T) {
	for value, want := range map[string]bool{
		"true": true, "True": true, "TRUE": true, "tRuE": true,
		"": false, "false": false, "yes": false, "1": false, "on": false, " true": false, "true ": false, "t": false, "enable": false,
	} {
		if plan.True(value) != want {
			t.Errorf("%q: want %t", value, want)
		}
	}
}

// Every setting that is put back has its columns in the table.
func TestEverySettingHasItsColumn(t *testing.T) {
	in := healthy()
	b := &in.Bridge
	b.Controllers, b.Mirrors, b.NetFlow, b.SFlow, b.IPFIX, b.AutoAttach, b.FlowTables = 1, 1, 1, 1, 1, 1, 1
	b.STP, b.RSTP, b.FailMode, b.Protocols = true, true, "standalone", []string{"OpenFlow10"}
	b.OtherConfig = map[string]string{"forward-bpdu": "True"}
	local := &b.Ports[0]
	local.LACP, local.VLANMode, local.Trunks, local.Tag = "passive", "", nil, 3
	local.Interfaces = append(local.Interfaces, plan.Interface{UUID: "x", Name: "x", LLDP: true, BFD: true, CFM: true})
	for _, f := range isolation.Judge(in).Findings {
		if f.Column == "" {
			continue
		}
		if !slices.ContainsFunc(isolation.Columns(), func(c isolation.Column) bool {
			return slices.Contains(c.Reasons, f.Reason) && (c.Matches(f.Column) || c.Matches(f.Column+":enable"))
		}) {
			t.Errorf("%s: no entry of isolation.Columns names %s", f.Reason, f.Column)
		}
	}
}
