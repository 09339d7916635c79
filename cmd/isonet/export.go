package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write all networks and the host's labels as a setup file",
		Long: `Write all networks, which of them the host has, and its labels as a file for
'isonet setup', in YAML or with -o json in JSON. To set it up on the
same host changes nothing. The file has no ids: where there are no such networks,
they get new ones.`,
		Args: arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("output") {
				a.output = "yaml"
			}
			if a.output == "table" {
				return usageFor(cmd, "a setup file is no table: use yaml or json")
			}
			return nil
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			h, err := a.current(ctx, s.Client)
			if err != nil {
				return err
			}
			return a.print(setup.Export(h.Current), nil)
		}),
	}
}
