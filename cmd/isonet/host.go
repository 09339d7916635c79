package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) hostCommand() *cobra.Command {
	return alias(a.group("host", "Show, rename, drain and delete the hosts that share the desired state",
		`Show, rename, drain and delete the hosts that share the desired state. A host has the
name of its machine, and follows it, unless it was renamed here.`,
		a.hostListCommand(), a.hostRenameCommand(), a.hostDrainCommand(), a.hostActivateCommand(), a.hostRegisterCommand(), a.hostDeleteCommand(), a.hostJoinCommand()), "hosts")
}

func (a *app) hostListCommand() *cobra.Command {
	type h = client.Host
	list := newList(
		grid.Column[h]{Name: "host", Path: "name", Text: func(h h) string { return h.Name }, Least: 12},
		grid.Column[h]{Name: "id", Path: "id", Text: func(h h) string { return h.ID }, Rank: 4},
		grid.Column[h]{Name: "status", Path: "status", Text: func(h h) string { return h.Status }, Mood: func(h h) grid.Mood { return mood(h.Status == "up", false) }},
		grid.Column[h]{Name: "networks", Text: func(h h) string { return strconv.Itoa(len(h.Networks)) }, Number: func(h h) (float64, bool) {
			return float64(len(h.Networks)), true
		}, Rank: 1},
		grid.Column[h]{Name: "labels", Path: "labels", Text: func(h h) string { return strings.Join(h.Labels, ", ") }, Rank: 2, Least: 12},
	)
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "get"},
		Short:   "List the hosts",
		Args:    arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			hosts, err := s.Hosts(ctx)
			if err != nil {
				return err
			}
			return list.print(a, hosts)
		}),
	}, list)
}

func (a *app) hostRenameCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rename HOST NAME",
		Short:             "Give a host a name that no longer follows that of the machine",
		Args:              arguments(2, 2, "HOST and NAME"),
		ValidArgsFunction: a.completeHost,
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := findHost(ctx, s.Client, s.args[0])
			if err != nil {
				return err
			}
			if err := s.RenameHost(ctx, h.ID, s.args[1]); err != nil {
				return fmt.Errorf("rename host '%s': %w", h.Name, err)
			}
			return a.report([]setup.Step{{Action: "rename-host", Name: h.Name, Changes: []string{"name=" + s.args[1]}}}, nil)
		}),
	}
}

func (a *app) hostDrainCommand() *cobra.Command {
	return a.maintenance(&cobra.Command{
		Use:     "drain HOST",
		Aliases: []string{"deactivate"},
		Short:   "Keep new networks from a host",
		Long: `Put a host in maintenance. It gets no more labels and no more networks of its own, until
it is activated (isonet host activate). What it has stays, with its VMs. A network that
gets a label of the host comes all the same.`,
	}, "drain-host", (*client.Client).Drain)
}

func (a *app) hostActivateCommand() *cobra.Command {
	return a.maintenance(&cobra.Command{
		Use:   "activate HOST",
		Short: "Let a host have new networks again",
		Long:  `End the maintenance of a host (isonet host drain): it can have new networks again.`,
	}, "activate-host", (*client.Client).Activate)
}

// maintenance completes a command that begins or ends the maintenance of a host.
func (a *app) maintenance(cmd *cobra.Command, action string, do func(c *client.Client, ctx context.Context, id string, dryRun bool) error) *cobra.Command {
	var dryRun bool
	cmd.Args, cmd.ValidArgsFunction = arguments(1, 1, "HOST"), a.completeHost
	cmd.RunE = a.with(func(ctx context.Context, s session) error {
		h, err := findHost(ctx, s.Client, s.args[0])
		if err != nil {
			return err
		}
		if err := do(s.Client, ctx, h.ID, dryRun); err != nil {
			return fmt.Errorf("%s '%s': %w", strings.Replace(action, "-", " ", 1), h.Name, err)
		}
		return a.printSteps([]setup.Step{{Action: action, Name: h.Name}}, dryRun)
	})
	rehearsalFlag(cmd, &dryRun)
	return cmd
}

func (a *app) hostRegisterCommand() *cobra.Command {
	var force, dryRun bool
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Register this host again, after somebody deleted it",
		Long: `Register the host that isonetd runs on again, after somebody deleted it. Until then
it keeps its networks as they are. It gets the labels and the networks that it had
last; if isonetd does not know them any more, those that have a bridge here. Bridges of
networks that do not exist any more would go: that needs --force.`,
		Args: arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := s.Register(ctx, force, dryRun)
			if err != nil {
				return fmt.Errorf("register this host: %w", err)
			}
			return a.printSteps([]setup.Step{{Action: "register-host", Name: h.Name}}, dryRun)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "let bridges of networks go that do not exist any more")
	rehearsalFlag(cmd, &dryRun)
	return cmd
}

func (a *app) hostDeleteCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "delete HOST",
		Aliases: []string{"rm", "remove"},
		Short:   "Delete a host that is gone for good",
		Long: `Delete a host that is gone for good from the desired state. isonetd never deletes
its own host. A host that still has networks or labels needs --force: if its isonetd
is alive after all, it keeps its networks as they are, until it is told to register
again (isonet host register).`,
		Args:              arguments(1, 1, "HOST"),
		ValidArgsFunction: a.completeHost,
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := findHost(ctx, s.Client, s.args[0])
			if err != nil {
				return err
			}
			if err := s.RemoveHost(ctx, h.ID, force); err != nil {
				return fmt.Errorf("remove host '%s': %w", h.Name, err)
			}
			return a.report([]setup.Step{{Action: "remove-host", Name: h.Name}}, nil)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove the host with its networks and labels")
	return cmd
}

// completeHost completes the name of one host, or its id if several have the name.
func (a *app) completeHost(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, args, func(ctx context.Context, c *client.Client) ([]string, error) {
		hosts, err := c.Hosts(ctx)
		several := map[string]int{}
		for _, h := range hosts {
			several[h.Name]++
		}
		var names []string
		for _, h := range hosts {
			if several[h.Name] > 1 {
				h.Name = h.ID
			}
			names = append(names, h.Name)
		}
		return names, err
	})
}
