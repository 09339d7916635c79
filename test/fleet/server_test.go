package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

const (
	clientPort = 6641
	raftPort   = 6644
	// diskSize of a member, as an option of mount(8).
	diskSize = "size=16m"
)

// server is an ovsdb-server on a machine of its own. It ends with the test.
type server struct {
	testing.TB
	node
	name string
	// dir has its log and its socket.
	dir string
	// serves is what it is started with: a database, or what a relay relays.
	serves  string
	process *ovstest.Process // nil while it does not run
}

func newServer(f *fabric, name string) *server {
	f.Helper()
	dir, err := os.MkdirTemp("", "fleet") // short enough for the path of a socket
	if err != nil {
		f.Fatal(err)
	}
	s := &server{TB: f.TB, node: f.add(), name: name, dir: dir}
	f.Cleanup(func() {
		if f.Failed() {
			log, _ := os.ReadFile(s.log()) // there may be none
			f.Logf("the log of %s:\n%s", name, log)
		}
		_ = os.RemoveAll(dir)
	})
	f.Cleanup(s.kill)
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *server) log() string             { return s.path("log") }

// endpoint returns where its clients find it.
func (s *server) endpoint() string { return fmt.Sprintf("tcp:%s:%d", s.address, clientPort) }

// raft returns where other members find it.
func (s *server) raft() string { return fmt.Sprintf("tcp:%s:%d", s.address, raftPort) }

// start starts the server, which may take a while to serve.
func (s *server) start() {
	s.Helper()
	cmd := s.command("ovsdb-server", s.serves, fmt.Sprintf("--remote=ptcp:%d:%s", clientPort, s.address),
		"--unixctl="+s.path("ctl"), "-vconsole:info", "-vsyslog:off")
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the server writes to it
	cmd.Stderr = log  // where it also says why it ends
	if s.process, err = ovstest.StartProcess(cmd); err != nil {
		s.Fatal(err)
	}
}

// createAlone makes an empty database that is on no other server.
func (s *server) createAlone(schema []byte) {
	s.Helper()
	file := s.path("schema")
	if err := os.WriteFile(file, schema, 0o600); err != nil {
		s.Fatal(err)
	}
	s.serves = s.path("db")
	s.run("ovsdb-tool", "-vsyslog:off", "create", s.serves, file)
}

// forget deletes the database.
func (s *server) forget() {
	s.Helper()
	if err := os.Remove(s.serves); err != nil {
		s.Fatal(err)
	}
}

// kill ends the server as a crash would, if it runs.
func (s *server) kill() {
	if s.process != nil {
		s.process.Kill()
	}
	s.process = nil
}

func (s *server) signal(signal syscall.Signal) {
	s.Helper()
	s.process.Signal(s, signal)
}

// command returns one that runs on the machine.
func (s *server) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.Context(), "ip", append([]string{"netns", "exec", s.namespace}, args...)...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_LOGDIR="+s.dir, "OVS_DBDIR="+s.dir)
	return cmd
}

// run runs a command that must succeed.
func (s *server) run(args ...string) {
	s.Helper()
	if out, err := s.command(args...).CombinedOutput(); err != nil {
		s.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// appctl asks the server by its control socket.
func (s *server) appctl(args ...string) (string, error) {
	out, err := s.command(append([]string{"ovs-appctl", "--timeout=2", "-t", s.path("ctl")}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// member is a server of the cluster, whose database is on a small disk of its own.
type member struct{ *server }

func newMember(f *fabric, name string) *member {
	f.Helper()
	m := &member{newServer(f, name)}
	disk := m.path("disk")
	m.serves = filepath.Join(disk, "db")
	if err := os.Mkdir(disk, 0o700); err != nil {
		f.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=700,"+diskSize); err != nil {
		f.Fatalf("mount a small disk: %v", err)
	}
	f.Cleanup(func() {
		m.kill() // which may have started after what was registered before
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			f.Error(err)
		}
	})
	return m
}

// create makes the member the first one of a new cluster.
func (m *member) create() {
	m.Helper()
	schema := m.path("schema")
	if err := os.WriteFile(schema, store.Schema, 0o600); err != nil {
		m.Fatal(err)
	}
	m.run("ovsdb-tool", "-vsyslog:off", "create-cluster", m.serves, schema, m.raft())
	m.start()
	m.awaitMember()
}

// join makes the member one of a cluster that has others.
func (m *member) join(others ...*member) {
	m.Helper()
	args := []string{"ovsdb-tool", "-vsyslog:off", "join-cluster", m.serves, store.Database, m.raft()}
	for _, other := range others {
		args = append(args, other.raft())
	}
	m.run(args...)
	m.start()
	m.awaitMember()
}

// status returns what a member says of its cluster, by the words before the colons.
func (m *member) status() (map[string]string, error) {
	out, err := m.appctl("cluster/status", store.Database)
	values := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), ": "); is {
			values[key] = value
		}
	}
	return values, err
}

// awaitMember waits until the server is a member.
func (m *member) awaitMember() {
	m.Helper()
	ovstest.Eventually(m, m.name+" is a member", m.isMember)
}

func (m *member) isMember() error {
	status, err := m.status()
	if err == nil && (status["Status"] != "cluster member" || status["Leader"] == "unknown") {
		err = fmt.Errorf("it says %v", status)
	}
	return err
}

func (m *member) ballast() string { return m.path("disk/ballast") }

// fillDisk leaves no room for the database.
func (m *member) fillDisk() {
	m.Helper()
	file, err := os.Create(m.ballast())
	if err != nil {
		m.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		m.Fatal(err)
	}
	if err := file.Close(); err != nil {
		m.Fatal(err)
	}
}

func (m *member) freeDisk() {
	m.Helper()
	if err := os.Remove(m.ballast()); err != nil {
		m.Fatal(err)
	}
}

// kick removes another member, which is dead, from the cluster.
func (m *member) kick(other *member) {
	m.Helper()
	if _, err := m.appctl("cluster/kick", store.Database, other.raft()); err != nil {
		m.Fatal(err)
	}
}
