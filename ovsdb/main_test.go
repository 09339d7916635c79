package ovsdb_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leaderWatch) }

// leaderWatch is a goroutine that the client leaves behind, one for each
// session with several endpoints.
var leaderWatch = goleak.IgnoreAnyFunction("github.com/ovn-kubernetes/libovsdb/client.(*ovsdbClient).watchForLeaderChange.func2")

const testSchema = `{"name": "Test", "version": "1.0.0", "tables": {
  "A": {"isRoot": true, "indexes": [["name"]], "columns": {"name": {"type": "string"}, "count": {"type": "integer"}}},
  "B": {"isRoot": true, "columns": {"name": {"type": "string"}, "count": {"type": "integer"}}}}}`

type rowA struct {
	UUID  string `ovsdb:"_uuid"`
	Name  string `ovsdb:"name"`
	Count int    `ovsdb:"count"`
}

type rowB struct {
	UUID  string `ovsdb:"_uuid"`
	Name  string `ovsdb:"name"`
	Count int    `ovsdb:"count"`
}

// server is a real ovsdb-server with the database Test.
type server struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

func startServer(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovsdb") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir}
	t.Cleanup(func() {
		s.kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(s.path("schema"), []byte(testSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "ovsdb-tool", "create", s.path("db"), s.path("schema")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start()
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *server) endpoint() string        { return "unix:" + s.path("sock") }

func (s *server) start(options ...string) {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.Background(), "ovsdb-server", append(options, s.path("db"),
		"--remote=punix:"+s.path("sock"), "--unixctl="+s.path("ctl"), "-vsyslog:off", "-vconsole:off")...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ovstest.Eventually(s.t, "ovsdb-server listens", func() error {
		conn, err := net.Dial("unix", s.path("sock"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (s *server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // perhaps it is dead
		_ = s.cmd.Wait()
	}
	s.cmd = nil
}

// transact runs a transaction as another client.
func (s *server) transact(operations string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "ovsdb-client", "transact", s.endpoint(), `["Test",`+operations+`]`).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// config returns the configuration of a session with a server.
func config(t *testing.T, endpoints ...string) ovsdb.Config {
	t.Helper()
	m, err := model.NewClientDBModel("Test", map[string]model.Model{"A": &rowA{}, "B": &rowB{}})
	if err != nil {
		t.Fatal(err)
	}
	var a rowA
	var b rowB
	return ovsdb.Config{
		Endpoints: endpoints,
		Model:     m,
		Monitor:   []client.MonitorOption{client.WithTable(&a, &a.Name, &a.Count), client.WithTable(&b, &b.Name, &b.Count)},
		Logger:    slog.New(slog.DiscardHandler),
	}
}

// counts returns the counts of a table by name.
func counts(rows map[string]model.Model) map[string]int {
	found := map[string]int{}
	for _, row := range rows {
		switch r := row.(type) {
		case *rowA:
			found[r.Name] = r.Count
		case *rowB:
			found[r.Name] = r.Count
		}
	}
	return found
}

func insert(table, name string, count int) rfc.Operation {
	return rfc.Operation{Op: rfc.OperationInsert, Table: table, Row: rfc.Row{"name": name, "count": count}}
}

func named(name string) []rfc.Condition {
	return []rfc.Condition{rfc.NewCondition("name", rfc.ConditionEqual, name)}
}

func add(table, name string, n int) rfc.Operation {
	return rfc.Operation{
		Op: rfc.OperationMutate, Table: table, Where: named(name),
		Mutations: []rfc.Mutation{*rfc.NewMutation("count", rfc.MutateOperationAdd, n)},
	}
}

// until waits until the copy satisfies a condition.
func until(ctx context.Context, s *ovsdb.Session, condition func() bool) error {
	for !condition() {
		select {
		case <-s.Changed():
		case <-ctx.Done():
			return fmt.Errorf("the copy never satisfied the condition: %w", context.Cause(ctx))
		}
	}
	return nil
}
