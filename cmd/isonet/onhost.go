package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

// hostCommands are the commands that mean a host, by their whole names. They have --host.
// Those that are true here may mean any host of the store; the others are about what is
// on a host, of which its own isonetd alone knows.
func hostCommands() map[string]bool {
	return map[string]bool{
		"isonet adopt":         false,
		"isonet attach":        true,
		"isonet detach":        true,
		"isonet diff":          true,
		"isonet doctor":        false,
		"isonet export":        true,
		"isonet guard list":    false,
		"isonet history":       false,
		"isonet guard release": false,
		"isonet label add":     true,
		"isonet label delete":  true,
		"isonet label list":    true,
		"isonet login":         true, // which keeps it
		"isonet plan":          true,
		"isonet port list":     false,
		"isonet port prune":    false,
		"isonet prove":         false,
		"isonet release":       false,
		"isonet setup":         true,
		"isonet stats":         false,
		"isonet status":        false,
		"isonet top":           false,
		"isonet wait":          false,
		"isonet watch":         false,
	}
}

// addHostFlags gives the commands that mean a host their flag.
func (a *app) addHostFlags(cmd *cobra.Command) {
	if anyHost, means := hostCommands()[cmd.CommandPath()]; means {
		usage := "host, by name or id: the one of this isonetd, others are refused (ISONET_HOST)"
		if anyHost {
			usage = "host, by name or id; without it the one of this isonetd (ISONET_HOST)"
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

// checkHost refuses another host than the daemon's own for a command that is about what
// is on a host.
func (a *app) checkHost(ctx context.Context, c *client.Client) error {
	anyHost, means := hostCommands()[a.cmd.CommandPath()]
	if a.at.host == "" || !means || anyHost {
		return nil
	}
	return a.ownHost(ctx, c)
}

// ownHost refuses another host than the daemon's own.
func (a *app) ownHost(ctx context.Context, c *client.Client) error {
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
	h := host{id: found.ID, name: found.Name, Current: setup.Current{Networks: networks, Labels: found.Labels, Attached: map[string]bool{}}}
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
