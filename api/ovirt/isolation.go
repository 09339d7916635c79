package ovirt

import (
	"strconv"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// isolation returns the verdict on an attachment's isolation; nil for one that
// is on a host of which nothing is known.
func (v *view) isolation(a model.Attachment) *isolationDTO {
	status, known := v.statusOf(a.Host)
	if !known {
		return nil
	}
	s := status.Network(a.Network)
	d := &isolationDTO{
		Isolated: boolean(s.Isolation.Isolated()), Contested: boolean(s.Isolation.Contested),
		Verdict: string(s.Isolation.Verdict), Reason: s.Isolation.Reason,
		Strict: s.StrictState(v.desired.Networks[a.Network]),
	}
	if g, known := status.HostGuard(a.Network); known {
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
