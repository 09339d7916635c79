package wire

// Settings are the members of a network that isonet has and oVirt has not; oVirt's
// clients ignore them. In a request a nil one stays as it is. Each has the name of a
// field of model.Network, by which it gets there and back.
type Settings struct {
	// Isolation is enforce, quarantine or report.
	Isolation *string  `xml:"isolation_policy" json:"isolation_policy,omitempty"`
	Strict    *Boolean `xml:"strict" json:"strict,omitempty"`
	MACLock   *Boolean `xml:"mac_lock" json:"mac_lock,omitempty"`
	// BroadcastLimit is in frames per second and port; 0 is none.
	BroadcastLimit *Integer `xml:"broadcast_limit" json:"broadcast_limit,omitempty"`
}
