package ovsdb

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// The pauses between two attempts to open a session.
	firstPause = 20 * time.Millisecond
	maxPause   = 2 * time.Second
	// spread is the longest first pause of many clients that lose the same server: it
	// must copy what each follows.
	spread = 600 * time.Millisecond
	// saying is how often at most it is logged that attempts fail for other reasons
	// than the one before: a server that hangs has several that take turns.
	saying = time.Minute
)

// Keep runs one session after the other until ctx ends, as Repeat does. With Member
// Connected it tries the server of a session that broke last.
func Keep(ctx context.Context, cfg Config, use func(ctx context.Context, s *Session) error, ended func(err error)) {
	pause := quickly()
	if cfg.Many {
		pause.InitialInterval, pause.RandomizationFactor = spread/2, 1 // from none to twice that
	}
	repeat(ctx, cfg.Logger, pause, func(ctx context.Context, opened func()) error {
		return Run(ctx, cfg, func(ctx context.Context, s *Session) error {
			opened()
			cfg.last = s.Endpoint()
			return use(ctx, s)
		})
	}, ended)
}

// quickly returns pauses that are short at first.
func quickly() *backoff.ExponentialBackOff {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	return pause
}

// Repeat calls run, which has one session with a database and calls opened when
// it has begun, again and again until ctx ends. Between two sessions it pauses,
// up to 2 seconds when they keep failing at once. It tells ended why each
// session ended or could not begin, and logs that when it is news: the first time, and
// other reasons once a minute.
func Repeat(ctx context.Context, log *slog.Logger, run func(ctx context.Context, opened func()) error, ended func(err error)) {
	repeat(ctx, log, quickly(), run, ended)
}

func repeat(ctx context.Context, log *slog.Logger, pause *backoff.ExponentialBackOff, run func(ctx context.Context, opened func()) error, ended func(err error)) {
	said, at := "", time.Time{}
	for {
		start := time.Now()
		err := run(ctx, func() { said, at = "", time.Time{} })
		if ctx.Err() != nil {
			return
		}
		ended(err)
		if err != nil && err.Error() != said && time.Since(at) > saying {
			said, at = err.Error(), time.Now()
			log.Warn("no session with the database; trying again until there is one", "error", err)
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
