package exporter

import "github.com/isonet/isonet/model/isolation"

// careFamilies are of what VMs suffer from.
func careFamilies() []family {
	return []family{{
		Metric{
			"isonet_network_notices", gauge,
			[]string{"reason"},
			"What is worth knowing about this host's networks now though it does not break the isolation by itself, such as what VMs suffer from, by reason: see isolation.md. Absent without a connection to OVSDB.",
		},
		func(v view, emit func(sample)) {
			if !v.connected() {
				return
			}
			count := map[isolation.Reason]int{}
			for _, n := range v.networks {
				for _, f := range n.verdict.Isolation.Findings {
					count[f.Reason]++
				}
			}
			for _, e := range isolation.Table() {
				if e.Notice {
					emit(sample{value: float64(count[e.Reason]), labels: []string{string(e.Reason)}})
				}
			}
		},
	}}
}
