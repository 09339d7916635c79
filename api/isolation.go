package api

import (
	"strconv"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// isolationPolicyDTO are members of a network that oVirt does not have; its
// clients ignore them.
type isolationPolicyDTO struct {
	// IsolationPolicy is enforce, quarantine or report.
	IsolationPolicy *string  `xml:"isolation_policy" json:"isolation_policy,omitempty"`
	Strict          *boolean `xml:"strict" json:"strict,omitempty"`
	MACLock         *boolean `xml:"mac_lock" json:"mac_lock,omitempty"`
	// BroadcastLimit is in frames per second and port; 0 is none.
	BroadcastLimit *integer `xml:"broadcast_limit" json:"broadcast_limit,omitempty"`
}

func policyOf(n model.Network) isolationPolicyDTO {
	return isolationPolicyDTO{
		IsolationPolicy: new(string(n.EffectiveIsolation())),
		Strict:          new(boolean(n.Strict)),
		MACLock:         new(boolean(n.MACLock)),
		BroadcastLimit:  new(integer(n.BroadcastLimit)),
	}
}

// apply sets what the body has; the model judges the values.
func (d isolationPolicyDTO) apply(n *model.Network) {
	if d.IsolationPolicy != nil && *d.IsolationPolicy != string(n.EffectiveIsolation()) {
		n.Isolation = model.Policy(*d.IsolationPolicy)
	}
	if d.Strict != nil {
		n.Strict = bool(*d.Strict)
	}
	if d.MACLock != nil {
		n.MACLock = bool(*d.MACLock)
	}
	if d.BroadcastLimit != nil {
		n.BroadcastLimit = int(*d.BroadcastLimit)
	}
}

// isolationDTO is the verdict on the isolation of an attachment on this host.
type isolationDTO struct {
	Isolated boolean `xml:"isolated" json:"isolated"`
	// Verdict is isolated, not_isolated or unknown; Reason says why it is unknown
	// and what to do.
	Verdict   string  `xml:"verdict" json:"verdict"`
	Reason    string  `xml:"reason,omitempty" json:"reason,omitempty"`
	Contested boolean `xml:"contested" json:"contested"`
	// Strict is active, pending or unknown; it is absent for a network that is not strict.
	Strict    string        `xml:"strict_state,omitempty" json:"strict_state,omitempty"`
	HostGuard *hostGuardDTO `xml:"host_guard" json:"host_guard,omitempty"`
	Findings  *findingsDTO  `xml:"findings" json:"findings,omitempty"`
}

// hostGuardDTO says how the network and the host's network stack are kept apart.
type hostGuardDTO struct {
	State  string `xml:"state" json:"state"`
	Reason string `xml:"reason,omitempty" json:"reason,omitempty"`
}

type findingsDTO struct {
	Finding []findingDTO `xml:"finding" json:"finding,omitempty"`
}

type findingDTO struct {
	Reason      string  `xml:"reason" json:"reason"`
	Port        string  `xml:"port,omitempty" json:"port,omitempty"`
	Setting     string  `xml:"setting,omitempty" json:"setting,omitempty"`
	Detail      string  `xml:"detail" json:"detail"`
	Action      string  `xml:"action" json:"action"`
	Quarantined boolean `xml:"quarantined" json:"quarantined"`
	Notice      boolean `xml:"notice" json:"notice"`
	Remedy      string  `xml:"remedy" json:"remedy"`
}

// isolation returns the verdict on an attachment's isolation; nil for one that
// is on another host.
func (v *view) isolation(a model.Attachment) *isolationDTO {
	if !v.own(a.Host) {
		return nil
	}
	s := v.status.Network(a.Network)
	d := &isolationDTO{
		Isolated: boolean(s.Isolation.Isolated()), Contested: boolean(s.Isolation.Contested),
		Verdict: string(s.Isolation.Verdict), Reason: s.Isolation.Reason,
		Strict: s.StrictState(v.desired.Networks[a.Network]),
	}
	if g, known := v.status.HostGuard(a.Network); known {
		d.HostGuard = &hostGuardDTO{string(g.State), g.Reason}
	}
	for _, f := range s.Isolation.Findings {
		if d.Findings == nil {
			d.Findings = &findingsDTO{}
		}
		d.Findings.Finding = append(d.Findings.Finding, findingDTO{
			Reason: string(f.Reason), Port: f.Port, Setting: f.Column, Detail: f.Detail, Action: string(f.Action),
			Quarantined: boolean(f.Quarantined), Notice: boolean(f.Notice), Remedy: f.Remedy(),
		})
	}
	return d
}

// reportedIsolation adds the isolation to what is reported. It does not count
// for the attachment's in_sync: no synchronization can bring it about.
func (v *view) reportedIsolation(a model.Attachment) reportedConfiguration {
	r := reportedConfiguration{Name: "isolation", ExpectedValue: "true"}
	if d := v.isolation(a); d != nil && d.Verdict != string(report.IsolationUnknown) {
		r.ActualValue, r.InSync = strconv.FormatBool(bool(d.Isolated)), new(d.Isolated)
	}
	return r
}
