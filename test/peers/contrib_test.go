package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/isonet/isonet/internal/ovstest"
)

// promtool runs Debian's promtool, which must be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	in := func(name string) string { return filepath.Join(contrib, "prometheus", name) }
	promtool(t, "check", "config", "--lint-fatal", in("prometheus.yml"))
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", in("rules.yml"), in("alerts.yml"))
	promtool(t, "test", "rules", in("rules_test.yml"), in("alerts_test.yml"))
}

// dashboard is what the tests need of contrib/grafana/isonet.json.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type, Definition string
			Query                  json.RawMessage
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		Datasource  struct{ UID string }
		Targets     []struct {
			Expr       string
			Datasource struct{ UID string }
		}
		GridPos struct{ X, Y, W, H int }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(contrib, "grafana", "isonet.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions returns what the dashboard asks Prometheus, with values for its
// variables as Grafana fills them in.
func (d dashboard) expressions() []string {
	fill := strings.NewReplacer("$__rate_interval", "1m", "$__range", "3h", "$instance", ".+", "$network", "red")
	var list []string
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			list = append(list, fill.Replace(target.Expr))
		}
	}
	for _, variable := range d.Templating.List {
		if selector, ok := strings.CutPrefix(variable.Definition, "label_values("); ok {
			list = append(list, fill.Replace(selector[:strings.LastIndex(selector, ",")]))
		}
	}
	return list
}

// TestDashboard checks the form of the dashboard: TestTargetsAndMetrics runs its queries.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	var rows []string
	ids := map[int]bool{}
	for i, panel := range d.Panels {
		if ids[panel.ID] {
			t.Errorf("two panels have the id %d", panel.ID)
		}
		ids[panel.ID] = true
		if panel.Type == "row" {
			rows = append(rows, panel.Title)
			continue
		}
		if panel.Description == "" || panel.Datasource.UID != "${datasource}" || len(panel.Targets) == 0 {
			t.Errorf("the panel %q lacks a description, the data source of the variable, or a query", panel.Title)
		}
		for _, target := range panel.Targets {
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("a query of the panel %q has the data source %q", panel.Title, target.Datasource.UID)
			}
		}
		for _, other := range d.Panels[:i] {
			a, b := panel.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("the panels %q and %q overlap", other.Title, panel.Title)
			}
		}
	}
	if want := []string{"Host", "All networks", "Network $network"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q", rows, want)
	}
	var variables []string
	for _, variable := range d.Templating.List {
		variables = append(variables, variable.Name+" "+variable.Type)
		var query struct{ Query string }
		if variable.Type == "query" && (json.Unmarshal(variable.Query, &query) != nil || query.Query != variable.Definition) {
			t.Errorf("the variable %s says that it asks %s, and asks %s", variable.Name, variable.Definition, variable.Query)
		}
	}
	if want := []string{"datasource datasource", "instance query", "network query"}; !slices.Equal(variables, want) {
		t.Errorf("the variables are %q, want %q", variables, want)
	}
}

// TestTargetsAndMetrics lets Prometheus find isonetd in each of the ways that
// its configuration shows, and run every rule and every query of the dashboard
// on what it scraped. All metrics that they name must be there.
func TestTargetsAndMetrics(t *testing.T) {
	t.Parallel()
	h, ca := newServing(t)
	h.addNetwork()
	h.OVS.Plug(h.newVM("vm1", "10.0.0.1/24"), "red")
	h.Must(http.MethodPost, "/networks", `{"name":"locked","strict":true,"mac_lock":true,"broadcast_limit":1000}`)
	h.Attach("locked")
	h.OVS.Plug(h.newVM("vm2", "10.0.0.2/24"), "locked")
	h.OVS.Vsctl("set", "Interface", "vm2", "external_ids:attached-mac=02:00:00:00:00:02")
	// The name of the host is where Prometheus finds it.
	h.Must(http.MethodPut, h.Path(), `{"name":"127.0.0.3"}`)
	s := newServer(h, func(dir, config string) string {
		targets := "- targets: [127.0.0.2:" + metricsPort + "]\n"
		if err := os.WriteFile(filepath.Join(dir, "targets", "hosts.yml"), []byte(targets), 0o600); err != nil {
			t.Fatal(err)
		}
		// The example of the HTTP service discovery is a comment.
		config = regexp.MustCompile(`(?m)^    #(http_sd_configs:|  )`).ReplaceAllString(config, "    $1")
		config = strings.ReplaceAll(config, "tls_config: {ca_file: ca.pem}", "tls_config: {ca_file: "+ca+"}")
		if err := os.WriteFile(filepath.Join(dir, "password"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(config, "host1.example.org:8443", apiAddress)
	})
	for _, instance := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		s.holds(fmt.Sprintf(`up{job="isonet", instance=%q} == 1`, instance))
	}
	s.holds(`isonet_network_info{instance="127.0.0.3", network="red"}`)
	s.holds(`isonet_network_mtu_actual_bytes{network="red"} == 1500`)
	s.holds(`isonet_port_receive_bytes_total{instance="127.0.0.1", network="red"} >= 0`)
	s.holds(`isonet_network_mac_lock_drops_total{network="locked"} >= 0`)
	s.holds(`isonet_network_broadcast_limit_drops_total{network="locked"} >= 0`)
	s.holds(`isonet_statistics_last_update_timestamp_seconds > 0`) // once Open vSwitch has published

	h.lintMetrics()
	metrics := s.metrics()
	recorded, named := regexp.MustCompile(`\w+:\w+:\w+`), regexp.MustCompile(`\b(?:isonet|process|go|promhttp)_\w+`)
	check := func(expression string) {
		if _, err := s.query(expression, now); err != nil {
			t.Error(err)
		}
		for _, name := range named.FindAllString(recorded.ReplaceAllString(expression, ""), -1) {
			// These hosts are in no fleet. What the exporter has of one is in its own tests.
			if !metrics[name] && !strings.HasPrefix(name, "isonet_fleet_") {
				t.Errorf("there is no metric %s, which is in %s", name, expression)
			}
		}
	}
	for _, expression := range readDashboard(t).expressions() {
		check(expression)
	}
	rules, err := s.Rules(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var alerts int
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			switch rule := rule.(type) {
			case v1.RecordingRule:
				check(rule.Query)
			case v1.AlertingRule:
				alerts++
				check(rule.Query)
				for _, name := range []model.LabelName{"summary", "description", "runbook", "runbook_url"} {
					if rule.Annotations[name] == "" {
						t.Errorf("the alert %s has no %s", rule.Name, name)
					}
				}
				if severity := rule.Labels["severity"]; !slices.Contains([]model.LabelValue{"critical", "warning", "info"}, severity) {
					t.Errorf("the alert %s has the severity %q", rule.Name, severity)
				}
			}
		}
	}
	if alerts == 0 {
		t.Error("Prometheus has no alerts")
	}
	ovstest.Eventually(t, "every rule was evaluated without an error", func() error {
		rules, err := s.Rules(context.Background(), nil)
		if err != nil {
			return err
		}
		text, err := json.Marshal(rules)
		if err == nil && (strings.Contains(string(text), `"health":"unknown"`) || strings.Contains(string(text), `"health":"err"`)) {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	s.holds(`instance_network:isonet_receive_bits:rate1m{instance="127.0.0.1", network="red"}`)
	firing, err := s.query(`ALERTS{alertstate="firing"}`, now)
	if err != nil || len(firing) != 0 {
		t.Errorf("on a healthy host fire %v (%v)", firing, err)
	}
}

// lintMetrics has promtool look at a scrape.
func (h *host) lintMetrics() {
	h.Helper()
	client := &http.Client{Transport: h.transport()}
	res, err := client.Get("http://127.0.0.1:" + metricsPort + "/metrics") //nolint:noctx // it either answers or refuses
	if err != nil {
		h.Fatal(err)
	}
	scrape, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		h.Fatal(err)
	}
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = bytes.NewReader(scrape)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		h.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// metrics returns the names of all metrics that were scraped.
func (s *server) metrics() map[string]bool {
	s.Helper()
	values, _, _, err := s.LabelValues(context.Background(), string(model.MetricNameLabel), nil, now, now)
	if err != nil {
		s.Fatal(err)
	}
	names := map[string]bool{}
	for _, value := range values {
		names[string(value)] = true
	}
	return names
}
