package ovsdb_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

// reaches opens a session with the leader, changes something, and says what the server then has. It
// gives the session less time than one silent server was once given.
func reaches(t *testing.T, cfg ovsdb.Config) {
	t.Helper()
	cfg.Member = ovsdb.Leader
	ovstest.Eventually(t, "there is a session that writes", func() error {
		ctx, done := context.WithTimeout(t.Context(), 8*time.Second)
		defer done()
		return ovsdb.Run(ctx, cfg, func(ctx context.Context, session *ovsdb.Session) error {
			_, err := session.Transact(ctx, add("A", "x", 1))
			return err
		})
	})
}

// TestAMemberOfAClusterIsOut opens sessions with a cluster of three of which one is
// dead or hangs, at every place of the list of endpoints.
func TestAMemberOfAClusterIsOut(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, write(t, testSchema), "Test", 3)
	for _, way := range []struct {
		name   string
		out    func(*ovstest.Server)
		repair func(*ovstest.Server)
	}{
		{"hung", func(s *ovstest.Server) { s.Signal(syscall.SIGSTOP) }, func(s *ovstest.Server) { s.Signal(syscall.SIGCONT) }},
		{"dead", (*ovstest.Server).Stop, (*ovstest.Server).Start},
	} {
		for _, leads := range []bool{true, false} {
			leader := cluster.Leader()
			at := slices.IndexFunc(cluster.Members, func(s *ovstest.Server) bool { return (s == leader) == leads })
			out := cluster.Members[at]
			way.out(out)
			for place := range 3 {
				others := slices.Delete(slices.Clone(cluster.Endpoints()), at, at+1)
				reaches(t, config(t, slices.Insert(others, place, out.Endpoint())...))
			}
			way.repair(out)
			cluster.Leader()
		}
	}
}

// TestDroppedFrames opens sessions with servers of which some never answer a
// connection's first frame, as behind a firewall.
func TestDroppedFrames(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, write(t, testSchema), "Test", 1)
	cluster.Leader()
	silent := full(t)
	for place := range 3 {
		reaches(t, config(t, slices.Insert([]string{silent, silent}, place, cluster.Endpoints()...)...))
	}
}

// full returns an endpoint whose queue of connections is full, so that the kernel
// drops the frames of others.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return "tcp:" + address
}

// write writes a schema to a file.
func write(t *testing.T, schema string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "schema")
	if err := os.WriteFile(file, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
