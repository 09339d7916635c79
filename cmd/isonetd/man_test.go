package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/pflag"

	"github.com/isonet/isonet/daemon"
)

//go:generate go test -count=1 -run ^TestPages$ . -update

var update = flag.Bool("update", false, "write the pages anew")

// TestPages holds isonetd(8) against the flags, and isonetd.yaml(5) and
// docs/configuration.md against the sample, which a test of daemon holds against
// the options.
func TestPages(t *testing.T) {
	for path, page := range map[string][]byte{
		"../../docs/man/isonetd.8":      md2man.Render([]byte(daemonPage(t))),
		"../../docs/man/isonetd.yaml.5": md2man.Render([]byte(configurationPage(t))),
		"../../docs/configuration.md":   []byte(configurationDocument(t)),
	} {
		if *update {
			if err := os.WriteFile(path, page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s is not what the code says (%v): run \"make generate\"", path, err)
		}
	}
}

func daemonPage(t *testing.T) string {
	t.Helper()
	var flags strings.Builder
	command(func(daemon.Config) error { return nil }).Flags().VisitAll(func(f *pflag.Flag) {
		fmt.Fprintf(&flags, "**--%s**=%q\n\t%s\n\n", f.Name, f.DefValue, f.Usage)
	})
	return strings.Replace(read(t, "testdata/isonetd.8.md"), "{{flags}}\n", flags.String(), 1)
}

func configurationPage(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	for _, option := range sample(t) {
		for _, key := range option.keys {
			fmt.Fprintf(&page, "**%s**\n\n", key)
		}
		fmt.Fprintf(&page, "> %s\n\n", option.meaning)
	}
	return strings.Replace(read(t, "testdata/isonetd.yaml.5.md"), "{{keys}}\n", page.String(), 1)
}

// configurationDocument is the page of docs, for who reads it there.
func configurationDocument(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	for _, option := range sample(t) {
		var names, defaults []string
		for _, key := range option.keys {
			name, value, _ := strings.Cut(key, ": ")
			names, defaults = append(names, "`"+name+"`"), append(defaults, "`"+value+"`")
		}
		fmt.Fprintf(&page, "\n## %s\n\nDefault: %s\n\n%s\n", strings.Join(names, ", "), strings.Join(slices.Compact(defaults), ", "), option.meaning)
	}
	return read(t, "testdata/configuration.md") + page.String()
}

// option is a paragraph of the sample.
type option struct {
	keys    []string // with their defaults
	meaning string
}

func sample(t *testing.T) []option {
	t.Helper()
	var list []option
	// A paragraph of comment, and the keys that it is about.
	blocks := regexp.MustCompile(`(?m)((?:^# .*\n)+)((?:^#[a-z].*\n?)+)`).FindAllStringSubmatch(read(t, "../../docs/isonetd.yaml.example"), -1)
	for _, block := range blocks {
		meaning := regexp.MustCompile(`(?m)^# `).ReplaceAllString(strings.TrimSpace(block[1]), "")
		keys := strings.TrimPrefix(strings.TrimSpace(block[2]), "#")
		list = append(list, option{strings.Split(keys, "\n#"), strings.ReplaceAll(meaning, "\n", " ")})
	}
	if len(list) == 0 {
		t.Fatal("the sample has no key")
	}
	return list
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
