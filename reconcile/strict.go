package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

const (
	notSecureYet = "Open vSwitch has not made the bridge forward by the network's own flows yet"
	notLookedAt  = "the flows of the bridge have not been looked at yet"
)

// forward states what the bridges must forward by, and takes in what is known of
// that. It waits for nothing: a change of flows wakes the loop.
//
// It comes before any change of ports: a new member is served by the pass that
// first sees its number, and a former one is cut off before anything else.
func (l *Loop) forward(want plan.Want, actual *plan.Actual, j *judgement) {
	if l.since < 0 || l.since > actual.NextCfg { // the first pass, or another database
		l.since = actual.NextCfg
	}
	networks := map[string]model.Network{}
	var list []plan.Forwarding
	for i, n := range slices.Concat(want.Networks, want.Leaving) {
		b, there := actual.Bridge(n)
		// The network of a bridge that was strict may be gone from the store.
		unclear := i >= len(want.Networks) && !n.Strict && b.FailMode == plan.SecureFailMode
		if !there || unclear || b.DatapathType == plan.ResetDatapath || !opened(b) {
			continue
		}
		var w plan.Forwarding
		j.about(n.ID, func() { w = l.forwarding(n, b, j) })
		w.Report = w.Report || actual.Standby
		networks[b.Name] = n
		list = append(list, w)
	}
	inspected := toInspect(want, actual)
	for _, b := range inspected {
		list = append(list, plan.Forwarding{Bridge: b.Name, Report: true})
	}
	l.state(list)
	states := l.sw.Flows()
	for id, b := range inspected {
		want.Adopt[id] = inspect(want.Adopt[id], b, states[b.Name], j.late, id)
	}
	for _, n := range slices.Concat(want.Networks, want.Leaving) {
		if b, there := actual.Bridge(n); there && n.Strict {
			l.strict(n, b, states[b.Name], actual, j)
		}
	}
	l.putBack(networks, states)
}

// state states what these bridges must forward by, and what the calm ones must as
// before, if that is not what was stated last.
func (l *Loop) state(list []plan.Forwarding) {
	calm := l.guardian.calm.bridges
	same := len(l.stated) == len(calm)+len(list)
	for _, w := range list {
		before, stated := l.stated[w.Bridge]
		same = same && stated && reflect.DeepEqual(before, w)
	}
	if same {
		return
	}
	stated := make(map[string]plan.Forwarding, len(calm)+len(list))
	for bridge := range calm {
		stated[bridge] = l.stated[bridge]
	}
	for _, w := range list {
		stated[w.Bridge] = w
	}
	l.stated = stated
	l.sw.Forward(slices.Collect(maps.Values(stated))...)
}

// forwarding returns what a network's bridge must forward by.
func (l *Loop) forwarding(n model.Network, b plan.Bridge, j *judgement) plan.Forwarding {
	if n.Strict {
		p := plan.PipelineOf(n, j.accepted[n.ID])
		return plan.Forwarding{Bridge: b.Name, Pipeline: &p}
	}
	waits := l.guardian.waits(j, flowsOf(n.ID), time.Now())
	return plan.Forwarding{Bridge: b.Name, Report: waits || n.EffectiveIsolation() == model.PolicyReport}
}

// opened says that vswitchd has made the bridge.
func opened(b plan.Bridge) bool {
	local, _ := b.Local()
	return slices.ContainsFunc(local.Interfaces, func(i plan.Interface) bool { return i.OFPort > 0 && i.Error == "" })
}

// strict says whether a strict network forwards by its own flows.
//
// vswitchd forgets all flows when it changes a bridge's fail_mode: as long as that
// may be ahead, they are not in place.
func (l *Loop) strict(n model.Network, b plan.Bridge, state plan.Flows, actual *plan.Actual, j *judgement) {
	switch {
	case b.FailMode != plan.SecureFailMode || b.DatapathType == plan.ResetDatapath || actual.CurCfg < max(l.since, l.touched[n.ID]):
		j.late[n.ID] = notSecureYet
	case !state.InPlace:
		j.late[n.ID] = cmp.Or(state.Err, notSecureYet)
	default:
		j.strict[n.ID] = true
	}
}

// flowsOf names the flows of a network's bridge.
func flowsOf(network model.ID) plan.Subject {
	return plan.Subject{Network: network, Column: isolation.FlowsColumn}
}

// putBack records that flows of somebody else were put back.
func (l *Loop) putBack(networks map[string]model.Network, states map[string]plan.Flows) {
	var j judgement
	for name, n := range networks {
		state, told := states[name], l.restored[name]
		l.restored[name] = state.Restored
		if state.Restored <= told {
			continue
		}
		e := newEvent(n, isolation.Finding{Reason: isolation.ForeignFlows, Column: isolation.FlowsColumn, Detail: state.Last}, report.Restored, time.Now())
		j.repairs = append(j.repairs, repair{e, flowsOf(n.ID)})
	}
	if len(l.restored) > len(states) {
		maps.DeleteFunc(l.restored, func(name string, _ uint64) bool { _, there := states[name]; return !there })
	}
	l.repaired(j)
}

// toInspect returns the bridges that are to be adopted, as far as the database
// says nothing against them: their flows have to be looked at.
func toInspect(want plan.Want, actual *plan.Actual) map[model.ID]plan.Bridge {
	bridges := map[model.ID]plan.Bridge{}
	for _, n := range want.Networks {
		b := actual.Bridges[n.VdsmName]
		permission, permitted := want.Adopt[n.ID]
		if permitted && permission.Bridge == b.UUID && len(permission.Objections) == 0 {
			bridges[n.ID] = b
		}
	}
	return bridges
}

// inspect returns the permission to adopt a bridge after a look at its flows.
// Others could send frames anywhere, whatever the settings of the ports are.
func inspect(p plan.Permission, b plan.Bridge, state plan.Flows, late map[model.ID]string, id model.ID) plan.Permission {
	switch {
	case state.Err != "":
		p.Objections = []string{state.Err}
	case !state.Known:
		p.Unknown, late[id] = true, notLookedAt
	case !state.InPlace:
		p.Objections = []string{fmt.Sprintf(
			"somebody gave the bridge '%s' flows of its own: %s: put 'priority=0,actions=NORMAL' in their place ('ovs-ofctl --bundle replace-flows')", b.Name, state.Foreign)}
	}
	return p
}
