package exporter

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// texts answers scrapes that ask for one of the text formats, to the byte as the
// client library would, but in half the time: of a sample only the value is
// written anew. The library answers all others, and those in which something
// went wrong.
type texts struct {
	snapshots *gatherer
	registry  prometheus.Gatherer
	library   http.Handler
}

// ServeHTTP implements http.Handler.
func (t texts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	compressed, known := wantsGzip(r.Header)
	special := !known || !isText(format) || r.URL.RawQuery != "" // which may choose metrics
	if special || !t.answer(w, format, compressed) {
		t.library.ServeHTTP(w, r)
	}
}

// answer answers a scrape. It reports whether it could.
func (t texts) answer(w http.ResponseWriter, format expfmt.Format, compressed bool) bool {
	registered, err := t.registry.Gather()
	if err != nil {
		return false
	}
	s, done, err := t.snapshots.fill()
	defer done()
	if err != nil || s.write(registered, format) != nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", string(format))
	h["Vary"] = []string{"Accept", "Accept-Encoding"}
	body := s.memory.text.Bytes()
	if compressed {
		h.Set("Content-Encoding", "gzip")
		body = s.memory.compress()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client is gone
	return true
}

func isText(format expfmt.Format) bool {
	return strings.HasPrefix(string(format), string(expfmt.FmtText)) || strings.HasPrefix(string(format), string(expfmt.FmtOpenMetrics_1_0_0))
}

// wantsGzip tells whether a client takes gzip. Preferences are for the library.
func wantsGzip(h http.Header) (gzip, known bool) {
	accepted := h["Accept-Encoding"]
	if len(accepted) == 0 {
		return false, true
	}
	gzip = len(accepted) == 1 && accepted[0] == "gzip" // as Prometheus asks
	return gzip, gzip
}

// memory is where an answer is made.
type memory struct {
	text, compressed bytes.Buffer
	gzip             *gzip.Writer
}

// compress returns the text as gzip. Speed counts: the better compression of
// the default would cost more than all the rest of a scrape.
func (m *memory) compress() []byte {
	m.compressed.Reset()
	if m.gzip == nil {
		m.gzip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	}
	m.gzip.Reset(&m.compressed)
	_, _ = m.gzip.Write(m.text.Bytes()) // memory takes all
	_ = m.gzip.Close()
	return m.compressed.Bytes()
}

// write makes the answer's text of the sheet and of the families of the
// registry. Both are sorted by name, and so is the text.
func (s *sheet) write(registered []*dto.MetricFamily, format expfmt.Format) error {
	text := &s.memory.text
	text.Reset()
	encoder := expfmt.NewEncoder(text, format)
	rest := s.pages
	for _, f := range registered {
		for len(rest) > 0 && rest[0].family.Name < *f.Name {
			rest[0].write(text, format.FormatType())
			rest = rest[1:]
		}
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	for _, p := range rest {
		p.write(text, format.FormatType())
	}
	if end, ok := encoder.(expfmt.Closer); ok {
		return end.Close()
	}
	return nil
}

// write adds the family to a text. Isonet has neither infinities nor NaN, which
// would have texts of their own.
func (p *page) write(text *bytes.Buffer, format expfmt.FormatType) {
	if len(p.shown) == 0 {
		return
	}
	text.WriteString(p.heads[format])
	for _, point := range p.shown {
		if point.line == "" {
			point.line = line(&p.result, &point.metric)
		}
		text.WriteString(point.line)
		number := strconv.AppendFloat(text.AvailableBuffer(), point.value, 'g', -1, 64)
		if format == expfmt.TypeOpenMetrics && !bytes.ContainsAny(number, "e.") {
			number = append(number, ".0"...)
		}
		text.Write(append(number, '\n'))
	}
}

// heads returns the comments before the samples of a family, by format.
func heads(f *dto.MetricFamily) map[expfmt.FormatType]string {
	var text, open bytes.Buffer
	sample := &dto.Metric{Counter: &dto.Counter{}, Gauge: &dto.Gauge{}}
	// Nothing of this can fail, for the families are isonet's own.
	_, _ = expfmt.MetricFamilyToText(&text, &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Metric: []*dto.Metric{sample}})
	_, _ = expfmt.MetricFamilyToOpenMetrics(&open, f)
	comments := text.String()
	comments = comments[:strings.LastIndex(strings.TrimSuffix(comments, "\n"), "\n")+1]
	return map[expfmt.FormatType]string{expfmt.TypeTextPlain: comments, expfmt.TypeOpenMetrics: open.String()}
}

// line returns a sample's line without the value, the same in both formats.
func line(f *dto.MetricFamily, m *dto.Metric) string {
	var text bytes.Buffer
	zero := &dto.Metric{Label: m.Label, Counter: &dto.Counter{}, Gauge: &dto.Gauge{}}
	_, _ = expfmt.MetricFamilyToText(&text, &dto.MetricFamily{Name: f.Name, Type: f.Type, Metric: []*dto.Metric{zero}}) // cannot fail either
	_, sample, _ := strings.Cut(text.String(), "\n")
	return strings.TrimSuffix(sample, "0\n")
}
