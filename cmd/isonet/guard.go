package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) guardCommand() *cobra.Command {
	return a.group("guard", "Show and release devices that left the networks and are still guarded",
		`Show and release devices that left the host's networks and are still kept apart from
the host. A device that was plugged into a network stays guarded until it is gone, another
program takes it (as a port of another bridge, as a slave of another device, or in
another network namespace), or it is released here. So a running VM that somebody
unplugs from its network does not reach the host.`,
		a.guardListCommand(), a.guardReleaseCommand())
}

func (a *app) guardListCommand() *cobra.Command {
	devices := newList(grid.Column[string]{Name: "device", Text: func(device string) string { return device }})
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "get"},
		Short:   "List the devices that left the networks and are still guarded",
		Args:    arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			status, err := s.Status(ctx)
			if err != nil {
				return err
			}
			a.tellPast(s, status)
			return devices.print(a, status.LeftGuarded)
		}),
	}, devices)
}

func (a *app) guardReleaseCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "release DEVICE",
		Short: "Take the host guard off a device that left the networks",
		Long: `Take the host guard off a device that left the networks. From then on the host's
network stack and whatever is behind the device reach each other, as with any other
device of the host. isonetd refuses a device that is plugged in.`,
		Args: arguments(1, 1, "DEVICE"),
		RunE: a.with(func(ctx context.Context, s session) error {
			if err := s.ReleaseDevice(ctx, s.args[0], dryRun); err != nil {
				return ifAbsent(aDevice, s.args[0], err)
			}
			return a.printSteps([]setup.Step{{Action: "release-device", Name: s.args[0]}}, dryRun)
		}),
	}
	rehearsalFlag(cmd, &dryRun)
	return cmd
}
