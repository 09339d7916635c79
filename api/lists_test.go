package api_test

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
)

// fleet gives a world many hosts with a hundred networks each: half of them by a label, half of
// them by themselves.
func (w *world) fleet(hosts int) {
	const labels, each = 10, 50
	d := newDesired()
	var networks []model.ID
	for i := range labels * each {
		n := model.Network{ID: model.DeriveID(fmt.Sprint("network ", i)), Name: fmt.Sprintf("network-%04d", i), Revision: 1, Label: fmt.Sprint("label-", i%labels)}
		n.VdsmName = model.VdsmName(n.ID, n.Name)
		d.Networks[n.ID] = n
		networks = append(networks, n.ID)
	}
	for i := range hosts {
		system := fmt.Sprint("system ", i)
		id := model.HostID(system)
		d.Hosts[id] = model.Host{ID: id, SystemID: system, Name: fmt.Sprintf("host-%04d", i), Labels: []string{fmt.Sprint("label-", i%labels)}}
		for j := range each {
			if _, err := d.Attach(id, networks[(i+1)%labels+labels*j], nil); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.desired = d
}

const attachmentsOfAll = base + "/hosts?follow=networkattachments"

// request returns a read of a path.
func request(method, path string, headers ...header) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.SetBasicAuth("admin", "s3cr&t")
	for _, h := range headers {
		for name, value := range h {
			r.Header.Set(name, value)
		}
	}
	return r
}

// live returns the bytes of the heap that are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// meter takes a reply, counts it, and looks from time to time at how much memory there is.
type meter struct {
	header     http.Header
	look       func() int64
	sent, next int64
	most       int64
}

func (m *meter) Header() http.Header { return m.header }
func (m *meter) WriteHeader(int)     {}

func (m *meter) Write(p []byte) (int, error) {
	const step = 16 << 20
	if m.sent >= m.next {
		m.most, m.next = max(m.most, m.look()), m.sent+step
	}
	m.sent += int64(len(p))
	return len(p), nil
}

// A list takes little memory, whatever its length: it is that of hundreds of hosts with a
// hundred networks each.
func TestAListTakesLittleMemory(t *testing.T) {
	for name, c := range map[string]struct {
		hosts   int
		headers []header
		least   int64 // bytes of the list
	}{
		"XML": {400, nil, 40e6}, "JSON with gzip": {200, []header{jsonReply, {"Accept-Encoding": "gzip"}}, 20e6},
	} {
		t.Run(name, func(t *testing.T) {
			w := newRemote(t, nil)
			w.fleet(c.hosts)
			before := live()
			m := &meter{header: http.Header{}, look: live}
			w.handler.ServeHTTP(m, request("GET", attachmentsOfAll, c.headers...))
			if packed := m.header.Get("Content-Encoding") != ""; packed == (m.sent > c.least) {
				t.Errorf("the list has %d bytes, %v", m.sent, m.header)
			}
			if took := m.most - before; took > c.least/5 {
				t.Errorf("the list took %d bytes of memory", took)
			}
		})
	}
}

// TestAListThatIsTooLongToKeep is of one that does not become small, so that it is made
// twice.
func TestAListThatIsTooLongToKeep(t *testing.T) {
	w := newWorld(t)
	w.many(2000)
	letters := rand.New(rand.NewPCG(1, 2))
	for id, n := range w.store.desired.Networks {
		text := make([]byte, 10_000)
		for i := range text {
			text[i] = byte('a' + letters.IntN(26))
		}
		n.Description = string(text)
		w.store.desired.Networks[id] = n
	}
	for name, form := range map[string]header{"XML": nil, "JSON": jsonReply} {
		t.Run(name, func(t *testing.T) {
			before := live()
			m := &meter{header: http.Header{}, look: live}
			w.handler.ServeHTTP(m, request("GET", base+"/networks", form))
			if got := m.header.Get("Content-Length"); got != strconv.FormatInt(m.sent, 10) || m.sent < 20e6 {
				t.Errorf("%d bytes were sent, and %s announced", m.sent, got)
			}
			if took := m.most - before; took > m.sent/10 {
				t.Errorf("a list of %d bytes took %d bytes of memory", m.sent, took)
			}
			tag := m.header.Get("ETag")
			w.must(http.StatusNotModified, "GET", base+"/networks", "", form, header{"If-None-Match": tag})
			head := &meter{header: http.Header{}, look: live}
			w.handler.ServeHTTP(head, request("HEAD", base+"/networks", form))
			if head.header.Get("ETag") != tag || head.header.Get("Content-Length") != m.header.Get("Content-Length") {
				t.Errorf("the header of HEAD is %v, and that of GET %v", head.header, m.header)
			}
		})
	}
}

// TestClientsThatReadSlowly shows that the time for a reply is that for each part of it.
func TestClientsThatReadSlowly(t *testing.T) {
	const patient = 5 * time.Second
	w := newWorld(t)
	w.fleet(300)
	conn := dial(t, harden(t, w.handler, func(s *http.Server) { s.WriteTimeout = patient }))
	_ = conn.SetDeadline(time.Now().Add(ovstest.Patience))
	_ = conn.SetReadBuffer(512 << 10) // of a larger one the kernel tells seldom that there is room again
	if _, err := io.WriteString(conn, "GET "+attachmentsOfAll+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	part := make([]byte, 64<<10)
	read := int64(0)
	tick := time.NewTicker(patient / 50)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 2*patient; <-tick.C {
		n, err := io.ReadFull(reply.Body, part)
		if read += int64(n); err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
	}
	rest, err := io.Copy(io.Discard, reply.Body)
	if err != nil || read+rest != reply.ContentLength {
		t.Errorf("%d bytes came slowly, %d fast, of %d: %v", read, rest, reply.ContentLength, err)
	}
}

// TestPagesHaveTheWholeList is of all lists that can be long.
func TestPagesHaveTheWholeList(t *testing.T) {
	w := newWorld(t)
	w.fleet(25)
	type members struct {
		Members []struct {
			ID string `xml:"id,attr"`
		} `xml:",any"`
	}
	list := func(path, search string, most int) (ids []string) {
		query := url.Values{}
		if search != "" {
			query.Set("search", search)
		}
		if most > 0 {
			query.Set("max", strconv.Itoa(most))
		}
		var m members
		if err := xml.Unmarshal(w.must(http.StatusOK, "GET", path+"?"+query.Encode(), "").Body.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, member := range m.Members {
			ids = append(ids, member.ID)
		}
		return ids
	}
	for _, path := range []string{base + "/hosts", base + "/networks", base + "/vnicprofiles"} {
		whole := list(path, "", 0)
		for _, most := range []int{1 + len(whole)/3, len(whole), 2 * len(whole)} {
			var pages []string
			for page := 1; ; page++ {
				got := list(path, fmt.Sprint("page ", page), most)
				if len(got) == 0 {
					break
				}
				pages = append(pages, got...)
			}
			if !slices.Equal(pages, whole) {
				t.Errorf("%s: the pages of %d have %d of %d members, or in another order", path, most, len(pages), len(whole))
			}
		}
		if got := list(path, "", 7); !slices.Equal(got, whole[:7]) {
			t.Errorf("%s: the first 7 are %v", path, got)
		}
	}
	for _, path := range []string{base + "/datacenters/" + dataCenter + "/networks", base + "/clusters/" + cluster + "/networks", base + "/hosts/" + string(model.HostID("system 3")) + "/networkattachments"} {
		if whole, got := list(path, "", 0), list(path, "", 7); len(whole) < 100 || !slices.Equal(got, whole[:7]) {
			t.Errorf("%s: the first 7 of %d are %v", path, len(whole), got)
		}
	}
}

// TestAPageCostsWhatIsOnIt shows that what is not on a page is not made.
func TestAPageCostsWhatIsOnIt(t *testing.T) {
	w := newWorld(t)
	w.fleet(200)
	cost := func(query string) float64 {
		return testing.AllocsPerRun(1, func() {
			w.handler.ServeHTTP(&meter{header: http.Header{}, look: func() int64 { return 0 }}, request("GET", attachmentsOfAll+query))
		})
	}
	if page, whole := cost("&max=10&search=page+3"), cost(""); page > whole/10 {
		t.Errorf("a page of 10 hosts takes %.0f allocations, and 202 hosts take %.0f", page, whole)
	}
}

// BenchmarkLists measures the longest list there is: a thousand hosts with a hundred networks each,
// of 500. The memory is the most that the heap had, what nobody uses any more included.
func BenchmarkLists(b *testing.B) {
	w := newRemote(b, nil)
	w.fleet(1000)
	for _, c := range []struct {
		name    string
		headers []header
	}{{"XML", nil}, {"JSON", []header{jsonReply}}, {"JSON with gzip", []header{jsonReply, {"Accept-Encoding": "gzip"}}}} {
		b.Run(c.name, func(b *testing.B) {
			m := &meter{look: func() int64 {
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				return int64(s.HeapAlloc)
			}}
			for b.Loop() {
				runtime.GC()
				m.header, m.sent, m.next = http.Header{}, 0, 0
				w.handler.ServeHTTP(m, request("GET", attachmentsOfAll, c.headers...))
			}
			b.ReportMetric(float64(m.sent)/1e6, "MB/reply")
			b.ReportMetric(float64(m.most)/1e6, "MB-heap")
		})
	}
}
