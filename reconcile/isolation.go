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
)

const (
	grace = isolation.Grace
	// maxEvents is how many events are remembered.
	maxEvents = 100
)

// Isolation is the verdict on the isolation of one network of this host.
type Isolation struct {
	Verdict Verdict
	// Reason says why the verdict is unknown, and what to do; "" if it is not.
	Reason string
	// Contested says that somebody keeps breaking what isonet repairs, which
	// therefore takes its time.
	Contested bool
	Findings  []isolation.Finding
	// Pending are the ports of which too little is known yet.
	Pending []isolation.Pending
	// Denied is what the MAC lock and the broadcast limit dropped.
	Denied Denied
	// Since is when Verdict or Contested last changed.
	Since time.Time
}

// Isolated says that the isolation is shown.
func (i Isolation) Isolated() bool { return i.Verdict == Isolated }

// Verdict says whether a network is isolated.
type Verdict string

// The verdicts.
const (
	// Isolated: the isolation is shown.
	Isolated Verdict = "isolated"
	// NotIsolated: something breaks it.
	NotIsolated Verdict = "not_isolated"
	// IsolationUnknown: what the verdict rests on is missing, or too little is
	// known of a port, or there is no bridge to look at.
	IsolationUnknown Verdict = "unknown"
)

// newIsolation returns what is said of a network that was judged.
func newIsolation(v isolation.Verdict, contested bool) Isolation {
	i := Isolation{Verdict: NotIsolated, Contested: contested, Findings: v.Findings, Pending: v.Pending}
	broken := slices.ContainsFunc(v.Findings, func(f isolation.Finding) bool { return !f.Notice })
	switch {
	case v.Isolated():
		i.Verdict = Isolated
	case !broken:
		var ports []string
		for _, p := range v.Pending {
			ports = append(ports, p.Port)
		}
		i.Verdict = IsolationUnknown
		i.Reason = fmt.Sprintf("too little is known yet of the port(s) %s: wait, it is judged in %v at the latest", strings.Join(ports, ", "), grace)
	}
	return i
}

// Deed is what an event is about.
type Deed string

// The deeds.
const (
	Removed     Deed = "removed"
	Quarantined Deed = "quarantined"
	Released    Deed = "released"
	Restored    Deed = "restored"
	// Replugged: a port that was taken away with its bridge was plugged in again.
	Replugged Deed = "replugged"
	// Reported: the policy or the nature of the finding leaves it to people.
	Reported Deed = "reported"
	// Contested: from now on repairs wait, because somebody keeps breaking it.
	Contested Deed = "contested"
	// Identified: the host has another system-id.
	Identified Deed = "identified"
	// Settled: it has been quiet for long enough.
	Settled Deed = "settled"
)

// Event is something that happened to a network's isolation.
type Event struct {
	Time      time.Time
	NetworkID model.ID
	Network   string // its name
	// Reason and Detail say what was found, Port and Column where. They are
	// empty where they do not apply.
	Reason               isolation.Reason
	Port, Column, Detail string
	Deed                 Deed
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
	verdicts map[model.ID]Isolation
	// accepted are the ports of VMs, devices the devices of VMs that the host's
	// network stack sees too (nil where the datapath keeps the two apart), by
	// network. Those of leaving networks are among them.
	accepted map[model.ID][]plan.Port
	devices  map[model.ID][]plan.Device
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
	event   Event
	subject plan.Subject
}

// judge judges every network that has its bridge, and adds to want what is to
// be done now.
func (g *guardian) judge(want *plan.Want, actual *plan.Actual, flows map[string]plan.Flows, now time.Time) judgement {
	j := judgement{
		verdicts: map[model.ID]Isolation{}, accepted: map[model.ID][]plan.Port{},
		devices: map[model.ID][]plan.Device{}, strict: map[model.ID]bool{}, late: map[model.ID]string{},
		restless: map[model.ID]bool{},
	}
	host := isolation.HostOf(actual)
	want.Spare, want.Strangers = map[plan.Subject]bool{}, map[string]bool{}
	if g.denied == nil {
		g.denied = map[model.ID]denials{}
	}
	judge := func(n model.Network) (Isolation, bool) {
		b, ok := actual.Bridge(n)
		if !ok {
			return Isolation{}, false
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
		j.repairs = append(j.repairs, repair{newEvent(n, f, Restored, now), f.Subject(n.ID)})
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

func deedOf(verb plan.PortVerb) Deed {
	switch verb {
	case plan.RemovePort:
		return Removed
	case plan.QuarantinePort:
		return Quarantined
	}
	return Released
}

func newEvent(n model.Network, f isolation.Finding, deed Deed, now time.Time) Event {
	return Event{
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
	events := make([]Event, len(j.repairs))
	for i, r := range j.repairs {
		events[i] = r.event
		if r.subject != (plan.Subject{}) {
			l.guardian.restraint.Repaired(r.subject, r.event.Time)
		}
	}
	l.tell(events)
	l.publish(func(s *Status) {
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
func (l *Loop) tell(events []Event) {
	for _, e := range events {
		l.log.Warn("isolation", "network", e.Network, "did", e.Deed, "reason", e.Reason, "port", e.Port, "column", e.Column, "evidence", e.Detail)
	}
}

// remember keeps the newest events.
func (s *Status) remember(events []Event) {
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
func news(n model.Network, before, after Isolation, now time.Time) []Event {
	known := map[isolation.Finding]bool{}
	for _, f := range before.Findings {
		known[alike(f)] = true
	}
	var events []Event
	for _, f := range after.Findings {
		if f.Action == isolation.Report && !known[alike(f)] {
			events = append(events, newEvent(n, f, Reported, now))
		}
	}
	switch {
	case after.Contested && !before.Contested:
		events = append(events, newEvent(n, isolation.Finding{}, Contested, now))
	case before.Contested && !after.Contested:
		events = append(events, newEvent(n, isolation.Finding{}, Settled, now))
	}
	return events
}
