package rest

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func tryWrong(t *testing.T, b *brake, address netip.Addr) {
	t.Helper()
	try, err := b.begin(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	b.end(try, ErrUnauthorized)
}

func TestTheBrakeForgets(t *testing.T) {
	c := newClock()
	b := newBrake(c.now)
	address := netip.MustParseAddr("10.0.0.1")
	for range freeTries {
		tryWrong(t, b, address)
	}
	if b.wait(address) == 0 {
		t.Error("an address need not wait after too many wrong passwords")
	}
	c.pass(brakeMemory + 1)
	for range freeTries {
		if b.wait(address) != 0 {
			t.Error("an address waits for what it did long ago")
		}
		tryWrong(t, b, address)
	}
	c.pass(time.Minute)
	try, err := b.begin(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	b.end(try, nil)
	tryWrong(t, b, address)
	if b.wait(address) != 0 {
		t.Error("an address waits although it had the right password")
	}
}

// The memory for addresses is bounded, and who was wrong just now stays in it.
func TestTheBrakeIsBounded(t *testing.T) {
	c := newClock()
	b := newBrake(c.now)
	guessing := netip.MustParseAddr("10.255.255.255")
	for range freeTries {
		tryWrong(t, b, guessing)
	}
	other := netip.MustParseAddr("10.0.0.0")
	for range 2 * maxBraked {
		tryWrong(t, b, other)
		other = other.Next()
		if b.wait(guessing) == 0 {
			c.pass(time.Second)
			tryWrong(t, b, guessing)
		}
		c.pass(time.Millisecond)
	}
	if len(b.tries) > maxBraked || b.order.Len() != len(b.tries) {
		t.Errorf("%d addresses are remembered, %d in order", len(b.tries), b.order.Len())
	}
}

// However many connections an address has, its passwords are checked one after the
// other, and no more than are free.
func TestTriesOfAnAddressTakeTurns(t *testing.T) {
	b := newBrake(newClock().now)
	address := netip.MustParseAddr("10.0.0.1")
	var checked, now atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			try, err := b.begin(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			if now.Add(1) > 1 {
				t.Error("two tries of one address at once")
			}
			err = ErrTooMany
			if b.wait(address) == 0 {
				checked.Add(1)
				err = ErrUnauthorized
			}
			now.Add(-1)
			b.end(try, err)
		})
	}
	group.Wait()
	if got := checked.Load(); got != freeTries {
		t.Errorf("%d passwords were checked, want %d", got, freeTries)
	}
	held, err := b.begin(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.begin(ctx, address); !errors.Is(err, context.Canceled) {
		t.Errorf("a try whose client is gone: %v", err)
	}
	b.end(held, nil)
}
