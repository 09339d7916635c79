package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/trust"
)

func (a *app) hostJoinCommand() *cobra.Command {
	var ovsdb string
	var force bool
	cmd := &cobra.Command{
		Use:   "join TOKEN",
		Short: "Make this machine a host of a fleet",
		Long: `Make this machine a host of a fleet, with a token of 'isonet token host'. TOKEN may be
-, which is standard input. The machine is the host whose name is the system-id of its
Open vSwitch. It gets a certificate for that, and writes isonetd's configuration unless
there is one. A join that was interrupted goes on when it is called again with the same
token.

Run it as root. It needs ovs-vsctl.`,
		Args: arguments(1, 1, "TOKEN"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if !databasePattern.MatchString(ovsdb) {
				return usageFor(cmd, fmt.Sprintf("'%s' is no database: use unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT for --ovsdb", ovsdb))
			}
			return nil
		},
		RunE: a.local(func(ctx context.Context, args []string) error {
			token, err := a.token(ctx, args[0], trust.HostKind)
			if err != nil {
				return err
			}
			id, err := systemID(ctx, ovsdb)
			if err != nil {
				return err
			}
			if bridges, err := ownBridges(ctx, ovsdb); err != nil {
				return err
			} else if len(bridges) > 0 && !force {
				return fmt.Errorf("this machine has networks of its own store (%s), which the fleet does not know: isonetd would remove them. "+
					"Save them with 'isonet export' and detach them, or give --force", strings.Join(bridges, ", "))
			}
			l := a.layout()
			joined, err := enroll.Join(ctx, l.Config, token, id)
			if err != nil {
				return fmt.Errorf("join the fleet: %w", err)
			}
			return a.setUp(l.HostConfiguration(joined.Fleet), set{Kind: "host", Name: joined.Name, Next: "systemctl restart isonetd"})
		}),
	}
	cmd.Flags().StringVar(&ovsdb, "ovsdb", defaultOVSDB, "database of the host's Open vSwitch: unix:PATH or tcp:HOST:PORT")
	cmd.Flags().BoolVar(&force, "force", false, "join although the machine has networks that the fleet does not know")
	must(cmd.RegisterFlagCompletionFunc("ovsdb", cobra.NoFileCompletions))
	return cmd
}

// vsctl asks the machine's Open vSwitch.
func vsctl(ctx context.Context, ovsdb string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ovs-vsctl", append([]string{"--timeout=10", "--db=" + ovsdb}, args...)...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return "", fmt.Errorf("ask Open vSwitch: %s", strings.TrimSpace(problems.String()))
	case err != nil:
		return "", fmt.Errorf("ask Open vSwitch: %w: install its packages", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func systemID(ctx context.Context, ovsdb string) (string, error) {
	id, err := vsctl(ctx, ovsdb, "--if-exists", "get", "Open_vSwitch", ".", "external_ids:system-id")
	if err != nil {
		return "", err
	}
	id = strings.Trim(id, `"`)
	if id == "" {
		return "", errors.New("this machine's Open vSwitch has no system-id: start it with ovs-ctl, or set it (ovs-vsctl set Open_vSwitch . external_ids:system-id=$(uuidgen))")
	}
	return id, trust.CheckName(id)
}

// ownBridges returns the bridges that isonet made on this machine.
func ownBridges(ctx context.Context, ovsdb string) ([]string, error) {
	text, err := vsctl(ctx, ovsdb, "--bare", "--columns=name", "find", "Bridge", "external_ids:owner=isonet")
	return strings.Fields(text), err
}
