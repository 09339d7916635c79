package main

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// waitDaemon is an isonetd whose watch tells some statuses, in each connection the
// next ones, and the last ones until the client is gone.
func waitDaemon(t *testing.T, answers map[string]answer, connections ...string) (*daemon, string) {
	t.Helper()
	d := &daemon{answers: answers}
	var connected atomic.Int32
	return d, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/isonet/watch") {
			d.ServeHTTP(w, r)
			return
		}
		n := int(connected.Add(1)) - 1
		if n >= len(connections) {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, stream(connections[n])) // the test sees it if it fails
		_ = http.NewResponseController(w).Flush()
		if n == len(connections)-1 {
			<-r.Context().Done()
		}
	}))
}

func line(text string) string { return strings.ReplaceAll(text, "\n", " ") + "\n" }

func TestWait(t *testing.T) {
	good, bad, gone := line(recorded(t, "status")), line(recorded(t, "status-bad")), line(recorded(t, "status-empty"))
	held := strings.Replace(gone, `"held": []`, `"held": [{"bridge": "blue", "network_id": "`+blueID+`", "ports": ["vnet0"]}]`, 1)
	if held == gone {
		t.Fatal("the recorded status is another")
	}
	for _, tt := range []struct {
		name, args  string
		connections []string
	}{
		{"wait", "wait blue " + webID, []string{good}},
		{"wait-json", "wait blue --for attached -o json", []string{good}},
		{"wait-becomes", "wait blue", []string{bad + gone + good}},
		{"wait-restarted", "wait blue", []string{bad, good}},
		{"wait-not-well", "wait blue --timeout 1500ms", []string{bad}},
		{"wait-not-well-json", "wait blue green --timeout 1500ms -o json --for active", []string{bad}},
		{"wait-not-attached", "wait green --timeout 1500ms", []string{good}},
		{"wait-disconnected", "wait blue --timeout 1500ms", []string{line(recorded(t, "status-disconnected"))}},
		{"wait-detached", "wait blue green --for detached", []string{good + held + gone}},
		{"wait-held", "wait blue --for detached --timeout 1500ms", []string{held}},
		{"wait-not-deleted", "wait blue nope --for deleted --timeout 1500ms", []string{gone}},
		{"wait-deleted-already", "wait nope --for deleted", []string{gone}},
		{"wait-unknown", "wait blue gren nope", []string{good}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // some wait until their time is over
			d, socket := waitDaemon(t, standard(t), tt.connections...)
			c := command{args: words(tt.args), socket: socket}
			text := transcript(c, c.run(t.Context()), d.requests())
			golden(t, tt.name, strings.ReplaceAll(text, socket, "SOCKET"))
		})
	}
}

// TestWaitForTheDeleted checks that nobody waits for a network that is deleted.
func TestWaitForTheDeleted(t *testing.T) {
	bad := line(recorded(t, "status-bad"))
	lists := make(chan answer, 2)
	lists <- ok(recorded(t, "networks"))
	lists <- ok("{}")
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/networks") {
			_, _ = io.WriteString(w, (<-lists).body) // the test sees it if it fails
			return
		}
		_, _ = io.WriteString(w, stream(bad+strings.Replace(bad, `"revision": 42`, `"revision": 43`, 1)))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	got := command{args: words("wait blue"), socket: socket}.run(t.Context())
	if want := (outcome{code: exitError, stderr: "isonet: network 'blue' was deleted\n"}); got != want {
		t.Errorf("got %+v", got)
	}
}

// TestWaitWithoutDaemon checks that an isonetd that never comes is an error, and who
// is refused.
func TestWaitWithoutDaemon(t *testing.T) {
	got := command{args: words("wait blue --timeout 1500ms"), socket: "/nonexistent/d.sock"}.run(t.Context())
	want := "isonet: there is no socket /nonexistent/d.sock: is isonetd running?; waiting until it is there\n" +
		"isonet: there is no socket /nonexistent/d.sock: is isonetd running?\n"
	if got.code != exitError || got.stderr != want || got.stdout != "" {
		t.Errorf("got %+v", got)
	}
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	if got := (command{args: words("wait blue"), socket: socket}).run(t.Context()); got.code != exitError {
		t.Errorf("got %+v", got)
	}
}

// TestWaitOfIsonetd waits for an isonetd that starts, and for what it does then.
func TestWaitOfIsonetd(t *testing.T) {
	h := newIsonetd(t)
	h.mustRun("", "network", "create", "blue")
	waitFor := func(args string) chan outcome {
		done := make(chan outcome, 1)
		go func() { done <- command{args: words(args), socket: h.socket}.run(t.Context()) }()
		return done
	}
	h.stopDaemon()
	for _, step := range []struct {
		args, want string
		do         func()
	}{
		{"wait blue", "network 'blue': active, isolated\n", func() {
			h.startDaemon("auto")
			h.isonet("attach blue")
		}},
		{"wait blue blue --for detached", "network 'blue': detached\n", func() { h.isonet("detach blue") }},
		{"wait blue --for deleted", "network 'blue': deleted\n", func() { h.isonet("network delete blue") }},
		{"wait blue --for deleted", "network 'blue': deleted\n", func() {}},
	} {
		done := waitFor(step.args)
		step.do()
		if got := <-done; got.code != exitOK || got.stdout != step.want {
			t.Errorf("isonet %s: %+v", step.args, got)
		}
	}
}
