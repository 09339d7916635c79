package exporter

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	trafficcount "github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/report"
)

const (
	hostID  = model.ID("11111111-1111-4111-8111-111111111111")
	redID   = model.ID("22222222-2222-4222-8222-222222222222")
	blueID  = model.ID("33333333-3333-4333-8333-333333333333")
	otherID = model.ID("44444444-4444-4444-8444-444444444444")
)

// moment is what the sources say at one time.
type moment struct {
	desired *model.Desired
	status  report.Status
	traffic map[model.ID]model.Traffic
	ports   map[string]model.PortTraffic // by UUID; nil is off
	// expiries are until when certificates are valid.
	expiries map[string]time.Time
}

func (m moment) sources() Sources {
	s := Sources{
		Desired:      func() *model.Desired { return m.desired },
		Status:       func() report.Status { return m.status },
		Traffic:      func() map[model.ID]model.Traffic { return m.traffic },
		Resets:       func() uint64 { return 2 },
		Interval:     func() time.Duration { return trafficcount.DefaultInterval },
		Certificates: func() map[string]time.Time { return m.expiries },
		HistoryLost:  func() uint64 { return 5 },
		HistorySize:  func() int64 { return 6 },
		Reports:      reports,
		Members:      memberOf,
	}
	if m.ports != nil {
		s.Ports = &Ports{Traffic: func() map[string]model.PortTraffic { return m.ports }}
	}
	return s
}

// reports are those of a host to two servers.
func reports() []Reports {
	return []Reports{{"ssl:192.0.2.1:6652", true, 8, 1}, {"ssl:192.0.2.2:6652", false, 0, 4}}
}

// memberOf knows the one host.
func memberOf(host model.ID) (report.Member, bool) {
	return report.Member{Liveness: report.Up, Seen: 4}, host == hostID
}

func newExporter(t *testing.T, s Sources) *Exporter {
	t.Helper()
	return New(s, BuildInfo{Version: "1.2.3", Revision: "abc"}, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// Gather makes the Exporter a prometheus.Gatherer, which most tools for tests
// want.
func (e *Exporter) Gather() ([]*dto.MetricFamily, error) {
	families, done, err := e.all.Gather()
	defer done()
	return families, err
}

// busy is a host in the middle of its work: red is as it must be and has two
// VMs and a bond, blue is not there yet, other is attached to no host.
func busy() moment {
	d := model.NewDesired()
	d.Revision = 7
	d.Networks[redID] = model.Network{ID: redID, Name: "red", VdsmName: "red", MTU: 9000, Label: "lab", Strict: true, MACLock: true, BroadcastLimit: 10, Revision: 1}
	d.Networks[blueID] = model.Network{ID: blueID, Name: "blue", VdsmName: "on3333333333334", Revision: 1}
	d.Networks[otherID] = model.Network{ID: otherID, Name: "other", VdsmName: "other", Revision: 1}
	d.Hosts[hostID] = model.Host{ID: hostID, SystemID: string(hostID), Name: "host", Labels: []string{"lab"}}
	attachment := model.AttachmentID(hostID, blueID)
	d.Attachments[attachment] = model.Attachment{ID: attachment, Host: hostID, Network: blueID, Explicit: true}

	port := func(name string, interfaces ...plan.Interface) plan.Port {
		return plan.Port{Name: name, Interfaces: interfaces}
	}
	return moment{
		desired:  d,
		expiries: map[string]time.Time{"api": time.Unix(1798859045, 0), "store": time.Unix(1798859046, 0)},
		status: report.Status{
			HostID: hostID, Connected: true, Since: time.Unix(1767323000, 250e6), Revision: 6, Repairs: 3, Reconnects: 1,
			Networks: map[model.ID]report.NetworkStatus{redID: {State: report.Active, Isolation: report.Isolation{
				Verdict: report.NotIsolated, Contested: true,
				Denied: report.Denied{
					Total: report.Drops{WrongMAC: 20, OverLimit: 30}, Ports: map[string]report.Drops{"a": {WrongMAC: 2, OverLimit: 3}},
				},
				Findings: []isolation.Finding{{Reason: isolation.PhysicalNIC}, {Reason: isolation.PhysicalNIC}, {Reason: isolation.Manager, Notice: true}},
			}}},
			IsolationRepairs: map[isolation.Reason]uint64{isolation.PhysicalNIC: 4, isolation.Mirror: 1},
			Devices:          map[model.ID][]report.Device{redID: {{Name: "vnet0", Index: 4}}, blueID: nil},
			Guard: &report.Guarding{
				Protection: report.Protection{
					Guarded: []report.Device{{Name: "vnet0", Index: 4}}, Limited: "the kernel is old", Verified: time.Now(),
				},
			},
			Held:   []report.Held{{Bridge: "gone", Ports: []string{"vnet9"}}},
			Switch: report.Switch{Version: "3.1.0", SchemaVersion: "8.3.1", DatapathType: "system", Behind: 2},
			Host: see(&plan.Actual{
				Bridges: map[string]plan.Bridge{
					"red": {
						Name: "red", Network: redID, DatapathType: "netdev",
						Ports: []plan.Port{
							port("bond", plan.Interface{Name: "e0", MTU: 9000}, plan.Interface{Name: "e1", MTU: 9000, LinkUp: true}),
							port("red", plan.Interface{Name: "red", MTU: 9000, LinkUp: true}),
							port("vnet0", plan.Interface{UUID: "a", Name: "vnet0", MTU: 1500, LinkUp: true, ExternalIDs: map[string]string{
								"attached-mac": "56:6f:00:00:00:01", "vm-id": "vm one", "iface-id": "nic one", "iface-status": "active",
							}}),
							port("vnet1", plan.Interface{Name: "vnet1"}),
						},
					},
					"on3333333333334": {
						Name: "on3333333333334", DatapathType: "netdev",
						Ports: []plan.Port{port("eth0", plan.Interface{Name: "eth0", MTU: 1500, LinkUp: true})},
					},
				},
			}),
		},
		traffic: map[model.ID]model.Traffic{
			redID: {
				Created: time.Unix(1767323045, 0), Updated: time.Unix(1767323050, 0),
				Total: model.Counters{
					ReceivedBytes: 1, ReceivedPackets: 2, ReceivedDrops: 3, ReceivedErrors: 4,
					TransmittedBytes: 5, TransmittedPackets: 6, TransmittedDrops: 7, TransmittedErrors: 1 << 52,
				},
			},
			otherID: {Created: time.Unix(1, 0), Updated: time.Unix(1767323060, 0)},
		},
		ports: map[string]model.PortTraffic{
			"a": {Network: redID, Traffic: model.Traffic{
				Created: time.Unix(1767323046, 0),
				Total: model.Counters{
					ReceivedBytes: 11, ReceivedPackets: 12, ReceivedDrops: 13, ReceivedErrors: 14,
					TransmittedBytes: 15, TransmittedPackets: 16, TransmittedDrops: 17, TransmittedErrors: 18,
				},
			}},
			"elsewhere": {Network: blueID, Traffic: model.Traffic{Created: time.Unix(1, 0)}},
		},
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// compare compares metrics of an exporter's registry with a golden file.
func compare(t *testing.T, e *Exporter, file string, names []string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		families, err := e.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		for _, f := range families {
			if !slices.Contains(names, f.GetName()) {
				continue
			}
			if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(e, bytes.NewReader(golden), names...); err != nil {
		t.Error(err)
	}
}

func TestExposition(t *testing.T) {
	disconnected := busy()
	disconnected.status.Connected = false

	unreached := busy()
	unreached.status = report.Status{}
	unreached.traffic = nil

	plain := busy()
	plain.ports = nil

	undone := busy()
	undone.status.Networks[redID] = report.NetworkStatus{State: report.Failed}
	undone.status.Host, undone.status.Switch = see(&plan.Actual{}), report.Switch{DatapathType: "system"}

	for _, test := range []struct {
		name   string
		moment moment
	}{
		{"connected", busy()},
		{"disconnected", disconnected},
		{"unreached", unreached},
		{"undone", undone},
		{"plain", plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			var names []string
			for _, f := range families() {
				names = append(names, f.Name)
			}
			compare(t, newExporter(t, test.moment.sources()), test.name+".txt", names)
		})
	}
}

func TestDurations(t *testing.T) {
	e := newExporter(t, busy().sources())
	e.ObserveReconcile(3*time.Millisecond, "applied")
	e.ObserveReconcile(5*time.Millisecond, "applied")
	e.ObserveTransaction(time.Minute, "error")
	compare(t, e, "durations.txt", []string{reconcileDurations().Name, transactionDurations().Name})
}

func TestBuildInfo(t *testing.T) {
	e := newExporter(t, busy().sources())
	want := "# HELP isonet_build_info Which build of isonet this is; always 1.\n# TYPE isonet_build_info gauge\n" +
		fmt.Sprintf("isonet_build_info{goversion=%q,revision=\"abc\",version=\"1.2.3\"} 1\n", runtime.Version())
	if err := testutil.GatherAndCompare(e, strings.NewReader(want), "isonet_build_info"); err != nil {
		t.Error(err)
	}
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(newExporter(t, busy().sources()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetricsAreWhatIsServed compares the list that the documentation is made
// from with a scrape in which every metric has a sample.
func TestMetricsAreWhatIsServed(t *testing.T) {
	families, err := newExporter(t, busy().sources()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var served []Metric
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "isonet_") {
			continue
		}
		m := Metric{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			m.Labels = append(m.Labels, l.GetName())
		}
		served = append(served, m)
	}
	want := Metrics()
	for i := range want {
		slices.Sort(want[i].Labels) // as the client library serves them
	}
	if diff := cmp.Diff(want, served); diff != "" {
		t.Errorf("metrics (-listed +served):\n%s", diff)
	}
}

func TestCreatedTimestamps(t *testing.T) {
	m := busy()
	families, err := newExporter(t, m.sources()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "isonet_network_") || !strings.HasSuffix(f.GetName(), "_total") ||
			slices.Contains([]string{"isonet_network_mac_lock_drops_total", "isonet_network_broadcast_limit_drops_total"}, f.GetName()) { // of no traffic
			continue
		}
		for _, metric := range f.GetMetric() {
			seen++
			if got := metric.GetCounter().GetCreatedTimestamp().AsTime(); !got.Equal(m.traffic[redID].Created) {
				t.Errorf("%s was created at %s, want %s", f.GetName(), got, m.traffic[redID].Created)
			}
		}
	}
	if seen != 8 {
		t.Errorf("%d counters of networks, want the 8 of red", seen)
	}
}

// labels returns the values of the label "network" of a metric, sorted as
// served.
func labels(t *testing.T, g prometheus.Gatherer, name string) []string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "network" {
					values = append(values, l.GetValue())
				}
			}
		}
	}
	return values
}

// TestHostileNames serves names that the model refuses: whatever a store may
// hold, a scrape gives every network a series of its own.
func TestHostileNames(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	m := busy()
	m.desired = model.NewDesired()
	m.desired.Hosts[hostID] = model.Host{ID: hostID, Labels: []string{"\xff"}}
	for id, name := range map[model.ID]string{
		"1": "a\xff\xfe", "2": "a\xfe", "3": "same", "4": "same", "5": "quote\" back\\slash\nline", "6": "", "7": long, "8": "日本",
	} {
		m.desired.Networks[id] = model.Network{ID: id, Name: name, VdsmName: "\xf0", Label: "\xff"}
	}
	m.status.Switch.Version = "\xff"
	m.status.Switch.DatapathType = "\xff"
	e := newExporter(t, m.sources())

	want := []string{"", "a\uFFFD (1)", "a\uFFFD (2)", "quote\" back\\slash\nline", "same (3)", "same (4)", long, "日本"}
	slices.Sort(want)
	for _, name := range []string{"isonet_network_ready", "isonet_network_info"} {
		if diff := cmp.Diff(want, labels(t, e, name)); diff != "" {
			t.Errorf("networks of %s (-want +got):\n%s", name, diff)
		}
	}
	body := get(t, e.Handler(), nil).body
	for _, line := range []string{
		`isonet_network_ready{network="quote\" back\\slash\nline"} 0`,
		`isonet_network_ready{network="same (3)"} 0`,
		"isonet_ovs_info{ovs_version=\"\uFFFD\",schema_version=\"8.3.1\"} 1",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("the scrape lacks %s", line)
		}
	}
}

// TestOneBadSample shows that two networks which cannot be told apart cost
// their second series only.
func TestOneBadSample(t *testing.T) {
	m := busy()
	for id, name := range map[model.ID]string{"1": "same", "2": "same", "3": "same (1)"} {
		m.desired.Networks[id] = model.Network{ID: id, Name: name, Label: "lab"}
	}
	r := get(t, newExporter(t, m.sources()).Handler(), nil)
	if r.status != http.StatusOK {
		t.Fatalf("status %d, want 200", r.status)
	}
	for _, name := range []string{"same (1)", "same (2)", "red", "blue"} {
		if line := fmt.Sprintf("isonet_network_mtu_bytes{network=%q}", name); strings.Count(r.body, line) != 1 {
			t.Errorf("the scrape has %d samples %s, want 1", strings.Count(r.body, line), line)
		}
	}
}

type response struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, h http.Handler, header http.Header) response {
	t.Helper()
	return request(t, h, http.MethodGet, "/metrics", header)
}

func request(t *testing.T, h http.Handler, method, path string, header http.Header) response {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, string(body)}
}

func TestHandler(t *testing.T) {
	openMetrics := http.Header{"Accept": {"application/openmetrics-text;version=1.0.0"}}
	for _, test := range []struct {
		name, method, path string
		header             http.Header
		status             int
		contentType        string
		contains           string
		suffix             string
	}{
		{
			name: "text", method: "GET", path: "/metrics", status: 200, contentType: "text/plain; version=0.0.4",
			contains: "\nisonet_network_receive_bytes_total{network=\"red\"} 1\n",
		},
		{
			name: "OpenMetrics", method: "GET", path: "/metrics", header: openMetrics, status: 200, contentType: "application/openmetrics-text; version=1.0.0",
			contains: "\n# TYPE isonet_network_receive_bytes counter\n", suffix: "\n# EOF\n",
		},
		{name: "Go runtime", method: "GET", path: "/metrics", status: 200, contains: "\ngo_goroutines "},
		{name: "process", method: "GET", path: "/metrics", status: 200, contains: "\nprocess_start_time_seconds "},
		{name: "scrapes", method: "GET", path: "/metrics", status: 200, contains: "\npromhttp_metric_handler_requests_in_flight 1\n"},
		{name: "headers only", method: "HEAD", path: "/metrics", status: 200, contentType: "text/plain; version=0.0.4"},
		{name: "no writing", method: "POST", path: "/metrics", status: 405},
		{name: "landing page", method: "GET", path: "/", status: 200, contentType: "text/html", contains: `<a href="metrics">`},
		{name: "no writing to the landing page", method: "DELETE", path: "/", status: 405},
		{name: "elsewhere", method: "GET", path: "/debug/pprof/", status: 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(t, newExporter(t, busy().sources()).Handler(), test.method, test.path, test.header)
			if r.status != test.status {
				t.Errorf("status %d, want %d", r.status, test.status)
			}
			if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, test.contentType) {
				t.Errorf("content type %q, want %q", got, test.contentType)
			}
			if !strings.Contains(r.body, test.contains) {
				t.Errorf("the body lacks %q", test.contains)
			}
			if !strings.HasSuffix(r.body, test.suffix) {
				t.Errorf("the body does not end in %q", test.suffix)
			}
			if test.method == http.MethodHead && r.body != "" {
				t.Errorf("an answer to HEAD has a body")
			}
		})
	}
}

func TestTooManyScrapes(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	sources := busy().sources()
	desired := sources.Desired
	sources.Desired = func() *model.Desired {
		started <- struct{}{}
		<-finish
		return desired()
	}
	h := newExporter(t, sources).Handler()
	var scrapes sync.WaitGroup
	for range maxScrapes {
		scrapes.Go(func() {
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
			if recorder.Code != http.StatusOK {
				t.Errorf("status %d, want 200", recorder.Code)
			}
		})
		<-started
	}
	if r := get(t, h, nil); r.status != http.StatusServiceUnavailable {
		t.Errorf("status %d of a scrape too many, want 503", r.status)
	}
	close(finish)
	scrapes.Wait()
}

// TestScrapeWhileTheWorldChanges scrapes while networks come and go and are
// counted. The race detector judges it, and so do the scrapes: each succeeds,
// the counters do not fall, and what is gone leaves nothing behind.
func TestScrapeWhileTheWorldChanges(t *testing.T) {
	var now atomic.Pointer[moment]
	accumulator := trafficcount.New()
	clock := time.Unix(1767323045, 0)
	turn := func(i int) {
		m := busy()
		m.status.Connected = i%5 != 0
		bridges := []trafficcount.Bridge{{Network: redID, Endpoints: []string{"vnet0"}}}
		if i%2 == 0 {
			delete(m.desired.Attachments, model.AttachmentID(hostID, blueID))
		} else {
			bridges = append(bridges, trafficcount.Bridge{Network: blueID})
		}
		now.Store(&m)
		accumulator.Place(clock, bridges)
		var counted trafficcount.Statistics
		counted.Set("tx_bytes", int64(1+i))
		accumulator.Publish(clock.Add(time.Duration(i)*5*time.Second), map[string]trafficcount.Statistics{"vnet0": counted})
	}
	turn(0)
	e := newExporter(t, Sources{
		Desired:  func() *model.Desired { return now.Load().desired },
		Status:   func() report.Status { return now.Load().status },
		Traffic:  func() map[model.ID]model.Traffic { return accumulator.Snapshot(clock) },
		Resets:   accumulator.Resets,
		Interval: func() time.Duration { return trafficcount.DefaultInterval },
	})
	stop := make(chan struct{})
	var world sync.WaitGroup
	world.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				turn(i)
				e.ObserveReconcile(time.Millisecond, "applied")
			}
		}
	})
	last := 0.0
	for range 200 {
		families, err := e.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "isonet_network_receive_bytes_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() != "red" {
					continue
				}
				if value := m.GetCounter().GetValue(); value < last {
					t.Errorf("the counter fell from %v to %v", last, value)
				} else {
					last = value
				}
			}
		}
	}
	close(stop)
	world.Wait()
	if last == 0 {
		t.Error("no scrape showed traffic")
	}

	blue := model.AttachmentID(hostID, blueID)
	m := busy()
	delete(m.desired.Attachments, blue)
	now.Store(&m)
	if got := labels(t, e, "isonet_network_info"); !slices.Equal(got, []string{"red"}) {
		t.Errorf("the networks %q have series, want red only", got)
	}
}

// received are the statistics of a port that got that many bytes.
func received(bytes int) trafficcount.Statistics {
	var s trafficcount.Statistics
	s.Set("tx_bytes", int64(bytes))
	return s
}

// Of a port in another network namespace nobody knows the link.
func TestAPortElsewhereHasNoLink(t *testing.T) {
	m := busy()
	b := rows(&m.status).Bridges["red"]
	b.Ports = append(slices.Clone(b.Ports), plan.Port{Name: "int0", Interfaces: []plan.Interface{{UUID: "i", Name: "int0", Type: "internal", OFPort: 5, IfIndex: 9}}})
	rows(&m.status).Bridges["red"] = b
	rows(&m.status).Links = plan.NewLinks(plan.Device{Index: 2, Name: "red"})
	families, err := newExporter(t, m.sources()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	unknown := 0.0
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			text := metric.String()
			if f.GetName() == "isonet_network_ports" && strings.Contains(text, `"unknown"`) {
				unknown += metric.GetGauge().GetValue()
			}
			if f.GetName() == "isonet_port_link_up" && strings.Contains(text, `"int0"`) {
				t.Errorf("the port has a link: %s", text)
			}
		}
	}
	if unknown != 1 {
		t.Errorf("%v ports have an unknown link, want 1", unknown)
	}
}
