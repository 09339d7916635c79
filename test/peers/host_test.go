// Package peers shows isonet's statistics to the programs that they are for.
// Debian's Prometheus scrapes the built isonetd while a generator sends frames
// through a real Open vSwitch, and promtool checks what contrib ships.
package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

const (
	program     = "../../bin/isonetd"
	api         = "http://isonetd/ovirt-engine/api"
	metricsPort = "9475" // as in contrib/prometheus/prometheus.yml
)

// host is a private Open vSwitch with an isonetd on it, in a network namespace
// of its own.
type host struct {
	*testing.T
	ovs       *ovstest.OVS
	namespace string
	id        string
	client    *http.Client // of the API
	daemon    *exec.Cmd
}

// newHost starts both. They end with the test.
func newHost(t *testing.T) *host {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("run \"make build\" first: %v", err)
	}
	namespace := ovstest.Namespace(t)
	h := &host{T: t, namespace: namespace, ovs: ovstest.Start(t, ovstest.InNamespace(namespace))}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(h.ovs.Dir(), "isonetd.sock"))
	}}
	h.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	h.startDaemon()
	t.Cleanup(h.stopDaemon)
	return h
}

// inside returns a command that runs in the host's network namespace.
func (h *host) inside(args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.namespace}, args...)...)
}

// transport dials inside the host's network namespace.
func (h *host) transport() *http.Transport {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		inside := <-ovstest.GoInside(h.namespace, func() error {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, inside
	}}
	h.Cleanup(transport.CloseIdleConnections)
	return transport
}

// startDaemon starts isonetd and waits until it knows its host.
func (h *host) startDaemon() {
	h.Helper()
	dir := h.ovs.Dir()
	h.daemon = h.inside(program,
		"--ovsdb", h.ovs.Endpoint(), "--state-dir", filepath.Join(dir, "state"), "--socket", filepath.Join(dir, "isonetd.sock"),
		"--metrics-listen", "0.0.0.0:"+metricsPort, "--metrics-ports", "--datapath-type", ovstest.Datapath())
	h.start(h.daemon, "isonetd")
	ovstest.Eventually(h, "isonetd answers and knows its host", func() error {
		var hosts struct{ Host []struct{ ID, Status string } }
		if err := h.call(http.MethodGet, "/hosts", nil, &hosts); err != nil {
			return err
		}
		if len(hosts.Host) != 1 || hosts.Host[0].Status != "up" {
			return fmt.Errorf("the hosts are %v", hosts.Host)
		}
		h.id = hosts.Host[0].ID
		return nil
	})
}

func (h *host) stopDaemon() {
	h.Helper()
	h.stop(h.daemon, "isonetd")
}

// killDaemon ends isonetd as a crash would.
func (h *host) killDaemon() {
	h.Helper()
	if err := h.daemon.Process.Kill(); err != nil {
		h.Errorf("kill isonetd: %v", err)
	}
	_ = h.daemon.Wait() // it was killed: there is nothing to learn
}

// start starts a process whose output a failed test shows.
func (h *host) start(cmd *exec.Cmd, name string) {
	h.Helper()
	log, err := os.CreateTemp(h.TempDir(), name+"-*.log")
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process writes to it
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if h.Failed() {
			text, _ := os.ReadFile(log.Name()) // a failure is reported already
			h.Logf("log of %s:\n%s", name, text)
		}
	})
}

func (h *host) stop(cmd *exec.Cmd, name string) {
	h.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.Errorf("stop %s: %v", name, err)
	}
	if err := cmd.Wait(); err != nil {
		h.Errorf("%s: %v", name, err)
	}
}

// call sends a request to isonetd's own socket and decodes the answer into out,
// unless that is nil.
func (h *host) call(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), method, api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode > 299:
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	case out == nil:
		return nil
	}
	return json.Unmarshal(answer, out)
}

type object map[string]any

// addNetwork creates the network red and attaches it. It returns the network's
// id.
func (h *host) addNetwork() (id string) { return h.addNetworkOf(object{"name": "red"}) }

func (h *host) addNetworkOf(attributes object) (id string) {
	h.Helper()
	var network struct{ ID string }
	if err := h.call(http.MethodPost, "/networks", attributes, &network); err != nil {
		h.Fatal(err)
	}
	attachment := object{"network_attachment": []object{{"network": object{"id": network.ID}}}}
	if err := h.call(http.MethodPost, "/hosts/"+h.id+"/setupnetworks", object{"modified_network_attachments": attachment}, nil); err != nil {
		h.Fatal(err)
	}
	return network.ID
}

func (h *host) deleteNetwork(id string) {
	h.Helper()
	if err := h.call(http.MethodDelete, "/networks/"+id, nil, nil); err != nil {
		h.Fatal(err)
	}
}

// newVM makes a VM that sends nothing by itself.
func (h *host) newVM(device, address string) *ovstest.VM {
	h.Helper()
	vm := h.ovs.NewVM(device, address)
	if out, err := vm.Command("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1").CombinedOutput(); err != nil {
		h.Fatalf("turn off IPv6: %v: %s", err, out)
	}
	return vm
}

// remove takes a VM away: first its port, then its device.
func (h *host) remove(vm *ovstest.VM) {
	h.Helper()
	h.ovs.Vsctl("del-port", vm.Device)
	if out, err := h.inside("ip", "link", "delete", vm.Device).CombinedOutput(); err != nil {
		h.Fatalf("delete %s: %v: %s", vm.Device, err, out)
	}
}
