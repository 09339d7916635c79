package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
)

// maxLine bounds a line of a file in bytes. What is longer is no entry.
const maxLine = 64 << 10

// maxIndex is beyond what a history comes to. What has a greater index is no entry.
const maxIndex = 1 << 53 // from where on JSON's numbers are not exact everywhere

// decode reads a line as an entry. The first line of a file is none, nor is a torn one.
func decode(line []byte) (Entry, bool) {
	var e Entry
	err := json.Unmarshal(line, &e)
	return e, err == nil && e.Index > 0 && e.Index < maxIndex && e.Kind != ""
}

// backwards yields the lines of the first size bytes of a file, the last one first. It
// leaves out lines that are longer than maxLine. A line is good until the next one.
func backwards(file io.ReaderAt, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var rest []byte // of the line whose beginning was not read yet
		tooLong := false
		for size > 0 {
			from := max(0, size-maxLine)
			block := make([]byte, size-from, int(size-from)+len(rest))
			if _, err := file.ReadAt(block, from); err != nil {
				if !errors.Is(err, io.EOF) { // else somebody has shortened it
					yield(nil, err)
				}
				return
			}
			size = from
			for {
				end := bytes.LastIndexByte(block, '\n')
				if end < 0 {
					break
				}
				line := append(block[end+1:len(block):len(block)], rest...)
				if !tooLong && len(line) > 0 && len(line) < maxLine && !yield(line, nil) {
					return
				}
				block, rest, tooLong = block[:end], nil, false
			}
			if rest = append(block, rest...); len(rest) >= maxLine {
				rest, tooLong = nil, true
			}
		}
		if len(rest) > 0 && !tooLong {
			yield(rest, nil)
		}
	}
}

// pages are the files of a roll as they were at one moment.
type pages struct {
	current, older *os.File
	// size is how much of the current file may be shown, and most how far from its end a
	// file is read: what is damaged may have any size.
	size, most int64
}

// pages opens the files to be read. They stay what they are when the roll goes on.
func (r *roll) pages() (p pages, err error) {
	for range 3 { // another process may move them between two calls
		if p.current, err = openIf(r.path); err != nil {
			return pages{}, err
		}
		if p.older, err = openIf(r.older()); err != nil {
			return pages{}, errors.Join(err, p.close())
		}
		if r.file != nil {
			p.size = r.size
			return p, nil
		}
		if same, size, err := p.look(); err != nil || !same {
			p.size = size
			return p, err
		}
		if err := p.close(); err != nil {
			return pages{}, err
		}
	}
	return pages{}, errors.New("the files change all the time")
}

// look reports whether both are one file, and the size of the current one.
func (p pages) look() (same bool, size int64, err error) {
	if p.current == nil {
		return false, 0, nil
	}
	current, err := p.current.Stat()
	if err != nil || p.older == nil {
		return false, sizeOf(current), err
	}
	older, err := p.older.Stat()
	return err == nil && os.SameFile(current, older), sizeOf(current), err
}

func sizeOf(info os.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}

func openIf(path string) (*os.File, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file, no error
	}
	return file, err
}

func (p pages) close() error {
	var errs []error
	for _, file := range []*os.File{p.current, p.older} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// entries yields what is in the files, the newest first.
func (p pages) entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, part := range []struct {
			file *os.File
			size func() (int64, error)
		}{
			{p.current, func() (int64, error) { return p.size, nil }},
			{p.older, func() (int64, error) { info, err := p.older.Stat(); return sizeOf(info), err }},
		} {
			if part.file == nil {
				continue
			}
			size, err := part.size()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			from := max(0, size-p.most)
			for line, err := range backwards(io.NewSectionReader(part.file, from, size-from), size-from) {
				e, ok := decode(line)
				if err == nil && !ok {
					continue
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
