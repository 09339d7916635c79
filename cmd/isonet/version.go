package main

import (
	"github.com/spf13/cobra"

	"github.com/isonet/isonet/internal/version"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return a.print(struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
			}{version.Version(), version.Commit()}, func(t *table) { t.line("isonet %s", version.String()) })
		},
	}
}
