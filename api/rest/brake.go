package rest

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// freeTries is how many wrong passwords an address may send before it waits.
	freeTries = 5
	// longestBrake is the longest that it waits after one, and brakeMemory how long
	// its wrong passwords count.
	longestBrake = time.Minute
	brakeMemory  = 15 * time.Minute
	// maxBraked bounds the addresses that are remembered. The one goes that was wrong
	// for the longest time.
	maxBraked = 4096
)

// brake slows down whoever guesses passwords, by the address. It does not lock users
// out, so that nobody can do that to them from elsewhere.
type brake struct {
	now func() time.Time

	mu sync.Mutex
	// tries are by address, and in the list the last one to be wrong is the last.
	tries map[netip.Addr]*list.Element
	order *list.List
}

// tried is what an address has tried.
type tried struct {
	address netip.Addr
	wrong   int
	last    time.Time
	// turn is held by the one try of the address that is on its way.
	turn chan struct{}
}

func newBrake(now func() time.Time) *brake {
	return &brake{now: now, tries: map[netip.Addr]*list.Element{}, order: list.New()}
}

// wait is how long an address has to wait before it may try again; 0 is none.
func (b *brake) wait(address netip.Addr) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.tries[address]
	if e == nil {
		return 0
	}
	t, now := e.Value.(*tried), b.now()
	if now.Sub(t.last) > brakeMemory {
		t.wrong = 0
	}
	return max(0, t.last.Add(waitAfter(t.wrong)).Sub(now))
}

// waitAfter is how long an address waits after so many wrong passwords.
func waitAfter(wrong int) time.Duration {
	if wrong < freeTries {
		return 0
	}
	return min(longestBrake, time.Second<<min(wrong-freeTries, 10)) // 2^10 s are longer than the longest
}

// begin waits for the turn of a try: those of one address go one after the other, so
// that no more of them are checked than the brake lets pass. Whoever begins ends.
func (b *brake) begin(ctx context.Context, address netip.Addr) (*tried, error) {
	b.mu.Lock()
	e := b.tries[address]
	if e == nil {
		if b.order.Len() >= maxBraked {
			b.forget(b.order.Front())
		}
		e = b.order.PushBack(&tried{address: address, turn: make(chan struct{}, 1)})
		b.tries[address] = e
	}
	t := e.Value.(*tried)
	b.mu.Unlock()
	select {
	case t.turn <- struct{}{}:
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end ends a try with what came of it: a right password clears the address, a wrong one
// counts, and what was not checked does neither.
func (b *brake) end(t *tried, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	<-t.turn
	switch e := b.tries[t.address]; {
	case e == nil || e.Value.(*tried) != t: // it was forgotten meanwhile
	case err == nil:
		b.forget(e)
	case errors.Is(err, ErrUnauthorized):
		t.wrong++
		t.last = b.now()
		b.order.MoveToBack(e)
	}
}

func (b *brake) forget(e *list.Element) {
	b.order.Remove(e)
	delete(b.tries, e.Value.(*tried).address)
}
