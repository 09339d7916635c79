package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// headStart is how long a server may be silent before the next one is tried beside
// it. A server that was killed refuses at once; one that hangs, or whose machine is
// cut off, says nothing.
const headStart = 300 * time.Millisecond

// first returns the first connection that open makes to one of the endpoints, and
// closes others. It tries the next endpoint when one has failed, or has been silent
// for the head start, and ends with ctx: then nobody is the first.
func first(ctx context.Context, endpoints []string, open func(ctx context.Context, endpoint string) (*connection, error)) (*connection, error) {
	ctx, found := context.WithCancel(ctx)
	defer found()
	type outcome struct {
		at  int
		c   *connection
		err error
	}
	outcomes := make(chan outcome)
	begun, ended := 0, 0
	begin := func() {
		at := begun
		begun++
		go func() {
			c, err := open(ctx, endpoints[at])
			outcomes <- outcome{at, c, err}
		}()
	}
	begin()
	silence := time.NewTicker(headStart)
	defer silence.Stop()
	var winner *connection
	errs := make([]error, len(endpoints))
	for ended < begun {
		more := winner == nil && begun < len(endpoints)
		select {
		case o := <-outcomes:
			ended++
			switch {
			case o.err != nil:
				errs[o.at] = fmt.Errorf("connect to %s: %w", endpoints[o.at], o.err)
			case winner == nil:
				winner = o.c
				found()
				continue
			default:
				o.c.close()
			}
			if more {
				begin()
				silence.Reset(headStart)
			}
		case <-silence.C:
			if more {
				begin()
			}
		}
	}
	if winner == nil {
		return nil, errors.Join(errs...)
	}
	return winner, nil
}
