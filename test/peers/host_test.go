// Package peers shows isonet's statistics to the programs that they are for.
// Debian's Prometheus scrapes the built isonetd while a generator sends frames
// through a real Open vSwitch, and promtool checks what contrib ships.
package peers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

// host is a host with isonetd on it, whose metrics are where contrib says.
type host struct{ *hosttest.Host }

const metricsPort = "9475" // as in contrib/prometheus/prometheus.yml

// newHost starts both. They end with the test.
func newHost(t *testing.T, options ...hosttest.Option) *host {
	t.Helper()
	const program = "../../bin/isonetd"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("run \"make build\" first: %v", err)
	}
	options = append(options, hosttest.OwnStore(""), hosttest.With("--metrics-listen", "0.0.0.0:"+metricsPort, "--metrics-ports"))
	h := &host{hosttest.New(t, program, options...)}
	h.Start()
	t.Cleanup(h.Stop)
	return h
}

// apiAddress is where a serving host has its API, in its namespace.
const apiAddress = "127.0.0.1:8443"

// newServing starts a host that serves its API over TLS, with the reader prometheus
// whose password is secret. It returns the file with the certificate as well.
func newServing(t *testing.T) (h *host, cert string) {
	t.Helper()
	dir := t.TempDir()
	cert = filepath.Join(dir, "cert.pem")
	key, users := filepath.Join(dir, "key.pem"), filepath.Join(dir, "users")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{
		cert:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		users: []byte("prometheus:$2a$04$MzsLxnrkjZujAsxigSgjweRXwfGi7Vq5pVVJvznDxi2HEzUvH5uUK\n"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return newHost(t, hosttest.With("--listen", apiAddress, "--users-file", users, "--readers", "prometheus", "--tls-cert", cert, "--tls-key", key)), cert
}

// transport dials inside the host's network namespace.
func (h *host) transport() *http.Transport {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		inside := <-ovstest.GoInside(h.Namespace, func() error {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, inside
	}}
	h.Cleanup(transport.CloseIdleConnections)
	return transport
}

// addNetwork creates the network red and attaches it. It returns the network's id.
func (h *host) addNetwork() (id string) {
	h.Helper()
	h.Create("red")
	h.Attach("red")
	return strings.TrimPrefix(h.Network("red"), "/networks/")
}

// run starts a program, whose output a failed test shows. It has to end well when
// the test has ended.
func (h *host) run(cmd *exec.Cmd) {
	h.Helper()
	path := filepath.Join(h.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the program writes to it
	cmd.Stdout, cmd.Stderr = log, log
	process, err := ovstest.StartProcess(cmd)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		process.Signal(h, syscall.SIGTERM)
		if code := process.ExitCode(); code != 0 || h.Failed() {
			text, _ := os.ReadFile(path) // a failure is reported already
			h.Errorf("%v: exit code %d, log:\n%s", cmd.Args, code, text)
		}
	})
}

// newVM makes a VM that sends nothing by itself.
func (h *host) newVM(device, address string) *ovstest.VM {
	h.Helper()
	vm := h.OVS.NewVM(device, address)
	if out, err := vm.Command("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1").CombinedOutput(); err != nil {
		h.Fatalf("turn off IPv6: %v: %s", err, out)
	}
	return vm
}

// remove takes a VM away: first its port, then its device.
func (h *host) remove(vm *ovstest.VM) {
	h.Helper()
	h.OVS.Vsctl("del-port", vm.Device)
	if out, err := h.Command("ip", "link", "delete", vm.Device).CombinedOutput(); err != nil {
		h.Fatalf("delete %s: %v: %s", vm.Device, err, out)
	}
}
