package wire

import "time"

// Isolation is the verdict on the isolation of a network.
type Isolation struct {
	Policy string `json:"policy"`
	Strict bool   `json:"strict"`
	// StrictState is active when the flows of a strict network are in place,
	// pending until then, and unknown while nobody can tell; "" for one that is not
	// strict.
	StrictState string `json:"strict_state"`
	// HostGuard is absent as long as it is not known.
	HostGuard *HostGuard `json:"host_guard,omitempty"`
	// Isolated says that Verdict is isolated: the isolation is shown.
	Isolated bool `json:"isolated"`
	// Verdict is isolated, not_isolated or unknown. Reason says why it is unknown
	// and what to do.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	// Contested says that somebody keeps breaking what isonet repairs.
	Contested bool `json:"contested"`
	// Since is when Verdict or Contested last changed.
	Since    time.Time `json:"since,omitzero"`
	Findings []Finding `json:"findings"`
	// Pending are the ports of which too little is known yet.
	Pending []string `json:"pending"`
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

// HostGuard says how a network and the host's own network stack are kept
// apart.
type HostGuard struct {
	// State is guarded, limited, unavailable or unknown.
	State string `json:"state"`
	// Reason says why it is not guarded, and what to do.
	Reason string `json:"reason"`
}

// Exposed says that VMs and the host's network stack are not known to be kept
// apart. It is false as long as nothing is known.
func (g *HostGuard) Exposed() bool { return g != nil && g.State != "guarded" }

// Finding is one thing that is wrong with a network's isolation, or with
// Notice worth knowing about it: see docs/isolation.md.
type Finding struct {
	Reason string `json:"reason"`
	// Port and Setting say where: either may be empty.
	Port    string `json:"port"`
	Setting string `json:"setting"`
	// Detail is the evidence, Remedy what an operator can do, both in words.
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`
	// Action is what the network's policy does: remove, quarantine, restore or
	// report.
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
	// Deed is removed, quarantined, released, restored, replugged, reported,
	// contested or settled.
	Deed string `json:"deed"`
}
