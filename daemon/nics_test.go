package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// The API shows the interfaces of the machine that the test runs on: at least
// the Ethernet devices with hardware behind them, of which there may be none,
// and never the loopback device.
func TestTheHostsInterfacesAreShown(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	want := hardware(t)
	shown := map[string]string{} // the path by the name
	ovstest.Eventually(t, "the interfaces are shown", func() error {
		for _, n := range h.list(h.path()+"/nics", "host_nic") {
			nic := n.(map[string]any)
			_, shown[nic["name"].(string)], _ = strings.Cut(nic["href"].(string), "/ovirt-engine/api")
		}
		for _, name := range want {
			if shown[name] == "" {
				return fmt.Errorf("%s is missing: %v", name, shown)
			}
		}
		return nil
	})
	if shown["lo"] != "" {
		t.Error("the loopback device is shown as a NIC")
	}
	for name, path := range shown {
		if got := len(h.list(path+"/statistics", "statistic")); got != 8 {
			t.Errorf("%s has %d statistics, want 8", name, got)
		}
	}
}

// hardware lists the Ethernet devices that sysfs has a bus for.
func hardware(t *testing.T) []string {
	t.Helper()
	devices, err := filepath.Glob("/sys/class/net/*/device")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, device := range devices {
		dir := filepath.Dir(device)
		kind, err := os.ReadFile(filepath.Join(dir, "type"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(kind)) == "1" { // ARPHRD_ETHER
			names = append(names, filepath.Base(dir))
		}
	}
	return names
}
