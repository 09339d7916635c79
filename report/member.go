package report

import "time"

// Liveness says whether a host of a fleet is heard of.
type Liveness string

// The states of a host of a fleet.
const (
	// Up: its isonetd reports.
	Up Liveness = "up"
	// Connecting: it is not known yet whether its isonetd still reports.
	Connecting Liveness = "connecting"
	// NonResponsive: its isonetd has not reported for too long.
	NonResponsive Liveness = "non_responsive"
)

// Member is what is known of another host of a fleet beside its Status, which is what
// it last reported.
type Member struct {
	Liveness Liveness
	// Heard is when this machine last saw a report; zero is never.
	Heard time.Time
	// Seen is the newest revision of the desired state that the host has read.
	// Status.Revision is the one that it has gone through with Open vSwitch.
	Seen int64
	// Boot names a run of its machine.
	Boot string
	// Version is that of its isonetd.
	Version string
	// URL is where its API is; "" is nowhere.
	URL string
}

// Reports says that the status is of the present: of the host that isonetd runs on, or
// of another one whose isonetd reports.
func (s Status) Reports() bool { return s.Member == nil || s.Member.Liveness == Up }

// Unsure says that it is not known whether the isonetd of a host still reports, so that
// its last report may be all that is known of it.
func (s Status) Unsure() bool {
	return s.Member != nil && s.Member.Liveness == Connecting && s.Host != nil
}
