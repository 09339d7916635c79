package exporter

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/model/plan"
	trafficcount "github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// text draws what a name or a value of OVSDB could be, the hostile ones often.
func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "a\xff", "a\xfe", "same", "same (1)", `"`, `\`, "\n", "\r\n", "\x00", "{a=\"b\"} 1 # EOF", "日本", " "}),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
}

func instant() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(-1, 4e9), func(seconds int64) time.Time {
		if seconds < 0 {
			return time.Time{}
		}
		return time.Unix(seconds, 5e8)
	})
}

func counters() *rapid.Generator[model.Counters] {
	return rapid.Custom(func(t *rapid.T) model.Counters {
		n := func() uint64 { return rapid.Uint64().Draw(t, "n") }
		return model.Counters{
			ReceivedBytes: n(), ReceivedPackets: n(), ReceivedDrops: n(), ReceivedErrors: n(),
			TransmittedBytes: n(), TransmittedPackets: n(), TransmittedDrops: n(), TransmittedErrors: n(),
		}
	})
}

// anything draws what the sources could say, whether or not it makes sense.
func anything() *rapid.Generator[moment] {
	return rapid.Custom(func(t *rapid.T) moment {
		d := model.NewDesired()
		d.Revision = rapid.Int64().Draw(t, "revision")
		d.Hosts[hostID] = model.Host{ID: hostID, Labels: []string{"lab"}}
		m := moment{
			desired: d, traffic: map[model.ID]model.Traffic{}, ports: map[string]model.PortTraffic{},
			status: report.Status{
				HostID: hostID, Connected: rapid.Bool().Draw(t, "connected"), Since: instant().Draw(t, "since"),
				Networks: map[model.ID]report.NetworkStatus{},
			},
		}
		if rapid.IntRange(0, 4).Draw(t, "seen") > 0 {
			m.status.Host = see(&plan.Actual{Bridges: map[string]plan.Bridge{}})
			m.status.Switch = report.Switch{
				Version: text().Draw(t, "version"), SchemaVersion: text().Draw(t, "schema"), DatapathType: text().Draw(t, "datapath"),
			}
		}
		for i := range rapid.IntRange(0, 5).Draw(t, "networks") {
			m.draw(t, model.ID(fmt.Sprint(i)))
		}
		return m
	})
}

// draw adds a network.
func (m moment) draw(t *rapid.T, id model.ID) {
	n := model.Network{
		ID: id, Name: text().Draw(t, "name"), VdsmName: text().Draw(t, "bridge"), MTU: rapid.IntRange(0, 9000).Draw(t, "mtu"),
		Label: rapid.SampledFrom([]string{"", "lab"}).Draw(t, "label"),
	}
	m.desired.Networks[id] = n
	if rapid.Bool().Draw(t, "attached") {
		a := model.AttachmentID(hostID, id)
		m.desired.Attachments[a] = model.Attachment{ID: a, Host: hostID, Network: id, Explicit: true}
	}
	if rapid.Bool().Draw(t, "judged") {
		m.status.Networks[id] = report.NetworkStatus{
			State: report.State(rapid.SampledFrom([]string{"pending", "active", "error", "\xff"}).Draw(t, "state")),
			Isolation: report.Isolation{
				Verdict:  rapid.SampledFrom([]report.Verdict{report.Isolated, report.NotIsolated, report.IsolationUnknown, ""}).Draw(t, "verdict"),
				Findings: []isolation.Finding{{Reason: isolation.Mirror}},
			},
		}
	}
	if rapid.Bool().Draw(t, "counted") {
		m.traffic[id] = model.Traffic{
			Total: counters().Draw(t, "total"), Created: instant().Draw(t, "created"), Updated: instant().Draw(t, "updated"),
		}
	}
	if m.status.Host == nil {
		return
	}
	b := plan.Bridge{
		Name: n.VdsmName, Network: id, DatapathType: text().Draw(t, "type"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "ports") {
		uuid := fmt.Sprintf("%s.%d", id, i)
		b.Ports = append(b.Ports, plan.Port{Name: text().Draw(t, "port"), Interfaces: []plan.Interface{{
			UUID: uuid, Name: text().Draw(t, "interface"), Type: text().Draw(t, "type"), MTU: rapid.IntRange(0, 9000).Draw(t, "mtu"),
			ExternalIDs: map[string]string{"attached-mac": text().Draw(t, "mac"), "vm-id": text().Draw(t, "vm")},
		}}})
		m.ports[uuid] = model.PortTraffic{Network: id, Traffic: model.Traffic{
			Total: counters().Draw(t, "carried"), Created: instant().Draw(t, "plugged"),
		}}
	}
	rows(&m.status).Bridges[b.Name] = b
}

func quiet(s Sources) *Exporter {
	return New(s, BuildInfo{Version: "1", Revision: "2"}, slog.New(slog.DiscardHandler))
}

// scrape returns the metrics that were made from snapshots, as text.
func scrape(t rapid.TB, e *Exporter, accept string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

const openMetricsText = "application/openmetrics-text;version=1.0.0"

// TestAnythingIsScraped checks that whatever the sources say, the scrape is
// what parsers take: every network and port that can be told apart has its
// series, and no series is there twice. The same exporter serves one moment
// after the other, and remembers nothing of the last.
func TestAnythingIsScraped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now moment
		e := quiet(Sources{
			Desired:     func() *model.Desired { return now.desired },
			Status:      func() report.Status { return now.status },
			Traffic:     func() map[model.ID]model.Traffic { return now.traffic },
			Resets:      func() uint64 { return 2 },
			HistoryLost: func() uint64 { return 5 },
			HistorySize: func() int64 { return 6 },
			Reports:     reports,
			Members:     memberOf,
			Interval:    func() time.Duration { return trafficcount.DefaultInterval },
			Ports:       &Ports{Traffic: func() map[string]model.PortTraffic { return now.ports }},
		})
		for range rapid.IntRange(1, 3).Draw(t, "moments") {
			now = anything().Draw(t, "moment")
			plain := scrape(t, e, "text/plain;version=0.0.4")
			parser := expfmt.NewTextParser(promodel.LegacyValidation)
			families, err := parser.TextToMetricFamilies(strings.NewReader(plain))
			if err != nil {
				t.Fatalf("the text does not parse: %v\n%s", err, plain)
			}
			series := seriesOf(t, families)
			if open := checkOpenMetrics(t, scrape(t, e, openMetricsText)); open != series {
				t.Fatalf("OpenMetrics has %d series of isonet, the text has %d", open, series)
			}
			if diff := cmp.Diff(snapshots(t, quiet(now.sources())), snapshots(t, e)); diff != "" {
				t.Fatalf("the exporter remembers another moment (-fresh +used):\n%s", diff)
			}
		}
	})
}

// snapshots returns the scrape of the metrics that are made from snapshots.
func snapshots(t rapid.TB, e *Exporter) string {
	t.Helper()
	all, err := e.Gather()
	if err != nil && !strings.Contains(err.Error(), "the same labels") {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range all {
		if !slices.ContainsFunc(families(), func(known family) bool { return known.Name == f.GetName() }) {
			continue
		}
		for _, m := range f.Metric { // times as OpenMetrics could tell them
			m.TimestampMs = nil
			if created := m.GetCounter().GetCreatedTimestamp(); created != nil {
				fmt.Fprintln(&b, f.GetName(), created.AsTime())
			}
		}
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// seriesOf counts the series of isonet and fails when one is there twice.
func seriesOf(t rapid.TB, families map[string]*dto.MetricFamily) int {
	t.Helper()
	count := 0
	for name, f := range families {
		if !strings.HasPrefix(name, "isonet_") || f.GetType() == dto.MetricType_HISTOGRAM {
			continue
		}
		seen := map[string]bool{}
		for _, m := range f.GetMetric() {
			key := fmt.Sprintf("%q", m.GetLabel())
			if seen[key] {
				t.Fatalf("%s has two series %s", name, key)
			}
			seen[key] = true
			count++
		}
	}
	return count
}

// openMetricsSample is a sample of OpenMetrics with strict labels; values are
// all that isonet has.
var openMetricsSample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.]+(?:e[+-][0-9]+)?|NaN|[+-]Inf)(?: # .*)?$`)

// checkOpenMetrics checks the rules of OpenMetrics that a scrape could break:
// a type before its samples, the samples of a family together, counters that
// end in _total, and an end. It returns the number of series of isonet.
func checkOpenMetrics(t rapid.TB, scrape string) int {
	t.Helper()
	body, ended := strings.CutSuffix(scrape, "\n# EOF\n")
	if !ended {
		t.Fatalf("no end: %q", scrape[max(0, len(scrape)-100):])
	}
	family, kind := "", ""
	families, series := map[string]bool{}, map[string]bool{}
	count := 0
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "# HELP ") || strings.HasPrefix(line, "# UNIT ") {
			continue
		}
		if declared, is := strings.CutPrefix(line, "# TYPE "); is {
			family, kind, _ = strings.Cut(declared, " ")
			// The Go collector has a gauge and a counter of one name.
			if families[family] && strings.HasPrefix(family, "isonet_") {
				t.Fatalf("the family %s is there twice", family)
			}
			families[family] = true
			continue
		}
		sample := openMetricsSample.FindStringSubmatch(line)
		if sample == nil {
			t.Fatalf("not a sample: %q", line)
		}
		if want := map[string]string{"counter": family + "_total", "gauge": family}[kind]; want != "" && sample[1] != want {
			t.Fatalf("%q is in the family %s", line, family)
		}
		key := sample[1] + "{" + sample[2]
		if series[key] {
			t.Fatalf("the series %s is there twice", key)
		}
		series[key] = true
		if strings.HasPrefix(family, "isonet_") && kind != "histogram" {
			count++
		}
	}
	return count
}

// history is a host whose ports come, go, move and carry traffic.
type history struct {
	accumulator *trafficcount.Accumulator
	desired     *model.Desired
	actual      *plan.Actual
	clock       time.Time
	carried     map[string]int // by Interface UUID
}

// turn lets one thing happen.
func (h *history) turn(t *rapid.T) {
	h.clock = h.clock.Add(5 * time.Second)
	id := rapid.SampledFrom([]model.ID{redID, blueID}).Draw(t, "network")
	name := string(h.desired.Networks[id].Name)
	uuid := fmt.Sprintf("port%d", rapid.IntRange(0, 3).Draw(t, "port"))
	bridges := map[string]plan.Bridge{}
	for old, b := range h.actual.Bridges {
		b.Ports = slices.DeleteFunc(slices.Clone(b.Ports), func(p plan.Port) bool { return p.Name == uuid })
		bridges[old] = b
	}
	switch rapid.SampledFrom([]string{"plug", "unplug", "remove", "make"}).Draw(t, "event") {
	case "plug":
		if b, ok := bridges[name]; ok {
			b.Ports = append(b.Ports, plan.Port{Name: uuid, Interfaces: []plan.Interface{{UUID: uuid, Name: uuid}}})
			bridges[name] = b
		}
	case "unplug":
		h.accumulator.Forget(uuid)
		h.carried[uuid] = 0
	case "remove":
		delete(bridges, name)
	case "make":
		if _, ok := bridges[name]; !ok {
			bridges[name] = plan.Bridge{Name: name, Network: id}
		}
	}
	h.actual = &plan.Actual{Bridges: bridges}
	var placed []trafficcount.Bridge
	for _, b := range bridges {
		counted := trafficcount.Bridge{Network: b.Network}
		for _, p := range b.Ports {
			counted.Endpoints = append(counted.Endpoints, p.Name)
		}
		placed = append(placed, counted)
	}
	h.accumulator.Place(h.clock, placed)
	h.carried[uuid] += rapid.IntRange(-1000, 5000).Draw(t, "bytes") // less than before is a reset
	h.carried[uuid] = max(h.carried[uuid], 0)
	h.accumulator.Publish(h.clock, map[string]trafficcount.Statistics{uuid: received(h.carried[uuid])})
}

// TestCountersNeverFall scrapes between the turns of a history. A counter that
// falls has another time of creation.
func TestCountersNeverFall(t *testing.T) {
	type point struct {
		created time.Time
		value   float64
	}
	rapid.Check(t, func(t *rapid.T) {
		h := &history{
			accumulator: trafficcount.New(), desired: busy().desired, actual: &plan.Actual{},
			clock: time.Unix(1767323045, 0), carried: map[string]int{},
		}
		h.accumulator.Begin(nil)
		e := quiet(Sources{
			Desired:  func() *model.Desired { return h.desired },
			Status:   func() report.Status { return report.Status{HostID: hostID, Connected: true, Host: see(h.actual)} },
			Traffic:  func() map[model.ID]model.Traffic { return h.accumulator.Snapshot(h.clock) },
			Resets:   h.accumulator.Resets,
			Interval: func() time.Duration { return trafficcount.DefaultInterval },
			Ports:    &Ports{Traffic: func() map[string]model.PortTraffic { return h.accumulator.Ports(h.clock) }},
		})
		last := map[string]point{}
		for range rapid.IntRange(1, 30).Draw(t, "turns") {
			h.turn(t)
			families, err := e.Gather()
			if err != nil {
				t.Fatal(err)
			}
			points := map[string]point{}
			for _, f := range families {
				if f.GetType() != dto.MetricType_COUNTER || !strings.HasPrefix(f.GetName(), "isonet_") {
					continue
				}
				for _, m := range f.GetMetric() {
					key := fmt.Sprint(f.GetName(), m.GetLabel())
					p := point{m.GetCounter().GetCreatedTimestamp().AsTime(), m.GetCounter().GetValue()}
					if before, ok := last[key]; ok && p.value < before.value && p.created.Equal(before.created) {
						t.Fatalf("%s fell from %v to %v", key, before.value, p.value)
					}
					points[key] = p
				}
			}
			last = points
		}
	})
}

// TestManyNetworks scrapes 10,000 networks with four ports each.
func TestManyNetworks(t *testing.T) {
	m := crowd(10_000)
	e := quiet(m.sources())
	families, done, err := e.all.Gather()
	defer done()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]int{}
	for _, f := range families {
		samples[f.GetName()] = len(f.GetMetric())
	}
	want := map[string]int{
		"isonet_network_receive_bytes_total": 10_000, "isonet_network_ports": 20_000, "isonet_network_state": 40_000,
		"isonet_port_receive_bytes_total": 40_000, "isonet_port_info": 40_000,
	}
	some := cmpopts.IgnoreMapEntries(func(name string, _ int) bool { return want[name] == 0 })
	if diff := cmp.Diff(want, samples, some); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestPortSelection(t *testing.T) {
	for _, test := range []struct {
		name             string
		include, exclude string
		want             []string
	}{
		{"all", "", "", []string{"e0", "e1", "vnet0", "vnet1"}},
		{"ports", "^vnet", "", []string{"vnet0", "vnet1"}},
		{"a network", "^red$", "", []string{"e0", "e1", "vnet0", "vnet1"}},
		{"all but some ports", "", "0$", []string{"e1", "vnet1"}},
		{"some ports but one", "^vnet", "^vnet0$", []string{"vnet1"}},
		{"a network is left out", "", "^red$", nil},
		{"another network", "^blue$", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			sources := busy().sources()
			if test.include != "" {
				sources.Ports.Include = regexp.MustCompile(test.include)
			}
			if test.exclude != "" {
				sources.Ports.Exclude = regexp.MustCompile(test.exclude)
			}
			families, err := newExporter(t, sources).Gather()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range families {
				if f.GetName() != "isonet_port_link_up" {
					continue
				}
				for _, m := range f.GetMetric() {
					got = append(got, m.GetLabel()[1].GetValue())
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOverlappingScrapes scrapes twice at once, again and again: no scrape
// changes what another is about to send.
func TestOverlappingScrapes(t *testing.T) {
	moments := []moment{busy(), busy()}
	moments[1].desired.Networks[redID] = model.Network{ID: redID, Name: "crimson", VdsmName: "red", Label: "lab"}
	var turn atomic.Int64
	e := quiet(Sources{
		// Each scrape sees the other moment; what does not name a network stays.
		Desired:  func() *model.Desired { return moments[turn.Add(1)%2].desired },
		Status:   func() report.Status { return moments[0].status },
		Traffic:  func() map[model.ID]model.Traffic { return moments[0].traffic },
		Resets:   func() uint64 { return 2 },
		Interval: func() time.Duration { return trafficcount.DefaultInterval },
	})
	var scrapes sync.WaitGroup
	for range 2 {
		scrapes.Go(func() {
			for range 50 {
				body := scrape(t, e, openMetricsText)
				red, crimson := strings.Count(body, `network="red"`), strings.Count(body, `network="crimson"`)
				if (red == 0) == (crimson == 0) {
					t.Errorf("a scrape has %d series of red and %d of crimson, which are of different moments", red, crimson)
				}
			}
		})
	}
	scrapes.Wait()
}

// sight is what is told of rows that a test may change.
type sight struct {
	report.Host
	actual *plan.Actual
}

func see(actual *plan.Actual) report.Host { return sight{reconcile.Seen(actual), actual} }

// rows returns the rows of which a status tells.
func rows(s *report.Status) *plan.Actual { return s.Host.(sight).actual }
