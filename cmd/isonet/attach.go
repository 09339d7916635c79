package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) attachCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "attach NETWORK...",
		Short:             "Attach networks to the host",
		Long:              "Attach networks to the host: all of them or, if one cannot be, none.",
		Args:              arguments(1, -1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(-1),
		RunE: a.with(func(ctx context.Context, s session) error {
			return a.attach(ctx, s, true, false)
		}),
	}
}

func (a *app) detachCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:               "detach NETWORK...",
		Short:             "Detach networks from the host",
		Long:              "Detach networks from the host: all of them or, if one cannot be, none.",
		Args:              arguments(1, -1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(-1),
		RunE: a.with(func(ctx context.Context, s session) error {
			return a.attach(ctx, s, false, force)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "detach even if ports are in use")
	return cmd
}

// attach attaches or detaches the networks of the command line.
func (a *app) attach(ctx context.Context, s session, attach, force bool) error {
	h, err := current(ctx, s.Client)
	if err != nil {
		return err
	}
	networks, err := resolve(h.Networks, s.args)
	if err != nil {
		return err
	}
	var want setup.Wanted
	for _, n := range networks {
		want.Networks = append(want.Networks, setup.Network{Name: n.Name, Attach: &attach})
	}
	plan, err := setup.Make(h.Current, want)
	if err != nil {
		return err
	}
	return a.report(a.apply(ctx, s.Client, h, plan, force))
}
