package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
)

// print writes value in one of the machine forms, or as the table that fill makes.
func (a *app) print(value any, fill func(t *table)) error {
	var data []byte
	var err error
	switch a.output {
	case "json":
		data, err = encode(value, "  ")
	case "yaml":
		data, err = toYAML(value)
	default:
		t := a.table()
		fill(t)
		a.hint(t)
		data = t.bytes()
	}
	if err != nil {
		return err
	}
	return a.write(data)
}

// table returns an empty table for standard output.
func (a *app) table() *table {
	t := &table{form: a.output, bare: a.bare, paint: a.painter()}
	t.width, _ = a.width()
	return t
}

// width returns how many cells a line of standard output may have, and whether that
// is a terminal; 0 means that there is no limit.
func (a *app) width() (cells int, terminal bool) {
	if a.screen == nil {
		return 0, false
	}
	_, cells, terminal = a.screen()
	if n, err := strconv.Atoi(a.variable("COLUMNS")); terminal && err == nil && n > 0 {
		return n, true
	}
	return cells, terminal
}

// dumb says that a terminal has nothing but lines.
func (a *app) dumb() bool { return a.variable("TERM") == "dumb" }

// encode writes JSON for people: <, > and & as they are.
func encode(value any, indent string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	err := encoder.Encode(value)
	return b.Bytes(), err
}

func (a *app) write(data []byte) error {
	a.progress.hide() // for good: the rest is on the same screen
	if _, err := a.stdout.Write(data); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// table collects lines and aligned rows.
type table struct {
	out  bytes.Buffer
	rows []tableRow
	// form is the output form: name keeps all but names out.
	form string
	// bare keeps all but the rows of a list out.
	bare bool
	// width is how many cells a line may have; 0 means that there is no limit, as
	// where no terminal is.
	width int
	// paint colours a text; nil leaves it as it is.
	paint func(grid.Mood, string) string
	// missing are columns that were asked for and had no room.
	missing []string
}

type tableRow struct {
	cells []string
	mood  grid.Mood // of the last one
}

// line adds one line that is not aligned with others.
func (t *table) line(format string, args ...any) { t.lineIn(grid.Plain, format, args...) }

// lineIn is line in a colour.
func (t *table) lineIn(mood grid.Mood, format string, args ...any) {
	t.flush()
	t.add(t.tone(mood, oneLine(fmt.Sprintf(format, args...))))
}

// note adds a line that is broken between words where there is no room.
func (t *table) note(format string, args ...any) {
	t.flush()
	for _, line := range t.wrap(oneLine(fmt.Sprintf(format, args...)), 0) {
		t.add(line)
	}
}

func (t *table) add(line string) {
	if !t.bare && t.form != "name" {
		t.out.WriteString(line + "\n")
	}
}

// row adds a row whose cells are aligned with those of the rows around it.
func (t *table) row(cells ...string) { t.rowIn(grid.Plain, cells...) }

// rowIn is row with the last cell in a colour.
func (t *table) rowIn(mood grid.Mood, cells ...string) {
	for i, cell := range cells {
		cells[i] = cmp.Or(oneLine(cell), "-") // one word in every column, for tools like awk
	}
	t.rows = append(t.rows, tableRow{cells, mood})
}

// flush writes the rows. What has no room in the last column goes on below.
func (t *table) flush() {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row.cells[:len(row.cells)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell)+2)
		}
	}
	rows := t.rows
	t.rows = nil
	for _, row := range rows {
		line, last := "", len(row.cells)-1
		for i, cell := range row.cells[:last] {
			line += cell + strings.Repeat(" ", widths[i]-ansi.StringWidth(cell))
		}
		indent := ansi.StringWidth(line)
		for _, text := range t.wrap(row.cells[last], indent) {
			t.add(line + t.tone(row.mood, text))
			line = strings.Repeat(" ", indent)
		}
	}
}

// wrap breaks a text between words, and within those that are too long, so that it
// fits behind an indent.
func (t *table) wrap(text string, indent int) []string {
	room := t.width - indent
	if room <= 0 || ansi.StringWidth(text) <= room {
		return []string{text}
	}
	// A date, or the name of a network, is not broken at its hyphens.
	const hyphen, joined = "-", "\u2011"
	wrapped := ansi.Wrap(strings.ReplaceAll(text, hyphen, joined), room, "")
	return strings.Split(strings.ReplaceAll(wrapped, joined, hyphen), "\n")
}

func (t *table) bytes() []byte {
	t.flush()
	return t.out.Bytes()
}

// tone colours a text.
func (t *table) tone(mood grid.Mood, text string) string {
	if t.paint == nil {
		return text
	}
	return t.paint(mood, text)
}

// painter returns what colours a text of standard output; nil leaves it as it is.
func (a *app) painter() func(grid.Mood, string) string {
	_, terminal := a.width()
	if a.color == "never" || a.color == "auto" && (a.variable("NO_COLOR") != "" || a.dumb() || !terminal) {
		return nil
	}
	return colored
}

// colored colours a text by the sixteen colours that every terminal has, as its user
// chose them.
func colored(mood grid.Mood, text string) string {
	switch mood {
	case grid.Good:
		return ansi.NewStyle().ForegroundColor(ansi.Green).Styled(text)
	case grid.Warning:
		return ansi.NewStyle().ForegroundColor(ansi.Yellow).Styled(text)
	case grid.Bad:
		return ansi.NewStyle().Bold().ForegroundColor(ansi.Red).Styled(text)
	case grid.Heading:
		return ansi.NewStyle().Bold().Styled(text)
	}
	return text
}

// oneLine replaces what would break a line, or reach the terminal as a command.
func oneLine(text string) string { return grid.Clean(text) }

// size writes a number of bytes in binary units.
func size(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	digits := 1
	if i == 0 || n >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + units[i]
}
