package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

func (a *app) planCommand() *cobra.Command {
	var f setupFlags
	cmd := &cobra.Command{
		Use:   "plan [-f FILE]",
		Short: "Show what isonetd would change in Open vSwitch, and change nothing",
		Long: `Show what isonetd would change in Open vSwitch to apply a setup file, and change
nothing: neither the networks nor Open vSwitch. isonetd checks the whole file as if
it were applied. Without a file the command shows what is left to do now, mostly
nothing.`,
		Args: arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			if f.file == "" {
				if err := a.onlyOwnHost(ctx, s.Client); err != nil {
					return err
				}
				p, err := s.Plan(ctx)
				if err != nil {
					return err
				}
				return a.printPlan(nil, p)
			}
			h, plan, err := a.compare(ctx, s.Client, f)
			if err != nil {
				return err
			}
			return a.plan(ctx, s.Client, h, plan, f.force)
		}),
	}
	f.add(cmd)
	return cmd
}

// plan has a setup checked by the daemon and prints what it would do.
func (a *app) plan(ctx context.Context, c *client.Client, h host, p setup.Plan, force bool) error {
	planned, err := rehearse(ctx, c, h, p, force)
	if err != nil {
		return err
	}
	return a.printPlan(p.Steps(), planned)
}

// rehearse has the daemon check a plan, and returns what it would change in Open
// vSwitch.
func rehearse(ctx context.Context, c *client.Client, h host, p setup.Plan, force bool) (wire.Plan, error) {
	var writes []wire.PlannedWrite
	for _, change := range p.Changes(h.id, wire.MostNetworks, force) {
		writes = append(writes, client.PlanChange(change))
	}
	return c.Plan(ctx, writes...)
}

// planReport is the machine form of a plan.
type planReport struct {
	DryRun  bool         `json:"dry_run"`
	Changed bool         `json:"changed"`
	Steps   []setup.Step `json:"steps"`
	wire.Plan
}

func (a *app) printPlan(steps []setup.Step, p wire.Plan) error {
	r := planReport{DryRun: true, Steps: append([]setup.Step{}, steps...), Plan: p}
	return a.print(r, func(t *table) {
		tellPlan(t, steps, p)
		switch {
		case len(steps) > 1:
			t.line("%s", summary(steps, true))
		case len(steps)+len(p.Operations)+len(p.Held) == 0:
			t.line("nothing to change")
		}
	})
}

// tellPlan tells what would be done.
func tellPlan(t *table, steps []setup.Step, p wire.Plan) {
	for _, s := range steps {
		t.line("%s", sentence(s, true))
	}
	for _, o := range p.Operations {
		t.line("Open vSwitch: would %s", operation(o))
	}
	for _, h := range p.Held {
		t.line("Open vSwitch: bridge %s would stay while these ports are in use: %s", h.Bridge, strings.Join(h.Ports, ", "))
	}
}

// operation tells one change of Open vSwitch.
func operation(o wire.Operation) string {
	verb, noun, _ := strings.Cut(string(o.Do), "-")
	var text string
	switch noun {
	case "bridge":
		text = fmt.Sprintf("%s bridge %s", verb, o.Bridge)
	case "port":
		text = fmt.Sprintf("%s port %s of bridge %s", verb, o.Port, o.Bridge)
	default:
		text = fmt.Sprintf("set the MTU of port %s of bridge %s", o.Port, o.Bridge)
	}
	if len(o.Columns) > 0 {
		text += ": " + strings.Join(o.Columns, ", ")
	}
	if o.MTU > 0 {
		text += fmt.Sprintf(", MTU %d", o.MTU)
	}
	if o.Reason != "" {
		text += ", because of " + o.Reason
	}
	return text
}
