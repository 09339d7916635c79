package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a private Open vSwitch with an isonetd on it.
type host struct {
	*testing.T
	ovs    *ovstest.OVS
	cfg    daemon.Config
	client *http.Client
	stop   func()
}

func newHost(t *testing.T, change func(*daemon.Options), how ...ovstest.Option) *host {
	t.Helper()
	h := &host{T: t, ovs: ovstest.Start(t, how...)}
	h.configure(func(o *daemon.Options) {
		o.OVSDB, o.Socket = h.ovs.Endpoint(), filepath.Join(h.ovs.Dir(), "run", "api.sock")
		if change != nil {
			change(o)
		}
	})
	return h
}

// configure gives isonetd its configuration, and the test a client of its API.
func (h *host) configure(change func(*daemon.Options)) {
	h.Helper()
	options := daemon.DefaultOptions()
	options.StrictDefault = "false" // what is plugged in is a device of the host itself, or of Open vSwitch
	options.StateDir = h.TempDir()
	options.MetricsListen = "127.0.0.1:0"
	change(&options)
	var err error
	if h.cfg, err = options.Parse(); err != nil {
		h.Fatal(err)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", h.cfg.Socket)
		},
	}
	h.Cleanup(transport.CloseIdleConnections)
	h.client = &http.Client{Transport: transport}
}

// start runs the daemon until stop, and waits until it knows its host.
func (h *host) start() *daemon.Daemon {
	h.Helper()
	d := h.launch()
	ovstest.Eventually(h, "the daemon knows its host", func() error {
		if err := h.known(); err != nil {
			return err
		}
		// The store has the host a moment before the loop has looked at it.
		if status := h.must("GET", "/isonet/status", ""); status["connected"] != true {
			return fmt.Errorf("status: %v", status)
		}
		return nil
	})
	return d
}

// launch runs the daemon until stop.
func (h *host) launch() *daemon.Daemon {
	h.Helper()
	d, err := daemon.New(h.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			h.Errorf("Run: %v", err)
		}
	}
	h.Cleanup(h.stop)
	return d
}

// known returns nil when the daemon knows its host. It refuses to tell until
// it has read its store.
func (h *host) known() error {
	h.Helper()
	code, reply := h.call("GET", "/hosts", "")
	if hosts, _ := reply["host"].([]any); len(hosts) != 1 {
		return fmt.Errorf("hosts: %d %v", code, reply)
	}
	return nil
}

// call makes a request with a JSON body and returns the status and the reply.
func (h *host) call(method, path, body string) (int, map[string]any) {
	h.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://isonet/ovirt-engine/api"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		h.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	var reply map[string]any
	if err := json.Unmarshal(data, &reply); err != nil {
		h.Fatalf("%s %s: %d: %v in %s", method, path, res.StatusCode, err, data)
	}
	return res.StatusCode, reply
}

// must is a call that has to succeed.
func (h *host) must(method, path, body string) map[string]any {
	h.Helper()
	status, reply := h.call(method, path, body)
	if status >= 300 {
		h.Fatalf("%s %s: %d %v", method, path, status, reply)
	}
	return reply
}

func (h *host) list(path, member string) []any {
	h.Helper()
	list, _ := h.must("GET", path, "")[member].([]any)
	return list
}

func (h *host) hosts() []any { return h.list("/hosts", "host") }

func (h *host) path() string { return "/hosts/" + h.hosts()[0].(map[string]any)["id"].(string) }

func (h *host) network(body string) string {
	h.Helper()
	return h.must("POST", "/networks", body)["id"].(string)
}

func (h *host) bridges() []string { return strings.Fields(h.ovs.Vsctl("list-br")) }

func attachAll(names ...string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf(`{"network":{"name":%q}}`, name))
	}
	return `{"modified_network_attachments":{"network_attachment":[` + strings.Join(list, ",") + `]}}`
}

func TestManyNetworksInOneRequestAreOneTransaction(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("net%d", i))
		h.network(fmt.Sprintf(`{"name":"net%d","mtu":"1400","data_center":{"name":"Default"}}`, i))
	}
	before := h.ovs.NextCfg()
	h.must("POST", h.path()+"/setupnetworks", attachAll(names...))
	if got := h.ovs.NextCfg(); got != before+1 {
		t.Errorf("next_cfg went from %d to %d, want one transaction", before, got)
	}
	if got := len(h.bridges()); got != 100 {
		t.Errorf("%d bridges after the answer, want 100", got)
	}
	for _, a := range h.list(h.path()+"/networkattachments", "network_attachment") {
		if got := a.(map[string]any)["in_sync"]; got != "true" {
			t.Fatalf("attachment %v is not in sync", a)
		}
	}
}

// TestManyChangesInOneRequestAreOneTransaction makes and changes networks: half
// of them have bridges already, the others get theirs by a label.
func TestManyChangesInOneRequestAreOneTransaction(t *testing.T) {
	const each = 30
	h := newHost(t, nil)
	h.start()
	var names, first, second []string
	for i := range each {
		names = append(names, fmt.Sprintf("old%d", i))
		first = append(first, fmt.Sprintf(`{"name":"old%d"}`, i))
		second = append(second, fmt.Sprintf(`{"name":"old%d","mtu":"1400"},{"name":"new%d","mtu":1400,"network_labels":{"network_label":[{"id":"lab"}]}}`, i, i))
	}
	revision := func() float64 { return h.must("GET", "/isonet/status", "")["revision"].(float64) }
	put := func(entries []string) {
		t.Helper()
		before := revision()
		h.must("POST", "/isonet/networks", `{"network":[`+strings.Join(entries, ",")+`]}`)
		ovstest.Eventually(t, "the status is of the change", func() error {
			if got := revision(); got != before+1 {
				return fmt.Errorf("the revision went from %v to %v, want one transaction", before, got)
			}
			return nil
		})
	}
	put(first)
	h.must("POST", h.path()+"/setupnetworks", attachAll(names...))
	h.must("POST", h.path()+"/networklabels", `{"id":"lab"}`)
	before := h.ovs.NextCfg()
	put(second)
	if got := h.ovs.NextCfg(); got != before+1 {
		t.Errorf("next_cfg went from %d to %d, want one transaction", before, got)
	}
	attachments := h.list(h.path()+"/networkattachments", "network_attachment")
	if len(attachments) != 2*each {
		t.Errorf("%d attachments, want %d", len(attachments), 2*each)
	}
	for _, a := range attachments {
		if got := a.(map[string]any)["in_sync"]; got != "true" {
			t.Fatalf("attachment %v is not in sync", a)
		}
	}
	before = h.ovs.NextCfg()
	rows, was := h.ovs.Versions(), revision()
	if code, fault := h.call("POST", "/isonet/networks", `{"network":[{"name":"old0","mtu":1300},{"name":"old1","mtu":5}]}`); code != http.StatusBadRequest {
		t.Errorf("a bad entry: %d %v", code, fault)
	}
	if diff := cmp.Diff(rows, h.ovs.Versions()); diff != "" || h.ovs.NextCfg() != before || revision() != was {
		t.Errorf("rows of Open vSwitch (-before +after a refusal):\n%s", diff)
	}
}

func TestALabelOnTheHostProvisionsAndItsRemovalRemoves(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	id := h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", "/networks/"+id+"/networklabels", `{"id":"lab"}`)
	h.must("POST", h.path()+"/networklabels", `{"id":"lab"}`)
	if got := h.bridges(); len(got) != 1 || got[0] != "red" {
		t.Fatalf("bridges %v after labelling, want red", got)
	}
	attachments := h.list(h.path()+"/networkattachments", "network_attachment")
	if len(attachments) != 1 {
		t.Fatalf("attachments: %v", attachments)
	}
	attachment := h.path() + "/networkattachments/" + attachments[0].(map[string]any)["id"].(string)
	if got := len(h.list(attachment+"/statistics", "statistic")); got != 8 {
		t.Errorf("%d statistics, want 8", got)
	}
	if status, fault := h.call("DELETE", attachment, ""); status != http.StatusConflict {
		t.Errorf("DELETE of an attachment that a label causes: %d %v", status, fault)
	}
	h.must("DELETE", h.path()+"/networklabels/lab", "")
	if got := h.bridges(); len(got) != 0 {
		t.Errorf("bridges %v after the label is gone", got)
	}
}

func TestARefusedChangeLeavesNothing(t *testing.T) {
	ip := func(args ...string) {
		if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil {
			t.Errorf("ip %v: %v: %s", args, err, out)
		}
	}
	ip("link", "add", "istaken0", "type", "veth", "peer", "name", "istaken1")
	t.Cleanup(func() { ip("link", "delete", "istaken0") })
	h := newHost(t, nil)
	h.start()
	h.ovs.Vsctl("add-br", "theirs")
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.network(`{"name":"theirs","data_center":{"name":"Default"}}`)
	h.network(`{"name":"istaken0","data_center":{"name":"Default"}}`)
	for _, names := range [][]string{{"red", "theirs"}, {"red", "istaken0"}, {"red", "missing"}} {
		status, fault := h.call("POST", h.path()+"/setupnetworks", attachAll(names...))
		if status != http.StatusConflict && status != http.StatusBadRequest {
			t.Errorf("%v: status %d", names, status)
		}
		if detail, _ := fault["detail"].(string); !strings.Contains(detail, names[1]) {
			t.Errorf("%v: fault %v does not name what is in the way", names, fault)
		}
		ovstest.Eventually(t, "nothing is left", func() error {
			if got := h.bridges(); len(got) != 1 || got[0] != "theirs" {
				return fmt.Errorf("bridges %v", got)
			}
			return nil
		})
		if got := h.list(h.path()+"/networkattachments", "network_attachment"); len(got) != 0 {
			t.Errorf("%v: attachments %v", names, got)
		}
	}
}

func TestABridgeInUseIsRemovedByForceOnly(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	id := h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.ovs.Vsctl("add-port", "red", "vm1")
	var fault map[string]any
	ovstest.Eventually(t, "the port counts", func() error {
		status, reply := h.call("DELETE", "/networks/"+id, "")
		if fault = reply; status != http.StatusConflict {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	if detail, _ := fault["detail"].(string); !strings.Contains(detail, "vm1") {
		t.Errorf("the fault %v does not name the port", fault)
	}
	if got := h.bridges(); len(got) != 1 {
		t.Fatalf("bridges %v after a refused removal", got)
	}
	h.must("DELETE", "/networks/"+id+"?force=true", "")
	if got := h.bridges(); len(got) != 0 {
		t.Errorf("bridges %v after a forced removal", got)
	}
}

func TestARestartChangesNothing(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	h.network(`{"name":"größe","mtu":"1300","description":"ünïcode","label":"","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("größe"))
	networks := h.list("/networks", "network")
	before, version := h.ovs.NextCfg(), h.ovs.Vsctl("list", "bridge")
	h.stop()
	if got := h.ovs.Vsctl("list", "bridge"); got != version {
		t.Errorf("the end of the daemon changed the bridge from\n%s\nto\n%s", version, got)
	}
	h.start()
	ovstest.Eventually(t, "the network is known after the restart", func() error {
		if got := len(h.must("GET", "/isonet/status", "")["networks"].([]any)); got != 1 {
			return fmt.Errorf("%d networks", got)
		}
		return nil
	})
	if a, b := fmt.Sprint(networks), fmt.Sprint(h.list("/networks", "network")); a != b {
		t.Errorf("networks before the restart\n%s\nafter\n%s", a, b)
	}
	if got := h.ovs.NextCfg(); got != before {
		t.Errorf("the restart wrote to Open vSwitch: next_cfg %d, was %d", got, before)
	}
}

func TestMetrics(t *testing.T) {
	h := newHost(t, nil)
	d := h.start()
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	var text string
	ovstest.Eventually(t, "the network counts", func() error {
		if text = h.metrics(d); !strings.Contains(text, "isonet_network_receive_bytes_total") {
			return errors.New("it does not")
		}
		return nil
	})
	for _, want := range []string{
		`isonet_network_receive_bytes_total{network="red"} 0`,
		`isonet_network_ready{network="red"} 1`,
		`isonet_ovsdb_connected 1`,
		`isonet_ovsdb_transaction_duration_seconds_count{result="committed"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// metrics returns what a scrape gets.
func (h *host) metrics(d *daemon.Daemon) string {
	h.Helper()
	res, err := http.Get("http://" + d.Addr("metrics").String() + "/metrics") //nolint:noctx // bounded by the test
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return string(text)
}

// awaitMetric waits for a line of the metrics.
func (h *host) awaitMetric(d *daemon.Daemon, line string) {
	h.Helper()
	ovstest.Eventually(h, line, func() error {
		if text := h.metrics(d); !strings.Contains(text, line+"\n") {
			return fmt.Errorf("the metrics are\n%s", text)
		}
		return nil
	})
}

func TestTCPNeedsAPassword(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, append([]byte("admin:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, func(o *daemon.Options) { o.Listen, o.UsersFile = "127.0.0.1:0", users })
	d := h.start()
	for password, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "secret": http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+d.Addr("listen").String()+"/ovirt-engine/api/networks", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			req.SetBasicAuth("admin@internal", password)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // the status is all that is wanted
		if res.StatusCode != want {
			t.Errorf("password %q: %d, want %d", password, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestSocket(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	info, err := os.Stat(h.cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o660 {
		t.Errorf("mode %o, want 660", got)
	}
	if _, err := daemon.New(h.cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another isonetd") {
		t.Errorf("a second daemon: %v", err)
	}
	h.stop()

	// What a crash leaves behind is replaced.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.cfg.Socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.stop()

	// Anything else is not.
	if err := os.WriteFile(h.cfg.Socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.New(h.cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file in place of the socket: %v", err)
	}
	if data, err := os.ReadFile(h.cfg.Socket); err != nil || string(data) != "precious" {
		t.Errorf("the file is %q, %v", data, err)
	}
	file := h.cfg.Socket + ".precious"
	if err := errors.Join(os.Rename(h.cfg.Socket, file), os.Symlink(file, h.cfg.Socket)); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.New(h.cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a symbolic link in place of the socket: %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the file behind the link is %q, %v", data, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*daemon.Options){
		"":                                func(*daemon.Options) {},
		"ovsdb: ":                         func(o *daemon.Options) { o.OVSDB = "/run/db.sock" },
		"not by ssl":                      func(o *daemon.Options) { o.OVSDB = "ssl:127.0.0.1:6640" },
		"store: ":                         func(o *daemon.Options) { o.Store = "tcp:nowhere" },
		"an ssl endpoint needs store-ca":  func(o *daemon.Options) { o.Store = "ssl:127.0.0.1:6645" },
		"fleet-status: it is for hosts":   func(o *daemon.Options) { o.FleetStatus = "tcp:127.0.0.1:6652" },
		"fleet-status: OVSDB endpoint":    func(o *daemon.Options) { o.Store, o.FleetStatus = "tcp:127.0.0.1:6651", "here" },
		"ssl endpoint needs store-ca":     func(o *daemon.Options) { o.Store, o.FleetStatus = "tcp:127.0.0.1:6651", "ssl:127.0.0.1:6652" },
		`"http://h:1" is not of the form`: func(o *daemon.Options) { o.APIURL = "http://h:1" },
		"users-file is needed":            func(o *daemon.Options) { o.Listen = "127.0.0.1:0" },
		"listen: want HOST:PORT":          func(o *daemon.Options) { o.Listen = "8080" },
		"metrics-listen: want HOST:PORT":  func(o *daemon.Options) { o.MetricsListen = "9475" },
		"tls-cert: ":                      func(o *daemon.Options) { o.TLSCert = "/nowhere" },
		"tls-ca: ":                        func(o *daemon.Options) { o.TLSCA = "/nowhere" },
		`readers: "a,,b" has an empty`:    func(o *daemon.Options) { o.Readers = "a,,b" },
		`"8" is not a duration`:           func(o *daemon.Options) { o.TokenTimeout = "8" },
		`"" is not a duration`:            func(o *daemon.Options) { o.TokenTimeout = "" },
		`"0s" is not a duration`:          func(o *daemon.Options) { o.TokenTimeout = "0s" },
		`"-1h" is not a duration`:         func(o *daemon.Options) { o.TokenTimeout = "-1h" },
		`"721h" is not a duration`:        func(o *daemon.Options) { o.TokenTimeout = "721h" },
		`"1MB" is not 0 and no number`:    func(o *daemon.Options) { o.HistorySize = "1MB" },
		`"-1" is not 0 and no number`:     func(o *daemon.Options) { o.HistorySize = "-1" },
		`"1023KiB" is not 0 and no`:       func(o *daemon.Options) { o.HistorySize = "1023KiB" },
		`"8589934593GiB" is not 0 and`:    func(o *daemon.Options) { o.HistorySize = "8589934593GiB" },
		`history-age: "a year" is not`:    func(o *daemon.Options) { o.HistoryAge = "a year" },
		`history-age: "-1h" is not`:       func(o *daemon.Options) { o.HistoryAge = "-1h" },
		"ovs-rundir: ":                    func(o *daemon.Options) { o.OVSRunDir = "run" },
		"state-dir: ":                     func(o *daemon.Options) { o.StateDir = "state" },
		"socket: ":                        func(o *daemon.Options) { o.Socket = "api.sock" },
		"api-only: it is for the hosts":   func(o *daemon.Options) { o.APIOnly = "true" },
		`api-only: "no" is not true or`:   func(o *daemon.Options) { o.APIOnly = "no" },
		`"maybe" is not auto or off`:      func(o *daemon.Options) { o.HostGuard = "maybe" },
		`"magic" is not auto, system`:     func(o *daemon.Options) { o.DatapathType = "magic" },
		`"loud" is not debug`:             func(o *daemon.Options) { o.LogLevel = "loud" },
		`"xml" is not text or json`:       func(o *daemon.Options) { o.LogFormat = "xml" },
	} {
		options := daemon.DefaultOptions()
		change(&options)
		_, err := options.Parse()
		if want == "" && err != nil {
			t.Errorf("the defaults: %v", err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestTheFileIsStrict(t *testing.T) {
	options := daemon.DefaultOptions()
	if err := options.ReadOptions("f", strings.NewReader("socket: /x\nlisten: ''\n")); err != nil || options.Socket != "/x" || options.StateDir == "" {
		t.Errorf("options %+v, error %v", options, err)
	}
	if err := options.ReadOptions("f", strings.NewReader("")); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	if err := options.ReadOptions("f", strings.NewReader("sokcet: /x\n")); err == nil || !strings.Contains(err.Error(), "sokcet") {
		t.Errorf("a misspelt key: %v", err)
	}
}
