package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/wire"
)

// host is a host with all that a plan needs.
type host struct {
	id string
	// name is that of a host with an isonetd of its own; "" is the daemon's.
	name string
	// up says that such a host reports, so that the daemon waits for it.
	up bool
	setup.Current
}

// current asks the daemon what there is on the host that is meant.
func (a *app) current(ctx context.Context, c *client.Client) (host, error) {
	status, err := c.Status(ctx)
	another := errors.Is(err, client.ErrNoHost) && a.at.host != ""
	switch {
	case another:
	case err != nil:
		return host{}, err
	case status.Host.ID == "":
		return host{}, errors.New("isonetd has not reached Open vSwitch yet and does not know its host: is openvswitch running? look with 'isonet status'")
	}
	if a.at.host != "" {
		found, err := findHost(ctx, c, a.at.host)
		if err != nil {
			return host{}, err
		}
		if !strings.EqualFold(found.ID, status.Host.ID) {
			networks, err := c.Networks(ctx)
			return elsewhere(found, networks), err
		}
	}
	h := host{id: status.Host.ID, Current: setup.Current{Attached: map[string]bool{}}}
	for _, n := range status.Networks {
		h.Attached[n.ID] = n.Cause.Explicit
	}
	if h.Networks, err = c.Networks(ctx); err != nil {
		return host{}, err
	}
	h.Labels, err = c.HostLabels(ctx, h.id)
	return h, err
}

// apply carries a plan out and returns the steps that were done, all of them if
// the error is nil.
func (a *app) apply(ctx context.Context, c *client.Client, h host, p setup.Plan, force bool) ([]setup.Step, error) {
	steps := p.Steps()
	changes := p.Changes(h.id, wire.MostNetworks, force)
	if len(changes) == 0 {
		return steps, nil
	}
	if h.name != "" {
		if !h.up {
			a.complain(fmt.Sprintf("note: the isonetd of host '%s' takes up by itself what is said here: ask it whether it is done", h.name))
		}
		a.progress.hide() // the numbers would be those of another host
	}
	done := 0
	for _, change := range changes {
		if len(changes) == 1 {
			a.progress.say("waiting for Open vSwitch")
		} else {
			a.progress.say("steps done: %d of %d", done, len(steps))
		}
		if len(change.Put)+len(change.Remove) == 0 {
			return a.applyToHost(ctx, c, h, p, force)
		}
		if _, err := c.Apply(ctx, change); err != nil {
			return steps[:done], err
		}
		done += len(change.Put) + len(change.Remove)
	}
	return steps, nil
}

// applyToHost carries out a plan that is about the host only.
func (a *app) applyToHost(ctx context.Context, c *client.Client, h host, p setup.Plan, force bool) ([]setup.Step, error) {
	ids := make(map[string]string, len(h.Networks))
	for _, n := range h.Networks {
		ids[n.Name] = n.ID
	}
	err := c.SetupNetworks(ctx, h.id, client.SetupNetworks{
		Attach: idsOf(ids, p.Attach), Detach: idsOf(ids, p.Detach),
		AddLabels: p.AddLabels, RemoveLabels: p.RemoveLabels, Force: force,
	})
	if err != nil {
		return nil, err
	}
	return p.Steps(), nil
}

func idsOf(ids map[string]string, names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = ids[name]
	}
	return list
}

// report prints the steps that were done and passes an error on. Without any
// step it says that nothing had to change, unless there was an error.
func (a *app) report(done []setup.Step, err error) error {
	if err != nil && len(done) == 0 {
		return err
	}
	if printed := a.printSteps(done, false); printed != nil {
		return printed
	}
	if err != nil {
		return fmt.Errorf("stopped after %s: %w", count(len(done), "step"), err)
	}
	return nil
}

// stepReport is the machine form of what was done, or would be.
type stepReport struct {
	DryRun  bool         `json:"dry_run"`
	Changed bool         `json:"changed"`
	Steps   []setup.Step `json:"steps"`
}

func (a *app) printSteps(steps []setup.Step, dryRun bool) error {
	r := stepReport{DryRun: dryRun, Changed: !dryRun && len(steps) > 0, Steps: append([]setup.Step{}, steps...)}
	return a.print(r, func(t *table) {
		for _, s := range steps {
			t.line("%s", sentence(s, dryRun))
		}
		switch {
		case len(steps) == 0:
			t.line("nothing to change")
		case len(steps) > 1:
			t.line("%s", summary(steps, dryRun))
		}
	})
}

// sentence tells one step.
func sentence(s setup.Step, dryRun bool) string {
	verb, noun := verb(s.Action)
	prefix := past(verb)
	if dryRun {
		prefix = "would " + verb
	}
	text := fmt.Sprintf("%s %s '%s'", prefix, noun, s.Name)
	if len(s.Changes) > 0 {
		text += ": " + strings.Join(s.Changes, ", ")
	}
	return text
}

// verb splits an action such as add-label into its verb and what it is done to.
func verb(action string) (verb, noun string) {
	verb, noun, other := strings.Cut(action, "-")
	if !other {
		return verb, "network"
	}
	return verb, noun
}

func past(verb string) string {
	if strings.HasSuffix(verb, "e") {
		return verb + "d"
	}
	return verb + "ed"
}

// summary counts the steps by what they do.
func summary(steps []setup.Step, dryRun bool) string {
	var parts []string
	for i := 0; i < len(steps); {
		n := 1
		for i+n < len(steps) && steps[i+n].Action == steps[i].Action {
			n++
		}
		verb, noun := verb(steps[i].Action)
		parts = append(parts, count(n, noun)+" "+past(verb))
		i += n
	}
	text := strings.Join(parts, ", ")
	if dryRun {
		return "in all: " + text + " (not done)"
	}
	return "in all: " + text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
