package report

import (
	"cmp"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
)

// Status is how the host stands at one moment.
type Status struct {
	// HostID is this host's id; "" before Open vSwitch was reached for the
	// first time.
	HostID model.ID
	// Connected says that the session to Open_vSwitch is live and has a snapshot
	// that can be used, so that Host is the present and not the past.
	Connected bool
	// Since is when Connected last changed.
	Since time.Time
	// Reconnects counts the sessions that followed a lost one.
	Reconnects uint64
	// Missing is what verdicts rest on and is gone, or was not seen for too long;
	// the first explains the others. It is folded into everything else: verdicts
	// that rest on it are unknown.
	Missing []Missing
	// Standby says that another isonetd manages this host's Open vSwitch, so
	// that this one only looks.
	Standby bool
	// Occupied says that another machine is this host, so that this one touches
	// nothing.
	Occupied bool
	// Revision is the desired revision that the verdicts were made for.
	Revision int64
	// Networks holds a verdict for every network that this host must have.
	Networks map[model.ID]NetworkStatus
	// Held are bridges that should go and stay because ports are in use.
	Held []Held
	// Repairs counts the changes that put back what somebody else had changed.
	Repairs uint64
	// IsolationRepairs counts the repairs of what broke a network's isolation.
	IsolationRepairs map[isolation.Reason]uint64
	// Devices are the network devices of VMs that the host's own network stack is to
	// be kept from, by network. Those of networks whose bridges are held are among
	// them.
	Devices map[model.ID][]Device
	// Guard is what came of guarding devices the last time, nil before the first;
	// Devices may have changed since. HostGuard puts the two together.
	Guard *Guarding
	// Events are the newest events about isolation, the newest last.
	Events []Event
	// LastError is the last failure of a transaction; "" after a success.
	LastError string
	// Host is what Open vSwitch has, of which the verdicts were made; nil before the
	// first snapshot. It is kept while Connected is false.
	Host Host
	// Switch is what Open vSwitch says of itself.
	Switch Switch
	// Notices are what is worth knowing of the host and breaks nothing.
	Notices []Notice
	// Nowhere says that isonetd runs on no host, so that everything of this status is
	// empty but what it misses of the store.
	Nowhere bool
	// Member is of another host of a fleet; nil for the host that isonetd runs on.
	Member *Member
}

// Switch is what is known of the host's Open vSwitch; "" is unknown.
type Switch struct {
	// Version is what ovs-vswitchd calls itself, or what the database says as long as
	// it has not been asked.
	Version string
	// SchemaVersion is that of the database (OVS Open_vSwitch db_version).
	SchemaVersion string
	// DatapathType is that of new bridges: "system" or "netdev".
	DatapathType string
	// Behind is how many changes of the configuration ovs-vswitchd has not applied
	// yet (OVS Open_vSwitch next_cfg minus cur_cfg).
	Behind int
}

// Notice is something about a host that breaks nothing and is worth knowing.
type Notice struct {
	// Text says what there is, and Remedy what to do, both in words for an operator.
	Text, Remedy string
}

// State says how far a network is on this host.
type State string

// The states of a network.
const (
	// Pending: OVS has been told, or is about to be, and has not finished.
	Pending State = "pending"
	// Active: OVS reports the bridge as it must be.
	Active State = "active"
	// Failed: the network cannot be realised before something else changes.
	Failed State = "error"
	// Unknown: something that verdicts rest on is missing, or was not seen for too
	// long.
	Unknown State = "unknown"
)

// NotYet is the reason of a verdict that nobody has made yet.
const NotYet = "not looked at yet"

// NetworkStatus is the verdict on one network of this host.
type NetworkStatus struct {
	State State
	// Reason says why the network is not active, in words for an operator. For an
	// unknown one it has the remedy, too.
	Reason string
	// Conflict says that the network failed because a name is taken on the host.
	Conflict bool
	// Since is when State last changed.
	Since time.Time
	// Strict says that the network forwards by its own flows and no others.
	Strict bool
	// Isolation is the verdict on the network's isolation.
	Isolation Isolation
}

// StrictState says whether the network's flows are in place; "" for a
// network that is not strict.
func (s NetworkStatus) StrictState(n model.Network) string {
	switch {
	case !n.Strict:
		return ""
	case s.State == Unknown:
		return "unknown"
	case s.Strict:
		return "active"
	}
	return "pending"
}

// Without returns the verdict when something is missing that it rests on.
func (s NetworkStatus) Without(m Missing) NetworkStatus {
	s.State, s.Reason, s.Since, s.Strict = Unknown, m.String(), m.Since, false
	s.Isolation.Verdict, s.Isolation.Reason, s.Isolation.Since = IsolationUnknown, m.String(), m.Since
	return s
}

// Network returns the verdict on a network that the host must have.
func (s Status) Network(id model.ID) NetworkStatus {
	n, judged := s.Networks[id]
	m := s.Lacks()
	switch {
	case m != nil:
		return n.Without(*m)
	case !judged:
		n.State, n.Reason, n.Isolation.Reason = Pending, NotYet, NotYet
	}
	n.Isolation.Verdict = cmp.Or(n.Isolation.Verdict, IsolationUnknown)
	return n
}
