package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

// leastInterval keeps a slip of the finger from becoming a load.
const leastInterval = 100 * time.Millisecond

// lost counts the packets that did not arrive.
func lost(c wire.Counters) uint64 {
	return c.ReceivedDrops + c.ReceivedErrors + c.TransmittedDrops + c.TransmittedErrors
}

type topFlags struct {
	interval time.Duration
	once     bool
	ports    bool
}

func (a *app) topCommand() *cobra.Command {
	var f topFlags
	l := newList(append([]grid.Column[load]{
		{Name: "network", Path: "network", Least: 12, Text: func(l load) string {
			if l.port != nil {
				return "  " + l.Network
			}
			return l.Network
		}},
		{Name: "ports", Path: "ports", Rank: 1, Text: func(l load) string {
			if l.port != nil {
				return ""
			}
			return strconv.Itoa(l.Ports)
		}, Number: func(l load) (float64, bool) { return float64(l.Ports), l.port == nil }},
	}, a.trafficColumns()...)...)
	asked := grid.Options{Sort: "rate", LargestFirst: true}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the traffic of the host's networks live",
		Long: `Show the traffic of the host's networks, the busiest first, until it is
interrupted. --ports also shows the ports of each network below it. If the output is
not a terminal, and with -o json, yaml and name, the traffic is shown once.
--timeout applies to each request. Columns of numbers have the largest first.

` + topKeys,
		Args:              arguments(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if f.interval < leastInterval {
				return usageFor(cmd, fmt.Sprintf("--interval must be %s or more", leastInterval))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), f, l, asked) },
	}
	cmd.Flags().DurationVar(&f.interval, "interval", 2*time.Second, "time between two updates; Open vSwitch publishes every 5s")
	cmd.Flags().BoolVar(&f.ports, "ports", false, "show the ports of each network too, in the same order")
	cmd.Flags().BoolVar(&f.once, "once", false, "show it once, on a terminal too")
	must(cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions))
	return a.listsBy(cmd, &asked, l)
}

func (a *app) top(ctx context.Context, f topFlags, l *list[load], asked grid.Options) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.checkHost(ctx, c); err != nil {
		return err
	}
	status, err := a.look(ctx, c)
	if err != nil {
		return err
	}
	if _, terminal := a.width(); terminal && !a.dumb() && !f.once && (a.output == "table" || a.output == "wide") {
		return a.live(ctx, c, status, f, l, asked)
	}
	rows := pickLoads(l, loads(status.Networks, f.ports))
	return a.print(rows, func(t *table) {
		t.note("%s", a.topHead(status))
		t.line("")
		if len(status.Networks) == 0 {
			t.line("no network is attached to this host")
			return
		}
		l.table(t, withPorts(rows))
	})
}

// look asks the daemon for the status, within the time limit.
func (a *app) look(ctx context.Context, c *client.Client) (wire.Status, error) {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	return c.Status(ctx)
}

// pickLoads returns the networks to show, each with its ports in the same order.
func pickLoads(l *list[load], networks []load) []load {
	networks = l.view.Pick(networks)
	for i, n := range networks {
		networks[i].ByPort = nil
		for _, p := range l.view.Sort(portLoads(n.ByPort)) {
			networks[i].ByPort = append(networks[i].ByPort, *p.port)
		}
	}
	return networks
}

// withPorts returns a row for each network and, below it, for each of its ports.
func withPorts(networks []load) []load {
	var rows []load
	for _, n := range networks {
		rows = append(slices.Concat(rows, []load{n}), portLoads(n.ByPort)...)
	}
	return rows
}

// topHead sums up what all networks have.
func (a *app) topHead(s wire.Status) string {
	head := fmt.Sprintf("%s  %s: ", a.now().Format("15:04:05"), s.Host.Name)
	if !s.Connected {
		return head + "Open vSwitch: " + disconnected(s)
	}
	var all wire.Rate
	for _, n := range s.Networks {
		all.ReceivedBytes += rate(n.Traffic).ReceivedBytes
		all.TransmittedBytes += rate(n.Traffic).TransmittedBytes
	}
	return head + fmt.Sprintf("%s, received %s/s, transmitted %s/s", count(len(s.Networks), "network"), size(all.ReceivedBytes), size(all.TransmittedBytes))
}
