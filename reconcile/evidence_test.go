package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// hanging is a switch whose Apply does not return before it is released.
type hanging struct {
	*world
	released chan struct{}
}

func (s hanging) Apply(context.Context, plan.Plan) (int, error) {
	<-s.released
	return 0, nil
}

// A change that does not come to an end makes verdicts unknown although everything
// answers, and those who wait for a change are told.
func TestAStuckLoopKnowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{UUID: "p", Name: "vm", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "vm", OFPort: 3, MTURequest: 1500}}}, tap("vm"))
		s := hanging{w, make(chan struct{})}
		loop := reconcile.New(w, s, ignore{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- loop.Run(ctx) }()
		synctest.Wait()
		if got := loop.Status().Network(n.ID); got.State != report.Active || !got.Isolation.Isolated() {
			t.Fatalf("at first: %+v", got)
		}
		w.change(func(a *plan.Actual) { // drift, which the loop puts back
			b := a.Bridges["red"]
			b.McastSnooping = true
			a.Bridges["red"] = b
		})
		time.Sleep(time.Second)
		changed := loop.Changed()
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
			t.Error("nobody is told within five seconds")
		}
		got, missing := loop.Status().Network(n.ID), loop.Status().Missing
		if got.State != report.Unknown || got.Isolation.Verdict != report.IsolationUnknown || len(missing) != 1 || missing[0].Ground != report.OnLoop {
			t.Errorf("verdict %+v, missing %+v", got, missing)
		}
		close(s.released)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Without the store the networks are known still, and it is told that what they
// should be is not.
func TestTheStoreIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{UUID: "p", Name: "vm", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "vm", OFPort: 3, MTURequest: 1500}}}, tap("vm"))
		loop := reconcile.New(w, w, ignore{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- loop.Run(ctx) }()
		synctest.Wait()
		w.mu.Lock()
		w.lost, w.trouble = time.Now(), errors.New("its server was stopped")
		w.mu.Unlock()
		time.Sleep(time.Second)
		if missing := loop.Status().Missing; len(missing) > 0 {
			t.Errorf("after a second %+v is missing", missing)
		}
		changed := loop.Changed()
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
			t.Error("nobody is told within five seconds")
		}
		got, missing := loop.Status().Network(n.ID), loop.Status().Missing
		if got.State != report.Active || len(missing) != 1 || missing[0].Ground != report.OnStore || !strings.Contains(missing[0].Cause, "its server was stopped") {
			t.Errorf("verdict %+v, missing %+v", got, missing)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type ignore struct{}

func (ignore) ObserveReconcile(time.Duration, string) {}
