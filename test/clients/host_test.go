package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/internal/ovstest"
)

// Where isonetd listens in the tests' network namespace, and whom it knows.
const (
	address  = "127.0.0.1:8080"
	engine   = "http://" + address + "/ovirt-engine"
	api      = engine + "/api"
	admin    = "admin@internal"
	reader   = "reader@internal"
	password = "s3cr&t" // with a character that forms have to escape
)

// host is a private Open vSwitch with an isonetd on it.
type host struct {
	*testing.T
	ovs *ovstest.OVS
	id  string
}

// newHost starts both. They end with the test.
func newHost(t *testing.T, options ...string) *host {
	t.Helper()
	t.Cleanup(func() { removeDevices(t) })
	h := &host{T: t, ovs: ovstest.Start(t, ovstest.InNamespace(os.Getenv(inside)))}
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, fmt.Appendf(nil, "admin:%s\nreader:%[1]s\n", hash(t, password)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start(append([]string{
		"--ovsdb", h.ovs.Endpoint(), "--state-dir", filepath.Join(dir, "state"), "--socket", h.socket(),
		"--listen", address, "--users-file", users, "--metrics-listen", "", "--datapath-type", ovstest.Datapath(), "--log-level", "debug",
	}, options...))
	ovstest.Eventually(t, "isonetd answers and knows its host", func() error {
		var hosts struct{ Host []struct{ ID, Status string } }
		body, err := h.get("/hosts")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &hosts); err != nil {
			return err
		}
		if len(hosts.Host) != 1 || hosts.Host[0].Status != "up" {
			return fmt.Errorf("hosts: %s", body)
		}
		h.id = hosts.Host[0].ID
		return nil
	})
	return h
}

// removeDevices removes what a killed ovs-vswitchd leaves in the namespace: the
// next test has the same names.
func removeDevices(t *testing.T) {
	t.Helper()
	ovstest.Eventually(t, "the network devices of the test are gone", func() error {
		list, err := net.Interfaces()
		if err != nil {
			return err
		}
		var left error
		for _, device := range list {
			if device.HardwareAddr != nil {
				// The other end of a cable goes with its namespace, maybe just now.
				left = errors.Join(fmt.Errorf("there is %s", device.Name), ip("link", "delete", device.Name))
			}
		}
		return left
	})
}

func hash(t *testing.T, password string) []byte {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) start(args []string) {
	h.Helper()
	path := filepath.Join(h.ovs.Dir(), "isonetd.log")
	log, err := os.Create(path)
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // isonetd writes to it
	cmd := exec.Command(program, args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			h.Errorf("stop isonetd: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			h.Errorf("isonetd: %v", err)
		}
		if h.Failed() {
			text, _ := os.ReadFile(path) // a failure is reported already
			h.Logf("isonetd's log:\n%s", text)
		}
	})
}

// get reads a resource in JSON from isonetd's own socket, without any oVirt
// client.
func (h *host) get(path string) ([]byte, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.socket())
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, api+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	return read(&http.Client{Transport: transport}, req)
}

func (h *host) socket() string { return filepath.Join(h.ovs.Dir(), "isonetd.sock") }

// read sends a request and returns the body of its answer, which must be 200.
func read(client *http.Client, req *http.Request) ([]byte, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", req.Method, req.URL, res.Status, body)
	}
	return body, err
}

// token logs a user in and returns the access token.
func (h *host) token(user string) string {
	h.Helper()
	form := url.Values{"grant_type": {"password"}, "scope": {"ovirt-app-api"}, "username": {user}, "password": {password}}
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, engine+"/sso/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	body, err := read(http.DefaultClient, req)
	if err != nil {
		h.Fatal(err)
	}
	var reply struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.Token == "" {
		h.Fatalf("login: %v: %s", err, body)
	}
	return reply.Token
}

// bridges returns the bridges that Open vSwitch has.
func (h *host) bridges() string {
	h.Helper()
	return strings.Join(strings.Fields(h.ovs.Vsctl("list-br")), " ")
}

// plug plugs a new network namespace into a bridge, as a virtual machine would
// be. Its device is eth0 with the given address.
func (h *host) plug(bridge, device, address string) (vm string) {
	h.Helper()
	vm = ovstest.Namespace(h)
	h.ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", vm)
	h.ip("link", "set", device, "up")
	h.ip("-n", vm, "addr", "add", address, "dev", "eth0")
	h.ip("-n", vm, "link", "set", "eth0", "up")
	h.ovs.Vsctl("add-port", bridge, device)
	return vm
}

// ip runs ip(8), which must succeed.
func (h *host) ip(args ...string) {
	h.Helper()
	if err := ip(args...); err != nil {
		h.Fatal(err)
	}
}
