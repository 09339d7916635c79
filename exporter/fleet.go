package exporter

import (
	"cmp"
	"maps"
	"slices"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Reports tells how the reports of this host to a server fare.
type Reports struct {
	Server    string
	Connected bool
	// Written and Failed count reports; heartbeats are none.
	Written, Failed uint64
}

func fleetFamilies() []family {
	return []family{
		{
			Metric{
				"isonet_fleet_status_connected", gauge,
				[]string{"server"},
				"Whether this host has a session with a server of fleet-status, to which it reports (1) or not (0). Absent without fleet-status.",
			},
			reported(func(r Reports) float64 { return boolean(r.Connected) }),
		},
		{
			Metric{
				"isonet_fleet_reports_total", counter,
				[]string{"server"},
				"Reports of this host that a server of fleet-status has taken, without heartbeats.",
			},
			reported(func(r Reports) float64 { return float64(r.Written) }),
		},
		{
			Metric{
				"isonet_fleet_report_failures_total", counter,
				[]string{"server"},
				"Reports and heartbeats of this host that a server of fleet-status has not taken.",
			},
			reported(func(r Reports) float64 { return float64(r.Failed) }),
		},
		{
			Metric{
				"isonet_fleet_hosts", gauge,
				[]string{"status"},
				"Hosts of the fleet by whether they are heard of: up, connecting (not known yet), non_responsive, or unknown, which never reported. Only from an API node.",
			},
			func(v view, emit func(sample)) {
				if v.members == nil {
					return
				}
				count := map[string]int{"unknown": 0, string(report.Up): 0, string(report.Connecting): 0, string(report.NonResponsive): 0}
				for id := range v.desired.Hosts {
					count[cmp.Or(string(v.members[id].Liveness), "unknown")]++
				}
				for _, status := range slices.Sorted(maps.Keys(count)) {
					emit(sample{value: float64(count[status]), labels: []string{status}})
				}
			},
		},
		{
			Metric{
				"isonet_fleet_lag_revisions", gauge,
				[]string{"host", "host_id"},
				"How many revisions of the desired state a host that is heard of has not seen yet. A heartbeat tells, so that some seconds after a change say nothing. Only from an API node.",
			},
			func(v view, emit func(sample)) {
				for _, id := range slices.Sorted(maps.Keys(v.desired.Hosts)) {
					if m, known := v.members[id]; known && m.Liveness == report.Up {
						emit(sample{value: float64(max(0, v.desired.Revision-m.Seen)), labels: []string{valid(v.desired.Hosts[id].Name), string(id)}})
					}
				}
			},
		},
	}
}

// reported makes a sample for each server to which the host reports.
func reported(value func(Reports) float64) func(view, func(sample)) {
	return func(v view, emit func(sample)) {
		for _, r := range v.reports {
			emit(sample{value: value(r), labels: []string{valid(r.Server)}})
		}
	}
}

// fleet takes what is known of the fleet.
func (v *view) fleet(s Sources) {
	if s.Reports != nil {
		v.reports = s.Reports()
	}
	if s.Members == nil {
		return
	}
	v.members = map[model.ID]report.Member{}
	for id := range v.desired.Hosts {
		if m, known := s.Members(id); known {
			v.members[id] = m
		}
	}
}
