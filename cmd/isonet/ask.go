package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

// everything are the flags of a command that may be done with all that there is.
type everything struct {
	all, yes bool
}

func (e *everything) add(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&e.all, "all", false, what)
	yesFlag(cmd, &e.yes)
}

func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVar(yes, "yes", false, "do not ask")
}

// arguments are names, of which there must be one, or --all.
func (e *everything) arguments(what string, named cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case e.all && len(args) > 0:
			return usageFor(cmd, "--all and a "+what+" exclude each other")
		case e.all:
			return nil
		case len(args) == 0:
			return usageFor(cmd, "missing argument: "+what+", or --all")
		}
		return named(cmd, args)
	}
}

// mayAsk refuses what needs a question where nobody can be asked, before anything is
// done.
func (a *app) mayAsk(cmd *cobra.Command, question bool) error {
	if question && a.ask == nil {
		return usageFor(cmd, "this asks before it is done, and there is no terminal: give --yes")
	}
	return nil
}

// errNo says that the user does not want it.
var errNo = errors.New("nothing was changed")

// confirm shows what would be done and asks whether to do it.
func (a *app) confirm(ctx context.Context, steps []setup.Step, planned wire.Plan) error {
	t := &table{}
	tellPlan(t, steps, planned)
	a.progress.hide()
	if _, err := a.stderr.Write(t.bytes()); err != nil {
		return fmt.Errorf("show what would be done: %w", err)
	}
	answer, err := a.ask(ctx, "Do this? [y/N] ", false)
	if errors.Is(err, io.EOF) { // the line has no end
		_, err = fmt.Fprintln(a.stderr)
	}
	if err != nil {
		return err
	}
	return agreed(answer)
}

// agreed is nil if an answer is yes.
func agreed(answer string) error {
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	}
	return errNo
}

// applyIfAgreed carries a plan out, after the user agreed if that is a question. The
// time that the user takes is not the command's.
func (a *app) applyIfAgreed(s session, question bool, h host, p setup.Plan, planned wire.Plan, force bool) error {
	if steps := p.Steps(); question && len(steps) > 0 {
		if err := a.confirm(s.cmd.Context(), steps, planned); err != nil {
			return err
		}
	}
	ctx, cancel := a.limit(s.cmd.Context())
	defer cancel()
	return a.report(a.apply(ctx, s.Client, h, p, force))
}
