package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsage checks what an operator sees of a wrong command line or file: the exit
// code is 2.
func TestUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("log-level: [debug]\nlisten: ~\nsokcet: /x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--foo":                 "unknown flag: --foo; see 'isonetd --help'",
		"--listen":              "flag needs an argument: --listen; see 'isonetd --help'",
		"start":                 "unknown command \"start\" for \"isonetd\"; see 'isonetd --help'",
		"--config /nonexistent": "open the configuration: open /nonexistent: no such file or directory",
		"--config " + file: file + ":1:12: expected a text\n" +
			file + ":2:9: expected a text\n" + file + ":3:1: unknown key 'sokcet'",
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), nil, strings.Fields(args), &stdout, &stderr)
		if got := stderr.String(); code != 2 || !strings.HasPrefix(got, "isonetd: "+want) || stdout.Len() > 0 {
			t.Errorf("isonetd %s: exit code %d, %q, want %q", args, code, got, want)
		}
	}
}
