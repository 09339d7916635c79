package peers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/isonet/isonet/internal/ovstest"
)

// contrib is what the tests are about.
const contrib = "../../contrib"

// server is Debian's Prometheus with the configuration of contrib, but faster.
type server struct {
	*host
	v1.API
}

// newServer starts a Prometheus in the network namespace of a host. It finds
// the host as the address of static_configs in contrib; edit changes that
// configuration further, in the directory that it is given. Flags are more of
// them.
func newServer(h *host, edit func(dir, config string) string, flags ...string) *server {
	h.Helper()
	dir := h.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(contrib, "prometheus"))); err != nil {
		h.Fatal(err)
	}
	change := func(name string, to func(text string) string) {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(to(string(text))), 0o600)
		}
		if err != nil {
			h.Fatal(err)
		}
	}
	change("rules.yml", func(text string) string { return strings.ReplaceAll(text, "interval: 5m", "interval: 1s") })
	change("prometheus.yml", func(text string) string {
		return edit(dir, strings.ReplaceAll(text, "_interval: 15s", "_interval: 1s"))
	})
	const address = "127.0.0.1:9090"
	args := []string{"prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address}
	h.run(h.Command(append(args, flags...)...))

	client, err := prometheus.NewClient(prometheus.Config{Address: "http://" + address, RoundTripper: h.transport()})
	if err != nil {
		h.Fatal(err)
	}
	return &server{h, v1.NewAPI(client)}
}

// now is the moment of a query: Prometheus takes its own time for it.
var now time.Time

// asItIs leaves the configuration of contrib alone.
func asItIs(_, config string) string { return config }

// query returns the samples of an expression at a moment.
func (s *server) query(expression string, at time.Time) (model.Vector, error) {
	value, _, _, err := s.Query(context.Background(), expression, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s is a %s", expression, value.Type())
	}
	return vector, nil
}

// value returns the only sample of an expression at a moment.
func (s *server) value(expression string, at time.Time) (float64, error) {
	vector, err := s.query(expression, at)
	if err == nil && len(vector) != 1 {
		err = fmt.Errorf("%s has %d samples", expression, len(vector))
	}
	if err != nil {
		return 0, err
	}
	return float64(vector[0].Value), nil
}

// network returns the counters of the network red.
func (s *server) network() (counters, error) {
	vector, err := s.query(`{__name__=~"isonet_network_(receive|transmit)_.+_total", network="red", instance="127.0.0.1"}`, now)
	if err != nil {
		return nil, err
	}
	c := counters{}
	for _, sample := range vector {
		counter := strings.TrimPrefix(string(sample.Metric[model.MetricNameLabel]), "isonet_network_")
		c[strings.TrimSuffix(counter, "_total")] = uint64(sample.Value)
	}
	return c, nil
}

// settles waits until Prometheus has the counters of the network red to the byte:
// those of ports that are gone, and what the ports of VMs count now.
func (s *server) settles(what string, gone counters, vms ...*ovstest.VM) {
	s.Helper()
	ovstest.Eventually(s, "Prometheus has the counters "+what, func() error {
		ports, err := s.ports(vms...)
		if err != nil {
			return err
		}
		got, err := s.network()
		if want := gone.plus(ports); err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("got  %v\nwant %v", got, want)
		}
		return err
	})
}

// holds waits until an expression is true: it has samples.
func (s *server) holds(expression string) {
	s.Helper()
	ovstest.Eventually(s, "Prometheus finds "+expression, func() error {
		vector, err := s.query(expression, now)
		if err == nil && len(vector) == 0 {
			err = fmt.Errorf("no sample")
		}
		return err
	})
}
