package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/prove"
	"github.com/isonet/isonet/wire"
)

// defaultOVSDB is where isonetd finds Open vSwitch unless its configuration
// says otherwise.
const defaultOVSDB = "unix:/run/openvswitch/db.sock"

// databasePattern is what ovs-vsctl takes of a server (ovsdb(7)).
var databasePattern = regexp.MustCompile(`^(unix:.|(tcp|ssl):.+:[0-9]+$)`)

// mostOthers is how many other networks get probes without --all.
const mostOthers = 8

func (a *app) proveCommand() *cobra.Command {
	var all bool
	var via string
	options := prove.Options{}
	cmd := &cobra.Command{
		Use:   "prove NETWORK",
		Short: "Test with frames that a network is isolated",
		Long: `Test with frames that a network is isolated. The command plugs two temporary probes
into the network, and two into each other network of the host. It checks that the
probes of the network reach each other, and that nothing passes between the network
and the host or another network. At the end the probes' kernels send TCP and UDP to
each other, with the offloads that VMs have too. The probes are network namespaces.
The command removes them at the end, also after an interrupt. The next run removes
those of a run that was killed.

Run it as root on the host of isonetd, in the network namespace of ovs-vswitchd. It
needs ovs-vsctl.

Exit codes: 0 the network is isolated, 1 it could not be tested, 4 a leak was seen,
5 no leak was seen, but something that must arrive did not, 6 the network is isolated,
but TCP or UDP of VMs does not pass within it.`,
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeAttached,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			options.Via = prove.Via(via)
			if err := a.locate(); err != nil {
				return err
			}
			switch {
			case a.at.URL != "":
				return usageFor(cmd, fmt.Sprintf("the probes are on this host, and isonetd is %s: use --socket or '--context local'", a.at.URL))
			case !databasePattern.MatchString(options.OVSDB):
				return usageFor(cmd, fmt.Sprintf("'%s' is no database: use unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT for --ovsdb", options.OVSDB))
			case options.Via != prove.Veth && options.Via != prove.Internal:
				return usageFor(cmd, fmt.Sprintf("unknown kind of port '%s': use veth or internal", via))
			default:
				return nil
			}
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			return a.prove(ctx, s, options, all)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&options.OVSDB, "ovsdb", defaultOVSDB, "database of the host's Open vSwitch: unix:PATH or tcp:HOST:PORT")
	flags.StringVar(&via, "via", string(prove.Veth), "kind of the probes' ports: veth, which has an end on the host as a VM's has, or internal")
	flags.BoolVar(&all, "all", false, fmt.Sprintf("test against all other networks of the host, not only the first %d", mostOthers))
	must(cmd.RegisterFlagCompletionFunc("ovsdb", cobra.NoFileCompletions))
	must(cmd.RegisterFlagCompletionFunc("via", cobra.FixedCompletions([]string{string(prove.Veth), string(prove.Internal)}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (a *app) prove(ctx context.Context, s session, o prove.Options, all bool) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	skipped, err := choose(&o, status, s.args[0], all)
	if err != nil {
		return err
	}
	a.progress.say("testing with frames")
	report, err := prove.Run(ctx, s, o)
	if report.Result != "" {
		report.Skipped = skipped
		err = errors.Join(err, a.print(report, func(t *table) { proofTable(t, report) }))
	}
	switch {
	case errors.Is(err, prove.ErrLeftOver) && errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s", err.Error())
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; the probes are removed")
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, prove.ErrLeftOver):
		return fmt.Errorf("not done within %s: give a longer --timeout", a.timeout)
	case err != nil:
		return err
	}
	switch report.Result {
	case prove.Leak:
		return errLeak
	case prove.Failed:
		return errUnproven
	case prove.Impaired:
		return errImpaired
	default:
		return nil
	}
}

// choose finds the network and those beside it, and returns the names of those
// that are left out.
func choose(o *prove.Options, s wire.Status, reference string, all bool) (skipped []string, err error) {
	if !s.Connected {
		return nil, errors.New("isonetd is not connected to Open vSwitch; see 'isonet status'")
	}
	n, err := attachedNetwork(s, reference)
	if err != nil {
		return nil, err
	}
	if !n.Active() {
		return nil, fmt.Errorf("network '%s' is not active: %s; see 'isonet status'", n.Name, n.Reason)
	}
	o.Target = proveNetwork(n)
	skipped = []string{}
	for _, other := range s.Networks {
		switch {
		case other.ID == n.ID:
		case other.Active() && (all || len(o.Others) < mostOthers):
			o.Others = append(o.Others, proveNetwork(other))
		default:
			skipped = append(skipped, other.Name)
		}
	}
	return skipped, nil
}

func proveNetwork(n wire.NetworkStatus) *prove.Network {
	p := &prove.Network{Name: n.Name, Bridge: n.Bridge, MTU: n.MTU.Wanted}
	for _, port := range n.Ports {
		p.Ports = append(p.Ports, port.Name)
	}
	return p
}

func proofTable(t *table, r prove.Report) {
	type c = prove.Check
	newList([]grid.Column[c]{
		{Name: "result", Mood: func(c c) grid.Mood { return mood(c.Result == prove.OK, c.Result == prove.Leak) }, Text: func(c c) string {
			if c.Result == prove.OK {
				return string(c.Result)
			}
			return strings.ToUpper(string(c.Result))
		}},
		{Name: "check", Text: func(c c) string { return c.Name }, Least: 24},
		{Name: "sent", Text: func(c c) string { return c.Sent }, Rank: 2, Least: 16},
		{Name: "seen", Text: func(c c) string { return c.Seen }, Rank: 1, Least: 16},
	}...).table(t, r.Checks)
	var remedies []string
	for _, c := range r.Checks {
		if c.Remedy != "" && !slices.Contains(remedies, c.Remedy) {
			remedies = append(remedies, c.Remedy)
		}
	}
	t.line("")
	for _, remedy := range remedies {
		t.line("to do: %s", remedy)
	}
	if len(r.Skipped) > 0 {
		t.line("not looked at: network '%s'", strings.Join(r.Skipped, "', '"))
	}
	bad := 0
	for _, c := range r.Checks {
		if c.Result == r.Result {
			bad++
		}
	}
	switch r.Result {
	case prove.Leak:
		t.lineIn(grid.Bad, "LEAK: network '%s' is not isolated: %d of %d checks found a leak", r.Network, bad, len(r.Checks))
	case prove.Failed:
		t.lineIn(grid.Warning, "NOT PROVEN: no leak was seen on network '%s', but %d of %d checks failed", r.Network, bad, len(r.Checks))
	case prove.Impaired:
		t.lineIn(grid.Warning, "IMPAIRED: network '%s' is isolated, but %d of %d checks say that its VMs cannot talk to each other as they should", r.Network, bad, len(r.Checks))
	default:
		t.lineIn(grid.Good, "proven: network '%s' is isolated, by %d checks", r.Network, len(r.Checks))
	}
}
