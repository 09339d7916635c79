package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/isonet/isonet/client"
)

//go:generate go test -count=1 -run ^TestManPages$ . -update

// TestManPages holds the man pages of isonet against its commands.
func TestManPages(t *testing.T) {
	const dir = "../../docs/man"
	pages := map[string][]byte{}
	manPages(t, (&app{system: system{socket: client.DefaultSocket}}).rootCommand(), pages)
	if flag.Lookup("update").Value.String() == "true" {
		for name, page := range pages {
			if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/man/%s is not what the command says (%v): run \"make generate\"", name, err)
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if pages[filepath.Base(path)] == nil {
			t.Errorf("%s is the page of no command: remove it", path)
		}
	}
}

// verbatim makes blocks of a text that are indented ones that Markdown leaves as they
// are.
func verbatim(text string) string {
	return regexp.MustCompile(`(?m)^(  +\S)`).ReplaceAllString(text, "  $1")
}

// TestExamplesInManPagesAreValid reads what looks like YAML in the pages, as a user does who
// copies it.
func TestExamplesInManPagesAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/man/*.[158]")
	if err != nil {
		t.Fatal(err)
	}
	block, key := regexp.MustCompile(`(?s)\n\.EX\n(.*?)\n\.EE\n`), regexp.MustCompile(`(?m)^ *[a-z_-]+: `)
	plain := strings.NewReplacer(`\-`, "-", `\&`, "", `\\`, `\`)
	examples := map[string]int{}
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range block.FindAllStringSubmatch(string(page), -1) {
			text := plain.Replace(found[1])
			if !key.MatchString(text) {
				continue
			}
			examples[filepath.Base(path)]++
			var value map[string]any
			if err := yaml.Unmarshal([]byte(text), &value); err != nil {
				t.Errorf("%s: %v\n%s", path, err, text)
			}
		}
	}
	if examples["isonet-setup.1"] == 0 {
		t.Errorf("the pages with examples are %v: isonet-setup.1 has lost its own", examples)
	}
}

// manPages makes the page of a command and of those below it.
func manPages(t *testing.T, cmd *cobra.Command, pages map[string][]byte) {
	t.Helper()
	cmd.DisableAutoGenTag = true
	cmd.Long = verbatim(cmd.Long)
	var page bytes.Buffer
	undated := time.Time{} // a date would be another one with every run
	if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Source: "isonet", Manual: "isonet", Date: &undated}, &page); err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	pages[name] = bytes.Replace(page.Bytes(), []byte(undated.Format("Jan 2006")), nil, 1)
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			manPages(t, child, pages)
		}
	}
}
