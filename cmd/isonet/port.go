package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

func (a *app) portCommand() *cobra.Command {
	return alias(a.group("port", "Show the ports of the host's networks, and remove stale ones",
		`Show the ports of the networks of the host, and remove stale ones: what is left in
Open vSwitch of devices that vanished.`,
		a.portListCommand(), a.portPruneCommand()), "ports")
}

// portInfo is a port and the network that it is on.
type portInfo struct {
	Network string `json:"network"`
	wire.Port
}

func (a *app) portListCommand() *cobra.Command {
	var stale bool
	ports := newList(append([]grid.Column[portInfo]{
		{Name: "network", Path: "network", Text: func(p portInfo) string { return p.Network }, Least: 10},
	}, portColumns(func(p portInfo) wire.Port { return p.Port })...)...)
	ports.name = 1
	cmd := &cobra.Command{
		Use:               "list [NETWORK]",
		Aliases:           []string{"ls", "get"},
		Short:             "List the ports of the host's networks, or of one of them",
		Args:              arguments(0, 1, ""),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			status, err := narrowed(ctx, s)
			if err != nil {
				return err
			}
			a.tellPast(s, status)
			list := []portInfo{}
			for _, n := range status.Networks {
				for _, p := range n.Ports {
					if p.Stale || !stale {
						list = append(list, portInfo{n.Name, p})
					}
				}
			}
			return ports.print(a, list)
		}),
	}
	cmd.Flags().BoolVar(&stale, "stale", false, "only ports whose device vanished")
	return a.lists(cmd, ports)
}

// portColumns are the columns of rows that have a port.
func portColumns[T any](of func(T) wire.Port) []grid.Column[T] {
	return []grid.Column[T]{
		{Name: "port", Path: "name", Text: func(p T) string { return of(p).Name }, Least: 8},
		{Name: "link", Text: func(p T) string { return link(of(p)) }, Mood: func(p T) grid.Mood { return mood(link(of(p)) == "up", false) }},
		{Name: "mtu", Path: "mtu", Text: func(p T) string { return number(of(p).MTU) }, Number: func(p T) (float64, bool) {
			return float64(of(p).MTU), of(p).MTU > 0
		}, Rank: 2},
		{Name: "vm", Path: "vm_id", Text: func(p T) string { return of(p).VMID }, Rank: 3},
		{Name: "interface", Path: "iface_id", Text: func(p T) string { return of(p).IfaceID }, Rank: 4},
		{Name: "error", Path: "error", Text: func(p T) string { return trouble(of(p)) }, Rank: 1, Least: 16, Mood: func(p T) grid.Mood {
			return mood(trouble(of(p)) == "", of(p).Error != "")
		}},
		{Name: "denied", Rank: 5, Wide: true, Text: func(p T) string { return denied(of(p).Denied) }, Number: func(p T) (float64, bool) {
			if d := of(p).Denied; d != nil {
				return float64(d.WrongMAC + d.OverLimit), true
			}
			return 0, false
		}},
	}
}

// denied counts the frames of a port that were dropped; "" where nothing counts.
func denied(d *wire.Denied) string {
	if d == nil {
		return ""
	}
	return strconv.FormatUint(d.WrongMAC+d.OverLimit, 10)
}

func (a *app) portPruneCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune NETWORK",
		Short: "Remove the ports of a network whose devices vanished",
		Long: `Remove the ports of a network whose devices vanished, such as those that a crashed
VM left behind. A port whose device is back stays, and so does every port of a
bridge that is not isonet's.`,
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			done, err := s.Prune(ctx, s.args[0], dryRun)
			if err != nil {
				return ifAbsent(aNetwork, s.args[0], err)
			}
			var steps []setup.Step
			for _, port := range done.Ports {
				steps = append(steps, setup.Step{Action: "remove-port", Name: port})
			}
			return a.printSteps(steps, dryRun)
		}),
	}
	rehearsalFlag(cmd, &dryRun)
	return cmd
}

// trouble says what is wrong with a port.
func trouble(p wire.Port) string {
	switch {
	case p.Stale && p.Error != "":
		return "stale: " + p.Error
	case p.Stale:
		return "stale: its device vanished"
	case p.Elsewhere && p.Error == "":
		return "in another network namespace, " + counted(p)
	}
	return p.Error
}

// counted says whether the traffic of a port in another namespace is known.
func counted(p wire.Port) string {
	if p.Traffic != nil {
		return "where link and MTU are not seen"
	}
	return "not counted"
}

// staleRemedy tells of the stale ports of a network.
func staleRemedy(t *table, n wire.NetworkStatus) {
	for _, p := range n.Ports {
		if p.Stale {
			t.line("  port %s: %s", p.Name, trouble(p))
			t.line("    remedy: isonet port prune '%s'", n.Name)
		}
	}
}
