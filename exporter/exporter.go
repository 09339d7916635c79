package exporter

import (
	"compress/gzip"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// maxScrapes is how many scrapes may run at once; the next one is answered
// with 503. Two Prometheus servers and a curious operator fit.
const maxScrapes = 4

// Sources are the snapshots that the metrics are made from. The functions are
// called at every scrape, from several goroutines, and must not block. None of them
// returns nil, except that Traffic may, and Desired before it was read: there are no
// samples then.
type Sources struct {
	Desired func() *model.Desired
	Status  func() report.Status
	Traffic func() map[model.ID]model.Traffic
	// Resets is how often the counters of an interface began anew.
	Resets func() uint64
	// Interval is the time between two publications of the counters.
	Interval func() time.Duration
	// Certificates is until when isonetd's certificates are valid, by the listener or
	// session that they are for; nil: it has none.
	Certificates func() map[string]time.Time
	// HistoryLost is how many entries could not be written to the history; nil: there is
	// none.
	HistoryLost func() uint64
	// HistorySize is what the history has on the disk, in bytes; nil: there is none.
	HistorySize func() int64
	Ports       *Ports // nil: no series of single ports
	// Reports are those of this host, by server; nil: it reports to none.
	Reports func() []Reports
	// Members tells of the hosts of the fleet; nil: they are not followed.
	Members func(host model.ID) (report.Member, bool)
}

// BuildInfo says which build of isonet this is.
type BuildInfo struct {
	Version, Revision string
}

// Exporter holds the metrics of one daemon.
type Exporter struct {
	registry     *prometheus.Registry
	all          prometheus.TransactionalGatherer // of the registry and of the snapshots
	reconciles   *prometheus.HistogramVec
	transactions *prometheus.HistogramVec
	log          *slog.Logger
}

// New returns an Exporter with a registry of its own, which also has the
// metrics of the Go runtime and of the process. Errors of scrapes go to log.
func New(sources Sources, build BuildInfo, log *slog.Logger) *Exporter {
	registry := prometheus.NewRegistry()
	e := &Exporter{
		registry: registry,
		all: prometheus.NewMultiTRegistry(
			prometheus.ToTransactionalGatherer(registry), prometheus.ToTransactionalGatherer(newGatherer(sources)),
		),
		reconciles:   reconcileDurations().vector(),
		transactions: transactionDurations().vector(),
		log:          log,
	}
	registry.MustRegister(
		newBuildInfo(build),
		e.reconciles,
		e.transactions,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return e
}

// ObserveReconcile records one pass of the reconcile loop and its result:
// "unchanged", "applied" or "error".
func (e *Exporter) ObserveReconcile(d time.Duration, result string) {
	e.reconciles.WithLabelValues(result).Observe(d.Seconds())
}

// ObserveTransaction records one transaction with Open_vSwitch and its result:
// "committed" or "error".
func (e *Exporter) ObserveTransaction(d time.Duration, result string) {
	e.transactions.WithLabelValues(result).Observe(d.Seconds())
}

// Handler returns the pages of the metrics listener: /metrics, in the text, the
// OpenMetrics or the protobuf format as the client asks for, and / with a link
// to it. It answers GET and HEAD only.
func (e *Exporter) Handler() http.Handler {
	metrics := promhttp.HandlerForTransactional(e.all, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelError),
		// One sample that cannot be had must not cost all others.
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            e.registry,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		DisableCompression:  true, // its level would cost more than all the rest of a scrape
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(e.registry, compressed(metrics)))
	mux.HandleFunc("GET /{$}", landingPage)
	return mux
}

// compressed answers in gzip whom it suits.
func compressed(handler http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed))
	if err != nil {
		panic(err) // the level is valid
	}
	return wrap(handler)
}

func landingPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// An error means that the client is gone.
	_, _ = w.Write([]byte("<!DOCTYPE html>\n<html lang=\"en\"><head><title>isonet</title></head>" +
		"<body><h1>isonet</h1><p><a href=\"metrics\">Metrics</a></p></body></html>\n"))
}

func newBuildInfo(build BuildInfo) prometheus.Collector {
	m := buildInfo()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: m.Name,
		Help: m.Help,
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "goversion": runtime.Version(),
		},
	}, func() float64 { return 1 })
}
