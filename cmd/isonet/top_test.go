package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/wire"
)

// screenTest is a program on a terminal, with what a person sees there.
type screenTest struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File
	emulator *vt.SafeEmulator
	changed  chan struct{} // holds a value when something was shown
	mu       sync.Mutex
	raw      strings.Builder
	left     chan struct{} // closed when the program has ended
}

// onTerminal starts isonet on a terminal of 80 cells by 24.
func onTerminal(t *testing.T, socket string, args ...string) *screenTest {
	t.Helper()
	const columns, rows = 80, 24
	s := &screenTest{t: t, cmd: exec.Command(os.Args[0], args...), emulator: vt.NewSafeEmulator(columns, rows), changed: make(chan struct{}, 1), left: make(chan struct{})}
	s.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NO_COLOR=") || strings.HasPrefix(v, "COLUMNS=")
	}), program+"=isonet", "ISONET_SOCKET="+socket, "TERM=xterm-256color")
	var err error
	s.terminal, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _, _ = io.Copy(s, s.terminal) })          // the terminal is gone with the program
	running.Go(func() { _, _ = io.Copy(s.terminal, s.emulator) }) // what the terminal answers
	running.Go(func() {
		_ = s.cmd.Wait() // the exit code says it
		close(s.left)
	})
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()                       // it may have ended
		_ = s.emulator.InputPipe().(io.Closer).Close() // Close of the emulator races with its Read
		_ = s.terminal.Close()
		running.Wait()
	})
	return s
}

// Write shows what the program writes.
func (s *screenTest) Write(data []byte) (int, error) {
	s.mu.Lock()
	s.raw.Write(data)
	s.mu.Unlock()
	n, err := s.emulator.Write(data)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return n, err
}

// text is what is on the screen.
func (s *screenTest) text() string {
	var lines []string
	for line := range strings.Lines(s.emulator.Render() + "\n") {
		lines = append(lines, strings.TrimRight(ansi.Strip(line), " \r\n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// until waits until the screen is as it is to be, and returns it.
func (s *screenTest) until(what string, seen func(text string) bool) string {
	s.t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		text := s.text()
		if seen(text) {
			return text
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.t.Fatalf("%s is not seen, but:\n%s", what, text)
		}
	}
}

// sees waits for a text, and returns the screen.
func (s *screenTest) sees(texts ...string) string {
	s.t.Helper()
	return s.until(strings.Join(texts, ", "), func(text string) bool {
		return !slices.ContainsFunc(texts, func(want string) bool { return !strings.Contains(text, want) })
	})
}

// types sends keys.
func (s *screenTest) types(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.terminal, keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits until the program has ended well, and checks that the terminal
// is as it was: the first screen, with a cursor, and lines.
func (s *screenTest) ends() {
	s.t.Helper()
	s.endsWith(exitOK)
}

// endsWith is ends for another exit code.
func (s *screenTest) endsWith(code int) {
	s.t.Helper()
	select {
	case <-s.left: // what with, the exit code says
	case <-time.After(3 * time.Minute):
		s.t.Fatalf("it does not end:\n%s", s.text())
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("the exit code is %d:\n%s", got, s.text())
	}
	s.until("the first screen", func(string) bool { return !s.emulator.IsAltScreen() })
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := s.raw.String()
	if strings.LastIndex(raw, ansi.ShowCursor) < strings.LastIndex(raw, ansi.HideCursor) {
		s.t.Errorf("the cursor is gone: %q", raw)
	}
	termios, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	if termios.Lflag&unix.ICANON == 0 || termios.Lflag&unix.ECHO == 0 {
		s.t.Error("the terminal is left without lines, or without an echo")
	}
}

// The keys of a terminal (xterm's control sequences).
const (
	keyUp, keyDown, keyPgUp, keyPgDn, keyHome, keyEnd, keyEsc = "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F", "\x1b"
	keyEnter, keyCtrlC, keyBackspace                          = "\r", "\x03", "\x7f"
)

// crowd is a status with that many networks of two ports each.
func crowd(t *testing.T, networks int) string {
	t.Helper()
	s := wire.Status{Connected: true, Host: wire.Host{ID: hostID, Name: "node1"}}
	for i := 1; i <= networks; i++ {
		traffic := &wire.Traffic{
			Total: wire.Counters{ReceivedBytes: uint64(i) << 10, TransmittedBytes: uint64(networks-i) << 10},
			Rate:  &wire.Rate{ReceivedBytes: float64(i)},
		}
		n := wire.NetworkStatus{ID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), Name: fmt.Sprintf("net%d", i), State: "active", Traffic: traffic}
		for p := range 2 {
			n.Ports = append(n.Ports, wire.Port{Name: fmt.Sprintf("vnet%d-%d", i, p), LinkUp: true, Traffic: traffic})
		}
		s.Networks = append(s.Networks, n)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// clock takes the time of day out.
func clock(text string) string {
	return regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(text, "HH:MM:SS")
}

// TestTopByKeys uses top as a person does, on a terminal of 80 by 24.
func TestTopByKeys(t *testing.T) {
	d := &daemon{answers: map[string]answer{"GET /isonet/status": ok(crowd(t, 503))}}
	s := onTerminal(t, d.start(t), words("top --interval 100ms")...)
	golden(t, "live-80", clock(s.sees("node1: 503 networks", "by rate", "net503", "1-20 of 503")))
	if !s.emulator.IsAltScreen() {
		t.Error("top is on the first screen")
	}
	s.types(keyDown + keyDown)
	s.sees("3-22 of 503")
	s.types(keyUp)
	s.sees("2-21 of 503")
	s.types(keyPgDn)
	s.sees("21-40 of 503")
	s.types(keyPgUp + keyPgUp)
	s.sees("1-20 of 503")
	s.types(keyEnd)
	s.sees("484-503 of 503", "net1 ")
	s.types(keyHome)
	s.sees("1-20 of 503")
	s.types("r")
	s.sees("by rate, backwards", "net20 ")
	s.types(">") // round to the first column
	s.sees("by network", "net1 ", "net20 ")
	s.types("<<")
	s.sees("by lost")
	s.types("p")
	s.sees("1-20 of 1509", "  vnet1-0")
	s.types("p/net50")
	s.sees("filter: net50_")
	s.types("1" + keyBackspace + keyEnter)
	s.sees("only network~net50", "1-5 of 5", "net503", "net50 ")
	s.types("/nope=1" + keyEnter)
	s.sees("unknown column 'nope'")
	s.types(keyEsc)
	s.sees("1-5 of 5", "q end")
	s.types("/received<=2KiB" + keyEnter)
	s.sees("1-2 of 2", "net1 ", "net2 ")
	s.types("/" + keyEnter)
	s.sees("1-20 of 503")
	s.types("?")
	golden(t, "live-keys", clock(s.sees("Keys:", "any key goes back")))
	s.types(keyEsc)
	s.sees("1-20 of 503", "net20 ")
	s.types(keyEsc)
	s.ends()
}

// TestTopFits resizes the terminal while top runs: it always fills it, and no more.
func TestTopFits(t *testing.T) {
	d := &daemon{answers: map[string]answer{"GET /isonet/status": ok(crowd(t, 503))}}
	s := onTerminal(t, d.start(t), words("top --interval 100ms --ports")...)
	s.sees("1-20 of 1509")
	for _, size := range [][2]int{{60, 10}, {200, 50}, {20, 5}, {60, 24}} {
		columns, rows := size[0], size[1]
		s.emulator.Resize(columns, rows)
		if err := pty.Setsize(s.terminal, &pty.Winsize{Rows: uint16(rows), Cols: uint16(columns)}); err != nil {
			t.Fatal(err)
		}
		text := s.sees(fmt.Sprintf("1-%d of 1509", rows-4), "by rate")
		if lines := strings.Count(text, "\n"); lines != rows {
			t.Errorf("%d lines on a terminal of %d by %d:\n%s", lines, columns, rows, text)
		}
		golden(t, fmt.Sprintf("live-%dx%d", columns, rows), clock(text))
	}
	s.types("q")
	s.ends()
}

// TestTopLeavesTheTerminal ends top in each way there is.
func TestTopLeavesTheTerminal(t *testing.T) {
	d := &daemon{answers: standard(t)}
	socket := d.start(t)
	for name, end := range map[string]func(*screenTest){
		"q":       func(s *screenTest) { s.types("q") },
		"Esc":     func(s *screenTest) { s.types(keyEsc) },
		"Ctrl-C":  func(s *screenTest) { s.types(keyCtrlC) },
		"SIGTERM": func(s *screenTest) { s.signal(syscall.SIGTERM) },
		"SIGINT":  func(s *screenTest) { s.signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			s := onTerminal(t, socket, "top")
			s.sees("2 networks", "blue")
			end(s)
			s.ends()
		})
	}
}

func (s *screenTest) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// TestTopWithoutADaemon takes the daemon away while top runs, and brings it back.
func TestTopWithoutADaemon(t *testing.T) {
	var away atomic.Bool
	d := &daemon{answers: standard(t)}
	s := onTerminal(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		d.ServeHTTP(w, r)
	})), words("top --interval 100ms")...)
	s.sees("node1: 2 networks", "blue")
	away.Store(true)
	s.sees("isonet: the daemon answered 503", "blue")
	away.Store(false)
	s.sees("node1: 2 networks", "blue")
	s.types("q")
	s.ends()
}

// TestTopOnADumbTerminal shows it once where there is nothing but lines.
func TestTopOnADumbTerminal(t *testing.T) {
	d := &daemon{answers: standard(t)}
	o := command{args: words("top"), socket: d.start(t), width: 80, env: map[string]string{"TERM": "dumb"}}.run(t.Context())
	if o.code != exitOK || strings.Contains(o.stdout, "\x1b") || !strings.Contains(o.stdout, "blue") {
		t.Errorf("%+v", o)
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
