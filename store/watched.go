package store

import "sync/atomic"

// watched is a value with one writer and any number of readers, who neither
// lock nor miss that it was replaced.
type watched[T any] struct {
	current atomic.Pointer[edition[T]]
}

type edition[T any] struct {
	value    T
	replaced chan struct{}
}

func newWatched[T any](value T) *watched[T] {
	w := &watched[T]{}
	w.current.Store(&edition[T]{value, make(chan struct{})})
	return w
}

// load returns the value, and a channel that is closed when the value is no
// longer the newest.
func (w *watched[T]) load() (T, <-chan struct{}) {
	e := w.current.Load()
	return e.value, e.replaced
}

func (w *watched[T]) replace(value T) {
	old := w.current.Swap(&edition[T]{value, make(chan struct{})})
	close(old.replaced)
}
