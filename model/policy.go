package model

// Policy says what isonet does about what breaks a network's isolation.
type Policy string

// The policies of a network.
const (
	// PolicyEnforce removes ways out of the network, quarantines what it does
	// not know, and puts the bridge's settings back.
	PolicyEnforce Policy = "enforce"
	// PolicyQuarantine cuts ports off instead of removing them.
	PolicyQuarantine Policy = "quarantine"
	// PolicyReport changes nothing and tells.
	PolicyReport Policy = "report"
)

// Policies returns every policy, the default first.
func Policies() []Policy { return []Policy{PolicyEnforce, PolicyQuarantine, PolicyReport} }

// EffectiveIsolation returns the policy in force.
func (n Network) EffectiveIsolation() Policy {
	if n.Isolation == "" {
		return PolicyEnforce
	}
	return n.Isolation
}

func (n Network) validateIsolation() error {
	var wrong []error
	switch n.EffectiveIsolation() {
	case PolicyEnforce, PolicyQuarantine, PolicyReport:
	default:
		wrong = append(wrong, Invalidf("Isolation policy '%s' is not valid: use 'enforce', 'quarantine' or 'report'.", n.Isolation))
	}
	if n.MACLock && !n.Strict {
		wrong = append(wrong, Invalidf("The MAC lock of network '%s' needs strict isolation: turn strict on too, or the MAC lock off.", n.Name))
	}
	if n.BroadcastLimit < 0 || n.BroadcastLimit > MaxBroadcastLimit {
		wrong = append(wrong, Invalidf("Broadcast limit %d is not valid: use 0 for none or a value from 1 to %d frames in a second.", n.BroadcastLimit, MaxBroadcastLimit))
	} else if n.BroadcastLimit > 0 && !n.Strict {
		wrong = append(wrong, Invalidf("The broadcast limit of network '%s' needs strict isolation: turn strict on too, or the limit off with 0.", n.Name))
	}
	return Join(wrong...)
}
