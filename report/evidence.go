package report

import (
	"time"

	"github.com/isonet/isonet/model"
)

// Freshness is how old evidence may be. With the second in which a new age is
// noticed nothing is called known for longer than five seconds.
const Freshness = 4 * time.Second

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
	// OnReport is what another host of a fleet reports. Without it nothing is known of
	// that host at present.
	OnReport Ground = "report"
)

// Grounds returns those on which verdicts on the whole host rest, by weight.
func Grounds() []Ground {
	return []Ground{OnDatabase, OnVSwitchd, OnDevices, OnIdentity, OnLoop, OnRules, OnStore}
}

// Missing is a ground that is gone, or was not seen for too long.
type Missing struct {
	Ground Ground
	// Since is when it was seen last, or when isonetd began to look for it.
	Since time.Time
	// Cause and Remedy say what is wrong and what to do, in words for an operator.
	Cause, Remedy string
	// Busy says that there is nothing to do but wait.
	Busy bool
	// Able says that the host does what it is asked to nevertheless.
	Able bool
}

// String returns the cause and the remedy.
func (m Missing) String() string { return m.Cause + ": " + m.Remedy }

// Unexplained returns what is said of a ground that has been missing since then and
// does not tell itself why.
func (g Ground) Unexplained(since time.Time) Missing {
	m := Missing{Ground: g, Since: since}
	switch g {
	case OnDatabase:
		m.Cause, m.Remedy = "Open vSwitch's database does not answer", "check that ovsdb-server runs and that isonetd may use its socket"
	case OnVSwitchd:
		m.Cause, m.Remedy = "ovs-vswitchd does not answer", "check that it runs, and see its log"
	case OnDevices:
		m.Cause, m.Remedy = "the kernel's network devices are not known", "see the log of isonetd"
	case OnFlows:
		m.Cause, m.Remedy = "the flows of the bridge were not read", "check that ovs-vswitchd runs and that isonetd may use the bridge's socket in Open vSwitch's run directory"
	case OnRules:
		m.Cause, m.Remedy = "the rules of the host guard were not looked at", "see the log of isonetd"
	default:
		m.Cause, m.Remedy = "isonetd has not judged the host", "see the log of isonetd, and restart it if that does not end"
	}
	return m
}

// Lacks returns what all verdicts on the host rest on and is missing, the weightiest
// of it; nil if nothing is.
func (s Status) Lacks() *Missing {
	m := s.Missed(OnReport, OnDatabase, OnVSwitchd, OnDevices, OnIdentity, OnLoop)
	if m == nil && (!s.Connected || s.Host == nil) {
		lost := OnDatabase.Unexplained(s.Since)
		m = &lost
	}
	return m
}

// Missed returns the first of these grounds that is missing; nil if none is.
func (s Status) Missed(grounds ...Ground) *Missing {
	for i := range s.Missing {
		for _, g := range grounds {
			if s.Missing[i].Ground == g {
				return &s.Missing[i]
			}
		}
	}
	return nil
}

// Present says that Host is the present, as far as anybody can tell.
func (s Status) Present() bool { return s.Lacks() == nil }

// CannotRealise returns a model.ErrUnavailable with cause and remedy when Open
// vSwitch will not do what it is asked to, as far as anybody can tell: what it
// takes has been missing for longer than a restart takes, and not because it is
// at work.
func (s Status) CannotRealise() error {
	if s.Occupied {
		return s.Idle()
	}
	m := s.Missed(OnDatabase, OnVSwitchd, OnDevices, OnIdentity)
	if m == nil || m.Busy || m.Able || time.Since(m.Since) <= Freshness {
		return nil
	}
	return model.Refuse(model.ErrUnavailable, model.OVSUnable, "Open vSwitch cannot do anything at present: %s", m)
}

// Idle returns why this isonetd changes nothing on its host; nil if it does.
func (s Status) Idle() error {
	switch {
	case s.Standby:
		return ErrStandby
	case s.Occupied:
		m := s.Missed(OnIdentity)
		if m == nil { // it is over just now
			m = &Missing{Cause: "another machine was this host, too", Remedy: "try again"}
		}
		return model.Refuse(model.ErrUnavailable, model.HostOccupied, "%s", m)
	}
	return nil
}
