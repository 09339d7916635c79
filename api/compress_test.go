package api_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
)

// many adds networks to a world.
func (w *world) many(n int) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	d := w.store.desired.Clone()
	for i := range n {
		network := model.Network{ID: model.DeriveID(fmt.Sprint("many ", i)), Name: fmt.Sprintf("network-%04d", i), Revision: 1}
		network.VdsmName = model.VdsmName(network.ID, network.Name)
		d.Networks[network.ID] = network
	}
	w.store.desired = d
}

// Over TCP a client that accepts gzip gets large documents compressed, the same ones.
func TestCompression(t *testing.T) {
	w := newRemote(t, nil)
	w.many(100)
	packed := header{"Accept-Encoding": "deflate, gzip;q=0.9"}
	ask := func(path string, headers ...header) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.SetBasicAuth("admin", "s3cr&t")
		for _, h := range headers {
			for name, value := range h {
				r.Header.Set(name, value)
			}
		}
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, r)
		return got
	}
	for _, form := range []header{{"Accept": "application/xml"}, {"Accept": "application/json"}} {
		plain, got := ask(base+"/networks", form), ask(base+"/networks", form, packed)
		reader, err := gzip.NewReader(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		size := got.Body.Len()
		unpacked, err := io.ReadAll(reader)
		if err != nil || string(unpacked) != plain.Body.String() || got.Header().Get("Content-Encoding") != "gzip" || 5*size > len(unpacked) {
			t.Errorf("%v: %d bytes are %d, %v, %v", form, size, len(unpacked), err, got.Header())
		}
		if !strings.Contains(got.Header().Get("Vary"), "Accept-Encoding") || got.Header().Get("Content-Type") != plain.Header().Get("Content-Type") {
			t.Errorf("the header is %v", got.Header())
		}
		// The tags differ, and each is as good as the other.
		tag, plainTag := got.Header().Get("ETag"), plain.Header().Get("ETag")
		if tag == plainTag || tag == "" {
			t.Errorf("the tags are %s and %s", tag, plainTag)
		}
		for _, h := range []header{{"If-None-Match": tag}, {"If-None-Match": plainTag}} {
			if code := ask(base+"/networks", form, packed, h).Code; code != http.StatusNotModified {
				t.Errorf("%v: status %d", h, code)
			}
		}
		w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><mtu>1300</mtu></network>", adminsBasic,
			header{"If-Match": ask(base+"/networks/"+string(iso1), form, packed).Header().Get("ETag")})
	}
	for _, c := range []struct {
		path   string
		header header
	}{
		{base + "/networks", nil}, {base + "/networks", header{"Accept-Encoding": "gzip;q=0"}}, {base + "/vms", packed}, {base + "/nosuch", packed},
	} {
		if got := ask(c.path, c.header); got.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s with %v is compressed", c.path, c.header)
		}
	}
}

// BenchmarkCompression measures what it costs to compress a list of 1,000 networks.
func BenchmarkCompression(b *testing.B) {
	w := newRemote(b, nil)
	w.many(1000)
	for _, coding := range []string{"identity", "gzip"} {
		b.Run(coding, func(b *testing.B) {
			size := 0
			for b.Loop() {
				r := httptest.NewRequest("GET", base+"/networks", nil)
				r.Header.Set("Accept-Encoding", coding)
				r.SetBasicAuth("admin", "s3cr&t")
				got := httptest.NewRecorder()
				w.handler.ServeHTTP(got, r)
				size = got.Body.Len()
			}
			b.ReportMetric(float64(size), "B/reply")
		})
	}
}
