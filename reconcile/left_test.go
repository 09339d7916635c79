package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// TestAnotherHostsForceEnds takes networks with ports from the host, as the isonetd of
// another host writes that and then dies: one by force, one whose bridge is given back.
func TestAnotherHostsForceEnds(t *testing.T) {
	s := start(t)
	revision, ids := s.attach("red", "blue")
	s.realised(revision, ids...)
	s.links.set(tap("vm1"), tap("vm2"))
	s.ovs.Vsctl("--no-wait", "add-port", "red", "vm1", "--", "add-port", "blue", "vm2")
	s.update(func(d *model.Desired) error {
		d.Evict(s.host, ids[0])
		return model.Join(d.Detach(s.host, ids[0]), d.Release(s.host, ids[1]))
	})
	timeout := time.After(ovstest.Patience)
	for {
		changed := s.store.Changed()
		h := s.store.Snapshot().Hosts[s.host]
		if len(h.Evicted)+len(h.Released) == 0 {
			break
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("still leaving: %v, %v", h.Evicted, h.Released)
		}
	}
	if got := s.ovs.Vsctl("list-br"); got != "blue" {
		t.Errorf("the bridges are %q; want the one that was given back", got)
	}
}

// leaver is a world whose store does not always take what has left.
type leaver struct {
	*world
	refuse atomic.Int32
	asked  atomic.Int32
}

func (l *leaver) Left(context.Context, model.ID, ...model.ID) error {
	l.asked.Add(1)
	if l.refuse.Add(-1) >= 0 {
		return errors.New("permission error")
	}
	return nil
}

// TestWhatHasLeftIsToldOnce has an eviction that is done: a store that refuses is asked
// again, one that takes it is not, and the host is as it must be all the while.
func TestWhatHasLeftIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{UUID: "p", Name: "vm", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "vm", OFPort: 3, MTURequest: 1500}}}, tap("vm"))
		w.desired.Evict(model.HostID("host"), "gone")
		l := &leaver{world: w}
		l.refuse.Store(3)
		loop := reconcile.New(l, w, &results{count: map[string]int{}}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- loop.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(time.Hour)
		for range 10 {
			w.change(func(*plan.Actual) {})
			synctest.Wait()
		}
		if got := l.asked.Load(); got != 4 {
			t.Errorf("the store was asked %d times; want 4", got)
		}
		if got := loop.Status(); got.LastError != "" || got.Networks[n.ID].State != report.Active {
			t.Errorf("the status is %+v", got)
		}
	})
}
