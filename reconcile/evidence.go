package reconcile

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// ageEvery is how often those who wait for a change are told of what only time
// has changed.
const ageEvery = 250 * time.Millisecond

// missing returns what is wrong with a ground that was last seen like this; false
// if nothing is. What nobody has seen yet is missing, too.
func missing(ground report.Ground, s plan.Sighting, began, now time.Time) (report.Missing, bool) {
	switch {
	case s.Seen.IsZero():
		return newMissing(ground, s, began), true
	case now.Sub(s.Seen) <= report.Freshness:
		return report.Missing{}, false
	}
	return newMissing(ground, s, s.Seen), true
}

func newMissing(ground report.Ground, s plan.Sighting, since time.Time) report.Missing {
	m := ground.Unexplained(since)
	if m.Busy, m.Able = s.Busy, s.Able; s.Cause != "" {
		m.Cause, m.Remedy = s.Cause, s.Remedy
	}
	return m
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

// rules are fresh as long as somebody looked at them, or nothing needs them.
func rules(g *report.Guarding, now time.Time) plan.Sighting {
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
func (l *Loop) grounds(s *standing, e plan.Evidence, now time.Time) []report.Missing {
	var list []report.Missing
	for _, g := range []struct {
		ground report.Ground
		seen   plan.Sighting
	}{
		{report.OnDatabase, e.Database},
		{report.OnVSwitchd, e.VSwitchd},
		{report.OnDevices, e.Devices},
		{report.OnIdentity, l.identity(now)},
		{report.OnLoop, l.work.sighting(now, "a pass of isonetd over the host's networks")},
		{report.OnLoop, l.bridges.applying.sighting(now, "a change of Open vSwitch's database")},
		{report.OnRules, rules(s.Guard, now)},
		{report.OnStore, l.following(now)},
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
func (l *Loop) fold(s standing, now time.Time) standing {
	e := l.sw.Evidence()
	s.Missing = l.grounds(&s, e, now)
	s.notice(e.Version, l.store.Invalid())
	for _, m := range s.Missing {
		if m.Ground == report.OnDatabase && s.Connected {
			s.Connected, s.Since = false, m.Since
		}
	}
	if !s.Connected && s.Missed(report.OnDatabase) == nil { // however short that may be
		s.Missing = append([]report.Missing{newMissing(report.OnDatabase, e.Database, s.Since)}, s.Missing...)
	}
	if m := s.Lacks(); m != nil {
		s.Networks = unknown(s.Networks, func(model.ID) *report.Missing { return m })
		return s
	}
	if len(e.Flows) > 0 && s.seen != nil {
		unread := unreadFlows(e.Flows, s.seen.actual, l.began, now)
		s.Networks = unknown(s.Networks, func(id model.ID) *report.Missing { return unread[id] })
	}
	return s
}

// unreadFlows returns the networks whose bridges' flows are not known.
func unreadFlows(flows map[string]plan.Sighting, actual *plan.Actual, began, now time.Time) map[model.ID]*report.Missing {
	unread := map[model.ID]*report.Missing{}
	for name, seen := range flows {
		if m, is := missing(report.OnFlows, seen, began, now); is {
			unread[actual.Bridges[name].Network] = &m
		}
	}
	return unread
}

// unknown returns verdicts in which those that lack something are unknown.
func unknown(networks map[model.ID]report.NetworkStatus, lacks func(model.ID) *report.Missing) map[model.ID]report.NetworkStatus {
	var missing map[model.ID]report.NetworkStatus
	for id, n := range networks {
		if m := lacks(id); m != nil {
			if missing == nil {
				missing = map[model.ID]report.NetworkStatus{}
			}
			missing[id] = n.Without(*m)
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
			l.publish(func(*standing) {})
		}
	}
}

// greet logs the version of Open vSwitch and the notices of the host, when they are
// others than before.
func (l *Loop) greet(before string) string {
	version, s := l.sw.Evidence().Version, *l.status.Load()
	s.notice(version, l.store.Invalid())
	said := fmt.Sprint(version, s.Notices)
	if version == "" || said == before {
		return before
	}
	l.log.Info("ovs-vswitchd answers", "version", version)
	for _, notice := range s.Notices {
		l.log.Warn(notice.Text, "remedy", notice.Remedy)
	}
	return said
}

// unknowns is another text when other things are missing, or when ovs-vswitchd is
// another one.
func (l *Loop) unknowns() string {
	e, now := l.sw.Evidence(), time.Now()
	text := ""
	for _, m := range l.grounds(l.status.Load(), e, now) {
		text += fmt.Sprintf("%s %t %t;", m.Ground, m.Busy, now.Sub(m.Since) > report.Freshness)
	}
	unread := 0
	for _, seen := range e.Flows {
		if _, is := missing(report.OnFlows, seen, l.began, now); is {
			unread++
		}
	}
	return fmt.Sprintf("%s%d%s", text, unread, e.Version)
}
