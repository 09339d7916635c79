package client

import "time"

// Isolation is how the isolation of one network of the host stands.
type Isolation struct {
	// Policy is "enforce", "quarantine" or "report".
	Policy string `json:"policy"`
	Strict bool   `json:"strict"`
	// Isolated says that nothing breaks the isolation and nothing is open.
	Isolated bool `json:"isolated"`
	// Contested says that somebody keeps breaking what the daemon repairs.
	Contested bool `json:"contested"`
	// Since is when Isolated or Contested last changed.
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
