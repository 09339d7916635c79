package exporter

import (
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

func isolationFamilies() []family {
	return []family{
		ofNetwork("isonet_network_isolated",
			"Whether the network's isolation is shown (1) or something breaks it (0). Absent while that is not known.",
			report.Isolation.Isolated),
		ofNetwork("isonet_network_isolation_contested",
			"Whether somebody keeps breaking what isonet repairs on the network, so that repairs take their time (1), or not (0). Absent while the isolation is not known.",
			func(i report.Isolation) bool { return i.Contested }),
		{
			Metric{
				"isonet_network_isolation_violations", gauge,
				[]string{"reason"},
				"What breaks the isolation of this host's networks now, by reason: see isolation.md. Absent while Open vSwitch's state is not known.",
			},
			func(v view, emit func(sample)) {
				if !v.connected() {
					return
				}
				count := v.findings()
				for _, reason := range violations() {
					emit(sample{value: float64(count[reason]), labels: []string{string(reason)}})
				}
			},
		},
		{
			Metric{
				"isonet_isolation_repairs_total", counter,
				[]string{"reason"},
				"Ports removed or quarantined and settings put back because they broke the isolation of a network, by reason: see isolation.md.",
			},
			func(v view, emit func(sample)) {
				for _, reason := range violations() {
					emit(sample{value: float64(v.status.IsolationRepairs[reason]), labels: []string{string(reason)}})
				}
			},
		},
	}
}

// ofNetwork makes a gauge of one aspect of the verdict on each network.
func ofNetwork(name, help string, is func(report.Isolation) bool) family {
	return family{
		Metric{name, gauge, []string{"network"}, help},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				if n.verdict.Isolation.Verdict == report.IsolationUnknown {
					continue
				}
				emit(sample{value: boolean(is(n.verdict.Isolation)), labels: n.alone})
			}
		},
	}
}

// violations returns the reasons of what breaks isolation.
func violations() []isolation.Reason {
	var reasons []isolation.Reason
	for _, e := range isolation.Table() {
		if !e.Notice {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}
