package ovs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/isonet/isonet/model/plan"
)

// backlog is how far vswitchd is behind its database.
type backlog struct {
	nextCfg, curCfg int
	// since is when it last caught up or got on; zero while it is not behind.
	since time.Time
}

// follow takes a snapshot's numbers. The one that is nil forgets what was before.
func (b *backlog) follow(actual *plan.Actual, now time.Time) {
	if actual == nil || actual.CurCfg >= actual.NextCfg {
		*b = backlog{}
		return
	}
	if b.since.IsZero() || b.curCfg != actual.CurCfg {
		b.since = now
	}
	b.nextCfg, b.curCfg = actual.NextCfg, actual.CurCfg
}

// Evidence returns what was last seen of Open vSwitch, and when. It takes no
// time.
func (s *Switch) Evidence() plan.Evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, seen := time.Now(), s.vswitchd.look()
	e := plan.Evidence{Database: s.lost, VSwitchd: seen.Sighting, Version: seen.version, Devices: plan.Sighting{Seen: now}}
	if s.session != nil {
		e.Database = plan.Sighting{Seen: s.session.Heard()}
	}
	if s.actual != nil && s.actual.Links == nil && s.cfg.Devices != nil {
		e.Devices = plan.Sighting{}
	}
	if answered := s.Answered(); answered.After(e.VSwitchd.Seen) {
		e.VSwitchd.Seen = answered // by its main thread, like the control socket
	}
	e.Flows = s.flows.unread()
	s.stalled(&e, seen.datapaths)
	if b := s.behind; !b.since.IsZero() && b.since.Before(e.VSwitchd.Seen) {
		e.VSwitchd.Seen = b.since
		switch {
		case e.VSwitchd.Cause != "":
		case e.VSwitchd.Busy && now.Sub(b.since) < longestWork:
			e.VSwitchd.Cause = fmt.Sprintf("ovs-vswitchd is at work, and has not applied %d change(s) of its configuration", b.nextCfg-b.curCfg)
			e.VSwitchd.Remedy = "wait until it has done what it was asked to do"
		default:
			e.VSwitchd.Busy = false
			e.VSwitchd.Cause = fmt.Sprintf("ovs-vswitchd answers, but has not applied %d change(s) of its configuration", b.nextCfg-b.curCfg)
			e.VSwitchd.Remedy = "see its log: perhaps it cannot write to its database, or another ovs-vswitchd has the database"
		}
	}
	return e
}

// stalled takes into account of which datapaths ovs-vswitchd said that they do not
// forward. The caller has the lock.
func (s *Switch) stalled(e *plan.Evidence, datapaths map[string]plan.Sighting) {
	if s.actual == nil || e.VSwitchd.Seen.IsZero() || len(e.Flows) == 0 && !slices.ContainsFunc(slices.Collect(maps.Values(datapaths)), func(d plan.Sighting) bool { return d.Cause != "" }) {
		return
	}
	for name, b := range s.actual.Bridges {
		if b.Network == "" || b.DatapathType == plan.ResetDatapath {
			continue
		}
		d, had := datapaths[cmp.Or(b.DatapathType, plan.KernelDatapath)]
		flows, unread := e.Flows[name]
		switch {
		case unread && (!had || d.Cause == gone):
			flows.Cause = fmt.Sprintf("ovs-vswitchd answers, but has no datapath of the type '%s' for the bridge '%s'", b.DatapathType, name)
			flows.Remedy = "see its log: the kernel may lack the module openvswitch, or another ovs-vswitchd has the database"
			e.Flows[name] = flows
		case d.Cause == "" || d.Cause == gone || !d.Seen.Before(e.VSwitchd.Seen):
		case e.VSwitchd.Cause != "": // it does not even answer
			e.VSwitchd.Seen = d.Seen
		case d.Cause == idle && s.actual.Restoring:
			e.VSwitchd = plan.Sighting{Seen: d.Seen, Cause: "ovs-vswitchd was started with other_config:flow-restore-wait=true, and forwards nothing new", Remedy: "end that by \"ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait\""}
		default:
			e.VSwitchd = d
		}
	}
}

// unusable says why what the database holds is not the state of a host.
func (s *Switch) unusable(cause, remedy string) {
	s.cfg.Logger.Warn(cause, "remedy", remedy)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost.Cause, s.lost.Remedy = cause, remedy
	s.announce()
}

// unreachable says why there is no session.
func (s *Switch) unreachable(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost.Cause = fmt.Sprintf("there is no session with Open vSwitch's database (%v)", err)
	s.lost.Remedy = "check that ovsdb-server runs, and that isonetd may use its socket"
}
