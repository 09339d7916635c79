package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/internal/version"
)

// versionTimeout bounds how long 'isonet version' waits for the daemon.
const versionTimeout = 5 * time.Second

// versionInfo is the machine form of the versions.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Daemon is the version of isonetd; "" if it cannot be asked.
	Daemon string `json:"daemon"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program and of isonetd",
		Long: `Show the version of this program, and that of isonetd if it can be asked. That it
cannot is no error.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			daemon, err := a.daemonVersion(cmd.Context())
			return a.print(versionInfo{version.Version(), version.Commit(), daemon}, func(t *table) {
				t.line("isonet %s", version.String())
				if err != nil {
					t.line("isonetd unknown: %s", a.explain(err))
				} else {
					t.line("isonetd %s", cmp.Or(daemon, "of an unknown version"))
				}
			})
		},
	}
}

// addVersionFlag is in place of cobra's, which says the version by a template. A program
// with templates calls methods by name. The linker then keeps all methods of all types,
// which were a fifth of isonet.
func addVersionFlag(root *cobra.Command) {
	root.Flags().BoolP("version", "v", false, "show the version of isonet")
	help := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("version") {
			return help(cmd, args)
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "isonet %s\n", version.String())
		return err
	}
}

func (a *app) daemonVersion(ctx context.Context) (string, error) {
	c, err := a.connect()
	if err != nil {
		return "", err
	}
	defer c.Close()
	if a.timeout == 0 || a.timeout > versionTimeout {
		a.timeout = versionTimeout
	}
	ctx, cancel := a.limit(ctx)
	defer cancel()
	found, err := c.Version(ctx)
	if err != nil {
		return "", fmt.Errorf("ask isonetd: %w", err)
	}
	return found, nil
}
