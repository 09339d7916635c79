package exporter

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
)

// collector makes samples from one look at the sources. It keeps nothing, so a
// network that is gone leaves no series behind.
type collector struct {
	sources  Sources
	families []family
	descs    []*prometheus.Desc // of the families, in their order
}

func newCollector(sources Sources) *collector {
	c := &collector{sources: sources, families: families()}
	for _, f := range c.families {
		c.descs = append(c.descs, prometheus.NewDesc(f.Name, f.Help, f.Labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	v := newView(c.sources)
	for i, f := range c.families {
		f.collect(v, func(s sample) { metrics <- s.metric(c.descs[i], f.Type) })
	}
}

// sample is one number of a family.
type sample struct {
	value   float64
	labels  []string  // in the order of the family's labels
	created time.Time // when a counter began; zero is unknown
}

func (s sample) metric(d *prometheus.Desc, kind string) prometheus.Metric {
	labels := make([]string, len(s.labels))
	for i, l := range s.labels {
		labels[i] = valid(l)
	}
	var m prometheus.Metric
	var err error
	switch {
	case kind == counter && !s.created.IsZero():
		m, err = prometheus.NewConstMetricWithCreatedTimestamp(d, prometheus.CounterValue, s.value, s.created, labels...)
	case kind == counter:
		m, err = prometheus.NewConstMetric(d, prometheus.CounterValue, s.value, labels...)
	default:
		m, err = prometheus.NewConstMetric(d, prometheus.GaugeValue, s.value, labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

// valid makes text that a label may hold.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// view is what the sources say at one moment.
type view struct {
	desired  *model.Desired
	status   reconcile.Status
	traffic  map[model.ID]model.Traffic
	networks []network // attached to this host, sorted by name
}

// network is one network attached to this host.
type network struct {
	model.Network
	label  string // its value of the label "network", unlike any other's
	state  reconcile.State
	bridge plan.Bridge // empty when there is none
}

func newView(s Sources) view {
	v := view{desired: s.Desired(), status: s.Status(), traffic: s.Traffic()}
	wanted := v.desired.HostNetworks(v.status.HostID)
	uses := map[string]int{}
	for _, n := range wanted {
		uses[valid(n.Name)]++
	}
	for _, n := range wanted {
		label := valid(n.Name)
		if uses[label] > 1 {
			label += " (" + string(n.ID) + ")"
		}
		v.networks = append(v.networks, network{n, label, v.stateOf(n), v.bridgeOf(n)})
	}
	return v
}

// stateOf returns the verdict on a network; one that the loop has not seen yet
// is pending.
func (v view) stateOf(n model.Network) reconcile.State {
	if s, ok := v.status.Networks[n.ID]; ok {
		return s.State
	}
	return reconcile.Pending
}

// bridgeOf returns a network's bridge. A bridge of the same name that is not
// the network's is none.
func (v view) bridgeOf(n model.Network) plan.Bridge {
	if v.status.Actual == nil {
		return plan.Bridge{}
	}
	if b := v.status.Actual.Bridges[n.VdsmName]; plan.NetworkOf(b) == n.ID {
		return b
	}
	return plan.Bridge{}
}

// connected says whether Actual is the present.
func (v view) connected() bool { return v.status.Connected && v.status.Actual != nil }

// live returns the networks if what is known of their bridges is the present.
func (v view) live() []network {
	if !v.connected() {
		return nil
	}
	return v.networks
}
