package api_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// patience bounds what must happen soon. No test looks at how soon.
const patience = 30 * time.Second

// harden starts a real server and returns its address. change may set other
// limits than the real ones.
func harden(t *testing.T, handler http.Handler, change func(*http.Server)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rest.NewServer(handler, slog.New(slog.DiscardHandler))
	if change != nil {
		change(server)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// reply is what came back for one request.
type reply struct {
	status int
	close  bool
	body   []byte
}

// converse sends bytes and an end, and returns the replies until the server
// closes the connection. With an end left open, only the server can end it.
func converse(t *testing.T, address, request string, open bool) []reply {
	t.Helper()
	conn := dial(t, address)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request) // the server may close first
		if !open {
			_ = conn.CloseWrite()
		}
	}()
	defer func() { _ = conn.Close(); <-sent }()
	return replies(t, conn, request)
}

func replies(t *testing.T, conn net.Conn, request string) []reply {
	t.Helper()
	var list []reply
	head := strings.HasPrefix(request, "HEAD ")
	for r := bufio.NewReader(conn); ; {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the connection did not end after %d replies", len(list))
		}
		if err != nil {
			return list
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		list = append(list, reply{response.StatusCode, response.Close, body})
	}
}

func statuses(list []reply) []int {
	var codes []int
	for _, r := range list {
		codes = append(codes, r.status)
	}
	return codes
}

// unchanged fails the test when the desired state changes until it ends.
func (w *world) unchanged(t *testing.T) {
	t.Helper()
	before := w.store.Snapshot()
	t.Cleanup(func() {
		if diff := cmp.Diff(before, w.store.Snapshot()); diff != "" {
			t.Errorf("the desired state changed (-before +after):\n%s", diff)
		}
	})
}

const (
	get      = "GET /ovirt-engine/api HTTP/1.1\r\nHost: x\r\n"
	post     = "POST /ovirt-engine/api/networks HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n"
	payload  = "<network><name>smuggled</name></network>"
	smuggled = post + "Content-Length: 40\r\n\r\n" + payload
)

// TestSmuggling: what two parsers could split differently is refused or ends
// the connection, so that nothing after it becomes a request.
func TestSmuggling(t *testing.T) {
	if len(payload) != 40 {
		t.Fatal(len(payload))
	}
	w := newWorld(t)
	w.unchanged(t)
	address := harden(t, w.handler, nil)
	for name, c := range map[string]struct {
		request string
		want    []int
	}{
		"length and chunked":        {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{400}},
		"chunked and length":        {post + "Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n0\r\n\r\n" + smuggled, []int{400}},
		"chunked on a GET":          {get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{200}},
		"chunked on HTTP/1.0":       {strings.Replace(post, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled, []int{400}},
		"length on a GET":           {get + "Content-Length: 5\r\n\r\n" + smuggled, []int{200}},
		"two lengths":               {post + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + smuggled, []int{400}},
		"two equal lengths":         {post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n\r\n\r\n", []int{400}},
		"a list of lengths":         {post + "Content-Length: 0, 0\r\n\r\n" + smuggled, []int{400}},
		"a negative length":         {post + "Content-Length: -1\r\n\r\n" + smuggled, []int{400}},
		"a signed length":           {post + "Content-Length: +40\r\n\r\n" + payload, []int{400}},
		"a hexadecimal length":      {post + "Content-Length: 0x28\r\n\r\n" + payload, []int{400}},
		"a length beyond 64 bits":   {post + "Content-Length: 99999999999999999999\r\n\r\n" + payload, []int{400}},
		"an empty length":           {post + "Content-Length: \r\n\r\n" + smuggled, []int{400}},
		"a length too small":        {post + "Content-Length: 39\r\n\r\n" + payload, []int{400}},
		"a length too large":        {post + "Content-Length: 41\r\n\r\n" + payload, []int{400}},
		"chunked twice":             {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{501}},
		"chunked and identity":      {post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled, []int{501}},
		"an unknown coding":         {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, []int{501}},
		"a coding after a tab":      {post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + smuggled, []int{400}},
		"a space before the colon":  {post + "Content-Length : 40\r\n\r\n" + smuggled, []int{400}},
		"a bare LF":                 {get + "X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{200}},
		"a bare CR":                 {post + "X: a\rContent-Length: 40\r\n\r\n" + payload, []int{400}},
		"a folded header":           {post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{400}},
		"a header without colon":    {post + "Content-Length\r\n\r\n", []int{400}},
		"a header without name":     {post + ": 40\r\n\r\n", []int{400}},
		"a NUL in a header":         {post + "X: a\x00b\r\n\r\n", []int{400}},
		"a chunk beyond 64 bits":    {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx", []int{400}},
		"a negative chunk":          {post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx", []int{400}},
		"a chunk without its end":   {post + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n" + smuggled, []int{400}},
		"a bare LF in a chunk size": {post + "Transfer-Encoding: chunked\r\n\r\n28;\n" + payload + "\r\n0\r\n\r\n", []int{400}},
		"a long chunk extension":    {post + "Transfer-Encoding: chunked\r\n\r\n28;" + strings.Repeat("x", 1<<20) + "\r\n" + payload, []int{400}},
		"no host":                   {"GET /ovirt-engine/api HTTP/1.1\r\n\r\n" + smuggled, []int{400}},
		"two hosts":                 {get + "Host: y\r\n\r\n" + smuggled, []int{400}},
		"a host with a blank":       {"GET /ovirt-engine/api HTTP/1.1\r\nHost: x y\r\n\r\n" + smuggled, []int{400}},
		"HTTP/0.9":                  {"GET /ovirt-engine/api\r\n\r\n" + smuggled, []int{400}},
		"HTTP/2.0":                  {"GET /ovirt-engine/api HTTP/2.0\r\nHost: x\r\n\r\n" + smuggled, []int{505}},
		"a preface of HTTP/2":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled, []int{404}},
		"a handshake of TLS":        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		"an expectation":            {post + "Expect: miracles\r\nContent-Length: 40\r\n\r\n" + payload, []int{417}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, statuses(converse(t, address, c.request, false))); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
	// Well-formed ones in a row are all answered, in their order.
	row := strings.Repeat(get+"\r\n"+strings.Replace(get, "/api ", "/api/nothing ", 1)+"\r\n", 100)
	if got := statuses(converse(t, address, row, false)); !slices.Equal(got, slices.Repeat([]int{200, 404}, 100)) {
		t.Errorf("pipelined: %v", got)
	}
}

func TestFloods(t *testing.T) {
	w := newWorld(t)
	w.unchanged(t)
	address := harden(t, w.handler, nil)
	endless := post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 8<<10)
	for name, c := range map[string]struct {
		request string
		want    int
	}{
		"headers":                {get + strings.Repeat("X: y\r\n", 10_000) + "\r\n", 431},
		"one header":             {get + "X: " + strings.Repeat("y", 1<<20) + "\r\n\r\n", 431},
		"a header without end":   {get + "X: " + strings.Repeat("y", 1<<20), 431},
		"a long URL":             {strings.Replace(get, "/api", "/api/"+strings.Repeat("a/", 1<<19), 1) + "\r\n", 431},
		"a long query":           {strings.Replace(get, "/api", "/api?"+strings.Repeat("max=1&", 1<<18), 1) + "\r\n", 431},
		"a long method":          {strings.Repeat("M", 1<<20) + get, 431},
		"a body":                 {post + "Content-Length: 2097152\r\n\r\n" + strings.Repeat("x", 2<<20), 413},
		"a body that is a lie":   {post + "Content-Length: 9000000000000000000\r\n\r\n", 413},
		"chunks without end":     {endless, 413},
		"chunks of one byte":     {post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 2<<20), 413},
		"a body of a DELETE":     {"DELETE" + post[4:] + "Content-Length: 9000000000000000000\r\n\r\n", 405},
		"a body of no resource":  {strings.Replace(post, "networks", "nothing", 1) + "Content-Length: 9000000000000000000\r\n\r\n", 404},
		"chunks for no resource": {strings.Replace(endless, "networks", "nothing", 1), 404},
	} {
		t.Run(name, func(t *testing.T) {
			got := converse(t, address, c.request, true)
			if len(got) != 1 || got[0].status != c.want {
				t.Errorf("statuses %v, want %d", statuses(got), c.want)
			}
		})
	}
	many := strings.Replace(get, "/api", "/api/networks?"+strings.Repeat("&max=0", 2000), 1) + "\r\n"
	if got := converse(t, address, many, false); len(got) != 1 || got[0].status != 200 {
		t.Errorf("2000 parameters: %v", statuses(got))
	}
}

// trickle sends a byte now and then until the server ends the connection, and
// returns what came back.
func trickle(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	var got bytes.Buffer
	buffer := make([]byte, 4096)
	for bound := time.Now().Add(patience); time.Now().Before(bound); {
		if len(text) > 0 {
			_, _ = conn.Write([]byte{text[0]}) // an error shows when reading
			text = text[1:]
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // the pace
		n, err := conn.Read(buffer)
		got.Write(buffer[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return got.String()
		}
	}
	t.Fatal("the connection did not end")
	return ""
}

func TestSlowClients(t *testing.T) {
	const short = 50 * time.Millisecond
	w := newWorld(t)
	w.unchanged(t)
	long := "<network><name>" + strings.Repeat("x", 1<<20)
	announced := post + "Content-Length: 1000000\r\n\r\n"
	for name, c := range map[string]struct {
		limit      func(*http.Server)
		send, then string // at once, and byte by byte
		want       string
	}{
		"no header": {func(s *http.Server) { s.ReadHeaderTimeout = short }, "", "", ""},
		"a slow header": {
			func(s *http.Server) { s.ReadHeaderTimeout = short }, get, "X: " + long, "",
		},
		"idle": {func(s *http.Server) { s.IdleTimeout = short }, get + "\r\n", "", "HTTP/1.1 200 "},
		"a slow second header": {
			func(s *http.Server) { s.ReadHeaderTimeout = short }, get + "\r\n" + get, "X: " + long, "HTTP/1.1 200 ",
		},
		"no body":     {func(s *http.Server) { s.ReadTimeout = short }, announced, "", "HTTP/1.1 408 "},
		"a slow body": {func(s *http.Server) { s.ReadTimeout = short }, announced, long, "HTTP/1.1 408 "},
		"a slow chunk": {
			func(s *http.Server) { s.ReadTimeout = short }, post + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", long, "HTTP/1.1 408 ",
		},
		"a slow chunk size": {
			func(s *http.Server) { s.ReadTimeout = short }, post + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("0", 1<<20), "HTTP/1.1 4",
		},
		"a body that nobody reads": {
			func(s *http.Server) { s.ReadTimeout = short }, strings.Replace(announced, "networks", "nothing", 1), "", "HTTP/1.1 404 ",
		},
		"a body to continue with": {
			func(s *http.Server) { s.ReadTimeout = short }, post + "Expect: 100-continue\r\nContent-Length: 40\r\n\r\n", "", "HTTP/1.1 100 ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, harden(t, w.handler, c.limit))
			if _, err := io.WriteString(conn, c.send); err != nil {
				t.Fatal(err)
			}
			if got := trickle(t, conn, c.then); !strings.HasPrefix(got, c.want) || (c.want == "" && got != "") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEveryLimitIsSet(t *testing.T) {
	s := rest.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a limit is off: %+v", s)
	}
}

// TestSlowHandshake: with TLS the header's limit is the handshake's too.
func TestSlowHandshake(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil) // has a certificate
	certified.Close()
	server := rest.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	server.ReadHeaderTimeout = 50 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- server.Serve(tls.NewListener(plain, certified.TLS)) }()
	defer func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}()
	for _, hello := range []string{"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 400)} {
		if got := trickle(t, dial(t, plain.Addr().String()), hello); strings.Contains(got, "HTTP/") {
			t.Errorf("got %q", got)
		}
	}
}

// closings makes a server tell when a connection has ended.
func closings(s *http.Server) <-chan struct{} {
	closed := make(chan struct{}, 16)
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	return closed
}

func awaitClosed(t *testing.T, closed <-chan struct{}) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("the server keeps the connection of a client that does not read")
	}
}

func TestClientsThatDoNotRead(t *testing.T) {
	w := newWorld(t)
	var closed <-chan struct{}
	address := harden(t, w.handler, func(s *http.Server) { s.WriteTimeout = 100 * time.Millisecond; closed = closings(s) })

	t.Run("replies", func(t *testing.T) {
		conn := dial(t, address)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			request := []byte(strings.Repeat(strings.Replace(get, "/api", "/api/networks", 1)+"\r\n", 100))
			for { // until the connection ends
				if _, err := conn.Write(request); err != nil {
					return
				}
			}
		}()
		awaitClosed(t, closed)
		_ = conn.Close()
		<-sent
	})
	t.Run("watch", func(t *testing.T) {
		conn := dial(t, address)
		_ = conn.SetReadBuffer(4096)
		if _, err := io.WriteString(conn, strings.Replace(get, "/api", "/api/isonet/watch", 1)+"\r\n"); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() { // as many lines as the server takes
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					w.loop.publish(func(s *report.Status) { s.LastError = strconv.Itoa(i) + strings.Repeat("x", 1<<20) })
				}
			}
		}()
		awaitClosed(t, closed)
		close(stop)
		<-stopped
	})
	t.Run("a list", func(t *testing.T) {
		long := newWorld(t)
		long.fleet(300)
		address := harden(t, long.handler, func(s *http.Server) { s.WriteTimeout = 100 * time.Millisecond; closed = closings(s) })
		conn := dial(t, address)
		_ = conn.SetReadBuffer(4096)
		if _, err := io.WriteString(conn, strings.Replace(get, "/api", "/api/hosts?follow=networkattachments", 1)+"\r\n"); err != nil {
			t.Fatal(err)
		}
		awaitClosed(t, closed)
	})
	t.Run("watch with a body", func(t *testing.T) {
		request := strings.Replace(get, "/api", "/api/isonet/watch", 1) + "Content-Length: 17\r\n\r\n"
		quick := harden(t, w.handler, func(s *http.Server) { s.ReadTimeout = 50 * time.Millisecond })
		if got := converse(t, quick, request, true); len(got) != 1 || got[0].status != 400 {
			t.Errorf("%v", statuses(got))
		}
	})
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	w.unchanged(t)
	local := harden(t, w.handler, nil)
	remote := harden(t, w.api.Remote(loadUsers(t)), nil)
	id := string(host1)
	for line, want := range map[string]int{
		"GET /ovirt-engine/api/hosts%2f" + id:                                 404,
		"GET /ovirt-engine%2fapi/hosts":                                       404,
		"GET /ovirt-engine/api/hosts/" + id + "%00":                           404,
		"GET /ovirt-engine/api/hosts/" + id + "%0a":                           404,
		"GET /ovirt-engine/api/hosts/" + id + "%20":                           404,
		"GET /ovirt-engine/api/hosts/%ff%fe":                                  404,
		"GET /ovirt-engine/api/hosts/%2e%2e":                                  404,
		"GET /ovirt-engine/api/hosts/%2e%2e/hosts":                            404,
		"GET /ovirt-engine/api/hosts/..%2f..%2fetc%2fpasswd":                  404,
		"GET /ovirt-engine/api/hosts/%252e%252e/":                             404,
		"GET /ovirt-engine/api/hosts/../hosts":                                404,
		"GET /ovirt-engine/api/./hosts":                                       404,
		"GET /ovirt-engine/../ovirt-engine/api/hosts":                         404,
		"GET /ovirt-engine/api/HOSTS":                                         404,
		"GET /ovirt-engine/api/hosts/{" + id + "}":                            404,
		"GET /ovirt-engine/api/hosts/urn:uuid:" + id:                          404,
		"GET /ovirt-engine/api/hosts/" + strings.Repeat("9", 36):              404,
		"GET /ovirt-engine/api/hosts/" + url.PathEscape("ｈｏｓｔ①\u202e"):        404,
		"GET /ovirt-engine/api/hosts/\xff":                                    404,
		"GET /ovirt-engine/api/hosts/ü":                                       404,
		"GET /ovirt-engine/api/hosts/<script>":                                404,
		"GET /ovirt-engine/api/" + strings.Repeat("/", 10_000) + "x":          404,
		"GET //evil.example/ovirt-engine/api":                                 404,
		"GET /":                                                               404,
		"GET *":                                                               404,
		"OPTIONS *":                                                           404,
		"OPTIONS /ovirt-engine/api/hosts":                                     405,
		"TRACE /ovirt-engine/api/hosts":                                       405,
		"CONNECT evil.example:443":                                            404,
		"CONNECT /ovirt-engine/api/hosts":                                     405,
		"get /ovirt-engine/api/hosts":                                         405,
		"PATCH /ovirt-engine/api/hosts":                                       405,
		"!#$%&'*+-.^_`|~ /ovirt-engine/api/hosts":                             405,
		"G(T /ovirt-engine/api/hosts":                                         400,
		"GET\t/ovirt-engine/api/hosts":                                        400,
		"GET  /ovirt-engine/api/hosts":                                        400,
		"GET /ovirt-engine/api/ho sts":                                        400,
		"GET /ovirt-engine/api/hosts%":                                        400,
		"GET /ovirt-engine/api/hosts%zz":                                      400,
		"GET /ovirt-engine/api/hosts\x00":                                     400,
		"GET /ovirt-engine/api/hosts\x7f":                                     400,
		"GET ovirt-engine/api/hosts":                                          400,
		"GET http://[::1/ovirt-engine/api/hosts":                              400,
		"GET /ovirt-engine/api/hosts?max=%zz":                                 400,
		"GET /ovirt-engine/api/hosts?search=%":                                400,
		"GET /ovirt-engine/api/hosts?a;b":                                     400,
		"DELETE /ovirt-engine/api/networks/" + string(iso2) + "?force=true;x": 400,
	} {
		request := line + " HTTP/1.1\r\nHost: x\r\n\r\n"
		got := converse(t, local, request, false)
		if len(got) != 1 || got[0].status != want {
			t.Errorf("%.200q: %v, want %d", line, statuses(got), want)
			continue
		}
		if want != 400 || bytes.HasPrefix(got[0].body, []byte("<?xml")) {
			readFault(t, got[0].body)
		}
		// Who has no password learns nothing of what there is.
		if got := converse(t, remote, request, false); len(got) != 1 || (got[0].status != 401 && got[0].status != 400) {
			t.Errorf("remote %.200q: %v", line, statuses(got))
		}
	}
	for _, line := range []string{
		"GET http://evil.example/ovirt-engine/api/hosts", "GET /ovirt-engine/api/hosts?" + strings.Repeat("?", 5000),
		"GET /ovirt-engine/api/" + strings.Repeat("/", 10_000) + "hosts", "GET /ovirt-engine/api/hosts?#fragment",
		"GET /ovirt-engine/api/hosts;max=1", "GET /ovirt-engine/api;x=y/hosts", "GET /ovirt-engine/api/hosts/" + id + ";x",
		"GET /ovirt-engine/api/hosts" + strings.Repeat(";", 10_000),
	} {
		got := converse(t, local, line+" HTTP/1.1\r\nHost: x\r\n\r\n", false)
		if len(got) != 1 || got[0].status != 200 || bytes.Contains(got[0].body, []byte("evil")) {
			t.Errorf("%.200q: %v", line, statuses(got))
		}
	}
}

// hostileXML are bodies of POST networks that must be refused, with what the
// fault must say.
func hostileXML() map[string]string {
	network := func(inner string) string { return "<network><name>x</name>" + inner + "</network>" }
	entity := func(dtd string) string { return "<!DOCTYPE network [" + dtd + "]><network><name>&a;</name></network>" }
	var laughs strings.Builder
	laughs.WriteString(`<!ENTITY a0 "ha">`)
	for i := range 10 {
		fmt.Fprintf(&laughs, `<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	return map[string]string{
		"":                                     "empty",
		" \n":                                  "empty",
		strings.Repeat("<network>", 10_000):    "nested deeper",
		network(strings.Repeat("<a>", 10_000)): "nested deeper",
		entity(laughs.String()):                "document type",
		entity(`<!ENTITY a SYSTEM "file:///etc/x">`):                  "document type",
		entity(`<!ENTITY % a SYSTEM "http://127.0.0.1:1/x.dtd"> %a;`): "document type",
		"<!DOCTYPE network>" + network(""):                            "document type",
		network("<!ENTITY a 'b'>"):                                    "document type",
		network("&a;"):                                                "invalid character entity",
		network("&nbsp;"):                                             "invalid character entity",
		`<?php echo 1 ?>` + network(""):                               "processing instruction",
		`<?xml-stylesheet href="x"?>` + network(""):                   "processing instruction",
		network(`<?xml version="1.0"?>`):                              "processing instruction",
		`<?xml version="1.1"?>` + network(""):                         "version",
		`<?xml version="1.0" encoding="UTF-16"?>` + network(""):       "use UTF-8",
		`<?xml version="1.0" encoding="EBCDIC"?>` + network(""):       "use UTF-8",
		"\xff\xfe<\x00n\x00":                                          "not valid UTF-8",
		network("\xc0\x80"):                                           "not valid UTF-8",
		network("\xed\xa0\x80"):                                       "not valid UTF-8",
		network("\x00"):                                               "illegal character",
		network("\x1b[31m"):                                           "illegal character",
		network("\ufffe"):                                             "illegal character",
		network("&#0;"):                                               "illegal character",
		network("&#x1F;"):                                             "illegal character",
		network("&#xFFFF;"):                                           "illegal character",
		network("&#x110000;"):                                         "invalid character entity",
		network("<name>a&#xD800;</name>"):                             "U+FFFD",
		network("<name>a\ufffd</name>"):                               "U+FFFD",
		network("<description>a\u0085</description>"):                 "U+0085",
		network("<name>a&#x9;b</name>"):                               "U+0009",
		network("<name>a\nb</name>"):                                  "U+000A",
		network("<name>a\u009bb</name>"):                              "U+009B",
		network("<mtu>1e3</mtu>"):                                     "valid integer",
		network("<mtu>99999999999999999999</mtu>"):                    "valid integer",
		network("<mtu>2147483648</mtu>"):                              "maximum",
		network("<mtu>-2147483649</mtu>"):                             "minimum",
		network("<mtu>NaN</mtu>"):                                     "valid integer",
		network("<mtu>" + strings.Repeat("9", 1<<19) + "</mtu>"):      `Value "999`,
		network("<port_isolation>maybe</port_isolation>"):             "valid boolean",
		"<" + strings.Repeat("n", 1<<20-3) + "/>":                     "must be one element",
		"<ns:network><name>x</name></ns:network>":                     "namespace",
		`<network xmlns="urn:x"><name>x</name></network>`:             "namespace",
		`<network xmlns:ns="urn:x"><ns:name>x</ns:name></network>`:    "namespace",
		`<network a="1" a="2"><name>x</name></network>`:               "twice",
		"<network " + attributes(100) + "><name>x</name></network>":   "100 attributes",
		"<network " + attributes(100_000) + "/>":                      "100000 attributes",
		network("") + network(""):                                     "must be one element",
		network("") + "x":                                             "text outside",
		"x" + network(""):                                             "text outside",
		network("") + "<":                                             "cannot be read",
		"<network><name>x</network></name>":                           "cannot be read",
		"<network><name>x":                                            "cannot be read",
		network("<a"):                                                 "cannot be read",
		network("<![CDATA[x"):                                         "cannot be read",
		network("<!-- x"):                                             "cannot be read",
		network("<!-- a -- b -->"):                                    "cannot be read",
		network("]]>"):                                                "cannot be read",
		network("a<b&c"):                                              "cannot be read",
		"<host/>":                                                     "must be one element <network>",
		"{}":                                                          "text outside",
		"<network>" + strings.Repeat("<a/>", 100_001) + "</network>":  "100000 parts",
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d="" `, i)
	}
	return b.String()
}

// hostileJSON are the same in JSON.
func hostileJSON() map[string]string {
	network := func(inner string) string { return `{"name":"x",` + inner + `}` }
	return map[string]string{
		"":                                    "empty",
		"null":                                "JSON object",
		"[]":                                  "JSON object",
		`"x"`:                                 "JSON object",
		"1e999999":                            "JSON object",
		"{":                                   "ends too early",
		"{}x":                                 "cannot be read",
		"{}{}":                                "cannot be read",
		"\ufeff":                              "empty",
		"{\"a\":\"\x00\"}":                    "cannot be read",
		"{'name':'x'}":                        "cannot be read",
		"{\"name\":\"x\",}":                   "cannot be read",
		"\xff\xfe{\x00":                       "not valid UTF-8",
		"{\"name\":\"\xff\"}":                 "not valid UTF-8",
		strings.Repeat(`{"a":`, 10_000):       "nested deeper",
		`{"a":` + strings.Repeat("[", 10_000): "nested deeper",
		`{"name":"x","name":"y"}`:             "twice",
		`{"name":"x","NAME":"y"}`:             "twice",
		`{"usages":{"usage":[],"u\u017fage":[]}}`:                    "twice",
		network(`"vlan":{"id":1,"id":2}`):                            "twice",
		network(`"a":{"b":1,"b":2}`):                                 "twice",
		network(`"usages":{"usage":[null]}`):                         "null in an array",
		`{"network_labels":{"network_label":[null]}}`:                "null in an array",
		network(`"mtu":1e999999`):                                    "valid integer",
		network(`"mtu":1.5`):                                         "valid integer",
		network(`"mtu":99999999999999999999`):                        "valid integer",
		network(`"mtu":2147483648`):                                  "maximum",
		network(`"mtu":"-2147483649"`):                               "minimum",
		network(`"mtu":NaN`):                                         "cannot be read",
		network(`"mtu":-Infinity`):                                   "cannot be read",
		network(`"mtu":0x10`):                                        "cannot be read",
		network(`"mtu":{}`):                                          "valid integer",
		network(`"mtu":` + strings.Repeat("9", 1<<19)):               `Value "999`,
		network(`"port_isolation":"maybe"`):                          "valid boolean",
		`{"name":1e999999}`:                                          "must not be a JSON number",
		`{"name":[]}`:                                                "must not be a JSON array",
		`{"name":"a\u0000b"}`:                                        "U+0000",
		`{"name":"a\nb"}`:                                            "U+000A",
		`{"name":"a\u001b[31m"}`:                                     "U+001B",
		`{"name":"a\ud800b"}`:                                        "U+FFFD",
		`{"name":"a\udc00\ud800b"}`:                                  "U+FFFD",
		`{"name":"a\ufffeb"}`:                                        "U+FFFE",
		`{"name":"a\uffff"}`:                                         "U+FFFF",
		network(`"description":"\uffff"`):                            "U+FFFF",
		network(`"comment":"\u0000"`):                                "U+0000",
		`{"name":"` + strings.Repeat("é", 257) + `"}`:                "257 characters",
		network(`"link":[` + strings.Repeat("{},", 200_000) + `{}]`): "100000 parts",
	}
}

// TestHostileBodies sends each body to each kind of resource that reads one.
func TestHostileBodies(t *testing.T) {
	w := newWorld(t)
	w.unchanged(t)
	check := func(t *testing.T, body, want string, as header) {
		t.Helper()
		got := w.do("POST", base+"/networks", body, as)
		if got.Code != 400 && got.Code != 413 {
			t.Errorf("%.100q: status %d, want 400 or 413: %.300s", body, got.Code, got.Body)
			return
		}
		f := readFault(t, got.Body.Bytes())
		if !strings.Contains(f.Detail, want) {
			t.Errorf("%.100q: fault %.300q, want one with %q", body, f.Detail, want)
		}
		if got.Body.Len() > 64<<10 {
			t.Errorf("%.100q: the fault has %d bytes", body, got.Body.Len())
		}
		for path, method := range map[string]string{
			setupPath: "POST", attachmentsPath: "POST", hostPath + "/networklabels": "POST",
			attachmentsPath + "/" + attachmentID(iso1): "PUT", base + "/networks/" + string(iso2) + "/networklabels": "POST",
		} {
			if got := w.do(method, path, body, as); got.Code >= 500 {
				t.Errorf("%s %.100q: status %d", path, body, got.Code)
			}
		}
	}
	for body, want := range hostileXML() {
		check(t, body, want, nil)
	}
	for body, want := range hostileJSON() {
		check(t, body, want, jsonBody)
	}
}

// TestUnusualBodies: what is unusual and clear is taken, in one way.
func TestUnusualBodies(t *testing.T) {
	const bom = "\ufeff"
	w := newWorld(t)
	add := func(body, name, description string, as header) {
		t.Helper()
		before := w.store.Snapshot()
		if got := w.do("POST", base+"/networks", body, as); got.Code != 201 {
			t.Errorf("%.100q: status %d: %.300s", body, got.Code, got.Body)
		}
		n, ok := w.store.Snapshot().NetworkByName(name)
		if !ok || n.Description != description {
			t.Errorf("%.100q: network %+v, want the name %q and description %q", body, n, name, description)
		}
		w.store.desired = before
	}
	for _, body := range []string{
		bom + "<network><name>a</name></network>",
		"\n<?xml version='1.0' encoding='utf-8'?>\r\n<network>\r\n<name>a</name>\r\n</network>\r\n",
		"<!-- <name>b</name> --><network><name><![CDATA[a]]></name><!-- - --></network><!-- x -->",
		"<network><name>a<!-- b --></name></network>",
		`<network xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Network" xml:lang="en"><name xsi:nil="false">a</name></network>`,
		"<network><name>b</name><name>a</name></network>", // the last counts
		"<network><name>b</name><host><name>c</name></host><name>a</name></network>",
		`<network xmlns:id="urn:x" href="/x"><name>a</name></network>`, // xmlns:id is no id
		"<network><name>&#97;</name></network>",
		"<network>text<name>a</name>text</network>",
		"<network><" + strings.Repeat("n", 1<<20-100) + "/><name>a</name></network>",
		"<network " + attributes(60) + "><name>a</name></network>",
		"<network>" + strings.Repeat("<a/>", 99_000) + "<name>a</name></network>",
	} {
		add(body, "a", "", nil)
	}
	add("<network><name>a</name><description>1\r\n2&#13;\t]] &gt;</description></network>", "a", "1\n2\r\t]] >", nil)
	for _, body := range []string{
		bom + `{"name":"a"}`, "\r\n\t {\"n\\u0061me\":\"\\u0061\"} ", `{"NAME":"a"}`, `{"name":"a","mtu":null,"network_labels":null}`,
		`{"name":"a","vm":1e999999,"x":[[],{}]}`, `{"name":"a","x":-123456789012345678901234567890.5e-7}`,
		`{"name":"a","x":{"name":"b"},"y":[{"name":"c"},{"name":"d"}]}`,
	} {
		add(body, "a", "", jsonBody)
	}
	add(`{"name":"a","description":"1\r\n\t\u2028\ud83d\ude00"}`, "a", "1\r\n\t\u2028\U0001f600", jsonBody)
	// Lists as long as a body may be are read: it is the network that is wrong.
	many := "<action><modified_network_attachments>" +
		strings.Repeat("<network_attachment><network><name>none</name></network></network_attachment>", 10_000) + "</modified_network_attachments></action>"
	native := `{"modified_network_attachments":{"network_attachment":[` +
		strings.Repeat(`{"host_nic":{},"network":{"name":"none"},"properties":{}},`, 9_999) + `{"network":{"name":"none"}}]}}`
	before := w.store.Snapshot()
	var labels strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&labels, `<network_label id="l%d"/>`, i)
	}
	refused := readFault(t, w.must(400, "POST", setupPath, "<action><modified_labels>"+labels.String()+"</modified_labels></action>").Body.Bytes())
	if !strings.Contains(refused.Detail, "the limit is 1000") || !cmp.Equal(before, w.store.Snapshot()) {
		t.Errorf("30,000 labels: %s", refused.Detail)
	}
	for body, as := range map[string]header{many: nil, native: jsonBody} {
		got := w.must(400, "POST", setupPath, body, as)
		if f := readFault(t, got.Body.Bytes()); !strings.Contains(f.Detail, "'none'") {
			t.Errorf("fault %.300q", f.Detail)
		}
	}
}

// TestReferencesGivenTwice: what is given twice is not attached twice, nor half
// of each.
func TestReferencesGivenTwice(t *testing.T) {
	w := newWorld(t)
	both := func(first, second string) string {
		return "<network_attachment>" + first + second + "</network_attachment>"
	}
	byID := func(id model.ID) string { return `<network id="` + string(id) + `"/>` }
	f := readFault(t, w.must(400, "POST", attachmentsPath, both(byID(iso2), "<network><name>iso4</name></network>")).Body.Bytes())
	if !strings.Contains(f.Detail, "does not reference network coherently") {
		t.Errorf("fault %q", f.Detail)
	}
	w.must(201, "POST", attachmentsPath, both(byID(iso2), byID(iso4)))
	d := w.store.Snapshot()
	_, first := d.AttachmentOf(host1, iso2)
	if _, last := d.AttachmentOf(host1, iso4); first || !last {
		t.Errorf("the first is attached: %v; the last: %v", first, last)
	}
}

// TestProperties: a property reads back as it was sent, or is refused.
func TestProperties(t *testing.T) {
	w := newWorld(t)
	path := attachmentsPath + "/" + attachmentID(iso1)
	rapid.Check(t, func(r *rapid.T) {
		runes := rapid.OneOf(rapid.Rune(), rapid.RuneFrom([]rune("<>&\"'\u2028\u202e\ufeff\ufffd\ufffe\uffff\x00\x1b\u009b\n ")))
		type property struct {
			Name  string `json:"name" xml:"name"`
			Value string `json:"value" xml:"value"`
		}
		type attachment struct {
			Properties struct {
				Property []property `json:"property" xml:"property"`
			} `json:"properties" xml:"properties"`
		}
		var sent attachment
		sent.Properties.Property = []property{{"x" + rapid.StringOf(runes).Draw(r, "name"), "x" + rapid.StringOf(runes).Draw(r, "value")}}
		body, err := json.Marshal(sent)
		if err != nil {
			r.Fatal(err)
		}
		got := w.do("PUT", path, string(body), jsonBody)
		if got.Code == 400 && readFault(t, got.Body.Bytes()).Detail != "" {
			return
		}
		for form, unmarshal := range map[string]func([]byte, any) error{"application/xml": xml.Unmarshal, "application/json": json.Unmarshal} {
			var back attachment
			if err := unmarshal(w.must(200, "GET", path, "", header{"Accept": form}).Body.Bytes(), &back); err != nil || !cmp.Equal(sent, back) {
				r.Errorf("status %d, %s: sent %+q, got %+q, %v", got.Code, form, sent, back, err)
			}
		}
	})
}

// TestMemory bounds what one request may allocate. It is about the worst
// bodies that are not refused by their size.
func TestMemory(t *testing.T) {
	const bound = 64 << 20 // bytes for 1 MiB; parallel ones are bounded by the listener
	w := newWorld(t)
	w.unchanged(t)
	fill := func(begin, item, end string) string {
		return begin + strings.Repeat(item, (1<<20-len(begin)-len(end))/len(item)) + end
	}
	action := func(item string) string {
		return fill("<action><modified_network_attachments>", item, "</modified_network_attachments></action>")
	}
	native := func(item string) string {
		return fill(`{"modified_network_attachments":{"network_attachment":[{}`, item, `]}}`)
	}
	for name, body := range map[string]string{
		"elements":      action("<a/>"),
		"attachments":   action("<network_attachment/>"),
		"links":         action("<network_attachment><link/></network_attachment>"),
		"one link each": action("<link/>"),
		"text":          action("&lt;"),
		"attributes":    fill("<action ", `a="" `, "/>"),
		"namespaces":    fill("<action ", `xmlns:a="" `, "/>"),
		"names":         fill("<action><", "n", "/></action>"),
		"comments":      action("<!---->"),
		"sections":      action("<![CDATA[]]>"),
		"nesting":       action(strings.Repeat("<a>", maxNesting) + strings.Repeat("</a>", maxNesting)),
	} {
		if got := allocated(func() { w.do("POST", setupPath, body) }); got > bound {
			t.Errorf("%s in XML: %d MiB", name, got>>20)
		}
	}
	for name, body := range map[string]string{
		"objects": native(",{}"), "arrays": native(`,{"link":[{}]}`), "full": native(`,{"network":{},"host":{},"properties":{}}`),
		"numbers": fill(`{"a":[0`, ",0", "]}"), "one number": fill(`{"a":`, "9", "}"), "escapes": fill(`{"status":"`, `\u0001`, `"}`),
		"keys": fill(`{"a":0`, `,"":0`, "}"), "links": fill(`{"host":{"link":[{}`, ",{}", "]}}"),
	} {
		if got := allocated(func() { w.do("POST", setupPath, body, jsonBody) }); got > bound {
			t.Errorf("%s in JSON: %d MiB", name, got>>20)
		}
	}
	query := base + "/networks?" + strings.Repeat("&a=", 5000)
	if got := allocated(func() { w.do("GET", query, "") }); got > bound {
		t.Errorf("parameters: %d MiB", got>>20)
	}
}

const maxNesting = 28

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// checkName creates a network in each form and checks that a name that is
// taken reads back as it was sent in every form, and is found by itself.
func checkName(t *rapid.T, w *world, name string) {
	native, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := xml.EscapeText(&text, []byte(name)); err != nil {
		t.Fatal(err)
	}
	clean := w.store.Snapshot()
	for body, as := range map[string]header{string(native): jsonBody, "<network><name>" + text.String() + "</name></network>": nil} {
		w.store.desired = clean
		got := w.do("POST", base+"/networks", body, as)
		if got.Code != 201 {
			if f := readFault(w.t, got.Body.Bytes()); (got.Code != 400 && got.Code != 409) || f.Detail == "" {
				t.Errorf("%q: status %d, fault %+v", name, got.Code, f)
			}
			continue
		}
		// In a quoted value two quotes are one.
		search := base + "/networks?case_sensitive=true&search=" + url.QueryEscape(`name="`+strings.ReplaceAll(name, `"`, `""`)+`"`)
		for path, list := range map[string]bool{got.Header().Get("Location"): false, search: true} {
			for form, unmarshal := range map[string]func([]byte, any) error{"application/xml": xml.Unmarshal, "application/json": json.Unmarshal} {
				data := w.must(200, "GET", path, "", header{"Accept": form}).Body.Bytes()
				if names := networkNames(t, data, list, unmarshal); !slices.Contains(names, name) {
					t.Errorf("%q reads back as %q in %s of %s", name, names, form, path)
				}
			}
		}
	}
	w.store.desired = clean
}

func networkNames(t *rapid.T, data []byte, list bool, unmarshal func([]byte, any) error) []string {
	type network struct {
		Name string `xml:"name" json:"name"`
	}
	var one network
	var many struct {
		Network []network `xml:"network" json:"network"`
	}
	into := any(&one)
	if list {
		into = &many
	}
	if err := unmarshal(data, into); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	names := []string{one.Name}
	for _, n := range many.Network {
		names = append(names, n.Name)
	}
	return names
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	accepted := []string{
		"netz-ü", "u\u0308", "\u00fc", "<script>alert(1)</script>", `a"b'c`, "a&amp;b", "]]>", "[\"set\",[]]", "a=b,c:d;e", "100%", "%00", "*", "a**b",
		"\u200fאבג\u200e", strings.Repeat("\U0001f600", 256), "👩\u200d👩\u200d👧", "a\u2028b", "a\u00a0b", "..", "/", "a/../b",
		"null", "true", "0", "{}", "${x}", "$(x)", "`x`", "'; DROP TABLE x; --", "\U0010ffff", "\ufdd0", "\ue000", "\ufffc", "K", "ſ", "İ",
	}
	refused := []string{
		"", " a", "a ", "\u00a0a", "a\nb", "a\rb", "a\tb", "a\x00b", "a\x1b[31mb", "a\x7f", "a\u0080b", "a\u009b31mb", "a\ufffd", "a\ufffe", "a\uffff",
		strings.Repeat("\U0001f600", 257), "\u2029", "\u202egnp.exe", "a\u200bb", "\ufeffa", "so\u00adft", "a\u2066b", "\U000e0041",
	}
	for i, name := range append(refused, accepted...) {
		body, _ := json.Marshal(map[string]string{"name": name})
		want := 201
		if i < len(refused) {
			want = 400
		}
		clean := w.store.Snapshot()
		if got := w.do("POST", base+"/networks", string(body), jsonBody); got.Code != want {
			t.Errorf("%q: status %d, want %d: %s", name, got.Code, want, got.Body)
		}
		w.store.desired = clean
	}
	rapid.Check(t, func(r *rapid.T) {
		runes := rapid.OneOf(
			rapid.Rune(), rapid.RuneFrom(nil, unicode.Cf, unicode.Cc, unicode.Mn, unicode.Zs),
			rapid.RuneFrom([]rune("*\"'\\<>&%/;?#{}[] ax\u2028\ufeff\ufffd\ufffe\uffff")),
		)
		sample := rapid.SampledFrom(accepted)
		name := rapid.OneOf(rapid.StringOfN(runes, 1, 40, -1), sample).Draw(r, "name")
		checkName(r, w, name)
	})
}

// TestLogs: a request is one line of the log, whatever it has in it.
func TestLogs(t *testing.T) {
	hostile := []string{
		"a\nlevel=ERROR msg=forged", "a\r\nb", "a\x00b", "a\x1b[2J\x1b[31mb", "a\x7fb", "a\u0085b", "a\u009b31mb", "a\u2028b\u2029c", "\u202etxt.exe", "\ufeff",
		"\U000e0041", `a" level=ERROR msg="forged`, `{"msg":"forged"}`, "\xff\xfe", "a=b", strings.Repeat("x", 9000),
	}
	const secret = "s3cr&t"
	for _, native := range []bool{false, true} {
		var log bytes.Buffer
		w := newWorld(t)
		level := new(slog.LevelVar)
		level.Set(slog.LevelDebug)
		logger := daemon.NewLogger(daemon.Config{JSONLog: native, LogLevel: level}, &log)
		a, err := api.New(api.Config{Store: w.store, Loop: w.loop, Traffic: traffic{}, NICs: newNICs(), Machine: newMachine(), Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		w.handler = a.Remote(loadUsers(t))
		requests := 0
		send := func(user, method, path, body string, headers ...header) {
			requests++
			credentials := basic(user, secret)
			w.do(method, path, body, append(headers, header{"Authorization": credentials})...)
		}
		for _, text := range hostile {
			name, _ := json.Marshal(map[string]string{"name": " " + text})
			unknown, _ := json.Marshal(map[string]any{"network": map[string]string{"name": text}})
			send("admin@"+text, "GET", base+"/hosts", "")
			send("nobody"+text, "GET", base+"/hosts", "")
			send("admin", "GET", base+"/hosts/"+url.PathEscape(text), "")
			send("admin", "DELETE", base+"/networks/"+url.PathEscape(text), "", header{"Correlation-Id": text})
			send("admin", "GET", base+"/networks?search="+url.QueryEscape("name="+text)+"&correlation_id="+url.QueryEscape(text), "")
			send("admin", "GET", base+"/hosts?follow="+url.QueryEscape(text), "")
			send("admin", "POST", base+"/networks", string(name), jsonBody)
			send("admin", "POST", attachmentsPath, string(unknown), jsonBody)
			send("admin", "POST", base+"/networks", text, jsonBody)
			send("admin", "POST", base+"/networks", text)
			send("admin", "POST", base+"/networks", "", header{"Content-Type": text})
			send("admin", "POST", base+"/networks", "", header{"Content-Encoding": text})
			send("admin", "GET", base+"/networks", "", header{"Version": text, "Accept": text})
			send("admin", "GET", base+"/networks", "", header{"Origin": text, "Sec-Fetch-Site": text})
		}
		checkLog(t, log.String(), native, requests, base64Of(secret), secret)
	}
}

// checkLog parses every line of a log back and looks for what must not be in it.
func checkLog(t *testing.T, log string, native bool, requests int, secrets ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(lines) != requests {
		t.Errorf("%d lines for %d requests", len(lines), requests)
	}
	for _, line := range lines {
		if i := strings.IndexFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }); i >= 0 {
			t.Errorf("not printable at %d: %.300q", i, line)
		}
		if len(line) > 64<<10 {
			t.Errorf("a line of %d bytes: %.300s", len(line), line)
		}
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("a secret is in %.300q", line)
			}
		}
		read := textRecord
		if native {
			read = jsonRecord
		}
		record := read(t, line)
		if record["msg"] != "request" || record["correlation_id"] == "" || record["level"] == "ERROR" {
			t.Errorf("record %v", record)
		}
	}
}

func jsonRecord(t *testing.T, line string) map[string]string {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal([]byte(line), &values); err != nil {
		t.Fatalf("%v: %.300q", err, line)
	}
	record := map[string]string{}
	for key, value := range values {
		record[key] = fmt.Sprint(value)
	}
	return record
}

// textRecord reads key=value pairs, of which a value may be a quoted string.
func textRecord(t *testing.T, line string) map[string]string {
	t.Helper()
	record := map[string]string{}
	for rest := line; rest != ""; {
		key, after, found := strings.Cut(rest, "=")
		if _, twice := record[key]; !found || twice {
			t.Fatalf("no new key before %.100q in %.300q", rest, line)
		}
		value, err := strconv.QuotedPrefix(after)
		if err != nil {
			value, _, _ = strings.Cut(after, " ")
		}
		rest = strings.TrimPrefix(after[len(value):], " ")
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		record[key] = value
	}
	return record
}

func basic(user, password string) string { return "Basic " + base64Of(user+":"+password) }

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
