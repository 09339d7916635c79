package wire

import "time"

// History is the reply of GET isonet/history.
type History struct {
	// Entries are the newest first.
	Entries []HistoryEntry `json:"entries"`
}

// HistoryEntry is one thing that was done, or that was tried. Each line of
// isonet/history with watch=true is one. It is also the form in which isonetd keeps
// it, so members may be added, and none may change its meaning.
type HistoryEntry struct {
	// Index grows by at least one from entry to entry, also when isonetd restarts.
	Index int64     `json:"index"`
	Time  time.Time `json:"time"`
	Kind  string    `json:"kind"`
	// Code says what it is: the code of the oVirt engine's event where it has one, else
	// one from 20001.
	Code int `json:"code"`
	// Severity is normal, warning, error or alert.
	Severity string `json:"severity"`
	// User is who logged in; it is absent on the unix socket. ClaimedUser is who somebody
	// said to be whose login failed.
	User        string `json:"user,omitempty"`
	ClaimedUser string `json:"claimed_user,omitempty"`
	// Client is where it came from: an IP address, or "uid", the number and the name of
	// the user at the other end of the unix socket. It is absent for what isonetd did by
	// itself.
	Client        string `json:"client,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	// Host is the name of the host of this isonetd; HostID is "" before it is known.
	Host   string `json:"host,omitempty"`
	HostID string `json:"host_id,omitempty"`
	// Network is what a deed of isonetd was about, Port where on it.
	Network   string `json:"network,omitempty"`
	NetworkID string `json:"network_id,omitempty"`
	Port      string `json:"port,omitempty"`
	// Text says it in one line.
	Text string `json:"text"`
	// Changes are what a write did, and Omitted how many more there were.
	Changes []HistoryChange `json:"changes,omitempty"`
	Omitted int             `json:"omitted,omitempty"`
	// Count is how often it happened again since Since; Time is the last time. It is
	// absent for what is told at once.
	Count int       `json:"count,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// The kinds of entries.
const (
	// KindWrite: a client changed something.
	KindWrite = "write"
	// KindLogin: a client was refused for its user name or password.
	KindLogin = "login_failed"
	// KindDeed: isonetd did or found something by itself.
	KindDeed = "deed"
	// KindLoss: entries could not be kept.
	KindLoss = "loss"
)

// The severities of entries.
const (
	Normal  = "normal"
	Warning = "warning"
	Error   = "error"
	Alert   = "alert"
)

// HistoryChange is what a write did to one object.
type HistoryChange struct {
	// Kind is network, host, attachment, port or device.
	Kind string `json:"kind"`
	// Name is that of the object. An attachment is called "NETWORK on HOST".
	Name string `json:"name"`
	// Did is added, removed or updated.
	Did string `json:"did"`
	// Members are those that differ.
	Members []HistoryMember `json:"members,omitempty"`
}

// HistoryMember is a member of an object that differs. A value that is absent is "".
type HistoryMember struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}
