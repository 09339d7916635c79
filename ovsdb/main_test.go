package ovsdb_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func startServer(t *testing.T) *server { t.Helper(); return startServerWith(t, testSchema) }

func startServerWith(t *testing.T, schema string) *server {
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
	s.create(schema)
	s.start()
	return s
}

// create makes the database.
func (s *server) create(schema string) {
	s.t.Helper()
	if err := os.WriteFile(s.path("schema"), []byte(schema), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out, err := exec.CommandContext(s.t.Context(), "ovsdb-tool", "create", s.path("db"), s.path("schema")).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
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
	return ovsdb.Config{
		Endpoints: endpoints,
		Model:     m,
		Logger:    slog.New(slog.DiscardHandler),
	}
}

// rows returns the copy's rows of a table, nil when the session has ended.
func rows(s *ovsdb.Session, table string) map[string]model.Model {
	var found map[string]model.Model
	s.Look(func(all ovsdb.Tables, _ ovsdb.Changes) { found = maps.Clone(all[table]) })
	return found
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
