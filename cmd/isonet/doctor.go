package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [NETWORK]",
		Short: "Say what is wrong with the host's networks, and what to do",
		Long: `Say what is wrong with the networks of the host, or with one of them: why it is
not active, and each finding about its isolation with the evidence, what isonetd
does about it, and what to do. It also names stale ports, bridges that ports keep,
devices that left the networks and are still guarded, and a version of Open vSwitch
that isonet does not support.

The exit code is 0 if nothing is wrong, and 3 if something is or if that is
unknown. Notices, stale ports and guarded devices do not count.`,
		Args:              arguments(0, 1, ""),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			status, err := narrowed(ctx, s)
			if err != nil {
				return err
			}
			err = a.print(status, func(t *table) { diagnosis(t, status) })
			if err == nil && !sound(status) {
				return errNotActive
			}
			return err
		}),
	}
}

// sound says that nothing is wrong.
func sound(s wire.Status) bool {
	for _, n := range s.Networks {
		if i := n.Isolation; i != nil && (!i.Isolated || i.Contested || i.HostGuard.Exposed()) {
			return false
		}
	}
	return healthy(s) && s.LastError == ""
}

func diagnosis(t *table, s wire.Status) {
	if !s.Connected {
		t.lineIn(grid.Bad, "Open vSwitch: %s", disconnected(s))
	}
	for _, m := range s.Missing {
		t.line("since %s %s: %s", moment(m.Since), means(m), m.Cause)
		t.line("  remedy: %s", m.Remedy)
	}
	for _, h := range s.Held {
		t.line("bridge '%s' should be gone and is kept by the ports %s", h.Bridge, strings.Join(h.Ports, ", "))
		t.line("  remedy: unplug them ('ovs-vsctl del-port PORT')")
	}
	if s.LastError != "" {
		t.lineIn(grid.Bad, "isonetd cannot apply a change: %s", s.LastError)
	}
	for _, n := range s.Notices {
		t.line("notice: %s", n.Text)
		t.line("  remedy: %s", n.Remedy)
	}
	for _, e := range s.Events {
		if e.Deed == "identified" {
			t.line("notice, %s: %s", moment(e.Time), e.Detail)
		}
	}
	for _, n := range s.Networks {
		t.lineIn(max(stateMood(n), isolationMood(n.Isolation)), "network '%s': %s, %s", n.Name, n.State, verdict(n.Isolation))
		if !n.Active() && !isMissing(s, n.Reason) {
			t.line("  %s", n.Reason)
		}
		if n.Isolation != nil {
			findings(t, s, *n.Isolation)
		}
		staleRemedy(t, n)
		mtuRemedy(t, n)
	}
	for _, device := range s.LeftGuarded {
		t.line("notice: the device %s left the networks, and the host guard still keeps it apart from the host", device)
		t.line("  if the host is to reach it: isonet guard release '%s'", device)
	}
	switch {
	case sound(s) && noticed(s):
		t.line("nothing breaks the isolation; what is above is worth a look")
	case sound(s):
		t.lineIn(grid.Good, "nothing is wrong")
	}
}

// mtuRemedy tells of the ports whose devices have not taken the network's MTU.
func mtuRemedy(t *table, n wire.NetworkStatus) {
	for _, p := range otherMTU(n) {
		t.line("  port %s: its device has an MTU of %d bytes, and the network %d: larger frames than the smaller one get lost", p.Name, p.MTU, n.MTU.Wanted)
		t.line("    remedy: see in the log of ovs-vswitchd why the device refuses it, and plug in another one; or isonet network update '%s' --mtu %d", n.Name, p.MTU)
	}
}

// otherMTU returns the ports with another MTU than the network's.
func otherMTU(n wire.NetworkStatus) []wire.Port {
	return slices.DeleteFunc(slices.Clone(n.Ports), func(p wire.Port) bool {
		return !n.Active() || p.Stale || p.MTU == 0 || p.MTU == n.MTU.Wanted
	})
}

// noticed says that there is something to tell, be it a notice.
func noticed(s wire.Status) bool {
	return len(s.LeftGuarded)+len(s.Held)+len(s.Notices) > 0 || slices.ContainsFunc(s.Networks, func(n wire.NetworkStatus) bool {
		return slices.ContainsFunc(n.Ports, func(p wire.Port) bool { return p.Stale }) || n.Isolation != nil && len(n.Isolation.Findings) > 0 || len(otherMTU(n)) > 0
	})
}

func findings(t *table, s wire.Status, i wire.Isolation) {
	for _, f := range i.Findings {
		t.line("  %s%s: %s", f.Reason, where(f.Port, f.Setting), f.Detail)
		t.line("    isonetd: %s", doing(i, f))
		t.line("    remedy: %s", f.Remedy)
	}
	if i.HostGuard.Exposed() && !isMissing(s, i.HostGuard.Reason) {
		t.line("  host guard %s", hostGuard(*i.HostGuard))
	}
	for _, port := range i.Pending {
		t.line("  pending, port %s: too little is known of it yet", port)
	}
	if i.Contested {
		t.line("  contested: somebody keeps breaking what isonetd repairs, so that it takes its time; find out who")
	}
}

// doing says what the daemon does about a finding.
func doing(i wire.Isolation, f wire.Finding) string {
	switch {
	case f.Quarantined:
		return "cut the port off"
	case f.Notice:
		return "reports it; it does not break the isolation by itself"
	case f.Action == "report" && i.Policy == "report":
		return "reports it, as the network's policy says"
	case f.Action == "report":
		return "reports it and leaves it to you"
	default:
		return fmt.Sprintf("is about to %s it", f.Action)
	}
}

// where names a port and a setting, as far as there are any.
func where(port, setting string) string {
	text := ""
	if port != "" {
		text += ", port " + port
	}
	if setting != "" {
		text += ", " + setting
	}
	return text
}

// verdict is isolated for a sentence, where no heading says what is unknown.
func verdict(i *wire.Isolation) string {
	if text := isolated(i); text != "UNKNOWN" {
		return text
	}
	return "isolation UNKNOWN"
}

// isMissing says that a reason is one that is told of the whole host already.
func isMissing(s wire.Status, reason string) bool {
	return slices.ContainsFunc(s.Missing, func(m wire.Missing) bool { return reason == m.Cause+": "+m.Remedy })
}

// isolated says in a few words how the isolation stands.
func isolated(i *wire.Isolation) string {
	switch {
	case i == nil:
		return "unknown" // the daemon is older
	case i.Verdict == "unknown" && len(i.Pending) == 0:
		return "UNKNOWN"
	case i.Isolated && !i.Contested && i.HostGuard.Exposed():
		return "isolated, host guard " + i.HostGuard.State
	case i.Contested && i.Isolated:
		return "isolated, contested"
	case i.Contested:
		return "NOT isolated, contested"
	case i.Isolated:
		return "isolated"
	case i.Violations() > 0:
		return fmt.Sprintf("NOT isolated, %d found", i.Violations())
	default:
		return "not known yet"
	}
}

// hostGuard says how the network and the host's network stack are kept apart.
func hostGuard(g wire.HostGuard) string {
	if g.Reason == "" {
		return g.State
	}
	return fmt.Sprintf("%s: %s", g.State, g.Reason)
}

// eventTable lists the newest events, the newest last.
func eventTable(t *table, events []wire.Event) {
	const shown = 10
	if len(events) == 0 {
		return
	}
	if t.bare || t.form == "name" { // it is not the list that is asked for
		return
	}
	t.line("")
	type e = wire.Event
	newList([]grid.Column[e]{
		{Name: "time", Text: func(e e) string { return moment(e.Time) }},
		{Name: "network", Text: func(e e) string { return e.Network }, Least: 10},
		{Name: "event", Text: func(e e) string { return e.Deed }},
		{Name: "reason", Text: func(e e) string { return e.Reason }, Rank: 2, Least: 8},
		{Name: "where", Text: func(e e) string { return strings.TrimPrefix(where(e.Port, e.Setting), ", ") }, Rank: 3, Least: 10},
		{Name: "evidence", Text: func(e e) string { return e.Detail }, Rank: 1, Least: 12},
	}...).table(t, events[max(0, len(events)-shown):])
}

// means says what is not known without something.
func means(m wire.Missing) string {
	switch m.Ground {
	case "store":
		return "isonetd does not know what the networks should be"
	case "rules":
		return "nobody knows whether the host is kept apart from VMs"
	}
	return "nobody knows how the networks are"
}
