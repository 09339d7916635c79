package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/wire"
)

// TestMain runs the examples beside an isonetd with an Open vSwitch of its own.
func TestMain(m *testing.M) {
	t := &outside{}
	stop := startIsonetd(t)
	code := m.Run()
	stop()
	for _, clean := range slices.Backward(t.cleanups) {
		clean()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// outside is what a test is to the helpers of tests, before the tests begin.
type outside struct {
	testing.TB
	cleanups []func()
}

func (*outside) Helper()                          {}
func (t *outside) Cleanup(f func())               { t.cleanups = append(t.cleanups, f) }
func (*outside) Errorf(format string, a ...any)   { fmt.Printf(format+"\n", a...) }
func (t *outside) Fatal(a ...any)                 { panic(fmt.Sprint(a...)) }
func (t *outside) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func (t *outside) TempDir() string {
	dir, err := os.MkdirTemp("", "isonet") // unix(7): the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startIsonetd sets ISONET_SOCKET to the daemon's.
func startIsonetd(t testing.TB) (stop func()) {
	dir := t.TempDir()
	options := daemon.DefaultOptions()
	options.OVSDB = ovstest.Start(t).Endpoint()
	options.StateDir, options.Socket = filepath.Join(dir, "state"), filepath.Join(dir, "isonetd.sock")
	options.MetricsListen, options.DatapathType, options.HostGuard = "", "netdev", "off"
	cfg, err := options.Parse()
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	if err := os.Setenv("ISONET_SOCKET", options.Socket); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{Socket: options.Socket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for status, err := range c.Watch(ctx) {
		if err == nil && status.Connected {
			break
		}
	}
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("isonetd: %v", err)
		}
	}
}

// serve returns a client of a handler on a socket.
func serve(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // the client may be gone
	}
}

// TestErrors checks that a caller can tell what became of a request.
func TestErrors(t *testing.T) {
	nowhere, err := client.New(client.Options{Socket: "/nonexistent/isonetd.sock"})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	for _, tt := range []struct {
		name string
		c    *client.Client
		want error
	}{
		{"no socket", nowhere, client.ErrUnreachable},
		{"lost before the answer", serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), client.ErrUnknown},
		{"lost in the answer", serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}), client.ErrUnknown},
		{"interrupted", serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else net/http does not see that the client has gone
			asked <- struct{}{}
			<-r.Context().Done()
		}), context.Canceled},
		{"something else", serve(t, says(http.StatusOK, "<html>")), client.ErrNotIsonetd},
		{"something else that refuses", serve(t, says(http.StatusNotFound, "<html>")), client.ErrNotIsonetd},
		{"nothing", serve(t, says(http.StatusOK, "")), client.ErrNotIsonetd},
		{"wrong password", serve(t, says(http.StatusUnauthorized, "<html>")), client.ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if errors.Is(tt.want, context.Canceled) {
				go func() { <-asked; cancel() }()
			}
			_, err := tt.c.Adopt(ctx, "br0", "red", false)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if errors.Is(tt.want, context.Canceled) && !errors.Is(err, client.ErrUnknown) {
				t.Errorf("%v does not say that it may have been done", err)
			}
		})
	}
}

func TestFault(t *testing.T) {
	c := serve(t, says(http.StatusConflict, `{"reason": "Operation Failed", "detail": "[No.\n-And no]",
		"refusals": [{"code": "in-use", "args": ["red", "vnet0"], "text": "[No]"}]}`))
	err := c.DeleteNetwork(t.Context(), "id", false)
	var fault *client.Fault
	if !errors.As(err, &fault) || err.Error() != "No. And no" || errors.Is(err, client.ErrUnauthorized) {
		t.Fatalf("got %v", err)
	}
	if fault.Status != http.StatusConflict || len(fault.Refusals) != 1 || fault.Refusals[0].Code != "in-use" || fault.Refusals[0].Text != "No" {
		t.Errorf("got %+v", fault)
	}
}

// TestPatience checks that the daemon gives up before the caller does.
func TestPatience(t *testing.T) {
	var seconds string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Timeout string `json:"connectivity_timeout"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		seconds = body.Timeout
		says(http.StatusOK, "{}")(w, r)
	})
	for _, tt := range []struct{ limit, least, most time.Duration }{
		{0, time.Hour, time.Hour},
		{8 * time.Hour, time.Hour, time.Hour},
		{time.Hour, time.Second, 45 * time.Minute},
	} {
		ctx, cancel := t.Context(), func() {}
		if tt.limit > 0 {
			ctx, cancel = context.WithTimeout(ctx, tt.limit)
		}
		if err := c.SetupNetworks(ctx, "id", client.SetupNetworks{}); err != nil {
			t.Error(err)
		}
		cancel()
		if n, err := strconv.Atoi(seconds); err != nil || n < int(tt.least.Seconds()) || n > int(tt.most.Seconds()) {
			t.Errorf("with %v the daemon waits for %q s, want %v to %v", tt.limit, seconds, tt.least, tt.most)
		}
	}
}

// TestWatchGoesOn checks that a stream that breaks off is told and begun again,
// and that the loop ends by break and with the context.
func TestWatchGoesOn(t *testing.T) {
	revision := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		revision++
		if r.URL.Query().Get("deltas") != "true" {
			t.Errorf("asked for %s", r.URL)
		}
		const stream = `{"sequence": 1, "status": {"connected": true}}` + "\n\n" + `{"sequence": 2, "changed": {"revision": %d}}` + "\n"
		says(http.StatusOK, fmt.Sprintf(stream, revision))(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []string
	for status, err := range c.Watch(ctx) {
		seen = append(seen, fmt.Sprint(status.Revision, status.Connected, errors.Is(err, client.ErrUnreachable)))
		if status.Revision == 2 {
			cancel()
		}
	}
	if got, want := fmt.Sprint(seen), "[0 true false 1 true false 0 false true 0 true false 2 true false]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, err := range c.Watch(t.Context()) {
		if err == nil {
			break
		}
	}
	for _, err := range c.Watch(ctx) {
		t.Errorf("the context has ended, and there is %v", err)
	}
}

// TestHistoryIsFollowedOn checks that who follows the history goes on after a stream that
// broke off where he was, and that all that is asked for is said.
func TestHistoryIsFollowedOn(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		const stream = `{"index": %d, "text": "one"}` + "\n" + `{"index": %d, "text": "two"}` + "\n"
		says(http.StatusOK, fmt.Sprintf(stream, 10*len(asked), 10*len(asked)+1))(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []string
	q := client.HistoryQuery{From: 5, Max: 2, User: "a b", Network: "red", Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	for e, err := range c.FollowHistory(ctx, q) {
		seen = append(seen, fmt.Sprint(e.Index, errors.Is(err, client.ErrUnreachable)))
		if e.Index == 21 {
			cancel()
		}
	}
	if got, want := fmt.Sprint(seen), "[10 false 11 false 0 true 20 false 21 false]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	const rest = "network=red&since=2026-01-02T03%3A04%3A05Z&user=a+b&watch=true"
	if want := []string{"from=5&max=2&" + rest, "from=11&" + rest}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// TestWatchSeesWhatItCannotTell checks that Watch yields no status behind a missing
// line, nor one of a later form.
func TestWatchSeesWhatItCannotTell(t *testing.T) {
	for stream, want := range map[string]error{
		`{"sequence": 1, "status": {}}` + "\n" + `{"sequence": 3}`: wire.ErrGap,
		`{"sequence": 1, "status": {"wire_version": 2}}`:           client.ErrNotIsonetd,
		`<html>`: client.ErrNotIsonetd,
	} {
		for _, err := range serve(t, says(http.StatusOK, stream)).Watch(t.Context()) {
			if err == nil {
				continue
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", stream, err, want)
			}
			break
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]client.Options{
		"a URL without a host":   {URL: "host:1"},
		"a URL with a path":      {URL: "https://host:1/x"},
		"a password without TLS": {URL: "http://192.0.2.1:1", User: "u", Password: "p"},
		"no certificate":         {URL: "https://192.0.2.1:1", CACert: []byte("x")},
	} {
		if _, err := client.New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
