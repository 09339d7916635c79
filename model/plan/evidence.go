package plan

import "time"

// Sighting says when something was last found as verdicts need it, and what is
// known to be in the way since. It ages: who reads it says how old is too old.
type Sighting struct {
	// Seen is by the monotonic clock; zero is never.
	Seen time.Time
	// Cause says what is wrong, and Remedy what to do about it, both in words for
	// an operator. They are empty as long as nothing is known to be wrong.
	Cause, Remedy string
	// Busy says that what does not answer is at work on what it was asked to do,
	// so that waiting is all there is to do.
	Busy bool
	// Able says that Open vSwitch is put in order nevertheless.
	Able bool
}

// Evidence is what was last seen of a host's Open vSwitch, and when.
type Evidence struct {
	// Database is the session with the database and a snapshot that can be used.
	Database Sighting
	// VSwitchd answers, forwards, and does what the database asks for.
	VSwitchd Sighting
	// Version is what ovs-vswitchd called itself when it answered last; "" before.
	Version string
	// Devices are the network devices of the host.
	Devices Sighting
	// Flows holds, by its name, each bridge of isonet's whose flows were not read
	// or are not confirmed to be as they were when they were read. A bridge that
	// is not in it forwards by the flows that its network asks for.
	Flows map[string]Sighting
}
