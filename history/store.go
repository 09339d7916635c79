package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/isonet/isonet/model"
)

const (
	// MinSize is the least that a history can be bounded to, in bytes.
	MinSize = 1 << 20
	// MaxSize is the most, in bytes.
	MaxSize = 1 << 40
	// maxPending bounds the entries of a share that wait for the disk.
	maxPending = 1024
	// retryAfter is when a disk that failed is tried again.
	retryAfter = time.Second
	// lookEvery is how often it is looked for what is too old, or was told too often.
	lookEvery = time.Minute
)

// Bounds say how much a history keeps.
type Bounds struct {
	// Size is in bytes on the disk; with 0 there is no history.
	Size int64
	// Age is how old an entry may be; 0 is any age.
	Age time.Duration
}

// shares are the parts of the bound, in eighths, that kinds of entries have. They have
// files of their own, so that a stranger who cannot log in, or a VM that isonetd keeps
// having to do with, never pushes out what operators did.
func shares() []share {
	return []share{{"writes", 4}, {"deeds", 3}, {"logins", 1}}
}

type share struct {
	name    string
	eighths int64
}

// shareOf returns the place of the share that has a kind of entries.
func shareOf(kind string) int {
	switch kind {
	case KindDeed:
		return 1
	case KindLogin:
		return 2
	}
	return 0
}

// Config says where a history is, and how large.
type Config struct {
	// Dir is its directory. It need not exist.
	Dir string
	Bounds
	Log *slog.Logger
	// Host returns the host on which things are done; nil tells of none. It must not wait.
	Host func() (id model.ID, name string)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store keeps entries on the disk while Run runs. A nil *Store keeps nothing.
type Store struct {
	dir     string
	log     *slog.Logger
	host    func() (id model.ID, name string)
	now     func() time.Time
	woken   chan struct{}
	rebound chan struct{}

	mu     sync.Mutex
	bounds Bounds
	rolls  []*roll
	// pending are entries that are not on the disk yet, by the place of their share.
	pending [][]Entry
	alike   repetitions
	// lost counts the entries for which there was no room, told those of them that an
	// entry tells of.
	lost, told uint64
	// next is the index of the next entry; 0 before the files are open.
	next int64
	// trouble says why the files cannot be written; nil if they can.
	trouble error
	changed chan struct{}

	// The rest belongs to Run.

	lock *os.File
	// said is the trouble that was logged.
	said bool
}

// New returns a history. It touches nothing before Run.
func New(c Config) *Store {
	s := &Store{
		dir: c.Dir, bounds: c.Bounds, log: c.Log, host: c.Host, now: c.Now,
		woken: make(chan struct{}, 1), rebound: make(chan struct{}, 1), changed: make(chan struct{}),
		pending: make([][]Entry, len(shares())), alike: repetitions{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	for _, share := range shares() {
		s.rolls = append(s.rolls, &roll{path: filepath.Join(c.Dir, "history-"+share.name)})
	}
	return s
}

// Rebound makes other bounds be in force.
func (s *Store) Rebound(b Bounds) {
	s.mu.Lock()
	s.bounds = b
	s.mu.Unlock()
	yield(s.rebound)
}

// yield puts a value into a channel of one, if it has none.
func yield(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Record keeps entries. It waits for nobody: when the disk does not follow, entries are
// lost, which is counted and told. Index is given later, and Time if there is none.
func (s *Store) Record(entries ...Entry) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.add(e)
	}
}

// RecordAlike keeps an entry, unless there was one with the same key in the last ten
// minutes. Those that come meanwhile are counted, and told at the end of that time by
// the last one.
func (s *Store) RecordAlike(key string, e Entry) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bounds.Size > 0 && s.alike.first(key, &e, s.now()) {
		s.add(e)
	}
}

// add puts an entry to those that wait. The caller has the lock.
func (s *Store) add(e Entry) {
	if s.bounds.Size == 0 {
		return
	}
	if e.Time.IsZero() {
		e.Time = s.now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if s.host != nil && e.Host == "" {
		id, name := s.host()
		e.HostID, e.Host = string(id), name
	}
	at := shareOf(e.Kind)
	if len(s.pending[at]) >= maxPending {
		s.lost++
		return
	}
	s.pending[at] = append(s.pending[at], e)
	yield(s.woken)
}

// Changed returns a channel that is closed when there are more entries.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Health is how a history is.
type Health struct {
	// On says that there is one.
	On bool
	// Size is what it takes on the disk, in bytes.
	Size int64
	// Lost counts the entries that could not be kept since the program began.
	Lost uint64
	// Trouble says why nothing can be kept now; nil if it can.
	Trouble error
}

// Health returns how the history is.
func (s *Store) Health() Health {
	if s == nil {
		return Health{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Health{On: s.bounds.Size > 0, Lost: s.lost}
	if h.On {
		h.Trouble = s.trouble
		for _, r := range s.rolls {
			h.Size += r.size + r.other
		}
	}
	return h
}

// Entries yields the entries whose index is greater than from, the newest first. It
// reads them from the disk as they are asked for.
func (s *Store) Entries(from int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if s == nil {
			return
		}
		all, oldest, err := s.open()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		var sources []iter.Seq2[Entry, error]
		for _, p := range all {
			defer p.close() //nolint:errcheck // they were only read
			sources = append(sources, p.entries())
		}
		merged(sources)(func(e Entry, err error) bool {
			switch {
			case err != nil:
				return yield(e, fmt.Errorf("read the history: %w", err))
			case e.Index <= from:
				return false
			case e.Time.Before(oldest):
				return true
			}
			return yield(e, nil)
		})
	}
}

// open opens the files of all shares as they are at this moment.
func (s *Store) open() (all []pages, oldest time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bounds.Size == 0 {
		return nil, oldest, nil
	}
	for _, r := range s.rolls {
		p, err := r.pages()
		if err != nil {
			for _, opened := range all {
				err = errors.Join(err, opened.close())
			}
			return nil, oldest, fmt.Errorf("open the history: %w", err)
		}
		p.most = s.bounds.Size
		all = append(all, p)
	}
	return all, s.oldest(), nil
}

// oldest is when the oldest entry may be from; zero for any time. The caller has the lock.
func (s *Store) oldest() time.Time {
	if s.bounds.Age == 0 {
		return time.Time{}
	}
	return s.now().Add(-s.bounds.Age)
}

// merged yields what several sources yield, the greatest index first.
func merged(sources []iter.Seq2[Entry, error]) iter.Seq2[Entry, error] {
	type tap struct {
		next func() (Entry, error, bool)
		head Entry
		err  error
		more bool
	}
	return func(yield func(Entry, error) bool) {
		taps := make([]tap, len(sources))
		for i, source := range sources {
			next, stop := iter.Pull2(source)
			defer stop()
			taps[i].next = next
			taps[i].head, taps[i].err, taps[i].more = next()
		}
		for {
			var newest *tap
			for i := range taps {
				t := &taps[i]
				if t.more && (newest == nil || t.err != nil || newest.err == nil && t.head.Index > newest.head.Index) {
					newest = t
				}
			}
			if newest == nil || !yield(newest.head, newest.err) || newest.err != nil {
				return
			}
			newest.head, newest.err, newest.more = newest.next()
		}
	}
}

// Run keeps what is recorded until ctx ends, and then what is still waiting.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	look := true // at what is too old or too much
	for ctx.Err() == nil {
		s.summarize(false)
		var retry <-chan time.Time
		if !s.work(look) {
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
		case <-s.woken:
			look = false
		case <-s.rebound:
			look = true
		case <-ticker.C:
			look = true
		case <-retry:
		}
	}
	s.summarize(true)
	s.work(false)
	return s.shut()
}

// shut lets another process write the files.
func (s *Store) shut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := closeAll(s.rolls)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	s.next = 0
	return err
}

// summarize has told what was only counted, at the end of its time or at the end of all.
func (s *Store) summarize(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.alike.over(s.now(), all) {
		s.add(e)
	}
}

// work writes what waits, and says whether it could. It looks at the bounds if asked to.
func (s *Store) work(look bool) bool {
	s.mu.Lock()
	bounds := s.bounds
	s.mu.Unlock()
	if bounds.Size == 0 {
		return s.off()
	}
	err := s.begin(bounds)
	if err == nil && look {
		err = s.trim()
	}
	for at := range s.rolls {
		if err == nil {
			err = s.write(at)
		}
	}
	s.tell(err)
	return err == nil
}

// off ends what there was while there is to be no history.
func (s *Store) off() bool {
	s.mu.Lock()
	for at := range s.pending {
		s.pending[at] = nil
	}
	clear(s.alike)
	s.mu.Unlock()
	s.tell(nil)
	if err := s.shut(); err != nil {
		s.log.Warn("cannot close the history", "error", err)
	}
	return true
}

// errElsewhere says that another process has the files.
var errElsewhere = errors.New("another isonetd keeps its history there: only one can, and this one goes on when that has ended")

// begin opens the files, unless they are open and where they were, and takes the bounds.
func (s *Store) begin(bounds Bounds) error {
	if s.lock == nil {
		if err := s.occupy(); err != nil {
			return err
		}
	}
	for at, share := range shares() {
		s.rolls[at].half = bounds.Size * share.eighths / 8 / 2
	}
	if s.next > 0 && !slices.ContainsFunc(s.rolls, (*roll).astray) {
		return nil
	}
	return s.openFiles()
}

// openFiles opens the files anew. A disk may make that last, or a file that is damaged:
// nobody waits for it.
func (s *Store) openFiles() error {
	next := max(s.next, 1)
	var opened []*roll
	for _, r := range s.rolls {
		fresh := &roll{path: r.path, half: r.half}
		opened = append(opened, fresh)
		var err error
		if next, err = fresh.open(next); err != nil {
			return fmt.Errorf("open the history: %w", errors.Join(err, closeAll(opened)))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.rolls
	s.rolls, s.next = opened, next
	return closeAll(before)
}

func closeAll(rolls []*roll) error {
	var errs []error
	for _, r := range rolls {
		if r.file != nil {
			errs = append(errs, r.file.Close())
			r.file = nil
		}
	}
	return errors.Join(errs...)
}

// occupy keeps other processes from writing the files.
func (s *Store) occupy() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, "history.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errElsewhere
		}
		return errors.Join(err, lock.Close())
	}
	s.lock = lock
	return nil
}

// tell says once that something is wrong, and that it no longer is.
func (s *Store) tell(err error) {
	s.mu.Lock()
	s.trouble = err
	s.mu.Unlock()
	switch {
	case err != nil && !s.said:
		s.log.Warn("nothing more can be kept in the history; trying on", "dir", s.dir, "error", err)
	case err == nil && s.said:
		s.log.Info("the history is kept again", "dir", s.dir)
	}
	s.said = err != nil
}

// trim removes what is beyond the bounds.
func (s *Store) trim() error {
	s.mu.Lock()
	oldest, next := s.oldest(), s.next
	s.mu.Unlock()
	var errs []error
	for _, r := range s.rolls {
		errs = append(errs, r.trim(&s.mu, oldest, next))
	}
	return errors.Join(errs...)
}

// write writes what waits of a share.
func (s *Store) write(at int) error {
	for {
		s.mu.Lock()
		if at == 0 && s.lost > s.told && len(s.pending[0]) < maxPending {
			s.add(lossOf(s.lost - s.told))
			s.told = s.lost
		}
		batch, next, r := s.pending[at], s.next, s.rolls[at]
		s.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		written, lines := encode(batch, next, r.room(), r.half)
		err := s.put(r, written, next, lines)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.pending[at] = s.pending[at][written:]
		if len(s.pending[at]) == 0 {
			s.pending[at] = nil // what it has grown to is free
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// put writes the lines of so many entries, into a file of their own if they were made
// for one.
func (s *Store) put(r *roll, entries int, next int64, lines []byte) error {
	if int64(len(lines)) <= r.room() {
		line := r.size
		err := r.append(lines)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			r.size, s.next = line+int64(len(lines)), next+int64(entries)
		}
		return err
	}
	file, err := r.prepare(next, lines)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.take(file); err != nil {
		return err
	}
	s.next = next + int64(entries)
	return nil
}

// encode makes lines of as many entries as there is room for, or if that is none, of as
// many as are to begin a file of their own, which may have so many bytes.
func encode(batch []Entry, next, room, file int64) (entries int, lines []byte) {
	for _, e := range batch {
		e.Index = next + int64(entries)
		line, err := json.Marshal(bounded(e))
		if err != nil {
			panic(err) // it has nothing that could not be encoded
		}
		line = append(line, '\n')
		switch {
		case entries == 0 && int64(len(line)) > room:
			room = min(file, maxLine) - int64(len(headLine(next)))
		case int64(len(lines)+len(line)) > room:
			return entries, lines
		}
		lines = append(lines, line...)
		entries++
	}
	return entries, lines
}

// maxChanges bounds what an entry tells of changes, in bytes.
const maxChanges = maxLine / 2

// bounded returns an entry that fits into a line.
func bounded(e Entry) Entry {
	e.Text, e.ClaimedUser, e.User = clip(e.Text, maxText), clip(e.ClaimedUser, maxValue), clip(e.User, maxValue)
	size := 0
	for i, c := range e.Changes {
		data, err := json.Marshal(c)
		if err != nil {
			panic(err) // it has nothing that could not be encoded
		}
		if size += len(data); size > maxChanges {
			e.Omitted += len(e.Changes) - i
			e.Changes = e.Changes[:i]
			break
		}
	}
	return e
}

func lossOf(n uint64) Entry {
	return Entry{
		Kind: KindLoss, Code: CodeLoss, Severity: Warning,
		Text: fmt.Sprintf("%d entries of the history were lost, because the disk did not take them in time", n),
	}
}
