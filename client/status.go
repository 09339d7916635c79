package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/isonet/isonet/wire"
)

// Status returns how the networks of the daemon's host stand, sorted by name.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	var s wire.Status
	err := c.call(ctx, http.MethodGet, "/isonet/status", nil, nil, &s)
	return s, cmp.Or(err, known(s))
}

// known refuses a status whose members may mean something else.
func known(s wire.Status) error {
	if s.WireVersion <= wire.Version {
		return nil
	}
	return fmt.Errorf("%w that this program knows: it writes version %d of its form, and %d is known; use a newer program",
		ErrNotIsonetd, s.WireVersion, wire.Version)
}

// The pauses of Watch between two attempts, each twice the one before.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Watch yields the status at once and after each change, always a whole one.
// Changes that come faster than the loop goes round become one.
//
// When the stream breaks off or cannot begin, Watch yields the error, with a
// status that is empty. A loop that goes on after it makes Watch connect again,
// after a pause of 100 milliseconds that grows to 5 seconds while that fails. The
// loop ends when ctx ends, and by break.
func (c *Client) Watch(ctx context.Context) iter.Seq2[wire.Status, error] {
	return again(ctx, c.stream)
}

// again yields what one connection after the other tells, and between them the errors.
func again[T any](ctx context.Context, connection func(ctx context.Context, each func(T) bool) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, mostPause) {
			left := false
			err := connection(ctx, func(told T) bool {
				pause = firstPause
				left = !yield(told, nil)
				return !left
			})
			var nothing T
			if left || ctx.Err() != nil || !yield(nothing, err) {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// stream passes on what one connection tells, for as long as each returns true.
func (c *Client) stream(ctx context.Context, each func(wire.Status) bool) error {
	const path = "/isonet/watch"
	resp, err := c.send(ctx, http.MethodGet, path, onlyIf("deltas", true), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	var replica wire.Replica
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // keeps the connection alive
		}
		var line wire.Delta
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNotIsonetd, path, err)
		}
		s, err := replica.Apply(line)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrUnknown, path, err)
		}
		if err := known(s); err != nil {
			return err
		}
		if !each(s) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return errEnded
}

// errEnded says that the daemon ended a stream.
var errEnded = fmt.Errorf("%w: it ended the stream, for instance because it was stopped", ErrUnreachable)
