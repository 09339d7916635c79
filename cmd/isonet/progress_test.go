package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// TestProgressOfIsonetd follows the numbers of an isonetd while many networks come and
// go: bridges are made before networks are active, and at the end nothing is left to do.
func TestProgressOfIsonetd(t *testing.T) {
	h := newIsonetd(t)
	c, err := client.New(client.Options{Socket: h.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const networks = 100
	file := "networks:\n"
	var names []string
	for i := range networks {
		names = append(names, fmt.Sprintf("many%d", i))
		file += fmt.Sprintf("  - {name: many%d, attach: true}\n", i)
	}
	follow := func(args []string, stdin string, done func(wire.Progress) bool) (seen []wire.Progress) {
		t.Helper()
		ended := make(chan outcome, 1)
		go func() { ended <- command{args: args, stdin: stdin, socket: h.socket}.run(t.Context()) }()
		for s, err := range c.Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, s.Progress)
			if p := s.Progress; p.Active > p.Made || p.Made > p.Wanted {
				t.Errorf("more are done than were begun: %+v", p)
			}
			if done(s.Progress) {
				break
			}
		}
		if o := <-ended; o.code != exitOK {
			t.Fatalf("isonet %s: %+v", strings.Join(args, " "), o)
		}
		return seen
	}

	seen := follow(words("setup -f -"), file, func(p wire.Progress) bool { return p.Active == networks })
	if last := seen[len(seen)-1]; last != (wire.Progress{Wanted: networks, Made: networks, Active: networks}) {
		t.Errorf("at the end of the setup the progress is %+v", last)
	}
	between := false
	for _, p := range seen {
		between = between || p.Wanted == networks && p.Active < p.Made
	}
	if !between {
		t.Errorf("no bridge was made before its network was active: %+v", seen)
	}
	seen = follow(append(words("detach"), names...), "", func(p wire.Progress) bool { return p == wire.Progress{} })
	between = false
	for _, p := range seen {
		between = between || p.Leaving > 0
	}
	if !between {
		t.Errorf("no bridge was to be removed: %+v", seen)
	}
}

func TestStands(t *testing.T) {
	tests := map[wire.Progress]string{
		{}: "", {Wanted: 3, Made: 3, Active: 3}: "", {Wanted: 3, Made: 1, Leaving: 2}: "bridges made: 1 of 3",
		{Wanted: 3, Made: 3, Active: 2, Leaving: 2}: "networks active: 2 of 3", {Wanted: 3, Made: 3, Active: 3, Leaving: 2}: "bridges to remove: 2",
	}
	for p, want := range tests {
		if got := stands(p); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

// TestProgressOnATerminal watches what a person sees while a command lasts: isonetd's
// numbers as they change, and at the end only what was done.
func TestProgressOnATerminal(t *testing.T) {
	next := make(chan string)
	done := make(chan struct{})
	d := &daemon{answers: standard(t)}
	status := strings.ReplaceAll(recorded(t, "status"), "\n", " ")
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/isonet/watch"):
			_, _ = io.WriteString(w, stream(status)) // the test sees it if it fails
			for n := 2; ; n++ {
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case progress := <-next:
					_, _ = fmt.Fprintf(w, `{"sequence": %d, "changed": {"progress": %s}}`+"\n", n, progress)
				}
			}
		case strings.HasSuffix(r.URL.Path, "/setupnetworks"):
			<-done
		}
		d.ServeHTTP(w, r)
	}))
	s := onTerminal(t, socket, "attach", "green")
	s.sees("waiting for Open vSwitch")
	next <- `{"wanted": 503, "made": 340, "active": 0, "leaving": 0}`
	s.sees("bridges made: 340 of 503")
	next <- `{"wanted": 503, "made": 503, "active": 3, "leaving": 0}`
	s.sees("networks active: 3 of 503")
	next <- `{"wanted": 503, "made": 503, "active": 503, "leaving": 7}`
	s.sees("bridges to remove: 7")
	close(done)
	s.sees("attached network 'green'")
	s.ends()
	if text := s.text(); text != "attached network 'green'\n" {
		t.Errorf("the screen is:\n%s", text)
	}
}

// TestProgressOfWhatFails checks that an error is the last that is seen.
func TestProgressOfWhatFails(t *testing.T) {
	done := make(chan struct{})
	d := &daemon{answers: standard(t)}
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/setupnetworks") {
			<-done
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		d.ServeHTTP(w, r)
	}))
	s := onTerminal(t, socket, "attach", "green")
	s.sees("waiting for Open vSwitch")
	close(done)
	s.sees("isonet: ")
	s.endsWith(exitError)
	if text := s.text(); strings.Contains(text, "waiting") || !strings.HasSuffix(text, "\n") {
		t.Errorf("the screen is:\n%s", text)
	}
}
