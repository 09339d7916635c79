package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

func TestADryRunTouchesNoRow(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	red := h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.network(`{"name":"blue","data_center":{"name":"Default"}}`)
	status := func() float64 { return h.must("GET", "/isonet/status", "")["revision"].(float64) }
	before, revision, networks := h.ovs.Versions(), status(), h.list("/networks", "network")
	h.must("POST", h.path()+"/setupnetworks?dry_run=true", attachAll("blue"))
	h.must("DELETE", "/networks/"+red+"?dry_run=true", "")
	h.must("PUT", "/networks/"+red+"?dry_run=true", `{"mtu":"1400"}`)
	h.must("POST", "/networks?dry_run=true", `{"name":"green","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/networklabels?dry_run=true", `{"id":"lab"}`)
	plan := h.must("POST", "/isonet/plan", fmt.Sprintf(
		`{"requests":[{"method":"POST","path":"%s/setupnetworks","body":%s},{"method":"DELETE","path":"/networks/%s"}]}`, h.path(), attachAll("blue"), red))
	var does []string
	for _, o := range plan["operations"].([]any) {
		operation := o.(map[string]any)
		does = append(does, fmt.Sprint(operation["do"], " ", operation["bridge"]))
	}
	if diff := cmp.Diff([]string{"create-bridge blue", "remove-bridge red"}, does); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, h.ovs.Versions()); diff != "" {
		t.Errorf("rows of Open vSwitch (-before +after the dry runs):\n%s", diff)
	}
	if got := status(); got != revision {
		t.Errorf("the desired revision went from %v to %v", revision, got)
	}
	if diff := cmp.Diff(networks, h.list("/networks", "network")); diff != "" {
		t.Errorf("networks (-before +after the dry runs):\n%s", diff)
	}
	// The write itself is what the plan said.
	next := h.ovs.NextCfg()
	h.must("POST", h.path()+"/setupnetworks", attachAll("blue"))
	h.must("DELETE", "/networks/"+red, "")
	if got := h.bridges(); len(got) != 1 || got[0] != "blue" || h.ovs.NextCfg() != next+2 {
		t.Errorf("bridges %v after two transactions more than %d, now %d", got, next, h.ovs.NextCfg())
	}
}

// another returns a second host on the same Open vSwitch with a store of its own.
func (h *host) another(run func(*daemon.Options)) *host {
	h.Helper()
	second := &host{T: h.T, ovs: h.ovs}
	options := daemon.DefaultOptions()
	options.OVSDB = h.ovs.Endpoint()
	options.StateDir = h.TempDir()
	options.Socket = h.ovs.Dir() + "/two/api.sock"
	options.MetricsListen = "127.0.0.1:0"
	if run != nil {
		run(&options)
	}
	var err error
	if second.cfg, err = options.Parse(); err != nil {
		h.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", second.cfg.Socket)
	}}
	h.Cleanup(transport.CloseIdleConnections)
	second.client = &http.Client{Transport: transport}
	return second
}

func TestTheSecondDaemonStandsByAndTakesOver(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))

	second := h.another(nil)
	d, err := daemon.New(second.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	standby := func(want bool) {
		t.Helper()
		ovstest.Eventually(t, fmt.Sprintf("standby is %t", want), func() error {
			s := second.must("GET", "/isonet/status", "")
			if s["connected"] != true || s["standby"] != want {
				return fmt.Errorf("status %v", s)
			}
			return nil
		})
	}
	standby(true)
	before := h.ovs.Versions()
	second.must("GET", "/networks", "")
	code, fault := second.call("POST", "/networks", `{"name":"blue","data_center":{"name":"Default"}}`)
	if code != http.StatusServiceUnavailable || !strings.Contains(fault["detail"].(string), "another isonetd") {
		t.Errorf("a write to the second daemon: %d %v", code, fault)
	}
	h.must("PUT", "/networks/"+h.list("/networks", "network")[0].(map[string]any)["id"].(string), `{"description":"still served"}`)
	if diff := cmp.Diff(before["Port"], h.ovs.Versions()["Port"]); diff != "" {
		t.Errorf("ports (-before +after):\n%s", diff)
	}
	if got := h.bridges(); len(got) != 1 {
		t.Errorf("bridges %v: the second daemon wrote", got)
	}
	h.stop()
	standby(false)
	ovstest.Eventually(t, "the second daemon knows its host", second.known)
	second.network(`{"name":"blue","data_center":{"name":"Default"}}`)
	second.must("POST", second.path()+"/setupnetworks", attachAll("blue"))
	if got := strings.Join(h.bridges(), " "); !strings.Contains(got, "blue") {
		t.Errorf("bridges %q after the second daemon took over", got)
	}
}

// patience is what a hang is told by, not how fast anything is.
const patience = 2 * time.Minute

// answer makes a request that has to be answered in time, and returns its
// status and header.
func (h *host) answer(method, path, body string) (int, http.Header) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		h.Fatalf("%s %s: no answer in %v: %v", method, path, patience, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	var reply map[string]any
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		h.Fatalf("%s %s: %d: %v", method, path, res.StatusCode, err)
	}
	return res.StatusCode, res.Header
}

// TestWithoutTheDatabaseReadsAreStaleAndWritesEnd kills and stops ovsdb-server
// and vswitchd.
func TestWithoutTheDatabaseReadsAreStaleAndWritesEnd(t *testing.T) {
	for name, fault := range map[string]struct {
		inject, end func(o *ovstest.OVS)
		stale       bool
	}{
		"ovsdb-server is gone": {(*ovstest.OVS).StopServer, (*ovstest.OVS).StartServer, true},
		"ovsdb-server is stopped": {
			func(o *ovstest.OVS) { o.SignalServer(syscall.SIGSTOP) }, func(o *ovstest.OVS) { o.SignalServer(syscall.SIGCONT) }, true,
		},
		"vswitchd is gone": {(*ovstest.OVS).StopVSwitchd, (*ovstest.OVS).StartVSwitchd, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, nil)
			h.start()
			h.network(`{"name":"red","data_center":{"name":"Default"}}`)
			h.network(`{"name":"blue","data_center":{"name":"Default"}}`)
			h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
			path := h.path()
			fault.inject(h.ovs)
			setup := strings.Replace(attachAll("blue"), "{", `{"connectivity_timeout":"20",`, 1)
			code, header := h.answer("POST", path+"/setupnetworks", setup)
			if code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("a write answers %d, %v", code, header)
			}
			for _, read := range []string{"/networks", path, path + "/networkattachments", "/isonet/status"} {
				code, header := h.answer("GET", read, "")
				if code != http.StatusOK || (header.Get("Isonet-Stale") != "") != fault.stale {
					t.Errorf("GET %s answers %d, %v", read, code, header)
				}
			}
			fault.end(h.ovs)
			ovstest.Eventually(t, "the write is done when all is well again", func() error {
				if code, _ := h.answer("POST", path+"/setupnetworks", attachAll("blue")); code != http.StatusOK {
					return fmt.Errorf("status %d", code)
				}
				return nil
			})
			if _, header := h.answer("GET", path, ""); header.Get("Isonet-Stale") != "" {
				t.Error("the reply is still stale")
			}
		})
	}
}
