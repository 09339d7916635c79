package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/isonet/isonet/internal/statefile"
)

// roll keeps entries of some kinds in two files of lines, of which the first says what
// index comes next. New ones go to the current file. When that has half of the bound it
// takes the place of the older one. A change of a file is a new one that takes its place.
type roll struct {
	path string // of the current file
	file *os.File
	// size is how much of the current file is whole and on the disk; half is how much it
	// may have; other is the size of the older file.
	size, half, other int64
}

func (r *roll) older() string { return r.path + ".1" }
func (r *roll) fresh() string { return r.path + ".new" }

// head is the first line of a file.
type head struct {
	// Isonet says that the file is isonet's, and in which form.
	Isonet string `json:"isonet"`
	// Next is an index that is greater than those of all entries that were kept before.
	Next int64 `json:"next"`
}

const form = "history 1"

func headLine(next int64) []byte {
	line, err := json.Marshal(head{form, next})
	if err != nil {
		panic(err) // it has nothing that could not be encoded
	}
	return append(line, '\n')
}

// open opens the files, mends what a crash has left, and returns the next index that
// they know of. They are created if there are none.
func (r *roll) open(next int64) (int64, error) {
	_ = os.Remove(r.trimmed()) // of a crash, if it is there
	current, err := r.nextIn(r.path)
	if err != nil {
		return 0, err
	}
	older, err := r.nextIn(r.older())
	if err != nil {
		return 0, err
	}
	fresh, err := r.nextIn(r.fresh())
	if err != nil {
		return 0, err
	}
	next = max(next, older, current, fresh)
	if fresh > max(current, older) { // a crash came before it took its place
		if err := r.replace(); err != nil {
			return 0, err
		}
	}
	if err := remove(r.fresh()); err != nil {
		return 0, err
	}
	if r.file, err = os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return 0, err
	}
	if r.size, err = r.whole(); err != nil {
		return 0, err
	}
	if r.size == 0 {
		begin := headLine(next)
		if err := r.append(begin); err != nil {
			return 0, err
		}
		r.size = int64(len(begin))
	}
	return next, r.measure()
}

// astray reports whether the current file is no longer what it was: somebody has removed
// or emptied it.
func (r *roll) astray() bool {
	there, err := os.Stat(r.path)
	if err != nil {
		return true
	}
	own, err := r.file.Stat()
	return err != nil || !os.SameFile(there, own) || own.Size() < r.size
}

// measure looks at the size of the older file.
func (r *roll) measure() error {
	info, err := os.Stat(r.older())
	switch {
	case errors.Is(err, os.ErrNotExist):
		r.other = 0
	case err != nil:
		return err
	default:
		r.other = info.Size()
	}
	return nil
}

// reach is how far from its end a file is looked through for what a crash has left. What
// is before that is beyond the bound.
func (r *roll) reach() int64 { return max(r.half, maxLine) }

// nextIn returns the index that follows all that a file knows of; 0 for no file.
func (r *roll) nextIn(path string) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	var first head
	line, err := bufio.NewReaderSize(file, maxLine).ReadSlice('\n')
	if err == nil && (json.Unmarshal(line, &first) != nil || first.Next > maxIndex) {
		first.Next = 0 // what is damaged says nothing
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	from := max(0, info.Size()-r.reach())
	for line, err := range backwards(io.NewSectionReader(file, from, r.reach()), info.Size()-from) {
		if err != nil {
			return 0, err
		}
		if e, ok := decode(line); ok {
			return max(first.Next, e.Index+1), nil
		}
	}
	return first.Next, nil
}

// whole cuts off what follows the last whole line of the current file, and returns its
// size. A file that has none within reach has nothing to be kept.
func (r *roll) whole() (int64, error) {
	info, err := r.file.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	least := max(0, size-r.reach())
	for block := make([]byte, maxLine); size > least; {
		from := max(least, size-int64(len(block)))
		part := block[:size-from]
		if _, err := r.file.ReadAt(part, from); err != nil {
			return 0, err
		}
		if end := bytes.LastIndexByte(part, '\n'); end >= 0 {
			size = from + int64(end) + 1
			return size, r.file.Truncate(size)
		}
		size = from
	}
	return 0, r.file.Truncate(0)
}

// room is how many bytes of lines fit into the current file.
func (r *roll) room() int64 { return r.half - r.size }

// append puts lines after what may be shown of the current file, which the caller lets
// grow then. An error leaves the file as it was.
func (r *roll) append(lines []byte) error {
	_, err := r.file.WriteAt(lines, r.size)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		return errors.Join(err, r.file.Truncate(r.size))
	}
	return nil
}

// prepare writes a file with lines that is to take the current one's place.
func (r *roll) prepare(next int64, lines []byte) (*os.File, error) {
	file, err := os.OpenFile(r.fresh(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(append(headLine(next), lines...))
	if err = errors.Join(err, file.Sync(), statefile.Flush(filepath.Dir(r.path))); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(r.fresh()))
	}
	return file, nil
}

// take makes a prepared file the current one, and the current one the older one. After a
// crash before the names are on the disk, open does it once more.
func (r *roll) take(file *os.File) error {
	if err := r.replace(); err != nil {
		return errors.Join(err, file.Close())
	}
	_ = r.file.Close() // all of it is on the disk
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r.file, r.other, r.size = file, r.size, info.Size()
	return nil
}

func (r *roll) replace() error {
	if err := os.Rename(r.path, r.older()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(r.fresh(), r.path)
}

func (r *roll) trimmed() string { return r.path + ".trim" }

// trim removes what is older than a time, which may be zero, and what is more than the
// bound, the oldest first. Readers are locked out for the moment in which files change.
func (r *roll) trim(readers sync.Locker, before time.Time, next int64) error {
	lowered := r.size > r.half
	if r.other > r.half || lowered && r.other > 0 || expired(r.older(), before) {
		bound := r.half
		if lowered { // else the older file would have what was removed between the two
			bound = 0
		}
		if err := r.cut(readers, r.older(), bound, before, next); err != nil {
			return err
		}
	}
	if lowered || expired(r.path, before) {
		return r.cut(readers, r.path, r.half, before, next)
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// reopen looks at files that were changed.
func (r *roll) reopen() error {
	file, err := os.OpenFile(r.path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_ = r.file.Close() // all of it is on the disk
	r.file = file
	if r.size, err = r.whole(); err != nil {
		return err
	}
	return r.measure()
}

// expired reports whether the first entry of a file is older than a time.
func expired(path string, before time.Time) bool {
	if before.IsZero() {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // it was only read
	lines := bufio.NewReaderSize(file, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		if e, ok := decode(line); ok {
			return e.Time.Before(before)
		}
	}
}

// cut writes a file again with the newest of its entries, as many as a bound in bytes has
// room for, and none that is older than a time.
func (r *roll) cut(readers sync.Locker, path string, bound int64, before time.Time, next int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("shorten %s: %w", path, errors.Join(err, remove(r.trimmed())))
		}
	}()
	old, err := os.Open(path)
	if err != nil {
		return err
	}
	defer old.Close() //nolint:errcheck // it was only read
	info, err := old.Stat()
	if err != nil {
		return err
	}
	begin := headLine(next)
	if surplus := info.Size() - bound + int64(len(begin)); surplus > 0 {
		if _, err := old.Seek(min(surplus, info.Size()), io.SeekStart); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(r.trimmed(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(begin)
	if err = errors.Join(err, keep(file, old, before), file.Sync(), file.Close()); err != nil {
		return err
	}
	readers.Lock()
	defer readers.Unlock()
	if err := os.Rename(r.trimmed(), path); err != nil {
		return err
	}
	return r.reopen()
}

// keep copies the entries that are not older than a time.
func keep(into io.Writer, from io.Reader, before time.Time) error {
	lines, out := bufio.NewReaderSize(from, maxLine), bufio.NewWriter(into)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // it is too long to be an entry
			continue
		case errors.Is(err, io.EOF):
			return out.Flush()
		case err != nil:
			return err
		}
		if e, ok := decode(line); ok && !e.Time.Before(before) {
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
}
