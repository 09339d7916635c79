package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

// entryTime is how a time of the history is shown.
const entryTime = "2006-01-02 15:04:05"

func (a *app) historyCommand() *cobra.Command {
	var q client.HistoryQuery
	var since time.Duration
	var follow bool
	entries := newList(a.historyColumns()...)
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show who did what",
		Long: `Show who did what, the newest last: every write with what changed before and
after, every failed login, and what isonetd did by itself. The user is the one who
logged in, or on the unix socket the user at the other end.

With --follow the command goes on with what is done from now on, until it is
interrupted, and --timeout does not apply. If isonetd stops meanwhile, the command
goes on when isonetd is back, and misses nothing.`,
		Args:              arguments(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if since > 0 {
				q.Since = a.now().Add(-since)
			}
			if follow {
				return a.followHistory(cmd.Context(), q)
			}
			return a.with(func(ctx context.Context, s session) error {
				found, err := s.History(ctx, q)
				if err != nil {
					return err
				}
				slices.Reverse(found)
				return entries.print(a, found)
			})(cmd, args)
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if q.Max < 0 || since < 0 {
				return usageFor(cmd, "--lines and --since must not be negative")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&since, "since", 0, "show only what was done in this time, such as 1h; 0 is any time")
	flags.StringVar(&q.User, "by", "", "show only what this user did, or who claimed to be this user: a name, or on the unix socket also a number")
	flags.StringVar(&q.Network, "network", "", "show only what is about this network")
	flags.IntVarP(&q.Max, "lines", "n", 100, "show at most that many, the newest; 0 is as many as isonetd sends at once")
	flags.BoolVarP(&follow, "follow", "f", false, "go on with what is done from now on")
	must(cmd.RegisterFlagCompletionFunc("network", a.completeNetworks(-1)))
	return a.lists(cmd, entries)
}

func (a *app) historyColumns() []grid.Column[wire.HistoryEntry] {
	type e = wire.HistoryEntry
	return []grid.Column[e]{
		{Name: "time", Path: "time", Text: a.localTime, Number: func(e e) (float64, bool) { return float64(e.Time.Unix()), true }},
		{Name: "who", Text: who, Least: 10},
		{Name: "client", Path: "client", Text: address, Rank: 2, Least: 10},
		{Name: "what", Path: "text", Text: func(e e) string { return e.Text }, Mood: severityMood, Least: 20},
		{Name: "index", Path: "index", Wide: true, Text: func(e e) string { return strconv.FormatInt(e.Index, 10) }, Number: func(e e) (float64, bool) {
			return float64(e.Index), true
		}},
		{Name: "code", Path: "code", Wide: true, Text: func(e e) string { return strconv.Itoa(e.Code) }, Number: func(e e) (float64, bool) {
			return float64(e.Code), true
		}},
		{Name: "severity", Path: "severity", Wide: true, Text: func(e e) string { return e.Severity }},
		{Name: "correlation", Path: "correlation_id", Wide: true, Text: func(e e) string { return e.CorrelationID }},
	}
}

// localTime is when it was, in the local time.
func (a *app) localTime(e wire.HistoryEntry) string {
	return e.Time.In(a.now().Location()).Format(entryTime)
}

// who did it.
func who(e wire.HistoryEntry) string {
	switch {
	case e.User != "":
		return e.User
	case e.ClaimedUser != "":
		return fmt.Sprintf("'%s'?", e.ClaimedUser)
	}
	return cmp.Or(e.Client, "isonetd")
}

// address is where it came from; "" of the unix socket, whose peer did it.
func address(e wire.HistoryEntry) string {
	if e.User == "" && e.ClaimedUser == "" {
		return ""
	}
	return e.Client
}

func severityMood(e wire.HistoryEntry) grid.Mood {
	switch e.Severity {
	case wire.Normal:
		return grid.Plain
	case wire.Warning:
		return grid.Warning
	}
	return grid.Bad
}

// followHistory shows each entry until ctx ends. It goes on when isonetd was away, as
// long as there is hope that this helps.
func (a *app) followHistory(ctx context.Context, q client.HistoryQuery) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.checkHost(ctx, c); err != nil {
		return err
	}
	return follow(a, c.FollowHistory(ctx, q), inForm(a, func(e wire.HistoryEntry) error {
		t := a.table()
		t.lineIn(severityMood(e), "%s  %s  %s", a.localTime(e), who(e), e.Text)
		return a.write(t.bytes())
	}))
}
