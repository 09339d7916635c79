package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// completionTimeout bounds how long a shell waits for names.
const completionTimeout = 2 * time.Second

func (a *app) completionCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the completion script for a shell",
		Long: `Print the script that lets a shell complete commands, flags, and the names of
networks and labels.`,
		Args:      arguments(1, 1, "bash, zsh or fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			default:
				return usageFor(cmd, fmt.Sprintf("unknown shell '%s': use bash, zsh or fish", args[0]))
			}
		},
	}
}

// complete asks the daemon for candidates. A shell gets none on any error: it
// has no place to show one.
func (a *app) complete(cmd *cobra.Command, args []string,
	candidates func(context.Context, *client.Client) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	a.cmd = cmd
	c, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	list, err := candidates(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list = slices.DeleteFunc(list, func(s string) bool { return slices.Contains(args, s) })
	return list, cobra.ShellCompDirectiveNoFileComp
}

// completeNetworks completes the names of networks, for at most so many
// arguments; most < 0 means that there is no limit.
func (a *app) completeNetworks(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(cmd, args, func(ctx context.Context, c *client.Client) ([]string, error) {
			networks, err := c.Networks(ctx)
			names := make([]string, len(networks))
			for i, n := range networks {
				names[i] = n.Name
			}
			return names, err
		})
	}
}

func (a *app) completeLabels(list func(context.Context, *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.complete(cmd, args, list)
	}
}

func (a *app) completeLabelFlag(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, nil, networkLabels)
}

// networkLabels returns the labels that networks have, each once.
func networkLabels(ctx context.Context, c *client.Client) ([]string, error) {
	networks, err := c.Networks(ctx)
	var list []string
	for _, n := range networks {
		if n.Label != "" {
			list = append(list, n.Label)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), err
}

// hostLabels returns the labels of the daemon's host.
func hostLabels(ctx context.Context, c *client.Client) ([]string, error) {
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	return c.HostLabels(ctx, status.Host.ID)
}

// completeAttached completes one name of a network of the host that is meant.
func (a *app) completeAttached(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, args, func(ctx context.Context, c *client.Client) ([]string, error) {
		status, err := a.statusToComplete(ctx, c)
		names := make([]string, len(status.Networks))
		for i, n := range status.Networks {
			names[i] = n.Name
		}
		return names, err
	})
}

func (a *app) statusToComplete(ctx context.Context, c *client.Client) (wire.Status, error) {
	if a.at.host != "" {
		return c.StatusOf(ctx, a.at.host)
	}
	return c.Status(ctx)
}
