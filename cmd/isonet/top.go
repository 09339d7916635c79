package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// The terminal control sequences (ECMA-48) of top: the other screen and back,
// to the first line, erase what is below.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseBelow  = "\x1b[J"
	eraseRest   = "\x1b[K"
)

// leastInterval keeps a slip of the finger from becoming a load.
const leastInterval = 100 * time.Millisecond

// orders are what top can sort by: by the number that they return, the largest
// first, and then by name.
func orders() map[string]func(*wire.Traffic) float64 {
	return map[string]func(*wire.Traffic) float64{
		"rate":        func(t *wire.Traffic) float64 { return rate(t).ReceivedBytes + rate(t).TransmittedBytes },
		"received":    func(t *wire.Traffic) float64 { return float64(total(t).ReceivedBytes) },
		"transmitted": func(t *wire.Traffic) float64 { return float64(total(t).TransmittedBytes) },
		"lost":        func(t *wire.Traffic) float64 { return float64(lost(total(t))) },
		"name":        func(*wire.Traffic) float64 { return 0 },
	}
}

// lost counts the packets that did not arrive.
func lost(c wire.Counters) uint64 {
	return c.ReceivedDrops + c.ReceivedErrors + c.TransmittedDrops + c.TransmittedErrors
}

type topFlags struct {
	sort     string
	interval time.Duration
	once     bool
	ports    bool
}

func (a *app) topCommand() *cobra.Command {
	var f topFlags
	names := []string{"rate", "received", "transmitted", "lost", "name"}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the traffic of the host's networks live",
		Long: `Show the traffic of the host's networks, the busiest first, until it is
interrupted, and with --ports that of their ports below each. It shows it once
if the output is no terminal, and with '-o json' and '-o yaml'. --timeout counts
for each look at the daemon.`,
		Args:              arguments(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !slices.Contains(names, f.sort):
				return usageFor(cmd, fmt.Sprintf("unknown order '%s': use %s", f.sort, strings.Join(names, ", ")))
			case f.interval < leastInterval:
				return usageFor(cmd, fmt.Sprintf("--interval must be %s or more", leastInterval))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.sort, "sort", names[0], "order: "+strings.Join(names, ", "))
	cmd.Flags().DurationVar(&f.interval, "interval", 2*time.Second, "time between two looks; Open vSwitch publishes every 5s")
	cmd.Flags().BoolVar(&f.ports, "ports", false, "show the ports of each network too, in the same order")
	cmd.Flags().BoolVar(&f.once, "once", false, "show it once, on a terminal too")
	must(cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions))
	return cmd
}

func (a *app) top(ctx context.Context, f topFlags) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := a.look(ctx, c)
	if err != nil {
		return err
	}
	if _, _, terminal := a.screen(); f.once || !terminal || a.output != "table" {
		loads := sorted(status.Networks, f)
		return a.print(loads, func(t *table) { topTable(t, status, loads, a.now()) })
	}
	if err := a.write([]byte(enterScreen)); err != nil {
		return err
	}
	for err == nil && ctx.Err() == nil {
		if err = a.draw(status, f, ""); err == nil && pause(ctx, f.interval) {
			status, err = a.again(ctx, c, status, f)
		}
	}
	if left := a.write([]byte(leaveScreen)); err == nil {
		err = left
	}
	return err
}

// look asks the daemon for the status, within the time limit.
func (a *app) look(ctx context.Context, c *client.Client) (wire.Status, error) {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	return c.Status(ctx)
}

// again looks until the daemon answers: it may be about to start anew.
func (a *app) again(ctx context.Context, c *client.Client, before wire.Status, f topFlags) (wire.Status, error) {
	for {
		status, err := a.look(ctx, c)
		if err == nil || ctx.Err() != nil {
			return status, nil
		}
		if err := a.draw(before, f, a.explain(err)); err != nil {
			return before, err
		}
		if !pause(ctx, f.interval) {
			return before, nil
		}
	}
}

// pause reports whether the time went by before the end of ctx.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// draw fills the terminal. A trouble takes the place of the first line.
func (a *app) draw(s wire.Status, f topFlags, trouble string) error {
	t := &table{}
	topTable(t, s, sorted(s.Networks, f), a.now())
	lines := strings.Split(strings.TrimSuffix(string(t.bytes()), "\n"), "\n")
	if trouble != "" {
		lines[0] = "isonet: " + oneLine(trouble)
	}
	rows, columns, _ := a.screen() // 0 is unknown
	if rows > 0 {
		lines = lines[:min(len(lines), rows)]
	}
	for i, line := range lines {
		if letters := []rune(line); columns > 0 && len(letters) > columns {
			line = string(letters[:columns])
		}
		lines[i] = line + eraseRest
	}
	return a.write([]byte(home + strings.Join(lines, "\n") + eraseBelow))
}

// sorted returns the loads in the order that the flags say, with their ports in
// the same order if the flags ask for them.
func sorted(networks []wire.NetworkStatus, f topFlags) []load {
	by := orders()[f.sort]
	order := func(a, b *wire.Traffic, nameA, nameB string) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(nameA, nameB))
	}
	loads := make([]load, len(networks))
	for i, n := range networks {
		loads[i] = load{Network: n.Name, ID: n.ID, Ports: len(n.Ports), Traffic: n.Traffic}
		if f.ports {
			loads[i].ByPort = slices.SortedStableFunc(slices.Values(n.Ports), func(a, b wire.Port) int {
				return order(a.Traffic, b.Traffic, a.Name, b.Name)
			})
		}
	}
	slices.SortStableFunc(loads, func(a, b load) int { return order(a.Traffic, b.Traffic, a.Network, b.Network) })
	return loads
}

func topTable(t *table, s wire.Status, loads []load, now time.Time) {
	var all wire.Rate
	for _, l := range loads {
		all.ReceivedBytes += rate(l.Traffic).ReceivedBytes
		all.TransmittedBytes += rate(l.Traffic).TransmittedBytes
	}
	if s.Connected {
		t.line("%s  %s: %d networks, received %s/s, transmitted %s/s", now.Format("15:04:05"), s.Host.Name, len(loads),
			size(all.ReceivedBytes), size(all.TransmittedBytes))
	} else {
		t.line("%s  %s: Open vSwitch: %s", now.Format("15:04:05"), s.Host.Name, disconnected(s))
	}
	t.line("")
	if len(loads) == 0 {
		t.line("no network is attached to this host")
		return
	}
	t.row(append([]string{"NETWORK", "PORTS"}, trafficColumns()...)...)
	for _, l := range loads {
		t.row(append([]string{l.Network, strconv.Itoa(l.Ports)}, trafficCells(l.Traffic, now)...)...)
		for _, p := range l.ByPort {
			t.row(append([]string{"  " + p.Name, ""}, trafficCells(p.Traffic, now)...)...)
		}
	}
}
