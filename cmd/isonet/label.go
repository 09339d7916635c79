package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

func (a *app) labelCommand() *cobra.Command {
	return alias(a.group("label", "Show and change the labels of the host",
		`Show and change the labels of the host. A label attaches every network that has
the same label. Give a network its label with 'isonet network create --label' or
'isonet network update --label'.`,
		a.labelAddCommand(), a.labelDeleteCommand(), a.labelListCommand()), "labels")
}

func (a *app) labelAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "add LABEL...",
		Aliases:           []string{"create"},
		Short:             "Add labels to the host, and so their networks",
		Args:              labelArguments,
		ValidArgsFunction: a.completeLabels(networkLabels),
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			plan, err := setup.Make(h.Current, setup.Wanted{Labels: s.args})
			if err != nil {
				return err
			}
			return a.report(a.apply(ctx, s.Client, h, plan, false))
		}),
	}
}

func (a *app) labelDeleteCommand() *cobra.Command {
	var force bool
	var e everything
	cmd := &cobra.Command{
		Use:     "delete LABEL...",
		Aliases: []string{"rm", "remove"},
		Short:   "Remove labels from the host, and so their networks",
		Long: `Remove labels from the host, and so their networks, all or none. --all means all
labels of the host: the command shows them and asks. Without a terminal it needs
--yes.`,
		Args:              e.arguments("LABEL", labelArguments),
		ValidArgsFunction: a.completeLabels(hostLabels),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return a.mayAsk(cmd, e.all && !e.yes) },
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			var plan setup.Plan
			var unknown []string
			if e.all {
				plan.RemoveLabels = h.Labels
			}
			for _, label := range s.args {
				switch {
				case slices.Contains(plan.RemoveLabels, label): // named twice
				case slices.Contains(h.Labels, label):
					plan.RemoveLabels = append(plan.RemoveLabels, label)
				default:
					unknown = append(unknown, label)
				}
			}
			if len(unknown) > 0 {
				return unknownNames("the host has no label", "isonet label list", h.Labels, unknown...)
			}
			return a.applyIfAgreed(s, e.all && !e.yes, h, plan, wire.Plan{}, force)
		}),
	}
	e.add(cmd, "take all labels of the host")
	cmd.Flags().BoolVar(&force, "force", false, "detach the networks even if ports are in use")
	return cmd
}

// labelArguments wants at least one label, and only labels that can exist.
func labelArguments(cmd *cobra.Command, args []string) error {
	if err := arguments(1, -1, "LABEL")(cmd, args); err != nil {
		return err
	}
	for _, label := range args {
		if err := model.ValidateLabel(label); err != nil {
			return usageFor(cmd, "'"+label+"': "+strings.TrimSuffix(err.Error(), "."))
		}
	}
	return nil
}

// labelInfo is a label of the host and the networks that it attaches.
type labelInfo struct {
	Label    string   `json:"label"`
	Networks []string `json:"networks"`
}

func (a *app) labelListCommand() *cobra.Command {
	labels := newList(
		grid.Column[labelInfo]{Name: "label", Path: "label", Text: func(l labelInfo) string { return l.Label }, Least: 12},
		grid.Column[labelInfo]{Name: "networks", Path: "networks", Text: func(l labelInfo) string { return strings.Join(l.Networks, ", ") }, Least: 12},
	)
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "get"},
		Short:   "List the labels of the host and the networks that they attach",
		Args:    arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			list := []labelInfo{}
			for _, label := range h.Labels {
				info := labelInfo{Label: label, Networks: []string{}}
				for _, n := range h.Networks {
					if n.Label == label {
						info.Networks = append(info.Networks, n.Name)
					}
				}
				list = append(list, info)
			}
			return labels.print(a, list)
		}),
	}, labels)
}
