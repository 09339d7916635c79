package exporter

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// TestNegotiation asks in every form that a client may want.
func TestNegotiation(t *testing.T) {
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	for _, test := range []struct{ name, accept, encoding, query, wantType, wantEncoding string }{
		{"text", "", "", "", "text/plain; version=0.0.4", ""},
		{"text, compressed", "", "gzip", "", "text/plain; version=0.0.4", "gzip"},
		{"OpenMetrics", openMetricsText, "identity", "", openMetricsText, ""},
		{"OpenMetrics, compressed", openMetricsText, "gzip", "", openMetricsText, "gzip"},
		{"OpenMetrics, compressed by preference", openMetricsText, "br;q=1, gzip;q=0.5", "", openMetricsText, "gzip"},
		{"OpenMetrics, not compressed by preference", openMetricsText, "gzip;q=0", "", openMetricsText, ""},
		{"an older OpenMetrics", "application/openmetrics-text;version=0.0.1", "gzip", "", "application/openmetrics-text; version=0.0.1", "gzip"},
		{"protobuf", protobuf, "gzip", "", "application/vnd.google.protobuf", "gzip"},
		{"one metric is too short to compress", openMetricsText, "gzip", "?name[]=isonet_networks", openMetricsText, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/metrics"+test.query, http.NoBody)
			r.Header.Set("Accept", test.accept)
			if test.encoding != "" {
				r.Header.Set("Accept-Encoding", test.encoding)
			}
			w := httptest.NewRecorder()
			newExporter(t, busy().sources()).Handler().ServeHTTP(w, r)
			if got := w.Header().Get("Content-Encoding"); got != test.wantEncoding {
				t.Errorf("encoding %q, want %q", got, test.wantEncoding)
			}
			var body io.Reader = w.Body
			if test.wantEncoding == "gzip" {
				var err error
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			got := strings.ReplaceAll(w.Header().Get("Content-Type"), "; ", ";")
			if want := strings.ReplaceAll(test.wantType, "; ", ";"); !strings.HasPrefix(got, want) {
				t.Errorf("type %q, want %q", got, want)
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte("isonet_networks")) {
				t.Error("the answer lacks isonet_networks")
			}
			if only := test.query != ""; only == bytes.Contains(text, []byte("isonet_desired_revision")) {
				t.Errorf("the answer has other metrics: %t", only)
			}
		})
	}
}

// TestProtobufHasCreatedTimestamps asks as Prometheus does with its feature
// created-timestamp-zero-ingestion.
func TestProtobufHasCreatedTimestamps(t *testing.T) {
	m := busy()
	accept := http.Header{"Accept": {
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
	}}
	r := get(t, newExporter(t, m.sources()).Handler(), accept)
	decoder := expfmt.NewDecoder(strings.NewReader(r.body), expfmt.ResponseFormat(r.header))
	want := map[string]bool{"isonet_network_receive_bytes_total": false, "isonet_port_transmit_packets_total": false}
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, asked := want[f.GetName()]; !asked {
			continue
		}
		created := m.traffic[redID].Created
		if strings.HasPrefix(f.GetName(), "isonet_port_") {
			created = m.ports["a"].Created
		}
		if got := f.GetMetric()[0].GetCounter().GetCreatedTimestamp().AsTime(); !got.Equal(created) {
			t.Errorf("%s was created at %s, want %s", f.GetName(), got, created)
		}
		want[f.GetName()] = true
	}
	for name, seen := range want {
		if !seen {
			t.Errorf("no %s", name)
		}
	}
}
