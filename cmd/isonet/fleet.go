package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

// mostUnwell is how many hosts that are not well a table has, so that it fits a screen.
const mostUnwell = 20

func (a *app) fleetCommand() *cobra.Command {
	return a.group("fleet", "Show how all hosts of a fleet are", "", a.fleetStatusCommand())
}

// fleetReport is the machine form of how a fleet is.
type fleetReport struct {
	// Revision is the newest of the desired state.
	Revision int64 `json:"revision"`
	// Total counts all hosts, Up and Maintenance those of that status.
	Total       int `json:"total"`
	Up          int `json:"up"`
	Maintenance int `json:"maintenance"`
	// Behind counts the hosts that have not read the newest revision, as far as is
	// known, and MostBehind is how many revisions one lacks at the most.
	Behind     int   `json:"behind"`
	MostBehind int64 `json:"most_behind"`
	// Networks counts the networks of all hosts that reported, each as often as it is on a
	// host. Of these Faulty are not active or not shown to be isolated, and Unknown are on
	// hosts of which nothing is known now.
	Networks int `json:"networks"`
	Faulty   int `json:"faulty"`
	Unknown  int `json:"unknown"`
	// Versions counts the hosts by the version of isonetd there, as far as is known.
	Versions map[string]int `json:"versions"`
	// Hosts are those that are not well, or all.
	Hosts []wire.HostOverview `json:"hosts"`
}

func (a *app) fleetStatusCommand() *cobra.Command {
	var all bool
	revision := new(int64) // of the columns, when there is a reply
	hosts := newList(fleetColumns(revision)...)
	cmd := a.lists(&cobra.Command{
		Use:   "status",
		Short: "Show how many hosts are up, and which are not well",
		Long: fmt.Sprintf(`Show how many hosts of a fleet are up, how far they are behind the newest change,
and which of them are not well: hosts that are not up, and networks that are not active
or not shown to be isolated. A table has %d of these hosts at the most; --all lists
every host. Hosts in maintenance are not asked to be up.

The exit code is 0 if all hosts are well, and 3 if one is not, or if that is unknown.
Without fleet-status in isonetd's configuration nothing is known of other hosts.`, mostUnwell),
		Args: arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			reply, err := s.Overview(ctx)
			if err != nil {
				return err
			}
			*revision = reply.Revision
			report, unwell := fleetOf(reply)
			if !all {
				report.Hosts = unwell
			}
			report.Hosts = hosts.view.Pick(report.Hosts)
			err = a.print(report, func(t *table) {
				fleetHead(t, report)
				rows := report.Hosts
				if !all && t.form != "name" {
					rows = rows[:min(mostUnwell, len(rows))]
				}
				if len(rows) > 0 {
					hosts.table(t, rows)
				}
				if left := len(report.Hosts) - len(rows); left > 0 {
					t.line("and %s more: see 'isonet fleet status --all'", count(left, "host"))
				}
			})
			if err == nil && len(unwell) > 0 {
				return errNotActive
			}
			return err
		}),
	}, hosts)
	cmd.Flags().BoolVar(&all, "all", false, "list every host, also those that are well")
	return cmd
}

// fleetOf counts how the hosts are. Unwell are those that are not.
func fleetOf(reply wire.Hosts) (r fleetReport, unwell []wire.HostOverview) {
	r = fleetReport{Revision: reply.Revision, Total: len(reply.Hosts), Versions: map[string]int{}, Hosts: reply.Hosts}
	unwell = []wire.HostOverview{}
	for _, h := range reply.Hosts {
		switch h.Status {
		case "up":
			r.Up++
		case "maintenance":
			r.Maintenance++
		}
		if n, known := behind(reply.Revision, h); known && n > 0 {
			r.Behind, r.MostBehind = r.Behind+1, max(r.MostBehind, n)
		}
		r.Networks, r.Faulty = r.Networks+h.Networks, r.Faulty+h.Faulty
		if h.Reason != "" {
			r.Unknown += h.Networks
		}
		if h.Version != "" {
			r.Versions[h.Version]++
		}
		if (h.Status != "up" && h.Status != "maintenance") || h.Faulty > 0 {
			unwell = append(unwell, h)
		}
	}
	return r, unwell
}

// behind is how many revisions a host has not read. That it realised an older one says
// nothing: later ones need not concern it.
func behind(revision int64, h wire.HostOverview) (revisions int64, known bool) {
	return max(0, revision-max(h.Seen, h.Realised)), h.Seen > 0
}

func fleetHead(t *table, r fleetReport) {
	up := fmt.Sprintf("%d of %d up", r.Up, r.Total)
	if r.Maintenance > 0 {
		up += fmt.Sprintf(", %d in maintenance", r.Maintenance)
	}
	t.rowIn(mood(r.Up+r.Maintenance == r.Total, true), "hosts:", up)
	newest := strconv.FormatInt(r.Revision, 10)
	if r.Behind > 0 {
		newest += fmt.Sprintf(", not read yet by %s, which lack %d at the most", count(r.Behind, "host"), r.MostBehind)
	}
	t.row("revision:", newest)
	networks := fmt.Sprintf("%d active and isolated", r.Networks-r.Faulty-r.Unknown)
	if r.Faulty > 0 {
		networks += fmt.Sprintf(", %d not", r.Faulty)
	}
	if r.Unknown > 0 {
		networks += fmt.Sprintf(", %d unknown", r.Unknown)
	}
	t.rowIn(mood(r.Faulty+r.Unknown == 0, r.Faulty > 0), "networks:", networks)
	if len(r.Versions) > 1 {
		var versions []string
		for _, version := range slices.Sorted(maps.Keys(r.Versions)) {
			versions = append(versions, fmt.Sprintf("%s on %s", version, count(r.Versions[version], "host")))
		}
		t.rowIn(grid.Warning, "versions:", strings.Join(versions, ", "))
	}
	t.line("")
}

func fleetColumns(revision *int64) []grid.Column[wire.HostOverview] {
	type h = wire.HostOverview
	whole := func(of func(h) int) (func(h) string, func(h) (float64, bool)) {
		return func(h h) string { return strconv.Itoa(of(h)) }, func(h h) (float64, bool) { return float64(of(h)), true }
	}
	networks, networksNumber := whole(func(h h) int { return h.Networks })
	faulty, faultyNumber := whole(func(h h) int { return h.Faulty })
	return []grid.Column[h]{
		{Name: "host", Path: "name", Text: func(h h) string { return h.Name }, Least: 12},
		{Name: "status", Path: "status", Text: func(h h) string { return h.Status }, Mood: func(h h) grid.Mood {
			return mood(h.Status == "up", h.Status == "non_responsive")
		}},
		{Name: "heard", Path: "heard", Rank: 3, Text: func(h h) string {
			if h.Heard.IsZero() {
				return "" // the daemon's own host, or one that never reported
			}
			return moment(h.Heard)
		}, Number: func(h h) (float64, bool) { return float64(h.Heard.Unix()), !h.Heard.IsZero() }},
		{Name: "behind", Rank: 4, Text: func(h h) string {
			if n, known := behind(*revision, h); known {
				return strconv.FormatInt(n, 10)
			}
			return ""
		}, Number: func(h h) (float64, bool) {
			n, known := behind(*revision, h)
			return float64(n), known
		}},
		{Name: "networks", Path: "networks", Text: networks, Number: networksNumber, Rank: 5},
		{Name: "faulty", Path: "faulty", Text: faulty, Number: faultyNumber, Rank: 2, Mood: func(h h) grid.Mood { return mood(h.Faulty == 0, true) }},
		{Name: "reason", Text: whyUnwell, Rank: 1, Least: 20},
		{Name: "id", Path: "id", Text: func(h h) string { return h.ID }, Rank: 6, Wide: true},
		{Name: "version", Path: "version", Text: func(h h) string { return h.Version }, Rank: 6, Wide: true},
		{Name: "realised", Path: "realised", Rank: 6, Wide: true, Text: func(h h) string {
			if h.Realised == 0 {
				return ""
			}
			return strconv.FormatInt(h.Realised, 10)
		}, Number: func(h h) (float64, bool) { return float64(h.Realised), h.Realised > 0 }},
	}
}

// whyUnwell says what is wrong with a host, or with the first of its networks.
func whyUnwell(h wire.HostOverview) string {
	if h.Reason != "" || len(h.Problems) == 0 {
		return h.Reason
	}
	p := h.Problems[0]
	text := fmt.Sprintf("%s is %s, isolation %s", p.Name, p.State, cmp.Or(p.Isolation, "unknown"))
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	if h.Faulty > 1 {
		text += fmt.Sprintf(" (and %s more)", count(h.Faulty-1, "network"))
	}
	return text
}
