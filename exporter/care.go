package exporter

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

// careFamilies are of what VMs suffer from.
func careFamilies() []family {
	return []family{
		denied("isonet_network_mac_lock_drops_total",
			"Frames from other addresses than their ports may use that the network's MAC lock dropped. Of networks with the MAC lock only.",
			func(n model.Network) bool { return n.MACLock }, wrongMAC),
		denied("isonet_network_broadcast_limit_drops_total",
			"Broadcast and multicast frames over the network's broadcast limit that were dropped. Of networks with a limit only.",
			func(n model.Network) bool { return n.BroadcastLimit > 0 }, overLimit),
		{
			Metric{
				"isonet_network_notices", gauge,
				[]string{"reason"},
				"What is worth knowing about this host's networks now though it does not break the isolation by itself, such as what VMs suffer from, by reason: see isolation.md. Absent without a connection to OVSDB.",
			},
			func(v view, emit func(sample)) {
				if !v.connected() {
					return
				}
				count := v.findings()
				for _, e := range isolation.Table() {
					if e.Notice {
						emit(sample{value: float64(count[e.Reason]), labels: []string{string(e.Reason)}})
					}
				}
			},
		},
	}
}

func wrongMAC(c report.Drops) uint64  { return c.WrongMAC }
func overLimit(c report.Drops) uint64 { return c.OverLimit }

// denied makes a counter of what was dropped on the networks that have it.
func denied(name, help string, has func(model.Network) bool, value func(report.Drops) uint64) family {
	return family{
		Metric{name, counter, []string{"network"}, help},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				if has(n.Network) {
					emit(sample{value: float64(value(n.verdict.Isolation.Denied.Total)), labels: n.alone})
				}
			}
		},
	}
}

// portDenied makes a counter of what single ports were denied.
func portDenied(name, help string, value func(report.Drops) uint64) family {
	return family{
		Metric{name, counter, []string{"network", "port"}, help + " Absent where nothing is counted. Only with --metrics-ports."},
		func(v view, emit func(sample)) {
			for _, p := range v.ports {
				if p.limited {
					emit(sample{value: float64(value(p.denied)), labels: p.labels})
				}
			}
		},
	}
}
