// Package grid lays out lists as tables that fit a width in cells of a terminal.
// It has the columns, which of them are shown, and which rows in which order.
package grid

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Mood says how good a cell is, for its colour. The text has to say it too.
type Mood int

// The moods.
const (
	Plain Mood = iota
	Good
	Warning
	Bad
	Heading
)

// Column is a column of a table whose rows are of type T.
type Column[T any] struct {
	// Name is what the column is called by. The heading is the name in capitals.
	Name string
	// Path is the member of the JSON form that has the same, if there is one; the
	// column is called by it too.
	Path string
	// Text is the cell; "" is not known.
	Text func(T) string
	// Number is what columns of numbers are sorted and compared by, and whether it
	// is known. It is nil for columns of texts.
	Number func(T) (number float64, known bool)
	// Mood may be nil.
	Mood func(T) Mood
	// Wide columns are shown only if they are asked for.
	Wide bool
	// Rank says how soon the column goes when there is no room: the highest goes
	// first, and 0 stays. Those of one rank go together.
	Rank int
	// Least is to how many cells the column may be cut; 0 means that it may not.
	Least int
}

// Options are what is asked for. Columns are called by their name or their path.
type Options struct {
	// Columns are to be shown, in this order; none of them means the usual ones.
	Columns []string
	// Wide adds the columns that are shown only if they are asked for.
	Wide bool
	// Sort is the column to sort by, with - before it in the opposite order; ""
	// leaves the order.
	Sort string
	// LargestFirst turns the order of columns of numbers round.
	LargestFirst bool
	// Filter are conditions, such as mtu>1500: rows that fulfil all of them are shown.
	Filter []string
}

// View is a table with what is asked for.
type View[T any] struct {
	columns []Column[T]
	chosen  bool // the columns are what the user named
	filters []func(T) bool
	order   func(a, b T) int
}

// New returns a view, or an error that says what is wrong with the options and
// what there is.
func New[T any](columns []Column[T], o Options) (*View[T], error) {
	v := &View[T]{chosen: len(o.Columns) > 0}
	for _, name := range o.Columns {
		c, err := find(columns, name)
		if err != nil {
			return nil, err
		}
		v.columns = append(v.columns, c)
	}
	if !v.chosen {
		v.columns = slices.DeleteFunc(slices.Clone(columns), func(c Column[T]) bool { return c.Wide && !o.Wide })
	}
	for _, text := range o.Filter {
		f, err := condition(columns, text)
		if err != nil {
			return nil, err
		}
		v.filters = append(v.filters, f)
	}
	if o.Sort != "" {
		name, backwards := strings.CutPrefix(o.Sort, "-")
		c, err := find(columns, name)
		if err != nil {
			return nil, err
		}
		v.order = c.order(backwards != (o.LargestFirst && c.Number != nil))
	}
	return v, nil
}

// Names returns what columns are called by.
func Names[T any](columns []Column[T]) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

func find[T any](columns []Column[T], name string) (Column[T], error) {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) || (c.Path != "" && strings.EqualFold(c.Path, name)) {
			return c, nil
		}
	}
	return Column[T]{}, fmt.Errorf("unknown column '%s': use %s", name, strings.Join(Names(columns), ", "))
}

// Pick returns the rows to show, in their order.
func (v *View[T]) Pick(rows []T) []T {
	picked := slices.DeleteFunc(append([]T{}, rows...), func(row T) bool {
		return slices.ContainsFunc(v.filters, func(fulfils func(T) bool) bool { return !fulfils(row) })
	})
	return v.Sort(picked)
}

// Sort sorts rows in place, and returns them.
func (v *View[T]) Sort(rows []T) []T {
	if v.order != nil {
		slices.SortStableFunc(rows, v.order)
	}
	return rows
}

// order compares by what the column has. What is not known comes last.
func (c Column[T]) order(backwards bool) func(a, b T) int {
	sign := 1
	if backwards {
		sign = -1
	}
	return func(a, b T) int {
		switch known, too := c.known(a), c.known(b); {
		case known && too:
			return sign * c.compare(a, b)
		case known:
			return -1
		case too:
			return 1
		}
		return 0
	}
}

func (c Column[T]) known(row T) bool {
	if c.Number == nil {
		return c.Text(row) != ""
	}
	_, known := c.Number(row)
	return known
}

func (c Column[T]) compare(a, b T) int {
	if c.Number == nil {
		return Natural(c.Text(a), c.Text(b))
	}
	x, _ := c.Number(a)
	y, _ := c.Number(b)
	return cmp.Compare(x, y)
}

// Natural compares texts, with the numbers in them by their value.
func Natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if order := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n), cmp.Compare(x, y)); order != 0 {
			return order
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns how many digits a text begins with.
func digits(text string) int {
	return len(text) - len(strings.TrimLeft(text, "0123456789"))
}

// Lines returns the heading and a line for each row, none wider than width, in
// cells; 0 means that there is no limit. Missing are columns for which there was no
// room. Paint colours a text; nil leaves all as it is.
func (v *View[T]) Lines(rows []T, width int, paint func(Mood, string) string) (heading string, lines, missing []string) {
	cells := make([][]string, len(rows)+1)
	for _, c := range v.columns {
		cells[0] = append(cells[0], strings.ToUpper(c.Name))
		for i, row := range rows {
			cells[i+1] = append(cells[i+1], cell(c.Text(row)))
		}
	}
	widths := v.fit(cells, width)
	for i, w := range widths {
		if w == 0 {
			missing = append(missing, v.columns[i].Name)
		}
	}
	moods := func(int) Mood { return Heading }
	for i, line := range cells {
		if i > 0 {
			moods = func(column int) Mood {
				if mood := v.columns[column].Mood; mood != nil {
					return mood(rows[i-1])
				}
				return Plain
			}
		}
		lines = append(lines, v.line(line, widths, moods, paint))
	}
	return lines[0], lines[1:], missing
}

// line puts cells beside each other.
func (v *View[T]) line(cells []string, widths []int, mood func(column int) Mood, paint func(Mood, string) string) string {
	var b strings.Builder
	blank := 0 // what is written before the next cell: no line ends with blanks
	for i, text := range cells {
		if widths[i] == 0 {
			continue
		}
		text = ansi.Truncate(text, widths[i], "…")
		pad := widths[i] - ansi.StringWidth(text)
		if v.columns[i].Number != nil {
			blank, pad = blank+pad, 0
		}
		if m := mood(i); paint != nil {
			text = paint(m, text)
		}
		b.WriteString(strings.Repeat(" ", blank) + text)
		blank = pad + gap
	}
	return b.String()
}

// gap is how many cells are between two columns.
const gap = 2

// cell is a text as a cell has it: one line, and never empty, for tools like awk.
func cell(text string) string {
	return cmp.Or(Clean(text), "-")
}
