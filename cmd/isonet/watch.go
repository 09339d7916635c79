package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Print every change of the host's networks as it happens",
		Long: `Print the current state and then a line for each change of a network, a port or the
connection to Open vSwitch, until it is interrupted. --timeout does not apply. If
isonetd stops meanwhile, the command goes on when isonetd is back. With -o json each
line is a whole status, as that of 'isonet status', and with -o yaml each document.`,
		Args:              arguments(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			if err := a.checkHost(cmd.Context(), c); err != nil {
				return err
			}
			return a.watch(cmd.Context(), c)
		},
	}
}

// watch shows each status until ctx ends.
func (a *app) watch(ctx context.Context, c *client.Client) error {
	var before wire.Status
	first := true
	return follow(a, c.Watch(ctx), inForm(a, func(now wire.Status) error {
		t := &table{}
		for _, text := range changes(before, now, first) {
			t.line("%s  %s", a.now().Format(entryTime), text)
		}
		before, first = now, false
		return a.write(t.bytes())
	}))
}

// follow shows each thing that isonetd tells until that ends. It goes on when isonetd was
// away, as long as there is hope that this helps.
func follow[T any](a *app, all iter.Seq2[T, error], show func(T) error) error {
	began, said := false, ""
	for one, err := range all {
		switch {
		case err == nil:
			began, said = true, ""
			if err := show(one); err != nil {
				return err
			}
		case !began, errors.Is(err, client.ErrUnauthorized), errors.Is(err, client.ErrNotIsonetd):
			return err
		default:
			if text := a.explain(err); text != said {
				said = text
				a.complain(text + "; connecting again until it is there")
			}
		}
	}
	return nil
}

// inForm returns what to do with each thing: to write it in one of the machine forms, or
// what text does.
func inForm[T any](a *app, text func(T) error) func(T) error {
	switch a.output {
	case "json":
		return func(one T) error {
			line, err := encode(one, "")
			if err != nil {
				return err
			}
			return a.write(line)
		}
	case "yaml":
		return func(one T) error {
			document, err := toYAML(one)
			if err != nil {
				return err
			}
			return a.write(append([]byte("---\n"), document...))
		}
	}
	return text
}
