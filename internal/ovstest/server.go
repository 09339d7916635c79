package ovstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Server is an ovsdb-server with one database, as a child process.
type Server struct {
	t       testing.TB
	dir     string // of its sockets and its log
	file    string
	relay   string   // what it serves instead of a file: "relay:DATABASE:ENDPOINTS"
	process *Process // nil while it does not run
}

// NewServer returns a server that does not run, with an empty database of a
// schema. Its sockets and its log go to dir. It ends with the test.
func NewServer(t testing.TB, dir, file, schema string) *Server {
	t.Helper()
	s := &Server{t: t, dir: dir, file: file}
	t.Cleanup(s.Stop)
	s.Create(schema)
	return s
}

// Create makes the database anew, and empty. The server must not run.
func (s *Server) Create(schema string) {
	s.t.Helper()
	if err := os.RemoveAll(s.file); err != nil {
		s.t.Fatal(err)
	}
	if out, err := s.command("ovsdb-tool", "-vsyslog:off", "create", s.file, schema).CombinedOutput(); err != nil {
		s.t.Fatalf("create %s: %v\n%s", s.file, err, out)
	}
}

// StartRelay starts a relay (ovsdb(7)) of a database that others serve at OVSDB
// endpoints. It ends with the test.
func StartRelay(t testing.TB, database string, endpoints ...string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, dir: dir, relay: "relay:" + database + ":" + strings.Join(endpoints, ",")}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// source returns what the server serves, as ovsdb-server(1) has it.
func (s *Server) source() string {
	if s.relay != "" {
		return s.relay
	}
	return s.file
}

// File returns the path of the database.
func (s *Server) File() string { return s.file }

// Socket returns the path of the unix socket on which the server listens.
func (s *Server) Socket() string { return filepath.Join(s.dir, "db.sock") }

// Endpoint returns the same as an OVSDB endpoint.
func (s *Server) Endpoint() string { return "unix:" + s.Socket() }

// Start starts the server and waits until it listens.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.TryStart(); err != nil {
		s.t.Fatal(err)
	}
}

// TryStart does so, and returns what the server says if it ends instead.
func (s *Server) TryStart() error {
	s.t.Helper()
	var says strings.Builder
	// From Open vSwitch 3.3 on it warns of what is wrong with a database, and then fails.
	cmd := s.command("ovsdb-server", s.source(), "--remote=punix:"+s.Socket(), "--unixctl="+filepath.Join(s.dir, "ovsdb.ctl"),
		"--log-file="+filepath.Join(s.dir, "ovsdb-server.log"), "-vsyslog:off", "-vconsole:warn")
	cmd.Stderr = &says
	process, err := StartProcess(cmd)
	if err != nil {
		return fmt.Errorf("%w (does the machine have Open vSwitch? `make test` installs it)", err)
	}
	s.process = process
	Eventually(s.t, "ovsdb-server answers or ends", func() error {
		select {
		case <-process.Ended():
			s.process = nil
			err = fmt.Errorf("ovsdb-server ended: %s", says.String())
			return nil
		default:
			return s.command("ovsdb-client", "list-dbs", s.Endpoint()).Run()
		}
	})
	return err
}

// Stop kills the server, as a crash would, if it runs.
func (s *Server) Stop() {
	if s.process != nil {
		s.process.Kill()
	}
	s.process = nil
}

// PID returns the process id of the server, which runs.
func (s *Server) PID() int { return s.process.PID() }

// Signal sends the server a signal.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	s.process.Signal(s.t, signal)
}

// Transact runs a transaction in JSON, as another client, and returns the
// results of its operations.
func (s *Server) Transact(transaction string) []map[string]any {
	s.t.Helper()
	out, err := s.TransactCommand(transaction).CombinedOutput()
	var results []map[string]any
	if err == nil {
		err = json.Unmarshal(out, &results)
	}
	if err == nil && bytes.Contains(out, []byte(`"error":`)) {
		err = errors.New("the server refused")
	}
	if err != nil {
		s.t.Fatalf("transact %s: %v\n%s", transaction, err, out)
	}
	return results
}

// TransactCommand returns the command that does so, without running it.
func (s *Server) TransactCommand(transaction string) *exec.Cmd {
	return s.command("ovsdb-client", "--timeout=60", "transact", s.Endpoint(), transaction)
}

// Convert gives the database another schema while the server runs.
func (s *Server) Convert(schema string) {
	s.t.Helper()
	if out, err := s.command("ovsdb-client", "--timeout=60", "convert", s.Endpoint(), schema).CombinedOutput(); err != nil {
		s.t.Fatalf("convert: %v\n%s", err, out)
	}
}

// Steal takes a lock (RFC 7047 section 4.1.9) from whoever has it, until the test
// ends.
func (s *Server) Steal(lock string) {
	s.t.Helper()
	process, err := StartProcess(s.command("ovsdb-client", "-vconsole:off", "steal", s.Endpoint(), lock))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(process.Kill)
}

func (s *Server) command(name string, args ...string) *exec.Cmd { return command(s.dir, name, args...) }

// command returns a command of Open vSwitch whose files are in a directory.
func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir)
	return cmd
}

// CheckSum fails the test unless a schema records its checksum as Open vSwitch's build
// does: of the file without the line that has it.
func CheckSum(t testing.TB, schema []byte) {
	t.Helper()
	var rest []byte
	var recorded string
	for line := range bytes.Lines(schema) {
		if _, after, found := bytes.Cut(line, []byte(`"cksum": "`)); found {
			recorded, _, _ = strings.Cut(string(after), `"`)
		} else {
			rest = append(rest, line...)
		}
	}
	cmd := exec.CommandContext(t.Context(), "cksum")
	cmd.Stdin = bytes.NewReader(rest)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(out)); recorded != want {
		t.Errorf("the schema records the checksum %q; it is %q", recorded, want)
	}
}
