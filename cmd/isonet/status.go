package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

func (a *app) statusCommand() *cobra.Command {
	networks, ports := networkStatuses(), newList(portColumns(func(p wire.Port) wire.Port { return p })...)
	return a.lists(&cobra.Command{
		Use:   "status [NETWORK]",
		Short: "Show the state of the host's networks",
		Long: `Show the state of the host's networks, or of one of them with its ports.

The exit code is 0 if all of them are active, and 3 if one is not, or if that is
unknown: for example without a session to Open vSwitch's database, or without an
ovs-vswitchd that answers. The command then shows what is missing, with the remedy.`,
		Args:              arguments(0, 1, ""),
		ValidArgsFunction: a.completeAttached,
		RunE: a.with(func(ctx context.Context, s session) error {
			status, err := s.Status(ctx)
			if err != nil {
				return err
			}
			if len(s.args) == 1 {
				err = a.printNetworkStatus(&status, s.args[0], ports)
			} else {
				shown := status
				shown.Networks = networks.view.Pick(status.Networks)
				err = a.print(shown, func(t *table) {
					statusHead(t, status)
					if len(status.Networks) > 0 {
						networkTable(t, shown, networks)
					}
				})
			}
			if err == nil && !healthy(status) {
				return errNotActive
			}
			return err
		}),
	}, networks, ports)
}

func networkStatuses() *list[wire.NetworkStatus] {
	type n = wire.NetworkStatus
	direction := func(of func(*wire.Traffic) uint64) func(n) (float64, bool) {
		return func(n n) (float64, bool) {
			if n.Traffic == nil {
				return 0, false
			}
			return float64(of(n.Traffic)), true
		}
	}
	return newList([]grid.Column[n]{
		{Name: "network", Path: "name", Text: func(n n) string { return n.Name }, Least: 10},
		{Name: "state", Path: "state", Text: func(n n) string { return n.State }, Mood: stateMood},
		{Name: "isolation", Path: "isolation.verdict", Text: func(n n) string { return isolated(n.Isolation) }, Mood: func(n n) grid.Mood { return isolationMood(n.Isolation) }, Least: 13},
		{Name: "bridge", Path: "bridge", Text: func(n n) string { return n.Bridge }, Rank: 5},
		{Name: "mtu", Path: "mtu.wanted", Text: func(n n) string { return mtuStatus(n.MTU) }, Number: func(n n) (float64, bool) { return float64(n.MTU.Wanted), true }, Rank: 4},
		{Name: "ports", Text: func(n n) string { return ports(n.Ports) }, Number: func(n n) (float64, bool) { return float64(len(n.Ports)), true }, Rank: 2},
		{Name: "cause", Text: func(n n) string { return cause(n.Cause) }, Rank: 6, Least: 10},
		{Name: "received", Path: "traffic.total.received_bytes", Rank: 3, Least: 9, Text: func(n n) string {
			received, _ := traffic(n.Traffic)
			return received
		}, Number: direction(func(t *wire.Traffic) uint64 { return t.Total.ReceivedBytes })},
		{Name: "transmitted", Path: "traffic.total.transmitted_bytes", Rank: 3, Least: 9, Text: func(n n) string {
			_, transmitted := traffic(n.Traffic)
			return transmitted
		}, Number: direction(func(t *wire.Traffic) uint64 { return t.Total.TransmittedBytes })},
		{Name: "reason", Path: "reason", Text: func(n n) string { return n.Reason }, Rank: 1, Least: 20},
		{Name: "id", Path: "id", Text: func(n n) string { return n.ID }, Rank: 7, Wide: true},
		{Name: "strict", Path: "isolation.strict_state", Text: func(n n) string {
			if n.Isolation == nil {
				return ""
			}
			return n.Isolation.StrictState
		}, Rank: 7, Wide: true},
		{Name: "since", Path: "since", Text: func(n n) string { return moment(n.Since) }, Number: func(n n) (float64, bool) {
			return float64(n.Since.Unix()), !n.Since.IsZero()
		}, Rank: 7, Wide: true},
	}...)
}

func stateMood(n wire.NetworkStatus) grid.Mood { return mood(n.Active(), n.State == "error") }

// isolationMood is worst for what is known to be open.
func isolationMood(i *wire.Isolation) grid.Mood {
	return mood(isolated(i) == "isolated", i != nil && !i.Isolated && i.Verdict != "unknown")
}

func healthy(s wire.Status) bool {
	for _, n := range s.Networks {
		if !n.Active() {
			return false
		}
	}
	return s.Connected && len(s.Missing) == 0
}

// missing lists what the verdicts rest on and is not there.
func missing(t *table, s wire.Status) {
	for _, m := range s.Missing {
		t.rowIn(grid.Bad, "MISSING:", fmt.Sprintf("%s, since %s: %s", m.Cause, moment(m.Since), m.Remedy))
	}
}

// reason is the text of a reason, which points at the head of the status if it
// stands there already.
func reason(s wire.Status, text string) string {
	if isMissing(s, text) {
		return "see MISSING"
	}
	return text
}

// printNetworkStatus prints one network and leaves only that in the status.
func (a *app) printNetworkStatus(s *wire.Status, reference string, ports *list[wire.Port]) error {
	if err := narrow(s, reference); err != nil {
		return err
	}
	n := s.Networks[0]
	none := len(n.Ports) == 0
	n.Ports = ports.view.Pick(n.Ports)
	return a.print(n, func(t *table) {
		if !s.Connected {
			t.rowIn(grid.Bad, "Open vSwitch:", disconnected(*s))
		}
		missing(t, *s)
		networkDetail(t, *s, n)
		if none {
			t.line("no ports")
			return
		}
		ports.table(t, n.Ports)
	})
}

// narrowed returns the host's status, with one network only if the command line
// names one.
func narrowed(ctx context.Context, s session) (wire.Status, error) {
	status, err := s.Status(ctx)
	if err == nil && len(s.args) == 1 {
		err = narrow(&status, s.args[0])
	}
	return status, err
}

// narrow leaves one network in a status, found by its id or name, with what
// happened to it.
func narrow(s *wire.Status, reference string) error {
	n, err := attachedNetwork(*s, reference)
	if err != nil {
		return err
	}
	s.Networks, s.LeftGuarded = []wire.NetworkStatus{n}, []string{}
	s.Held = slices.DeleteFunc(s.Held, func(h wire.Held) bool { return h.NetworkID != n.ID })
	s.Events = slices.DeleteFunc(s.Events, func(e wire.Event) bool { return e.NetworkID != n.ID })
	return nil
}

// attachedNetwork finds a network of the host by id or name.
func attachedNetwork(s wire.Status, reference string) (wire.NetworkStatus, error) {
	networks := make([]client.Network, len(s.Networks))
	byID := make(map[string]wire.NetworkStatus, len(s.Networks))
	for i, n := range s.Networks {
		networks[i] = client.Network{ID: n.ID, Name: n.Name}
		byID[n.ID] = n
	}
	found, err := resolve(networks, []string{reference})
	if err != nil {
		return wire.NetworkStatus{}, &absent{aNetwork, reference, err}
	}
	return byID[found[0].ID], nil
}

func networkDetail(t *table, s wire.Status, n wire.NetworkStatus) {
	received, transmitted := traffic(n.Traffic)
	t.row("network:", n.Name)
	t.row("id:", n.ID)
	t.rowIn(stateMood(n), "state:", fmt.Sprintf("%s since %s", n.State, moment(n.Since)))
	t.row("reason:", reason(s, n.Reason))
	t.rowIn(isolationMood(n.Isolation), "isolation:", isolated(n.Isolation))
	if i := n.Isolation; i != nil && i.StrictState != "" {
		t.row("strict:", i.StrictState)
	}
	if i := n.Isolation; i != nil && i.HostGuard != nil {
		t.row("host guard:", hostGuard(wire.HostGuard{State: i.HostGuard.State, Reason: reason(s, i.HostGuard.Reason)}))
	}
	t.row("bridge:", n.Bridge)
	t.row("mtu:", mtuStatus(n.MTU))
	t.row("cause:", cause(n.Cause))
	t.row("received:", received)
	t.row("transmitted:", transmitted)
	t.line("")
}

func statusHead(t *table, s wire.Status) {
	t.row("host:", s.Host.Name, s.Host.ID)
	if s.Connected {
		t.row("Open vSwitch:", fmt.Sprintf("connected since %s, %s", moment(s.Since), kind(s)))
	} else {
		t.rowIn(grid.Bad, "Open vSwitch:", disconnected(s))
	}
	missing(t, s)
	if s.Standby {
		t.row("standby:", "another isonetd manages this Open vSwitch; this one only shows it")
	}
	t.row("repairs:", strconv.FormatUint(s.Repairs, 10))
	if s.LastError != "" {
		t.rowIn(grid.Bad, "last error:", s.LastError)
	}
	for _, h := range s.Held {
		t.row("held:", fmt.Sprintf("bridge %s should go and stays while these ports are in use: %s", h.Bridge, strings.Join(h.Ports, ", ")))
	}
	t.line("")
	if len(s.Networks) == 0 {
		t.line("no network is attached to this host")
	}
}

func networkTable(t *table, s wire.Status, networks *list[wire.NetworkStatus]) {
	t.note("Traffic is what the ports received and transmitted in all (and now), in binary units: 1 KiB = 1024 B.")
	rows := slices.Clone(s.Networks)
	for i := range rows {
		rows[i].Reason = reason(s, rows[i].Reason)
	}
	networks.table(t, rows)
	eventTable(t, s.Events)
}

// kind says what Open vSwitch tells of itself; it need not know its version.
func kind(s wire.Status) string {
	return fmt.Sprintf("version %s, datapath %s", cmp.Or(s.OVSVersion, "unknown"), cmp.Or(s.DatapathType, "unknown"))
}

func disconnected(s wire.Status) string {
	if s.Host.ID == "" {
		return "NOT CONNECTED, and never was since isonetd started"
	}
	return fmt.Sprintf("NOT CONNECTED since %s; what follows is the past", moment(s.Since))
}

func mtuStatus(m wire.MTU) string {
	if m.Actual == m.Wanted {
		return strconv.Itoa(m.Wanted)
	}
	return fmt.Sprintf("%s, wanted %d", number(m.Actual), m.Wanted)
}

// number writes a number whose 0 means that it is unknown.
func number(n int) string {
	if n == 0 {
		return "unknown"
	}
	return strconv.Itoa(n)
}

func link(p wire.Port) string {
	switch {
	case p.Elsewhere:
		return "unknown"
	case p.LinkUp:
		return "up"
	}
	return "down"
}

// ports writes how many ports there are, and how many of them have no link or no
// device.
func ports(list []wire.Port) string {
	down, stale := 0, 0
	for _, p := range list {
		switch {
		case p.Stale:
			stale++
		case !p.LinkUp && !p.Elsewhere:
			down++
		}
	}
	text := strconv.Itoa(len(list))
	if down > 0 {
		text += fmt.Sprintf(", %d down", down)
	}
	if stale > 0 {
		text += fmt.Sprintf(", %d stale", stale)
	}
	return text
}

func cause(c wire.Cause) string {
	switch {
	case c.Explicit && c.Label != "":
		return "explicit, label " + c.Label
	case c.Label != "":
		return "label " + c.Label
	default:
		return "explicit"
	}
}

// traffic writes both directions: the total and, when it is known, the rate.
func traffic(t *wire.Traffic) (received, transmitted string) {
	if t == nil {
		return "", ""
	}
	received, transmitted = size(float64(t.Total.ReceivedBytes)), size(float64(t.Total.TransmittedBytes))
	if t.Rate == nil {
		return received, transmitted
	}
	return fmt.Sprintf("%s (%s/s)", received, size(t.Rate.ReceivedBytes)),
		fmt.Sprintf("%s (%s/s)", transmitted, size(t.Rate.TransmittedBytes))
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.RFC3339)
}
