package daemon_test

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// fleet is an isonetd without a host, and two hosts on its store.
type machines struct {
	*host
	daemon *daemon.Daemon
	a, b   *host
}

// newAPIOnly is an isonetd without a host.
func newAPIOnly(t *testing.T, change func(*daemon.Options)) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "isonet") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &host{T: t}
	h.configure(func(o *daemon.Options) {
		change(o)
		o.APIOnly, o.OVSDB, o.Socket = "true", "unix:"+filepath.Join(dir, "none"), filepath.Join(dir, "run", "api.sock")
	})
	return h
}

func newMachines(t *testing.T) *machines {
	t.Helper()
	store, status := serverOf(t, "../store/isolated-networks.ovsschema"), serverOf(t, "../fleet/status.ovsschema")
	join := func(o *daemon.Options) { o.Store, o.FleetStatus = store.Endpoint(), status.Endpoint() }
	f := &machines{host: newAPIOnly(t, join), a: newHost(t, join), b: newHost(t, join)}
	f.daemon = f.launch()
	f.a.launch()
	f.b.launch()
	f.awaitStatus(f.a, "up")
	f.awaitStatus(f.b, "up")
	return f
}

// of is the path of a host.
func (f *machines) of(h *host) string {
	return "/hosts/" + string(model.HostID(strings.Trim(h.ovs.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id"), `"`)))
}

func (f *machines) awaitStatus(h *host, want string) {
	f.Helper()
	path := f.of(h)
	ovstest.Eventually(f, "the host is "+want, func() error {
		code, reply := f.call("GET", path, "")
		if code != http.StatusOK || reply["status"] != want {
			return fmt.Errorf("%d %v", code, reply["status"])
		}
		return nil
	})
}

// Whoever asks an isonetd without a host manages all hosts, by what they report.
func TestAPIOnly(t *testing.T) {
	f := newMachines(t)
	f.network(`{"name":"red","data_center":{"name":"Default"}}`)
	blue := f.network(`{"name":"blue","data_center":{"name":"Default"}}`)
	f.must("POST", "/networks/"+blue+"/networklabels", `{"id":"lab"}`)
	f.must("POST", f.of(f.a)+"/setupnetworks", attachAll("red"))
	if got := f.a.bridges(); !slices.Equal(got, []string{"red"}) {
		t.Errorf("it was answered with the bridges %q on the host", got)
	}
	f.must("POST", f.of(f.b)+"/networklabels", `{"id":"lab"}`)
	if got := f.b.bridges(); !slices.Equal(got, []string{"blue"}) {
		t.Errorf("it was answered with the bridges %q on the other host", got)
	}
	f.b.ovs.Vsctl("add-port", "blue", "vm1", "--", "set", "interface", "vm1", "external_ids:vm-name=one")
	ovstest.Eventually(t, "the port is reported", func() error {
		if reply := f.must("GET", "/isonet/status?host="+path.Base(f.of(f.b)), ""); !strings.Contains(fmt.Sprint(reply), "vm1") {
			return fmt.Errorf("it is %v", reply)
		}
		return nil
	})
	for _, path := range []string{"/networks/" + blue, f.of(f.b) + "/networklabels/lab"} {
		if code, reply := f.call("DELETE", path, ""); code != http.StatusConflict || !strings.Contains(fmt.Sprint(reply), "unplug the port(s) 'vm1'") {
			t.Errorf("DELETE %s: %d %v", path, code, reply)
		}
	}
	f.refusesWhatIsOfAHost()
	metrics := f.metrics(f.daemon)
	for _, line := range []string{`isonet_fleet_hosts{status="up"} 2`, `isonet_fleet_hosts{status="non_responsive"} 0`, `isonet_evidence_missing{ground="store"} 0`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no line %s:\n%s", line, metrics)
		}
	}
	if strings.Contains(metrics, "isonet_ovsdb_connected") {
		t.Error("the metrics are of a host")
	}

	f.b.stop()
	f.awaitStatus(f.b, "non_responsive")
	if got := f.warned(f.of(f.b)+"/setupnetworks", attachAll("red")); !strings.Contains(got, "get the change when they are back") {
		t.Errorf("the warning is %q", got)
	}
	f.awaitStatus(f.a, "up")
	f.b.launch()
	ovstest.Eventually(t, "the host has what was changed without it", func() error {
		if got := f.b.bridges(); !slices.Equal(got, []string{"blue", "red"}) {
			return fmt.Errorf("its bridges are %q", got)
		}
		return nil
	})
	f.awaitStatus(f.b, "up")
}

// refusesWhatIsOfAHost asks what only an isonetd with a host can do.
func (f *machines) refusesWhatIsOfAHost() {
	f.Helper()
	for request, body := range map[string]string{
		"GET status": "", "GET watch": "", "GET plan": "", "POST adopt": `{"bridge":"br0","network":"new"}`, "POST release": `{"network":"red"}`,
		"POST prune": `{"network":"red"}`, "POST register": "{}", "POST guard/release": `{"device":"vnet0"}`,
	} {
		method, path, _ := strings.Cut(request, " ")
		if code, reply := f.call(method, "/isonet/"+path, body); code != http.StatusConflict || !strings.Contains(fmt.Sprint(reply), "This isonetd has no host") {
			f.Errorf("%s: %d %v", request, code, reply)
		}
	}
	if list, _ := f.must("GET", "/isonet/hosts", "")["hosts"].([]any); len(list) != 2 {
		f.Errorf("the hosts are %v", list)
	}
}

// warned makes a request that has to succeed, and returns the warning.
func (f *machines) warned(path, body string) string {
	f.Helper()
	request, err := http.NewRequestWithContext(f.Context(), http.MethodPost, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	reply, err := f.client.Do(request)
	if err != nil {
		f.Fatal(err)
	}
	defer reply.Body.Close() //nolint:errcheck // only its header is of interest
	if reply.StatusCode != http.StatusOK {
		f.Fatalf("%s: %s", path, reply.Status)
	}
	return reply.Header.Get(wire.WarningHeader)
}

// The service manager hears that isonetd is ready when the store is read, and how the
// store is.
func TestAPIOnlyTellsTheServiceManager(t *testing.T) {
	store := serverOf(t, "../store/isolated-networks.ovsschema")
	h := newAPIOnly(t, func(o *daemon.Options) { o.Store = store.Endpoint() })
	m := newManager(t)
	h.launch()
	m.await("STATUS=Serves the API of 0 hosts and 0 networks")
	m.await("READY=1")
	m.await("WATCHDOG=1")
	store.Stop()
	m.await("STATUS=Disconnected from the store; serves the API of 0 hosts and 0 networks")
	store.Start()
	m.await("STATUS=Serves the API of .*")
}
