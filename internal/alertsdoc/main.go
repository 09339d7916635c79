// Command alertsdoc writes what the alerts of contrib mean and what to do about
// them as Markdown.
//
//	alertsdoc ALERTS FILE
package main

//go:generate go run . ../../contrib/prometheus/alerts.yml ../../docs/alerts.md

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: alertsdoc ALERTS FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "alertsdoc:", err)
		os.Exit(1)
	}
}

func write(alerts, file string) error {
	rules, err := read(alerts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(document(rules)), 0o644); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}

// group is a group of alerts (Prometheus, alerting rules).
type group struct {
	Name  string
	Rules []rule
}

// rule is one alert.
type rule struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      struct {
		Summary, Description, Runbook string
		URL                           string `yaml:"runbook_url"`
	}
}

func read(path string) ([]group, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the alerts: %w", err)
	}
	var file struct{ Groups []group }
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read the alerts of %s: %w", path, err)
	}
	return file.Groups, nil
}

const head = `<!-- Written by "go generate ./internal/alertsdoc". Change the texts in contrib/prometheus/alerts.yml. -->

# Alerts

These are the alerts of [contrib/prometheus/alerts.yml](../contrib/prometheus/alerts.yml), with what to do about each. Their annotation ` + "`runbook_url`" + ` leads here.
[Watch it with Prometheus](howto.md#watch-it-with-prometheus) says how to set them up, [metrics.md](metrics.md) what the metrics are, and
[troubleshooting.md](troubleshooting.md) what else to look at.

- **critical**: networks do not do what they must, or nobody knows whether they do.
- **warning**: look at it today.
- **info**: worth knowing when something else is wrong.
`

func document(groups []group) string {
	var b strings.Builder
	b.WriteString(head)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## Group %s\n", g.Name)
		for _, r := range g.Rules {
			fmt.Fprintf(&b, "\n### %s\n\n%s", r.Alert, strings.ToUpper(r.Labels.Severity[:1])+r.Labels.Severity[1:])
			if r.For != "" {
				fmt.Fprintf(&b, ", after %s", r.For)
			}
			fmt.Fprintf(&b, ". %s\n\n```promql\n%s\n```\n\n**What to do:** %s\n", plain(r.Annotations.Description), strings.TrimSpace(r.Expr), plain(r.Annotations.Runbook))
		}
	}
	return b.String()
}

// plain replaces what Prometheus fills in by words, such as NETWORK, and marks what is
// quoted as code.
func plain(text string) string {
	for _, r := range []struct{ template, words string }{
		{`\{\{ range .*?\{\{ end \}\}\{\{ .*?\{\{ end \}\}`, "their names"},
		{`\{\{ [^}]*\$value[^}]* \}\}`, "N"},
		{`\{\{ \$labels\.instance \}\}`, "the host"},
		{`"([^"]+)"`, "`$1`"},
	} {
		text = regexp.MustCompile(r.template).ReplaceAllString(text, r.words)
	}
	return regexp.MustCompile(`\{\{ \$labels\.\w+ \}\}`).ReplaceAllStringFunc(strings.TrimSpace(text), func(label string) string {
		return strings.ToUpper(strings.TrimSuffix(strings.TrimPrefix(label, "{{ $labels."), " }}"))
	})
}
