package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func (a *app) setupCommand() *cobra.Command {
	var file string
	var dryRun, force bool
	cmd := &cobra.Command{
		Use:   "setup -f FILE",
		Short: "Create, update, attach and detach many networks from a file",
		Long: `Make the networks and host labels of a YAML or JSON file what the file says.
What the file does not name stays as it is: other networks, other labels of the
host, and attributes that are left out. Running it again changes nothing.

  networks:
    - name: blue
      mtu: 9000
      label: lab
      description: test network
      comment: ""
      port_isolation: false
      isolation_policy: enforce # or quarantine, report
      strict: true
      mac_lock: false       # needs strict
      broadcast_limit: 1000 # frames a second and port; 0: none; needs strict
      attach: true          # false: detached
  labels: [lab]             # labels that the host must have

All networks are created and updated at once, or none of them (1000 at a time);
then all attachments and labels are changed at once, or none of them.`,
		Args: arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageFor(cmd, "missing flag: -f FILE")
			}
			return nil
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			want, err := a.readSetup(file)
			if err != nil {
				return err
			}
			h, err := current(ctx, s.Client)
			if err != nil {
				return err
			}
			plan, err := setup.Make(h.Current, want)
			if err != nil {
				return err
			}
			if dryRun {
				return a.plan(ctx, s.Client, h, plan, force)
			}
			return a.report(a.apply(ctx, s.Client, h, plan, force))
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "setup file in YAML or JSON; - means standard input")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be done")
	cmd.Flags().BoolVar(&force, "force", false, "detach even if ports are in use")
	return cmd
}

func (a *app) readSetup(file string) (setup.Wanted, error) {
	var data []byte
	var err error
	name := file
	if file == "-" {
		name = "standard input"
		data, err = io.ReadAll(a.stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return setup.Wanted{}, &usageError{text: "read the setup file: " + err.Error()}
	}
	want, err := setup.Parse(name, data)
	if err != nil {
		return setup.Wanted{}, &usageError{text: err.Error()}
	}
	return want, nil
}
