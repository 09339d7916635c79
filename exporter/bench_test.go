package exporter

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// crowd is a host with that many networks, and four VMs on each.
func crowd(networks int) moment {
	d := model.NewDesired()
	d.Hosts[hostID] = model.Host{ID: hostID, SystemID: string(hostID), Name: "host", Labels: []string{"lab"}}
	m := moment{desired: d, traffic: map[model.ID]model.Traffic{}, ports: map[string]model.PortTraffic{}, status: report.Status{
		HostID: hostID, Connected: true, Networks: map[model.ID]report.NetworkStatus{},
		Switch: report.Switch{Version: "3.1.0", SchemaVersion: "8.3.1", DatapathType: "system"},
		Host:   see(&plan.Actual{Bridges: map[string]plan.Bridge{}}),
	}}
	for i := range networks {
		name := fmt.Sprintf("net%d", i)
		id := model.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
		d.Networks[id] = model.Network{ID: id, Name: name, VdsmName: name, Label: "lab", Revision: 1}
		m.status.Networks[id] = report.NetworkStatus{State: report.Active}
		b := plan.Bridge{
			Name: name, Network: id, DatapathType: "system",
			Ports: []plan.Port{{Name: name, Interfaces: []plan.Interface{{Name: name, MTU: 1500}}}},
		}
		for p := range 4 {
			vnet := fmt.Sprintf("vnet%d", 4*i+p)
			b.Ports = append(b.Ports, plan.Port{Name: vnet, Interfaces: []plan.Interface{{UUID: vnet, Name: vnet, MTU: 1500, LinkUp: true}}})
			m.ports[vnet] = model.PortTraffic{Network: id, Traffic: model.Traffic{
				Created: time.Unix(1767323045, 0), Total: model.Counters{ReceivedBytes: uint64(p)},
			}}
		}
		rows(&m.status).Bridges[name] = b
		n := uint64(i+1) * 123457
		m.traffic[id] = model.Traffic{Created: time.Unix(1767323045, 0), Total: model.Counters{
			ReceivedBytes: 1500 * n, ReceivedPackets: n, ReceivedDrops: n / 100, ReceivedErrors: 1,
			TransmittedBytes: 500 * n, TransmittedPackets: n / 3, TransmittedDrops: 1, TransmittedErrors: 0,
		}}
	}
	return m
}

// BenchmarkScrape is one scrape as Prometheus asks for it, without the network.
func BenchmarkScrape(b *testing.B) {
	for _, networks := range []int{10, 100, 500, 1000} {
		b.Run(fmt.Sprintf("networks=%d", networks), func(b *testing.B) {
			m := crowd(networks)
			m.ports = nil
			scrapes(b, m)
		})
		b.Run(fmt.Sprintf("networks=%d/ports", networks), func(b *testing.B) { scrapes(b, crowd(networks)) })
	}
}

func scrapes(b *testing.B, m moment) {
	b.Helper()
	h := New(m.sources(), BuildInfo{}, slog.New(slog.DiscardHandler)).Handler()
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.1")
	r.Header.Set("Accept-Encoding", "gzip")
	var size int
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("status %d", w.Code)
		}
		size = w.Body.Len()
	}
	b.ReportMetric(float64(size), "B/scrape")
	b.ReportMetric(float64((processor(b)-before).Microseconds())/1000/float64(b.N), "CPU-ms/scrape")
}

// processor returns the time that the process has used of it, with the garbage
// collector's.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
