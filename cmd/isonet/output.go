package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
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
		t := &table{}
		fill(t)
		data = t.bytes()
	}
	if err != nil {
		return err
	}
	return a.write(data)
}

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
	if _, err := a.stdout.Write(data); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// table collects lines and aligned rows.
type table struct {
	out  bytes.Buffer
	rows *tabwriter.Writer
}

// line adds one line that is not aligned with others.
func (t *table) line(format string, args ...any) {
	t.flush()
	t.out.WriteString(oneLine(fmt.Sprintf(format, args...)) + "\n")
}

// row adds a row whose cells are aligned with those of the rows around it.
func (t *table) row(cells ...string) {
	if t.rows == nil {
		t.rows = tabwriter.NewWriter(&t.out, 0, 8, 2, ' ', 0)
	}
	for i, cell := range cells {
		cells[i] = oneLine(cell)
		if cells[i] == "" {
			cells[i] = "-" // one word in every column, for tools like awk
		}
	}
	_, _ = fmt.Fprintln(t.rows, strings.Join(cells, "\t")) // a buffer takes all
}

func (t *table) flush() {
	if t.rows != nil {
		_ = t.rows.Flush() // a buffer takes all
		t.rows = nil
	}
}

func (t *table) bytes() []byte {
	t.flush()
	return t.out.Bytes()
}

// oneLine replaces what would break a line or reach the terminal as a command.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

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
