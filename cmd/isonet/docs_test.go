package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

// TestDocs checks docs/cli.md against the program: every command has a heading
// and an example, every flag is mentioned, and every example is a command line
// that the program understands.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	root := (&app{}).rootCommand()
	var examples [][]string
	for _, match := range regexp.MustCompile(`(?m)^\$ isonet(.*)$`).FindAllStringSubmatch(text, -1) {
		line, _, _ := strings.Cut(match[1], "|")
		examples = append(examples, strings.Fields(line))
	}
	used := map[string]bool{}
	for _, args := range examples {
		cmd, rest, err := root.Find(args)
		if err != nil {
			t.Errorf("example 'isonet %s': %v", strings.Join(args, " "), err)
			continue
		}
		used[cmd.CommandPath()] = true
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("example 'isonet %s': %v", strings.Join(args, " "), err)
			continue
		}
		if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("example 'isonet %s': %v", strings.Join(args, " "), err)
		}
	}
	for _, cmd := range runnable(root) {
		path := cmd.CommandPath()
		if !strings.Contains(text, "## "+path+"\n") {
			t.Errorf("'%s' has no heading", path)
		}
		if !used[path] {
			t.Errorf("'%s' has no example", path)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(text, "`--"+f.Name) {
				t.Errorf("the flag --%s of '%s' is not mentioned", f.Name, path)
			}
		})
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(text, "`--"+f.Name) {
			t.Errorf("the flag --%s is not mentioned", f.Name)
		}
	})
}

// TestTablesInDocuments checks the tables that documents show: their headings are
// columns that a list shows without being asked, in its order, and the cells are where
// a table has them.
func TestTablesInDocuments(t *testing.T) {
	var lists [][]string
	for _, cmd := range runnable((&app{}).rootCommand()) {
		if flag := cmd.Flags().Lookup("columns"); flag != nil {
			_, names, _ := strings.Cut(flag.Usage, ": ")
			lists = append(lists, strings.Split(names, ", "))
		}
	}
	lists = append(lists, grid.Names(portColumns(func(p wire.Port) wire.Port { return p })))
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, path := range append(documents, "../../README.md") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		for i, line := range lines {
			heading := strings.TrimSpace(line)
			cells := regexp.MustCompile(` {2,}`).Split(heading, -1)
			if len(cells) < 3 || heading != strings.ToUpper(heading) || !regexp.MustCompile(`^(NETWORK|PORT|HOST|CURRENT)$`).MatchString(cells[0]) {
				continue
			}
			tables++
			if !slices.ContainsFunc(lists, func(names []string) bool {
				upper := strings.Split(strings.ToUpper(strings.Join(names, ",")), ",")
				at := 0
				for _, cell := range cells {
					next := slices.Index(upper[at:], cell)
					if next < 0 {
						return false
					}
					at += next + 1
				}
				return true
			}) {
				t.Errorf("%s:%d: no list has the columns %q", path, i+1, cells)
			}
			edges := columnEdges(line, cells)
			for n, row := range lines[i+1:] {
				if text := strings.TrimSpace(row); text == "" || strings.HasPrefix(text, "```") || strings.HasPrefix(text, "$") {
					break
				}
				if !aligned([]rune(row), edges) {
					t.Errorf("%s:%d: the cells are not below their headings: %q", path, i+n+2, row)
				}
			}
		}
	}
	if tables < 8 {
		t.Errorf("only %d tables were found", tables)
	}
}

// columnEdges returns where each heading begins and ends.
func columnEdges(line string, cells []string) (edges [][2]int) {
	from := 0
	for _, cell := range cells {
		begin := from + strings.Index(line[from:], cell)
		edges = append(edges, [2]int{begin, begin + len(cell)})
		from = begin + len(cell)
	}
	return edges
}

// aligned says that a cell begins or ends where each heading does.
func aligned(row []rune, edges [][2]int) bool {
	blank := func(i int) bool { return i < 0 || i >= len(row) || row[i] == ' ' }
	for _, edge := range edges {
		begins := !blank(edge[0]) && blank(edge[0]-1)
		ends := !blank(edge[1]-1) && blank(edge[1])
		indented := edge[0] == 0 && !blank(2) // a port below its network
		if !begins && !ends && !indented {
			return false
		}
	}
	return true
}

// runnable returns the commands that do something, without cobra's own.
func runnable(cmd *cobra.Command) []*cobra.Command {
	children := cmd.Commands()
	if len(children) == 0 {
		return []*cobra.Command{cmd}
	}
	var list []*cobra.Command
	for _, child := range children {
		if !slices.Contains([]string{"help", "__complete"}, child.Name()) {
			list = append(list, runnable(child)...)
		}
	}
	return list
}
