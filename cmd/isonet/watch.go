package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/client"
	"github.com/isonet/isonet/cmd/isonet/internal/yamlform"
	"github.com/isonet/isonet/wire"
)

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Print every change of the host's networks as it happens",
		Long: `Print the present state and then one line for each change of a network, a port
or the connection to Open vSwitch, until it is interrupted. --timeout does not
count here. With '-o json' each line is a whole status, as 'isonet status' has
it; with '-o yaml' each document is.`,
		Args:              arguments(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			err = c.Watch(cmd.Context(), a.watcher())
			if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
				return nil
			}
			return err
		},
	}
}

// watcher returns what to do with each line of the stream.
func (a *app) watcher() func(line []byte) error {
	switch a.output {
	case "json":
		return func(line []byte) error {
			return a.write(slices.Concat(line, []byte("\n")))
		}
	case "yaml":
		return func(line []byte) error {
			status, err := client.ParseStatus(line)
			if err != nil {
				return err
			}
			document, err := yamlform.Marshal(status)
			if err != nil {
				return err
			}
			return a.write(append([]byte("---\n"), document...))
		}
	}
	var before wire.Status
	first := true
	return func(line []byte) error {
		now, err := client.ParseStatus(line)
		if err != nil {
			return err
		}
		t := &table{}
		for _, text := range changes(before, now, first) {
			t.line("%s  %s", a.now().Format("15:04:05"), text)
		}
		before, first = now, false
		return a.write(t.bytes())
	}
}
