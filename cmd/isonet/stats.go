package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/client"
)

// load is the traffic of one network of the host.
type load struct {
	Network string `json:"network"`
	ID      string `json:"id"`
	// Ports is how many ports are plugged in.
	Ports int `json:"ports"`
	// Traffic is nil as long as nothing is known of it.
	Traffic *client.Traffic `json:"traffic,omitempty"`
}

func loadOf(n client.NetworkStatus) load { return load{n.Name, n.ID, len(n.Ports), n.Traffic} }

// rate returns the traffic per second, which is zero when it is not known.
func (l load) rate() client.Rate {
	if l.Traffic == nil || l.Traffic.Rate == nil {
		return client.Rate{}
	}
	return *l.Traffic.Rate
}

// total returns the counters, which are zero when they are not known.
func (l load) total() client.Counters {
	if l.Traffic == nil {
		return client.Counters{}
	}
	return l.Traffic.Total
}

// age says how long ago Open vSwitch published the counters; it publishes only
// what changed.
func (l load) age(now time.Time) string {
	if l.Traffic == nil || l.Traffic.Updated.IsZero() {
		return ""
	}
	return max(now.Sub(l.Traffic.Updated), 0).Round(time.Second).String()
}

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats NETWORK",
		Short: "Show the traffic of a network in all its numbers",
		Long: `Show what a network delivered to its ports on this host (received) and what
they sent into it (transmitted): per second now and in all, with what got lost.`,
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
			l := loadOf(status.Networks[0])
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
	if age := l.age(now); age != "" {
		t.row("published:", fmt.Sprintf("%s ago, %s", age, moment(l.Traffic.Updated)))
	}
	t.line("")
	total := l.Traffic.Total
	count := func(name string, received, transmitted uint64) {
		t.row(name, strconv.FormatUint(received, 10), strconv.FormatUint(transmitted, 10))
	}
	t.row("TRAFFIC", "RECEIVED", "TRANSMITTED")
	if l.Traffic.Rate != nil {
		t.row("now", size(l.rate().ReceivedBytes)+"/s", size(l.rate().TransmittedBytes)+"/s")
	}
	t.row("in all", size(float64(total.ReceivedBytes)), size(float64(total.TransmittedBytes)))
	count("bytes", total.ReceivedBytes, total.TransmittedBytes)
	count("packets", total.ReceivedPackets, total.TransmittedPackets)
	count("drops", total.ReceivedDrops, total.TransmittedDrops)
	count("errors", total.ReceivedErrors, total.TransmittedErrors)
}
