package main

import (
	"context"

	"github.com/spf13/cobra"

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
			list := []portInfo{}
			for _, n := range status.Networks {
				for _, p := range n.Ports {
					if p.Stale || !stale {
						list = append(list, portInfo{n.Name, p})
					}
				}
			}
			return a.print(list, func(t *table) {
				t.row("NETWORK", "PORT", "LINK", "MTU", "VM", "INTERFACE", "ERROR")
				for _, p := range list {
					t.row(p.Network, p.Name, link(p.Port), number(p.MTU), p.VMID, p.IfaceID, trouble(p.Port))
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&stale, "stale", false, "only ports whose device vanished")
	return cmd
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
