package ovstest

import (
	"runtime"
	"testing"

	"github.com/vishvananda/netns"
)

// Inside calls f in a network namespace. It needs root.
func Inside(t testing.TB, namespace string, f func() error) {
	t.Helper()
	if err := <-GoInside(namespace, f); err != nil {
		t.Fatalf("in namespace %s: %v", namespace, err)
	}
}

// GoInside starts f in a network namespace, on a thread of its own that ends
// with it. The channel yields what f returns.
func GoInside(namespace string, f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: so the runtime ends the thread with the goroutine
		handle, err := netns.GetFromName(namespace)
		if err != nil {
			done <- err
			return
		}
		err = netns.Set(handle)
		_ = handle.Close() // it was read only
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return done
}
