package native

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/wire"
)

// maxEntries bounds the entries of one reply.
const maxEntries = 10000

// selection says which entries of the history a client wants.
type selection struct {
	from          int64
	since         time.Time
	user, network string
	most          int
}

// selected reads what a client wants. Unlike what oVirt's clients send it must be right.
func selected(c *rest.Call) (s selection, err error) {
	q := c.Query()
	s = selection{user: q.Get("user"), network: q.Get("network"), most: maxEntries}
	if text := q.Get("from"); text != "" {
		if s.from, err = strconv.ParseInt(text, 10, 64); err != nil || s.from < 0 {
			return s, rest.Refuse(rest.ErrValue, "The value %q of from is no index: use a number from 0.", text)
		}
	}
	if text := q.Get("max"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return s, rest.Refuse(rest.ErrValue, "The value %q of max is no number: use one from 0.", text)
		}
		s.most = min(n, maxEntries)
	}
	if text := q.Get("since"); text != "" {
		if s.since, err = time.Parse(time.RFC3339, text); err != nil {
			return s, rest.Refuse(rest.ErrValue, "The value %q of since is no time: use one such as 2026-01-02T15:04:05Z.", text)
		}
	}
	return s, nil
}

// fits reports whether an entry is one of those.
func (s selection) fits(e history.Entry) bool {
	return !e.Time.Before(s.since) && (s.user == "" || history.By(e, s.user)) && (s.network == "" || history.About(e, s.network))
}

// find returns the newest of those entries, the newest first, and the index of the
// newest entry of all.
func (s selection) find(h *history.Store) (found []wire.HistoryEntry, newest int64, err error) {
	found, newest = []wire.HistoryEntry{}, s.from
	for e, err := range h.Entries(s.from) {
		if err != nil {
			return nil, 0, err
		}
		newest = max(newest, e.Index)
		if len(found) == s.most {
			break
		}
		if s.fits(e) {
			found = append(found, e)
		}
	}
	return found, newest, nil
}

// getHistory tells who did what, the newest first. With watch it tells the oldest
// first, in a line of JSON each, and goes on with what is done from now on.
func (r resources) getHistory(c *rest.Call) error {
	s, err := selected(c)
	if err != nil {
		return err
	}
	if !r.History.Health().On {
		return rest.Refuse(rest.ErrNoResource, "isonetd keeps no history: its option history-size is 0.")
	}
	if c.Flag("watch") {
		return r.followHistory(c, s)
	}
	found, _, err := s.find(r.History)
	if err != nil {
		return err
	}
	return c.SendJSON(http.StatusOK, wire.History{Entries: found})
}

func (r resources) followHistory(c *rest.Call, s selection) error {
	stream, err := c.Stream("application/x-ndjson")
	if err != nil || stream == nil {
		return err
	}
	for {
		changed := r.History.Changed()
		found, newest, err := s.find(r.History)
		if err != nil {
			return err
		}
		for i := len(found) - 1; i >= 0; i-- {
			line, err := json.Marshal(found[i])
			if err != nil {
				return err
			}
			if stream.Line(line) != nil {
				return nil // the client is gone
			}
		}
		if s.from, s.most = newest, math.MaxInt; !stream.Wait(changed) {
			return nil
		}
	}
}
