package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// A SIGHUP reloads the configuration and never ends isonetd, whatever the
// configuration is.
func TestSIGHUPNeverEndsIt(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "isonetd.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log-level: warn\n")
	h := newHost(t, hosttest.With("--config", config))
	h.Start()
	for _, c := range []struct{ text, logged string }{
		{"log-level: info\n", "reloaded the configuration"},
		{"log-level: loud\n", `\"loud\" is not debug`},
		{"log-levl: info\n", "log-levl"},
		{"{", "could not find flow mapping"},
		{"log-level: info\nmetrics-ports: true\n", "settings=metrics-ports"},
	} {
		write(c.text)
		h.Process().Signal(t, syscall.SIGHUP)
		ovstest.Eventually(t, "the reload is logged", func() error {
			if log := h.Logged(); !strings.Contains(log, c.logged) {
				return fmt.Errorf("%q is not in the log:\n%s", c.logged, log)
			}
			return nil
		})
		h.Must("GET", "/networks", "")
	}
}
