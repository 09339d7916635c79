package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

func TestPaths(t *testing.T) {
	w := newWorld(t)
	for path, hrefs := range map[string]string{
		"/ovirt-engine/api/hosts":        "/ovirt-engine/api/",
		"/ovirt-engine/api/hosts/":       "/ovirt-engine/api/",
		"/ovirt-engine/api//hosts":       "/ovirt-engine/api/",
		"//ovirt-engine//api///hosts//":  "/ovirt-engine/api/",
		"/ovirt-engine/api/v4/hosts":     "/ovirt-engine/api/v4/",
		"/api/hosts":                     "/api/",
		"/api/v4//hosts":                 "/api/v4/",
		"/ovirt-engine/api/%68osts":      "/ovirt-engine/api/",
		"/ovirt-engine/api/hosts?max=-1": "/ovirt-engine/api/",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, _ = url.ParseRequestURI(path)
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		want := `<host href="` + hrefs + "hosts/" + string(host1) + `"`
		if recorder.Code != http.StatusOK || !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("%s: status %d, no %s in:\n%s", path, recorder.Code, want, recorder.Body)
		}
	}
	// A POST must arrive as a POST.
	w.must(http.StatusCreated, "POST", "/ovirt-engine/api//networks/", "<network><name>x</name></network>")
}

func TestNegotiation(t *testing.T) {
	const inXML, inJSON = "application/xml;charset=UTF-8", "application/json"
	w := newWorld(t)
	for _, c := range []struct{ query, accept, want string }{
		{"", "", inXML},
		{"", "application/xml", inXML},
		{"", "application/json", inJSON},
		{"", "application/json;charset=utf-8", inJSON},
		{"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", inXML},
		{"", "application/json, text/plain, */*", inJSON},
		{"", "application/json;q=0.5, */*", inXML},
		{"", "application/xml;q=0.2, application/json;q=0.3", inJSON},
		{"", "application/json;q=0", inXML},
		{"", ";;, text/plain", inXML},
		{"?accept=application/json", "application/xml", inJSON},
		{"?accept=application%2Fxml", "application/json", inXML},
	} {
		got := w.must(http.StatusOK, "GET", base+"/hosts"+c.query, "", header{"Accept": c.accept}).Header().Get("Content-Type")
		if got != c.want {
			t.Errorf("%q with Accept %q: %s, want %s", c.query, c.accept, got, c.want)
		}
	}
	w.must(http.StatusOK, "GET", base+"/hosts", "", header{"Version": "4"})
}

func TestCorrelationID(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ sent, query, want string }{
		{"my-corr_1", "", "my-corr_1"},
		{"a b\xff<c>", "", "abc"},
		{strings.Repeat("x", 50), "", strings.Repeat("x", 36)},
		{"", "?correlation_id=q-1", "q-1"},
		{"h", "?correlation_id=q-1", "h"},
	} {
		for _, path := range []string{base + "/hosts", base + "/nowhere"} {
			got := w.do("GET", path+c.query, "", header{"Correlation-Id": c.sent}).Header().Get("Correlation-Id")
			if got != c.want {
				t.Errorf("sent %q %q, got %q, want %q", c.sent, c.query, got, c.want)
			}
		}
	}
	first := w.do("GET", base, "").Header().Get("Correlation-Id")
	if _, ok := model.ParseID(first); !ok || first == w.do("GET", base, "").Header().Get("Correlation-Id") {
		t.Errorf("generated %q", first)
	}
}

func TestRootTime(t *testing.T) {
	w := newWorld(t)
	var root struct {
		Time string `xml:"time"`
	}
	if err := xml.Unmarshal(w.must(200, "GET", base, "").Body.Bytes(), &root); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$`).MatchString(root.Time) {
		t.Errorf("time in XML is %q", root.Time)
	}
	var native struct{ Time int64 }
	if err := json.Unmarshal(w.must(200, "GET", base, "", jsonReply).Body.Bytes(), &native); err != nil || native.Time < 1_700_000_000_000 {
		t.Errorf("time in JSON is %d: %v", native.Time, err)
	}
}

// noTraffic panics when it is nil, which the API does not expect.
type noTraffic struct{ traffic }

func (b *noTraffic) Traffic() map[model.ID]model.Traffic { return b.traffic }

func TestPanic(t *testing.T) {
	var log strings.Builder
	store := &memory{desired: newDesired()}
	a, err := api.New(api.Config{
		Store: store, Loop: &loop{store: store, changed: make(chan struct{})}, Traffic: (*noTraffic)(nil), NICs: nics{}, Machine: newMachine(),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, handler: a.Local()}
	f := readFault(t, w.must(http.StatusInternalServerError, "GET", base+"/hosts", "", header{"Correlation-Id": "boom"}).Body.Bytes())
	if !strings.Contains(f.Detail, "boom") || strings.Contains(f.Detail, "nil pointer") {
		t.Errorf("fault is %q", f.Detail)
	}
	if !strings.Contains(log.String(), "nil pointer") || !strings.Contains(log.String(), "hostResource") {
		t.Errorf("the log lacks the panic or its stack:\n%s", log.String())
	}
	w.must(http.StatusOK, "GET", base+"/vms", "")
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	if _, err := api.New(api.Config{}); err == nil {
		t.Error("no error")
	}
}

// serve starts a real server for a handler and returns its address.
func serve(t *testing.T, handler http.Handler) (*http.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rest.NewServer(handler, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return server, listener.Addr().String()
}

// TestAnnouncedBodyThatNeverComes is what libgovirt does: its GETs announce a
// body of 17 bytes, and after a 401 it does not send them.
func TestAnnouncedBodyThatNeverComes(t *testing.T) {
	w := newWorld(t)
	_, remote := serve(t, w.api.Remote(loadUsers(t)))
	_, local := serve(t, w.handler)
	const credentials = "Authorization: Basic YWRtaW5AaW50ZXJuYWw6czNjciZ0\r\n" // admin@internal:s3cr&t
	for name, c := range map[string]struct {
		address, method, headers string
		status                   int
	}{
		"without credentials": {remote, "GET", "", 401},
		"with credentials":    {remote, "GET", credentials, 200},
		"on the socket":       {local, "GET", "", 200},
		"a HEAD":              {local, "HEAD", "", 200},
		"a DELETE":            {local, "DELETE", "", 405},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", c.address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, err = fmt.Fprintf(conn, "%s /ovirt-engine/api HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: 17\r\n"+
				"Connection: Keep-Alive\r\nPrefer: persistent-auth\r\nFilter: true\r\nAll-Content: true\r\n%s\r\n", c.method, c.headers)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.method})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = reply.Body.Close() }()
			if reply.StatusCode != c.status || !reply.Close {
				t.Errorf("status %d, want %d; Connection: close is %v", reply.StatusCode, c.status, reply.Close)
			}
			if _, err := io.Copy(io.Discard, reply.Body); err != nil {
				t.Error(err)
			}
		})
	}
	// A request without a body keeps the connection.
	reply, err := http.Get("http://" + local + base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.Close {
		t.Error("the connection is closed without need")
	}
	http.DefaultClient.CloseIdleConnections()
}

// watch opens isonet/watch and returns a function that reads the next line.
func watch[Line any](t *testing.T, address, query string) (next func() Line, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+base+"/isonet/watch"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = reply.Body.Close() })
	if kind := reply.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("Content-Type is %q", kind)
	}
	lines := bufio.NewReader(reply.Body)
	next = func() Line {
		t.Helper()
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var s Line
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		recorded := httptest.NewRecorder()
		recorded.Code = reply.StatusCode
		maps.Copy(recorded.Header(), reply.Header)
		recorded.Body.Write(line)
		if err := checkContract(request, "", recorded); err != nil {
			t.Errorf("a line is not as in docs/openapi.yaml: %v", err)
		}
		return s
	}
	return next, func() error { _, err := lines.ReadByte(); return err }
}

func TestWatch(t *testing.T) {
	w := newWorld(t)
	looked := make(chan struct{}, 100)
	w.loop.looked = looked
	server, address := serve(t, w.handler)
	next, end := watch[wire.Status](t, address, "")
	if s := next(); !s.Connected || len(s.Networks) != 2 {
		t.Fatalf("first line: %+v", s)
	}
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	if s := next(); s.Connected {
		t.Error("the change did not come")
	}
	for range 2 { // so far two lines have been told
		<-looked
	}
	w.loop.publish(func(*report.Status) {}) // nothing to tell
	<-looked
	w.loop.publish(func(s *report.Status) { s.Connected = true })
	if s := next(); !s.Connected {
		t.Error("an unchanged status was told again")
	}
	w.must(http.StatusCreated, "POST", attachmentsPath, attachIso2)
	for names(next()) != "iso1 iso3 second isolated network" {
	}
	// The stream ends with the server, which does not wait for the client.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := end(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	w.must(http.StatusOK, "HEAD", base+"/isonet/watch", "")
}

// TestWatchDeltas checks that a client that asks for it gets what differs, and has
// the whole status by that.
func TestWatchDeltas(t *testing.T) {
	w := newWorld(t)
	_, address := serve(t, w.handler)
	next, _ := watch[wire.Delta](t, address, "?deltas=true")
	var replica wire.Replica
	first := next()
	if s, err := replica.Apply(first); err != nil || first.Status == nil || s.WireVersion != wire.Version || names(s) != "iso1 iso3" {
		t.Fatalf("first line: %+v (%v)", first, err)
	}
	w.loop.publish(func(s *report.Status) { s.Connected = false })
	second := next()
	if s, err := replica.Apply(second); err != nil || s.Connected || second.Status != nil {
		t.Errorf("second line: %+v (%v)", second, err)
	}
	w.loop.publish(func(s *report.Status) { s.Connected = true })
	w.must(http.StatusCreated, "POST", attachmentsPath, attachIso2)
	for s := (wire.Status{}); names(s) != "iso1 iso3 second isolated network"; {
		line := next()
		var err error
		if s, err = replica.Apply(line); err != nil || line.Status != nil {
			t.Fatalf("line %d: %v", line.Sequence, err)
		}
	}
}

func names(s wire.Status) string {
	var list []string
	for _, n := range s.Networks {
		list = append(list, n.Name)
	}
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}
