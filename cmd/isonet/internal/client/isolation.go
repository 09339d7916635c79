package client

import "time"

// Isolation is how the isolation of one network of the host stands.
type Isolation struct {
	// Policy is "enforce", "quarantine" or "report".
	Policy string `json:"policy"`
	Strict bool   `json:"strict"`
	// StrictState is "active" when the flows of a strict network are in place,
	// "pending" until then, and "" if it is not strict.
	StrictState string `json:"strict_state,omitempty"`
	// HostGuard is nil if the daemon does not tell.
	HostGuard *HostGuard `json:"host_guard,omitempty"`
	// Isolated says that nothing breaks the isolation and nothing is open.
	Isolated bool `json:"isolated"`
	// Verdict is "isolated", "not_isolated" or "unknown", "" if the daemon is older.
	// Reason says why it is unknown, and what to do.
	Verdict string `json:"verdict,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Contested says that somebody keeps breaking what the daemon repairs.
	Contested bool `json:"contested"`
	// Since is when Isolated or Contested last changed.
	Since    time.Time `json:"since,omitzero"`
	Findings []Finding `json:"findings"`
	// Pending are the ports of which too little is known yet.
	Pending []string `json:"pending"`
}

// HostGuard says how a network and the host's own network stack are kept apart.
type HostGuard struct {
	// State is "guarded", "limited", "unavailable" or "unknown".
	State string `json:"state"`
	// Reason says why it is not guarded, and what to do.
	Reason string `json:"reason"`
}

// Exposed says that VMs and the host's network stack are not known to be kept
// apart.
func (g *HostGuard) Exposed() bool {
	return g != nil && g.State != "guarded"
}

// Violations counts the findings that are no mere notices.
func (i Isolation) Violations() int {
	n := 0
	for _, f := range i.Findings {
		if !f.Notice {
			n++
		}
	}
	return n
}

// Finding is one thing that is wrong with a network's isolation, or with Notice
// worth knowing about it.
type Finding struct {
	Reason      string `json:"reason"`
	Port        string `json:"port"`
	Setting     string `json:"setting"`
	Detail      string `json:"detail"`
	Remedy      string `json:"remedy"`
	Action      string `json:"action"`
	Quarantined bool   `json:"quarantined"`
	Notice      bool   `json:"notice"`
}

// Event is something that happened to a network's isolation.
type Event struct {
	Time      time.Time `json:"time"`
	NetworkID string    `json:"network_id"`
	Network   string    `json:"network"`
	Reason    string    `json:"reason"`
	Port      string    `json:"port"`
	Setting   string    `json:"setting"`
	Detail    string    `json:"detail"`
	Deed      string    `json:"deed"`
}
