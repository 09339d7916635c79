package history

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// alikePeriod is for how long what is alike is counted.
	alikePeriod = 10 * time.Minute
	// maxAlike bounds what is told apart. All others of a kind count as alike.
	maxAlike = 4096
)

// repetitions are what was told in the last minutes, by its key.
type repetitions map[string]*repetition

// repetition counts what came after the first.
type repetition struct {
	began time.Time // of the period
	last  Entry
	since time.Time // when the first one came that was only counted
	count int
}

// first reports whether an entry is to be told at once.
func (r repetitions) first(key string, e *Entry, now time.Time) bool {
	if e.Time.IsZero() {
		e.Time = now
	}
	known := r[key]
	if known == nil && len(r) >= maxAlike {
		key = e.Kind
		if known = r[key]; known == nil {
			known = &repetition{began: now}
			r[key] = known
		}
	}
	if known == nil {
		r[key] = &repetition{began: now}
		return true
	}
	if known.count++; known.count == 1 {
		known.since = e.Time
	}
	known.last = *e
	return false
}

// over returns entries for what was counted in periods that are over. What keeps coming
// goes on being counted.
func (r repetitions) over(now time.Time, all bool) []Entry {
	var entries []Entry
	for _, key := range slices.Sorted(maps.Keys(r)) {
		known := r[key]
		switch {
		case !all && now.Sub(known.began) < alikePeriod && !now.Before(known.began):
			continue
		case known.count == 0:
			delete(r, key)
			continue
		}
		e := known.last
		e.Count, e.Since = known.count, known.since.UTC().Truncate(time.Millisecond)
		e.Text = fmt.Sprintf("%s (%d times since %s)", e.Text, e.Count, e.Since.Format("15:04:05"))
		entries = append(entries, e)
		*known = repetition{began: now}
	}
	return entries
}
