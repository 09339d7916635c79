package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// stopPatience is how long ovsdb-server may take to end before it is killed.
	stopPatience = 5 * time.Second
	// controlTimeout bounds one command to ovsdb-server, which may have to write
	// the whole database anew.
	controlTimeout = time.Minute
	// maxRestartPause is the longest pause before a server that died is started
	// again.
	maxRestartPause = 2 * time.Second
	// startPatience is how long a server may take to read the database and listen.
	startPatience = time.Minute
	// serverName is the program, and what the kernel calls it.
	serverName = "ovsdb-server"
	// maxSocketPath is the most bytes that the kernel takes (unix(7)).
	maxSocketPath = 107
)

// server is the store's own ovsdb-server: a child process, which is started
// again when it dies and ends with this process, however that ends.
type server struct {
	files   files
	program string
	socket  string // where OVSDB clients connect
	control string // where commands go, see ovs-appctl(8)
	log     *slog.Logger
	lock    *os.File
	pid     atomic.Int64 // of the running child; 0 while there is none
	halt    func()       // stops the running child
}

// startServer prepares the database and returns when a server listens.
func startServer(ctx context.Context, cfg Config) (*server, error) {
	runDir := cfg.RunDir
	if runDir == "" {
		runDir = cfg.StateDir
	}
	s := &server{program: cfg.OVSDBServer, log: cfg.Logger}
	if s.program == "" {
		s.program = serverName
	}
	sockets, err := filepath.Abs(filepath.Join(runDir, "ovsdb"))
	if err != nil {
		return nil, fmt.Errorf("directory for sockets: %w", err)
	}
	s.socket, s.control = filepath.Join(sockets, "db.sock"), filepath.Join(sockets, "ovsdb-server.ctl")
	if len(s.control) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket %s is longer than %d bytes: choose a shorter directory", s.control, maxSocketPath)
	}
	if s.files, err = newFiles(cfg); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.files.dir, sockets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
	}
	if err := os.Chmod(sockets, 0o700); err != nil {
		return nil, fmt.Errorf("protect the sockets: %w", err)
	}
	if s.lock, err = s.files.lock(ctx); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *server) endpoint() string { return "unix:" + s.socket }

// stop ends the server and gives the state directory free.
func (s *server) stop() {
	s.halt()
	if err := s.lock.Close(); err != nil {
		s.log.Error("cannot unlock the state directory", "error", err)
	}
}

// begin brings the database up to date and starts the server for good.
func (s *server) begin(ctx context.Context) error {
	older, err := s.files.prepare(ctx)
	if err != nil {
		return err
	}
	if older != "" {
		// ovsdb-tool refuses a file whose last record a crash cut short. The
		// server accepts it and, when it compacts, writes it anew.
		if err := s.launch(ctx); err != nil {
			return err
		}
		err := s.compact(ctx)
		s.halt()
		if err != nil {
			return err
		}
		if err := s.files.convert(ctx, older); err != nil {
			return err
		}
		s.log.Info("converted the database", "from", older, "backup", s.files.backup(older))
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	// Later on the server does that itself: when the file has doubled beyond 10
	// MB, and once a day. On a full disk it cannot, and what is there is as good.
	if err := s.compact(ctx); err != nil {
		s.log.Warn("the database is not compacted; free or repair its disk", "error", err)
	}
	if err := s.files.protect(); err != nil {
		s.halt()
		return err
	}
	return nil
}

// launch starts a server under supervision and returns when it listens.
func (s *server) launch(ctx context.Context) error {
	// The server outlives ctx until halt: sessions end first.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.supervise(life, listening)
		close(ended)
	}()
	s.halt = func() {
		cancel()
		for range ended { // until it is closed
		}
	}
	if err := s.awaitStart(ctx, ended); err != nil {
		s.halt()
		return err
	}
	close(listening)
	return nil
}

// awaitStart waits until the server answers a command. It does that only when
// it has read the database and listens.
func (s *server) awaitStart(ctx context.Context, ended <-chan error) error {
	ctx, done := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("%s does not listen after %v", s.program, startPatience))
	defer done()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return s.explain(context.Cause(ctx))
		case <-ticker.C:
			if s.command(ctx, "version") == nil {
				return nil
			}
		}
	}
}

// supervise runs one server after the other until ctx ends. It gives up when
// the first one ends before it listens.
func (s *server) supervise(ctx context.Context, listening <-chan struct{}) error {
	// The kernel sends the child its signal when the thread that started it
	// ends, so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, maxRestartPause
	for {
		start := time.Now()
		err := s.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-listening:
		default:
			return err
		}
		s.log.Error("the store's ovsdb-server ended; starting another", "error", err)
		if time.Since(start) > maxRestartPause {
			pause.Reset()
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// run runs one server to its end.
func (s *server) run(ctx context.Context) error {
	output := &lineLogger{log: s.log}
	cmd := exec.CommandContext(ctx, s.program, s.files.database(),
		"--remote=punix:"+s.socket, "--unixctl="+s.control, "--no-chdir",
		"-vsyslog:off", "-vfile:off", "-vconsole:warn", "-vPATTERN:console:%p|%c|%m")
	cmd.Stderr = output
	// The child holds the lock too: whoever takes it knows that no server of a
	// predecessor is left.
	cmd.ExtraFiles = []*os.File{s.lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopPatience
	if err := cmd.Start(); err != nil {
		return notRun(s.program, err)
	}
	s.pid.Store(int64(cmd.Process.Pid))
	_ = cmd.Wait() // the state says the same and is there in every case
	s.pid.Store(0)
	return fmt.Errorf("%s ended (%s): %s", s.program, cmd.ProcessState, output.last())
}

// explain adds to why the server does not answer what can be seen of its process.
func (s *server) explain(err error) error {
	p, runs := processOf(int(s.pid.Load()))
	switch {
	case runs && p.stopped():
		return fmt.Errorf("isonetd's own ovsdb-server (process %d) is stopped, somebody has sent it SIGSTOP: continue it ('kill -CONT %[1]d'): %w", p.pid, err)
	case runs && strings.HasPrefix(p.state, "D"):
		return fmt.Errorf("isonetd's own ovsdb-server (process %d) waits for its disk: %w", p.pid, err)
	}
	return err
}

// compact makes the server write its file anew, without the history and
// without a last record that was cut short.
func (s *server) compact(ctx context.Context) error {
	if err := s.command(ctx, "ovsdb-server/compact"); err != nil {
		return fmt.Errorf("compact the database: %w", err)
	}
	return nil
}

// command gives ovsdb-server a command as ovs-appctl(8) does: JSON-RPC on its
// control socket.
func (s *server) command(ctx context.Context, method string) error {
	ctx, done := context.WithTimeout(ctx, controlTimeout)
	defer done()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", s.control)
	if err != nil {
		return fmt.Errorf("connect to ovsdb-server's control socket: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	defer func() { _ = conn.Close() }() // one answer is all that is wanted
	request := map[string]any{"method": method, "params": []string{}, "id": 0}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var answer struct {
		Error *string `json:"error"`
	}
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer.Error != nil {
		return errors.New(strings.TrimSpace(*answer.Error))
	}
	return nil
}

// lineLogger logs what ovsdb-server writes, line by line.
type lineLogger struct {
	log     *slog.Logger
	partial string
	newest  atomic.Value // string
}

// Write takes output in pieces of any size.
func (l *lineLogger) Write(output []byte) (int, error) {
	lines := strings.Split(l.partial+string(output), "\n")
	for _, line := range lines[:len(lines)-1] {
		l.line(line)
	}
	l.partial = lines[len(lines)-1]
	return len(output), nil
}

func (l *lineLogger) line(line string) {
	priority, rest, _ := strings.Cut(line, "|")
	module, message, ok := strings.Cut(rest, "|")
	level := slog.LevelError
	switch {
	case !ok: // not from its log: a last word
		module, message = "", line
	case module == "fatal_signal": // it was told to end
		level = slog.LevelDebug
	case priority == "WARN":
		level = slog.LevelWarn
	}
	l.newest.Store(message)
	l.log.Log(context.Background(), level, "ovsdb-server says something", "module", module, "text", message)
}

// last returns the last line.
func (l *lineLogger) last() string {
	message, _ := l.newest.Load().(string)
	return message
}
