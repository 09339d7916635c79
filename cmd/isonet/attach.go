package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

func (a *app) attachCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "attach NETWORK...",
		Short:             "Attach networks to the host",
		Long:              "Attach networks to the host, all or none.",
		Args:              arguments(1, -1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(-1),
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			plan, err := attachments(h, s.args, true)
			if err != nil {
				return err
			}
			return a.report(a.apply(ctx, s.Client, h, plan, false))
		}),
	}
}

func (a *app) detachCommand() *cobra.Command {
	var force bool
	var e everything
	cmd := &cobra.Command{
		Use:   "detach NETWORK...",
		Short: "Detach networks from the host",
		Long: `Detach networks from the host, all or none. --all means all networks of the host:
the command shows them and asks. Without a terminal it needs --yes.`,
		Args:              e.arguments("NETWORK", arguments(1, -1, "NETWORK")),
		ValidArgsFunction: a.completeNetworks(-1),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return a.mayAsk(cmd, e.all && !e.yes) },
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			names := s.args
			if e.all {
				names = h.attachedNames()
			}
			plan, err := attachments(h, names, false)
			if err != nil {
				return err
			}
			return a.applyIfAgreed(s, e.all && !e.yes, h, plan, wire.Plan{}, force)
		}),
	}
	e.add(cmd, "detach all networks of the host")
	cmd.Flags().BoolVar(&force, "force", false, "detach even if ports are in use")
	return cmd
}

// attachments returns the plan that attaches or detaches networks.
func attachments(h host, names []string, attach bool) (setup.Plan, error) {
	networks, err := resolve(h.Networks, names)
	if err != nil {
		return setup.Plan{}, err
	}
	var want setup.Wanted
	for _, n := range networks {
		want.Networks = append(want.Networks, setup.Network{Name: n.Name, Attach: &attach})
	}
	return setup.Make(h.Current, want)
}

// attachedNames are the names of the networks that the host has.
func (h host) attachedNames() []string {
	var names []string
	for _, n := range h.Networks {
		if h.Has(n) {
			names = append(names, n.Name)
		}
	}
	return names
}
