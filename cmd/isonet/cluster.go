package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cluster"
	"github.com/isonet/isonet/enroll"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

// defaultAPIPort is where the API of a fleet's servers listens unless it is said.
const defaultAPIPort = "8443"

// serversNext is what to do on a server that was set up.
const serversNext = "systemctl enable --now isonet-member isonet-relay isonet-status, and systemctl restart isonetd"

func (a *app) clusterCommand() *cobra.Command {
	return a.group("cluster", "Set up the servers of a fleet on this machine, and look after them",
		`Set up the servers of a fleet on this machine, and look after them. The desired state
of a fleet is in a cluster of databases. These commands work as root on a machine that
has a member of it, or is to have one. They do not ask isonetd.`,
		a.clusterInitCommand(), a.clusterJoinCommand(), a.clusterStatusCommand(), a.clusterBackupCommand(), a.clusterRestoreCommand(),
		a.clusterRemoveCommand(), a.clusterUpgradeCommand(), a.clusterRenewCommand())
}

// layout is where the files of this machine's servers are.
func (a *app) layout() cluster.Layout { return cluster.DefaultLayout(a.root) }

// local makes a cobra function of one that works on this machine.
func (a *app) local(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := a.limit(cmd.Context())
		defer cancel()
		return do(ctx, args)
	}
}

// here is the member of this machine, as it was set up.
func (a *app) here() (cluster.Member, wire.Fleet, error) {
	l := a.layout()
	_, certificate, err := enroll.Identity(l.Config)
	if err != nil {
		return cluster.Member{}, wire.Fleet{}, fmt.Errorf("this machine has no member of a cluster ('isonet cluster init' or 'join'): %w", err)
	}
	fleet, err := enroll.Fleet(l.Config)
	return cluster.Member{Layout: l, Ports: cluster.Ports(fleet.Port), Address: certificate.Subject.CommonName}, fleet, err
}

// addresses checks that a flag has IP addresses.
func addresses(cmd *cobra.Command, flag string, list []string) error {
	for _, one := range list {
		if err := cluster.CheckAddress(one); err != nil {
			return usageFor(cmd, fmt.Sprintf("--%s: '%s' is not the IP address of a machine", flag, one))
		}
	}
	return nil
}

func (a *app) clusterInitCommand() *cobra.Command {
	var f struct {
		address, caDir, passphraseFile, apiURL string
		members, relays, reports               []string
		port                                   int
	}
	cmd := &cobra.Command{
		Use:   "init --address ADDRESS",
		Short: "Set up the first machine of a new fleet",
		Long: `Set up the first machine of a new fleet: the two authorities that sign certificates,
one of servers and one of hosts, this machine's certificate, and the databases of a
member and of the server of reports. The keys of the authorities are encrypted with a
passphrase, which the command asks for. They stay on this machine.

--members has the addresses of all machines that are to have a member, this one too.
Three members go on when one fails, five when two do. All of them have a relay and a
server of reports, unless --relays and --reports say where these are.

The command writes isonetd's configuration unless there is one.`,
		Args: arguments(0, 0, ""),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.address == "" && !cmd.Flags().Changed("address"):
				return usageFor(cmd, "missing flag: --address")
			case cluster.Ports(f.port).Check() != nil:
				return usageFor(cmd, "--port must be 1 to 65532")
			}
			for flag, list := range map[string][]string{"address": {f.address}, "members": f.members, "relays": f.relays, "reports": f.reports} {
				if err := addresses(cmd, flag, list); err != nil {
					return err
				}
			}
			if f.apiURL == "" {
				f.apiURL = "https://" + net.JoinHostPort(f.address, defaultAPIPort)
			}
			if _, err := trust.NewToken(trust.HostKind, f.apiURL, strings.Repeat("0", 64)); err != nil {
				return usageFor(cmd, fmt.Sprintf("--api-url: '%s' is not of the form https://HOST:PORT", f.apiURL))
			}
			return nil
		},
		RunE: a.local(func(ctx context.Context, _ []string) error {
			passphrase, err := a.passphrase(ctx, f.passphraseFile)
			if err != nil {
				return err
			}
			if len(f.members) == 0 {
				f.members = []string{f.address}
			}
			if len(f.relays) == 0 {
				f.relays = f.members
			}
			if len(f.reports) == 0 {
				f.reports = f.members
			}
			caDir := f.caDir
			if caDir == "" {
				caDir = filepath.Join(a.root, "/etc/isonet/ca")
			}
			m := cluster.Member{Layout: a.layout(), Ports: cluster.Ports(f.port), Address: f.address}
			fleet := wire.Fleet{Members: f.members, Relays: f.relays, Reports: f.reports, Port: f.port, URL: f.apiURL}
			if err := m.Found(ctx, caDir, passphrase, fleet, a.now()); err != nil {
				return err
			}
			passphraseFile := f.passphraseFile
			if passphraseFile == "" {
				passphraseFile = "/run/credentials/isonetd.service/ca"
			}
			return a.setUp(m.Layout.ServerConfiguration(fleet, net.JoinHostPort(f.address, defaultAPIPort), caDir, passphraseFile), set{
				Kind: "server", Name: f.address, Authorities: caDir, Next: serversNext,
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "IP address under which the other machines reach this one")
	flags.StringSliceVar(&f.members, "members", nil, "IP addresses of all machines with a member, with commas; empty is this one")
	flags.StringSliceVar(&f.relays, "relays", nil, "IP addresses of the machines with a relay; empty is those of --members")
	flags.StringSliceVar(&f.reports, "reports", nil, "IP addresses of the machines with a server of reports; empty is those of --members")
	flags.StringVar(&f.caDir, "ca-dir", "", "directory of the authorities; empty is /etc/isonet/ca")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase of the authorities' keys; empty asks for it")
	flags.StringVar(&f.apiURL, "api-url", "", "URL of the API that lets machines join; empty is https://ADDRESS:"+defaultAPIPort)
	flags.IntVar(&f.port, "port", cluster.DefaultPort, "first of the fleet's four TCP ports")
	return cmd
}

// passphrase returns that of the authorities: from a file, or by a question.
func (a *app) passphrase(ctx context.Context, file string) ([]byte, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the passphrase: %w", err)
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
	if a.ask == nil {
		return nil, errors.New("there is no terminal to ask for the passphrase: give --passphrase-file")
	}
	first, err := a.ask(ctx, "Passphrase of the authorities' keys: ", true)
	if err != nil {
		return nil, err
	}
	second, err := a.ask(ctx, "The same again: ", true)
	if err != nil {
		return nil, err
	}
	if first != second {
		return nil, errors.New("the two passphrases differ: nothing was changed")
	}
	return []byte(first), nil
}

// set is what a command has set up.
type set struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Authorities is their directory, Configuration the file that was written for isonetd.
	Authorities   string `json:"authorities,omitempty"`
	Configuration string `json:"configuration"`
	// Merge says that isonetd's own configuration is another file, which was left alone.
	Merge string `json:"merge,omitempty"`
	Next  string `json:"next"`
}

// setUp writes isonetd's configuration and tells what to do next. One that sets something
// is left alone, and the new one is put beside the certificates.
func (a *app) setUp(configuration string, done set) error {
	own := filepath.Join(a.root, "/etc/isonet/isonetd.yaml")
	done.Configuration = own
	before, err := os.ReadFile(own)
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read isonetd's configuration: %w", err)
	case setsSomething(before):
		done.Configuration, done.Merge = filepath.Join(a.layout().Config, "isonetd.yaml"), own
	default:
		configuration = string(before) + configuration
	}
	if err := os.MkdirAll(filepath.Dir(done.Configuration), 0o755); err != nil {
		return fmt.Errorf("write isonetd's configuration: %w", err)
	}
	if err := replaceFile(done.Configuration, []byte(configuration)); err != nil {
		return fmt.Errorf("write isonetd's configuration: %w", err)
	}
	return a.print(done, func(t *table) {
		t.line("this machine is part of the fleet: %s '%s'", done.Kind, done.Name)
		if done.Authorities != "" {
			t.line("the authorities' keys are in %s: keep a copy of it, and the passphrase, elsewhere", done.Authorities)
		}
		if done.Merge == "" {
			t.line("isonetd's configuration is %s", done.Configuration)
		} else {
			t.line("%s exists and was left alone: put the lines of %s into it", done.Merge, done.Configuration)
		}
		if done.Kind == "server" {
			t.line("isonetd goes by the fleet when it is restarted: if this machine has networks of its own store, save them before ('isonet export')")
		}
		t.line("next: %s", done.Next)
	})
}

// setsSomething says that a configuration has more than comments, as that of the packages
// has.
func setsSomething(configuration []byte) bool {
	for line := range bytes.Lines(configuration) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}

// token reads a join token: an argument, or with - a line of standard input.
func (a *app) token(ctx context.Context, argument string, kind trust.Kind) (trust.Token, error) {
	text := argument
	if argument == "-" {
		data, err := io.ReadAll(io.LimitReader(a.stdin, 4096))
		if err != nil {
			return trust.Token{}, fmt.Errorf("read the token: %w", err)
		}
		text = string(data)
	}
	token, err := trust.ParseToken(text)
	if err != nil {
		return token, err
	}
	if token.Kind != kind {
		return token, fmt.Errorf("the token lets a %s join, and not a %s: make another one with 'isonet token %s'", token.Kind, kind, kind)
	}
	return token, ctx.Err()
}

func (a *app) clusterJoinCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "join TOKEN --address ADDRESS",
		Short: "Make this machine a further member",
		Long: `Make this machine a further member of the cluster, with a token of 'isonet token
server'. TOKEN may be -, which is standard input. A join that was interrupted goes on
when it is called again with the same token.`,
		Args: arguments(1, 1, "TOKEN"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" && !cmd.Flags().Changed("address") {
				return usageFor(cmd, "missing flag: --address")
			}
			return addresses(cmd, "address", []string{address})
		},
		RunE: a.local(func(ctx context.Context, args []string) error {
			token, err := a.token(ctx, args[0], trust.ServerKind)
			if err != nil {
				return err
			}
			l := a.layout()
			if _, err := enroll.Join(ctx, l.Config, token, address); err != nil && !errors.Is(err, enroll.ErrJoined) {
				return fmt.Errorf("join the fleet: %w", err)
			}
			m, fleet, err := a.here()
			if err != nil {
				return err
			}
			if m.Address != address {
				return fmt.Errorf("%w, with the address %s", enroll.ErrJoined, m.Address)
			}
			if err := m.JoinFleet(ctx, fleet); err != nil {
				return err
			}
			return a.setUp(l.ServerConfiguration(fleet, "", "", ""), set{Kind: "server", Name: address, Next: serversNext})
		}),
	}
	cmd.Flags().StringVar(&address, "address", "", "IP address of this machine, which the token has too")
	return cmd
}

func (a *app) clusterStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the member of this machine sees the cluster",
		Long: `Show how the member of this machine sees the cluster. The leader alone knows how far
the others are, and when it heard of them.

Exit code 3 says that the member has no leader, or that a member is not heard of.`,
		Args: arguments(0, 0, ""),
		RunE: a.local(func(ctx context.Context, _ []string) error {
			m, _, err := a.here()
			if err != nil {
				return err
			}
			s, err := m.Status(ctx)
			if err != nil {
				return err
			}
			if err := a.print(s, func(t *table) { clusterTable(t, s) }); err != nil {
				return err
			}
			if !s.Healthy() || len(s.Unreachable()) > 0 {
				return errNotActive
			}
			return nil
		}),
	}
}

// clusterTable shows the status of a cluster.
func clusterTable(t *table, s cluster.Status) {
	leader := s.Leader
	if leader == "" {
		leader = "none"
	}
	t.line("cluster %s: this member is %s (%s), term %d, leader %s, %d not committed", s.Cluster, s.Role, s.State, s.Term, leader, s.Uncommitted)
	t.row("MEMBER", "ADDRESS", "HEARD", "BEHIND")
	for _, p := range s.Servers {
		heard, behind := "-", "-"
		switch {
		case p.Self:
			heard = "itself"
		case p.Heard != nil:
			heard = fmt.Sprintf("%.1f s ago", float64(*p.Heard)/1000)
		}
		if p.Behind != nil {
			behind = fmt.Sprint(*p.Behind)
		}
		t.row(p.ID, p.Address, heard, behind)
	}
	for _, p := range s.Unreachable() {
		t.line("the member at %s is not heard of: look at it, or remove it with 'isonet cluster remove' if it is gone for good", p.Address)
	}
}

func (a *app) clusterBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the database of the cluster in a file",
		Long: `Save the database of the cluster in a file, for 'isonet cluster restore'. It is of one
moment. The ids of rows are in it, join tokens too, and no keys. 'isonet backup' saves
what operators asked for instead, and needs no root.`,
		Args: arguments(1, 1, "FILE"),
		RunE: a.local(func(ctx context.Context, args []string) error {
			m, _, err := a.here()
			if err != nil {
				return err
			}
			if err := m.Backup(ctx, args[0]); err != nil {
				return fmt.Errorf("back up the cluster: %w", err)
			}
			return a.print(struct {
				File string `json:"file"`
			}{args[0]}, func(t *table) { t.line("saved the cluster in %s", args[0]) })
		}),
	}
}

func (a *app) clusterRestoreCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Begin a new cluster on this machine with a backup",
		Long: `Begin a new cluster on this machine with a file of 'isonet cluster backup'. Rows keep
their ids, so that hosts find everything as it was. Stop isonet-member on all machines
before. The old database of this machine is kept under another name. The other members
join the new cluster: move their databases away, and do 'isonet cluster join' there.`,
		Args: arguments(1, 1, "FILE"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.mayAsk(cmd, !yes)
		},
		RunE: a.local(func(ctx context.Context, args []string) error {
			m, _, err := a.here()
			if err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); err != nil {
				return fmt.Errorf("read the backup: %w", err)
			}
			if err := a.sure(ctx, yes, fmt.Sprintf("Begin a new cluster on this machine with what %s has?", args[0])); err != nil {
				return err
			}
			aside, err := m.PutAside(ctx, a.now())
			if err != nil {
				return err
			}
			if err := m.Create(ctx, args[0]); err != nil {
				return fmt.Errorf("%w; the database before is %s", err, aside)
			}
			return a.print(struct {
				File  string `json:"file"`
				Aside string `json:"aside,omitempty"`
			}{args[0], aside}, func(t *table) {
				t.line("a new cluster has what was in %s", args[0])
				if aside != "" {
					t.line("the database before is %s", aside)
				}
				t.line("next: systemctl start isonet-member")
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// sure asks whether to do something, unless the answer was given.
func (a *app) sure(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	answer, err := a.ask(ctx, question+" [y/N] ", false)
	if err != nil {
		return err
	}
	return agreed(answer)
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove [ADDRESS]",
		Short: "Remove a member from the cluster",
		Long: `Remove a member from the cluster: the one at ADDRESS, which is gone for good, or
without it the one of this machine, which leaves. It takes a majority of the members.`,
		Args: arguments(0, 1, "ADDRESS"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.mayAsk(cmd, !yes)
		},
		RunE: a.local(func(ctx context.Context, args []string) error {
			m, _, err := a.here()
			if err != nil {
				return err
			}
			s, err := m.Status(ctx)
			if err != nil {
				return err
			}
			reference := m.Address
			if len(args) > 0 {
				reference = args[0]
			}
			p, err := s.Find(reference)
			if err != nil {
				return err
			}
			if err := a.sure(ctx, yes, fmt.Sprintf("Remove the member at %s, one of %d?", p.Address, len(s.Servers))); err != nil {
				return err
			}
			remove := func() error { return m.Kick(ctx, p) }
			if p.Self {
				remove = func() error { return m.Leave(ctx) }
			}
			if err := remove(); err != nil {
				return fmt.Errorf("remove the member at %s: %w", p.Address, err)
			}
			return a.print(p, func(t *table) {
				t.line("removed the member at %s", p.Address)
				if p.Self {
					t.line("next: systemctl disable --now isonet-member, and move /var/lib/isonet-member away")
				}
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) clusterUpgradeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "upgrade",
		Short: "Give the cluster the schema of this version",
		Long: `Give the database of the cluster the schema of this version of isonet, and hosts the
rights that they have in it. Do this on one member, before isonetd is upgraded on any
host. Everything goes on meanwhile. A second time changes nothing.`,
		Args: arguments(0, 0, ""),
		RunE: a.local(func(ctx context.Context, _ []string) error {
			m, _, err := a.here()
			if err != nil {
				return err
			}
			if err := m.Upgrade(ctx); err != nil {
				return fmt.Errorf("upgrade the cluster: %w", err)
			}
			return a.print(struct {
				Schema string `json:"schema"`
			}{cluster.SchemaVersion()}, func(t *table) { t.line("the cluster has the schema %s", cluster.SchemaVersion()) })
		}),
	}
}

func (a *app) clusterRenewCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew the certificate of this machine, if it is time",
		Long: `Renew the certificate of this machine, when a third of its life is left. isonetd does
that by itself, where its option fleet-dir is set. isonet-renew.timer calls this where
no isonetd runs. The servers take the new certificate without a restart.`,
		Args: arguments(0, 0, ""),
		RunE: a.local(func(ctx context.Context, _ []string) error {
			_, certificate, err := enroll.Identity(a.layout().Config)
			if err != nil {
				return err
			}
			until, renewed := certificate.NotAfter, force || !a.now().Before(enroll.Due(certificate))
			if renewed {
				if until, err = enroll.Renew(ctx, a.layout().Config); err != nil {
					return fmt.Errorf("renew the certificate: %w", err)
				}
			}
			return a.print(struct {
				Renewed bool   `json:"renewed"`
				Until   string `json:"until"`
			}{renewed, until.UTC().Format("2006-01-02T15:04:05Z")}, func(t *table) {
				did := "it is not time to renew the certificate"
				if renewed {
					did = "renewed the certificate"
				}
				t.line("%s: it is valid until %s", did, until.UTC().Format("2006-01-02 15:04"))
			})
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "renew it now")
	return cmd
}
