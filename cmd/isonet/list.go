package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
)

// list is a list that a command shows: its columns, and what of them and of the
// rows was asked for.
type list[T any] struct {
	columns []grid.Column[T]
	// name is the number of the column that names a row.
	name int
	view *grid.View[T]
	// wide says that columns were asked for that are seldom shown.
	wide bool
}

func newList[T any](columns ...grid.Column[T]) *list[T] {
	l := &list[T]{columns: columns}
	if err := l.prepare(grid.Options{}); err != nil {
		panic(err) // nothing was asked for
	}
	return l
}

// prepare makes the list show what is asked for. It leaves it as it is if that is wrong.
func (l *list[T]) prepare(o grid.Options) error {
	view, err := grid.New(l.columns, o)
	if err == nil {
		l.view, l.wide = view, o.Wide
	}
	return err
}

func (l *list[T]) names() []string { return grid.Names(l.columns) }

// table adds rows that pick has returned.
func (l *list[T]) table(t *table, rows []T) {
	if t.form == "name" {
		for _, row := range rows {
			t.out.WriteString(oneLine(l.columns[l.name].Text(row)) + "\n")
		}
		return
	}
	t.flush()
	heading, lines, missing := l.view.Lines(rows, t.width, t.paint)
	if !t.bare {
		lines = slices.Insert(lines, 0, heading)
	}
	for _, line := range lines {
		t.out.WriteString(line + "\n")
	}
	if l.wide {
		t.missing = missing
	}
}

// print prints the rows that were asked for.
func (l *list[T]) print(a *app, rows []T) error {
	rows = l.view.Pick(rows)
	return a.print(rows, func(t *table) { l.table(t, rows) })
}

// lister is a list of whatever.
type lister interface {
	prepare(o grid.Options) error
	names() []string
}

// lists gives a command the flags that say what of its list is shown. A command
// that lists something else when it has an argument has a second list.
func (a *app) lists(cmd *cobra.Command, of ...lister) *cobra.Command {
	return a.listsBy(cmd, &grid.Options{}, of...)
}

// listsBy is lists with options that have what is used when nothing is asked for.
func (a *app) listsBy(cmd *cobra.Command, o *grid.Options, of ...lister) *cobra.Command {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Columns, "columns", nil, "show these columns, in this order: "+strings.Join(of[0].names(), ", "))
	flags.StringVar(&o.Sort, "sort", o.Sort, "sort by this column; with - before it, backwards")
	flags.StringArrayVar(&o.Filter, "filter", nil, "show only what fulfils this: COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~ (regular expression); several must all be fulfilled")
	flags.BoolVar(&a.bare, "no-headers", false, "show the rows alone")
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		o.Wide = a.output == "wide"
		if err := of[min(len(args), len(of)-1)].prepare(*o); err != nil {
			return usageFor(cmd, err.Error())
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
	for _, flag := range []string{"columns", "sort", "filter"} {
		must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(of[0].names(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
	}
	return cmd
}

// hint says which columns were asked for and had no room.
func (a *app) hint(t *table) {
	if len(t.missing) > 0 {
		a.complain("the terminal is too narrow for the columns " + strings.Join(t.missing, ", ") + "; choose some with --columns, or pipe the output into less -S")
	}
}

// forms are the output forms of a command.
func forms(cmd *cobra.Command) []string {
	if cmd.Flags().Lookup("no-headers") == nil {
		return []string{"table", "json", "yaml"}
	}
	return []string{"table", "wide", "name", "json", "yaml"}
}

// mood is that of what is good, or else bad or worth a look.
func mood(good, bad bool) grid.Mood {
	switch {
	case good:
		return grid.Good
	case bad:
		return grid.Bad
	}
	return grid.Warning
}
