package counters_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovs/counters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = time.Minute

// equal compares updates with all that is in their statistics.
func equal() cmp.Option {
	return cmp.Options{
		cmp.AllowUnexported(traffic.Statistics{}),
		cmp.Comparer(func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }),
	}
}

// stats are rx_bytes and tx_bytes of a device.
func stats(device, rx, tx int64) traffic.Statistics {
	s := traffic.Statistics{Device: device}
	s.Set("rx_bytes", rx)
	s.Set("tx_bytes", tx)
	return s
}

func only(key string, value int64) traffic.Statistics {
	var s traffic.Statistics
	s.Set(key, value)
	return s
}

// server is a real ovsdb-server with the database Open_vSwitch, to which nobody
// writes but the test.
type server struct {
	*testing.T
	dir     string
	process *exec.Cmd
}

// newServer starts a server on a database that ovsdb-tool makes with the command
// create or create-cluster.
func newServer(t *testing.T, create string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "counters") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{T: t, dir: dir}
	t.Cleanup(func() {
		s.kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	args := []string{create, s.path("db"), ovstest.Schema}
	if create == "create-cluster" {
		args = append(args, "unix:"+s.path("raft"))
	}
	s.run("ovsdb-tool", args...)
	s.start()
	s.vsctl("init")
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *server) endpoint() string        { return "unix:" + s.path("sock") }

func (s *server) start() {
	s.Helper()
	s.process = exec.CommandContext(context.Background(), "ovsdb-server", s.path("db"),
		"--remote=punix:"+s.path("sock"), "--unixctl="+s.path("ctl"), "-vsyslog:off", "-vconsole:off")
	if err := s.process.Start(); err != nil {
		s.Fatal(err)
	}
	ovstest.Eventually(s, "ovsdb-server answers", func() error {
		return exec.CommandContext(s.Context(), "ovsdb-client", "list-dbs", s.endpoint()).Run()
	})
}

func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill() // perhaps it is dead
		_ = s.process.Wait()
	}
	s.process = nil
}

func (s *server) signal(signal syscall.Signal) {
	s.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.Fatal(err)
	}
}

func (s *server) run(name string, args ...string) string {
	s.Helper()
	out, err := exec.CommandContext(s.Context(), name, args...).CombinedOutput()
	if err != nil {
		s.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *server) vsctl(args ...string) string {
	s.Helper()
	return s.run("ovs-vsctl", append([]string{"--db=" + s.endpoint(), "--timeout=60", "--no-wait"}, args...)...)
}

// uuid returns the UUID of an Interface row.
func (s *server) uuid(name string) string { return s.vsctl("get", "Interface", name, "_uuid") }

// follow follows the server until the test ends, and returns the updates.
func (s *server) follow() <-chan counters.Update {
	return follow(s.T, counters.Config{Endpoints: []string{s.endpoint()}})
}

func follow(t *testing.T, cfg counters.Config) <-chan counters.Update {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	updates := make(chan counters.Update, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		counters.Follow(ctx, cfg, func(u counters.Update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return updates
}

func next(t *testing.T, updates <-chan counters.Update) counters.Update {
	t.Helper()
	select {
	case u := <-updates:
		return u
	case <-time.After(patience):
		t.Fatalf("no update within %v", patience)
		return counters.Update{}
	}
}

func expect(t *testing.T, updates <-chan counters.Update, want counters.Update) {
	t.Helper()
	if want.Rows == nil {
		want.Rows = map[string]traffic.Statistics{}
	}
	if want.Interval == 0 {
		want.Interval = 5 * time.Second
	}
	if diff := cmp.Diff(want, next(t, updates), equal()); diff != "" {
		t.Fatalf("update (-want +got):\n%s", diff)
	}
}

type rows = map[string]traffic.Statistics

func TestUpdates(t *testing.T) {
	s := newServer(t, "create")
	s.vsctl("add-br", "a", "--", "set", "interface", "a", "statistics:rx_bytes=5", "statistics:tx_bytes=6",
		"statistics:rx_crc_err=7", "ifindex=3")
	a := s.uuid("a")
	updates := s.follow()
	expect(t, updates, counters.Update{Whole: true, Rows: rows{a: stats(3, 5, 6)}})

	s.vsctl("set", "interface", "a", "statistics:rx_bytes=4611686018427387904")
	expect(t, updates, counters.Update{Rows: rows{a: only("rx_bytes", 1<<62)}})

	s.vsctl("set", "interface", "a", "external_ids:unrelated=1") // tells nothing
	s.vsctl("remove", "interface", "a", "statistics", "tx_bytes")
	expect(t, updates, counters.Update{Rows: rows{a: only("tx_bytes", 6)}})

	s.vsctl("clear", "interface", "a", "ifindex")
	expect(t, updates, counters.Update{Rows: rows{a: {}}})

	s.vsctl("add-br", "b", "--", "set", "interface", "b", "statistics:tx_dropped=1")
	b := s.uuid("b")
	expect(t, updates, counters.Update{Rows: rows{b: only("tx_dropped", 1)}})

	s.vsctl("set", "Open_vSwitch", ".", "other_config:stats-update-interval=20000")
	expect(t, updates, counters.Update{Interval: 20 * time.Second})
	s.vsctl("set", "Open_vSwitch", ".", "other_config:stats-update-interval=1")
	expect(t, updates, counters.Update{})
	s.vsctl("set", "Open_vSwitch", ".", "other_config:stats-update-interval=7000")
	expect(t, updates, counters.Update{Interval: 7 * time.Second})
	s.vsctl("remove", "Open_vSwitch", ".", "other_config", "stats-update-interval")
	expect(t, updates, counters.Update{})

	s.vsctl("del-br", "a")
	expect(t, updates, counters.Update{Gone: []string{a}})
}

// A server that was away tells the whole table again.
func TestServerComesBack(t *testing.T) {
	s := newServer(t, "create")
	s.vsctl("add-br", "a", "--", "set", "interface", "a", "statistics:rx_bytes=5")
	a := s.uuid("a")
	updates := s.follow()
	expect(t, updates, counters.Update{Whole: true, Rows: rows{a: only("rx_bytes", 5)}})
	s.kill()
	s.start()
	// The column is ephemeral.
	expect(t, updates, counters.Update{Whole: true, Rows: rows{a: {}}})
}

// A server that keeps its transactions tells what was missed and no more. A
// clustered one does, even if it is the only member.
func TestServerKnowsWhatWasTold(t *testing.T) {
	s := newServer(t, "create-cluster")
	s.vsctl("add-br", "a", "--", "set", "interface", "a", "statistics:rx_bytes=5")
	a := s.uuid("a")
	updates := s.follow()
	expect(t, updates, counters.Update{Whole: true, Rows: rows{a: only("rx_bytes", 5)}})
	s.vsctl("set", "interface", "a", "statistics:rx_bytes=6")
	expect(t, updates, counters.Update{Rows: rows{a: only("rx_bytes", 6)}})

	s.run("ovs-appctl", "-t", s.path("ctl"), "ovsdb-server/reconnect") // ends every session
	expect(t, updates, counters.Update{})
	s.vsctl("set", "interface", "a", "statistics:rx_bytes=7")
	expect(t, updates, counters.Update{Rows: rows{a: only("rx_bytes", 7)}})
}

// A server that hangs is noticed, because it does not answer an echo.
func TestServerThatHangs(t *testing.T) {
	s := newServer(t, "create")
	logged := make(chan string, 100)
	updates := follow(t, counters.Config{
		Endpoints: []string{s.endpoint()}, Probe: 100 * time.Millisecond, Logger: slog.New(messages(logged)),
	})
	expect(t, updates, counters.Update{Whole: true})
	s.signal(syscall.SIGSTOP)
	select {
	case text := <-logged:
		if !strings.Contains(text, "lost") {
			t.Errorf("the log says %q", text)
		}
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
	s.signal(syscall.SIGCONT)
	expect(t, updates, counters.Update{Whole: true})
}

// Silence is no reason to end a session.
func TestSilence(t *testing.T) {
	s := newServer(t, "create")
	// An answer may take that long on a busy machine.
	const probe = 500 * time.Millisecond
	updates := follow(t, counters.Config{Endpoints: []string{s.endpoint()}, Probe: probe})
	expect(t, updates, counters.Update{Whole: true})
	select {
	case u := <-updates:
		t.Errorf("another session: %+v", u)
	case <-time.After(4 * probe):
	}
}

// messages is a log handler that passes on errors.
type messages chan<- string

func (m messages) Enabled(context.Context, slog.Level) bool { return true }
func (m messages) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m messages) WithGroup(string) slog.Handler            { return m }
func (m messages) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		m <- a.Value.String()
		return true
	})
	return nil
}

// A server of which nothing is as it should be must neither end the program
// nor make it large.
func TestServersThatMisbehave(t *testing.T) {
	for _, test := range []struct {
		name, want string
		answer     func(conn net.Conn)
	}{
		{"refuses", "2.17 or newer", say(`{"id":1,"result":null,"error":"unknown method"}`)},
		{"speaks no JSON", "invalid character", say("HTTP/1.0 400 Bad Request\r\n\r\n")},
		{"ends in a message", "lost", say(`{"id":1,"result":[false,`)},
		{"tells too little", "2 elements", say(`{"id":1,"result":[false,"x"],"error":null}`)},
		{"tells no object", "expected", say(`{"id":1,"result":[false,"x",[]],"error":null}`)},
		{"tells no integer", "not an integer", say(`{"id":1,"error":null,"result":[false,"x",{"Interface":{"u":{"initial":{"statistics":["map",[["rx_bytes","1"]]]}}}}]}`)},
		{"nests without end", "exceeded max depth", flood("[")},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					test.answer(conn)
					_ = conn.Close() // it has said what it had to say
				}
			}()
			logged := make(chan string, 1000)
			updates := follow(t, counters.Config{
				Endpoints: []string{"tcp:" + listener.Addr().String()}, Logger: slog.New(messages(logged)),
			})
			select {
			case text := <-logged:
				if !strings.Contains(text, test.want) {
					t.Errorf("the log says %q, want %q in it", text, test.want)
				}
			case <-time.After(patience):
				t.Error("nothing was logged")
			}
			if len(updates) > 0 {
				t.Errorf("it told %+v", <-updates)
			}
			if err := listener.Close(); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}

func say(text string) func(net.Conn) {
	return func(conn net.Conn) {
		request := make([]byte, 1000)
		if _, err := conn.Read(request); err == nil {
			_, _ = conn.Write([]byte(text)) // the other side may have gone
		}
	}
}

// flood writes until the other side goes.
func flood(text string) func(net.Conn) {
	chunk := []byte(strings.Repeat(text, 1<<16))
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}
}

// Whoever asks for an echo gets one with the same parameters.
func TestEchoIsAnswered(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing is lost
	follow(t, counters.Config{Endpoints: []string{"tcp:" + listener.Addr().String()}})
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	say(`{"params":["x",{"y":1}],"id":"z","method":"echo"}`)(conn)
	reply := make([]byte, 1000)
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"result":["x",{"y":1}],"error":null,"id":"z"}`
	if got := string(reply[:n]); got != want {
		t.Errorf("the answer is %s, want %s", got, want)
	}
}

// The first endpoint that answers is used.
func TestSeveralEndpoints(t *testing.T) {
	s := newServer(t, "create")
	updates := follow(t, counters.Config{Endpoints: []string{"unix:" + s.path("nobody"), s.endpoint()}})
	expect(t, updates, counters.Update{Whole: true})
}
