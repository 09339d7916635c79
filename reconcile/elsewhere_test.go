package reconcile_test

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/reconcile"
	"github.com/isonet/isonet/report"
)

// elsewhere is a world in whose store others write what does not concern this host.
type elsewhere struct {
	*world
	mu       sync.Mutex
	revision int64
	replaced chan struct{}
}

func (e *elsewhere) Newest() (*model.Desired, int64, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Snapshot(), e.revision, e.replaced
}

// write makes a new revision, and tells who waits for one.
func (e *elsewhere) write() (revision int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revision++
	close(e.replaced)
	e.replaced = make(chan struct{})
	return e.revision
}

// TestNoPassForWhatIsElsewhere lets others write a thousand times: the host makes no
// pass, wakes nobody, and still says that it is as the newest revision asks.
func TestNoPassForWhatIsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newWorld(t, plan.Port{UUID: "p", Name: "vm", Tag: -1, Interfaces: []plan.Interface{{UUID: "i", Name: "vm", OFPort: 3, MTURequest: 1500}}}, tap("vm"))
		e := &elsewhere{world: w, revision: w.desired.Revision, replaced: make(chan struct{})}
		seen := &results{count: map[string]int{}}
		loop := reconcile.New(e, w, seen, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- loop.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if got := loop.Status().Networks[n.ID]; got.State != report.Active {
			t.Fatalf("the network is %+v", got)
		}
		before, changed := maps.Clone(seen.count), loop.Changed()
		var revision int64
		for range 1000 {
			revision = e.write()
			synctest.Wait()
		}
		if !maps.Equal(before, seen.count) {
			t.Errorf("the results of passes went from %v to %v", before, seen.count)
		}
		select {
		case <-changed:
			t.Error("who follows the status was woken")
		default:
		}
		if got := loop.Status().Revision; got != revision {
			t.Errorf("the revision is %d; want %d", got, revision)
		}
		waited := make(chan error)
		go func() { waited <- loop.WaitFor(t.Context(), revision+1, n.ID) }()
		synctest.Wait()
		e.write()
		if err := <-waited; err != nil {
			t.Errorf("who waits for the next revision gets %v", err)
		}
	})
}
