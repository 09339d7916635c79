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
