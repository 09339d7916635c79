package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/pflag"

	"github.com/isonet/isonet/daemon"
)

//go:generate go test -count=1 -run ^TestManPages$ . -update

var update = flag.Bool("update", false, "write the man pages anew")

// TestManPages holds isonetd(8) against the flags, and isonetd.yaml(5) against
// the sample, which a test of daemon holds against the options.
func TestManPages(t *testing.T) {
	for path, text := range map[string]string{
		"../../docs/man/isonetd.8":      daemonPage(t),
		"../../docs/man/isonetd.yaml.5": configurationPage(t),
	} {
		page := md2man.Render([]byte(text))
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
	var keys strings.Builder
	// A paragraph of comment, and the keys that it is about.
	blocks := regexp.MustCompile(`(?m)((?:^# .*\n)+)((?:^#[a-z].*\n?)+)`).FindAllStringSubmatch(read(t, "../../docs/isonetd.yaml.example"), -1)
	for _, block := range blocks {
		for key := range strings.Lines(block[2]) {
			fmt.Fprintf(&keys, "**%s**\n\n", strings.TrimSpace(strings.TrimPrefix(key, "#")))
		}
		fmt.Fprintf(&keys, "> %s\n\n", strings.ReplaceAll(strings.TrimSpace(regexp.MustCompile(`(?m)^# `).ReplaceAllString(block[1], "")), "\n", " "))
	}
	if len(blocks) == 0 {
		t.Fatal("the sample has no key")
	}
	return strings.Replace(read(t, "testdata/isonetd.yaml.5.md"), "{{keys}}\n", keys.String(), 1)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
