// Package statefile keeps what a program has to remember in a file that is written
// as a whole: after a crash it has the old content or the new one.
package statefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// maxSize bounds in bytes what is read.
const maxSize = 256 << 20

// Texts say what is lost with a file, in whole sentences without a full stop.
type Texts struct {
	// Broken is logged when the file cannot be read, Unsaved when it cannot be
	// written, and Saved when it can be again.
	Broken, Unsaved, Saved string
}

// File is one file. It is not for several goroutines at once.
type File struct {
	path, kind string
	texts      Texts
	log        *slog.Logger
	// written is what the file has, failing whether the last write failed.
	written []byte
	failing bool
}

// New returns the file of a path, whose content is of a kind: a word and the
// version of its format, such as "traffic 1". It need not exist, nor its directory.
func New(path, kind string, texts Texts, log *slog.Logger) *File {
	return &File{path: path, kind: kind, texts: texts, log: log}
}

// Load decodes what was saved last, from JSON, and reports whether there was
// something. A file that cannot be read is kept aside under another name and
// logged.
func (f *File) Load(into any) bool {
	data, err := f.read()
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err == nil {
		err = f.decode(data, into)
	}
	if err != nil {
		f.putAside(err)
		return false
	}
	f.written = data
	return true
}

func (f *File) read() ([]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSize {
		return nil, fmt.Errorf("it is no regular file of at most %d bytes", maxSize)
	}
	return os.ReadFile(f.path)
}

// head is the first line of a file: what it is, and the CRC-32C of what follows.
func (f *File) head(body []byte) string {
	return fmt.Sprintf("isonet %s %08x\n", f.kind, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func (f *File) decode(data []byte, into any) error {
	head, body, _ := bytes.Cut(data, []byte("\n"))
	if string(head)+"\n" != f.head(body) {
		return errors.New("the file is damaged, or of a newer isonetd")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	return nil
}

func (f *File) putAside(problem error) {
	aside := f.path + ".broken-" + time.Now().UTC().Format("20060102T150405Z")
	if err := os.Rename(f.path, aside); err != nil {
		problem = errors.Join(problem, err)
	}
	f.log.Error(f.texts.Broken, "file", f.path, "kept", aside, "error", problem)
}

// Save writes a content as JSON, unless the file has it already. When it cannot be
// written, that is logged once, and the next Save tries again.
func (f *File) Save(content any) {
	err := f.save(content)
	switch {
	case err != nil && !f.failing:
		f.log.Error(f.texts.Unsaved, "file", f.path, "error", err)
	case err == nil && f.failing:
		f.log.Info(f.texts.Saved, "file", f.path)
	}
	f.failing = err != nil
}

func (f *File) save(content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	data := append([]byte(f.head(body)), body...)
	if bytes.Equal(data, f.written) {
		return nil
	}
	if err := Replace(f.path, data); err != nil {
		return err
	}
	f.written = data
	return nil
}

// Replace puts data in the place of a file, on the disk, which only its owner may read.
// It makes the directory if there is none. A crash leaves the old file or the new one,
// whole.
func Replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh := path + ".new"
	if err := errors.Join(os.WriteFile(fresh, data, 0o600), Flush(fresh)); err != nil {
		return err
	}
	return errors.Join(os.Rename(fresh, path), Flush(dir))
}

// Flush brings a file, or the names in a directory, to the disk (fsync(2)).
func Flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
