package wire

// Settings are what a network has in isonet and not in oVirt; oVirt's clients ignore
// them. A nil one is not said: in a request it stays as it is. Each has the name of a
// field of model.Network, by which it gets there and back, and as usage what the flag
// of the command line says. In bodies of oVirt's form booleans are of type Boolean and
// numbers of type Integer.
type Settings[B ~bool, N ~int] struct {
	// Isolation is the policy: enforce, quarantine or report.
	Isolation *string `xml:"isolation_policy" json:"isolation_policy,omitempty" yaml:"isolation_policy" usage:"what to do about what breaks the isolation: enforce (the default), quarantine or report"`
	// Strict forwards frames between known ports only.
	Strict *B `xml:"strict" json:"strict,omitempty" yaml:"strict" usage:"forward frames between known ports only"`
	// MACLock holds every port to its own MAC address.
	MACLock *B `xml:"mac_lock" json:"mac_lock,omitempty" yaml:"mac_lock" usage:"hold every port to its own MAC address; needs --strict"`
	// BroadcastLimit is in frames per second and port; 0 is none.
	BroadcastLimit *N `xml:"broadcast_limit" json:"broadcast_limit,omitempty" yaml:"broadcast_limit" usage:"how many broadcast and multicast frames a port may send in a second; 0 means no limit; needs --strict"`
}
