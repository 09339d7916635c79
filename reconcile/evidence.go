package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// Ground is something that verdicts rest on.
type Ground string

// The grounds. All verdicts of a host rest on the first five, those on one
// network on its flows as well, and the host guard on the rules. Without the store
// the networks are known, as far as they were asked for when it was there last.
const (
	// OnDatabase is the session with Open vSwitch's database, with a snapshot of it
	// that can be used.
	OnDatabase Ground = "database"
	// OnVSwitchd is an ovs-vswitchd that answers, forwards and does what the database
	// says.
	OnVSwitchd Ground = "vswitchd"
	// OnDevices is the kernel's table of network devices.
	OnDevices Ground = "devices"
	// OnIdentity is which host of the desired state this machine is.
	OnIdentity Ground = "identity"
	// OnLoop is the reconcile loop itself, which makes the verdicts.
	OnLoop Ground = "loop"
	// OnFlows are the flows of a network's bridge.
	OnFlows Ground = "flows"
	// OnRules are the host guard's rules in the kernel.
	OnRules Ground = "rules"
	// OnStore is the session with the database of the desired state.
	OnStore Ground = "store"
)

// Grounds returns those on which verdicts on the whole host rest, by weight.
func Grounds() []Ground {
	return []Ground{OnDatabase, OnVSwitchd, OnDevices, OnIdentity, OnLoop, OnRules, OnStore}
}

const (
	// freshness is how old evidence may be. With the second in which a new age is
	// noticed nothing is called known for longer than five seconds.
	freshness = 4 * time.Second
	// ageEvery is how often those who wait for a change are told of what only time
	// has changed.
	ageEvery = 250 * time.Millisecond
)

// Missing is a ground that is gone, or was not seen for too long.
type Missing struct {
	Ground Ground
	// Since is when it was seen last, or when isonetd began to look for it.
	Since time.Time
	// Cause and Remedy say what is wrong and what to do, in words for an operator.
	Cause, Remedy string
	// Busy says that there is nothing to do but wait.
	Busy bool
}

// String returns the cause and the remedy.
func (m Missing) String() string { return m.Cause + ": " + m.Remedy }

// missing returns what is wrong with a ground that was last seen like this; false
// if nothing is. What nobody has seen yet is missing, too.
func missing(ground Ground, s plan.Sighting, began, now time.Time) (Missing, bool) {
	switch {
	case s.Seen.IsZero():
		return newMissing(ground, s, began), true
	case now.Sub(s.Seen) <= freshness:
		return Missing{}, false
	}
	return newMissing(ground, s, s.Seen), true
}

func newMissing(ground Ground, s plan.Sighting, since time.Time) Missing {
	m := Missing{Ground: ground, Since: since, Cause: s.Cause, Remedy: s.Remedy, Busy: s.Busy}
	if m.Cause == "" {
		m.Cause, m.Remedy = unexplained(ground)
	}
	return m
}

// unexplained returns cause and remedy where the ground itself tells none.
func unexplained(ground Ground) (cause, remedy string) {
	switch ground {
	case OnDatabase:
		return "Open vSwitch's database does not answer", "check that ovsdb-server runs and that isonetd may use its socket"
	case OnVSwitchd:
		return "ovs-vswitchd does not answer", "check that it runs, and see its log"
	case OnDevices:
		return "the kernel's network devices are not known", "see the log of isonetd"
	case OnFlows:
		return "the flows of the bridge were not read", "check that ovs-vswitchd runs and that isonetd may use the bridge's socket in Open vSwitch's run directory"
	case OnRules:
		return "the rules of the host guard were not looked at", "see the log of isonetd"
	}
	return "isonetd has not judged the host", "see the log of isonetd, and restart it if that does not end"
}

// stopwatch says since when a goroutine has been at work. Its zero value is one
// that rests.
type stopwatch struct{ since atomic.Pointer[time.Time] }

func (w *stopwatch) start() {
	now := time.Now()
	w.since.Store(&now)
}

func (w *stopwatch) stop() { w.since.Store(nil) }

// sighting is fresh as long as no single piece of work takes too long.
func (w *stopwatch) sighting(now time.Time, what string) plan.Sighting {
	since := w.since.Load()
	if since == nil {
		return plan.Sighting{Seen: now}
	}
	return plan.Sighting{
		Seen: *since, Cause: fmt.Sprintf("%s has not come to an end for %v", what, now.Sub(*since).Round(time.Second)),
		Remedy: "see the log of isonetd, and restart it if that does not end",
	}
}

// sighting is fresh as long as somebody looked at the rules, or nothing needs them.
func (g *Guarding) sighting(now time.Time) plan.Sighting {
	switch {
	case g == nil || len(g.Devices) == 0:
		return plan.Sighting{Seen: now}
	case g.Failed != "":
		return plan.Sighting{Cause: "the rules of the host guard cannot be read or written (" + g.Failed + ")", Remedy: "see the log of isonetd"}
	}
	return plan.Sighting{Seen: g.Verified}
}

// identity says whether it is known which host this machine is.
func (l *Loop) identity(now time.Time) plan.Sighting {
	if stranger := l.stranger.Load(); stranger != nil {
		return *stranger
	}
	return plan.Sighting{Seen: now}
}

// following says whether the desired state is the present one.
func (l *Loop) following(now time.Time) plan.Sighting {
	since, err := l.store.Trouble()
	if err == nil {
		return plan.Sighting{Seen: now}
	}
	return plan.Sighting{
		Seen: since, Cause: fmt.Sprintf("isonetd cannot read or write the desired state (%v)", err),
		Remedy: "check that the ovsdb-server of its database runs, and see the log of isonetd; until then nobody can change networks, and the host stays as it is",
	}
}

// grounds returns what is missing of the host, by its weight: the first explains
// the others.
func (l *Loop) grounds(s Status, e plan.Evidence, now time.Time) []Missing {
	var list []Missing
	for _, g := range []struct {
		ground Ground
		seen   plan.Sighting
	}{
		{OnDatabase, e.Database},
		{OnVSwitchd, e.VSwitchd},
		{OnDevices, e.Devices},
		{OnIdentity, l.identity(now)},
		{OnLoop, l.work.sighting(now, "a pass of isonetd over the host's networks")},
		{OnLoop, l.applying.sighting(now, "a change of Open vSwitch's database")},
		{OnRules, s.Guard.sighting(now)},
		{OnStore, l.following(now)},
	} {
		if m, is := missing(g.ground, g.seen, l.began, now); is {
			list = append(list, m)
		}
	}
	return list
}

// fold makes unknown what is known no longer. It is the one place where evidence
// and time make a verdict, done whenever somebody reads it, so that a loop that
// is stuck changes nothing about it.
func (l *Loop) fold(s Status, now time.Time) Status {
	e := l.sw.Evidence()
	s.Missing, s.VSwitchd = l.grounds(s, e, now), e.Version
	for _, m := range s.Missing {
		if m.Ground == OnDatabase && s.Connected {
			s.Connected, s.Since = false, m.Since
		}
	}
	if !s.Connected && s.lacks(OnDatabase) == nil { // however short that may be
		s.Missing = append([]Missing{newMissing(OnDatabase, e.Database, s.Since)}, s.Missing...)
	}
	if m := s.Lacks(); m != nil {
		s.Networks = unknown(s.Networks, func(model.ID) *Missing { return m })
		return s
	}
	if len(e.Flows) > 0 && s.Actual != nil {
		unread := unreadFlows(e.Flows, s.Actual, l.began, now)
		s.Networks = unknown(s.Networks, func(id model.ID) *Missing { return unread[id] })
	}
	return s
}

// Lacks returns what all verdicts on the host rest on and is missing, the weightiest
// of it; nil if nothing is.
func (s Status) Lacks() *Missing {
	m := s.lacks(OnDatabase, OnVSwitchd, OnDevices, OnIdentity, OnLoop)
	if m == nil && (!s.Connected || s.Actual == nil) {
		lost := newMissing(OnDatabase, plan.Sighting{}, s.Since)
		m = &lost
	}
	return m
}

// Present says that Actual is the present, as far as anybody can tell.
func (s Status) Present() bool { return s.Lacks() == nil }

// Network returns the verdict on a network that the host must have.
func (s Status) Network(id model.ID) NetworkStatus {
	n, judged := s.Networks[id]
	m := s.Lacks()
	switch {
	case m != nil:
		return n.without(*m)
	case !judged:
		n.State, n.Reason, n.Isolation.Reason = Pending, notYet, notYet
	}
	n.Isolation.Verdict = cmp.Or(n.Isolation.Verdict, IsolationUnknown)
	return n
}

// without returns the verdict when something is missing that it rests on.
func (n NetworkStatus) without(m Missing) NetworkStatus {
	n.State, n.Reason, n.Since, n.Strict = Unknown, m.String(), m.Since, false
	n.Isolation.Verdict, n.Isolation.Reason, n.Isolation.Since = IsolationUnknown, m.String(), m.Since
	return n
}

const notYet = "not looked at yet"

// lacks returns the first of these grounds that is missing; nil if none is.
func (s Status) lacks(grounds ...Ground) *Missing {
	for i := range s.Missing {
		for _, g := range grounds {
			if s.Missing[i].Ground == g {
				return &s.Missing[i]
			}
		}
	}
	return nil
}

// CannotRealise returns a model.ErrUnavailable with cause and remedy when Open
// vSwitch will not do what it is asked to, as far as anybody can tell: what it
// takes has been missing for longer than a restart takes, and not because it is
// at work.
func (s Status) CannotRealise() error {
	if s.Occupied {
		return s.Idle()
	}
	m := s.lacks(OnDatabase, OnVSwitchd, OnDevices, OnIdentity)
	if m == nil || m.Busy || time.Since(m.Since) <= freshness {
		return nil
	}
	return &model.Error{Kind: model.ErrUnavailable, Text: "Open vSwitch cannot do anything at present: " + m.String()}
}

// unreadFlows returns the networks whose bridges' flows are not known.
func unreadFlows(flows map[string]plan.Sighting, actual *plan.Actual, began, now time.Time) map[model.ID]*Missing {
	unread := map[model.ID]*Missing{}
	for name, seen := range flows {
		if m, is := missing(OnFlows, seen, began, now); is {
			unread[actual.Bridges[name].Network] = &m
		}
	}
	return unread
}

// unknown returns verdicts in which those that lack something are unknown.
func unknown(networks map[model.ID]NetworkStatus, lacks func(model.ID) *Missing) map[model.ID]NetworkStatus {
	var missing map[model.ID]NetworkStatus
	for id, n := range networks {
		if m := lacks(id); m != nil {
			if missing == nil {
				missing = map[model.ID]NetworkStatus{}
			}
			missing[id] = n.without(*m)
		}
	}
	if missing == nil { // most of the time
		return networks
	}
	folded := maps.Clone(networks)
	maps.Copy(folded, missing)
	return folded
}

// age tells those who wait for a change of Status when time alone changed it.
func (l *Loop) age(ctx context.Context) {
	ticker := time.NewTicker(ageEvery)
	defer ticker.Stop()
	told, said := "", ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		said = l.greet(said)
		if now := l.unknowns(); now != told {
			told = now
			l.publish(func(*Status) {})
		}
	}
}

// greet logs the version of Open vSwitch and the notices of the host, when they are
// others than before.
func (l *Loop) greet(before string) string {
	s := *l.status.Load()
	s.VSwitchd = l.sw.Evidence().Version
	notices := s.Notices()
	said := fmt.Sprint(s.VSwitchd, notices)
	if s.VSwitchd == "" || said == before {
		return before
	}
	l.log.Info("ovs-vswitchd answers", "version", s.VSwitchd)
	for _, notice := range notices {
		l.log.Warn(notice.Text, "remedy", notice.Remedy)
	}
	return said
}

// unknowns is another text when other things are missing, or when ovs-vswitchd is
// another one.
func (l *Loop) unknowns() string {
	e, now := l.sw.Evidence(), time.Now()
	text := ""
	for _, m := range l.grounds(*l.status.Load(), e, now) {
		text += fmt.Sprintf("%s %t %t;", m.Ground, m.Busy, now.Sub(m.Since) > freshness)
	}
	unread := 0
	for _, seen := range e.Flows {
		if _, is := missing(OnFlows, seen, l.began, now); is {
			unread++
		}
	}
	return fmt.Sprintf("%s%d%s", text, unread, e.Version)
}
