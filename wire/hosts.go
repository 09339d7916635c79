package wire

import "time"

// Hosts is the reply of GET isonet/hosts.
type Hosts struct {
	// Revision is the newest of the desired state.
	Revision int64 `json:"revision"`
	// Hosts are sorted by name.
	Hosts []HostOverview `json:"hosts"`
}

// HostOverview says how a host is.
type HostOverview struct {
	Host
	// Status is up, connecting, non_responsive or maintenance.
	Status string `json:"status"`
	// Reason says why the host is not up, and what to do; "" if it is.
	Reason string `json:"reason"`
	// Heard is when the host was last heard of; absent for the host that isonetd runs on.
	Heard time.Time `json:"heard,omitzero"`
	// Seen is the newest revision that the host has read, and Realised the one that it
	// has gone through with Open vSwitch; 0 is unknown.
	Seen     int64 `json:"seen"`
	Realised int64 `json:"realised"`
	// Version of isonetd there; "" is unknown.
	Version     string `json:"version"`
	Maintenance bool   `json:"maintenance"`
	// Networks is how many the host has verdicts on, and Faulty how many of these are
	// not active or not shown to be isolated.
	Networks int `json:"networks"`
	Faulty   int `json:"faulty"`
	// Problems are the first of the faulty networks, by name.
	Problems []NetworkProblem `json:"problems"`
	// Change says what became there of the change that was asked about: realised,
	// pending, failed or unreachable. It is absent when none was.
	Change       string `json:"change,omitempty"`
	ChangeReason string `json:"change_reason,omitempty"`
}

// NetworkProblem is a network that is not as it must be on a host.
type NetworkProblem struct {
	NetworkName
	// State is that of the network, Isolation the verdict on it; Reason says why.
	State     string `json:"state"`
	Isolation string `json:"isolation"`
	Reason    string `json:"reason"`
}
