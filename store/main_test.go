package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// helperDir, in the environment, makes the test program a process that writes
// to a store in that directory until it is killed.
const helperDir = "ISONET_TEST_STORE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := writeForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// tempDir returns a directory with a path that is short enough for sockets.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "store")
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

// running is a store with its Run.
type running struct {
	*store.Store
	t     *testing.T
	stop  func()
	ended chan struct{} // closed when Run has returned
	logs  *logs
}

// logs are log lines as text.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// launch runs a store until stop or the end of the test.
func launch(t *testing.T, cfg store.Config) *running {
	t.Helper()
	r := &running{t: t, logs: &logs{}, ended: make(chan struct{})}
	cfg.Logger = slog.New(slog.NewTextHandler(r.logs, nil))
	r.Store = store.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.ended)
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run returned %v", err)
		}
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-r.ended
		if t.Failed() {
			t.Logf("the store's log:\n%s", r.logs)
		}
	})
	t.Cleanup(func() { r.stop() })
	return r
}

// open runs a store and waits until it is ready.
func open(t *testing.T, cfg store.Config) *running {
	t.Helper()
	r := launch(t, cfg)
	r.await(r.Ready(), "the store is ready")
	return r
}

// embedded opens a store in a directory of its own.
func embedded(t *testing.T, dir string) *running {
	t.Helper()
	return open(t, store.Config{StateDir: dir})
}

// endpoint returns where the server of a store in a directory listens.
func endpoint(dir string) string { return "unix:" + filepath.Join(dir, "ovsdb", "db.sock") }

// remote opens another store on the server of the one in a directory.
func remote(t *testing.T, endpoints ...string) *running {
	t.Helper()
	return open(t, store.Config{Endpoints: endpoints})
}

func (r *running) await(done <-chan struct{}, what string) {
	r.t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-done:
	case <-r.ended:
		r.t.Fatalf("Run has returned before: %s", what)
	case <-timer.C:
		r.t.Fatalf("not within a minute: %s\n%s", what, r.logs)
	}
}

// until waits until the snapshot satisfies a condition.
func (r *running) until(what string, condition func(d *model.Desired) bool) *model.Desired {
	r.t.Helper()
	for {
		changed := r.Changed()
		if d := r.Snapshot(); condition(d) {
			return d
		}
		r.await(changed, what)
	}
}

// must updates and fails the test when it cannot.
func (r *running) must(change func(d *model.Desired) error) int64 {
	r.t.Helper()
	revision, err := r.Update(r.t.Context(), change)
	if err != nil {
		r.t.Fatalf("Update: %v", err)
	}
	if got := r.Snapshot().Revision; got < revision {
		r.t.Fatalf("Update returned revision %d, but the snapshot has %d", revision, got)
	}
	return revision
}

// adding returns a change that adds a network.
func adding(name string) func(*model.Desired) error {
	return func(d *model.Desired) error {
		_, err := d.AddNetwork(model.Network{Name: name})
		return err
	}
}

// commenting returns a change of a network's comment.
func commenting(name, comment string) func(*model.Desired) error {
	return func(d *model.Desired) error {
		n, _ := d.NetworkByName(name)
		n.Comment = comment
		return d.UpdateNetwork(n)
	}
}

// counting adds one to the number in the description of the network counter.
func counting(d *model.Desired) error {
	n, ok := d.NetworkByName("counter")
	if !ok {
		return errors.New("the network is gone")
	}
	n.Description = strconv.Itoa(count(d) + 1)
	return d.UpdateNetwork(n)
}

func count(d *model.Desired) int {
	n, _ := d.NetworkByName("counter")
	number, _ := strconv.Atoi(n.Description)
	return number
}

func names(d *model.Desired) []string {
	var list []string
	for _, n := range d.Networks {
		list = append(list, n.Name)
	}
	return list
}

// same compares two states without their revisions.
func same(want, got *model.Desired) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(model.Desired{}, "Revision"))
}

// transact runs a transaction as another client and returns the answer.
func transact(t testing.TB, dir, operations string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ovsdb-client", "transact", endpoint(dir), `["Isolated_Networks",`+operations+`]`).CombinedOutput()
	if err != nil {
		t.Fatalf("ovsdb-client: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func database(dir string) string { return filepath.Join(dir, "isonet.db") }

// contents returns the bytes of the database file.
func contents(t *testing.T, dir string) []byte {
	t.Helper()
	file, err := os.ReadFile(database(dir))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// servers returns the processes that run a server for the directory.
func servers(t *testing.T, dir string) []int {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range commands {
		arguments, err := os.ReadFile(path)
		if err != nil { // the process has ended
			continue
		}
		if strings.Contains(string(arguments), "ovsdb-server\x00"+database(dir)+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// killServer kills the server of the directory and returns its process id.
func killServer(t *testing.T, dir string) int {
	t.Helper()
	var pid int
	ovstest.Eventually(t, "there is one server", func() error {
		pids := servers(t, dir)
		if len(pids) != 1 {
			return fmt.Errorf("there are %d", len(pids))
		}
		pid = pids[0]
		return syscall.Kill(pid, syscall.SIGKILL)
	})
	return pid
}

// tool runs ovsdb-tool.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ovsdb-tool", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ovsdb-tool %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
