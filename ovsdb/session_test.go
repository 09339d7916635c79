package ovsdb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"
	"go.uber.org/goleak"

	"github.com/isonet/isonet/ovsdb"
)

func TestRunDialErrors(t *testing.T) {
	s := startServer(t)
	type unknownColumn struct {
		UUID  string `ovsdb:"_uuid"`
		Color string `ovsdb:"color"`
	}
	withModel := func(name string, m map[string]model.Model) ovsdb.Config {
		cfg := config(t, s.endpoint())
		var err error
		if cfg.Model, err = model.NewClientDBModel(name, m); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, c := range []struct {
		name string
		cfg  ovsdb.Config
		is   error
		says string
	}{
		{"no endpoint", config(t), nil, "no OVSDB endpoint"},
		{"no socket", config(t, "unix:/nonexistent/db.sock"), syscall.ENOENT, "/nonexistent/db.sock"},
		{"nobody listens", config(t, "tcp:127.0.0.1:1"), syscall.ECONNREFUSED, "tcp:127.0.0.1:1"},
		{"no endpoint of several", config(t, "unix:/nonexistent/a", "unix:/nonexistent/b"), nil, "/nonexistent/b"},
		{"no such database", withModel("Other", map[string]model.Model{"A": &rowA{}}), ovsdb.ErrNoDatabase, "ovsdb-tool create"},
		{"column that the server lacks", withModel("Test", map[string]model.Model{"A": &unknownColumn{}}), nil, "color"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			err := ovsdb.Run(t.Context(), c.cfg, func(context.Context, *ovsdb.Session) error {
				t.Error("there is a session")
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), c.says) || (c.is != nil && !errors.Is(err, c.is)) {
				t.Errorf("error is %v; want one that says %q and is %v", err, c.says, c.is)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

func TestRunReturnsWhatUseReturns(t *testing.T) {
	s := startServer(t)
	for _, want := range []error{nil, errors.New("from use")} {
		before := goleak.IgnoreCurrent()
		if err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(context.Context, *ovsdb.Session) error { return want }); !errors.Is(err, want) {
			t.Errorf("Run returned %v; want %v", err, want)
		}
		goleak.VerifyNone(t, before)
	}
}

func TestSessionFollowsTheDatabase(t *testing.T) {
	s := startServer(t)
	s.transact(`{"op":"insert","table":"A","row":{"name":"old","count":1}}`)
	err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
		if diff := cmp.Diff(map[string]int{"old": 1}, counts(rows(session, "A"))); diff != "" {
			t.Errorf("first copy (-want +got):\n%s", diff)
		}
		s.transact(`{"op":"insert","table":"A","row":{"name":"new"}}`)
		s.transact(`{"op":"mutate","table":"A","where":[["name","==","old"]],"mutations":[["count","+=",6]]}`)
		return until(ctx, session, func() bool {
			return maps.Equal(counts(rows(session, "A")), map[string]int{"old": 7, "new": 0})
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTransact(t *testing.T) {
	s := startServer(t)
	noWait := 0
	wait := func(count int) rfc.Operation {
		return rfc.Operation{
			Op: rfc.OperationWait, Table: "A", Where: named("x"), Timeout: &noWait, Columns: []string{"count"},
			Until: string(rfc.WaitConditionEqual), Rows: []rfc.Row{{"count": count}},
		}
	}
	err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
		results, err := session.Transact(ctx, insert("A", "x", 1), add("A", "x", 2))
		if err != nil {
			return err
		}
		if results[0].UUID.GoUUID == "" || results[1].Count != 1 {
			t.Errorf("results %+v", results)
		}
		for _, c := range []struct {
			name       string
			operations []rfc.Operation
			want       ovsdb.Error // Class and Op
			stale      bool
		}{
			{"stale guard", []rfc.Operation{add("A", "x", 1), wait(1)}, ovsdb.Error{Class: "timed out", Op: 1}, true},
			{"type", []rfc.Operation{{Op: rfc.OperationInsert, Table: "A", Row: rfc.Row{"count": "many"}}}, ovsdb.Error{Class: "syntax error"}, false},
			// The index is checked after the operations and the commit.
			{"index", []rfc.Operation{insert("A", "x", 1)}, ovsdb.Error{Class: "constraint violation", Op: 2}, false},
		} {
			_, err := session.Transact(ctx, c.operations...)
			var refused *ovsdb.Error
			if !errors.As(err, &refused) {
				t.Errorf("%s: error is %v", c.name, err)
				continue
			}
			if refused.Class != c.want.Class || refused.Op != c.want.Op || refused.Details == "" {
				t.Errorf("%s: error is %#v; want %#v", c.name, *refused, c.want)
			}
			if errors.Is(err, ovsdb.ErrStale) != c.stale {
				t.Errorf("%s: ErrStale is not %v", c.name, c.stale)
			}
		}
		if _, err := session.Transact(ctx, wait(3), add("A", "x", 1)); err != nil {
			t.Errorf("with a guard that holds: %v", err)
		}
		// What the server refused left no trace.
		return until(ctx, session, func() bool { return maps.Equal(counts(rows(session, "A")), map[string]int{"x": 4}) })
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTransactHeedsItsContext(t *testing.T) {
	s := startServer(t)
	err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
		s.signal(syscall.SIGSTOP)
		defer s.signal(syscall.SIGCONT)
		ctx, done := context.WithTimeout(ctx, 20*time.Millisecond)
		defer done()
		_, err := session.Transact(ctx, insert("A", "x", 1))
		var refused *ovsdb.Error
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &refused) {
			t.Errorf("Transact returned %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestALookIsOfOneMoment changes both tables in each transaction: in every
// copy that is taken meanwhile they must say the same.
func TestALookIsOfOneMoment(t *testing.T) {
	s := startServer(t)
	const rows, transactions = 20, 200
	err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
		var first, each []rfc.Operation
		for i := range rows {
			name := fmt.Sprint(i)
			first = append(first, insert("A", name, 0), insert("B", name, 0))
			each = append(each, add("A", name, 1), add("B", name, 1))
		}
		if _, err := session.Transact(ctx, first...); err != nil {
			return err
		}
		written := make(chan error, 1)
		go func() {
			for range transactions {
				if _, err := session.Transact(ctx, each...); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		for copies := 0; ; copies++ {
			var a, b map[string]int
			session.Look(func(all ovsdb.Tables, _ ovsdb.Changes) { a, b = counts(all["A"]), counts(all["B"]) })
			if diff := cmp.Diff(a, b); diff != "" || len(a) != rows {
				return fmt.Errorf("copy %d is torn (-A +B):\n%s", copies, diff)
			}
			for name, count := range a {
				if count != a["0"] {
					return fmt.Errorf("copy %d is torn: row %s has %d, row 0 has %d", copies, name, count, a["0"])
				}
			}
			select {
			case err := <-written:
				return err
			default:
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSessionEndsWithTheServer(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*server)
	}{
		{"killed", func(s *server) { s.kill() }},
		{"stopped", func(s *server) { s.signal(syscall.SIGSTOP) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startServer(t)
			cfg := config(t, s.endpoint())
			cfg.ProbeInterval, cfg.ProbeTimeout = 10*time.Millisecond, 100*time.Millisecond
			var ended *ovsdb.Session
			before := goleak.IgnoreCurrent()
			err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
				ended = session
				c.end(s)
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, ovsdb.ErrLost) {
					t.Errorf("the context ended with %v", cause)
				}
				return ctx.Err()
			})
			if !errors.Is(err, ovsdb.ErrLost) {
				t.Errorf("Run returned %v", err)
			}
			goleak.VerifyNone(t, before)
			if ended.Look(func(all ovsdb.Tables, _ ovsdb.Changes) { t.Errorf("an ended session has tables: %v", all) }) {
				t.Error("an ended session can be looked at")
			}
			if _, err := ended.Transact(t.Context(), insert("A", "late", 1)); err == nil {
				t.Error("an ended session commits")
			}
		})
	}
}

// TestTransactionEndsWithItsSession sends more than a socket holds to a server
// that does not read.
func TestTransactionEndsWithItsSession(t *testing.T) {
	s := startServer(t)
	cfg := config(t, s.endpoint())
	cfg.ProbeInterval, cfg.ProbeTimeout = 10*time.Millisecond, 100*time.Millisecond
	err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
		s.signal(syscall.SIGSTOP)
		_, err := session.Transact(context.WithoutCancel(ctx), insert("A", strings.Repeat("x", 8<<20), 1))
		if !errors.Is(err, ovsdb.ErrLost) {
			t.Errorf("Transact returned %v", err)
		}
		return ctx.Err()
	})
	if !errors.Is(err, ovsdb.ErrLost) {
		t.Errorf("Run returned %v", err)
	}
}

// TestSessionEndsWhenItsCopyBreaks lets a value arrive that the Go type cannot
// hold.
func TestSessionEndsWhenItsCopyBreaks(t *testing.T) {
	type wrong struct {
		UUID  string `ovsdb:"_uuid"`
		Count bool   `ovsdb:"count"`
	}
	s := startServer(t)
	cfg := config(t, s.endpoint())
	var err error
	if cfg.Model, err = model.NewClientDBModel("Test", map[string]model.Model{"A": &wrong{}}); err != nil {
		t.Fatal(err)
	}
	err = ovsdb.Run(t.Context(), cfg, func(ctx context.Context, _ *ovsdb.Session) error {
		s.transact(`{"op":"insert","table":"A","row":{"name":"x","count":1}}`)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, ovsdb.ErrLost) || !strings.Contains(err.Error(), "not a boolean") {
		t.Errorf("Run returned %v", err)
	}
}

func TestKeep(t *testing.T) {
	s := startServer(t)
	s.transact(`{"op":"insert","table":"A","row":{"name":"kept","count":1}}`)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var reasons []error
	sessions := 0
	ovsdb.Keep(ctx, config(t, s.endpoint()),
		func(ctx context.Context, session *ovsdb.Session) error {
			sessions++
			if diff := cmp.Diff(map[string]int{"kept": 1}, counts(rows(session, "A"))); diff != "" {
				t.Errorf("session %d (-want +got):\n%s", sessions, diff)
			}
			switch sessions {
			case 1:
				s.kill()
				<-ctx.Done()
			case 2:
				return errors.New("from use")
			case 3:
				stop()
			}
			return ctx.Err()
		},
		func(err error) {
			reasons = append(reasons, err)
			if s.cmd == nil {
				s.start()
			}
		})
	if sessions != 3 {
		t.Errorf("%d sessions; want 3", sessions)
	}
	if len(reasons) != 2 || !errors.Is(reasons[0], ovsdb.ErrLost) || reasons[1].Error() != "from use" {
		t.Errorf("reasons: %v", reasons)
	}
}
