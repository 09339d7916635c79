package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/isonet/isonet/wire"
)

// HistoryQuery says which entries of the history are wanted. The zero value is all.
type HistoryQuery struct {
	// From is an index: only entries with a greater one are wanted.
	From int64
	// Since is when they may have been at the earliest; zero is any time.
	Since time.Time
	// User is who did it: a user of the users file, or on the daemon's unix socket the
	// name or number of the user at the other end. "" is everybody.
	User string
	// Network is the name of a network that they are about; "" is any.
	Network string
	// Max is how many there are at the most, the newest; 0 leaves it to the daemon, which
	// tells at most 10,000.
	Max int
}

func (q HistoryQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"user": q.User, "network": q.Network} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.From > 0 {
		v.Set("from", strconv.FormatInt(q.From, 10))
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.Max > 0 {
		v.Set("max", strconv.Itoa(q.Max))
	}
	return v
}

// History returns who did what, the newest first. The error is an ErrNotFound where the
// daemon keeps no history.
func (c *Client) History(ctx context.Context, q HistoryQuery) ([]wire.HistoryEntry, error) {
	var h wire.History
	err := c.call(ctx, http.MethodGet, "/isonet/history", q.values(), nil, &h)
	return h.Entries, err
}

// FollowHistory yields who did what, the oldest first, and goes on with what is done from
// now on. When the stream breaks off or cannot begin, it yields the error, with an entry
// that is empty. A loop that goes on after it gets what was done meanwhile, and nothing
// twice; Watch says when. The loop ends when ctx ends, and by break.
func (c *Client) FollowHistory(ctx context.Context, q HistoryQuery) iter.Seq2[wire.HistoryEntry, error] {
	return again(ctx, func(ctx context.Context, each func(wire.HistoryEntry) bool) error {
		return c.history(ctx, q, func(e wire.HistoryEntry) bool {
			q.From, q.Max = e.Index, 0
			return each(e)
		})
	})
}

// history passes on what one connection tells, for as long as each returns true.
func (c *Client) history(ctx context.Context, q HistoryQuery, each func(wire.HistoryEntry) bool) error {
	const path = "/isonet/history"
	query := q.values()
	query.Set("watch", "true")
	resp, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var e wire.HistoryEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNotIsonetd, path, err)
		}
		if !each(e) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return errEnded
}
