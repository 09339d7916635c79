package exporter

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

// Metric describes one metric of isonet's own.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Metrics describes all metrics of isonet's own, sorted by name. Those of the
// Go runtime, the process and the scrapes (go_, process_, promhttp_) come from
// the Prometheus client library.
func Metrics() []Metric {
	metrics := []Metric{buildInfo(), reconcileDurations().Metric, transactionDurations().Metric}
	for _, f := range families() {
		metrics = append(metrics, f.Metric)
	}
	slices.SortFunc(metrics, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return metrics
}

const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

func buildInfo() Metric {
	return Metric{
		"isonet_build_info", gauge,
		[]string{"version", "revision", "goversion"},
		"Which build of isonet this is; always 1.",
	}
}

// duration is a histogram of what takes from least to 8192 times least
// seconds, by result.
type duration struct {
	Metric
	least   float64
	results []string
}

func reconcileDurations() duration {
	return duration{Metric{
		"isonet_reconcile_duration_seconds", histogram,
		[]string{"result"},
		"Duration of the passes of the reconcile loop in seconds, by result: unchanged, applied or error.",
	}, 0.001, []string{"unchanged", "applied", "error"}}
}

func transactionDurations() duration {
	return duration{Metric{
		"isonet_ovsdb_transaction_duration_seconds", histogram,
		[]string{"result"},
		"Duration of the transactions with the Open_vSwitch database in seconds, by result: committed or error.",
	}, 0.0005, []string{"committed", "error"}}
}

// vector makes the histogram, with every result at zero: an increase() sees
// only what begins with a zero.
func (d duration) vector() *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: d.Name, Help: d.Help,
		Buckets: prometheus.ExponentialBuckets(d.least, 2, 14),
	}, d.Labels)
	for _, result := range d.results {
		v.WithLabelValues(result)
	}
	return v
}

// family is a metric and how its samples follow from a view.
type family struct {
	Metric
	collect func(v view, emit func(sample))
}

// families returns all metrics that are made from snapshots.
func families() []family {
	return slices.Concat(trafficFamilies(), networkFamilies(), isolationFamilies(), careFamilies(), hostFamilies(), nodeFamilies(), fleetFamilies(), portFamilies())
}

func trafficFamilies() []family {
	return []family{
		traffic("isonet_network_receive_bytes_total",
			"Bytes delivered from the network to its attached ports (OVS Interface statistics tx_bytes), local port excluded.",
			func(c model.Counters) uint64 { return c.ReceivedBytes }),
		traffic("isonet_network_receive_packets_total",
			"Packets delivered from the network to its attached ports (OVS Interface statistics tx_packets), local port excluded.",
			func(c model.Counters) uint64 { return c.ReceivedPackets }),
		traffic("isonet_network_receive_drops_total",
			"Packets for the network's attached ports that were dropped (OVS Interface statistics tx_dropped), local port excluded. A port that ignores a broadcast or is down counts too.",
			func(c model.Counters) uint64 { return c.ReceivedDrops }),
		traffic("isonet_network_receive_errors_total",
			"Errors delivering packets from the network to its attached ports (OVS Interface statistics tx_errors), local port excluded.",
			func(c model.Counters) uint64 { return c.ReceivedErrors }),
		traffic("isonet_network_transmit_bytes_total",
			"Bytes sent into the network by its attached ports (OVS Interface statistics rx_bytes), local port excluded.",
			func(c model.Counters) uint64 { return c.TransmittedBytes }),
		traffic("isonet_network_transmit_packets_total",
			"Packets sent into the network by its attached ports (OVS Interface statistics rx_packets), local port excluded.",
			func(c model.Counters) uint64 { return c.TransmittedPackets }),
		traffic("isonet_network_transmit_drops_total",
			"Packets sent by the network's attached ports that were dropped (OVS Interface statistics rx_dropped), local port excluded.",
			func(c model.Counters) uint64 { return c.TransmittedDrops }),
		traffic("isonet_network_transmit_errors_total",
			"Errors taking packets from the network's attached ports (OVS Interface statistics rx_errors), local port excluded.",
			func(c model.Counters) uint64 { return c.TransmittedErrors }),
	}
}

func networkFamilies() []family {
	return []family{{
		Metric{
			"isonet_network_info", gauge,
			[]string{"network", "network_id", "bridge", "datapath_type", "label"},
			"What a network attached to this host is: its id, its bridge, the bridge's datapath type and the network's label; always 1.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				emit(one(n.label, string(n.ID), n.VdsmName, v.datapathType(n), n.Label))
			}
		},
	}, {
		Metric{
			"isonet_network_ready", gauge,
			[]string{"network"},
			"Whether Open vSwitch reports the network's bridge as it must be (1) or not (0). Absent while that is not known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				if n.verdict.State == report.Unknown {
					continue
				}
				emit(sample{value: boolean(n.verdict.State == report.Active), labels: n.alone})
			}
		},
	}, {
		Metric{
			"isonet_network_state", gauge,
			[]string{"network", "state"},
			"Whether the network is in the state (1) or not (0): pending, active, error, or unknown while something is missing that its verdict rests on.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				for _, state := range states() {
					emit(sample{value: boolean(n.verdict.State == state), labels: []string{n.label, string(state)}})
				}
			}
		},
	}, {
		Metric{
			"isonet_network_labels", gauge,
			[]string{"network"},
			"Labels on the network: one or none. isonet_network_info has it.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				emit(sample{value: boolean(n.Label != ""), labels: n.alone})
			}
		},
	}, {
		Metric{
			"isonet_network_ports", gauge,
			[]string{"network", "link_state"},
			"Ports attached to the network by the state of their link (OVS Interface link_state), up or down, or unknown of those whose device was moved to another network namespace; local port excluded. Absent while Open vSwitch's state is not known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				emit(sample{value: float64(n.up), labels: []string{n.label, "up"}})
				emit(sample{value: float64(n.down), labels: []string{n.label, "down"}})
				if n.unknown > 0 {
					emit(sample{value: float64(n.unknown), labels: []string{n.label, "unknown"}})
				}
			}
		},
	}, {
		Metric{
			"isonet_network_stale_ports", gauge,
			[]string{"network"},
			"Ports of the network that are left of devices that vanished; they are among the others as well. Absent while Open vSwitch's state is not known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				emit(sample{value: float64(n.stale), labels: n.alone})
			}
		},
	}, {
		Metric{
			"isonet_network_mtu_bytes", gauge,
			[]string{"network"},
			"MTU in bytes that the network's ports must have.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				emit(sample{value: float64(n.EffectiveMTU()), labels: n.alone})
			}
		},
	}, {
		Metric{
			"isonet_network_mtu_actual_bytes", gauge,
			[]string{"network"},
			"Smallest MTU in bytes in effect on the network's ports (OVS Interface mtu), local port included. Absent while none is known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				if n.leastMTU > 0 {
					emit(sample{value: float64(n.leastMTU), labels: n.alone})
				}
			}
		},
	}, {
		Metric{
			"isonet_network_mtu_in_sync", gauge,
			[]string{"network"},
			"Whether every port of the network has the MTU that it must have (1) or not (0), local port included. Absent while none is known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				if n.leastMTU > 0 {
					want := n.EffectiveMTU()
					emit(sample{value: boolean(n.leastMTU == want && n.mostMTU == want), labels: n.alone})
				}
			}
		},
	}, {
		Metric{
			"isonet_network_host_guarded", gauge,
			[]string{"network"},
			"Whether the host's own network stack is kept apart from the network's ports (1), or the host guard is limited or unavailable (0). Absent while it is not known.",
		},
		func(v view, emit func(sample)) {
			for _, n := range v.live() {
				if g, known := v.status.HostGuard(n.ID); known && g.State != report.GuardUnknown {
					emit(sample{value: boolean(g.State == report.Guarded), labels: n.alone})
				}
			}
		},
	}}
}

// nodeFamilies are of an isonetd, whether it runs on a host or not.
func nodeFamilies() []family {
	return []family{{
		Metric{
			"isonet_desired_revision", gauge, nil,
			"Revision of the desired state. It grows with every change that operators make.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.desired.Revision)}) },
	}, {
		Metric{
			"isonet_history_lost_total", counter, nil,
			"Entries that the history of changes lacks because they could not be written to its disk, since isonetd started.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.historyLost)}) },
	}, {
		Metric{
			"isonet_history_bytes", gauge, nil,
			"What the history of who did what has on the disk, in bytes; 0 without a history.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.historySize)}) },
	}, {
		Metric{
			"isonet_certificate_expiry_timestamp_seconds", gauge,
			[]string{"certificate"},
			"Unix time until when a certificate of isonetd is valid: api is that of the API's listener, store is that of the session to a store with ssl:. Absent without a certificate.",
		},
		func(v view, emit func(sample)) {
			for _, name := range slices.Sorted(maps.Keys(v.expiries)) {
				emit(sample{value: seconds(v.expiries[name]), labels: []string{name}})
			}
		},
	}, {
		Metric{
			"isonet_evidence_missing", gauge,
			[]string{"ground"},
			"Whether something that verdicts rest on is gone or was not seen for four seconds (1) or not (0): database, vswitchd, devices, identity of the host, loop, rules of the host guard, or store of the desired state.",
		},
		func(v view, emit func(sample)) {
			for _, ground := range report.Grounds() {
				if v.status.Nowhere && ground != report.OnStore {
					continue
				}
				emit(sample{value: boolean(v.lacks(ground)), labels: []string{string(ground)}})
			}
		},
	}}
}

func hostFamilies() []family {
	return []family{{
		Metric{
			"isonet_networks", gauge,
			[]string{"state"},
			"Networks attached to this host by state: pending, active, error, or unknown while something is missing that the verdict rests on.",
		},
		func(v view, emit func(sample)) {
			for _, state := range states() {
				emit(sample{value: float64(v.inState(state)), labels: []string{string(state)}})
			}
		},
	}, {
		Metric{
			"isonet_reconciled_revision", gauge, nil,
			"Revision of the desired state that this host's networks were last judged by.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.status.Revision)}) },
	}, {
		Metric{
			"isonet_drift_repairs_total", counter, nil,
			"Changes that put back what somebody else had changed in Open vSwitch.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.status.Repairs)}) },
	}, {
		Metric{
			"isonet_ports_replugged_total", counter, nil,
			"Ports that isonet plugged in again because they had been taken away with their bridge.",
		},
		func(v view, emit func(sample)) {
			emit(sample{value: float64(v.status.IsolationRepairs[isolation.PortLost])})
		},
	}, {
		Metric{
			"isonet_held_bridges", gauge, nil,
			"Bridges that should be removed but stay because ports are plugged in. Absent while Open vSwitch's state is not known.",
		},
		func(v view, emit func(sample)) {
			if v.connected() {
				emit(sample{value: float64(len(v.status.Held))})
			}
		},
	}, {
		Metric{
			"isonet_notices", gauge, nil,
			"What is worth knowing of the host and breaks nothing by itself, such as an untried Open vSwitch or invalid rows of the store: see isonet doctor. Absent while Open vSwitch's state is not known.",
		},
		func(v view, emit func(sample)) {
			if v.connected() {
				emit(sample{value: float64(len(v.status.Notices))})
			}
		},
	}, {
		Metric{
			"isonet_standby", gauge, nil,
			"Whether another isonetd manages this host's Open vSwitch, so that this one only looks (1), or not (0). Absent without a connection to OVSDB.",
		},
		func(v view, emit func(sample)) {
			if v.session() {
				emit(sample{value: boolean(v.status.Standby)})
			}
		},
	}, {
		Metric{
			"isonet_ovsdb_connected", gauge, nil,
			"Whether the session to the Open_vSwitch database is live and has a snapshot that can be used (1) or not (0).",
		},
		func(v view, emit func(sample)) { emit(sample{value: boolean(v.status.Connected)}) },
	}, {
		Metric{
			"isonet_vswitchd_up", gauge, nil,
			"Whether ovs-vswitchd answers, forwards, and has done what its database asks for, in the last four seconds (1) or not (0).",
		},
		func(v view, emit func(sample)) { emit(sample{value: boolean(!v.lacks(report.OnVSwitchd))}) },
	}, {
		Metric{
			"isonet_ovsdb_connection_changed_timestamp_seconds", gauge, nil,
			"Unix time when the session to the Open_vSwitch database began, or when it was lost.",
		},
		func(v view, emit func(sample)) {
			if !v.status.Since.IsZero() {
				emit(sample{value: seconds(v.status.Since)})
			}
		},
	}, {
		Metric{
			"isonet_ovsdb_reconnects_total", counter, nil,
			"How often a session to the Open_vSwitch database began after another one was lost.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.status.Reconnects)}) },
	}, {
		Metric{
			"isonet_statistics_last_update_timestamp_seconds", gauge, nil,
			"Unix time when Open vSwitch last published a counter of one of the networks' ports. It publishes none that did not change. Absent before the first.",
		},
		func(v view, emit func(sample)) {
			if last := v.lastUpdate(); !last.IsZero() {
				emit(sample{value: seconds(last)})
			}
		},
	}, {
		Metric{
			"isonet_statistics_resets_total", counter, nil,
			"How often the counters of a port began anew in Open vSwitch, as after a restart of ovs-vswitchd. The networks' counters go on.",
		},
		func(v view, emit func(sample)) { emit(sample{value: float64(v.resets)}) },
	}, {
		Metric{
			"isonet_statistics_update_interval_seconds", gauge, nil,
			"Time in seconds between two publications of the counters (OVS Open_vSwitch other_config:stats-update-interval). Absent without a connection to OVSDB.",
		},
		func(v view, emit func(sample)) {
			if v.session() {
				emit(sample{value: v.interval.Seconds()})
			}
		},
	}, {
		Metric{
			"isonet_ovs_config_pending", gauge, nil,
			"Configuration changes that ovs-vswitchd has not applied yet (OVS Open_vSwitch next_cfg minus cur_cfg). Absent without a connection to OVSDB.",
		},
		func(v view, emit func(sample)) {
			if v.session() {
				emit(sample{value: float64(v.status.Switch.Behind)})
			}
		},
	}, {
		Metric{
			"isonet_ovs_info", gauge,
			[]string{"ovs_version", "schema_version"},
			"Version of Open vSwitch, as ovs-vswitchd calls itself or else as the database says, and of the database schema (OVS Open_vSwitch ovs_version and db_version); always 1. Absent without a connection to OVSDB.",
		},
		func(v view, emit func(sample)) {
			if v.session() {
				emit(one(v.status.Switch.Version, v.status.Switch.SchemaVersion))
			}
		},
	}}
}

// traffic makes a counter of the networks' traffic.
func traffic(name, help string, value func(model.Counters) uint64) family {
	return family{
		Metric{name, counter, []string{"network"}, help},
		func(v view, emit func(sample)) {
			for _, n := range v.networks {
				if n.counted {
					emit(sample{float64(value(n.traffic.Total)), n.alone, n.traffic.Created})
				}
			}
		},
	}
}

// one is a sample whose labels say it all.
func one(labels ...string) sample { return sample{value: 1, labels: labels} }

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// datapathType returns the datapath type of a network's bridge, or that which
// it will have.
func (v view) datapathType(n *network) string {
	if n.bridge.Name == "" {
		return v.status.Switch.DatapathType
	}
	return cmp.Or(n.bridge.DatapathType, "system") // ovs-vswitchd.conf.db(5)
}

// inState counts the networks in a state.
func (v view) inState(state report.State) int {
	count := 0
	for _, n := range v.networks {
		if n.verdict.State == state {
			count++
		}
	}
	return count
}

// lastUpdate returns when a counter of any network was published last.
func (v view) lastUpdate() time.Time {
	var last time.Time
	for _, n := range v.networks {
		if n.traffic.Updated.After(last) {
			last = n.traffic.Updated
		}
	}
	return last
}

func states() []report.State {
	return []report.State{report.Pending, report.Active, report.Failed, report.Unknown}
}

// lacks reports whether something is missing that verdicts rest on.
func (v view) lacks(ground report.Ground) bool {
	return slices.ContainsFunc(v.status.Missing, func(m report.Missing) bool { return m.Ground == ground })
}

// seconds is a Unix time as Prometheus wants it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
