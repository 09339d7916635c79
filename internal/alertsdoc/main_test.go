package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/isonet/isonet/exporter"
)

const (
	alerts   = "../../contrib/prometheus/alerts.yml"
	tests    = "../../contrib/prometheus/alerts_test.yml"
	page     = "../../docs/alerts.md"
	runbooks = "https://github.com/isonet/isonet/blob/main/docs/alerts.md#"
)

func rules(t *testing.T) []rule {
	t.Helper()
	groups, err := read(alerts)
	if err != nil {
		t.Fatal(err)
	}
	var list []rule
	for _, g := range groups {
		list = append(list, g.Rules...)
	}
	if len(list) == 0 {
		t.Fatalf("%s has no alerts", alerts)
	}
	return list
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRunbooksAreThere holds that each alert leads to a heading of the page.
func TestRunbooksAreThere(t *testing.T) {
	page := text(t, page)
	for _, r := range rules(t) {
		if want := runbooks + strings.ToLower(r.Alert); r.Annotations.URL != want {
			t.Errorf("the runbook_url of %s is %q, want %q", r.Alert, r.Annotations.URL, want)
		}
		if !strings.Contains(page, "\n### "+r.Alert+"\n") {
			t.Errorf("docs/alerts.md has no heading %s: run go generate ./internal/alertsdoc", r.Alert)
		}
	}
	if strings.Contains(page, "{{") {
		t.Error("docs/alerts.md has templates of Prometheus")
	}
}

// TestEachAlertIsTested holds that alerts_test.yml has a case in which each alert
// fires, and one in which it does not. "make peers" runs them.
func TestEachAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Expressions []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(text(t, tests)), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	name := regexp.MustCompile(`alertname="(\w+)"`)
	for _, test := range file.Tests {
		for _, e := range test.Expressions {
			if found := name.FindStringSubmatch(e.Expr); found != nil {
				fires[found[1]] = fires[found[1]] || len(e.Samples) > 0
				silent[found[1]] = silent[found[1]] || len(e.Samples) == 0
			}
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] {
			t.Errorf("in no test %s fires", r.Alert)
		}
		if !silent[r.Alert] {
			t.Errorf("in no test %s is silent", r.Alert)
		}
	}
}

// TestEveryMetricIsConsidered holds that each metric has an alert, or a reason why it
// has none.
func TestEveryMetricIsConsidered(t *testing.T) {
	var expressions strings.Builder
	for _, r := range rules(t) {
		expressions.WriteString(r.Expr + "\n")
	}
	recorded := text(t, "../../contrib/prometheus/rules.yml") // which alerts are made of
	none := map[string][]string{
		"it says what something is": {
			"isonet_network_info", "isonet_network_labels", "isonet_network_mtu_bytes", "isonet_network_mtu_actual_bytes", "isonet_ovs_info", "isonet_port_info", "isonet_port_mtu_bytes",
			"isonet_history_bytes",
		},
		"traffic is neither good nor bad": {
			"isonet_network_receive_bytes_total", "isonet_network_transmit_bytes_total", "isonet_port_receive_bytes_total", "isonet_port_transmit_bytes_total",
		},
		"another metric says it of the whole network or host": {
			"isonet_network_ready", "isonet_network_state", "isonet_ovsdb_connection_changed_timestamp_seconds", "isonet_port_broadcast_limit_drops_total",
			"isonet_port_link_up", "isonet_port_mac_lock_drops_total",
		},
		"how often a host reports is a matter of what happens there": {"isonet_fleet_reports_total"},
		"the counters go on": {"isonet_statistics_resets_total"},
	}
	has := func(name, text string) bool {
		return regexp.MustCompile(`\b` + name + `(?:_bucket|_count|_sum)?\b`).MatchString(text)
	}
	for _, m := range exporter.Metrics() {
		excused := false
		for _, names := range none {
			excused = excused || slices.Contains(names, m.Name)
		}
		alerts := has(m.Name, expressions.String()) || has(m.Name, recorded)
		switch {
		case excused && has(m.Name, expressions.String()):
			t.Errorf("%s has an alert, and a reason why it has none", m.Name)
		case !excused && !alerts:
			t.Errorf("no alert is about %s: add one to contrib, or a reason here", m.Name)
		}
	}
}
