package reconcile

import (
	"cmp"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
)

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

// NetworkStatus is the verdict on one network of this host.
type NetworkStatus struct {
	State State
	// Reason says why the network is not active, in words for an operator. For an
	// unknown one it has the remedy, too.
	Reason string
	// conflict says that a name is taken on the host.
	conflict bool
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

// Status is what the loop knows, an immutable value of one moment.
type Status struct {
	// HostID is this host's id; "" before Open vSwitch was reached for the
	// first time.
	HostID model.ID
	// Connected says that the session to Open_vSwitch is live and has a snapshot
	// that can be used, so that Actual is the present and not the past.
	Connected bool
	// Since is when Connected last changed.
	Since time.Time
	// Reconnects counts the sessions that followed a lost one.
	Reconnects uint64
	// Missing is what verdicts rest on and is gone, or was not seen for too long;
	// the first explains the others. It is folded into everything else: verdicts
	// that rest on it are unknown.
	Missing []Missing
	// VSwitchd is what ovs-vswitchd called itself when it answered last, its version;
	// "" before.
	VSwitchd string
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
	// Waiting are the ports that are to be plugged in again, of networks that have
	// no bridge too.
	Waiting map[model.ID][]plan.KeptPort
	// Held are bridges that should go and stay because ports are in use.
	Held []plan.Held
	// Repairs counts the changes that put back what somebody else had changed.
	Repairs uint64
	// IsolationRepairs counts the repairs of what broke a network's isolation.
	IsolationRepairs map[isolation.Reason]uint64
	// Devices are the network devices of VMs that the host's own network stack is to
	// be kept from, by network. Those of networks whose bridges are held are among
	// them.
	Devices map[model.ID][]plan.Device
	// Guard is what came of guarding devices the last time, nil before the first;
	// Devices may have changed since. HostGuard puts the two together.
	Guard *Guarding
	// Events are the newest events about isolation, the newest last.
	Events []Event
	// LastError is the last failure of a transaction; "" after a success.
	LastError string
	// Actual is what the verdicts were made from; nil before the first
	// snapshot. It is kept while Connected is false.
	Actual *plan.Actual
}

// OVSVersion returns the version of Open vSwitch: what ovs-vswitchd calls itself,
// or what the database says as long as it has not been asked; "" is unknown.
func (s Status) OVSVersion() string { return cmp.Or(s.VSwitchd, s.recordedVersion()) }

// recordedVersion is what the database says, where ovs-ctl(8) has told it.
func (s Status) recordedVersion() string {
	if s.Actual == nil {
		return ""
	}
	return s.Actual.OVSVersion
}

// Notices returns what is worth knowing of the host and breaks nothing.
func (s Status) Notices() []plan.Notice {
	notices := plan.VersionNotices(s.VSwitchd, s.recordedVersion())
	if s.Actual != nil {
		notices = append(notices, plan.ColumnNotices(s.Actual.Strange)...)
	}
	return notices
}
