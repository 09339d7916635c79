package ovsdb_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/isonet/isonet/ovsdb"
)

// locking runs a session that asks for the lock until the returned function is
// called.
func locking(t *testing.T, s *server) (*ovsdb.Session, func()) {
	t.Helper()
	cfg := config(t, s.endpoint())
	cfg.Lock = "isonet"
	ctx, cancel := context.WithCancel(t.Context())
	sessions, ended := make(chan *ovsdb.Session, 1), make(chan error, 1)
	go func() {
		ended <- ovsdb.Run(ctx, cfg, func(ctx context.Context, session *ovsdb.Session) error {
			sessions <- session
			<-ctx.Done()
			return nil
		})
	}()
	select {
	case session := <-sessions:
		stop := func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the session ended with %v", err)
			}
		}
		t.Cleanup(func() { cancel() })
		return session, stop
	case err := <-ended:
		cancel()
		t.Fatalf("no session: %v", err)
		return nil, nil
	}
}

func TestTheLockPassesOn(t *testing.T) {
	s := startServer(t)
	first, stopFirst := locking(t, s)
	second, stopSecond := locking(t, s)
	if !first.Owner() || second.Owner() {
		t.Fatalf("the first session has the lock: %t, the second: %t", first.Owner(), second.Owner())
	}
	results, err := first.Transact(t.Context(), insert("A", "x", 1), add("A", "x", 2))
	if err != nil {
		t.Fatal(err)
	}
	if results[0].UUID.GoUUID == "" || results[1].Count != 1 {
		t.Errorf("results %+v are not those of the operations", results)
	}
	var refused *ovsdb.Error
	if _, err := second.Transact(t.Context(), add("A", "x", 40)); !errors.Is(err, ovsdb.ErrNotOwner) || !errors.As(err, &refused) {
		t.Errorf("a transaction without the lock: %v; want ErrNotOwner", err)
	}
	if err := until(t.Context(), second, func() bool { return counts(rows(second, "A"))["x"] == 3 }); err != nil {
		t.Errorf("who waits for the lock does not follow the database: %v", err)
	}
	stopFirst()
	if err := until(t.Context(), second, second.Owner); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Transact(t.Context(), add("A", "x", 4)); err != nil {
		t.Errorf("the heir's transaction: %v", err)
	}
	stopSecond()
}

func TestAStolenLockIsLost(t *testing.T) {
	s := startServer(t)
	session, stop := locking(t, s)
	defer stop()
	// ovsdb-client keeps the lock until it is killed; it prints what it gets.
	thief := exec.CommandContext(t.Context(), "ovsdb-client", "steal", s.endpoint(), "isonet")
	var out strings.Builder
	thief.Stdout, thief.Stderr = &out, &out
	if err := thief.Start(); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), session, func() bool { return !session.Owner() }); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Transact(t.Context(), insert("A", "x", 1)); !errors.Is(err, ovsdb.ErrNotOwner) {
		t.Errorf("a transaction after the lock was stolen: %v; want ErrNotOwner", err)
	}
	if err := thief.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = thief.Wait() // it was killed
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestAServerThatDiesEndsASessionWithALock(t *testing.T) {
	s := startServer(t)
	cfg := config(t, s.endpoint())
	cfg.Lock = "isonet"
	err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, _ *ovsdb.Session) error {
		s.kill()
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, ovsdb.ErrLost) {
		t.Errorf("the session ended with %v; want ErrLost", err)
	}
}

// TestSessionsBeginWhileTheDatabaseChanges opens sessions while another one writes
// all the time: what the server tells between its answers holds up none of them.
func TestSessionsBeginWhileTheDatabaseChanges(t *testing.T) {
	s := startServer(t)
	writing, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- ovsdb.Run(writing, config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
			if _, err := session.Transact(ctx, insert("A", "x", 1)); err != nil {
				return err
			}
			for ctx.Err() == nil {
				if _, err := session.Transact(ctx, add("A", "x", 1)); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}()
	for range 200 {
		_, end := locking(t, s)
		end()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestALockIsStolen(t *testing.T) {
	s := startServer(t)
	first, stopFirst := locking(t, s)
	second, stopSecond := locking(t, s)
	if err := second.Steal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), first, func() bool { return !first.Owner() }); err != nil || !second.Owner() {
		t.Fatalf("the thief has the lock: %t, %v", second.Owner(), err)
	}
	if _, err := second.Transact(t.Context(), insert("A", "x", 1)); err != nil {
		t.Errorf("the thief's transaction: %v", err)
	}
	stopSecond()
	if err := until(t.Context(), first, first.Owner); err != nil {
		t.Errorf("the victim does not get the lock back: %v", err)
	}
	stopFirst()
}
