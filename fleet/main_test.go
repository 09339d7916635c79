package fleet_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer starts a status server with an empty database.
func startServer(t *testing.T) *ovstest.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "fleet") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := ovstest.NewServer(t, dir, filepath.Join(dir, "db"), "status.ovsschema")
	s.Start()
	return s
}

// loop is a loop whose status the test sets.
type loop struct {
	mu      sync.Mutex
	status  report.Status
	changed chan struct{}
}

func newLoop(s report.Status) *loop { return &loop{status: s, changed: make(chan struct{})} }

func (l *loop) Status() report.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

func (l *loop) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *loop) set(change func(*report.Status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.status)
	close(l.changed)
	l.changed = make(chan struct{})
}

// seeElsewhere lets the loop have gone through a revision that does not concern the host,
// which wakes nobody.
func (l *loop) seeElsewhere(revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Revision = revision
}

// systemID is that of a host of the tests.
func systemID(host model.ID) string {
	if host == "" {
		return ""
	}
	return "system-" + string(host)
}

// inBackground runs something until the test ends, or stop is called.
func inBackground(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func reporterConfig(t *testing.T, l *loop, endpoints ...string) fleet.ReporterConfig {
	return fleet.ReporterConfig{
		Endpoints: endpoints, Loop: l, SystemID: systemID, Seen: func() int64 { return l.Status().Revision },
		Boot: "boot 1", Version: "1.0", URL: "https://host", Logger: logger(t),
	}
}

// report starts a reporter.
func startReporter(t *testing.T, cfg fleet.ReporterConfig) (r *fleet.Reporter, stop func()) {
	t.Helper()
	r = fleet.NewReporter(cfg)
	return r, inBackground(t, r.Run)
}

func startReader(t *testing.T, endpoints ...string) *fleet.Reader {
	t.Helper()
	r := fleet.NewReader(fleet.ReaderConfig{Endpoints: endpoints, SystemID: systemID, Logger: logger(t)})
	inBackground(t, r.Run)
	return r
}

// await waits until a host's status satisfies a condition.
func await(t *testing.T, r *fleet.Reader, host model.ID, what string, ok func(report.Status, bool) bool) report.Status {
	t.Helper()
	deadline := time.After(ovstest.Patience)
	for {
		changed := r.Changed()
		s, known := r.Status(host)
		if ok(s, known) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never: %s; the last status: %+v, %t (%v)", what, s, known, r.Trouble())
		}
	}
}

func up(s report.Status, known bool) bool { return known && s.Member.Liveness == report.Up }

// troubled fails unless the trouble of the only server is told like that.
func troubled(r *fleet.Reporter, with string) error {
	if h := r.Health()[0]; !strings.HasPrefix(h.Trouble, with) || with == "" && h.Trouble != "" {
		return fmt.Errorf("health %+v", h)
	}
	return nil
}
