package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	statuses, err := os.ReadFile(filepath.Join("testdata", "daemon", "stream.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, args string
		answer     answer
	}{
		{"watch", "watch", once(string(statuses))},
		{"watch-json", "watch -o json", once("{\"revision\":  1}\n\n{\"ovs_version\": \"<3>\"}")},
		{"watch-yaml", "watch -o yaml", once("{\"revision\": 1}\n{\"revision\": 2}\n")},
		{"watch-never-connected", "watch", once(strings.ReplaceAll(recorded(t, "status-new"), "\n", " "))},
		{"watch-garbage", "watch", ok("<html>\n")},
		{"watch-garbage-yaml", "watch -o yaml", ok("<html>\n")},
		{"watch-refused", "watch", refusal(http.StatusServiceUnavailable, "[no]")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, tt.name, command{args: words(tt.args)}, map[string]answer{"GET /isonet/watch?deltas=true": tt.answer})
		})
	}
}

// TestHistoryFollow checks that each entry is a line, and that a stream which breaks off
// is told.
func TestHistoryFollow(t *testing.T) {
	const entries = `{"index":7,"time":"2026-11-23T08:30:00Z","kind":"write","severity":"normal","client":"uid 0 (root)","text":"added network \"x\\u001b[2J\""}` + "\n" +
		`{"index":8,"time":"2026-11-23T08:30:01Z","kind":"deed","severity":"warning","text":"isonetd removed port eth1"}` + "\n"
	for name, args := range map[string]string{"history-follow": "history -f -n 2", "history-follow-json": "history --follow -n 2 -o json"} {
		t.Run(name, func(t *testing.T) {
			check(t, name, command{args: words(args)}, map[string]answer{
				"GET /isonet/history?max=2&watch=true":  {status: http.StatusOK, body: entries},
				"GET /isonet/history?from=8&watch=true": refusal(http.StatusUnauthorized, "no"),
			})
		})
	}
}

// once is a stream of statuses that breaks off, and no second one.
func once(statuses string) answer {
	return answer{status: http.StatusOK, body: stream(statuses), once: true}
}

// stream writes statuses, a line each, as isonetd does.
func stream(statuses string) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(statuses) {
		if line = strings.TrimSpace(line); line != "" {
			n++
			line = fmt.Sprintf(`{"sequence": %d, "status": %s}`, n, line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// TestWatchInterrupted checks that an interrupt ends a watch without an error,
// and that --timeout does not.
func TestWatchInterrupted(t *testing.T) {
	status := strings.ReplaceAll(recorded(t, "status"), "\n", " ")
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, stream(status)) // the test sees it if it fails
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	reader, writer := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, words("watch --timeout 1ns"), system{
			stdin: strings.NewReader(""), stdout: writer, stderr: writer, socket: socket, now: time.Now,
		})
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}()
	first, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(first, "Open vSwitch: connected, version 3.1.0, datapath system") {
		t.Errorf("the first line is %q (%v)", first, err)
	}
	interrupt()
	rest, err := io.ReadAll(reader)
	if err != nil || len(rest) > 0 && strings.Contains(string(rest), "isonet:") {
		t.Errorf("after the interrupt: %q (%v)", rest, err)
	}
	if got := <-code; got != exitOK {
		t.Errorf("the exit code is %d", got)
	}
}
