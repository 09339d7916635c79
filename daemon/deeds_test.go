package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// awaitDeed waits until the history has an entry with a code and a text in it.
func (h *host) awaitDeed(code float64, text string) {
	h.Helper()
	ovstest.Eventually(h, fmt.Sprintf("%v is in the history", code), func() error {
		entries := h.list("/isonet/history", "entries")
		if slices.ContainsFunc(entries, func(e any) bool {
			entry := e.(map[string]any)
			return entry["code"] == code && strings.Contains(entry["text"].(string), text)
		}) {
			return nil
		}
		return fmt.Errorf("there is %v", entries)
	})
}

// TestTheHistoryHasWhatIsonetdDid checks that repairs and verdicts are in the history, and
// that they and the writes are there after a restart.
func TestTheHistoryHasWhatIsonetdDid(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	id := h.network(`{"name":"red"}`)
	h.must("POST", h.path()+"/networkattachments", fmt.Sprintf(`{"network":{"id":%q}}`, id))
	h.ovs.Vsctl("del-br", "red")
	h.awaitDeed(20019, `repaired on network "red": the bridge 'red' was gone`)
	h.ovs.StopVSwitchd()
	h.awaitDeed(20031, "nothing is known of the networks")
	h.ovs.StartVSwitchd()
	h.awaitDeed(20030, "known again")
	h.stop()
	h.start()
	h.awaitDeed(942, `added network "red"`)
	h.awaitDeed(1102, "added attachment")
	h.awaitDeed(20019, "was gone")
}
