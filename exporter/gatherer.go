package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// gatherer makes samples from one look at the sources. It hands the client
// library finished families instead of one metric after the other, whose
// checks would cost more than the rest of a scrape.
type gatherer struct {
	sources  Sources
	families []family
	atlas    atlas
	// spare holds the sheet of the last scrape for the next one. Scrapes that
	// overlap make their own.
	spare chan *sheet
}

func newGatherer(sources Sources) *gatherer {
	g := &gatherer{sources: sources, families: families(), spare: make(chan *sheet, 1)}
	slices.SortFunc(g.families, func(a, b family) int { return cmp.Compare(a.Name, b.Name) })
	return g
}

// Gather implements prometheus.TransactionalGatherer.
func (g *gatherer) Gather() (gathered []*dto.MetricFamily, done func(), err error) {
	s, done, err := g.fill()
	return s.families(), done, err
}

// fill returns what the sources say now. The sheet is the caller's until done.
func (g *gatherer) fill() (s *sheet, done func(), err error) {
	select {
	case s = <-g.spare:
	default:
		s = newSheet(g.families)
	}
	if desired := g.sources.Desired(); desired == nil {
		s.blank()
	} else {
		err = s.fill(g.look(desired))
	}
	return s, func() {
		select {
		case g.spare <- s:
		default:
		}
	}, err
}

// sheet is a scrape's families. The next scrape changes the values in place:
// labels seldom change, and making them anew would cost most of a scrape.
type sheet struct {
	pages    []*page
	gathered []*dto.MetricFamily
	memory   memory
}

func newSheet(families []family) *sheet {
	s := &sheet{}
	for i := range families {
		s.pages = append(s.pages, newPage(&families[i]))
	}
	return s
}

// fill takes what a view says. Samples with the same labels as another of their
// family would make the whole scrape invalid: only the first stays, and an
// error tells.
func (s *sheet) fill(v view) error {
	var errs []error
	for _, p := range s.pages {
		p.fill(v)
		if p.twins > 0 {
			errs = append(errs, fmt.Errorf("%s: %d samples have the same labels as another and are left out", p.family.Name, p.twins))
		}
	}
	return errors.Join(errs...)
}

// blank takes that nothing is known yet.
func (s *sheet) blank() {
	for _, p := range s.pages {
		p.used = 0
		p.sort()
	}
}

// families returns all families that have samples, sorted by name, in the form
// of the client library.
func (s *sheet) families() []*dto.MetricFamily {
	s.gathered = s.gathered[:0]
	for _, p := range s.pages {
		if len(p.result.Metric) > 0 {
			s.gathered = append(s.gathered, &p.result)
		}
	}
	return s.gathered
}

// page is a sheet's part of one family.
type page struct {
	family *family
	order  []int // of the family's labels, by their names
	points []*point
	used   int  // of points
	moved  bool // labels are others than at the last scrape
	twins  int
	shown  []*point                     // sorted, without twins
	result dto.MetricFamily             // of those that are shown
	heads  map[expfmt.FormatType]string // what the texts begin with
}

// point is a metric with all that it refers to.
type point struct {
	metric  dto.Metric
	counter dto.Counter
	gauge   dto.Gauge
	value   float64
	labels  []string // as they came, in the order of the family's labels
	line    string   // of the texts, before the value; "" is not written yet
}

func newPage(f *family) *page {
	p := &page{family: f, order: make([]int, len(f.Labels))}
	for i := range p.order {
		p.order[i] = i
	}
	slices.SortFunc(p.order, func(a, b int) int { return cmp.Compare(f.Labels[a], f.Labels[b]) })
	p.result.Name, p.result.Help = &f.Name, &f.Help
	kind := dto.MetricType_GAUGE
	if f.Type == counter {
		kind = dto.MetricType_COUNTER
	}
	p.result.Type = &kind
	p.heads = heads(&p.result)
	return p
}

func (p *page) fill(v view) {
	last := p.used
	p.used, p.moved = 0, false
	p.family.collect(v, p.add)
	if p.moved || p.used != last {
		p.sort()
	}
}

func (p *page) add(s sample) {
	if p.used == len(p.points) {
		p.points = append(p.points, p.newPoint())
	}
	point := p.points[p.used]
	p.used++
	point.value = s.value
	if p.family.Type == counter {
		point.create(s)
	}
	if !slices.Equal(point.labels, s.labels) {
		p.moved = true
		point.labels, point.line = s.labels, ""
		for i, pair := range point.metric.Label {
			value := valid(s.labels[p.order[i]])
			pair.Value = &value
		}
	}
}

func (p *page) newPoint() *point {
	n := &point{}
	if p.family.Type == counter {
		n.counter.Value, n.metric.Counter = &n.value, &n.counter
	} else {
		n.gauge.Value, n.metric.Gauge = &n.value, &n.gauge
	}
	for _, i := range p.order {
		n.metric.Label = append(n.metric.Label, &dto.LabelPair{Name: &p.family.Labels[i]})
	}
	return n
}

// create notes when a counter began.
func (p *point) create(s sample) {
	switch {
	case s.created.IsZero():
		p.counter.CreatedTimestamp = nil
	case p.counter.CreatedTimestamp == nil || !p.counter.CreatedTimestamp.AsTime().Equal(s.created):
		p.counter.CreatedTimestamp = timestamppb.New(s.created)
	}
}

// sort orders the points by their labels and leaves twins out.
func (p *page) sort() {
	p.shown = append(p.shown[:0], p.points[:p.used]...)
	slices.SortStableFunc(p.shown, compareLabels)
	p.shown = slices.CompactFunc(p.shown, func(a, b *point) bool { return compareLabels(a, b) == 0 })
	p.twins = p.used - len(p.shown)
	p.result.Metric = p.result.Metric[:0]
	for _, point := range p.shown {
		p.result.Metric = append(p.result.Metric, &point.metric)
	}
}

func compareLabels(a, b *point) int {
	return slices.CompareFunc(a.metric.Label, b.metric.Label, func(a, b *dto.LabelPair) int {
		return strings.Compare(*a.Value, *b.Value)
	})
}
