package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/wire"
)

func TestMain(m *testing.M) {
	asProgram()
	flag.Bool("update", false, "write the golden files anew")
	goleak.VerifyTestMain(m)
}

// answer is what the daemon of a test says to one request.
type answer struct {
	status int
	body   string
	// once says that the user is unknown from the second time on.
	once bool
	// hang leaves the request unanswered until the client is gone.
	hang bool
	// hosts says how many hosts have the write of the revision 7.
	hosts string
}

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

func refusal(status int, detail string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"detail": %q, "reason": "Operation Failed"}`, detail)}
}

// daemon plays recorded answers of isonetd and writes down what it was asked.
type daemon struct {
	answers map[string]answer
	mu      sync.Mutex
	asked   bytes.Buffer
	authed  []string
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/ovirt-engine/api")
	d.mu.Lock()
	fmt.Fprintf(&d.asked, "%s\n", request)
	if len(body) > 0 {
		fmt.Fprintf(&d.asked, "    %s\n", body)
	}
	if user, password, ok := r.BasicAuth(); ok {
		d.authed = append(d.authed, user+":"+password)
	}
	d.mu.Unlock()
	d.mu.Lock()
	a, known := d.answers[request]
	if a.once {
		d.answers[request] = answer{status: http.StatusUnauthorized}
	}
	d.mu.Unlock()
	switch {
	case !known:
		a = answer{status: http.StatusTeapot, body: `{"detail": "the test has no answer to ` + request + `"}`}
	case a.hang:
		<-r.Context().Done()
		return
	case r.Header.Get("Accept") != "application/json" || (len(body) > 0 && r.Header.Get("Content-Type") != "application/json"):
		a = answer{status: http.StatusUnsupportedMediaType}
	}
	w.Header().Set("Content-Type", "application/json")
	if a.hosts != "" {
		w.Header().Set(wire.HostsHeader, a.hosts)
		w.Header().Set(wire.RevisionHeader, "7")
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // the client may be gone
}

func (d *daemon) requests() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked.String()
}

// users are the users and passwords of the requests.
func (d *daemon) users() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.authed)
}

// forget forgets what it was asked.
func (d *daemon) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked.Reset()
	d.authed = nil
}

// start serves the daemon on a unix socket and returns its path.
func (d *daemon) start(t *testing.T) string {
	t.Helper()
	return serve(t, d)
}

// serve serves a handler on a unix socket and returns its path.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	socket := filepath.Join(shortDir(t), "d.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler, ErrorLog: discardLog()}}
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// shortDir returns a directory whose path leaves room for the name of a socket:
// unix(7) allows 108 bytes in all.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "isonet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// outcome is all that can be seen of a command.
type outcome struct {
	code           int
	stdout, stderr string
}

// command is one command line.
type command struct {
	args     []string
	stdin    string
	socket   string
	terminal bool
	// env are the variables, config is the directory of configurations, and answers are
	// what is typed on the terminal; nil is no terminal.
	env     map[string]string
	config  string
	answers []string
	// width is how many cells the terminal has that the output goes to; 0 means that
	// it goes to none.
	width int
	// root is where the directories of the machine begin; "" is a new one.
	root string
}

func (c command) run(ctx context.Context) outcome {
	var stdout, stderr bytes.Buffer
	var ask func(context.Context, string, bool) (string, error)
	if c.answers != nil {
		ask = func(_ context.Context, question string, secret bool) (string, error) {
			fmt.Fprint(&stderr, question)
			if len(c.answers) == 0 {
				return "", io.EOF
			}
			answer := c.answers[0]
			c.answers = c.answers[1:]
			if !secret {
				fmt.Fprint(&stderr, answer)
			}
			fmt.Fprintln(&stderr)
			return answer, nil
		}
	}
	if c.root == "" {
		root, err := os.MkdirTemp("", "root")
		if err != nil {
			return outcome{code: exitError, stderr: err.Error()}
		}
		defer func() { _ = os.RemoveAll(root) }() // it has nothing to be looked at
		c.root = root
	}
	code := run(ctx, c.args, system{
		root: c.root,
		ask:  ask, env: func(name string) string { return c.env[name] }, configDir: c.config,
		stdin: strings.NewReader(c.stdin), stdout: &stdout, stderr: &stderr, terminal: c.terminal,
		screen: func() (int, int, bool) { return 24, c.width, c.width > 0 },
		socket: c.socket,
		now:    func() time.Time { return time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC) },
	})
	return outcome{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// transcript writes a command and its outcome as a golden file has it.
func transcript(c command, o outcome, requests string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ isonet %s\n", strings.Join(c.args, " "))
	fmt.Fprintf(&b, "-- exit code: %d\n", o.code)
	for _, part := range []struct{ name, text string }{{"stdout", o.stdout}, {"stderr", o.stderr}, {"requests", requests}} {
		if part.text != "" {
			fmt.Fprintf(&b, "-- %s:\n%s", part.name, part.text)
		}
	}
	return b.String()
}

// golden compares with the golden file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// recorded returns a recorded answer.
func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "daemon", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
