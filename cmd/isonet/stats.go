package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

// load is the traffic of one network of the host.
type load struct {
	Network string `json:"network"`
	ID      string `json:"id"`
	// Ports is how many ports are plugged in.
	Ports int `json:"ports"`
	// Traffic is nil as long as nothing is known of it.
	Traffic *wire.Traffic `json:"traffic,omitempty"`
	// ByPort are the ports with their own traffic, if it was asked for.
	ByPort []wire.Port `json:"by_port,omitempty"`
	// port is the port if it is the load of one.
	port *wire.Port
}

// loads are those of networks, and of their ports if they are asked for.
func loads(networks []wire.NetworkStatus, ports bool) []load {
	list := make([]load, len(networks))
	for i, n := range networks {
		list[i] = load{Network: n.Name, ID: n.ID, Ports: len(n.Ports), Traffic: n.Traffic}
		if ports {
			list[i].ByPort = n.Ports
		}
	}
	return list
}

// rate returns the traffic per second, which is zero when it is not known.
func rate(t *wire.Traffic) wire.Rate {
	if t == nil || t.Rate == nil {
		return wire.Rate{}
	}
	return *t.Rate
}

// total returns the counters, which are zero when they are not known.
func total(t *wire.Traffic) wire.Counters {
	if t == nil {
		return wire.Counters{}
	}
	return t.Total
}

// age says how long ago Open vSwitch published the counters; it publishes only
// what changed.
func age(t *wire.Traffic, now time.Time) string {
	if t == nil || t.Updated.IsZero() {
		return ""
	}
	return max(now.Sub(t.Updated), 0).Round(time.Second).String()
}

// trafficColumns are the columns of rows that have traffic. What is not known is
// empty.
func (a *app) trafficColumns() []grid.Column[load] {
	bytes := func(name, path string, rank int, wide bool, of func(wire.Traffic) float64, rate bool) grid.Column[load] {
		number := func(l load) (float64, bool) {
			if l.Traffic == nil || rate && l.Traffic.Rate == nil {
				return 0, false
			}
			return of(*l.Traffic), true
		}
		return grid.Column[load]{Name: name, Path: path, Rank: rank, Wide: wide, Number: number, Text: func(l load) string {
			if n, known := number(l); known {
				return size(n)
			}
			return ""
		}}
	}
	return []grid.Column[load]{
		bytes("received/s", "traffic.rate.received_bytes_per_second", 0, false, func(t wire.Traffic) float64 { return t.Rate.ReceivedBytes }, true),
		bytes("transmitted/s", "traffic.rate.transmitted_bytes_per_second", 0, false, func(t wire.Traffic) float64 { return t.Rate.TransmittedBytes }, true),
		{Name: "age", Rank: 3, Text: func(l load) string { return age(l.Traffic, a.now()) }, Number: func(l load) (float64, bool) {
			if l.Traffic == nil || l.Traffic.Updated.IsZero() {
				return 0, false
			}
			return a.now().Sub(l.Traffic.Updated).Seconds(), true
		}},
		bytes("received", "traffic.total.received_bytes", 2, false, func(t wire.Traffic) float64 { return float64(t.Total.ReceivedBytes) }, false),
		bytes("transmitted", "traffic.total.transmitted_bytes", 2, false, func(t wire.Traffic) float64 { return float64(t.Total.TransmittedBytes) }, false),
		{Name: "lost", Rank: 1, Text: func(l load) string {
			if l.Traffic == nil {
				return ""
			}
			return strconv.FormatUint(lost(l.Traffic.Total), 10)
		}, Number: func(l load) (float64, bool) { return float64(lost(total(l.Traffic))), l.Traffic != nil }},
		bytes("rate", "", 4, true, func(t wire.Traffic) float64 { return t.Rate.ReceivedBytes + t.Rate.TransmittedBytes }, true),
	}
}

// portLoads are the loads of ports, as rows of a table.
func portLoads(ports []wire.Port) []load {
	loads := make([]load, len(ports))
	for i, p := range ports {
		loads[i] = load{Network: p.Name, Traffic: p.Traffic, port: &p}
	}
	return loads
}

func (a *app) statsCommand() *cobra.Command {
	ports := newList(slices.Concat([]grid.Column[load]{
		{Name: "port", Path: "name", Text: func(l load) string { return l.Network }, Least: 8},
	}, a.trafficColumns(), []grid.Column[load]{
		{Name: "vm", Path: "vm_id", Text: func(l load) string { return l.port.VMID }, Rank: 5},
	})...)
	return a.lists(&cobra.Command{
		Use:   "stats NETWORK",
		Short: "Show the traffic of a network in all its numbers",
		Long: `Show what a network delivered to its ports on this host (received) and what
they sent into it (transmitted): per second now and in all, with what got lost,
and the same of each port.`,
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			status, err := s.Status(ctx)
			if err != nil {
				return err
			}
			if err := narrow(&status, s.args[0]); err != nil {
				return err
			}
			l := loads(status.Networks, true)[0]
			rows := ports.view.Pick(portLoads(l.ByPort))
			l.ByPort = nil
			for _, row := range rows {
				l.ByPort = append(l.ByPort, *row.port)
			}
			return a.print(l, func(t *table) {
				if !status.Connected {
					t.rowIn(grid.Bad, "Open vSwitch:", disconnected(status))
				}
				statsTable(t, l, a.now())
				if len(rows) > 0 {
					t.line("")
					ports.table(t, rows)
				}
			})
		}),
	}, ports)
}

func statsTable(t *table, l load, now time.Time) {
	t.row("network:", l.Network)
	t.row("id:", l.ID)
	t.row("ports:", strconv.Itoa(l.Ports))
	if l.Traffic == nil {
		t.row("traffic:", "not known yet")
		return
	}
	t.row("counts since:", moment(l.Traffic.Since))
	if ago := age(l.Traffic, now); ago != "" {
		t.row("published:", fmt.Sprintf("%s ago, %s", ago, moment(l.Traffic.Updated)))
	}
	if r := l.Traffic.Rate; r != nil && r.IntervalSeconds > 0 {
		interval := time.Duration(r.IntervalSeconds * float64(time.Second)).Round(100 * time.Millisecond)
		t.row("now is:", fmt.Sprintf("the average of %s until %s", interval, moment(r.Until)))
	}
	t.line("")
	total := l.Traffic.Total
	count := func(name string, received, transmitted uint64) {
		t.row(name, strconv.FormatUint(received, 10), strconv.FormatUint(transmitted, 10))
	}
	t.row("TRAFFIC", "RECEIVED", "TRANSMITTED")
	if l.Traffic.Rate != nil {
		t.row("now", size(l.Traffic.Rate.ReceivedBytes)+"/s", size(l.Traffic.Rate.TransmittedBytes)+"/s")
	}
	t.row("in all", size(float64(total.ReceivedBytes)), size(float64(total.TransmittedBytes)))
	count("bytes", total.ReceivedBytes, total.TransmittedBytes)
	count("packets", total.ReceivedPackets, total.TransmittedPackets)
	count("drops", total.ReceivedDrops, total.TransmittedDrops)
	count("errors", total.ReceivedErrors, total.TransmittedErrors)
}
