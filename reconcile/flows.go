package reconcile

import (
	"cmp"
	"context"
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

// flows is the stage that states what bridges must forward by. Package ovs installs
// the flows and watches them, and the loop does not wait for that: a change of flows
// wakes it.
//
// It applies before the stage of the bridges: a new member is served by the pass that
// first sees its number, and a former one is cut off before anything else.
type flows struct {
	sw      Switch
	ports   *ports
	history *history

	// list is what the open bridges must forward by, networks whose bridges they are, by
	// their names: of the pass under way.
	list     []plan.Forwarding
	networks map[string]model.Network
	// unlooked are the networks that are to adopt a bridge whose flows were not looked
	// at yet.
	unlooked []model.ID
	// stated is what was last stated of bridges' flows, by their names.
	stated map[string]plan.Forwarding
	// restored is how often flows were put back, as far as that was told, by
	// bridge.
	restored map[string]uint64
}

// want says what the open bridges must forward by, and takes back the permission to
// adopt bridges whose flows are against it.
func (f *flows) want(p *pass) {
	f.history.look(p.actual)
	f.list, f.networks, f.unlooked = nil, map[string]model.Network{}, nil
	for i, n := range slices.Concat(p.want.Networks, p.want.Leaving) {
		b, there := p.actual.Bridge(n)
		// The network of a bridge that was strict may be gone from the store.
		unclear := i >= len(p.want.Networks) && !n.Strict && b.FailMode == plan.SecureFailMode
		if !there || unclear || b.DatapathType == plan.ResetDatapath || !opened(b) {
			continue
		}
		w := f.forwarding(p, n, b)
		w.Report = w.Report || p.actual.Standby
		f.networks[b.Name] = n
		f.list = append(f.list, w)
	}
	for id, b := range toInspect(p.want, p.actual) {
		f.list = append(f.list, plan.Forwarding{Bridge: b.Name, Report: true})
		f.inspect(p, id, b)
	}
}

// apply states it.
func (f *flows) apply(_ context.Context, p *pass) { f.state(p.calm.bridges) }

// verdicts says which strict networks forward by their own flows, and tells of flows
// of somebody else that were put back.
func (f *flows) verdicts(p *pass) {
	states := f.sw.Flows()
	for _, id := range f.unlooked {
		p.lower(id, report.Pending, notLookedAt)
	}
	for _, n := range p.want.Networks {
		if b, there := p.actual.Bridge(n); there && n.Strict {
			f.strict(p, n, b, states[b.Name])
		}
	}
	f.putBack(states)
}

// cease leaves the flows alone that were stated.
func (f *flows) cease() {
	f.stated = nil
	f.sw.Forward()
}

// state states what the open bridges must forward by, and what the calm ones must as
// before, if that is not what was stated last.
func (f *flows) state(calm map[string]bool) {
	same := len(f.stated) == len(calm)+len(f.list)
	for _, w := range f.list {
		before, stated := f.stated[w.Bridge]
		same = same && stated && reflect.DeepEqual(before, w)
	}
	if same {
		return
	}
	stated := make(map[string]plan.Forwarding, len(calm)+len(f.list))
	for bridge := range calm {
		stated[bridge] = f.stated[bridge]
	}
	for _, w := range f.list {
		stated[w.Bridge] = w
	}
	f.stated = stated
	f.sw.Forward(slices.Collect(maps.Values(stated))...)
}

// forwarding returns what a network's bridge must forward by.
func (f *flows) forwarding(p *pass, n model.Network, b plan.Bridge) plan.Forwarding {
	if n.Strict {
		pipeline := plan.PipelineOf(n, f.ports.accepted[n.ID])
		return plan.Forwarding{Bridge: b.Name, Pipeline: &pipeline}
	}
	waits := f.ports.waits(p, flowsOf(n.ID))
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
func (f *flows) strict(p *pass, n model.Network, b plan.Bridge, state plan.Flows) {
	switch {
	case !opened(b): // the stage of the bridges says why
	case b.FailMode != plan.SecureFailMode || b.DatapathType == plan.ResetDatapath || p.actual.CurCfg < f.history.since || f.history.ahead(n.ID, p.actual):
		p.lower(n.ID, report.Pending, notSecureYet)
	case !state.InPlace:
		p.lower(n.ID, report.Pending, cmp.Or(state.Err, notSecureYet))
	default:
		v := p.networks[n.ID]
		v.Strict = true
		p.networks[n.ID] = v
	}
}

// flowsOf names the flows of a network's bridge.
func flowsOf(network model.ID) plan.Subject {
	return plan.Subject{Network: network, Column: isolation.FlowsColumn}
}

// putBack tells of flows of somebody else that were put back.
func (f *flows) putBack(states map[string]plan.Flows) {
	var repairs []repair
	for name, n := range f.networks {
		state, told := states[name], f.restored[name]
		f.restored[name] = state.Restored
		if state.Restored <= told {
			continue
		}
		e := newEvent(n, isolation.Finding{Reason: isolation.ForeignFlows, Column: isolation.FlowsColumn, Detail: state.Last}, report.Restored, time.Now())
		repairs = append(repairs, repair{e, flowsOf(n.ID)})
	}
	if len(f.restored) > len(states) {
		maps.DeleteFunc(f.restored, func(name string, _ uint64) bool { _, there := states[name]; return !there })
	}
	f.ports.repaired(repairs)
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

// inspect judges the flows of a bridge that is to be adopted. Others could send frames
// anywhere, whatever the settings of the ports are.
func (f *flows) inspect(p *pass, id model.ID, b plan.Bridge) {
	permission, state := p.want.Adopt[id], p.flows[b.Name]
	switch {
	case state.Err != "":
		permission.Objections = []string{state.Err}
	case !state.Known:
		permission.Unknown = true
		f.unlooked = append(f.unlooked, id)
	case !state.InPlace:
		permission.Objections = []string{fmt.Sprintf(
			"somebody gave the bridge '%s' flows of its own: %s: put 'priority=0,actions=NORMAL' in their place ('ovs-ofctl --bundle replace-flows')", b.Name, state.Foreign)}
	}
	p.want.Adopt[id] = permission
}
