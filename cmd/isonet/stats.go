package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

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

// trafficColumns are the columns that trafficCells fills.
func trafficColumns() []string {
	return []string{"RECEIVED/S", "TRANSMITTED/S", "AGE", "RECEIVED", "TRANSMITTED", "LOST"}
}

// trafficCells are the cells of a row; what is not known is empty.
func trafficCells(t *wire.Traffic, now time.Time) []string {
	var receiving, transmitting, received, transmitted, missing string
	if t != nil {
		received, transmitted = size(float64(t.Total.ReceivedBytes)), size(float64(t.Total.TransmittedBytes))
		missing = strconv.FormatUint(lost(t.Total), 10)
		if t.Rate != nil {
			receiving, transmitting = size(t.Rate.ReceivedBytes), size(t.Rate.TransmittedBytes)
		}
	}
	return []string{receiving, transmitting, age(t, now), received, transmitted, missing}
}

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
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
			l := sorted(status.Networks, topFlags{sort: "name", ports: true})[0]
			return a.print(l, func(t *table) {
				if !status.Connected {
					t.row("Open vSwitch:", disconnected(status))
				}
				statsTable(t, l, a.now())
			})
		}),
	}
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
	if len(l.ByPort) == 0 {
		return
	}
	t.line("")
	t.row(slices.Concat([]string{"PORT"}, trafficColumns(), []string{"VM"})...)
	for _, p := range l.ByPort {
		t.row(slices.Concat([]string{p.Name}, trafficCells(p.Traffic, now), []string{p.VMID})...)
	}
}
