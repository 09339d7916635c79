package hosttest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

// metricsListen is where isonetd serves its metrics, in the host's namespace.
const metricsListen = "127.0.0.1:9475"

// Host is a private Open vSwitch with an isonetd on it. Files are in the
// instance's directory.
type Host struct {
	testing.TB
	OVS       *ovstest.OVS
	Namespace string
	// Store is the server of the desired state; nil when isonetd runs it itself, or
	// when there are several.
	Store *ovstest.Server
	// ToOVS and ToStore are isonetd's wires to its databases. ToStore is nil when
	// Store is.
	ToOVS, ToStore *Wire

	program  string
	cluster  []string
	ownStore bool
	stateDir string
	ovs      []ovstest.Option
	wrapper  []string
	options  []string
	log      string
	client   *http.Client
	*daemon
}

// daemon is the isonetd that runs, which all copies of a host share.
type daemon struct {
	process *ovstest.Process
	// id of its host.
	id string
}

// Option changes a host.
type Option func(*Host)

// OwnStore lets isonetd run the server of the desired state itself, in a state
// directory; "" is one of the host's own.
func OwnStore(dir string) Option { return func(h *Host) { h.ownStore, h.stateDir = true, dir } }

// Sharing lets isonetd have the desired state of another host, which keeps its
// server.
func Sharing(other *Host) Option { return func(h *Host) { h.Store = other.Store } }

// Following lets isonetd have the desired state of a cluster, whose OVSDB endpoints
// are given: there may be other hosts, and there is no wire.
func Following(endpoints ...string) Option { return func(h *Host) { h.cluster = endpoints } }

// With gives isonetd further options.
func With(options ...string) Option {
	return func(h *Host) { h.options = append(h.options, options...) }
}

// Under starts isonetd by another program, such as one that limits it. It must
// become isonetd.
func Under(wrapper ...string) Option { return func(h *Host) { h.wrapper = wrapper } }

// OnOVS starts Open vSwitch in another way.
func OnOVS(options ...ovstest.Option) Option { return func(h *Host) { h.ovs = options } }

// In makes a network namespace that is there the host's, instead of a new one.
func In(namespace string) Option { return func(h *Host) { h.Namespace = namespace } }

// New starts a host without isonetd, whose path is given: Start starts it. It
// ends with the test.
func New(t testing.TB, program string, options ...Option) *Host {
	t.Helper()
	h := &Host{TB: t, program: program, daemon: &daemon{}}
	for _, option := range options {
		option(h)
	}
	if h.Namespace == "" {
		h.Namespace = ovstest.Namespace(t)
	}
	h.OVS = ovstest.Start(t, append(h.ovs, ovstest.InNamespace(h.Namespace))...)
	if h.stateDir == "" {
		h.stateDir = h.path("state")
	}
	h.log = h.path("isonetd.log")
	h.ToOVS = NewWire(t, h.path("wire.sock"), h.OVS.Server().Socket())
	switch {
	case h.Store != nil:
		h.ToStore = NewWire(t, h.path("store-wire.sock"), h.Store.Socket())
	case !h.ownStore && len(h.cluster) == 0:
		h.startStore()
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.Socket())
	}}
	h.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("isonetd's log:\n%s", h.Logged())
		}
	})
	t.Cleanup(h.Kill)
	return h
}

func (h *Host) path(name string) string { return filepath.Join(h.OVS.Dir(), name) }

// Socket returns the path of the API's socket.
func (h *Host) Socket() string { return h.path("isonetd/api.sock") }

func (h *Host) startStore() {
	h.Helper()
	dir, schema := h.path("store"), h.path("store.ovsschema")
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(schema, store.Schema, 0o600); err != nil {
		h.Fatal(err)
	}
	h.Store = ovstest.NewServer(h.TB, dir, filepath.Join(dir, "store.db"), schema)
	h.Store.Start()
	h.ToStore = NewWire(h.TB, filepath.Join(dir, "wire.sock"), h.Store.Socket())
}

// For returns the same host for a subtest: what the subtest makes ends with it,
// and fails it. It may not start or stop databases.
func (h *Host) For(t testing.TB) *Host {
	other := *h
	other.TB, other.OVS = t, h.OVS.For(t)
	return &other
}

// Command returns a command that runs on the host.
func (h *Host) Command(args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", h.Namespace}, args...)...)
}

// Launch starts isonetd and waits for nothing.
func (h *Host) Launch() {
	h.Helper()
	args := append(append([]string{}, h.wrapper...), h.program,
		"--ovsdb", h.ToOVS.Endpoint(), "--state-dir", h.stateDir, "--socket", h.Socket(), "--metrics-listen", metricsListen,
		"--datapath-type", ovstest.Datapath())
	if h.Store != nil {
		args = append(args, "--store", h.ToStore.Endpoint())
	}
	if len(h.cluster) > 0 {
		args = append(args, "--store", strings.Join(h.cluster, ","))
	}
	cmd := h.Command(append(args, h.options...)...)
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // isonetd writes to it
	cmd.Stdout, cmd.Stderr = log, log
	if h.process, err = ovstest.StartProcess(cmd); err != nil {
		h.Fatal(err)
	}
}

// Start starts isonetd and waits until it knows its host.
func (h *Host) Start() {
	h.Helper()
	h.Launch()
	h.AwaitReady()
}

// hostID is a host as the API lists it.
type hostID struct{ ID string }

func (h *Host) systemID() string {
	h.Helper()
	return strings.Trim(h.OVS.Vsctl("--no-wait", "get", "Open_vSwitch", ".", "external_ids:system-id"), `"`)
}

// AwaitReady waits until isonetd answers and follows both databases.
func (h *Host) AwaitReady() {
	h.Helper()
	ovstest.Eventually(h, "isonetd knows its host", func() error {
		reply, err := h.Ask("GET", "/hosts", "")
		if err == nil {
			err = reply.Err()
		}
		if err != nil {
			return err
		}
		var hosts struct{ Host []hostID }
		err = json.Unmarshal([]byte(reply.Text), &hosts)
		if len(h.cluster) > 0 { // the host is the one that its Open vSwitch names
			id := h.systemID()
			hosts.Host = slices.DeleteFunc(hosts.Host, func(other hostID) bool { return other.ID != id })
		}
		if err != nil || len(hosts.Host) != 1 || reply.Header.Get("Isonet-Stale") != "" {
			return fmt.Errorf("%s: %v, %w", reply.Text, reply.Header, err)
		}
		h.id = hosts.Host[0].ID
		return nil
	})
}

// Process returns isonetd's process.
func (h *Host) Process() *ovstest.Process { return h.process }

// Kill ends isonetd with SIGKILL, if it runs.
func (h *Host) Kill() {
	if h.process != nil {
		h.process.Kill()
		h.client.CloseIdleConnections()
	}
	h.process = nil
}

// Stop ends isonetd as its service manager does, if it runs. It has to end well.
func (h *Host) Stop() {
	h.Helper()
	if h.process == nil {
		return
	}
	h.process.Signal(h, syscall.SIGTERM)
	if code := h.process.ExitCode(); code != 0 {
		h.Errorf("isonetd was stopped and ended with the code %d", code)
	}
	h.Kill() // what is left of it
}

// Logged returns what isonetd has logged.
func (h *Host) Logged() string {
	text, err := os.ReadFile(h.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// SignalOwnStore sends a signal to the server that isonetd runs for its desired
// state.
func (h *Host) SignalOwnStore(signal syscall.Signal) {
	h.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", h.process.PID()))
	if err != nil {
		h.Fatal(err)
	}
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // the thread may have ended
		for _, child := range strings.Fields(string(children)) {
			command, _ := os.ReadFile("/proc/" + child + "/cmdline") // so may the child
			if pid, err := strconv.Atoi(child); err == nil && strings.HasPrefix(string(command), "ovsdb-server\x00") {
				if err := syscall.Kill(pid, signal); err != nil {
					h.Fatal(err)
				}
				return
			}
		}
	}
	h.Fatal("isonetd runs no ovsdb-server")
}
