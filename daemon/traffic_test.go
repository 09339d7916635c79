package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// Whoever bills by the totals must not see them fall because isonetd was
// updated, nor miss what the VMs carried meanwhile.
func TestTotalsGoOnAfterARestart(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.ovs.Vsctl("add-port", "red", "vm1", "--", "add-port", "red", "vm2")
	h.broadcast()
	h.awaitTotal(60)
	since := h.since()

	h.stop()
	h.broadcast()
	h.start()
	h.awaitTotal(120)
	if got := h.since(); got != since {
		t.Errorf("the totals count since %s, not since %s", got, since)
	}

	// A file that is damaged must not keep isonetd from its work.
	h.stop()
	file := filepath.Join(h.cfg.StateDir, "traffic")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.broadcast()
	h.awaitTotal(60)
	aside, err := filepath.Glob(file + ".broken-*")
	if err != nil || len(aside) != 1 {
		t.Errorf("kept aside are %v, error %v", aside, err)
	}
}

// broadcast lets the port vm1 send a frame of 60 bytes to all others.
func (h *host) broadcast() {
	h.Helper()
	h.ovs.Appctl("netdev-dummy/receive", "vm1", "ffffffffffff0200000000010806"+strings.Repeat("00", 46))
}

// awaitTotal waits until the one attachment has received as many bytes.
func (h *host) awaitTotal(want float64) {
	h.Helper()
	ovstest.Eventually(h, "the total", func() error {
		attachment := h.list(h.path()+"/networkattachments", "network_attachment")[0].(map[string]any)
		var got any
		for _, s := range h.list(h.path()+"/networkattachments/"+attachment["id"].(string)+"/statistics", "statistic") {
			statistic := s.(map[string]any)
			if values, _ := statistic["values"].(map[string]any)["value"].([]any); statistic["name"] == "data.total.rx" && len(values) == 1 {
				got = values[0].(map[string]any)["datum"]
			}
		}
		if got != want {
			return fmt.Errorf("data.total.rx is %v, want %v", got, want)
		}
		return nil
	})
}

// since returns when the network's totals began to count.
func (h *host) since() string {
	h.Helper()
	network := h.list("/isonet/status", "networks")[0].(map[string]any)
	return network["traffic"].(map[string]any)["since"].(string)
}
