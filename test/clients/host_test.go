package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/internal/hosttest"
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

// host is a host with isonetd on it, in the namespace of the tests.
type host struct {
	*hosttest.Host
	id string
}

// newHost starts both. They end with the test.
func newHost(t *testing.T, options ...string) *host {
	t.Helper()
	t.Cleanup(func() { removeDevices(t) })
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, fmt.Appendf(nil, "admin:%s\nreader:%[1]s\n", hash(t, password)), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &host{Host: hosttest.New(t, program, hosttest.In(os.Getenv(inside)), hosttest.OwnStore(""), hosttest.With(append([]string{
		"--listen", address, "--users-file", users, "--metrics-listen", "", "--log-level", "debug",
	}, options...)...))}
	h.Start()
	t.Cleanup(h.Stop)
	h.id = strings.TrimPrefix(h.Path(), "/hosts/")
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
	return strings.Join(strings.Fields(h.OVS.Vsctl("list-br")), " ")
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
	h.OVS.Vsctl("add-port", bridge, device)
	return vm
}

// ip runs ip(8), which must succeed.
func (h *host) ip(args ...string) {
	h.Helper()
	if err := ip(args...); err != nil {
		h.Fatal(err)
	}
}
