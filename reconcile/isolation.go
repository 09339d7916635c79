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

const (
	grace = isolation.Grace
	// maxEvents is how many events are remembered.
	maxEvents = 100
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
		i.Reason = fmt.Sprintf("too little is known yet of the port(s) %s: wait, it is judged in %v at the latest", strings.Join(ports, ", "), grace)
	}
	return i
}

// guardian judges isolation for the loop. It belongs to Run's goroutine.
type guardian struct {
	restraint isolation.Restraint
	memory    memory
	// kept returns what is kept of a network's ports; nil knows of nothing.
	kept func(model.ID) plan.Kept
	// denied is what members were denied, by network.
	denied map[model.ID]denials
	calm   calm
}

// judgement is what one pass makes of the isolation of all networks.
type judgement struct {
	verdicts map[model.ID]report.Isolation
	// accepted are the ports of VMs, devices the devices of VMs that the host's
	// network stack sees too (nil where the datapath keeps the two apart), by
	// network. Those of leaving networks are among them.
	accepted map[model.ID][]plan.Port
	devices  map[model.ID][]report.Device
	// strict are the strict networks whose flows are in place; late says why the
	// others' are not.
	strict map[model.ID]bool
	late   map[model.ID]string
	// waiting are the ports that are to be plugged in again, by network.
	waiting map[model.ID][]plan.KeptPort
	// repairs are what the plan repairs.
	repairs []repair
	// wake is when to judge anew at the latest; zero is never. Restless are the
	// networks that want that, or of which something is open.
	wake     time.Time
	restless map[model.ID]bool
}

// repair is one thing that a plan repairs.
type repair struct {
	event   report.Event
	subject plan.Subject
}

// judge judges every network that has its bridge, and adds to want what is to
// be done now.
func (g *guardian) judge(want *plan.Want, actual *plan.Actual, flows map[string]plan.Flows, now time.Time) judgement {
	j := judgement{
		verdicts: map[model.ID]report.Isolation{}, accepted: map[model.ID][]plan.Port{},
		devices: map[model.ID][]report.Device{}, strict: map[model.ID]bool{}, late: map[model.ID]string{},
		restless: map[model.ID]bool{},
	}
	host := isolation.HostOf(actual)
	want.Spare, want.Strangers = map[plan.Subject]bool{}, map[string]bool{}
	if g.denied == nil {
		g.denied = map[model.ID]denials{}
	}
	judge := func(n model.Network) (report.Isolation, bool) {
		b, ok := actual.Bridge(n)
		if !ok {
			return report.Isolation{}, false
		}
		opened := g.memory.opened(n.ID, b, actual.Links)
		g.denied[n.ID] = g.denied[n.ID].count(b, flows[b.Name].Members, now)
		fresh, over := g.denied[n.ID].news(now)
		if !over.IsZero() {
			j.about(n.ID, func() { j.wakeAt(over) })
		}
		v := isolation.Judge(isolation.Input{
			Network: n, Bridge: b, DatapathType: actual.DatapathType, Devices: actual.Links, Host: host, Former: opened, Flows: flows[b.Name].Foreign, Denied: fresh, Larger: g.larger(n),
			Age: func(u isolation.Unclear) time.Duration { return now.Sub(g.memory.since(u, now)) },
		})
		g.memory.judged(n.ID, v, opened, now)
		j.accepted[n.ID] = v.Accepted
		j.devices[n.ID] = devicesOf(b, v.Accepted, actual)
		contested := false
		j.about(n.ID, func() {
			var until time.Time
			g.watch(&j, v, now)
			g.act(&j, want, n, b, v, now)
			if contested, until = g.restraint.Contested(n.ID, now); contested {
				j.wakeAt(until)
			}
		})
		if len(v.Pending)+len(v.Unclear) > 0 {
			j.restless[n.ID] = true
		}
		i := newIsolation(v, contested)
		i.Denied = g.denied[n.ID].counted()
		return i, true
	}
	for _, n := range want.Networks {
		if verdict, judged := judge(n); judged {
			j.verdicts[n.ID] = verdict
		}
	}
	for _, n := range want.Leaving {
		judge(n) // what is to be done counts; nobody asks for the verdict
	}
	known := func(id model.ID) bool {
		_, judged := j.accepted[id]
		return judged || g.calm.has(id)
	}
	g.memory.forget(known, now)
	maps.DeleteFunc(g.denied, func(id model.ID, _ denials) bool { return !known(id) })
	return j
}

// larger returns the interfaces that have had a larger MTU than their network's.
func (g *guardian) larger(n model.Network) map[string]int {
	if g.kept == nil {
		return nil
	}
	return g.kept(n.ID).LargerThan(n.EffectiveMTU())
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

// watch wakes the loop when the time of something unclear is over.
func (g *guardian) watch(j *judgement, v isolation.Verdict, now time.Time) {
	for _, u := range v.Unclear {
		if wait := isolation.Wait(now.Sub(g.memory.since(u, now))); wait > 0 {
			j.wakeAt(now.Add(wait))
		}
	}
}

// act adds to want what a verdict asks for and restraint allows.
func (g *guardian) act(j *judgement, want *plan.Want, n model.Network, b plan.Bridge, v isolation.Verdict, now time.Time) {
	for _, uuid := range v.Strangers(b) {
		want.Strangers[uuid] = true
	}
	found := map[string]isolation.Finding{} // by port
	for _, f := range v.Findings {
		if f.Column == "" && !f.Notice {
			found[f.Port] = f
		}
		if f.Action != isolation.Restore || f.Reason == isolation.ForeignFlows { // these are put back by themselves
			continue
		}
		if g.waits(j, f.Subject(n.ID), now) {
			want.Spare[f.Subject(n.ID)] = true
			continue
		}
		j.repairs = append(j.repairs, repair{newEvent(n, f, report.Restored, now), f.Subject(n.ID)})
	}
	for _, c := range v.Changes(n.ID, b) {
		f, subject := found[c.Port.Name], plan.Subject{Network: n.ID, Port: c.Port.Name}
		if g.waits(j, subject, now) {
			continue
		}
		e := newEvent(n, f, deedOf(c.Do), now)
		if c.Do == plan.ReleasePort {
			e.Reason, e.Port, e.Detail = isolation.Reason(c.Reason), c.Port.Name, "its cause is gone"
			subject = plan.Subject{} // to let go is no repair
		}
		want.Ports = append(want.Ports, c)
		j.repairs = append(j.repairs, repair{e, subject})
	}
}

// waits reports whether restraint leaves something as it is for now.
func (g *guardian) waits(j *judgement, s plan.Subject, now time.Time) bool {
	wait := g.restraint.Wait(s, now)
	if wait > 0 {
		j.wakeAt(now.Add(wait))
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

// about notes whether what is done about a network wants to be done again.
func (j *judgement) about(network model.ID, do func()) {
	before := j.wake
	j.wake = time.Time{}
	do()
	if !j.wake.IsZero() {
		j.restless[network] = true
	}
	if !before.IsZero() {
		j.wakeAt(before)
	}
}

func (j *judgement) wakeAt(t time.Time) {
	if j.wake.IsZero() || t.Before(j.wake) {
		j.wake = t
	}
}

// until returns the time until the next judgement, or other if that is sooner.
func (j judgement) until(other time.Duration) time.Duration {
	if j.wake.IsZero() {
		return other
	}
	return sooner(other, max(0, time.Until(j.wake)))
}

// repaired records the repairs that a plan has made.
func (l *Loop) repaired(j judgement) {
	if len(j.repairs) == 0 {
		return
	}
	events := make([]report.Event, len(j.repairs))
	for i, r := range j.repairs {
		events[i] = r.event
		if r.subject != (plan.Subject{}) {
			l.guardian.restraint.Repaired(r.subject, r.event.Time)
		}
	}
	l.tell(events)
	l.publish(func(s *standing) {
		s.IsolationRepairs = maps.Clone(s.IsolationRepairs)
		for _, r := range j.repairs {
			if r.subject != (plan.Subject{}) {
				s.IsolationRepairs[r.event.Reason]++
			}
		}
		s.remember(events)
	})
}

// tell logs events.
func (l *Loop) tell(events []report.Event) {
	for _, e := range events {
		l.log.Warn("isolation", "network", e.Network, "did", e.Deed, "reason", e.Reason, "port", e.Port, "column", e.Column, "evidence", e.Detail)
	}
}

// remember keeps the newest events.
func (s *standing) remember(events []report.Event) {
	all := append(s.Events[:len(s.Events):len(s.Events)], events...)
	s.Events = all[max(0, len(all)-maxEvents):]
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
