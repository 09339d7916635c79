package store_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

const schemaFile = "isolated-networks.ovsschema"

// TestTheLeaderHangs stops the leader under a store that follows it: the store goes on
// with the next one.
func TestTheLeaderHangs(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, schemaFile, store.Database, 3)
	s := remote(t, cluster.Endpoints()...)
	s.must(adding("before"))
	hung := cluster.Leader()
	hung.Signal(syscall.SIGSTOP)
	defer hung.Signal(syscall.SIGCONT)
	ovstest.Eventually(t, "the store writes again", func() error {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		defer done()
		_, err := s.Update(ctx, adding("after"))
		if err != nil && strings.Contains(err.Error(), "already") { // the outcome of the one before was unknown
			return nil
		}
		return err
	})
}

// TestARelayThatLostItsClusterIsStale follows a store by relays of a server that goes.
func TestARelayThatLostItsClusterIsStale(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, schemaFile, store.Database, 1)
	writer := remote(t, cluster.Endpoints()...)
	writer.must(adding("red"))
	relay := ovstest.StartRelay(t, store.Database, cluster.Endpoints()...)
	s := remote(t, relay.Endpoint())
	s.until("red", func(d *model.Desired) bool { _, there := d.NetworkByName("red"); return there })
	cluster.Members[0].Stop()
	ovstest.Eventually(t, "the store says that it is stale", func() error {
		since, err := s.Trouble()
		if since.IsZero() || err == nil || !strings.Contains(err.Error(), "a relay that does not reach") {
			return fmt.Errorf("trouble since %v: %w", since, err)
		}
		return nil
	})
	if _, there := s.Snapshot().NetworkByName("red"); !there {
		t.Error("what was known before is gone")
	}
	cluster.Members[0].Start()
	ovstest.Eventually(t, "the store follows again", func() error { _, err := s.Trouble(); return err })
}

// TestWritingByRelays writes by one of several relays, which is all that hosts of a fleet
// reach.
func TestWritingByRelays(t *testing.T) {
	t.Parallel()
	cluster := ovstest.StartCluster(t, schemaFile, store.Database, 1)
	remote(t, cluster.Endpoints()...).must(adding("red"))
	s := remote(t, ovstest.StartRelay(t, store.Database, cluster.Endpoints()...).Endpoint(), ovstest.StartRelay(t, store.Database, cluster.Endpoints()...).Endpoint())
	s.must(adding("blue"))
	s.until("blue", func(d *model.Desired) bool { _, there := d.NetworkByName("blue"); return there })
}
