// Package device watches the network devices of the namespace that the process
// is in: the kernel's evidence of what is plugged into a bridge.
package device

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

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
	devices map[int]plan.Device    // by ifindex; nil before the first dump
	links   map[string]plan.Device // what Links returns; nil when it is to be made
	changed chan struct{}
}

// New returns a Watcher; Run runs it.
func New(logger *slog.Logger) *Watcher {
	return &Watcher{logger: logger, receiveBuffer: receiveBuffer, changed: make(chan struct{})}
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

// Links returns the devices by name, nil before they are known. A map that was
// returned is never changed. It is made when it is asked for: following a
// change costs the same among three devices and three thousand.
func (w *Watcher) Links() map[string]plan.Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == nil && w.devices != nil {
		w.links = make(map[string]plan.Device, len(w.devices))
		for _, device := range w.devices {
			w.links[device.Name] = device
		}
	}
	return w.links
}

// Changed returns a channel that is closed when Links changes.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// follow lasts as long as one subscription.
func (w *Watcher) follow(ctx context.Context) error {
	s, err := subscribe(w.receiveBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	defer context.AfterFunc(ctx, s.close)()
	t := newTable()
	// The subscription is older than the dump, so what changes meanwhile comes
	// as messages. They are read before anything is published: the oldest of
	// them may be older than the dump.
	if err := dump(t); err != nil {
		return err
	}
	w.touchKnown(t)
	for wait := false; ; wait = true {
		messages, err := s.receive(wait)
		if err != nil {
			return err
		}
		for _, m := range messages {
			m.change(t)
		}
		if err := reread(t); err != nil {
			return err
		}
		w.publish(t)
	}
}

// touchKnown makes the next publish look at the devices of an earlier
// subscription: some may have gone.
func (w *Watcher) touchKnown(t *table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for index := range w.devices {
		t.touch(index)
	}
}

// publish takes over what the table was told since the last publish, and wakes
// those who wait if that changes anything.
func (w *Watcher) publish(t *table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.devices == nil {
		w.devices = map[int]plan.Device{}
	}
	changed := false
	for index := range t.touched {
		before, was := w.devices[index]
		now, is := t.device(index)
		if was == is && reflect.DeepEqual(before, now) {
			continue
		}
		changed = true
		if is {
			w.devices[index] = now
		} else {
			delete(w.devices, index)
		}
	}
	clear(t.touched)
	if changed {
		w.links = nil
		close(w.changed)
		w.changed = make(chan struct{})
	}
}
