package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

// reach says which hosts a command may mean.
type reach int

const (
	// ownHost commands are about what only the isonetd of a host knows or can do.
	ownHost reach = iota
	// reportedHost commands may mean hosts that report to the servers of fleet-status.
	reportedHost
	// everyHost commands may mean any host of the store.
	everyHost
)

// hostCommands are the commands that mean a host, by their whole names. They have --host.
func hostCommands() map[string]reach {
	return map[string]reach{
		"isonet adopt":         ownHost,
		"isonet attach":        everyHost,
		"isonet detach":        everyHost,
		"isonet diff":          everyHost,
		"isonet doctor":        reportedHost,
		"isonet export":        everyHost,
		"isonet guard list":    reportedHost,
		"isonet history":       ownHost,
		"isonet guard release": ownHost,
		"isonet label add":     everyHost,
		"isonet label delete":  everyHost,
		"isonet label list":    everyHost,
		"isonet login":         everyHost, // which keeps it
		"isonet plan":          everyHost,
		"isonet port list":     reportedHost,
		"isonet port prune":    ownHost,
		"isonet prove":         ownHost,
		"isonet release":       ownHost,
		"isonet setup":         everyHost,
		"isonet stats":         ownHost,
		"isonet status":        reportedHost,
		"isonet top":           ownHost,
		"isonet wait":          ownHost,
		"isonet watch":         ownHost,
	}
}

// addHostFlags gives the commands that mean a host their flag.
func (a *app) addHostFlags(cmd *cobra.Command) {
	if reach, means := hostCommands()[cmd.CommandPath()]; means {
		usage := "host, by name or id; without it the one of this isonetd (ISONET_HOST)"
		switch reach {
		case ownHost:
			usage = "host, by name or id: the one of this isonetd, others are refused (ISONET_HOST)"
		case reportedHost:
			usage = "host, by name or id; another one than that of this isonetd must report to servers of fleet-status (ISONET_HOST)"
		}
		cmd.Flags().StringVar(&a.remote.host, "host", "", usage)
		must(cmd.RegisterFlagCompletionFunc("host", func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return a.completeHost(cmd, nil, word)
		}))
	}
	for _, child := range cmd.Commands() {
		a.addHostFlags(child)
	}
}

// checkHost refuses another host than the daemon's own for a command that cannot mean
// one.
func (a *app) checkHost(ctx context.Context, c *client.Client) error {
	if reach, means := hostCommands()[a.cmd.CommandPath()]; !means || reach != ownHost {
		return nil
	}
	return a.onlyOwnHost(ctx, c)
}

// reportingHost returns the host that is meant, for a command that may mean one that
// reports. It has no id where none was named.
func (a *app) reportingHost(ctx context.Context, c *client.Client) (client.Host, error) {
	if a.at.host == "" || hostCommands()[a.cmd.CommandPath()] != reportedHost {
		return client.Host{}, nil
	}
	ctx, cancel := a.limit(ctx)
	defer cancel()
	return findHost(ctx, c, a.at.host)
}

// Status returns how the networks of the host that is meant stand.
func (s session) Status(ctx context.Context) (wire.Status, error) {
	if s.host.ID == "" {
		return s.Client.Status(ctx)
	}
	status, err := s.StatusOf(ctx, s.host.ID)
	if err == nil && !strings.EqualFold(status.Host.ID, s.host.ID) { // an older one, which knows its own only
		err = fmt.Errorf("the isonetd that was asked knows what is on its own host '%s' only: ask the isonetd of '%s', with --url or --context",
			status.Host.Name, s.host.Name)
	}
	return status, err
}

// tellPast says that a list of another host is of the past, which no row of it tells.
func (a *app) tellPast(s session, status wire.Status) {
	if s.host.ID != "" && !status.Connected {
		a.complain(fmt.Sprintf("warning: how the host '%s' is now is not known, this is the past: see 'isonet status --host %[1]s'", s.host.Name))
	}
}

// onlyOwnHost refuses another host than the daemon's own.
func (a *app) onlyOwnHost(ctx context.Context, c *client.Client) error {
	if a.at.host == "" {
		return nil
	}
	ctx, cancel := a.limit(ctx)
	defer cancel()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	wanted, err := findHost(ctx, c, a.at.host)
	if err != nil || strings.EqualFold(wanted.ID, status.Host.ID) {
		return err
	}
	return fmt.Errorf("isonetd at %s knows what is on its own host '%s' only: ask the isonetd of '%s', with --url or --context",
		a.daemon(), status.Host.Name, wanted.Name)
}

// elsewhere is a host with an isonetd of its own, as the store has it.
func elsewhere(found client.Host, networks []client.Network) host {
	h := host{id: found.ID, name: found.Name, up: found.Status == "up", Current: setup.Current{Networks: networks, Labels: found.Labels, Attached: map[string]bool{}}}
	for _, n := range networks {
		if slices.Contains(found.Networks, n.Name) {
			h.Attached[n.ID] = n.Label == "" || !slices.Contains(found.Labels, n.Label)
		}
	}
	return h
}

// findHost finds a host by its id, or by a name that one host has.
func findHost(ctx context.Context, c *client.Client, reference string) (client.Host, error) {
	hosts, err := c.Hosts(ctx)
	if err != nil {
		return client.Host{}, err
	}
	var found []client.Host
	var ids, names []string
	for _, h := range hosts {
		names = append(names, h.Name)
		switch {
		case strings.EqualFold(h.ID, reference):
			return h, nil
		case h.Name == reference:
			found, ids = append(found, h), append(ids, h.ID)
		}
	}
	switch len(found) {
	case 0:
		return client.Host{}, unknownNames("there is no host", "isonet host list", names, reference)
	case 1:
		return found[0], nil
	}
	return client.Host{}, fmt.Errorf("%d hosts have the name '%s': use an id, %s", len(found), reference, strings.Join(ids, " or "))
}
