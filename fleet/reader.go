package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/report"
)

const (
	// firstLook is how long who asks a reader that has rested waits for the answer.
	firstLook = time.Second
	// agePause is how often it is looked which hosts have not been heard of.
	agePause = time.Second
)

// ReaderConfig says what a Reader follows.
type ReaderConfig struct {
	// Endpoints are OVSDB connection methods of the servers that have Database. One that
	// answers is followed: the hosts report to all of them.
	Endpoints []string
	// TLS is for ssl endpoints.
	TLS *tls.Config
	// SystemID returns the system-id of a host, "" for none. By it the row of a host is
	// found: it is what the host's certificate shows.
	SystemID func(host model.ID) string
	// Idle is for how long nobody asks until the reader rests; 0 is that it never does.
	Idle   time.Duration
	Logger *slog.Logger
}

// Reader answers of the hosts of a fleet from what they reported. Use NewReader.
type Reader struct {
	cfg ReaderConfig
	// asked receives a value when somebody asks.
	asked chan struct{}

	mu sync.Mutex
	// hosts are by their system-ids.
	hosts map[string]*heard
	// began is when the session began, zero while there is none, and lost why not.
	began time.Time
	lost  error
	// resting says that nobody has asked for a while. Woken is when somebody did then, or
	// when the reader began, and looked is closed when it has seen the rows.
	resting bool
	woken   time.Time
	looked  chan struct{}
	changed chan struct{}
}

// heard is what is known of a host.
type heard struct {
	row *hostRow
	// gone says that the row is not there any more.
	gone bool
	// last is when the heartbeat was seen to change.
	last time.Time
	// told is what the row tells, once somebody has asked; of an older row it tells what
	// is still so.
	told *told
	// liveness is the last one that was told of.
	liveness report.Liveness
}

// NewReader returns a reader that knows nothing. Run runs it.
func NewReader(cfg ReaderConfig) *Reader {
	return &Reader{
		cfg: cfg, resting: cfg.Idle > 0, woken: time.Now(), asked: make(chan struct{}, 1), hosts: map[string]*heard{}, lost: errors.New("it has not been reached yet"),
		looked: make(chan struct{}), changed: make(chan struct{}),
	}
}

// Run follows the reports until ctx ends, which is no error.
func (r *Reader) Run(ctx context.Context) error {
	m, err := databaseModel()
	if err != nil {
		return err
	}
	cfg := ovsdb.Config{
		Endpoints: r.cfg.Endpoints, Member: ovsdb.Connected, TLS: r.cfg.TLS, Model: m, Many: true, Logger: r.cfg.Logger,
		Conditions: ovsdb.Conditions{}, // all rows, and of what changes only what differs
	}
	for ctx.Err() == nil {
		if r.cfg.Idle > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-r.asked:
			}
		}
		awake, stop := context.WithCancel(ctx)
		var resting sync.WaitGroup
		resting.Go(func() {
			defer stop()
			r.tire(awake)
		})
		ovsdb.Keep(awake, cfg, r.follow, r.ended)
		resting.Wait()
		r.rest()
	}
	return nil
}

// tire returns when nobody has asked for a while. Meanwhile it looks who has not been
// heard of.
func (r *Reader) tire(ctx context.Context) {
	ticker := time.NewTicker(agePause)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
			last = time.Now()
		case <-ticker.C:
			r.age()
			if r.cfg.Idle > 0 && time.Since(last) > r.cfg.Idle {
				return
			}
		}
	}
}

func (r *Reader) rest() {
	r.ended(errors.New("nobody has asked for a while"))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting = r.cfg.Idle > 0
}

func (r *Reader) ended(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.lost = time.Time{}, err
	select {
	case <-r.looked:
		r.looked = make(chan struct{})
	default:
	}
}

// follow takes what changes as long as a session lasts.
func (r *Reader) follow(ctx context.Context, session *ovsdb.Session) error {
	first := true
	for {
		if !session.Look(func(_ ovsdb.Tables, changes ovsdb.Changes) { r.take(changes, first) }) {
			return ovsdb.ErrLost
		}
		first = false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-session.Changed():
		}
	}
}

// take takes what has become of the rows. At the first look it may be another server
// than before.
func (r *Reader) take(changes ovsdb.Changes, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if first {
		r.began, r.lost = now, nil
		for _, h := range r.hosts {
			h.gone = true // unless there is a row
		}
		close(r.looked)
	}
	news := false
	for _, c := range changes[Table] {
		if row, is := c.After.(*hostRow); is {
			news = r.hear(row, first, now) || news
		} else if row, is := c.Before.(*hostRow); is {
			// Its row was made anew if there is one: then that is among the changes.
			if h := r.hosts[row.SystemID]; h != nil && h.row.UUID == row.UUID {
				h.gone = true
			}
		}
	}
	if r.judge(now) || news {
		r.publish()
	}
}

// hear takes a row, and says whether it tells anything new.
func (r *Reader) hear(row *hostRow, first bool, now time.Time) bool {
	h, known := r.hosts[row.SystemID]
	if !known {
		h = &heard{row: &hostRow{}}
		r.hosts[row.SystemID] = h
	}
	before := h.row
	h.row, h.gone = row, false
	stamp := time.Unix(int64(row.Heartbeat), 0)
	switch away := now.Sub(stamp).Abs(); {
	case row.Heartbeat == 0:
	case known && !first && row.Heartbeat != before.Heartbeat:
		h.last = now
	case away <= patience && now.Add(-away).After(h.last): // as far as clocks can be trusted
		h.last = now.Add(-away)
	}
	if same(before, row) {
		return false
	}
	if h.told != nil {
		h.told = &told{entries: h.told.entries} // what is still so need not be read again
	}
	return true
}

// same says that two rows tell the same but for the heartbeat, and what comes with it.
func same(a, b *hostRow) bool {
	return a.Host == b.Host && a.Boot == b.Boot && a.Version == b.Version && a.OVSVersion == b.OVSVersion && a.URL == b.URL &&
		a.Realised == b.Realised && a.Connected == b.Connected && a.Missing == b.Missing && a.Notices == b.Notices &&
		a.LastError == b.LastError && a.Details == b.Details &&
		maps.Equal(a.Networks, b.Networks) && maps.Equal(a.Foreign, b.Foreign) && maps.Equal(a.Names, b.Names)
}

func (r *Reader) age() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judge(time.Now()) {
		r.publish()
	}
}

// judge finds out which hosts are heard of, and says whether that is news. A host whose
// row is gone is forgotten when it has not been heard of for a while.
func (r *Reader) judge(now time.Time) (news bool) {
	for systemID, h := range r.hosts {
		if l := r.liveness(h, now); l != h.liveness {
			h.liveness, news = l, true
		}
		if h.gone && h.liveness == report.NonResponsive {
			delete(r.hosts, systemID)
			news = true
		}
	}
	return news
}

// liveness says whether a host is heard of. Without a session nobody can be heard.
func (r *Reader) liveness(h *heard, now time.Time) report.Liveness {
	switch {
	case !h.last.IsZero() && now.Sub(h.last) <= patience:
		return report.Up
	case r.began.IsZero() || now.Sub(r.began) <= patience:
		return report.Connecting
	}
	return report.NonResponsive
}

func (r *Reader) publish() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed returns a channel that is closed when the answer of Status for a host is
// another one. That the host has seen a newer revision, which does not concern it, is no
// news.
func (r *Reader) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Status returns what a host last reported; false when nothing is known of it. It wakes a
// reader that rests, and then may wait for a second.
func (r *Reader) Status(host model.ID) (report.Status, bool) {
	h, m, known := r.find(host)
	if !known {
		return report.Status{}, false
	}
	defer r.mu.Unlock()
	if h.told == nil || h.told.row == nil {
		h.told = read(h.row, h.told)
	}
	return h.told.at(time.Now(), m), true
}

// Member returns what is known of a host beside its report, as Status does.
func (r *Reader) Member(host model.ID) (report.Member, bool) {
	_, m, known := r.find(host)
	if known {
		r.mu.Unlock()
	}
	return m, known
}

// find returns what is known of a host. If there is something, the caller has the lock.
func (r *Reader) find(host model.ID) (*heard, report.Member, bool) {
	r.ask()
	systemID := r.cfg.SystemID(host)
	r.mu.Lock()
	h := r.hosts[systemID]
	if systemID == "" || h == nil || h.row.Host != string(host) {
		r.mu.Unlock()
		return nil, report.Member{}, false
	}
	return h, report.Member{
		Liveness: r.liveness(h, time.Now()), Heard: h.last, Seen: int64(h.row.Seen), Boot: h.row.Boot, Version: h.row.Version, URL: h.row.URL,
	}, true
}

// ask keeps the reader from resting. It waits for the first look of one that has rested.
func (r *Reader) ask() {
	r.mu.Lock()
	if r.resting {
		r.resting, r.woken = false, time.Now()
	}
	looked, woken := r.looked, r.woken
	r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default: // a question is waiting already
	}
	if wait := firstLook - time.Since(woken); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-looked:
		case <-timer.C:
		}
	}
}

// Trouble returns why the reader does not follow the reports; nil when it does, or when
// nobody has asked for a while.
func (r *Reader) Trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.began.IsZero() {
		return nil
	}
	return fmt.Errorf("the reports of other hosts cannot be read: %w", r.lost)
}
