package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store"
)

// cutter passes messages between a store and its server and breaks the
// connection at a message that the test names.
type cutter struct {
	t      *testing.T
	server string
	listen net.Listener

	mu  sync.Mutex
	cut func(transaction []byte, forward func()) // for the next transaction that writes networks
	all map[net.Conn]bool
}

func newCutter(t *testing.T, dir string) *cutter {
	t.Helper()
	listen, err := net.Listen("unix", filepath.Join(tempDir(t), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, server: strings.TrimPrefix(endpoint(dir), "unix:"), listen: listen, all: map[net.Conn]bool{}}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listen.Close() // ends the loop below
		c.mu.Lock()
		for conn := range c.all {
			_ = conn.Close() // perhaps it is closed
		}
		c.mu.Unlock()
		running.Wait()
	})
	running.Go(func() {
		for {
			client, err := listen.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.serve(client) })
		}
	})
	return c
}

func (c *cutter) endpoint() string { return "unix:" + c.listen.Addr().String() }

// next says what to do with the next transaction instead of passing it on. The
// connection is broken afterwards.
func (c *cutter) next(cut func(transaction []byte, forward func())) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

func (c *cutter) take(message []byte) func([]byte, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !bytes.Contains(message, []byte(`"transact"`)) || !bytes.Contains(message, []byte(`"Network"`)) {
		return nil
	}
	cut := c.cut
	c.cut = nil
	return cut
}

func (c *cutter) serve(client net.Conn) {
	server, err := net.Dial("unix", c.server)
	if err != nil {
		_ = client.Close()
		return
	}
	c.mu.Lock()
	c.all[client], c.all[server] = true, true
	c.mu.Unlock()
	answers := make(chan struct{})
	muted := make(chan struct{})
	go func() {
		defer close(answers)
		defer func() { _ = client.Close() }()
		from := json.NewDecoder(server)
		for {
			var message json.RawMessage
			if from.Decode(&message) != nil {
				return
			}
			select {
			case <-muted: // the answer is lost on the way
				continue
			default:
			}
			if _, err := client.Write(message); err != nil {
				return
			}
		}
	}()
	from := json.NewDecoder(client)
	for {
		var message json.RawMessage
		if from.Decode(&message) != nil {
			break
		}
		if cut := c.take(message); cut != nil {
			close(muted)
			cut(message, func() { _, _ = server.Write(message) })
			break
		}
		if _, err := server.Write(message); err != nil {
			break
		}
	}
	_ = client.Close()
	_ = server.Close()
	<-answers
}

// TestConnectionBreaksInATransaction must leave nothing lost and nothing
// twice, whatever became of the transaction.
func TestConnectionBreaksInATransaction(t *testing.T) {
	dir := tempDir(t)
	direct := embedded(t, dir)
	cutter := newCutter(t, dir)
	s := remote(t, cutter.endpoint())
	direct.must(adding("counter"))

	others := func(n int) {
		for range n {
			direct.must(func(d *model.Desired) error {
				_, err := d.AddNetwork(model.Network{Name: "other " + strconv.Itoa(len(d.Networks))})
				return err
			})
		}
	}
	arrived := func(revision int64) {
		direct.until("the transaction arrives", func(d *model.Desired) bool { return d.Revision > revision })
	}
	for _, c := range []struct {
		name string
		cut  func(revision int64, forward func())
		runs int
	}{
		{"lost before the server", func(int64, func()) {}, 2},
		{"lost before the server, and others write", func(_ int64, _ func()) { others(3) }, 2},
		{"committed, the answer lost", func(revision int64, forward func()) {
			forward()
			arrived(revision)
		}, 1},
		{"committed, the answer lost, and others write", func(revision int64, forward func()) {
			forward()
			arrived(revision)
			others(3)
		}, 1},
		{"stale, the answer lost", func(_ int64, forward func()) {
			direct.must(commenting("counter", "by another"))
			forward()
		}, 2},
		{"committed, the answer lost, and others write much", func(revision int64, forward func()) {
			forward()
			arrived(revision)
			others(70)
		}, 1},
		{"lost before the server, and others write much", func(int64, func()) { others(70) }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := count(direct.Snapshot())
			revision := direct.Snapshot().Revision
			s.until("it sees the newest", func(d *model.Desired) bool { return d.Revision >= revision })
			cutter.next(func(_ []byte, forward func()) { c.cut(revision, forward) })
			runs := 0
			got, err := s.Update(t.Context(), func(d *model.Desired) error {
				runs++
				return counting(d)
			})
			if runs != c.runs {
				t.Errorf("the change ran %d times; want %d", runs, c.runs)
			}
			if err != nil || got <= revision {
				t.Errorf("Update: revision %d after %d, %v", got, revision, err)
			}
			direct.until("the change is there", func(d *model.Desired) bool { return d.Revision >= got })
			if after := count(direct.Snapshot()); after != before+1 {
				t.Errorf("counted from %d to %d; want one more", before, after)
			}
		})
	}
}

// TestOutcomeIsUnknown breaks the connection for good.
func TestOutcomeIsUnknown(t *testing.T) {
	dir := tempDir(t)
	direct := embedded(t, dir)
	cutter := newCutter(t, dir)
	s := remote(t, cutter.endpoint())
	cutter.next(func(_ []byte, forward func()) {
		_ = cutter.listen.Close() // closed again at the end
		forward()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		direct.until("it was made", func(d *model.Desired) bool { return len(d.Networks) == 1 })
		cancel()
	}()
	_, err := s.Update(ctx, adding("n"))
	if !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Update returned %v; want ErrUnknown", err)
	}
	ovstest.Eventually(t, "the loss is noticed", func() error {
		if s.Connected() {
			return errors.New("it says that it is connected")
		}
		return nil
	})
	// Now nothing is in doubt: the next one was certainly not sent.
	if _, err := s.Update(t.Context(), adding("m")); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Update returned %v; want ErrUnavailable", err)
	}
}
