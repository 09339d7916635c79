package daemon

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/prometheus/exporter-toolkit/web"
)

// maxPattern bounds the regular expressions, which every port is compared with
// at every scrape. Their time is linear in it.
const maxPattern = 1000

// parseMetrics checks the settings of the metrics and the file that they name.
func (o Options) parseMetrics(cfg *Config) error {
	var errs []error
	fail := func(setting string, err error) { errs = append(errs, fmt.Errorf("%s: %w", setting, err)) }
	cfg.MetricsWebConfig = o.MetricsConfig
	if err := web.Validate(o.MetricsConfig); err != nil {
		fail("metrics-web-config", err)
	}
	var err error
	if cfg.MetricsPorts, err = strconv.ParseBool(o.MetricsPorts); err != nil {
		fail("metrics-ports", fmt.Errorf("%q is not true or false", o.MetricsPorts))
	}
	if cfg.MetricsInclude, err = parsePattern(o.PortsInclude); err != nil {
		fail("metrics-ports-include", err)
	}
	if cfg.MetricsExclude, err = parsePattern(o.PortsExclude); err != nil {
		fail("metrics-ports-exclude", err)
	}
	if !cfg.MetricsPorts && (o.PortsInclude != "" || o.PortsExclude != "") {
		fail("metrics-ports", errors.New("patterns choose among ports without metrics: set it to true, or leave the patterns out"))
	}
	return errors.Join(errs...)
}

// parsePattern reads a pattern that has to match a whole name; "" is none.
func parsePattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no pattern, no error
	}
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern has %d bytes, at most %d are allowed: use a shorter one", len(text), maxPattern)
	}
	pattern, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression (https://golang.org/s/re2syntax): %w", text, err)
	}
	return pattern, nil
}
