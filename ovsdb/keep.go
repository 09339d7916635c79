package ovsdb

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The pauses between two attempts to open a session.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
)

// Keep runs one session after the other until ctx ends. Between two of them it
// pauses, up to 2 seconds when they keep failing at once. It tells ended why
// each session ended or could not begin, and logs that when it is news.
func Keep(ctx context.Context, cfg Config, use func(ctx context.Context, s *Session) error, ended func(err error)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	said := ""
	for {
		start := time.Now()
		err := Run(ctx, cfg, func(ctx context.Context, s *Session) error {
			said = ""
			return use(ctx, s)
		})
		if ctx.Err() != nil {
			return
		}
		ended(err)
		if err != nil && err.Error() != said {
			said = err.Error()
			cfg.Logger.Warn("no session with the database; trying again until there is one", "error", err)
		}
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
