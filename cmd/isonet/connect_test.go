package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// TestUnreachable checks what an operator sees when there is no daemon.
func TestUnreachable(t *testing.T) {
	dir := shortDir(t)
	abandoned := filepath.Join(dir, "abandoned.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: abandoned, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := freePort(t)
	tests := []struct {
		name, socket string
		args         []string
		want         string
	}{
		{"no socket", "/nonexistent/d.sock", words("status"), "there is no socket /nonexistent/d.sock: is isonetd running?"},
		{"--socket", "/elsewhere", words("status --socket /nonexistent/d.sock"), "there is no socket /nonexistent/d.sock: is isonetd running?"},
		{"nobody listens", abandoned, words("status"), "nobody listens on " + abandoned + ": is isonetd running?"},
		{"not a socket", file, words("status"), "nobody listens on " + file + ": is isonetd running?"},
		{
			"a path too long", "/" + strings.Repeat("x", 200), words("status"),
			"cannot connect to /" + strings.Repeat("x", 200) + ": connect: invalid argument; is it the socket of isonetd?",
		},
		{"watch", "/nonexistent/d.sock", words("watch"), "there is no socket /nonexistent/d.sock: is isonetd running?"},
		{
			"closed port", "", words("status --url http://" + closed),
			"cannot connect to http://" + closed + ": connect: connection refused; is isonetd running there with --listen?",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := command{args: tt.args, socket: tt.socket}.run(t.Context())
			want := outcome{code: exitError, stderr: "isonet: " + tt.want + "\n"}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestNoPermission checks the text alone: the tests may run as root, whom
// nothing keeps out.
func TestNoPermission(t *testing.T) {
	socket := filepath.Join(shortDir(t), "d.sock")
	denied := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}
	a := &app{}
	a.at.Socket = socket
	got := a.explain(fmt.Errorf("wrapped: %w", denied))
	want := "no permission for " + socket + ": run this as root or as a member of the group "
	if !strings.HasPrefix(got, want) || len(got) == len(want) {
		t.Errorf("got %q, want it to name the group after %q", got, want)
	}
	a.at.Socket = "/nonexistent/x/d.sock"
	if got, want := a.explain(denied), "no permission for /nonexistent/x/d.sock: run this as root or as a member of the socket's group"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// freePort returns an address of this machine where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

func TestRemote(t *testing.T) {
	d := &daemon{answers: map[string]answer{"GET /networks?follow=network_labels": ok(`{}`)}}
	server := httptest.NewUnstartedServer(d)
	server.Config.ErrorLog = discardLog()
	server.StartTLS()
	defer server.Close()
	dir := shortDir(t)
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for path, data := range map[string][]byte{ca: certificate, password: []byte("secret word\n")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := words("network list -o json --url " + server.URL)

	got := command{args: append(list, "--cacert", ca, "--user", "ann", "--password-file", password)}.run(t.Context())
	if want := (outcome{stdout: "[]\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"ann:secret word"}, d.authed); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}

	got = command{args: list}.run(t.Context())
	if got.code != exitError || !strings.Contains(got.stderr, "is not trusted: x509: certificate signed by unknown authority; give its CA with --cacert, or see and trust it with 'isonet login'\n") {
		t.Errorf("without the CA: %+v", got)
	}

	d.answers["GET /networks?follow=network_labels"] = answer{status: http.StatusUnauthorized, body: "<html>"}
	got = command{args: append(list, "--cacert", ca)}.run(t.Context())
	want := outcome{code: exitError, stderr: "isonet: " + server.URL + " wants a user: give --user and --password-file, or log in with 'isonet login'\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = command{args: append(list, "--cacert", ca, "--user", "ann", "--password-file", password)}.run(t.Context())
	want.stderr = "isonet: " + server.URL + " refuses the user or the password: check --user and --password-file\n"
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTimeoutAndInterrupt(t *testing.T) {
	d := &daemon{answers: map[string]answer{"GET /isonet/status": {hang: true}}}
	socket := d.start(t)
	got := command{args: words("status --timeout 1ms"), socket: socket}.run(t.Context())
	want := outcome{code: exitError, stderr: "isonet: no answer within 1ms: isonetd may still be at work; look with 'isonet status' or give a longer --timeout\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got = command{args: words("status --timeout 0"), socket: socket}.run(ctx)
	want = outcome{code: exitError, stderr: "isonet: interrupted; look with 'isonet status' how far it went\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestConnectionLost checks a daemon that goes away while it answers.
func TestConnectionLost(t *testing.T) {
	socket := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	got := command{args: words("status"), socket: socket}.run(t.Context())
	want := outcome{code: exitError, stderr: "isonet: the connection to " + socket + " failed: EOF; is isonetd running?\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestOutputFails checks that lost output is not a success.
func TestOutputFails(t *testing.T) {
	d := &daemon{answers: standard(t)}
	socket := d.start(t)
	for _, args := range []string{"network list", "network list -o json", "status", "version", "attach green"} {
		var stderr strings.Builder
		code := run(t.Context(), words(args), system{stdout: brokenWriter{}, stderr: &stderr, socket: socket, now: time.Now})
		if code != exitError || stderr.String() != "isonet: write the output: no space left\n" {
			t.Errorf("isonet %s: exit code %d, stderr %q", args, code, stderr.String())
		}
	}
}

func TestSize(t *testing.T) {
	tests := map[float64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 102400: "100 KiB",
		1 << 20: "1.0 MiB", 5.5 * (1 << 30): "5.5 GiB", 1 << 63: "8.0 EiB", 1 << 75: "32768 EiB",
	}
	for n, want := range tests {
		if got := size(n); got != want {
			t.Errorf("size(%v) is %q, want %q", n, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	networks := []client.Network{
		{ID: greenID, Name: blueID}, // called like the other's id
		{ID: blueID, Name: "blue"},
		{ID: longID, Name: "a b"},
	}
	found, err := resolve(networks, []string{blueID, "blue", strings.ToUpper(longID), greenID, "a b"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]client.Network{networks[1], networks[2], networks[0]}, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A name is what it is: it is not trimmed and its case counts.
	for _, reference := range []string{"Blue", " blue", "", "bl*"} {
		if found, err := resolve(networks, []string{reference}); err == nil {
			t.Errorf("%q found %v", reference, found)
		}
	}
}

// TestSetupOfManyNetworks checks that no request has more than the daemon takes,
// and that a file that stops half-way tells what was done.
func TestSetupOfManyNetworks(t *testing.T) {
	d := &daemon{answers: standard(t)}
	sizes := make(chan int, 3)
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/isonet/networks") {
			d.ServeHTTP(w, r)
			return
		}
		var body struct{ Network []struct{ Name string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		sizes <- len(body.Network)
		if len(body.Network) < wire.MostNetworks {
			w.WriteHeader(http.StatusConflict)
			return
		}
		_, _ = io.WriteString(w, `{"networks":[]}`) // the test sees it if it fails
	}))
	file := "networks:\n"
	for i := range wire.MostNetworks + 2 {
		file += fmt.Sprintf("  - name: many%d\n", i)
	}
	got := command{args: words("setup -f -"), stdin: file, socket: socket}.run(t.Context())
	if len(sizes) != 2 || <-sizes != wire.MostNetworks || <-sizes != 2 {
		t.Errorf("not two requests with %d and 2 networks", wire.MostNetworks)
	}
	if got.code != exitError || !strings.Contains(got.stdout, "in all: 1000 networks created") || !strings.Contains(got.stderr, "stopped after 1000 steps: ") {
		t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
	}
}

// TestProgress checks what is shown on a terminal while a setup lasts.
func TestProgress(t *testing.T) {
	seen := make(chan struct{})
	d := &daemon{answers: standard(t)}
	status := strings.ReplaceAll(recorded(t, "status-bad"), "\n", " ")
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/isonet/watch"):
			_, _ = io.WriteString(w, stream(status)) // the test sees it if it fails
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		case strings.HasSuffix(r.URL.Path, "/isonet/networks"):
			<-seen // answer when the progress was shown
		}
		d.ServeHTTP(w, r)
	}))
	stderr := &notifyWriter{text: "networks active: 1 of 3", seen: seen}
	var stdout strings.Builder
	code := run(t.Context(), words("setup -f "+filepath.Join("testdata", "setup.yaml")), system{
		stdout: &stdout, stderr: stderr, terminal: true, socket: socket, now: time.Now,
	})
	want := strings.Join([]string{
		"", "waiting for Open vSwitch", "waiting for Open vSwitch; networks active: 1 of 3", "",
	}, eraseLine)
	if diff := cmp.Diff(want, stderr.written.String()); diff != "" || code != exitOK {
		t.Errorf("exit code %d, progress (-want +got):\n%s", code, diff)
	}
}

// notifyWriter closes seen when the text was written.
type notifyWriter struct {
	text    string
	seen    chan struct{}
	written strings.Builder
	done    bool
}

func (w *notifyWriter) Write(p []byte) (int, error) {
	w.written.Write(p)
	if !w.done && strings.Contains(w.written.String(), w.text) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

// TestFilesWithoutEnd checks that a file is not read until there is no memory left.
func TestFilesWithoutEnd(t *testing.T) {
	for _, line := range []string{
		"validate -f", "restore", "status --url https://127.0.0.1:1 --user ann --password-file", "status --url https://127.0.0.1:1 --cacert",
	} {
		got := command{args: words(line + " /dev/zero")}.run(t.Context())
		if got.code != exitUsage || !strings.Contains(got.stderr, "/dev/zero is larger than 64 MiB") {
			t.Errorf("isonet %s /dev/zero: %+v", line, got)
		}
	}
}
