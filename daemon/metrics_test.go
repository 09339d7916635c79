package daemon_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
)

// scrape asks for the metrics, with a password if there is one.
func scrape(t *testing.T, client *http.Client, url, password string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.SetBasicAuth("prometheus", password)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestMetricsOverTLS scrapes as a Prometheus that must know a password and that
// checks the certificate.
func TestMetricsOverTLS(t *testing.T) {
	certificate, key := selfSigned(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, fmt.Appendf(nil, "tls_server_config:\n  cert_file: %s\n  key_file: %s\nbasic_auth_users:\n  prometheus: %s\n",
		write(t, certificate), write(t, key), hash))
	h := newHost(t, func(o *daemon.Options) { o.MetricsConfig = config })
	d := h.start()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "https://" + d.Addr("metrics").String() + "/metrics"
	for password, want := range map[string]int{"": 401, "wrong": 401, "secret": 200} {
		status, text := scrape(t, client, url, password)
		if status != want {
			t.Errorf("password %q: %d, want %d", password, status, want)
		}
		if got := strings.Contains(text, "\nisonet_ovsdb_connected 1\n"); got != (want == 200) {
			t.Errorf("password %q: metrics served: %t", password, got)
		}
	}
	plain := strings.Replace(url, "https", "http", 1)
	if status, _ := scrape(t, client, plain, "secret"); status != http.StatusBadRequest {
		t.Errorf("without TLS: %d, want 400", status)
	}
}

// TestMetricsOfPorts plugs in a port as libvirt does.
func TestMetricsOfPorts(t *testing.T) {
	h := newHost(t, func(o *daemon.Options) { o.MetricsPorts, o.PortsExclude = "true", "vnet1|lo.*" })
	d := h.start()
	h.network(`{"name":"red","data_center":{"name":"Default"}}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	for _, port := range []string{"vnet0", "vnet1"} {
		h.ovs.Vsctl("--no-wait", "add-port", "red", port, "--", "set", "Interface", port,
			"external_ids:attached-mac=56:6f:00:00:00:01", "external_ids:vm-id=vm", "external_ids:iface-id=nic")
	}
	url := "http://" + d.Addr("metrics").String() + "/metrics"
	defer http.DefaultClient.CloseIdleConnections()
	want := []string{
		`isonet_port_info{iface_id="nic",mac="56:6f:00:00:00:01",network="red",port="vnet0",type="",vm_id="vm"} 1`,
		`isonet_port_receive_bytes_total{network="red",port="vnet0"} 0`,
		`isonet_port_link_up{network="red",port="vnet0"} `,
	}
	ovstest.Eventually(t, "the port has metrics", func() error {
		_, text := scrape(t, http.DefaultClient, url, "")
		for _, line := range want {
			if !strings.Contains(text, "\n"+line) {
				return fmt.Errorf("no %s", line)
			}
		}
		if strings.Contains(text, `port="vnet1"`) {
			return errors.New("vnet1 has metrics, which is excluded")
		}
		return nil
	})
}

func TestMetricsOptions(t *testing.T) {
	for want, change := range map[string]func(*daemon.Options){
		"":                             func(o *daemon.Options) { o.MetricsPorts, o.PortsInclude = "true", "vnet.*" },
		"metrics-web-config: ":         func(o *daemon.Options) { o.MetricsConfig = filepath.Join(t.TempDir(), "nowhere") },
		"unknown_key":                  func(o *daemon.Options) { o.MetricsConfig = write(t, []byte("unknown_key: 1\n")) },
		`metrics-ports: "maybe"`:       func(o *daemon.Options) { o.MetricsPorts = "maybe" },
		"metrics-ports-include: \"(\"": func(o *daemon.Options) { o.MetricsPorts, o.PortsInclude = "true", "(" },
		"metrics-ports-exclude: \"*\"": func(o *daemon.Options) { o.MetricsPorts, o.PortsExclude = "true", "*" },
		"at most 1000 are allowed":     func(o *daemon.Options) { o.MetricsPorts, o.PortsInclude = "true", strings.Repeat("a", 1001) },
		"set it to true":               func(o *daemon.Options) { o.PortsInclude = "vnet.*" },
	} {
		options := daemon.DefaultOptions()
		change(&options)
		_, err := options.Parse()
		if want == "" && err != nil {
			t.Errorf("a right configuration: %v", err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestPatternsMatchWholeNames shows what a pattern means.
func TestPatternsMatchWholeNames(t *testing.T) {
	options := daemon.DefaultOptions()
	text := "metrics-ports: true\nmetrics-ports-include: vnet1|web\n"
	if err := options.ReadOptions("f", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	cfg, err := options.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.MetricsPorts || cfg.MetricsExclude != nil {
		t.Errorf("ports %t, exclude %v", cfg.MetricsPorts, cfg.MetricsExclude)
	}
	for name, want := range map[string]bool{"vnet1": true, "web": true, "vnet12": false, "web2": false, "myweb": false} {
		if got := cfg.MetricsInclude.MatchString(name); got != want {
			t.Errorf("%s is included: %t", name, got)
		}
	}
}
