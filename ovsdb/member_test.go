package ovsdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

// TestAServerThatLostItsCluster follows a database by a follower, and by a relay, whose
// cluster goes: the session ends and says why, and no other begins until it is back.
func TestAServerThatLostItsCluster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		says string
	}{
		{"follower", "not connected to the majority of its cluster"},
		{"relay", "a relay that does not reach"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cluster := ovstest.StartCluster(t, write(t, testSchema), "Test", 3)
			leader := cluster.Leader()
			var followers []*ovstest.Server
			for _, m := range cluster.Members {
				if m != leader {
					followers = append(followers, m)
				}
			}
			out := []*ovstest.Server{leader, followers[1]}
			server := followers[0]
			if c.name == "relay" {
				server = ovstest.StartRelay(t, "Test", cluster.Endpoints()...)
				out = append(out, followers[0])
			}
			cfg := config(t, server.Endpoint())
			cfg.Member = ovsdb.Connected
			run := func(use func(ctx context.Context, session *ovsdb.Session) error) error {
				return ovsdb.Run(t.Context(), cfg, use)
			}
			end := func(ctx context.Context, _ *ovsdb.Session) error { return ctx.Err() }
			ovstest.Eventually(t, "there is a session", func() error { return run(end) })
			err := run(func(ctx context.Context, _ *ovsdb.Session) error {
				for _, m := range out {
					m.Stop()
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if !errors.Is(err, ovsdb.ErrLost) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the session ended with %v; want one that says %q", err, c.says)
			}
			if err := run(end); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("a session with a server that has lost its cluster: %v; want an error that says %q", err, c.says)
			}
			for _, m := range out {
				m.Start()
			}
			ovstest.Eventually(t, "there is a session again", func() error { return run(end) })
		})
	}
}

// TestAnElectionEndsNoSession follows a database by a follower and by a relay of it while another
// member begins to lead.
func TestAnElectionEndsNoSession(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, write(t, testSchema), "Test", 3)
	leader := cluster.Leader()
	for _, m := range cluster.Members {
		if m == leader {
			continue
		}
		relay := ovstest.StartRelay(t, "Test", m.Endpoint())
		for _, server := range []*ovstest.Server{m, relay} {
			cfg := config(t, server.Endpoint())
			cfg.Member = ovsdb.Connected
			ended := make(chan error, 1)
			begun := make(chan *ovsdb.Session, 1)
			ctx, stop := context.WithCancelCause(t.Context())
			go func() {
				ended <- ovsdb.Run(ctx, cfg, func(ctx context.Context, session *ovsdb.Session) error {
					begun <- session
					<-ctx.Done()
					return context.Cause(ctx)
				})
			}()
			wanted := errors.New("enough")
			defer func() {
				stop(wanted)
				if err := <-ended; !errors.Is(err, wanted) {
					t.Errorf("the session with %s ended with %v", server.Endpoint(), err)
				}
			}()
			select {
			case <-begun:
			case err := <-ended:
				ended <- err
				return
			}
		}
	}
	leader.Stop()
	next := cluster.Leader()
	reaches(t, config(t, next.Endpoint())) // and so the others hear of a new entry
	leader.Start()
	cluster.Leader()
}

// TestSessionsAreSpread opens sessions with several servers that will do, and ends them
// by an error of the server.
func TestSessionsAreSpread(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, write(t, testSchema), "Test", 3)
	cluster.Leader()
	cfg := config(t, cluster.Endpoints()...)
	cfg.Member = ovsdb.Connected
	chosen := map[string]int{}
	ovstest.Eventually(t, "each server was chosen", func() error {
		err := ovsdb.Run(t.Context(), cfg, func(_ context.Context, session *ovsdb.Session) error {
			chosen[session.Endpoint()]++
			return nil
		})
		if err != nil || len(chosen) < 3 {
			return fmt.Errorf("chosen: %v; %w", chosen, err)
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	last, sessions, again := "", 0, 0
	ovsdb.Keep(ctx, cfg, func(_ context.Context, session *ovsdb.Session) error {
		if session.Endpoint() == last {
			again++
		}
		last = session.Endpoint()
		if sessions++; sessions == 14 {
			stop()
		}
		return errors.New("it broke")
	}, func(error) {})
	// Never, unless the others were silent for a while because the machine is busy. By chance it would be five times.
	if again > 2 {
		t.Errorf("%d sessions of %d are with the server that the one before broke with", again, sessions)
	}
}
