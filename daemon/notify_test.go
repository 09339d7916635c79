package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/daemon"
)

// watchdog is the time that the fake service manager's watchdog has.
const watchdog = 300 * time.Millisecond

// manager is a service manager that listens to what a daemon tells it.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	// told is all that came so far, one assignment of sd_notify(3) each.
	told []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it was read only
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(watchdog.Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	return &manager{t: t, conn: conn}
}

// next waits for one message; it returns false when none comes within a time.
func (m *manager) next(patience time.Duration) bool {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := m.conn.Read(message)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.told = append(m.told, strings.Split(string(message[:n]), "\n")...)
	return true
}

// await waits for an assignment that is told from now on.
func (m *manager) await(pattern string) {
	m.t.Helper()
	for seen := len(m.told); ; {
		for ; seen < len(m.told); seen++ {
			if regexp.MustCompile("^" + pattern + "$").MatchString(m.told[seen]) {
				return
			}
		}
		if !m.next(time.Minute) {
			m.t.Fatalf("waited in vain for %q; told so far: %q", pattern, m.told)
		}
	}
}

func (m *manager) heard(assignment string) bool {
	for _, told := range m.told {
		if told == assignment {
			return true
		}
	}
	return false
}

// run starts the daemon of a host without waiting for anything.
func (h *host) run(log *slog.Logger) (stop func() error) {
	h.Helper()
	d, err := daemon.New(h.cfg, log)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestTheServiceManagerIsToldHowTheDaemonStands(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	h.start()

	m.await("READY=1")
	if first := m.told[0]; !strings.HasPrefix(first, "STATUS=") {
		t.Errorf("the first message is %q, want a status", first)
	}
	m.await("WATCHDOG=1")
	h.network(`{"name":"red"}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	m.await(`STATUS=networks: 1 active, 0 pending, 0 in error; 1 isolated`)
	h.ovs.StopServer()
	m.await(`STATUS=.*database.*: check that ovsdb-server runs.*; networks: 0 active, 0 pending, 0 in error; 0 isolated, 1 UNKNOWN`)
	h.ovs.StartServer()
	m.await(`STATUS=networks: 1 active, .*`)

	h.stop()
	m.await("STOPPING=1")
}

// A service manager that reads nothing does not keep the daemon from stopping.
func TestTheServiceManagerDoesNotRead(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	h.start()
	conn, err := net.Dial("unixgram", m.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // what was sent is of no interest
	for err == nil {
		if err = conn.SetWriteDeadline(time.Now().Add(time.Millisecond)); err == nil {
			_, err = conn.Write([]byte("full"))
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	h.stop()
}

// A network in error does not keep the daemon from being ready.
func TestTheStatusTellsOfANetworkInError(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	h.network(`{"name":"red"}`)
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.stop()
	h.ovs.Vsctl("del-br", "red")
	h.ovs.Vsctl("add-br", "red") // somebody else's

	m := newManager(t)
	stop := h.run(slog.New(slog.DiscardHandler))
	m.await("READY=1")
	if want := "STATUS=networks: 0 active, 0 pending, 1 in error; 0 isolated"; !m.heard(want) {
		t.Errorf("told %q, want %q", m.told, want)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWithoutOpenVSwitchTheDaemonIsReadyAndSaysWhatIsMissing(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	h.ovs.StopServer()
	stop := h.run(slog.New(slog.DiscardHandler))
	m.await("STATUS=Waiting for Open vSwitch")
	if m.heard("READY=1") {
		t.Errorf("ready before the time is up: %q", m.told)
	}
	m.await("WATCHDOG=1")
	m.await("READY=1")
	h.ovs.StartServer()
	m.await(`STATUS=networks: 0 active, .*`)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A database that hangs in the middle of a transaction is no reason to kill the
// daemon.
func TestTheWatchdogIsFedWhileOpenVSwitchHangs(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	h.start()
	m.await("READY=1")
	h.network(`{"name":"red"}`)
	h.network(`{"name":"blue"}`)
	host := h.path()
	h.ovs.SignalServer(syscall.SIGSTOP)
	answered := make(chan int, 1)
	go func() {
		status, _ := h.call("POST", host+"/setupnetworks", attachAll("red", "blue"))
		answered <- status
	}()
	// The loop learns of the change and waits for the answer to its transaction.
	for range 10 {
		m.await("WATCHDOG=1")
	}
	for status := 0; status == 0; {
		select {
		case status = <-answered:
			if status != 503 {
				t.Errorf("the request was answered with %d", status)
			}
		default:
			m.await("WATCHDOG=1") // a service manager that does not listen would hold isonetd up
		}
	}
	h.ovs.SignalServer(syscall.SIGCONT)
}

// stuck is a log that never returns from a message with a text, until released.
type stuck struct {
	slog.Handler
	text     string
	reached  chan struct{}
	released chan struct{}
}

func (s *stuck) Handle(_ context.Context, r slog.Record) error {
	if r.Message == s.text {
		select {
		case s.reached <- struct{}{}:
		default:
		}
		<-s.released
	}
	return nil
}

func (s *stuck) Enabled(context.Context, slog.Level) bool { return true }
func (s *stuck) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *stuck) WithGroup(string) slog.Handler            { return s }

// The loop is stuck where it writes its log; everything else of the daemon
// works.
func TestTheWatchdogIsNotFedWhenTheLoopIsStuck(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	log := &stuck{text: "applied", reached: make(chan struct{}, 1), released: make(chan struct{})}
	stop := h.run(slog.New(log))
	m.await("READY=1")
	m.await("WATCHDOG=1")
	h.network(`{"name":"red"}`)
	host := h.path()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		h.call("POST", host+"/setupnetworks", attachAll("red"))
	}()
	<-log.reached
	for m.next(watchdog) { // what was under way, and the last status
	}
	before := len(m.told)
	if m.next(3 * watchdog) {
		t.Errorf("told although the loop is stuck: %q", m.told[before:])
	}
	if len(h.hosts()) != 1 {
		t.Error("the API does not answer")
	}
	close(log.released)
	m.await("WATCHDOG=1")
	<-answered
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWithoutAServiceManagerNothingIsTold(t *testing.T) {
	h := newHost(t, nil)
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", "")
	h.start()
	h.stop()
	if m.next(0) {
		t.Errorf("told: %q", m.told)
	}
}

func TestTheSocketHasItsGroup(t *testing.T) {
	h := newHost(t, func(o *daemon.Options) { o.SocketGroup = "daemon" })
	h.start()
	info, err := os.Stat(h.cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; int(got) != h.cfg.SocketGID || info.Mode().Perm() != 0o660 {
		t.Errorf("group %d and mode %v, want %d and 0660", got, info.Mode().Perm(), h.cfg.SocketGID)
	}
}

func TestAGroupThatDoesNotExist(t *testing.T) {
	options := daemon.DefaultOptions()
	options.SocketGroup = "no-such-group"
	_, err := options.Parse()
	if err == nil || !strings.Contains(err.Error(), "socket-group") || !strings.Contains(err.Error(), "groupadd") {
		t.Errorf("Parse: %v", err)
	}
}
