package report

import (
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
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

// Denied counts frames that members of a strict network sent and that were dropped,
// since isonetd sees them.
type Denied struct {
	// Total is of all that are and were members. It only grows.
	Total Drops
	// Ports are those of the members that are counted, by the UUIDs of their
	// interfaces.
	Ports map[string]Drops
}

// Drops counts frames that were dropped: of another source address than their sender
// may use, and over the network's limit of broadcast and multicast.
type Drops struct{ WrongMAC, OverLimit uint64 }

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
	// Repaired: a bridge that somebody changed, removed or created was put right.
	Repaired Deed = "repaired"
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
