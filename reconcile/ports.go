package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// newIsolation returns what is said of a network that was judged.
func newIsolation(v isolation.Verdict, contested bool) report.Isolation {
	i := report.Isolation{Verdict: report.NotIsolated, Contested: contested, Findings: v.Findings, Pending: v.Pending}
	broken := slices.ContainsFunc(v.Findings, func(f isolation.Finding) bool { return !f.Notice })
	switch {
	case v.Isolated():
		i.Verdict = report.Isolated
	case !broken:
		var ports []string
		for _, p := range v.Pending {
			ports = append(ports, p.Port)
		}
		i.Verdict = report.IsolationUnknown
		i.Reason = fmt.Sprintf("too little is known yet of the port(s) %s: wait, it is judged in %v at the latest", strings.Join(ports, ", "), isolation.Grace)
	}
	return i
}

// ports is the stage that judges the isolation of networks by the ports and settings
// of their bridges. It says which ports go or are cut off, which settings are put
// back, and which ports come back.
type ports struct {
	silent    // what it wants is in the plan
	board     *board
	store     Store
	restraint isolation.Restraint
	memory    memory
	keep      *keeper // nil remembers no ports
	// denied is what members were denied, by network.
	denied map[model.ID]denials
	// devices are the devices of VMs that the host's network stack sees too, by
	// network, of calm ones too (none where the datapath keeps the two apart).
	devices map[model.ID][]report.Device

	judgement // of the pass under way
}

// judgement is what a pass makes of the ports of the open networks.
type judgement struct {
	isolation map[model.ID]report.Isolation
	// accepted are the ports of VMs, and found their devices, by network. Those of
	// leaving networks are among them.
	accepted map[model.ID][]plan.Port
	found    map[model.ID][]report.Device
	// waiting are the ports that are to be plugged in again, by network.
	waiting map[model.ID][]plan.KeptPort
	// repairs are what the plan repairs.
	repairs []repair
}

// repair is one thing that a plan repairs.
type repair struct {
	event   report.Event
	subject plan.Subject
}

// want judges every open network that has its bridge, and says what is to be done
// now.
func (ps *ports) want(p *pass) {
	ps.judge(p)
	ps.keep.look(p, ps)
	ps.devices = merged(p.calm, ps.devices, ps.found)
}

// verdicts tells of the isolation.
func (ps *ports) verdicts(p *pass) {
	for _, n := range p.want.Networks {
		if i, judged := ps.isolation[n.ID]; judged {
			v := p.networks[n.ID]
			v.Isolation = i
			p.networks[n.ID] = v
		}
	}
}

func (ps *ports) judge(p *pass) {
	ps.judgement = judgement{
		isolation: map[model.ID]report.Isolation{}, accepted: map[model.ID][]plan.Port{}, found: map[model.ID][]report.Device{},
	}
	p.want.Spare, p.want.Strangers = map[plan.Subject]bool{}, map[string]bool{}
	if ps.denied == nil {
		ps.denied = map[model.ID]denials{}
	}
	for _, n := range p.want.Networks {
		if b, there := p.actual.Bridge(n); there {
			ps.isolation[n.ID] = ps.judgeBridge(p, n, b)
		}
	}
	for _, n := range p.want.Leaving {
		if b, there := p.actual.Bridge(n); there {
			ps.judgeBridge(p, n, b) // what is to be done counts; nobody asks for the verdict
		}
	}
	known := func(id model.ID) bool {
		_, judged := ps.accepted[id]
		return judged || p.calm.has(id)
	}
	ps.memory.forget(known, p.start)
	maps.DeleteFunc(ps.denied, func(id model.ID, _ denials) bool { return !known(id) })
}

// judgeBridge judges the bridge of a network.
func (ps *ports) judgeBridge(p *pass, n model.Network, b plan.Bridge) report.Isolation {
	now, flows := p.start, p.flows[b.Name]
	opened := ps.memory.opened(n.ID, b, p.actual.Links)
	ps.denied[n.ID] = ps.denied[n.ID].count(b, flows.Members, now)
	fresh, over := ps.denied[n.ID].news(now)
	if !over.IsZero() {
		p.at(n.ID, over)
	}
	v := isolation.Judge(isolation.Input{
		Network: n, Bridge: b, DatapathType: p.actual.DatapathType, Devices: p.actual.Links, Host: p.calm.host,
		Former: opened, Flows: flows.Foreign, Denied: fresh, Larger: ps.larger(n),
		Age: func(u isolation.Unclear) time.Duration { return now.Sub(ps.memory.since(u, now)) },
	})
	ps.memory.judged(n.ID, v, opened, now)
	ps.accepted[n.ID], ps.found[n.ID] = v.Accepted, devicesOf(b, v.Accepted, p.actual)
	ps.watch(p, n.ID, v)
	ps.act(p, n, b, v)
	contested, until := ps.restraint.Contested(n.ID, now)
	if contested {
		p.at(n.ID, until)
	}
	i := newIsolation(v, contested)
	i.Denied = ps.denied[n.ID].counted()
	return i
}

// larger returns the interfaces that have had a larger MTU than their network's.
func (ps *ports) larger(n model.Network) map[string]int {
	if ps.keep == nil {
		return nil
	}
	return ps.keep.of(n.ID).LargerThan(n.EffectiveMTU())
}

// leaving returns the networks that are not wanted and whose bridges ports
// hold, sorted by bridge. Of one that was removed only the bridge tells.
func leaving(want plan.Want, desired *model.Desired, actual *plan.Actual) []model.Network {
	wanted := map[string]model.ID{}
	for _, n := range want.Networks {
		wanted[n.VdsmName] = n.ID
	}
	var networks []model.Network
	for name, b := range actual.Bridges {
		id := b.Network
		if id == "" || want.Calm[name] || wanted[name] == id || slices.Contains(want.Released, id) || !want.Holds(b, actual.Links) {
			continue
		}
		n, known := desired.Networks[id]
		if !known {
			n = model.Network{ID: id, Name: b.ExternalIDs[plan.NameKey]}
		}
		n.VdsmName = name
		networks = append(networks, n)
	}
	slices.SortFunc(networks, func(a, b model.Network) int { return strings.Compare(a.VdsmName, b.VdsmName) })
	return networks
}

// watch has the network looked at when the time of something unclear is over, or when
// anything changes on it.
func (ps *ports) watch(p *pass, network model.ID, v isolation.Verdict) {
	if len(v.Pending)+len(v.Unclear) > 0 {
		p.keepOpen(network)
	}
	for _, u := range v.Unclear {
		if wait := isolation.Wait(p.start.Sub(ps.memory.since(u, p.start))); wait > 0 {
			p.at(network, p.start.Add(wait))
		}
	}
}

// act wants what a verdict asks for and restraint allows.
func (ps *ports) act(p *pass, n model.Network, b plan.Bridge, v isolation.Verdict) {
	for _, uuid := range v.Strangers(b) {
		p.want.Strangers[uuid] = true
	}
	found := map[string]isolation.Finding{} // by port
	for _, f := range v.Findings {
		if f.Column == "" && !f.Notice {
			found[f.Port] = f
		}
		if f.Action != isolation.Restore || f.Reason == isolation.ForeignFlows { // these are put back by themselves
			continue
		}
		if ps.waits(p, f.Subject(n.ID)) {
			p.want.Spare[f.Subject(n.ID)] = true
			continue
		}
		ps.repairs = append(ps.repairs, repair{newEvent(n, f, report.Restored, p.start), f.Subject(n.ID)})
	}
	for _, c := range v.Changes(n.ID, b) {
		f, subject := found[c.Port.Name], plan.Subject{Network: n.ID, Port: c.Port.Name}
		if ps.waits(p, subject) {
			continue
		}
		e := newEvent(n, f, deedOf(c.Do), p.start)
		if c.Do == plan.ReleasePort {
			e.Reason, e.Port, e.Detail = isolation.Reason(c.Reason), c.Port.Name, "its cause is gone"
			subject = plan.Subject{} // to let go is no repair
		}
		p.want.Ports = append(p.want.Ports, c)
		ps.repairs = append(ps.repairs, repair{e, subject})
	}
}

// waits reports whether restraint leaves something as it is for now.
func (ps *ports) waits(p *pass, s plan.Subject) bool {
	wait := ps.restraint.Wait(s, p.start)
	if wait > 0 {
		p.at(s.Network, p.start.Add(wait))
	}
	return wait > 0
}

func deedOf(verb plan.PortVerb) report.Deed {
	switch verb {
	case plan.RemovePort:
		return report.Removed
	case plan.QuarantinePort:
		return report.Quarantined
	}
	return report.Released
}

func newEvent(n model.Network, f isolation.Finding, deed report.Deed, now time.Time) report.Event {
	return report.Event{
		Time: now, NetworkID: n.ID, Network: n.Name,
		Reason: f.Reason, Port: f.Port, Column: f.Column, Detail: f.Detail, Deed: deed,
	}
}

// repaired records repairs that were made.
func (ps *ports) repaired(repairs []repair) {
	if len(repairs) == 0 {
		return
	}
	events := make([]report.Event, len(repairs))
	for i, r := range repairs {
		events[i] = r.event
		if r.subject != (plan.Subject{}) {
			ps.restraint.Repaired(r.subject, r.event.Time)
		}
	}
	ps.board.tell(events)
	ps.board.publish(func(s *standing) {
		s.IsolationRepairs = maps.Clone(s.IsolationRepairs)
		for _, r := range repairs {
			if r.subject != (plan.Subject{}) {
				s.IsolationRepairs[r.event.Reason]++
			}
		}
		s.remember(events)
	})
}

// alike returns what a finding has in common with those that are no news after
// it: the evidence of a notice names who is concerned, and they come and go.
func alike(f isolation.Finding) isolation.Finding {
	if f.Notice {
		f.Detail = ""
	}
	return f
}

// news returns the events that follow from a verdict and the one before: what
// is only reported, and whether it is contested.
func news(n model.Network, before, after report.Isolation, now time.Time) []report.Event {
	known := map[isolation.Finding]bool{}
	for _, f := range before.Findings {
		known[alike(f)] = true
	}
	var events []report.Event
	for _, f := range after.Findings {
		if f.Action == isolation.Report && !known[alike(f)] {
			events = append(events, newEvent(n, f, report.Reported, now))
		}
	}
	switch {
	case after.Contested && !before.Contested:
		events = append(events, newEvent(n, isolation.Finding{}, report.Contested, now))
	case before.Contested && !after.Contested:
		events = append(events, newEvent(n, isolation.Finding{}, report.Settled, now))
	}
	return events
}
