package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// The conditions of wait.
const (
	forActive   = "active"
	forIsolated = "isolated"
	forAttached = "attached"
	forDetached = "detached"
	forDeleted  = "deleted"
)

func conditions() []string {
	return []string{forActive, forIsolated, forAttached, forDetached, forDeleted}
}

func (a *app) waitCommand() *cobra.Command {
	var wanted []string
	cmd := &cobra.Command{
		Use:   "wait NETWORK...",
		Short: "Wait until networks are active, isolated, detached or deleted",
		Long: `Wait until all conditions of --for are true of all networks at the same time.

  active    the network is on the host as it should be: 'isonet status' shows active
  isolated  its isolation is shown, and nobody keeps breaking it
  attached  the host is to have the network
  detached  the host has neither the network nor its bridge
  deleted   there is no such network

A network that does not exist is an error, except with --for deleted. A network that
is deleted meanwhile is an error too. The command also waits for an isonetd that does
not run yet, or is restarted.

Exit codes: 0 all of it is true, 1 error (isonetd was never reached, there is no such
network), 3 it was not true within --timeout (2m unless given): the command then shows
what it saw last.`,
		Args:              arguments(1, -1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(-1),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return checkConditions(cmd, wanted) },
		RunE: a.with(func(ctx context.Context, s session) error {
			w := waiting{app: a, client: s.Client, references: s.args, wanted: wanted}
			return w.run(ctx)
		}),
	}
	cmd.Flags().StringSliceVar(&wanted, "for", []string{forActive, forIsolated}, "what to wait for: "+strings.Join(conditions(), ", "))
	must(cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(conditions(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func checkConditions(cmd *cobra.Command, wanted []string) error {
	if len(wanted) == 0 {
		return usageFor(cmd, "--for is empty: use "+strings.Join(conditions(), ", "))
	}
	for _, one := range wanted {
		if !slices.Contains(conditions(), one) {
			return usageFor(cmd, fmt.Sprintf("unknown condition '%s': use %s", one, strings.Join(conditions(), ", ")))
		}
		if gone := one == forDetached || one == forDeleted; gone && slices.ContainsFunc(wanted, func(other string) bool { return other != one }) {
			return usageFor(cmd, fmt.Sprintf("a network cannot be %s and something else: give only one of them", one))
		}
	}
	return nil
}

// waiting is one run of wait.
type waiting struct {
	*app
	client             *client.Client
	references, wanted []string
	// found are the networks by their references, as soon as isonetd has told them.
	found    []awaited
	revision int64
	// said is the last complaint about isonetd.
	said string
}

// awaited is a network that is waited for, and how it was seen last.
type awaited struct {
	Network string `json:"network"`
	ID      string `json:"id"`
	Reached bool   `json:"reached"`
	// Seen is what is the case, for a reader.
	Seen string `json:"seen"`
}

// The pauses between two attempts to reach isonetd, each twice the one before.
const (
	firstWaitPause = 100 * time.Millisecond
	mostWaitPause  = 2 * time.Second
)

func (w *waiting) run(ctx context.Context) error {
	w.progress.say("waiting for: %s", strings.Join(w.wanted, ", "))
	var last error
	for pause := firstWaitPause; ; pause = min(2*pause, mostWaitPause) {
		reached, err := w.follow(ctx)
		switch {
		case reached:
			return w.tell()
		case ctx.Err() != nil:
			return w.ended(ctx.Err(), last)
		case hopeless(err):
			return err
		}
		last = err
		if text := w.explain(err); text != w.said {
			w.said = text
			w.complain(text + "; waiting until it is there")
		}
		select {
		case <-ctx.Done():
			return w.ended(ctx.Err(), last)
		case <-time.After(pause):
		}
	}
}

// hopeless says that waiting does not help.
func hopeless(err error) bool {
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrUnknown) {
		return false
	}
	fault, refused := errors.AsType[*client.Fault](err)
	return !refused || fault.Status < http.StatusInternalServerError
}

// follow looks at each status until the networks are as wanted, or until the
// connection breaks off.
func (w *waiting) follow(ctx context.Context) (reached bool, err error) {
	for status, err := range w.client.Watch(ctx) {
		if err != nil {
			return false, err
		}
		w.said = ""
		if err := w.look(ctx, status); err != nil {
			return false, err
		}
		if !slices.ContainsFunc(w.found, func(n awaited) bool { return !n.Reached }) {
			return true, nil
		}
	}
	return false, ctx.Err()
}

// look sees how the networks are. Which there are can only have changed with the
// revision.
func (w *waiting) look(ctx context.Context, status wire.Status) error {
	deleted := slices.Contains(w.wanted, forDeleted)
	exists := func(string) bool { return true }
	if w.found == nil || status.Revision != w.revision || deleted {
		networks, err := w.client.Networks(ctx)
		if err != nil {
			return err
		}
		if w.found == nil {
			if err := w.resolve(networks, deleted); err != nil {
				return err
			}
		}
		exists = func(id string) bool {
			return slices.ContainsFunc(networks, func(n client.Network) bool { return n.ID == id })
		}
		w.revision = status.Revision
	}
	for i := range w.found {
		n := &w.found[i]
		there := exists(n.ID)
		if !there && !deleted {
			return fmt.Errorf("network '%s' was deleted", n.Network)
		}
		n.Reached, n.Seen = w.judge(n.ID, there, status)
	}
	return nil
}

// resolve finds the networks of the command line. One that is to be deleted need not
// be there.
func (w *waiting) resolve(networks []client.Network, deleted bool) error {
	var found []awaited
	for _, reference := range w.references {
		list, err := resolve(networks, []string{reference})
		switch {
		case err == nil:
			found = append(found, awaited{Network: list[0].Name, ID: list[0].ID})
		case !deleted:
			_, err := resolve(networks, w.references) // names all that are missing
			return err
		default:
			found = append(found, awaited{Network: reference})
		}
	}
	for _, one := range found { // some may be named twice, by name and by id
		if !slices.Contains(w.found, one) {
			w.found = append(w.found, one)
		}
	}
	return nil
}

// judge says whether a network is as wanted, and how it is.
func (w *waiting) judge(id string, exists bool, status wire.Status) (reached bool, seen string) {
	var n *wire.NetworkStatus
	if i := slices.IndexFunc(status.Networks, func(n wire.NetworkStatus) bool { return n.ID == id }); i >= 0 {
		n = &status.Networks[i]
	}
	held := slices.ContainsFunc(status.Held, func(h wire.Held) bool { return h.NetworkID == id })
	switch {
	case !exists && !held && n == nil:
		seen = "deleted"
	case !status.Connected:
		seen = "unknown: isonetd is not connected to Open vSwitch"
	case held:
		seen = "its bridge stays while ports are in use"
	case n == nil:
		seen = "detached"
	default:
		seen = n.State + ", " + isolated(n.Isolation)
		if n.Reason != "" {
			seen += ": " + n.Reason
		}
	}
	for _, one := range w.wanted {
		if !condition(one, n, seen, status.Connected) {
			return false, seen
		}
	}
	return true, seen
}

// condition says whether one condition is true of a network, which is nil if the host
// is not to have it.
func condition(one string, n *wire.NetworkStatus, seen string, connected bool) bool {
	switch one {
	case forActive:
		return connected && n != nil && n.Active()
	case forIsolated:
		return connected && n != nil && n.Isolation != nil && n.Isolation.Isolated && !n.Isolation.Contested
	case forAttached:
		return n != nil
	case forDetached:
		return seen == "detached" || seen == "deleted"
	default:
		return seen == "deleted"
	}
}

// ended tells what was seen last when the time is over.
func (w *waiting) ended(end, last error) error {
	switch {
	case errors.Is(end, context.Canceled):
		return end
	case w.found == nil && last != nil:
		return fmt.Errorf("isonetd was not reached within %s: %w", w.timeout, last)
	case w.found == nil:
		return end
	}
	if err := w.tell(); err != nil {
		return err
	}
	return errNotActive
}

func (w *waiting) tell() error {
	return w.print(w.found, func(t *table) {
		for _, n := range w.found {
			if n.Reached {
				t.line("network '%s': %s", n.Network, n.Seen)
			} else {
				t.line("network '%s' is not %s: %s", n.Network, strings.Join(w.wanted, " and "), n.Seen)
			}
		}
	})
}
