package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) adoptCommand() *cobra.Command {
	var dryRun bool
	networks := a.completeNetworks(2)
	cmd := &cobra.Command{
		Use:   "adopt BRIDGE NETWORK",
		Short: "Take over a bridge that isonet did not create",
		Long: `Let a network take over a bridge of the host that isonet did not create. From then
on the bridge is the network's: isonetd keeps it isolated, and counts its traffic.

The network adopts the bridge only if it is shown to be isolated, and only if its
ports lose no frame. Otherwise nothing changes, and the message names everything that
is in the way, with what to do.

If the network does not exist, isonetd creates it, with the MTU of the bridge's
ports. An existing network must have the bridge's name as its bridge.`,
		Args: arguments(2, 2, "BRIDGE NETWORK"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 { // isonetd does not tell which bridges are not its own
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return networks(cmd, args, word)
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			done, err := s.Adopt(ctx, s.args[0], s.args[1], dryRun)
			if err != nil {
				return err
			}
			var steps []setup.Step
			if done.Created {
				steps = append(steps, setup.Step{Action: "create", Name: done.Network.Name})
			}
			return a.printSteps(append(steps, setup.Step{
				Action: "adopt-bridge", Name: done.Bridge,
				Changes: []string{fmt.Sprintf("network '%s'", done.Network.Name), fmt.Sprintf("mtu %d", done.MTU)},
			}), dryRun)
		}),
	}
	rehearsalFlag(cmd, &dryRun)
	return cmd
}

func (a *app) releaseCommand() *cobra.Command {
	var force, dryRun bool
	cmd := &cobra.Command{
		Use:   "release NETWORK",
		Short: "Give the bridge of a network back",
		Long: `Give the bridge of a network back: detach the network from the host and leave the
bridge as it is, with its ports. It forwards as before, and isonetd never touches
it again. The network stays defined.

Nobody keeps the bridge isolated from then on. Ports in quarantine are let
out, which needs --force. Ports that port_isolation keeps apart stay apart.`,
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			done, err := s.Release(ctx, s.args[0], force, dryRun)
			if err != nil {
				return ifAbsent(aNetwork, s.args[0], err)
			}
			changes := []string{fmt.Sprintf("network '%s'", done.Network.Name)}
			if len(done.Unquarantined) > 0 {
				changes = append(changes, "out of quarantine: "+strings.Join(done.Unquarantined, " "))
			}
			if len(done.Protected) > 0 {
				changes = append(changes, "still protected: "+strings.Join(done.Protected, " "))
			}
			return a.printSteps([]setup.Step{{Action: "release-bridge", Name: done.Bridge, Changes: changes}}, dryRun)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "let ports out of their quarantine")
	rehearsalFlag(cmd, &dryRun)
	return cmd
}

func rehearsalFlag(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "only say what would be done")
}
