package grid_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
)

// thing is a row: a name, and a size that is not known if it is negative.
type thing struct {
	name string
	size float64
}

func columns() []grid.Column[thing] {
	return []grid.Column[thing]{
		{Name: "name", Path: "spec.name", Text: func(t thing) string { return t.name }, Least: 6},
		{Name: "size", Text: func(t thing) string {
			if t.size < 0 {
				return ""
			}
			return strconv.FormatFloat(t.size, 'f', -1, 64) + " B"
		}, Number: func(t thing) (float64, bool) { return t.size, t.size >= 0 }, Rank: 1},
		{Name: "note", Text: func(t thing) string { return "of " + t.name }, Rank: 2, Least: 5},
		{Name: "more", Text: func(thing) string { return "x" }, Rank: 3, Wide: true},
	}
}

func things() []thing {
	return []thing{{"vnet10", 2048}, {"vnet2", 1536}, {"vnet1", -1}, {"", 3}, {"vnet02", 10}}
}

func names(list []thing) string {
	var all []string
	for _, t := range list {
		all = append(all, t.name)
	}
	return strings.Join(all, " ")
}

func TestPick(t *testing.T) {
	tests := []struct {
		options grid.Options
		want    string
	}{
		{grid.Options{}, "vnet10 vnet2 vnet1  vnet02"},
		{grid.Options{Sort: "name"}, "vnet1 vnet2 vnet02 vnet10 "},
		{grid.Options{Sort: "-spec.name"}, "vnet10 vnet02 vnet2 vnet1 "},
		{grid.Options{Sort: "size"}, " vnet02 vnet2 vnet10 vnet1"},
		{grid.Options{Sort: "-SIZE"}, "vnet10 vnet2 vnet02  vnet1"},
		{grid.Options{Sort: "size", LargestFirst: true}, "vnet10 vnet2 vnet02  vnet1"},
		{grid.Options{Sort: "-size", LargestFirst: true}, " vnet02 vnet2 vnet10 vnet1"},
		{grid.Options{Sort: "name", LargestFirst: true}, "vnet1 vnet2 vnet02 vnet10 "},
		{grid.Options{Filter: []string{"name=vnet2"}}, "vnet2"},
		{grid.Options{Filter: []string{"name!=vnet2"}}, "vnet10 vnet1  vnet02"},
		{grid.Options{Filter: []string{"name="}}, ""},
		{grid.Options{Filter: []string{"name~2$"}}, "vnet2 vnet02"},
		{grid.Options{Filter: []string{"name!~^vnet"}}, ""},
		{grid.Options{Filter: []string{"note~a=b|2"}}, "vnet2 vnet02"},
		{grid.Options{Filter: []string{"size>1.5 KiB"}}, "vnet10"},
		{grid.Options{Filter: []string{"size>=1.5KiB", "name~2"}}, "vnet2"},
		{grid.Options{Filter: []string{"size<10"}}, ""},
		{grid.Options{Filter: []string{" size <= 10s "}}, " vnet02"},
		{grid.Options{Filter: []string{"size=10"}}, "vnet02"},
		{grid.Options{Filter: []string{"size!=10"}}, "vnet10 vnet2 vnet1 "},
		{grid.Options{Filter: []string{"size<1970-01-01T00:00:11Z"}}, " vnet02"},
		{grid.Options{Filter: []string{"size~^2048"}}, "vnet10"},
	}
	for _, tt := range tests {
		view, err := grid.New(columns(), tt.options)
		if err != nil {
			t.Errorf("%+v: %v", tt.options, err)
			continue
		}
		rows := things()
		if got := names(view.Pick(rows)); got != tt.want {
			t.Errorf("%+v picks %q, want %q", tt.options, got, tt.want)
		}
		if diff := cmp.Diff(things(), rows, cmp.AllowUnexported(thing{})); diff != "" {
			t.Errorf("%+v changed its rows:\n%s", tt.options, diff)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	tests := map[string]grid.Options{
		"unknown column 'nope': use name, size, note, more":                                                  {Columns: []string{"name", "nope"}},
		"unknown column 'mane': use name, size, note, more":                                                  {Sort: "-mane"},
		"unknown column 'x': use name, size, note, more":                                                     {Filter: []string{"x=1"}},
		"'name' is no condition: write COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~ (regular expression)": {Filter: []string{"name"}},
		"'name>1': the column 'name' has no numbers to compare: use =, !=, ~ or !~":                          {Filter: []string{"name>1"}},
		"'size>big': 'big' is no number such as 1500, '1.5 GiB', 10s or 2026-11-23T09:00:00Z":                {Filter: []string{"size>big"}},
		"'name~(': error parsing regexp: missing closing ): `(`":                                             {Filter: []string{"name~("}},
		"'=1' is no condition: write COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~ (regular expression)":   {Filter: []string{"=1"}},
	}
	for want, o := range tests {
		if _, err := grid.New(columns(), o); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
}

// TestLines checks what columns give up when there is less and less room.
func TestLines(t *testing.T) {
	show := func(o grid.Options, width int, rows ...thing) []string {
		view, err := grid.New(columns(), o)
		if err != nil {
			t.Fatal(err)
		}
		heading, lines, missing := view.Lines(rows, width, nil)
		return append(append([]string{heading}, lines...), missing...)
	}
	rows := []thing{{"a long name", 5}, {"b", -1}}
	tests := []struct {
		o     grid.Options
		width int
		want  []string
	}{
		{grid.Options{}, 0, []string{"NAME         SIZE  NOTE", "a long name   5 B  of a long name", "b               -  of b"}},
		{grid.Options{}, 26, []string{"NAME         SIZE  NOTE", "a long name   5 B  of a l…", "b               -  of b"}},
		{grid.Options{}, 22, []string{"NAME       SIZE  NOTE", "a long n…   5 B  of a…", "b             -  of b"}},
		{grid.Options{}, 18, []string{"NAME         SIZE", "a long name   5 B", "b               -", "note"}},
		{grid.Options{}, 11, []string{"NAME", "a long name", "b", "size", "note"}},
		{grid.Options{}, 3, []string{"NA…", "a …", "b", "size", "note"}},
		{grid.Options{Columns: []string{"more", "note", "name"}}, 20, []string{"MORE  NOTE    NAME", "x     of a …  a lon…", "x     of b    b"}},
		{grid.Options{Columns: []string{"size", "size", "size"}}, 5, []string{"S…  …", "5…  …", " -  -", "size"}},
		{grid.Options{Wide: true}, 0, []string{"NAME         SIZE  NOTE            MORE", "a long name   5 B  of a long name  x", "b               -  of b            x"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, show(tt.o, tt.width, rows...)); diff != "" {
			t.Errorf("%+v in %d cells (-want +got):\n%s", tt.o, tt.width, diff)
		}
	}
}

// TestNoLineIsTooWide gives columns any texts, any room and any choice.
func TestNoLineIsTooWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"网络", "👩‍💻", "e\u0301", "\u202e", "\x1b[31m", "a\tb\nc"})), 1, 8).Draw(t, "texts")
		width := rapid.IntRange(1, 90).Draw(t, "width")
		var of []grid.Column[string]
		for range rapid.IntRange(1, 5).Draw(t, "columns") {
			c := grid.Column[string]{Name: "name", Text: strings.ToLower, Rank: rapid.IntRange(0, 3).Draw(t, "rank"), Least: rapid.IntRange(0, 9).Draw(t, "least")}
			if rapid.Bool().Draw(t, "number") {
				c.Number = func(string) (float64, bool) { return 0, false }
			}
			of = append(of, c)
		}
		var o grid.Options
		if rapid.Bool().Draw(t, "chosen") {
			o.Columns = []string{"name", "name", "name"}
		}
		view, err := grid.New(of, o)
		if err != nil {
			t.Fatal(err)
		}
		heading, lines, _ := view.Lines(texts, width, nil)
		if len(lines) != len(texts) {
			t.Fatalf("%d lines for %d rows", len(lines), len(texts))
		}
		for _, line := range append(lines, heading) {
			if ansi.StringWidth(line) > width || strings.ContainsAny(line, "\n\t\x1b\u202e") {
				t.Fatalf("%q has %d cells of %d", line, ansi.StringWidth(line), width)
			}
		}
	})
}

func TestNatural(t *testing.T) {
	sorted := []string{"", "1", "01", "2", "10", "a", "a1", "a01b", "a2", "a10", "a10b", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			got, want := grid.Natural(a, b), i-j
			if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("Natural(%q, %q) is %d", a, b, got)
			}
		}
	}
}

func TestClean(t *testing.T) {
	tests := map[string]string{
		"plain 网络 é 👩‍💻": "plain 网络 é 👩‍💻", "a\nb\tc\x1b[31m\u0085d": "a b c [31m d", "\u2028x\u2029": " x ", "a\u202eb\u2066c\u200f": "a\ufffdb\ufffdc\ufffd", "\xff": "\ufffd",
	}
	for text, want := range tests {
		if got := grid.Clean(text); got != want {
			t.Errorf("Clean(%q) is %q, want %q", text, got, want)
		}
	}
}
