package plan

import "time"

// Forwarding is what a bridge must forward by.
type Forwarding struct {
	Bridge string
	// Pipeline is what a strict network forwards by; nil is the one flow that
	// makes a bridge an ordinary switch.
	Pipeline *Pipeline
	// Report leaves what somebody else changed as it is, and only tells of it.
	Report bool
}

// Flows is what vswitchd itself says, over OpenFlow, about one bridge.
type Flows struct {
	// Known says that everything that there is on the bridge was looked at, and
	// that the connection on which vswitchd tells of changes stands.
	Known bool
	// InPlace says that the bridge forwards by what it must, and by nothing else.
	InPlace bool
	// Since is when Known or InPlace last changed.
	Since time.Time
	// Err says why they are not known or not in place, and what to do. It is ""
	// while there is nothing wrong, and before the first look.
	Err string
	// Foreign says in words what is there that somebody else made or changed; ""
	// is nothing.
	Foreign string
	// Restored counts how often what somebody else had changed was put back, and
	// Last says in words what that was the last time.
	Restored uint64
	Last     string
	// Members has what was counted of members, by their OpenFlow port numbers. It
	// is nil where nothing is counted, and some seconds old.
	Members map[int]MemberCounters
}

// MemberCounters counts what a member of a strict network was denied, in frames
// since its flows were installed.
type MemberCounters struct {
	// WrongMAC are frames from other addresses than the MAC lock allows.
	WrongMAC uint64
	// OverLimit are broadcasts and multicasts over the broadcast limit.
	OverLimit uint64
}
