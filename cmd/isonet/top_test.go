package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestTopOnATerminal watches top on a pseudo-terminal: it draws again and again,
// says so while the daemon is gone, and leaves the terminal as it was.
func TestTopOnATerminal(t *testing.T) {
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()   //nolint:errcheck // it is read only
	defer terminal.Close() //nolint:errcheck // what counts was read from the master
	if err := pty.Setsize(master, &pty.Winsize{Rows: 4, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	var looks atomic.Int32
	d := &daemon{answers: standard(t)}
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if looks.Add(1) == 2 {
			w.WriteHeader(http.StatusServiceUnavailable) // the daemon ends
			return
		}
		d.ServeHTTP(w, r)
	}))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, words("top --interval 100ms"), system{
			stdin: strings.NewReader(""), stdout: terminal, stderr: terminal, socket: socket, now: time.Now,
			screen: func() (int, int, bool) { return screen(terminal) },
		})
	}()

	shown := &screenReader{t: t, from: master}
	shown.until(enterScreen)
	frame := shown.until(eraseBelow)
	lines := strings.Split(frame, "\r\n")
	if len(lines) != 4 || slices.ContainsFunc(lines, func(line string) bool {
		line = strings.NewReplacer(home, "", eraseRest, "", eraseBelow, "").Replace(line)
		return len(line) > 40
	}) {
		t.Errorf("the frame does not fit into 4 lines of 40: %q", frame)
	}
	if !strings.HasPrefix(frame, home) || !strings.Contains(frame, "node1: 2 networks") || !strings.Contains(lines[3], "blue") {
		t.Errorf("the first frame is %q", frame)
	}
	if frame := shown.until(eraseBelow); !strings.Contains(frame, "isonet: the daemon answered 503") || !strings.Contains(frame, "blue") {
		t.Errorf("without the daemon the frame is %q", frame)
	}
	if frame := shown.until(eraseBelow); !strings.Contains(frame, "node1: 2 networks") {
		t.Errorf("with the daemon back the frame is %q", frame)
	}
	interrupt()
	shown.until(leaveScreen)
	if got := <-code; got != exitOK {
		t.Errorf("the exit code is %d", got)
	}
}

// screenReader reads what a program shows on a terminal.
type screenReader struct {
	t    *testing.T
	from *os.File
	rest []byte
}

// until returns everything up to a text, and the text.
func (s *screenReader) until(text string) string {
	s.t.Helper()
	for {
		if before, after, found := bytes.Cut(s.rest, []byte(text)); found {
			read := string(before) + text
			s.rest = slices.Clone(after)
			return read
		}
		more := make([]byte, 4096)
		n, err := s.from.Read(more)
		if err != nil {
			s.t.Fatalf("%q did not come, but %q: %v", text, s.rest, err)
		}
		s.rest = append(s.rest, more[:n]...)
	}
}

func TestScreen(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is read only
	if _, _, ok := screen(file); ok {
		t.Error(os.DevNull + " passes for a terminal")
	}
}
