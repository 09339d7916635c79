// Package links watches the network devices of the namespace that the process
// is in: the kernel's evidence of what is plugged into a bridge.
package links

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/model/plan"
)

const (
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
	// receiveBuffer is in bytes. A burst that does not fit costs a dump and
	// loses nothing.
	receiveBuffer = 4 << 20
)

// Watcher keeps a picture of all network devices by rtnetlink(7). It needs no
// capability.
type Watcher struct {
	logger        *slog.Logger
	receiveBuffer int

	mu      sync.Mutex
	links   *plan.Links // nil before the first dump
	changed chan struct{}
	doubted []int
	suspect []int  // ids of other namespaces to look into
	wake    func() // ends a receive; nil without a subscription

	// Of Run's goroutine: what cannot be read anew.
	above  above
	doubts *doubts
}

// New returns a Watcher; Run runs it.
func New(logger *slog.Logger) *Watcher {
	return &Watcher{logger: logger, receiveBuffer: receiveBuffer, changed: make(chan struct{}), above: above{}, doubts: newDoubts()}
}

// Run follows the devices of the network namespace of its thread until ctx
// ends. After the kernel dropped messages, or any other failure, it reads all
// devices anew; Links stays what it was meanwhile.
func (w *Watcher) Run(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	for {
		start := time.Now()
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		w.logger.Warn("reading all network devices anew", "error", err)
		if time.Since(start) > maxPause {
			pause.Reset()
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Links returns the devices, nil before they are known.
func (w *Watcher) Links() *plan.Links {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links
}

// Changed returns a channel that is closed when Links changes.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Doubt has the kernel asked about devices by their ifindexes, for who did
// something that the kernel does not tell of: it says nothing about IPv6 on a
// device without carrier. What is new makes other Links, as ever.
func (w *Watcher) Doubt(indexes ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubted = append(w.doubted, indexes...)
	if w.wake != nil {
		w.wake()
	}
}

// follow lasts as long as one subscription.
func (w *Watcher) follow(ctx context.Context) error {
	s, err := subscribe(w.receiveBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	defer context.AfterFunc(ctx, s.close)()
	w.subscribed(s.wake)
	defer w.subscribed(nil)
	stop, err := w.followElsewhere(ctx, s)
	if err != nil {
		return err
	}
	defer stop()
	t := newTable()
	t.above = w.above
	// The subscription is older than the dump, so what changes meanwhile comes
	// as messages. They are read before anything is published: the oldest of
	// them may be older than the dump.
	if err := dump(t); err != nil {
		return err
	}
	t.forgetAbove()
	t.doubts = w.doubts // what the dump tells is no change
	w.touchKnown(t)
	again := time.AfterFunc(maxAsk, s.wake)
	defer again.Stop()
	for wait := false; ; wait = true {
		messages, err := s.receive(wait)
		if err != nil {
			return err
		}
		for _, m := range messages {
			m.change(t)
		}
		w.takeDoubted(t)
		if err := errors.Join(reread(t), t.lookElsewhere()); err != nil {
			return err
		}
		t.doubts.ask(t)
		if err := s.askFeatures(t); err != nil {
			return err
		}
		w.publish(t)
		if len(t.doubts.devices) > 0 {
			again.Reset(t.doubts.next())
		}
	}
}

func (w *Watcher) subscribed(wake func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake = wake
}

func (w *Watcher) takeDoubted(t *table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, index := range w.doubted {
		t.doubt(index)
	}
	for _, nsid := range w.suspect {
		t.namespaces[nsid] = struct{}{}
	}
	w.doubted, w.suspect = nil, nil
}

// followElsewhere has what happens in other namespaces looked into until the
// function that it returns is called. When it fails, so does the subscription.
// Without the capability that it takes nothing is told of them.
func (w *Watcher) followElsewhere(ctx context.Context, s *subscription) (stop func(), err error) {
	other, err := subscribeElsewhere()
	if errors.Is(err, unix.EPERM) {
		w.logger.Warn("what is stacked on devices of VMs in other network namespaces is not seen: give isonetd CAP_NET_BROADCAST (systemd: AmbientCapabilities and CapabilityBoundingSet)", "error", err)
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		err := listenElsewhere(ctx, other, func(nsid int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.suspect = append(w.suspect, nsid)
			s.wake()
		})
		_ = other.Close() // nothing was written to it
		if ctx.Err() == nil {
			w.logger.Warn("what happens in other network namespaces was missed", "error", err)
			s.close()
		}
	})
	return func() {
		cancel()
		done.Wait()
	}, nil
}

// touchKnown makes the next publish look at the devices of an earlier
// subscription: some may have gone.
func (w *Watcher) touchKnown(t *table) {
	for d := range w.Links().All() {
		t.touch(d.Index)
	}
}

// publish takes over what the table was told since the last publish, and wakes
// those who wait if that changes anything.
func (w *Watcher) publish(t *table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone []int
	var changed []plan.Device
	for index := range t.touched {
		before, was := w.links.Index(index)
		switch now, is := t.device(index); {
		case is && (!was || !reflect.DeepEqual(before, now)):
			changed = append(changed, now)
		case was && !is:
			gone = append(gone, index)
		}
	}
	clear(t.touched)
	if w.links != nil && len(gone)+len(changed) == 0 {
		return
	}
	w.links = w.links.Change(gone, changed)
	close(w.changed)
	w.changed = make(chan struct{})
}
