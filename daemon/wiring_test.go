package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// program builds isonetd.
func program(t *testing.T) string {
	t.Helper()
	path, err := hosttest.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// isonetd runs the program in the network namespace of its Open vSwitch, until
// the function is called that it returns. Goroutines cannot: they change threads.
func (h *host) isonetd(program, namespace string, wrapper ...string) (stop func()) {
	h.Helper()
	args := append([]string{"netns", "exec", namespace}, wrapper...)
	cmd := exec.CommandContext(context.Background(), "ip", append(args, program, "--ovsdb", h.ovs.Endpoint(),
		"--state-dir", h.cfg.StateDir, "--socket", h.cfg.Socket, "--metrics-listen", "", "--datapath-type", ovstest.Datapath())...)
	cmd.Stderr = h.Output()
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			h.Errorf("stop isonetd: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			h.Errorf("isonetd: %v", err)
		}
	}
	h.Cleanup(stop)
	h.client.CloseIdleConnections()
	ovstest.Eventually(h, "isonetd answers and knows its host", func() error {
		req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, "http://isonet/isonet/status", nil)
		if err != nil {
			return err
		}
		res, err := h.client.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
		return h.known()
	})
	return stop
}

// isolation waits until an attachment's isolation has these values.
func (h *host) isolation(strict, guard string) map[string]any {
	h.Helper()
	var last map[string]any
	ovstest.Eventually(h, fmt.Sprintf("strict %q and host guard %q", strict, guard), func() error {
		a, _ := h.list(h.path()+"/networkattachments", "network_attachment")[0].(map[string]any)
		last, _ = a["isolation"].(map[string]any)
		g, _ := last["host_guard"].(map[string]any)
		if last["strict_state"] != strict || g["state"] != guard {
			return fmt.Errorf("isolation %v", last)
		}
		return nil
	})
	return last
}

func TestStrictNetworkAndHostGuardOfTheProgram(t *testing.T) {
	h := newHost(t, nil)
	namespace := ovstest.Namespace(t)
	h.ovs = ovstest.Start(t, ovstest.InNamespace(namespace))
	program := program(t)
	stop := h.isonetd(program, namespace)
	h.network(`{"name":"red","strict":"true","broadcast_limit":"1000","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	a, b := h.ovs.NewVM("vm-a", "10.0.0.1/24"), h.ovs.NewVM("vm-b", "10.0.0.2/24")
	h.ovs.Plug(a, "red")
	h.ovs.Plug(b, "red")
	reach := func() {
		t.Helper()
		ovstest.Eventually(t, "the VMs reach each other", func() error {
			if !a.Pings(b.Address) {
				return fmt.Errorf("no answer; isolation %v", h.list(h.path()+"/networkattachments", "network_attachment"))
			}
			return nil
		})
	}
	reach()
	h.isolation("active", "guarded")
	rules := func() string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", namespace, "nft", "list", "ruleset").CombinedOutput()
		if err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
		return string(out)
	}
	ovstest.Eventually(t, "both devices are guarded", func() error {
		if r := rules(); !strings.Contains(r, "vm-a") || !strings.Contains(r, "vm-b") {
			return fmt.Errorf("rules: %s", r)
		}
		return nil
	})
	stop()
	if r := rules(); !strings.Contains(r, "vm-a") || !strings.Contains(r, "vm-b") {
		t.Errorf("rules while isonetd is down: %s", r)
	}
	ovstest.Eventually(t, "the VMs reach each other while isonetd is down", func() error {
		if !a.Pings(b.Address) {
			return errors.New("no answer")
		}
		return nil
	})

	// Without the capability isonetd says so, and the strict network goes on.
	h.isonetd(program, namespace, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
	last := h.isolation("active", "unavailable")
	if g, _ := last["host_guard"].(map[string]any); !strings.Contains(fmt.Sprint(g["reason"]), "CAP_NET_ADMIN") {
		t.Errorf("host guard %v", g)
	}
	reach()
}

// TestWithoutCapabilities runs isonetd as root without any: it judges and repairs,
// and says what it cannot do.
func TestWithoutCapabilities(t *testing.T) {
	h := newHost(t, nil)
	namespace := ovstest.Namespace(t)
	h.ovs = ovstest.Start(t, ovstest.InNamespace(namespace))
	h.isonetd(program(t), namespace, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.ovs.Vsctl("set", "Bridge", "red", "stp_enable=true")
	ovstest.Eventually(t, "it is put back", func() error {
		if on := h.ovs.Vsctl("get", "Bridge", "red", "stp_enable"); on != "false" {
			return fmt.Errorf("stp_enable is %s", on)
		}
		return nil
	})
	h.red("the network is isolated", func(network map[string]any) error {
		if isolation, _ := network["isolation"].(map[string]any); isolation["isolated"] != true {
			return fmt.Errorf("isolation %v", isolation)
		}
		return nil
	})
}
